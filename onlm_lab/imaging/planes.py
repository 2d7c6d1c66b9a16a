"""Fills the even grid of a series: whole, or a block of it, decoding only the slices and rows that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onlm_lab.imaging.header import Header
from onlm_lab.imaging.pixels import read_slice_hu
from onlm_lab.imaging.regular import WHOLE, Grid
from onlm_lab.imaging.volume import OUTSIDE_HU

Plane = tuple[np.ndarray, np.ndarray | None]  # int16 HU; where nothing was measured, or None when nowhere


def read_block(
    folder: Path, slices: Sequence[Header], grid: Grid, *, z: slice | None = None, y: slice | None = None,
    x: slice | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:  # fmt: skip
    """A block of the grid as int16 HU (z,y,x), and where nothing was measured (bool), or None when nowhere.

    Args:
        folder: what the slices' files are relative to.
        slices: in order along the normal, as the grid was made from.
        grid: of `regular_grid`.
        z, y, x: voxels of the grid with a start and a stop; None takes all.

    Raises:
        SeriesError: a slice cannot be decoded.
    """
    z, y, x = (slice(0, n) if part is None else part for part, n in zip((z, y, x), grid.shape, strict=True))
    hu = np.empty((z.stop - z.start, y.stop - y.start, x.stop - x.start), dtype=np.int16)
    empty: np.ndarray | None = None
    known: dict[int, Plane] = {}
    for k in range(z.start, z.stop):
        plane, nothing = _plane(folder, slices, grid, k, y, x, known)
        hu[k - z.start] = plane
        if nothing is not None and nothing.any():
            empty = np.zeros(hu.shape, dtype=bool) if empty is None else empty
            empty[k - z.start] = nothing
    return hu, empty


def _plane(
    folder: Path, slices: Sequence[Header], grid: Grid, k: int, y: slice, x: slice, known: dict[int, Plane]
) -> Plane:
    below, weight = int(grid.below[k]), float(grid.weight[k])
    if grid.is_plain:
        hu, padded = read_slice_hu(folder, slices[below], first_row=y.start, last_row=y.stop)
        return hu[:, x], None if padded is None else padded[:, x]
    wanted = (below,) if weight == 0 else (below, below + 1)
    for number in [number for number in known if number < below]:
        del known[number]
    for number in wanted:
        if number not in known:
            known[number] = _upright(folder, slices[number], grid, number, y, x)
    if weight == 0:
        return known[below]
    (one, nothing), (other, neither) = known[below], known[below + 1]
    mixed = np.rint((1 - weight) * one.astype(np.float32) + weight * other.astype(np.float32)).astype(np.int16)
    empty = _either(nothing, neither)
    return (mixed if empty is None else np.where(empty, np.int16(OUTSIDE_HU), mixed)), empty


def _either(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    if one is None or other is None:
        return one if other is None else other
    return one | other


def _upright(folder: Path, header: Header, grid: Grid, number: int, y: slice, x: slice) -> Plane:
    """Rows y and columns x of the grid on one slice, shifted by its lean."""
    if grid.shift_px is None:
        hu, padded = read_slice_hu(folder, header, first_row=y.start, last_row=y.stop)
        return hu[:, x], None if padded is None else padded[:, x]
    (row, row_part), (column, column_part) = (_split(-float(shift)) for shift in grid.shift_px[number])
    rows = slice(y.start + row, y.stop + row + 1)  # of the slice; one more, for interpolation
    columns = slice(x.start + column, x.stop + column + 1)
    values = np.full((rows.stop - rows.start, columns.stop - columns.start), OUTSIDE_HU, dtype=np.float32)
    empty = np.ones(values.shape, dtype=bool)
    r0, r1 = max(rows.start, 0), min(rows.stop, header.rows)
    c0, c1 = max(columns.start, 0), min(columns.stop, header.columns)
    if r0 < r1 and c0 < c1:
        hu, padded = read_slice_hu(folder, header, first_row=r0, last_row=r1)
        there = (slice(r0 - rows.start, r1 - rows.start), slice(c0 - columns.start, c1 - columns.start))
        values[there] = hu[:, c0:c1]
        empty[there] = False if padded is None else padded[:, c0:c1]
    values, empty = _between(values, empty, row_part, axis=0)
    values, empty = _between(values, empty, column_part, axis=1)
    hu = np.rint(values).astype(np.int16)
    hu[empty] = OUTSIDE_HU
    return hu, empty if empty.any() else None


def _split(shift: float) -> tuple[int, float]:
    """Whole pixels and the part of a pixel, from 0 to below 1."""
    whole = int(np.floor(shift + WHOLE))
    return whole, max(0.0, shift - whole) if shift - whole > WHOLE else 0.0


def _between(values: np.ndarray, empty: np.ndarray, part: float, *, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Values a part of a pixel further along an axis, by linear interpolation; one fewer along it."""
    here = tuple(slice(None, -1) if k == axis else slice(None) for k in range(2))
    next_ = tuple(slice(1, None) if k == axis else slice(None) for k in range(2))
    if part == 0:
        return values[here], empty[here]
    return (1 - np.float32(part)) * values[here] + np.float32(part) * values[next_], empty[here] | empty[next_]
