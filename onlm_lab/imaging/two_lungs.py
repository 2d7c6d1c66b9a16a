"""Parts the air of a chest into right and left lung, and rounds each off."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, label

from onlm_lab.imaging.coarse_grid import CoarseGrid, box_around, distance_mm, where_labelled, within

ROLLING_BALL_MM = 10.0  # closes what a ball of this radius does not fit into: hilar vessels, nodules at the pleura
BORDER_MM = 5.0  # a tumour, or a part cut off by consolidation, belongs to a lung that is no further away
GAS_HU = -960.0  # most of bowel gas lies below it, most of the worst emphysema above
PART_ML, CRUMB_ML = 50.0, 1.0
JOINED = (0.15, 0.85)  # a piece with this share on the patient's left side may be both lungs
WORN_MM = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0)


def none_found(held_ml: float) -> str:
    """The sentence for a scan without lungs."""
    return (
        f"No lungs were found: the scan holds {held_ml:.0f} mL of lung-like air within the body. Give a chest CT; "
        "lungs as empty as gas (the worst emphysema) are not told from bowel."
    )


def right_and_left(
    hu: np.ndarray, inside: np.ndarray, *, middle_mm: float, grid: CoarseGrid
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
        return [nothing, nothing.copy()], (none_found(float(size_ml[lung_like].sum())),)
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
        near = labels[within(side, BORDER_MM, grid.spacing_mm)]
        side |= where_labelled(labels, np.intersect1d(near, loose)) & ~sides[0] & ~sides[1]
    return sides, faults


def _cut_apart(joined: np.ndarray, x_mm: np.ndarray, grid: CoarseGrid) -> list[np.ndarray]:
    """Two lungs that touch, cut where they are thinnest: worn down until they part, each voxel to the nearer rest."""
    box = box_around(joined, 1)
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
            ~where_labelled(rest, np.array(pair)), sampling=grid.spacing_mm, return_distances=False, return_indices=True
        )
        owner = rest[tuple(nearest)]
        for side, k in zip(found, pair, strict=True):
            side[box] = mask & (owner == k)
        return found
    return found


def with_tumour(sides: list[np.ndarray], tumour: np.ndarray, grid: CoarseGrid) -> list[np.ndarray]:
    """The sides, the tumour united with the one that it lies in or borders on most."""
    shared = [int((tumour & within(side, BORDER_MM, grid.spacing_mm)).sum()) for side in sides]
    if not max(shared):
        return sides
    k = int(np.argmax(shared))
    return [side | tumour if side is sides[k] else side & ~tumour for side in sides]


def rolled(side: np.ndarray, spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """The lung's outline as a ball rolls along it from outside, and everything that is enclosed."""
    found = np.zeros(side.shape, dtype=bool)
    if not side.any():
        return found
    margin = [int(np.ceil(ROLLING_BALL_MM / size)) + 1 for size in spacing_mm]
    box = box_around(side, 0)
    inner = tuple(slice(m, m + s.stop - s.start) for m, s in zip(margin, box, strict=True))
    wider = [(s.start - m, s.stop + m) for m, s in zip(margin, box, strict=True)]
    beyond = [(max(0, -low), max(0, high - n)) for (low, high), n in zip(wider, side.shape, strict=True)]
    within = tuple(slice(max(0, low), min(n, high)) for (low, high), n in zip(wider, side.shape, strict=True))
    # Beyond the scan a lung goes on as it was, so that vessels are closed there too.
    part = np.pad(side[within], beyond, mode="edge")
    wide = distance_mm(part, spacing_mm) <= ROLLING_BALL_MM
    closed = part | (distance_mm(~wide, spacing_mm) > ROLLING_BALL_MM) if not wide.all() else wide
    labels, n = label(~closed)
    is_open = np.zeros(n + 1, dtype=bool)
    for axis in range(3):
        is_open[np.take(labels, [0, -1], axis=axis)] = True
    is_open[0] = False
    closed |= ~is_open[labels]
    found[box] = closed[inner]
    return found
