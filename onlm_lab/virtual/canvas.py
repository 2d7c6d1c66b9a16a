"""Painting soft-edged shapes on a scanner's grid: occupancy, averaged over the slice thickness, laid over the scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from onlm_lab.virtual.world import Scanner

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Voxel centres: spacing and shape in array order (z, y, x); `first_slice` cuts a slab out of a longer scan.

    `origin_mm` (x, y, z) is voxel [0, 0, 0] of slice 0 of the whole scan, so that a slab computes the very same
    coordinates as the whole.
    """

    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    thickness_mm: float
    first_slice: int = 0

    def axes(self) -> tuple[NDArray, NDArray, NDArray]:
        """The z, y and x coordinates in mm, one array an axis."""
        starts, firsts = self.origin_mm[::-1], (self.first_slice, 0, 0)
        return tuple(
            start + step * (first + np.arange(n))
            for start, step, first, n in zip(starts, self.spacing_mm, firsts, self.shape, strict=True)
        )

    def slab(self, first: int, stop: int) -> Grid:
        """The slices [first, stop) as a grid of their own."""
        return replace(self, shape=(stop - first, *self.shape[1:]), first_slice=self.first_slice + first)


def scanner_grid(scanner: Scanner) -> Grid:
    """The grid on which a centre reconstructs, its middle at the middle of the chest."""
    half = (scanner.n_pixels - 1) / 2 * scanner.pixel_mm
    bottom = -(scanner.n_slices - 1) / 2 * scanner.slice_spacing_mm
    return Grid(
        (-half, -half, bottom),
        (scanner.slice_spacing_mm, scanner.pixel_mm, scanner.pixel_mm),
        (scanner.n_slices, scanner.n_pixels, scanner.n_pixels),
        scanner.slice_thickness_mm,
    )


def soft(distance: Array, softness_mm: float) -> Array:
    """Occupancy of a voxel from its signed distance to a surface (negative inside)."""
    return np.clip(0.5 - distance / softness_mm, 0.0, 1.0)


def spread(n: int, rng: np.random.Generator) -> NDArray:
    """n unit vectors spread evenly over the sphere, turned at random."""
    k = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    points = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return points @ q.T


@dataclass(frozen=True)
class Box:
    """The part of a grid round something small, finely sampled along z, and the weights that lead back to slices."""

    where: tuple[slice, slice, slice]
    dz: Array
    dy: Array
    dx: Array
    weights: Array


def box_of(grid: Grid, low: NDArray, high: NDArray, *, about: NDArray) -> Box | None:
    """None where the grid holds nothing of the box. dz, dy, dx are offsets from `about`."""
    where, offsets = [], []
    for axis, points in zip((2, 1, 0), grid.axes(), strict=True):
        reach = grid.thickness_mm / 2 if axis == 2 else 0.0
        first, stop = np.searchsorted(points, [low[axis] - reach, high[axis] + reach])
        if stop <= first:
            return None
        where.append(slice(int(first), int(stop)))
        offsets.append((points[first:stop] - about[axis]).astype(np.float32))
    dz, weights = _fine_slices(grid, where[0], about_mm=float(about[2]))
    return Box(tuple(where), dz[:, None, None], offsets[1][None, :, None], offsets[2][None, None, :], weights)


def _fine_slices(grid: Grid, where: slice, *, about_mm: float) -> tuple[Array, NDArray]:
    """Sample positions about 1 mm apart along z, and how much of each belongs to each slice.

    The samples lie on one lattice for the whole scan: a slab samples where the whole scan does.
    """
    spacing, thickness = grid.spacing_mm[0], grid.thickness_mm
    n_fine = max(1, round(spacing / 1.1))
    step = spacing / n_fine
    margin = int(np.ceil(thickness / 2 / step))
    first, stop = grid.first_slice + where.start, grid.first_slice + where.stop
    lattice = np.arange(first * n_fine - margin, stop * n_fine + margin)
    fine = (lattice + 0.5) * step - spacing / 2
    middle = np.arange(first, stop) * spacing
    overlap = np.minimum(fine[None, :] + step / 2, middle[:, None] + thickness / 2) - np.maximum(
        fine[None, :] - step / 2, middle[:, None] - thickness / 2
    )
    weights = np.round(np.clip(overlap, 0, None) / thickness, 6).astype(np.float32)
    return (grid.origin_mm[2] + fine - about_mm).astype(np.float32), weights


def blend(hu: Array, box: Box, cover: Array, weighted_hu: Array) -> None:
    """Lays a painted thing over the scan: cover in [0, 1] and cover x HU, both finely sampled along z."""
    target = hu[box.where]
    for k, row in enumerate(box.weights):
        # sums in a fixed order, not a matrix product: its last digit depends on shapes and threads
        kept, added = np.zeros_like(cover[0]), np.zeros_like(cover[0])
        for j in np.flatnonzero(row):
            kept += row[j] * cover[j]
            added += row[j] * weighted_hu[j]
        target[k] *= 1 - kept
        target[k] += added


def paint_tube(
    hu: Array,
    grid: Grid,
    start: NDArray,
    end: NDArray,
    radii: tuple[float, float],
    density: float,
    *,
    softness_mm: float,
) -> None:
    """Lay a tube from start to end, its radius running from the first to the second, with a soft wall."""
    reach = max(radii) + softness_mm
    box = box_of(grid, np.minimum(start, end) - reach, np.maximum(start, end) + reach, about=start)
    if box is None:
        return
    cover = _tube_cover(box, end - start, radii, softness_mm)
    # inside the wall or the mediastinum a vessel must not show as a hole or a ridge
    blend(hu, box, cover, cover * density)


def _tube_cover(box: Box, along: NDArray, radii: tuple[float, float], softness_mm: float) -> Array:
    length = float(np.linalg.norm(along))
    u = (along / length).astype(np.float32)
    t = box.dz * u[2] + box.dy * u[1] + box.dx * u[0]
    square = box.dz**2 + box.dy**2 + box.dx**2
    nearest = np.clip(t, 0, length)
    distance = np.sqrt(np.maximum(square - 2 * t * nearest + nearest**2, 0))
    width = radii[0] + (radii[1] - radii[0]) / length * nearest
    # a strand thinner than the point spread keeps its amount of tissue, not its peak
    return soft(distance - width, softness_mm)
