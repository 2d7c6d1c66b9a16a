"""From slices as they lie to an even, upright grid: which slices make a plane, and how far each one is shifted.

A tilted gantry gives a sheared stack: every slice is shifted within its own plane, by linear interpolation, onto the
stack's normal, so that slices stay what they were and contours stay on them. Uneven or missing slices are made even by
linear interpolation between neighbours along the normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onlm_lab.imaging.geometry import DRIFT_MM, is_even, lean_of, missing_steps, positions_mm, slice_axes
from onlm_lab.imaging.header import Header

WHOLE = 1e-6  # of a pixel or a slice: a shift below it is none


@dataclass(frozen=True, eq=False)
class Grid:
    """An even, upright grid, and how it is filled from the slices of a series.

    Attributes:
        shape: voxels along (z, y, x).
        spacing_mm: along (z, y, x).
        origin_mm: x, y, z of the centre of voxel [0, 0, 0].
        direction: 3x3, the columns the unit vectors of z, y and x.
        below: (nz,) number of the slice under each plane; the plane lies `weight` of the way to the next slice.
        weight: (nz,) from 0 to below 1.
        shift_px: (n slices, 2) where pixel [0, 0] of each slice lies on the grid (row, column); None without a tilt.
        slice_z: (n slices,) where each slice lies on the grid's z, where not every plane is a slice; else None.
        filled: planes that were interpolated because a slice is missing.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray
    below: np.ndarray
    weight: np.ndarray
    shift_px: np.ndarray | None = None
    slice_z: np.ndarray | None = None
    filled: tuple[int, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether each plane is a slice as it was stored."""
        return self.shift_px is None and self.slice_z is None


def regular_grid(slices: Sequence[Header]) -> Grid:
    """The grid of slices in order along their normal; spacing comes from their positions.

    Args:
        slices: of `faults.examine`; what may not be resampled has been refused there.
    """
    first = slices[0]
    axes = slice_axes(first)
    along = positions_mm(slices)
    n = len(slices)
    row_spacing, column_spacing = first.pixel_spacing_mm
    shape = (n, first.rows, first.columns)
    origin = np.array(first.position_mm, dtype=float)
    below, weight, slice_z, filled = np.arange(n), np.zeros(n), None, ()
    step = float(np.ptp(along) / (n - 1))
    if not is_even(along):
        step, below, weight, filled = _evened(along)
        slice_z = (along - along[0]) / step
        shape = (len(below), *shape[1:])
    shift = _shift(slices, (row_spacing, column_spacing))
    if shift is not None:
        low = np.floor(shift.min(axis=0) + WHOLE)
        shift = shift - low
        shape = (shape[0], *(np.array(shape[1:]) + np.ceil(shift.max(axis=0) - WHOLE).astype(int)).tolist())
        origin = origin + axes[:, 1] * low[0] * row_spacing + axes[:, 2] * low[1] * column_spacing
    return Grid(
        shape=shape, spacing_mm=(step, row_spacing, column_spacing), origin_mm=tuple(origin.tolist()), direction=axes,
        below=below, weight=weight, shift_px=shift, slice_z=slice_z, filled=filled,
    )  # fmt: skip


def _evened(along: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, tuple[int, ...]]:
    """Step, slices and weights of an even grid over uneven positions."""
    gaps = np.diff(along)
    missing = missing_steps(along)
    if missing is not None:  # holes in an even grid: every slice keeps its plane
        n = len(along) + int(missing.sum())
        step = float(np.ptp(along) / (n - 1))
        planes = np.round((along - along[0]) / step).astype(int)
    else:
        n = max(2, round(float(np.ptp(along) / np.median(gaps))) + 1)
        step = float(np.ptp(along) / (n - 1))  # about the usual one, and both ends are planes
        planes = (along - along[0]) / step
    place = np.interp(np.arange(n), planes, np.arange(len(along)))
    below = np.minimum(np.floor(place + WHOLE).astype(int), len(along) - 1)
    weight = np.where(place - below < WHOLE, 0.0, place - below)
    filled = tuple(np.flatnonzero(weight > 0).tolist()) if missing is not None else ()
    return step, below, weight, filled


def _shift(slices: Sequence[Header], pixel_mm: tuple[float, float]) -> np.ndarray | None:
    """Where pixel [0, 0] of each slice lies sideways of that of the first one, in pixels; None without a lean."""
    lean = lean_of(slices)
    if lean is None or lean.drift_mm <= DRIFT_MM:
        return None
    along = positions_mm(slices)
    return (along - along[0])[:, None] * lean.per_mm / np.array(pixel_mm)
