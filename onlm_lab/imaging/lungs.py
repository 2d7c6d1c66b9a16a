"""Finds the right and the left lung on a chest CT by threshold and shape, and says whether they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_dilation, binary_opening, distance_transform_edt, find_objects, label

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.volume import CtVolume, patient_mm_to_voxel, voxel_to_patient_mm

GRID_MM = 2.0
ROLLING_BALL_MM = 10.0  # closes what a ball of this radius does not fit into: hilar vessels, nodules at the pleura
BORDER_MM = 5.0  # a tumour, or a part cut off by consolidation, belongs to a lung that is no further away
NO_HU = -1100.0  # below any tissue and any air: what a writer of NIfTI or NRRD left for "not measured"
CLEAR_AIR_HU = -950.0  # outside air and bowel gas lie below it, lung above (half of a comparison, never alone)
AIRWAY_HU = -900.0
AIRWAY_MM2 = (78.0, 530.0)  # 10 mm round (women) to 25 x 27 mm (men): Breatnach et al., AJR 1984;142:903-906
AIRWAY_MIN_MM, AIRWAY_GROWTH_ML = 20.0, 40.0
AIRWAY_OFF_MIDLINE_MM = 40.0
AIRWAY_LEVELS_HU = (-980.0, -960.0, -940.0, -920.0, -900.0)
THRESHOLD_HU = (-600, -300)  # wherever the means lie, lung and chest wall lie on either side of these
GAS_HU = -960.0  # most of bowel gas lies below it, most of the worst emphysema above
PART_ML, CRUMB_ML, SMALL_MM2 = 50.0, 1.0, 500.0
JOINED = (0.15, 0.85)  # a piece with this share on the patient's left side may be both lungs
WORN_MM = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)
CUT_MM2 = 100.0  # lung that meets the edge of the scan over less than this is partial volume
# What a whole lung can hold. Healthy total 4,468 (SD 1,271) mL at inspiration: Cheng et al., Int J COPD 2019;14:1657,
# doi:10.2147/COPD.S187596; COPD 5.34 (SD 1.20) L: PMC3292389; share of the right lung 50.6 to 57.4 %: Yamada et al.,
# Respiration 2020;99:598, PMC7490509. Low: healthy mean - 3 SD, left share; high: COPD mean + 3 SD, right share.
LUNG_ML = (280.0, 5130.0)
RIGHT_TO_LEFT = (0.5, 2.7)  # half the least and twice the most of those shares: 1.02 to 1.35
IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))], dtype=bool)
ANY_NEIGHBOUR = np.ones((3, 3, 3), dtype=bool)


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
    grid = _Grid.of(volume, grid_mm)
    hu = grid.average(volume.hu)
    unseen = hu < NO_HU
    if volume.padding is not None:
        unseen |= grid.average(volume.padding) > 0
    tissue = None if tumour is None else grid.average(tumour) >= 0.5
    threshold = _threshold_hu(hu[::2, ::2, ::2][~unseen[::2, ::2, ::2]])
    rim = _rim(unseen)
    inside, middle_mm = _air_inside(hu, unseen=unseen, rim=rim, threshold_hu=threshold, grid=grid)
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
        cut=tuple(end for end, k in (("head", -1), ("feet", 0)) if _area_mm2(either[k], grid) >= CUT_MM2),
        reasons=(*faults, *_implausible(right_ml, left_ml), *_at_the_side(either & rim, grid)),
    )


@dataclass(frozen=True, eq=False)
class _Grid:
    """A coarse grid over a CT, its axes in the order and the sense that lie nearest to the patient's z, y and x."""

    order: tuple[int, int, int]  # the CT's axis that serves as z, y, x
    flipped: tuple[bool, bool, bool]
    steps: tuple[int, int, int]  # CT voxels that make one of the grid's
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray

    @classmethod
    def of(cls, volume: CtVolume, grid_mm: float) -> _Grid:
        order, flipped = volume.nearest_axes
        counts = [volume.shape[axis] for axis in order]
        steps = tuple(
            int(min(n, max(1, round(grid_mm / volume.spacing_mm[axis])))) for n, axis in zip(counts, order, strict=True)
        )
        first = np.zeros(3)
        for axis, n, step, turned in zip(order, counts, steps, flipped, strict=True):
            first[axis] = n - 1 - (step - 1) / 2 if turned else (step - 1) / 2
        return cls(
            order=order,
            flipped=tuple(flipped.tolist()),
            steps=steps,
            shape=tuple(n // step for n, step in zip(counts, steps, strict=True)),
            spacing_mm=tuple(volume.spacing_mm[axis] * step for axis, step in zip(order, steps, strict=True)),
            origin_mm=tuple(volume.to_patient_mm(first).tolist()),
            direction=np.asarray(volume.direction)[:, list(order)] * np.where(flipped, -1.0, 1.0),
        )

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0

    def average(self, values: np.ndarray) -> np.ndarray:
        """The mean over each voxel of the grid, float32; what does not fill a voxel at the far edge is left out."""
        turned = values.transpose(self.order)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        (nz, ny, nx), (sz, sy, sx) = self.shape, self.steps
        found = np.empty(self.shape, dtype=np.float32)
        for z in range(nz):  # slab by slab, so that no second volume is held
            slab = turned[z * sz : (z + 1) * sz, : ny * sy, : nx * sx]
            plane = slab[0] if sz == 1 else slab.sum(axis=0, dtype=np.int32)
            rows = sum((plane[k::sy] for k in range(1, sy)), plane[::sy].astype(np.int32))
            found[z] = sum((rows[:, k::sx] for k in range(1, sx)), rows[:, ::sx])
        found /= sz * sy * sx
        return found

    def crop(self, box: tuple[slice, slice, slice]) -> _Grid:
        """The grid of a part."""
        first = np.array([s.start for s in box]) * self.spacing_mm
        origin = np.array(self.origin_mm) + self.direction @ first
        return replace(self, origin_mm=tuple(origin.tolist()), shape=tuple(s.stop - s.start for s in box))

    def x_mm(self) -> np.ndarray:
        """The patient's x of every voxel, float32 (z,y,x); rises to the left."""
        steps = [
            (np.arange(n) * size * self.direction[0, k]).astype(np.float32)
            for k, (n, size) in enumerate(zip(self.shape, self.spacing_mm, strict=True))
        ]
        return np.float32(self.origin_mm[0]) + steps[0][:, None, None] + steps[1][:, None] + steps[2]


def _threshold_hu(values: np.ndarray) -> float:
    """Midway between the mean of what lies below and of what lies above, repeated until it stays (Hu 2001)."""
    counts = np.bincount(np.clip(np.rint(values) + 1000, 0, 1300).astype(int), minlength=1301).astype(float)
    levels, cut = np.arange(1301.0) - 1000.0, 500
    for _ in range(50):
        below, above = counts[:cut], counts[cut:]
        if not below.sum() or not above.sum():
            break
        means = (below @ levels[:cut]) / below.sum(), (above @ levels[cut:]) / above.sum()
        found = int(np.clip(round(sum(means) / 2) + 1000, *(t + 1000 for t in THRESHOLD_HU)))
        if found == cut:
            break
        cut = found
    return float(cut - 1000)


def _rim(unseen: np.ndarray) -> np.ndarray:
    """The outermost voxels of each slice: at the side of the scan or beside padding."""
    rim = np.zeros(unseen.shape, dtype=bool)
    rim[:, [0, -1]] = rim[:, :, [0, -1]] = True
    return (rim | binary_dilation(unseen, IN_PLANE)) & ~unseen


def _air_inside(
    hu: np.ndarray, *, unseen: np.ndarray, rim: np.ndarray, threshold_hu: float, grid: _Grid
) -> tuple[np.ndarray, float]:
    """Air within the body, and the patient's x of the body's middle.

    Judged slice by slice, since in three dimensions the airway joins the lungs to the air before the mouth.
    """
    air = (hu < threshold_hu) & ~unseen
    labels, n = label(air, IN_PLANE)
    size = np.bincount(labels.ravel(), minlength=n + 1)
    clear = np.bincount(labels[air & (hu < CLEAR_AIR_HU)], minlength=n + 1)
    body = _largest(binary_opening(~air & ~unseen, IN_PLANE))  # opening leaves the table's shell behind
    # A lung that the field of view cuts meets the side too, but is no clear air, and the body is all round the rest.
    at_body = np.bincount(labels[binary_dilation(body, IN_PLANE) & air], minlength=n + 1)
    at_rim = np.bincount(labels[rim & air], minlength=n + 1)
    small = size * grid.spacing_mm[1] * grid.spacing_mm[2] < SMALL_MM2
    at_side = at_rim > 0
    outside = at_side & ((2 * clear > size) | small | (at_body < at_rim))
    gaps, n_gaps = label(~body & ~unseen, IN_PLANE)
    is_open = np.bincount(gaps[rim], minlength=n_gaps + 1) > 0
    is_open[0] = True
    inside = air & ~outside[labels] & (~is_open[gaps] | at_side[labels])
    return inside, float(grid.x_mm()[body].mean()) if body.any() else 0.0


def _lungs_in_box(
    hu: np.ndarray, inside: np.ndarray, tumour: np.ndarray | None, *, middle_mm: float, grid: _Grid
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Right and left on the whole grid, worked out on the part of it that holds air within the body."""
    found = [np.zeros(hu.shape, dtype=bool) for _ in range(2)]
    if not inside.any():
        return found, (_none_found(0.0),)
    margin = int(np.ceil(ROLLING_BALL_MM / min(grid.spacing_mm))) + 1
    box = _box(inside if tumour is None else inside | tumour, margin)
    hu, inside, part = hu[box], inside[box], grid.crop(box)
    airway = _airway(hu, inside, middle_mm=middle_mm, grid=part)
    if airway.any():
        middle_mm = float(part.x_mm()[airway].mean())
        inside = inside & ~binary_dilation(airway)
    sides, faults = _two_sides(hu, inside, middle_mm=middle_mm, grid=part)
    if tumour is not None:
        sides = _with_tumour(sides, tumour[box], part)
    closed = [_closed(side, part.spacing_mm) for side in sides]
    closed[0] &= ~sides[1]
    closed[1] &= ~closed[0]
    for whole, side in zip(found, closed, strict=True):
        whole[box] = side
    return found, faults


def _none_found(held_ml: float) -> str:
    return f"No lungs were found: the scan holds {held_ml:.0f} mL of lung-like air within the body. Give a chest CT."


def _airway(hu: np.ndarray, inside: np.ndarray, *, middle_mm: float, grid: _Grid) -> np.ndarray:
    """The trachea, as the longest tube of round cross-sections near the midline, with the bronchi that open into it.

    The bronchi are grown at rising thresholds as long as the volume does not leap into the lung.
    """
    labels, _ = label(inside & (hu < AIRWAY_HU), IN_PLANE)
    area = np.bincount(labels.ravel()) * grid.spacing_mm[1] * grid.spacing_mm[2]
    boxes = find_objects(labels)
    x_mm = grid.x_mm()
    round_ones = np.zeros(len(area), dtype=bool)
    for k in np.flatnonzero((area >= AIRWAY_MM2[0]) & (area <= AIRWAY_MM2[1])):
        if k == 0:
            continue
        box = boxes[k - 1]
        high, wide = ((s.stop - s.start) * size for s, size in zip(box[1:], grid.spacing_mm[1:], strict=True))
        fits = max(high, wide) <= 2.5 * min(high, wide) and area[k] >= 0.5 * high * wide
        round_ones[k] = fits and abs(float(x_mm[box].mean()) - middle_mm) <= AIRWAY_OFF_MIDLINE_MM
    tubes, n_tubes = label(round_ones[labels], ANY_NEIGHBOUR)
    lengths = [(box[0].stop - box[0].start) * grid.spacing_mm[0] for box in find_objects(tubes)]
    if not n_tubes or max(lengths) < AIRWAY_MIN_MM:
        return np.zeros(hu.shape, dtype=bool)
    tube = tubes == 1 + int(np.argmax(lengths))
    found, limit = tube, tube.sum() + AIRWAY_GROWTH_ML / grid.voxel_ml
    for level in AIRWAY_LEVELS_HU:
        parts, _ = label(inside & (hu < level))
        grown = tube | _picked(parts, parts[tube])
        if grown.sum() > limit:
            break
        found = grown
    return found


def _two_sides(
    hu: np.ndarray, inside: np.ndarray, *, middle_mm: float, grid: _Grid
) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """What is lung of the air within the body, right and left, and why it is not, where it is not."""
    nothing = np.zeros(hu.shape, dtype=bool)
    labels, n = label(inside)
    size_ml = np.bincount(labels.ravel(), minlength=n + 1) * grid.voxel_ml
    clear_ml = np.bincount(labels[inside & (hu < GAS_HU)], minlength=n + 1) * grid.voxel_ml
    lung_like = 2 * clear_ml <= size_ml  # bowel gas and free air are clear nearly throughout
    lung_like[0] = False
    main = np.flatnonzero(lung_like & (size_ml >= PART_ML))
    if not main.size:
        return [nothing, nothing.copy()], (_none_found(float(size_ml[lung_like].sum())),)
    x_mm = grid.x_mm()
    left_ml = np.bincount(labels[inside & (x_mm > middle_mm)], minlength=n + 1) * grid.voxel_ml
    left_share = left_ml / np.maximum(size_ml, 1e-9)
    sides, faults = [nothing, nothing.copy()], ()
    first = main[np.argmax(size_ml[main])]
    if JOINED[0] <= left_share[first] <= JOINED[1]:
        sides = _cut_apart(labels == first, x_mm, grid)
        if not sides[0].any() or not sides[1].any():
            faults = ("The two lungs touch and could not be told apart.",)
        main = main[main != first]
    for is_left in (False, True):
        own = main[(left_share[main] > 0.5) == is_left]
        if own.size and not sides[is_left].any():
            sides[is_left] = labels == own[np.argmax(size_ml[own])]
    # Of a small piece more is rim, which partial volume makes denser: fewer clear voxels tell gas.
    loose = np.flatnonzero((size_ml >= CRUMB_ML) & (5 * clear_ml <= size_ml))
    for side in sides:
        near = labels[_within(side, BORDER_MM, grid.spacing_mm)]
        side |= _picked(labels, np.intersect1d(near, loose)) & ~sides[0] & ~sides[1]
    return sides, faults


def _cut_apart(joined: np.ndarray, x_mm: np.ndarray, grid: _Grid) -> list[np.ndarray]:
    """Two lungs that touch, cut where they are thinnest: worn down until they part, each voxel to the nearer rest."""
    box = _box(joined, 1)
    mask, places = joined[box], x_mm[box]
    depth = distance_transform_edt(np.pad(mask, 1), sampling=grid.spacing_mm)[1:-1, 1:-1, 1:-1]
    found = [np.zeros(joined.shape, dtype=bool) for _ in range(2)]
    for worn_mm in WORN_MM:
        rest, n = label(depth > worn_mm)
        size = np.bincount(rest.ravel(), minlength=n + 1)
        size[0] = 0
        if n < 2:
            continue
        pair = np.argsort(size)[-2:]
        if size[pair[0]] < 0.2 * size[pair].sum():
            continue
        pair = sorted(pair, key=lambda k: places[rest == k].mean())  # the patient's right has the smaller x
        nearest = distance_transform_edt(
            ~_picked(rest, np.array(pair)), sampling=grid.spacing_mm, return_distances=False, return_indices=True
        )
        owner = rest[tuple(nearest)]
        for side, k in zip(found, pair, strict=True):
            side[box] = mask & (owner == k)
        return found
    return found


def _with_tumour(sides: list[np.ndarray], tumour: np.ndarray, grid: _Grid) -> list[np.ndarray]:
    """The sides, the tumour united with the one that it lies in or borders on most."""
    shared = [int((tumour & _within(side, BORDER_MM, grid.spacing_mm)).sum()) for side in sides]
    if not max(shared):
        return sides
    k = int(np.argmax(shared))
    return [side | tumour if side is sides[k] else side & ~tumour for side in sides]


def _closed(side: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The lung's outline as a ball rolls along it from outside, and everything that is enclosed."""
    found = np.zeros(side.shape, dtype=bool)
    if not side.any():
        return found
    margin = [int(np.ceil(ROLLING_BALL_MM / size)) + 1 for size in spacing_mm]
    box = _box(side, 0)
    inner = tuple(slice(m, m + s.stop - s.start) for m, s in zip(margin, box, strict=True))
    wider = [(s.start - m, s.stop + m) for m, s in zip(margin, box, strict=True)]
    beyond = [(max(0, -low), max(0, high - n)) for (low, high), n in zip(wider, side.shape, strict=True)]
    within = tuple(slice(max(0, low), min(n, high)) for (low, high), n in zip(wider, side.shape, strict=True))
    # Beyond the scan a lung goes on as it was, so that vessels are closed there too.
    part = np.pad(side[within], beyond, mode="edge")
    wide = _distance_mm(part, spacing_mm) <= ROLLING_BALL_MM
    closed = part | (_distance_mm(~wide, spacing_mm) > ROLLING_BALL_MM) if not wide.all() else wide
    labels, n = label(~closed)
    is_open = np.zeros(n + 1, dtype=bool)
    for axis in range(3):
        is_open[np.take(labels, [0, -1], axis=axis)] = True
    is_open[0] = False
    closed |= ~is_open[labels]
    found[box] = closed[inner]
    return found


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


def _at_the_side(touching: np.ndarray, grid: _Grid) -> list[str]:
    area = float(touching.sum() * grid.spacing_mm[0] * np.mean(grid.spacing_mm[1:]))
    if area < CUT_MM2:
        return []
    return [
        f"The lungs meet the side of the scan over {area / 100:.0f} cm²: the field of view cuts them, or air from "
        "outside has leaked in."
    ]


def _area_mm2(plane: np.ndarray, grid: _Grid) -> float:
    return float(plane.sum() * grid.spacing_mm[1] * grid.spacing_mm[2])


def _picked(labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Where a label is one of those; 0 is none."""
    wanted = np.zeros(labels.max() + 1, dtype=bool)
    wanted[chosen] = True
    wanted[0] = False
    return wanted[labels]


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, n = label(mask)
    size = np.bincount(labels.ravel(), minlength=n + 1)
    size[0] = 0
    return labels == np.argmax(size) if n else mask


def _box(mask: np.ndarray, margin: int) -> tuple[slice, slice, slice]:
    (box,) = find_objects(mask.astype(np.uint8))
    return tuple(slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(box, mask.shape, strict=True))


def _within(mask: np.ndarray, reach_mm: float, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """What lies no further from a mask than that."""
    found = np.zeros(mask.shape, dtype=bool)
    if mask.any():
        box = _box(mask, int(np.ceil(reach_mm / min(spacing_mm))))
        found[box] = _distance_mm(mask[box], spacing_mm) <= reach_mm
    return found


def _distance_mm(mask: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """Distance of every voxel's centre to the nearest centre in the mask; twice as fast as SciPy's."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(size) for size in spacing_mm[::-1]])
    return np.maximum(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True)), 0.0)
