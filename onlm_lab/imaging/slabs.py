"""From what was drawn on single planes to a mask on the CT's grid: each slice takes the plane that lies nearest.

Contours and frames are drawn on the slices of the scan. Where they lie denser than the slices, a slice takes the one
nearest to it and never mixes two; where the scan was evened (CtVolume.slice_z), each plane of the grid takes the slice
nearest to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.volume import CtVolume

SAME_PLANE = 0.05  # slices; what lies closer was drawn on one plane


def slices_z(volume: CtVolume) -> np.ndarray:
    """Where the slices of the scan lie on the grid's z index."""
    return np.arange(volume.shape[0], dtype=float) if volume.slice_z is None else np.asarray(volume.slice_z)


def planes_on_slices(heights: Sequence[float], volume: CtVolume) -> dict[int, list[int]]:
    """For each slice of the scan the numbers of what was drawn on the plane nearest to it.

    Args:
        heights: z index, with fractions, of everything that was drawn.
        volume: the CT.
    """
    where = slices_z(volume)
    heights = np.asarray(heights, dtype=float)
    order = np.argsort(heights, kind="stable")
    new = np.r_[True, np.diff(heights[order]) > SAME_PLANE]
    group = np.empty(len(heights), dtype=int)
    group[order] = np.cumsum(new) - 1
    levels = np.array([heights[group == g].mean() for g in range(group.max() + 1)])
    reach = np.minimum(np.diff(where, prepend=-np.inf), np.diff(where, append=np.inf))  # to the nearer neighbour
    far = np.maximum(np.where(np.isfinite(reach), reach, 1.0), 1e-9) / 2
    nearest = np.abs(where[:, None] - levels).argmin(axis=1)
    close = np.abs(where - levels[nearest]) <= np.maximum(far, 0.5) + SAME_PLANE
    best: dict[int, int] = {}
    for k in np.flatnonzero(close):
        level = int(nearest[k])
        if level not in best or abs(where[k] - levels[level]) < abs(where[best[level]] - levels[level]):
            best[level] = int(k)
    chosen = {k: level for level, k in best.items()}
    return {k: np.flatnonzero(group == level).tolist() for k, level in sorted(chosen.items())}


def fill_grid(drawn: Mapping[int, np.ndarray], volume: CtVolume) -> np.ndarray:
    """The mask (z,y,x) on the grid, of masks (y,x) on slices of the scan."""
    mask = np.zeros(volume.shape, dtype=bool)
    if volume.slice_z is None:
        for k, plane in drawn.items():
            mask[k] = plane
        return mask
    nearest = np.abs(np.arange(volume.shape[0])[:, None] - slices_z(volume)).argmin(axis=1)
    for z, k in enumerate(nearest.tolist()):
        if k in drawn:
            mask[z] = drawn[k]
    return mask


def refuse_skipping(slices: Sequence[int], name: str) -> None:
    """A mask of another series, with thicker slices, leaves slices between its planes empty."""
    steps = np.diff(sorted(slices))
    if steps.size and np.median(steps) > 1:
        raise SeriesError(
            f"The mask in '{name}' is drawn on one slice in {np.median(steps):g} of the CT ({len(slices)} in all); it "
            "belongs to a series with thicker slices. Give the mask that was drawn on this series."
        )
