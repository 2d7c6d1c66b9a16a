"""A chest that looks like a chest to a small network: lungs, wall, mediastinum, vessels, and one tumour with its signs.

Everything is painted analytically with edges as soft as the scanner's point spread, averaged over the slice thickness,
and only then given noise: what a sign looks like depends on the scanner exactly as on a real machine.
Positions are x, y, z in mm in the patient frame (LPS: x to the left, y to the back, z to the head), z = 0 at mid-chest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from onlm_lab.virtual.world import Scanner

Array = NDArray[np.float32]

LUNG_HU, TISSUE_HU, FAT_HU, BONE_HU, GROUND_GLASS_HU = -850.0, 45.0, -95.0, 420.0, -600.0
NECROSIS_DROP_HU = 420.0
LUNG_CENTRE_MM, LUNG_SEMI_MM = (68.0, -2.0), (52.0, 78.0, 150.0)
HEART_CENTRE_MM, HEART_SEMI_MM = (18.0, -28.0, -55.0), (46.0, 38.0, 52.0)
HILUM_MM = (24.0, 6.0, 0.0)


@dataclass(frozen=True)
class Tumour:
    """One tumour: where, how large, and how strongly it shows each sign (0 absent, 1 full)."""

    centre_mm: tuple[float, float, float]
    total_diameter_mm: float
    solid_diameter_mm: float
    core_hu: float
    spiculation: float
    necrosis: float
    pleural_tag: float
    lobulation: float
    vessel_convergence: float


@dataclass(frozen=True)
class Scene:
    """One patient on one scanner; the same seed paints the same voxels."""

    scanner: Scanner
    tumour: Tumour
    body_scale: float
    noise_factor: float
    seed: tuple[int, ...]


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


def place_tumour(
    *, side: int, upper: bool, middle: bool, depth: float, height: float, front: float, radius_mm: float, scale: float
) -> tuple[float, float, float]:
    """Where the tumour's centre lies, in mm (LPS), inside lung and clear of the heart where there is room.

    Args:
        side: 1 left (positive x), -1 right.
        upper, middle: the lobe; neither means a lower lobe.
        depth: 0 at the mediastinum, 1 at the lateral pleura; below a third is "central".
        height, front: where in the lobe, each in [0, 1].
        radius_mm: of the whole tumour, to keep it off the pleura.
        scale: of the body.
    """
    low, high = (12.0, 50.0) if upper else ((-25.0, 0.0) if middle else (-50.0, -12.0))
    back = (-22.0, 22.0) if upper else ((-40.0, -25.0) if middle else (14.0, 36.0))
    z = low + (high - low) * height
    y = (back[0] + (back[1] - back[0]) * front) * scale
    half_width = LUNG_SEMI_MM[0] * scale * float(np.sqrt(_squeeze(np.array(z)) ** 2 - _fraction_y(y, scale) ** 2))
    inner = LUNG_CENTRE_MM[0] * scale - half_width
    outer = LUNG_CENTRE_MM[0] * scale + half_width
    wall = _heart_edge(y, z, side=side, scale=scale)
    inner = max(inner, wall)
    x = inner + depth * (outer - inner)
    if depth > 1 / 3:
        deepest = inner + 0.37 * (outer - inner)
        x = max(min(x, outer - radius_mm - 3.0), min(deepest, x))
    return side * x, y, z


def _fraction_y(y: float, scale: float) -> float:
    return (y - LUNG_CENTRE_MM[1] * scale) / (LUNG_SEMI_MM[1] * scale)


def _squeeze(z: NDArray) -> NDArray:
    """The lungs narrow towards the apex and the base."""
    return np.sqrt(np.clip(1 - (z / LUNG_SEMI_MM[2]) ** 2, 0.05, None))


def _heart_edge(y: float, z: float, *, side: int, scale: float) -> float:
    """How far the heart reaches into that side at that height, in mm from the midline (0 where it does not)."""
    fy = (y - HEART_CENTRE_MM[1] * scale) / (HEART_SEMI_MM[1] * scale)
    fz = (z - HEART_CENTRE_MM[2]) / HEART_SEMI_MM[2]
    room = 1 - fy**2 - fz**2
    return 0.0 if room <= 0 else side * HEART_CENTRE_MM[0] * scale + HEART_SEMI_MM[0] * scale * float(np.sqrt(room))


def render(scene: Scene, grid: Grid) -> NDArray[np.int16]:
    """The scan in HU on a grid (z, y, x); a slab or a crop of the scanner's grid costs only its own voxels.

    The noise of a slice depends on its number and shape, so slabs of whole slices join without a seam.
    """
    softness = max(grid.spacing_mm[1], 2.355 * scene.scanner.blur_sigma_mm)
    hu = _anatomy(grid, scale=scene.body_scale, softness_mm=softness)
    for start, end, radii, density in _vessel_tree(scene):
        _paint_tube(hu, grid, start, end, radii, density, softness_mm=softness)
    for start, end, radii, density in _tumour_strands(scene):
        _paint_tube(hu, grid, start, end, radii, density, softness_mm=softness)
    _paint_tumour(hu, grid, scene, softness_mm=softness)
    _add_noise(hu, grid, scene)
    return np.rint(np.clip(hu, -1024, 3071, out=hu), out=hu).astype(np.int16)


def _soft(distance: Array, softness_mm: float) -> Array:
    """Occupancy of a voxel from its signed distance to a surface (negative inside)."""
    return np.clip(0.5 - distance / softness_mm, 0.0, 1.0)


def _anatomy(grid: Grid, *, scale: float, softness_mm: float) -> Array:
    z, y, x = grid.axes()
    yy, xx = y[:, None] / scale, x[None, :] / scale

    def ellipse(cx: float, cy: float, a: float, b: float) -> Array:
        return np.sqrt(((xx - cx) / a) ** 2 + ((yy - cy) / b) ** 2, dtype=np.float32)

    body, inner = ellipse(0, 0, 146, 102), ellipse(0, 0, 132, 90)
    tissue = np.full(body.shape, -1000.0, np.float32)
    for shape, size, density in (
        (body, 120.0, FAT_HU),
        (inner, 110.0, TISSUE_HU),
        (ellipse(0, 64, 18, 15), 16.0, 260.0),
        (ellipse(0, 84, 8, 7), 7.0, 20.0),
        (ellipse(24, 44, 12, 12), 12.0, 60.0),
        (ellipse(0, -72, 18, 5), 8.0, 200.0),
    ):
        tissue += _soft((shape - 1) * size * scale, softness_mm) * (density - tissue)
    lungs = np.minimum(ellipse(68, -2, 52, 78), ellipse(-68, -2, 52, 78))
    air = (LUNG_HU + 0.35 * yy + 0 * xx).astype(np.float32)
    heart = ellipse(*HEART_CENTRE_MM[:2], *HEART_SEMI_MM[:2])
    trachea = _soft((ellipse(0, 8, 9, 9) - 1) * 9, softness_mm)
    ring = np.abs((inner - 0.985) * 110) < 6
    turn = np.arctan2(xx, -yy + 0 * xx)[ring]
    ring_depth = _soft(np.abs((inner[ring] - 0.985) * 110) - 3.0, softness_mm)
    reach = np.sqrt(np.clip(1 - ((z - HEART_CENTRE_MM[2]) / HEART_SEMI_MM[2]) ** 2, 0, None))
    volume = np.empty(grid.shape, np.float32)
    for k, narrow in enumerate(_squeeze(z)):
        plane = tissue.copy()
        # ribs run down towards the front: their phase turns with the angle round the chest
        rib = np.cos(2 * np.pi * (z[k] / 26.0 + np.abs(turn) / 2.2))
        plane[ring] += np.clip(3 * rib - 1.2, 0, 1) * ring_depth * (BONE_HU - plane[ring])
        open_lung = _soft((lungs - narrow) * 62 * scale, softness_mm)
        if reach[k] > 0:
            open_lung *= 1 - _soft((heart - reach[k]) * 42 * scale, softness_mm)
        plane += open_lung * (air - plane)
        if z[k] > 20:
            plane += trachea * (-990 - plane)
        volume[k] = plane
    return volume


def _vessel_tree(scene: Scene) -> list[tuple[NDArray, NDArray, tuple[float, float], float]]:
    """Branches from each hilum that thin out towards the pleura; none passes through the tumour's own neighbourhood."""
    rng = np.random.default_rng((*scene.seed, 1))
    centre = np.array(scene.tumour.centre_mm)
    keep_off = scene.tumour.total_diameter_mm / 2 + 8
    scale = scene.body_scale
    tubes = []
    for side in (1, -1):
        hilum = np.array([side * HILUM_MM[0], HILUM_MM[1], HILUM_MM[2]]) * scale
        for direction in _spread(14, rng):
            direction = np.array([side * abs(direction[0]), direction[1], 1.3 * direction[2]])
            fork = hilum + direction * rng.uniform(26, 36) * scale
            for tip, radii in ((fork, (4.0, 2.4)), *(((fork, i), (2.0, 0.9)) for i in range(2))):
                start = hilum
                if isinstance(tip, tuple):
                    start, tip = fork, fork + (direction + rng.normal(0, 0.45, 3)) * rng.uniform(20, 32) * scale
                if _distance_to_segment(centre, start, tip) > keep_off:
                    tubes.append((start, tip, radii, TISSUE_HU))
    return tubes


def _tumour_strands(scene: Scene) -> list[tuple[NDArray, NDArray, tuple[float, float], float]]:
    """The strand from tumour to pleura, and vessels that converge on the tumour from the hilum's side."""
    tumour, rng = scene.tumour, np.random.default_rng((*scene.seed, 2))
    centre = np.array(tumour.centre_mm)
    radius = tumour.total_diameter_mm / 2
    side = np.sign(centre[0])
    strands = []
    if tumour.pleural_tag > 0:
        reach = min(radius + 30.0, 122.0 * scene.body_scale - abs(centre[0]))
        end = centre + np.array([side * reach, rng.uniform(-4, 4), rng.uniform(-3, 3)])
        width = 1.2 + 1.4 * tumour.pleural_tag
        strands.append((centre, end, (width + 1.0, width), TISSUE_HU))
    for _ in range(round(4 * tumour.vessel_convergence)):
        away = np.array([-side * rng.uniform(0.5, 1.0), rng.uniform(-0.9, 0.9), rng.uniform(-0.7, 0.7)])
        away /= np.linalg.norm(away)
        strands.append((centre + 0.7 * radius * away, centre + (radius + 24) * away, (1.5, 2.0), TISSUE_HU))
    return strands


def _distance_to_segment(point: NDArray, start: NDArray, end: NDArray) -> float:
    along = end - start
    t = np.clip((point - start) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(point - start - t * along))


def _spread(n: int, rng: np.random.Generator) -> NDArray:
    """n unit vectors spread evenly over the sphere, turned at random."""
    k = np.arange(n) + 0.5
    polar, turn = np.arccos(1 - 2 * k / n), np.pi * (1 + 5**0.5) * k
    points = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return points @ q.T


@dataclass(frozen=True)
class _Box:
    """The part of a grid round something small, finely sampled along z, and the average back to slices."""

    where: tuple[slice, slice, slice]
    dz: Array
    dy: Array
    dx: Array
    average: Array


def _box(grid: Grid, low: NDArray, high: NDArray, *, about: NDArray) -> _Box | None:
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
    return _Box(tuple(where), dz[:, None, None], offsets[1][None, :, None], offsets[2][None, None, :], average)


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


def _blend(hu: Array, box: _Box, cover: Array, weighted_hu: Array) -> None:
    """Lays a painted thing over the scan: cover in [0, 1] and cover x HU, both finely sampled along z."""
    flat = (cover.shape[0], -1)
    shape = (box.average.shape[0], *cover.shape[1:])
    target = hu[box.where]
    target *= 1 - (box.average @ cover.reshape(flat)).reshape(shape)
    target += (box.average @ weighted_hu.reshape(flat)).reshape(shape)


def _paint_tube(
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
    box = _box(grid, np.minimum(start, end) - reach, np.maximum(start, end) + reach, about=start)
    if box is None:
        return
    cover = _tube_cover(box, end - start, radii, softness_mm)
    # inside the wall or the mediastinum a vessel must not show as a hole or a ridge
    _blend(hu, box, cover, cover * density)


def _tube_cover(box: _Box, along: NDArray, radii: tuple[float, float], softness_mm: float) -> Array:
    length = float(np.linalg.norm(along))
    u = (along / length).astype(np.float32)
    t = box.dz * u[2] + box.dy * u[1] + box.dx * u[0]
    square = box.dz**2 + box.dy**2 + box.dx**2
    nearest = np.clip(t, 0, length)
    distance = np.sqrt(np.maximum(square - 2 * t * nearest + nearest**2, 0))
    width = radii[0] + (radii[1] - radii[0]) / length * nearest
    # a strand thinner than the point spread keeps its amount of tissue, not its peak
    return _soft(distance - width, softness_mm)


def _paint_tumour(hu: Array, grid: Grid, scene: Scene, *, softness_mm: float) -> None:
    tumour, rng = scene.tumour, np.random.default_rng((*scene.seed, 3))
    centre = np.array(tumour.centre_mm)
    total, core = tumour.total_diameter_mm / 2, tumour.solid_diameter_mm / 2
    spike_mm = tumour.spiculation * (8.0 + 0.35 * total)
    reach = total * 1.25 + spike_mm + softness_mm
    spikes = _spread(30, rng)
    lobes, lobe_phase = _spread(4, rng) * 3.2, rng.uniform(0, 2 * np.pi, 4)
    # one large dark patch near the middle, so that even a thick slice cuts it, and two beside it
    patches = _spread(3, rng) * np.array([[0.12], [0.55], [0.55]]) * core
    patch_radii = np.maximum(rng.uniform((0.44, 0.24, 0.24), (0.54, 0.32, 0.32)) * core, (2.2, 1.0, 1.0))
    box = _box(grid, centre - reach, centre + reach, about=centre)
    if box is None:
        return
    r = np.sqrt(box.dz**2 + box.dy**2 + box.dx**2)
    away = np.maximum(r, 1e-3)
    shape = np.zeros_like(r)
    for (a, b, c), phase in zip(lobes.astype(np.float32), lobe_phase, strict=True):
        shape += np.cos((a * box.dx + b * box.dy + c * box.dz) / away + np.float32(phase))
    shape = 1 + 0.09 * tumour.lobulation * shape
    cover = np.zeros_like(r)
    weighted = np.zeros_like(r)
    layers = [(_soft(r - total * shape, softness_mm), GROUND_GLASS_HU)]
    if spike_mm > 0:
        layers.append((_spike_cover(box, r, spikes, total, spike_mm, softness_mm), 20.0))
    if core > 0:
        inside = _soft(r - core * shape, softness_mm)
        layers.append((inside, _core_hu(box, inside, patches, patch_radii, tumour, softness_mm)))
    for alpha, density in layers:
        cover += alpha - cover * alpha
        weighted += alpha * (density - weighted)
    _blend(hu, box, cover, weighted)


def _spike_cover(box: _Box, r: Array, spikes: NDArray, total: float, spike_mm: float, softness_mm: float) -> Array:
    """Straight spikes that start inside the tumour and taper towards their tips."""
    length = total + spike_mm
    cover = np.zeros_like(r)
    for u in spikes.astype(np.float32):
        t = box.dz * u[2] + box.dy * u[1] + box.dx * u[0]
        aside = np.sqrt(np.maximum(r * r - t * t, 0))
        width = np.clip((length - t) / max(spike_mm, 1.0), 0, 1.0) * 1.9 + 0.8
        np.maximum(cover, _soft(np.maximum(aside - width, t - length), softness_mm) * (t > 0), out=cover)
    return cover


def _core_hu(
    box: _Box, inside: Array, patches: NDArray, radii: NDArray, tumour: Tumour, softness_mm: float
) -> Array | float:
    """HU of the solid part: dark patches with a brighter rest, so that the mean tells nothing of them."""
    if tumour.necrosis <= 0:
        return tumour.core_hu
    dark = np.zeros_like(inside)
    for (x, y, z), radius in zip(patches.astype(np.float32), radii, strict=True):
        distance = np.sqrt((box.dx - x) ** 2 + (box.dy - y) ** 2 + (box.dz - z) ** 2) - np.float32(radius)
        np.maximum(dark, _soft(distance, softness_mm), out=dark)
    share = float((dark * inside).sum() / max(float(inside.sum()), 1e-6))
    drop = NECROSIS_DROP_HU * tumour.necrosis * min(1.0, 0.3 / max(share, 1e-6))
    return tumour.core_hu - drop * dark + drop * share / max(1 - share, 0.3) * (1 - dark)


@lru_cache(maxsize=8)
def _noise_tiles(shape: tuple[int, int], grain_px: float) -> Array:
    """Eight planes of correlated noise with unit standard deviation, wrapped at the borders."""
    rng = np.random.default_rng(20240611)
    tiles = rng.standard_normal((8, *shape), dtype=np.float32)
    tiles = gaussian_filter(tiles, (0, grain_px, grain_px), mode="wrap")
    return tiles / tiles.std()


def _add_noise(hu: Array, grid: Grid, scene: Scene) -> None:
    tiles = _noise_tiles(grid.shape[1:], scene.scanner.noise_grain_px)
    amount = np.float32(scene.scanner.noise_hu * scene.noise_factor)
    for k in range(grid.shape[0]):
        rng = np.random.default_rng((*scene.seed, 4, grid.first_slice + k))
        tile, down, right = rng.integers((len(tiles), *grid.shape[1:]))
        hu[k] += amount * np.roll(tiles[tile], (int(down), int(right)), (0, 1))
