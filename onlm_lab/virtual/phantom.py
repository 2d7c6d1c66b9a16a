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

from onlm_lab.virtual.canvas import Array, Grid, paint_tube, soft, spread
from onlm_lab.virtual.lesion import TISSUE_HU, Tube, Tumour, paint_tumour, tumour_strands
from onlm_lab.virtual.world import Scanner

LUNG_HU, FAT_HU, BONE_HU = -850.0, -95.0, 420.0
LUNG_CENTRE_MM, LUNG_SEMI_MM = (68.0, -2.0), (52.0, 78.0, 150.0)
HEART_CENTRE_MM, HEART_SEMI_MM = (18.0, -28.0, -55.0), (46.0, 38.0, 52.0)
HILUM_MM = (24.0, 6.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """One patient on one scanner; the same seed paints the same voxels."""

    scanner: Scanner
    tumour: Tumour
    body_scale: float
    noise_factor: float
    seed: tuple[int, ...]


def render(scene: Scene, grid: Grid) -> NDArray[np.int16]:
    """The scan in HU on a grid (z, y, x); a slab or a crop of the scanner's grid costs only its own voxels.

    The noise of a slice depends on its number and shape, so slabs of whole slices join without a seam.
    """
    softness = max(grid.spacing_mm[1], 2.355 * scene.scanner.blur_sigma_mm)
    hu = _anatomy(grid, scale=scene.body_scale, softness_mm=softness)
    for start, end, radii, density in _vessel_tree(scene):
        paint_tube(hu, grid, start, end, radii, density, softness_mm=softness)
    for start, end, radii, density in tumour_strands(scene.tumour, seed=scene.seed, wall_mm=122.0 * scene.body_scale):
        paint_tube(hu, grid, start, end, radii, density, softness_mm=softness)
    paint_tumour(hu, grid, scene.tumour, seed=scene.seed, softness_mm=softness)
    _add_noise(hu, grid, scene)
    return np.rint(np.clip(hu, -1024, 3071, out=hu), out=hu).astype(np.int16)


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
    half_width = LUNG_SEMI_MM[0] * scale * float(np.sqrt(narrowing(np.array(z)) ** 2 - _fraction_y(y, scale) ** 2))
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


def narrowing(z: NDArray) -> NDArray:
    """The lungs narrow towards the apex and the base."""
    return np.sqrt(np.clip(1 - (z / LUNG_SEMI_MM[2]) ** 2, 0.05, None))


def _heart_edge(y: float, z: float, *, side: int, scale: float) -> float:
    """How far the heart reaches into that side at that height, in mm from the midline (0 where it does not)."""
    fy = (y - HEART_CENTRE_MM[1] * scale) / (HEART_SEMI_MM[1] * scale)
    fz = (z - HEART_CENTRE_MM[2]) / HEART_SEMI_MM[2]
    room = 1 - fy**2 - fz**2
    return 0.0 if room <= 0 else side * HEART_CENTRE_MM[0] * scale + HEART_SEMI_MM[0] * scale * float(np.sqrt(room))


def _anatomy(grid: Grid, *, scale: float, softness_mm: float) -> Array:
    z, y, x = (axis.astype(np.float32) for axis in grid.axes())
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
        tissue += soft((shape - 1) * size * scale, softness_mm) * (density - tissue)
    lungs = np.minimum(ellipse(68, -2, 52, 78), ellipse(-68, -2, 52, 78))
    air = (LUNG_HU + 0.35 * yy + 0 * xx).astype(np.float32)
    heart = ellipse(*HEART_CENTRE_MM[:2], *HEART_SEMI_MM[:2])
    trachea = soft((ellipse(0, 8, 9, 9) - 1) * 9, softness_mm)
    ring = np.abs((inner - 0.985) * 110) < 6
    turn = np.arctan2(xx, -yy + 0 * xx)[ring]
    ring_depth = soft(np.abs((inner[ring] - 0.985) * 110) - 3.0, softness_mm)
    reach = np.sqrt(np.clip(1 - ((z - HEART_CENTRE_MM[2]) / HEART_SEMI_MM[2]) ** 2, 0, None))
    volume = np.empty(grid.shape, np.float32)
    for k, narrow in enumerate(narrowing(z)):
        plane = tissue.copy()
        # ribs run down towards the front: their phase turns with the angle round the chest
        rib = np.cos(2 * np.pi * (z[k] / 26.0 + np.abs(turn) / 2.2))
        plane[ring] += np.clip(3 * rib - 1.2, 0, 1) * ring_depth * (BONE_HU - plane[ring])
        open_lung = soft((lungs - narrow) * 62 * scale, softness_mm)
        if reach[k] > 0:
            open_lung *= 1 - soft((heart - reach[k]) * 42 * scale, softness_mm)
        plane += open_lung * (air - plane)
        if z[k] > 20:
            plane += trachea * (-990 - plane)
        volume[k] = plane
    return volume


def _vessel_tree(scene: Scene) -> list[Tube]:
    """Branches from each hilum that thin out towards the pleura; none passes through the tumour's own neighbourhood."""
    rng = np.random.default_rng((*scene.seed, 1))
    centre = np.array(scene.tumour.centre_mm)
    keep_off = scene.tumour.total_diameter_mm / 2 + 8
    scale = scene.body_scale
    tubes = []
    for side in (1, -1):
        hilum = np.array([side * HILUM_MM[0], HILUM_MM[1], HILUM_MM[2]]) * scale
        for direction in spread(14, rng):
            direction = np.array([side * abs(direction[0]), direction[1], 1.3 * direction[2]])
            fork = hilum + direction * rng.uniform(26, 36) * scale
            for tip, radii in ((fork, (4.0, 2.4)), *(((fork, i), (2.0, 0.9)) for i in range(2))):
                start = hilum
                if isinstance(tip, tuple):
                    start, tip = fork, fork + (direction + rng.normal(0, 0.45, 3)) * rng.uniform(20, 32) * scale
                if _distance_to_segment(centre, start, tip) > keep_off:
                    tubes.append((start, tip, radii, TISSUE_HU))
    return tubes


def _distance_to_segment(point: NDArray, start: NDArray, end: NDArray) -> float:
    along = end - start
    t = np.clip((point - start) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(point - start - t * along))


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
