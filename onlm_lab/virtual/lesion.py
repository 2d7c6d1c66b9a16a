"""The tumour of the phantom and its signs: spikes, dark patches, a strand to the pleura, vessels, lobes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onlm_lab.virtual.canvas import Array, Box, Grid, blend, box_of, soft, spread

TISSUE_HU, GROUND_GLASS_HU = 45.0, -600.0
NECROSIS_DROP_HU = 420.0
LOBE_DEPTH = 0.09
Tube = tuple[NDArray, NDArray, tuple[float, float], float]
"""Start, end, radius at either end, HU."""


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


def paint_tumour(hu: Array, grid: Grid, tumour: Tumour, *, seed: tuple[int, ...], softness_mm: float) -> None:
    """Lays the tumour over the scan: ground-glass halo, spikes, then the solid core."""
    rng = np.random.default_rng((*seed, 3))
    centre = np.array(tumour.centre_mm)
    total, core = tumour.total_diameter_mm / 2, tumour.solid_diameter_mm / 2
    spike_mm = tumour.spiculation * (8.5 + 0.4 * total)
    reach = total * 1.25 + spike_mm + softness_mm
    spikes = spread(30, rng)
    lobes, lobe_phase = _lobes(rng)
    # one large dark patch near the middle, so that even a thick slice cuts it, and two beside it
    patches = spread(3, rng) * np.array([[0.12], [0.55], [0.55]]) * core
    patch_radii = np.maximum(rng.uniform((0.44, 0.24, 0.24), (0.54, 0.32, 0.32)) * core, (2.2, 1.0, 1.0))
    box = box_of(grid, centre - reach, centre + reach, about=centre)
    if box is None:
        return
    r = np.sqrt(box.dz**2 + box.dy**2 + box.dx**2)
    away = np.maximum(r, 1e-3)
    shape = np.zeros_like(r)
    for (a, b, c), phase in zip(lobes.astype(np.float32), lobe_phase, strict=True):
        shape += np.cos((a * box.dx + b * box.dy + c * box.dz) / away + np.float32(phase))
    shape = 1 + LOBE_DEPTH * tumour.lobulation * shape
    cover = np.zeros_like(r)
    weighted = np.zeros_like(r)
    layers = [(soft(r - total * shape, softness_mm), GROUND_GLASS_HU)]
    if spike_mm > 0:
        layers.append((_spike_cover(box, r, spikes, total, spike_mm, softness_mm), 20.0))
    if core > 0:
        inside = soft(r - core * shape, softness_mm)
        layers.append((inside, _core_hu(box, core, patches, patch_radii, tumour, softness_mm)))
    for alpha, density in layers:
        cover += alpha - cover * alpha
        weighted += alpha * (density - weighted)
    blend(hu, box, cover, weighted)


def _lobes(rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Directions and phases of the waves that make the surface lobulated."""
    return spread(4, rng) * 3.2, rng.uniform(0, 2 * np.pi, 4)


def radius_mm(tumour: Tumour, directions: NDArray, *, seed: tuple[int, ...]) -> NDArray:
    """How far the tumour's surface lies from its centre, halo included and spikes left out: the known truth.

    Args:
        tumour: what was painted.
        directions: (..., 3) unit vectors as x, y, z.
        seed: with which it was painted.
    """
    rng = np.random.default_rng((*seed, 3))
    spread(30, rng)  # the spikes, drawn first
    lobes, phases = _lobes(rng)
    waves = np.cos(directions @ lobes.T + phases).sum(axis=-1)
    return tumour.total_diameter_mm / 2 * (1 + LOBE_DEPTH * tumour.lobulation * waves)


def _spike_cover(box: Box, r: Array, spikes: NDArray, total: float, spike_mm: float, softness_mm: float) -> Array:
    """Straight spikes that start at the rim, so that they are no solid part of a halo, and taper to their tips."""
    length = total + spike_mm
    cover = np.zeros_like(r)
    for u in spikes.astype(np.float32):
        t = box.dz * u[2] + box.dy * u[1] + box.dx * u[0]
        aside = np.sqrt(np.maximum(r * r - t * t, 0))
        width = np.clip((length - t) / max(spike_mm, 1.0), 0, 1.0) * 1.9 + 0.8
        outside = np.maximum(np.maximum(aside - width, t - length), 0.8 * total - t)
        np.maximum(cover, soft(outside, softness_mm), out=cover)
    return cover


def _core_hu(
    box: Box, core_mm: float, patches: NDArray, radii: NDArray, tumour: Tumour, softness_mm: float
) -> Array | float:
    """HU of the solid part: dark patches with a brighter rest, so that the mean tells nothing of them."""
    if tumour.necrosis <= 0:
        return tumour.core_hu
    dark = np.zeros(np.broadcast_shapes(box.dz.shape, box.dy.shape, box.dx.shape), np.float32)
    for (x, y, z), radius in zip(patches.astype(np.float32), radii, strict=True):
        distance = np.sqrt((box.dx - x) ** 2 + (box.dy - y) ** 2 + (box.dz - z) ** 2) - np.float32(radius)
        np.maximum(dark, soft(distance, softness_mm), out=dark)
    share = _dark_share(core_mm, patches, radii, softness_mm)
    drop = NECROSIS_DROP_HU * tumour.necrosis * min(1.0, 0.3 / max(share, 1e-6))
    return tumour.core_hu - drop * dark + drop * share / max(1 - share, 0.3) * (1 - dark)


def _dark_share(core_mm: float, patches: NDArray, radii: NDArray, softness_mm: float) -> float:
    """Which part of the core the dark patches take, on a fixed set of points: the same for every slab of a scan."""
    line = np.linspace(-1, 1, 21) * core_mm
    points = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1)
    inside = soft(np.linalg.norm(points, axis=-1) - core_mm, softness_mm)
    away = [np.linalg.norm(points - p, axis=-1) - r for p, r in zip(patches, radii, strict=True)]
    dark = soft(np.min(away, axis=0), softness_mm)
    return float((dark * inside).sum() / inside.sum())


def tumour_strands(tumour: Tumour, *, seed: tuple[int, ...], wall_mm: float) -> list[Tube]:
    """The strand from tumour to pleura, and vessels that converge on the tumour from the hilum's side."""
    rng = np.random.default_rng((*seed, 2))
    centre = np.array(tumour.centre_mm)
    radius = tumour.total_diameter_mm / 2
    side = np.sign(centre[0])
    strands = []
    if tumour.pleural_tag > 0:
        reach = min(radius + 30.0, wall_mm - abs(centre[0]))
        end = centre + np.array([side * reach, rng.uniform(-4, 4), rng.uniform(-3, 3)])
        width = 1.2 + 1.4 * tumour.pleural_tag
        strands.append((centre, end, (width + 1.0, width), TISSUE_HU))
    for _ in range(round(4 * tumour.vessel_convergence)):
        away = np.array([-side * rng.uniform(0.5, 1.0), rng.uniform(-0.9, 0.9), rng.uniform(-0.7, 0.7)])
        away /= np.linalg.norm(away)
        strands.append((centre + 0.7 * radius * away, centre + (radius + 24) * away, (1.5, 2.0), TISSUE_HU))
    return strands
