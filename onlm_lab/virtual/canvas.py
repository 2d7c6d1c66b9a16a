"""Painting soft-edged shapes on a scanner's grid: occupancy, averaged over the slice thickness, laid over the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onlm_lab.virtual.world import Scanner

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Voxel centres: origin (x, y, z) of voxel [0, 0, 0], spacing and shape in array order (z, y, x)."""

    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    thickness_mm: float
    first_slice: int = 0

    def axes(self) -> tuple[NDArray, NDArray, NDArray]:
        """The z, y and x coordinates in mm, one array an axis."""
        starts = self.origin_mm[::-1]
        return tuple(
            (start + step * np.arange(n)).astype(np.float32)
            for start, step, n in zip(starts, self.spacing_mm, self.shape, strict=True)
        )

    def slab(self, first: int, stop: int) -> Grid:
        """The slices [first, stop) as a grid of their own."""
        x, y, z = self.origin_mm
        origin = (x, y, z + first * self.spacing_mm[0])
        return Grid(
            origin, self.spacing_mm, (stop - first, *self.shape[1:]), self.thickness_mm, self.first_slice + first
        )


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
    """The part of a grid round something small, finely sampled along z, and the average back to slices."""

    where: tuple[slice, slice, slice]
    dz: Array
    dy: Array
    dx: Array
    average: Array


def box_of(grid: Grid, low: NDArray, high: NDArray, *, about: NDArray) -> Box | None:
    """None where the grid holds nothing of the box. dz, dy, dx are offsets from `about`."""
    where, offsets = [], []
    margin = grid.thickness_mm / 2
    for axis, points in zip((2, 1, 0), grid.axes(), strict=True):
        reach = margin if axis == 2 else 0.0
        first, stop = np.searchsorted(points, [low[axis] - reach, high[axis] + reach])
        if stop <= first:
            return None
        where.append(slice(int(first), int(stop)))
        offsets.append((points[first:stop] - about[axis]).astype(np.float32))
    dz, average = _fine_slices(offsets[0], grid)
    return Box(tuple(where), dz[:, None, None], offsets[1][None, :, None], offsets[2][None, None, :], average)


def _fine_slices(offsets: Array, grid: Grid) -> tuple[Array, Array]:
    """Sample positions about 1 mm apart along z, and the matrix that averages them over each slice's thickness."""
    spacing, thickness = grid.spacing_mm[0], grid.thickness_mm
    n_fine = max(1, round(spacing / 1.1))
    step = spacing / n_fine
    margin = int(np.ceil(thickness / 2 / step))
    fine = offsets[0] - spacing / 2 + step * (np.arange(-margin, len(offsets) * n_fine + margin) + 0.5)
    overlap = np.minimum(fine[None, :] + step / 2, offsets[:, None] + thickness / 2) - np.maximum(
        fine[None, :] - step / 2, offsets[:, None] - thickness / 2
    )
    average = np.clip(overlap, 0, None)
    return fine.astype(np.float32), (average / average.sum(axis=1, keepdims=True)).astype(np.float32)


def blend(hu: Array, box: Box, cover: Array, weighted_hu: Array) -> None:
    """Lays a painted thing over the scan: cover in [0, 1] and cover x HU, both finely sampled along z."""
    flat = (cover.shape[0], -1)
    shape = (box.average.shape[0], *cover.shape[1:])
    target = hu[box.where]
    target *= 1 - (box.average @ cover.reshape(flat)).reshape(shape)
    target += (box.average @ weighted_hu.reshape(flat)).reshape(shape)


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
