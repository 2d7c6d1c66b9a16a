"""Air within the body, on a coarse CT, and the airway in it."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, find_objects, label

from onlm_lab.imaging.coarse_grid import CoarseGrid, largest, where_labelled

CLEAR_AIR_HU = -950.0  # outside air and bowel gas lie below it, lung above (half of a comparison, never alone)
AIRWAY_HU = -900.0
AIRWAY_MM2 = (78.0, 530.0)  # 10 mm round (women) to 25 x 27 mm (men): Breatnach et al., AJR 1984;142:903-906
AIRWAY_MIN_MM, AIRWAY_GROWTH_ML = 20.0, 40.0
AIRWAY_OFF_MIDLINE_MM = 40.0
AIRWAY_LEVELS_HU = (-980.0, -960.0, -940.0, -920.0, -900.0)
THRESHOLD_HU = (-600, -300)  # wherever the means lie, lung and chest wall lie on either side of these
SMALL_MM2 = 500.0
IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))], dtype=bool)
ANY_NEIGHBOUR = np.ones((3, 3, 3), dtype=bool)


def air_threshold_hu(values: np.ndarray) -> float:
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


def outer_rim(unseen: np.ndarray) -> np.ndarray:
    """The outermost voxels of each slice: at the side of the scan or beside padding."""
    rim = np.zeros(unseen.shape, dtype=bool)
    rim[:, [0, -1]] = rim[:, :, [0, -1]] = True
    return (rim | binary_dilation(unseen, IN_PLANE)) & ~unseen


def air_inside(
    hu: np.ndarray, *, unseen: np.ndarray, rim: np.ndarray, threshold_hu: float, grid: CoarseGrid
) -> tuple[np.ndarray, float]:
    """Air within the body, and the patient's x of the body's middle.

    Judged slice by slice, since in three dimensions the airway joins the lungs to the air before the mouth.
    """
    air = (hu < threshold_hu) & ~unseen
    labels, n = label(air, IN_PLANE)
    size = np.bincount(labels.ravel(), minlength=n + 1)
    clear = np.bincount(labels[air & (hu < CLEAR_AIR_HU)], minlength=n + 1)
    body = largest(binary_opening(~air & ~unseen, IN_PLANE))  # opening leaves the table's shell behind
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


def find_airway(hu: np.ndarray, inside: np.ndarray, *, middle_mm: float, grid: CoarseGrid) -> np.ndarray:
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
        grown = tube | where_labelled(parts, parts[tube])
        if grown.sum() > limit:
            break
        found = grown
    return found
