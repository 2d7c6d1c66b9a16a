"""From what was drawn on single planes to a mask on the CT's grid.

Contours and frames are drawn on the slices of the scan, and then each goes onto its slice. Where they lie elsewhere (a
resampled segmentation), each fills the slices within half the distance to the planes drawn next to it, so that as much
is filled as was drawn. Where the scan was evened (CtVolume.slice_z), each plane of the grid takes the slice nearest to
it. A slice that was skipped stays empty and is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.volume import CtVolume

# All in slices.
SAME_PLANE = 0.05  # what lies closer was drawn on one plane
ON_SLICE = 0.25  # planes that lie this close, each to a slice of its own, were drawn on these slices
THICKER = 1.5  # planes further apart were drawn on a series with thicker slices
CENTIMETRES, ENOUGH_PLANES = 0.15, 5  # so many planes so close together are a tenth of their size
EVEN = 0.05
ROUNDING = 1e-3
MOST_NAMED = 8


def slices_z(volume: CtVolume) -> np.ndarray:
    """Where the slices of the scan lie on the grid's z index."""
    return np.arange(volume.shape[0], dtype=float) if volume.slice_z is None else np.asarray(volume.slice_z)


def planes_on_slices(
    heights: Sequence[float], volume: CtVolume, *, name: str, notes: list[str]
) -> dict[int, list[int]]:  # fmt: skip
    """For each slice of the scan the numbers of what was drawn on the plane that fills it.

    Args:
        heights: z index, with fractions, of everything that was drawn.
        volume: the CT.
        name: of the mask, for a message.
        notes: takes a sentence for each thing that a person should look at.

    Raises:
        SeriesError: the planes lie too far apart or too close together to have been drawn on this series.
    """
    where = slices_z(volume)
    places = _slice_numbers(np.asarray(heights, dtype=float), where)
    order = np.argsort(places, kind="stable")
    group = np.empty(len(places), dtype=int)
    group[order] = np.cumsum(np.r_[True, np.diff(places[order]) > SAME_PLANE]) - 1
    levels = np.array([places[group == g].mean() for g in range(group.max() + 1)])
    if len(levels) > 1:
        _refuse_other_series(levels, name)
    filled = _filled(levels, n_slices=len(where), notes=notes)
    if skipped := sorted(set(range(min(filled), max(filled) + 1)) - set(filled)):
        notes.append(_skipped_note(skipped, where, volume))
    return {k: np.flatnonzero(group == level).tolist() for k, level in sorted(filled.items())}


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


def _slice_numbers(heights: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Heights as numbers of slices, with fractions, also where slices lie unevenly."""
    if len(where) == 1:
        return heights - where[0]
    below = np.clip(np.searchsorted(where, heights, side="right") - 1, 0, len(where) - 2)
    return below + (heights - where[below]) / (where[below + 1] - where[below])


def _refuse_other_series(levels: np.ndarray, name: str) -> None:
    apart = float(np.median(np.diff(levels)))
    if apart > THICKER:
        raise SeriesError(
            f"The mask in '{name}' is drawn on one slice in {apart:.2g} of the CT ({len(levels)} in all); it belongs "
            "to a series with thicker slices. Give the mask that was drawn on this series."
        )
    if apart < CENTIMETRES and len(levels) >= ENOUGH_PLANES:
        raise SeriesError(
            f"The mask in '{name}' is drawn on {len(levels)} planes that lie {apart:.2g} of a slice apart. Its "
            "coordinates are not in mm (in cm they are a tenth), or it belongs to a series with far thinner slices."
        )


def _filled(levels: np.ndarray, *, n_slices: int, notes: list[str]) -> dict[int, int]:
    """Slice -> the number of the level that fills it."""
    last = n_slices - 1
    nearest = np.clip(np.rint(levels), 0, last).astype(int)
    own = len(np.unique(nearest)) == len(levels) and np.abs(levels - nearest).max() <= ON_SLICE
    if own or len(levels) == 1:
        return {int(k): level for level, k in enumerate(nearest)}
    steps = np.diff(levels)
    apart = float(np.median(steps))
    if abs(apart - 1) > EVEN:
        notes.append(f"The mask was drawn on planes that lie {apart:.2f} of the CT's slices apart, not on its slices.")
    reach = np.minimum(np.r_[apart, steps, apart], apart * (1 + EVEN)) / 2
    # From and up to, so that a slice midway between two planes is filled once.
    first = np.ceil(levels - reach[:-1] - ROUNDING).astype(int)
    stop = np.ceil(levels + reach[1:] - ROUNDING).astype(int)
    filled = {
        k: level
        for level, (start, end) in enumerate(zip(first.tolist(), stop.tolist(), strict=True))
        for k in range(max(start, 0), min(end, n_slices))
    }
    if filled:
        return filled
    level = int(np.abs(levels - nearest).argmin())  # thinner than a slice, between two of them
    return {int(nearest[level]): level}


def _skipped_note(skipped: Sequence[int], where: np.ndarray, volume: CtVolume) -> str:
    middle = (np.array(volume.shape[1:]) - 1) / 2
    z_mm = [volume.to_patient_mm(np.array([where[k], *middle]))[2] for k in skipped]
    shown = ", ".join(f"{z:.1f}" for z in z_mm[:MOST_NAMED])
    more = f" and {len(z_mm) - MOST_NAMED} more" if len(z_mm) > MOST_NAMED else ""
    return (
        f"Nothing is drawn on {len(skipped)} slice{'s' if len(skipped) > 1 else ''} between drawn ones (z = {shown}"
        f"{more} mm): several parts, or a slice that was forgotten."
    )
