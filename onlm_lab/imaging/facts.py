"""Measures a tumour on its CT: diameters, volume, density, and how much of it is solid, at one cut and at others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, find_objects

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.axial import AXIAL_DEGREES, face_midpoints, longest_span, tilt_degrees, widest
from onlm_lab.imaging.parts import largest_part
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.showing import shows_itself

# Cuts in use between solid and ground glass. -160 (the mediastinal window's) and -400: Lee et al., PLoS One
# 2018;13:e0205490, doi:10.1371/journal.pone.0205490. -300 (and -250): Zheng et al., Zhongguo Fei Ai Za Zhi 2017;20(5),
# doi:10.3779/j.issn.1009-3419.2017.05.07.
SOLID_CUTS_HU = (-160.0, -300.0, -400.0)
FEW_SLICES = 3
# What makes a person look whether the region is the tumour.
LARGE_MM = 70.0  # T4 begins above it (AJCC 8), far beyond clinical stage I
PLAIN_LUNG_HU = -750.0  # aerated lung lies below it, ground glass above


@shows_itself
@dataclass(frozen=True)
class TumourFacts:
    """What a mask and its CT say about a tumour before treatment.

    Diameters run between the faces of outermost voxels (face midpoints), as a calliper on the screen does, so that a
    sphere's diameter comes back without the bias of centre-to-centre (short) or corner-to-corner (long).

    A mask of several parts (voxels that share not even a corner) has the diameters of its largest part, so that a stray
    voxel does not lengthen them; volume and density are of all of it. `n_parts` and `notes` say so.

    Axial is the patient's axial plane. A scan whose slices lean more than a degree from it (coronal, oblique) is
    measured on axial planes cut through it: `axial_resampled` and `notes` say so.

    Attributes:
        n_voxels: voxels of the mask.
        volume_ml: their volume.
        longest_axial_mm: longest diameter within one axial plane.
        longest_3d_mm: longest diameter in any direction.
        solid_axial_mm: longest diameter within one axial plane of the largest connected part at or above
            solid_cut_hu; 0 without such a voxel.
        ctr: solid_axial_mm / longest_axial_mm, the consolidation-to-tumour ratio. The outermost voxels of a solid
            tumour are part lung, so it may stay below 1; ctr_low and ctr_high show how much hangs on the cut.
        solid_volume_fraction: part of the measured voxels at or above solid_cut_hu.
        mean_hu, median_hu, p10_hu, p90_hu: density over the mask, where the scanner measured and did not write padding.
        mean_solid_hu: density over the voxels at or above solid_cut_hu; NaN without one.
        solid_cut_hu: the cut that was used.
        touches_edge: whether the mask reaches the edge of the scan or padding: part of the tumour may be missing.
        short_axial_mm: longest diameter at right angles to the longest one, in the same plane.
        axial_z_mm: where that plane lies, as the patient's z (LPS) at the tumour.
        p5_hu, p95_hu: density over the mask.
        n_slices: slices of the scan that hold a part of the mask.
        n_parts: parts of the mask that do not touch.
        tilt_degrees: angle between the scan's slices and the patient's axial plane.
        axial_resampled: whether axial planes had to be cut through the scan.
        solid_cuts_hu: the further cuts, in rising order, and
        solid_axial_at_cuts_mm, ctr_at_cuts: the solid diameter and the ratio at each.
        solid_axial_low_mm, solid_axial_high_mm, ctr_low, ctr_high: their range over all cuts, solid_cut_hu included.
        notes: one sentence for each thing that limits a number above.
    """

    n_voxels: int
    volume_ml: float
    longest_axial_mm: float
    longest_3d_mm: float
    solid_axial_mm: float
    ctr: float
    solid_volume_fraction: float
    mean_hu: float
    median_hu: float
    p10_hu: float
    p90_hu: float
    mean_solid_hu: float
    solid_cut_hu: float
    touches_edge: bool
    short_axial_mm: float
    axial_z_mm: float
    p5_hu: float
    p95_hu: float
    n_slices: int
    n_parts: int
    tilt_degrees: float
    axial_resampled: bool
    solid_cuts_hu: tuple[float, ...]
    solid_axial_at_cuts_mm: tuple[float, ...]
    ctr_at_cuts: tuple[float, ...]
    solid_axial_low_mm: float
    solid_axial_high_mm: float
    ctr_low: float
    ctr_high: float
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, each cut's with the cut in its name (ctr_at_minus_160_hu), notes joined, for a table."""
        row = asdict(self)
        cuts = row.pop("solid_cuts_hu")
        solid, ratios = row.pop("solid_axial_at_cuts_mm"), row.pop("ctr_at_cuts")
        for cut, solid_mm, ctr in zip(cuts, solid, ratios, strict=True):
            name = f"{'minus_' if cut < 0 else ''}{abs(cut):g}".replace(".", "_")
            row |= {f"solid_axial_at_{name}_hu_mm": solid_mm, f"ctr_at_{name}_hu": ctr}
        return row | {"notes": " ".join(self.notes)}


def measure_tumour(
    mask: np.ndarray, volume: CtVolume, *, solid_cut_hu: float = -300.0, solid_cuts_hu: Sequence[float] = SOLID_CUTS_HU
) -> TumourFacts:
    """Size, density and solid part of a tumour.

    Args:
        mask: bool (z,y,x) on the grid of the CT, as `read_mask` gives it.
        volume: the CT.
        solid_cut_hu: the Hounsfield value that separates solid from ground glass. Which one is right is disputed
            (-160, -300 and others are in use), so it is part of the result.
        solid_cuts_hu: further cuts, to show how much the solid diameter and the ratio hang on the choice.

    Raises:
        SeriesError: the mask is empty or has another shape than the CT.

    Example:
        >>> hu = np.full((5, 5, 5), 40, np.int16)
        >>> volume = CtVolume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
        >>> mask = np.zeros(hu.shape, bool); mask[2, 2, 1:4] = True
        >>> measure_tumour(mask, volume).longest_axial_mm
        3.0
    """
    check_mask(mask, volume)
    box = find_objects(mask.astype(np.uint8))[0]
    inside, hu = mask[box], volume.hu[box]
    measured = inside if volume.padding is None else inside & ~volume.padding[box]
    if not measured.any():
        raise SeriesError(
            "The whole mask lies in padding, where the scanner measured nothing: another region is meant."
        )
    main, n_parts = largest_part(inside)
    values = hu[measured].astype(float)
    solid = measured & (hu >= solid_cut_hu)
    tilt = tilt_degrees(volume)
    resampled = tilt > AXIAL_DEGREES
    longest, short, z_mm = widest(main, box, volume, resampled=resampled)
    cuts = tuple(sorted({float(cut) for cut in solid_cuts_hu}))
    solid_mm = {
        cut: _solid_mm(main & measured & (hu >= cut), box, volume, resampled) for cut in {*cuts, float(solid_cut_hu)}
    }
    p5, p10, median, p90, p95 = np.percentile(values, [5, 10, 50, 90, 95])
    touches_edge = any(s.start == 0 or s.stop == n for s, n in zip(box, mask.shape, strict=True))
    touches_edge = touches_edge or _at_padding(mask, volume, box)
    n_slices = int(inside.any(axis=(1, 2)).sum())
    part_of_main = float(main.sum() / inside.sum())
    return TumourFacts(
        n_voxels=int(inside.sum()),
        volume_ml=float(inside.sum() * volume.voxel_ml),
        longest_axial_mm=longest,
        longest_3d_mm=longest_span(face_midpoints(main) * volume.spacing_mm)[0],
        solid_axial_mm=solid_mm[float(solid_cut_hu)],
        ctr=solid_mm[float(solid_cut_hu)] / longest,
        solid_volume_fraction=float(solid.sum() / measured.sum()),
        mean_hu=float(values.mean()),
        median_hu=float(median),
        p10_hu=float(p10),
        p90_hu=float(p90),
        mean_solid_hu=float(hu[solid].mean()) if solid.any() else float("nan"),
        solid_cut_hu=float(solid_cut_hu),
        touches_edge=touches_edge,
        short_axial_mm=short,
        axial_z_mm=z_mm,
        p5_hu=float(p5),
        p95_hu=float(p95),
        n_slices=n_slices,
        n_parts=n_parts,
        tilt_degrees=tilt,
        axial_resampled=resampled,
        solid_cuts_hu=cuts,
        solid_axial_at_cuts_mm=tuple(solid_mm[cut] for cut in cuts),
        ctr_at_cuts=tuple(solid_mm[cut] / longest for cut in cuts),
        solid_axial_low_mm=min(solid_mm.values()),
        solid_axial_high_mm=max(solid_mm.values()),
        ctr_low=min(solid_mm.values()) / longest,
        ctr_high=max(solid_mm.values()) / longest,
        notes=(
            *_parts_note(n_parts, part_of_main),
            *_notes(n_slices=n_slices, tilt=tilt, touches_edge=touches_edge, spacing_mm=volume.spacing_mm[0]),
            *_doubts(longest_mm=longest, p90_hu=float(p90), n_unmeasured=int(inside.sum() - measured.sum())),
        ),
    )


def check_mask(mask: np.ndarray, volume: CtVolume) -> None:
    """Refuses a mask that is empty or not on the grid of the CT.

    Raises:
        SeriesError: which of the two.
    """
    if mask.shape != volume.shape:
        raise SeriesError(f"The mask has shape {mask.shape}, the CT {volume.shape}; read the mask onto this CT.")
    if not mask.any():
        raise SeriesError("The tumour's mask is empty, so there is nothing to measure.")


def _solid_mm(solid: np.ndarray, box: tuple[slice, ...], volume: CtVolume, resampled: bool) -> float:
    """Of the largest part whose voxels share faces, so that specks of noise in ground glass do not span it."""
    return widest(largest_part(solid, by_faces=True)[0], box, volume, resampled=resampled)[0] if solid.any() else 0.0


def _at_padding(mask: np.ndarray, volume: CtVolume, box: tuple[slice, ...]) -> bool:
    """Whether a mask holds or borders on padding."""
    if volume.padding is None:
        return False
    wider = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    return bool((binary_dilation(mask[wider]) & volume.padding[wider]).any())


def _parts_note(n_parts: int, part_of_main: float) -> tuple[str, ...]:
    if n_parts == 1:
        return ()
    return (
        f"The mask has {n_parts} parts that do not touch; diameters and place are those of the largest "
        f"({100 * part_of_main:.1f} % of the voxels), volume and density those of all.",
    )


def _doubts(*, longest_mm: float, p90_hu: float, n_unmeasured: int) -> tuple[str, ...]:
    """What makes one ask whether this region is the tumour."""
    said = []
    if longest_mm > LARGE_MM:
        said.append(
            f"The region is {longest_mm:.0f} mm long, more than {LARGE_MM:g} mm, which no clinical stage I is: check "
            "that it is the tumour and not an organ."
        )
    if p90_hu < PLAIN_LUNG_HU:
        said.append(
            f"Nine tenths of the region are below {p90_hu:.0f} HU, as aerated lung is: check that it is the tumour."
        )
    if n_unmeasured:
        said.append(f"{n_unmeasured} voxels of the mask lie in padding, where the scanner measured nothing.")
    return tuple(said)


def _notes(*, n_slices: int, tilt: float, touches_edge: bool, spacing_mm: float) -> tuple[str, ...]:
    said = []
    if tilt > AXIAL_DEGREES:
        said.append(
            f"The slices lean {tilt:.0f} degrees from the patient's axial plane; axial diameters were taken on planes "
            "cut through the scan."
        )
    if n_slices < FEW_SLICES:
        said.append(
            f"The mask lies on {n_slices} slice{'s' if n_slices > 1 else ''}, so that its volume and its 3D diameter "
            f"are known to about one slice spacing ({spacing_mm:g} mm), and partial volume lowers its density."
        )
    if touches_edge:
        said.append("The mask reaches the edge of the scan: part of the tumour may be missing from every number.")
    return tuple(said)
