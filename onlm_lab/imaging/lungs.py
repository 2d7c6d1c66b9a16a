"""Finds the right and the left lung on a chest CT by threshold and shape, and says whether they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.coarse_grid import CoarseGrid, area_mm2, box_around
from onlm_lab.imaging.inner_air import air_inside, air_threshold_hu, find_airway, outer_rim
from onlm_lab.imaging.two_lungs import ROLLING_BALL_MM, none_found, right_and_left, rolled, with_tumour
from onlm_lab.imaging.volume import CtVolume, patient_mm_to_voxel, voxel_to_patient_mm
from onlm_lab.showing import shows_itself

GRID_MM = 2.0
NO_HU = -1100.0  # below any tissue and any air: what a writer of NIfTI or NRRD left for "not measured"
CUT_MM2 = 100.0  # lung that meets the edge of the scan over less than this is partial volume
# What a whole lung can hold. Healthy total 4,468 (SD 1,271) mL at inspiration: Cheng et al., Int J COPD 2019;14:1657,
# doi:10.2147/COPD.S187596; COPD 5.34 (SD 1.20) L: PMC3292389; share of the right lung 50.6 to 57.4 %: Yamada et al.,
# Respiration 2020;99:598, PMC7490509. Low: healthy mean - 3 SD, left share; high: COPD mean + 3 SD, right share.
LUNG_ML = (280.0, 5130.0)
RIGHT_TO_LEFT = (0.5, 2.7)  # half the least and twice the most of those shares: 1.02 to 1.35


@shows_itself
@dataclass(frozen=True, eq=False)
class Lungs:
    """Both lungs as masks on a coarse grid of their own, and whether they can be trusted.

    Attributes:
        right, left: bool (z,y,x), the patient's right and left lung with vessels, nodules and the tumour inside. The z
            index rises towards the head, y to the back, x to the patient's left, whatever the order of the scan was.
        unseen: bool (z,y,x), where the scan holds padding instead of a measurement.
        spacing_mm, origin_mm, direction: the geometry of the masks, as a `CtVolume` has it.
        right_ml, left_ml: their volumes, of what lies in the scan.
        threshold_hu: what was taken as air, below it.
        cut: which ends of the scan ("head", "feet") cut the lungs; volumes are then those of a part.
        reasons: one sentence for each check that failed; none means that facts may be taken from the masks.
    """

    right: np.ndarray
    left: np.ndarray
    unseen: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray
    right_ml: float
    left_ml: float
    threshold_hu: float
    cut: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether every check was passed."""
        return not self.reasons

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return self.right.shape  # type: ignore[return-value]

    def to_patient_mm(self, index_zyx: np.ndarray) -> np.ndarray:
        """Positions (..., 3) as x, y, z in mm (LPS) of voxel indices (..., 3) of the masks."""
        return voxel_to_patient_mm(
            index_zyx, spacing_mm=self.spacing_mm, origin_mm=self.origin_mm, direction=self.direction
        )

    def to_voxel(self, position_mm: np.ndarray) -> np.ndarray:
        """Voxel indices (..., 3) of the masks (fractional) of positions (..., 3) as x, y, z in mm (LPS)."""
        return patient_mm_to_voxel(
            position_mm, spacing_mm=self.spacing_mm, origin_mm=self.origin_mm, direction=self.direction
        )


def find_lungs(volume: CtVolume, *, tumour: np.ndarray | None = None, grid_mm: float = GRID_MM) -> Lungs:
    """The two lungs of a chest CT, with the checks that tell whether they are lungs.

    By threshold and shape after Hu, Hoffman & Reinhardt (IEEE Trans Med Imaging 2001;20:490-498,
    doi:10.1109/42.929615): the threshold lies midway between body and air; air that meets the side of a slice is
    outside; the trachea is followed from its round cross-sections and taken out with the bronchi that it leads to;
    right and left are told apart in the patient's frame and cut where they touch. In place of their smoothing of the
    mediastinal border a ball of 10 mm radius is rolled along each lung (a closing), which also brings in vessels and
    nodules at the pleura. Consolidated or collapsed lung and effusion look like the chest wall and stay out, free air
    beside a lung (pneumothorax) comes in; a tumour too wide for the ball is brought in only by its mask.

    Args:
        volume: the CT, in any orientation.
        tumour: bool (z,y,x) on the CT's grid; united with the lung that it lies in or borders on. None: no tumour.
        grid_mm: about how fine the masks are; whole voxels are averaged, never split.

    Raises:
        SeriesError: the tumour's mask has another shape than the CT.
    """
    if tumour is not None and tumour.shape != volume.shape:
        raise SeriesError(f"The mask has shape {tumour.shape}, the CT {volume.shape}; read the mask onto this CT.")
    grid = CoarseGrid.of(volume, grid_mm)
    hu = grid.average(volume.hu)
    unseen = hu < NO_HU
    if volume.padding is not None:
        unseen |= grid.average(volume.padding) > 0
    tissue = None if tumour is None else grid.average(tumour) >= 0.5
    threshold = air_threshold_hu(hu[::2, ::2, ::2][~unseen[::2, ::2, ::2]])
    rim = outer_rim(unseen)
    inside, middle_mm = air_inside(hu, unseen=unseen, rim=rim, threshold_hu=threshold, grid=grid)
    sides, faults = _lungs_in_box(hu, inside, tissue, middle_mm=middle_mm, grid=grid)
    either = sides[0] | sides[1]
    right_ml, left_ml = (float(side.sum() * grid.voxel_ml) for side in sides)
    return Lungs(
        right=sides[0],
        left=sides[1],
        unseen=unseen,
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.origin_mm,
        direction=grid.direction,
        right_ml=right_ml,
        left_ml=left_ml,
        threshold_hu=threshold,
        cut=tuple(end for end, k in (("head", -1), ("feet", 0)) if area_mm2(either[k], grid) >= CUT_MM2),
        reasons=(*faults, *_implausible(right_ml, left_ml), *_at_the_side(either & rim, grid)),
    )


def _lungs_in_box(
    hu: np.ndarray, inside: np.ndarray, tumour: np.ndarray | None, *, middle_mm: float, grid: CoarseGrid
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Right and left on the whole grid, worked out on the part of it that holds air within the body."""
    found = [np.zeros(hu.shape, dtype=bool) for _ in range(2)]
    if not inside.any():
        return found, (none_found(0.0),)
    margin = int(np.ceil(ROLLING_BALL_MM / min(grid.spacing_mm))) + 1
    box = box_around(inside if tumour is None else inside | tumour, margin)
    hu, inside, part = hu[box], inside[box], grid.crop(box)
    airway = find_airway(hu, inside, middle_mm=middle_mm, grid=part)
    if airway.any():
        middle_mm = float(part.x_mm()[airway].mean())
        inside = inside & ~binary_dilation(airway)
    sides, faults = right_and_left(hu, inside, middle_mm=middle_mm, grid=part)
    if tumour is not None:
        sides = with_tumour(sides, tumour[box], part)
    closed = [rolled(side, part.spacing_mm) for side in sides]
    closed[0] &= ~sides[1]
    closed[1] &= ~closed[0]
    for whole, side in zip(found, closed, strict=True):
        whole[box] = side
    return found, faults


def _implausible(right_ml: float, left_ml: float) -> list[str]:
    low, high = LUNG_ML
    said: list[str] = []
    if not right_ml and not left_ml:
        return said  # said already
    for name, ml in (("right", right_ml), ("left", left_ml)):
        if ml < low:
            said.append(
                f"The {name} lung holds {ml:.0f} mL, less than {low:.0f} mL: collapsed, consolidated, removed, or "
                "outside the scan."
            )
        if ml > high:
            said.append(f"The {name} lung holds {ml:.0f} mL, more than {high:.0f} mL: other air was taken for lung.")
    if not said and not RIGHT_TO_LEFT[0] <= right_ml / left_ml <= RIGHT_TO_LEFT[1]:
        said.append(
            f"The right lung is {right_ml / left_ml:.2f} times as large as the left; {RIGHT_TO_LEFT[0]:g} to "
            f"{RIGHT_TO_LEFT[1]:g} is plausible. One of them is partly airless or was not found whole."
        )
    return said


def _at_the_side(touching: np.ndarray, grid: CoarseGrid) -> list[str]:
    area = float(touching.sum() * grid.spacing_mm[0] * np.mean(grid.spacing_mm[1:]))
    if area < CUT_MM2:
        return []
    return [
        f"The lungs meet the side of the scan over {area / 100:.0f} cm²: the field of view cuts them, or air from "
        "outside has leaked in."
    ]
