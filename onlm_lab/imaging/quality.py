"""Judges whether a CT is good enough to measure and to learn from, with a score and its reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, uniform_filter

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.facts import check_mask
from onlm_lab.imaging.noise import noise_hu
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.showing import shows_itself

MAD_PER_SIGMA = 0.67449  # median of |x| for a normal x with standard deviation 1
EDGE_HU, EDGE_GRID_MM, EDGE_SMOOTH_MM = -500.0, 2.0, 3.0  # smooth enough that lung vessels leave no edge
ENOUGH_SLICES, ENOUGH_EDGE_MM = 5, 100.0
TILE_MM, TILE_PIXELS, SMOOTH_MM, TISSUE_HU = 24.0, 16, 9.0, (-30.0, 130.0)
ENOUGH_TILES, TILE_FILLED = 4, 0.4
BY_CHANCE = 1.5  # directional part that noise without direction shows: up to 1.50 in made-up noise, 1.48 in a clean CT
AROUND_MM = 30.0
UNKNOWN = float("nan")
CHECKS = {  # name: the value, which must not exceed the limit max_<value>, and the sentence where it does
    "spacing": ("spacing_mm", "Slices lie {:.2f} mm apart, more than {:g} mm."),
    "thickness": ("thickness_mm", "Slices are {:.2f} mm thick, more than {:g} mm."),
    "pixel": ("pixel_mm", "Pixels are {:.2f} mm wide, more than {:g} mm."),
    "gap": ("gap_mm", "{:.2f} mm between slices are not imaged, more than {:g} mm."),
    "noise": ("noise_hu", "Noise in soft tissue is {:.0f} HU, more than {:g} HU."),
    "field_of_view": (
        "outside_fraction",
        "{:.2f} of the cube around the tumour lies beyond the scan, more than {:g}.",
    ),
    "motion": (
        "motion_mm",
        "Edges jump by {:.1f} mm from slice to slice, more than {:g} mm, as when a patient moves or breathes.",
    ),
    "streaks": ("streaks_hu", "Streaks in soft tissue reach {:.0f} HU, more than {:g} HU."),
    "tumour_cut": (
        "tumour_cut_fraction",
        "{:.2f} of the tumour's surface lies at the edge of the scan, more than {:g}: part of it is missing.",
    ),
    "days_before_treatment": (
        "days_before_treatment",
        "The CT was made {:.0f} days before treatment, more than {:g}.",
    ),
}


@shows_itself
@dataclass(frozen=True)
class QualityLimits:
    """What counts as good enough. These are settings of a study, not clinical thresholds; a report names them."""

    max_spacing_mm: float = 3.0
    max_thickness_mm: float = 3.0
    max_pixel_mm: float = 1.0
    max_gap_mm: float = 0.5
    max_noise_hu: float = 60.0
    max_outside_fraction: float = 0.05
    max_motion_mm: float = 1.0
    max_streaks_hu: float = 20.0
    max_tumour_cut_fraction: float = 0.0
    max_days_before_treatment: float = 60.0
    """Progression before treatment rose after 58 days (34 patients, stage I-III; PMC3933267)."""


@shows_itself
@dataclass(frozen=True)
class Quality:
    """How good a CT is for this tumour.

    Attributes:
        score: checks passed as a part of those that could be made, and at least of half of all, 0 to 1: a CT of which
            hardly anything can be judged is not a good one.
        reasons: one sentence for each check that failed, and one where fewer than half could be made.
        failed: the names of these checks.
        unchecked: names of checks that could not be made (no thickness in the header, no soft tissue).
        spacing_mm, thickness_mm, pixel_mm: geometry (spacing: the widest between two scanned slices); gap_mm is what
            lies between neighbouring slices unseen.
        noise_hu: standard deviation of the noise in soft tissue; see `noise_hu`.
        outside_fraction: part of the cube around the tumour that lies beyond the scan.
        motion_mm: how far edges of body and lung jump from slice to slice, a proxy; see `motion_mm`.
        streaks_hu: the part of the fine structure of soft tissue that runs in one direction, a proxy; see `streaks_hu`.
        tumour_cut_fraction: part of the tumour's surface that lies at the edge of the scan or of its padding.
        days_before_treatment: as it was given; negative after the start of treatment.
    """

    score: float
    reasons: tuple[str, ...]
    failed: tuple[str, ...]
    unchecked: tuple[str, ...]
    spacing_mm: float
    thickness_mm: float
    pixel_mm: float
    gap_mm: float
    noise_hu: float
    outside_fraction: float
    motion_mm: float
    streaks_hu: float
    tumour_cut_fraction: float
    days_before_treatment: float

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, reasons joined, for a table."""
        lists = {name: ", ".join(getattr(self, name)) for name in ("failed", "unchecked")}
        return {**asdict(self), "reasons": " ".join(self.reasons), **lists}


def assess_quality(
    volume: CtVolume,
    *,
    centre_mm: tuple[float, float, float] | None = None,
    size_mm: float | None = None,
    tumour_mask: np.ndarray | None = None,
    days_before_treatment: float | None = None,
    limits: QualityLimits | None = None,
) -> Quality:
    """Score and reasons for one CT.

    Motion and streaks are judged on the slices around the tumour where its mask or its cube is given, and on the whole
    scan where neither is.

    Args:
        volume: the CT.
        centre_mm: the tumour's centre x, y, z (LPS), and
        size_mm: the edge of the cube around it; without both, the field of view is not checked.
        tumour_mask: bool (z,y,x) on the CT's grid; without it, whether the scan cuts the tumour is not checked.
        days_before_treatment: from the CT to the start of treatment, negative where it was made later; None: not
            known, so not checked.
        limits: None takes the defaults.

    Raises:
        SeriesError: only one of centre_mm and size_mm was given, or the mask is empty or not on the CT's grid.
    """
    if (centre_mm is None) != (size_mm is None):
        raise SeriesError("centre_mm and size_mm are wanted together; one is missing.")
    if tumour_mask is not None:
        check_mask(tumour_mask, volume)
    limits = QualityLimits() if limits is None else limits
    spacing = _widest_spacing_mm(volume)
    thickness = float(volume.acquisition.get("thickness_mm", UNKNOWN))
    around = _slices_around(volume, centre_mm, size_mm, tumour_mask)
    found = {
        "spacing_mm": spacing,
        "thickness_mm": thickness,
        "pixel_mm": max(volume.spacing_mm[1:]),
        "gap_mm": max(0.0, spacing - thickness) if np.isfinite(thickness) else UNKNOWN,
        "noise_hu": noise_hu(volume),
        "outside_fraction": UNKNOWN if centre_mm is None else _outside_fraction(volume, np.array(centre_mm), size_mm),
        "motion_mm": motion_mm(volume, slices=around),
        "streaks_hu": streaks_hu(volume, slices=around),
        "tumour_cut_fraction": UNKNOWN if tumour_mask is None else _cut_fraction(tumour_mask, volume),
        "days_before_treatment": UNKNOWN if days_before_treatment is None else float(days_before_treatment),
    }
    unchecked = tuple(name for name, (value, _) in CHECKS.items() if not np.isfinite(found[value]))
    failed = {}
    for name, (value, text) in CHECKS.items():
        limit = getattr(limits, f"max_{value}")
        if found[value] > limit:
            failed[name] = text.format(found[value], limit)
    if found["days_before_treatment"] < 0:  # whatever the limit
        days = -found["days_before_treatment"]
        failed["days_before_treatment"] = f"The CT was made {days:.0f} days after treatment began."
    n_made = len(CHECKS) - len(unchecked)
    reasons = list(failed.values())
    if n_made < len(CHECKS) / 2:
        reasons.append(f"Only {n_made} of {len(CHECKS)} checks could be made.")
    return Quality(
        score=(n_made - len(failed)) / max(n_made, len(CHECKS) / 2), reasons=tuple(reasons), failed=tuple(failed),
        unchecked=unchecked, **found,
    )  # fmt: skip


def _widest_spacing_mm(volume: CtVolume) -> float:
    """Between the slices that were scanned, also where planes were made between them."""
    steps = 1.0 if volume.slice_z is None else float(np.diff(volume.slice_z).max())
    return volume.spacing_mm[0] * steps


def _slices_around(
    volume: CtVolume, centre_mm: tuple[float, float, float] | None, size_mm: float | None, mask: np.ndarray | None
) -> slice:
    """The slices of the tumour and 30 mm to either side of it, all of them where no tumour is given."""
    n = volume.shape[0]
    if mask is not None:
        held = np.flatnonzero(mask.any(axis=(1, 2)))
        low, high = held[0], held[-1]
    elif centre_mm is not None and size_mm is not None:
        corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]) * size_mm
        places = volume.to_voxel(np.asarray(centre_mm, dtype=float) + corners)[:, 0]
        low, high = places.min(), places.max()
    else:
        return slice(0, n)
    margin = AROUND_MM / volume.spacing_mm[0]
    return slice(int(np.clip(np.floor(low - margin), 0, n - 1)), int(np.clip(np.ceil(high + margin) + 1, 1, n)))


def motion_mm(volume: CtVolume, *, slices: slice | None = None) -> float:
    """How far the edges of body and lung jump between neighbouring slices, in mm; NaN where there are too few of them.

    A proxy of our own, after the idea of comparing what lies on either side of a step with what its neighbours lead to
    expect (Cui et al., J Appl Clin Med Phys 2012;13(6):170-180, doi:10.1120/jacmp.v13i6.3838, by correlation). The
    edge between two slices has moved, on average over its length, by the area that is on one side of it in one slice
    and on the other in the next, over that length. Anatomy moves edges steadily; two things it does not do are counted,
    and the larger is given:
    - a step: the edge moves further between two slices than between the pairs before and after;
    - to and fro: the edge moves there and back, so that two slices with one between them differ less than their way.
    Half of a scan shifted sideways by d gives about 0.6 d. What moves within one rotation (blur, double contours in a
    slice) and what moves only inside the lung does not show.

    Args:
        volume: the CT.
        slices: where to look; None is everywhere.
    """
    tissue, (high, wide) = _tissue_edges(volume, slices or slice(None))
    if len(tissue) < ENOUGH_SLICES:
        return float("nan")
    rim = (tissue[:, :, 1:] != tissue[:, :, :-1]).sum(axis=(1, 2)) * high
    rim = (rim + (tissue[:, 1:] != tissue[:, :-1]).sum(axis=(1, 2)) * wide) * np.pi / 4  # Cauchy's: staircase to length
    if np.median(rim) < ENOUGH_EDGE_MM:
        return float("nan")

    def moved(apart: int) -> np.ndarray:
        changed = (tissue[apart:] != tissue[:-apart]).sum(axis=(1, 2)) * high * wide
        return changed / np.maximum((rim[apart:] + rim[:-apart]) / 2, ENOUGH_EDGE_MM)

    way = moved(1)
    there_and_back = (way[:-1] + way[1:] - moved(2)) / 2
    before, after = way[:-2], way[2:]
    step = way[1:-1] - np.maximum(before, after)
    return float(max(0.0, there_and_back.max(), step.max()))


def _tissue_edges(volume: CtVolume, slices: slice) -> tuple[np.ndarray, tuple[float, float]]:
    """What is tissue in each slice (bool), on pixels of about 2 mm and smoothed, and the size of those pixels."""
    planes = volume.hu[slices]
    pixels, sizes = planes.shape[1:], volume.spacing_mm[1:]
    sy, sx = (min(n, max(1, round(EDGE_GRID_MM / size))) for n, size in zip(pixels, sizes, strict=True))
    ny, nx = pixels[0] // sy, pixels[1] // sx
    size = (sy * sizes[0], sx * sizes[1])
    found = np.empty((len(planes), ny, nx), dtype=bool)
    for k, plane in enumerate(planes):
        rows = sum((plane[i : ny * sy : sy] for i in range(1, sy)), plane[: ny * sy : sy].astype(np.int32))
        mean = sum((rows[:, i : nx * sx : sx] for i in range(1, sx)), rows[:, : nx * sx : sx]) / np.float32(sy * sx)
        found[k] = gaussian_filter(mean, EDGE_SMOOTH_MM / np.array(size)) > EDGE_HU
    return found, size


def streaks_hu(volume: CtVolume, *, slices: slice | None = None, n_slices: int = 16) -> float:
    """How strong structure that runs in one direction is in soft tissue, as a standard deviation in HU; a proxy.

    Streaks of metal, dense contrast or photon starvation change fast across and hardly along themselves; Imai et al.
    (Br J Radiol 2007;80:911-918, doi:10.1259/bjr/93741044) measure them by the largest differences across. Here, in
    tiles of 24 mm, the second differences along rows and columns and along the two diagonals are compared: noise is
    alike in both of a pair, whatever its strength, and the root of the difference of their squares is what has a
    direction. Medians within a tile keep edges of organs out. Of each slice the strongest tenth of the tiles counts,
    less what noise as strong as that along the streaks shows by chance; of all slices the strongest tenth. Weak streaks
    in strong noise are not seen. NaN where there is too little soft tissue.

    Args:
        volume: the CT.
        slices: where to look; None is everywhere.
        n_slices: how many slices, evenly spread, are looked at.
    """
    first, stop, _ = (slices or slice(None)).indices(volume.shape[0])
    chosen = np.unique(np.linspace(first, stop - 1, n_slices).round().astype(int))
    pixel = float(np.mean(volume.spacing_mm[1:]))
    found = [value for z in chosen if np.isfinite(value := _streaks_of_slice(volume.hu[z], pixel_mm=pixel))]
    return float(np.percentile(found, 90)) if found else float("nan")


def _streaks_of_slice(plane: np.ndarray, *, pixel_mm: float) -> float:
    values = plane.astype(np.float32)
    # Wide enough that streaks and noise average out; air or bone nearby leads out of the range.
    smooth = uniform_filter(values, max(5, round(SMOOTH_MM / pixel_mm)))
    soft = binary_erosion((smooth > TISSUE_HU[0]) & (smooth < TISSUE_HU[1]), iterations=2)
    around = np.pad(values, 1, mode="edge")
    ahead = (around[1:-1, 2:], around[2:, 1:-1], around[2:, 2:], around[2:, :-2])  # row, column, both diagonals
    behind = (around[1:-1, :-2], around[:-2, 1:-1], around[:-2, :-2], around[:-2, 2:])
    differences = [np.abs(a + b - 2 * values) for a, b in zip(ahead, behind, strict=True)]
    tile = max(TILE_PIXELS, round(TILE_MM / pixel_mm))
    rows = []
    for y in range(0, plane.shape[0] - tile + 1, tile):
        for x in range(0, plane.shape[1] - tile + 1, tile):
            box = np.s_[y : y + tile, x : x + tile]
            if soft[box].mean() >= TILE_FILLED:
                rows.append([np.median(difference[box][soft[box]]) for difference in differences])
    if len(rows) < ENOUGH_TILES:
        return float("nan")
    square = (np.array(rows) / (np.sqrt(6.0) * MAD_PER_SIGMA)) ** 2  # 6 = sum of squares of 1, -2, 1
    directed = np.hypot(square[:, 0] - square[:, 1], square[:, 2] - square[:, 3])
    # Along a streak there is only noise. Smooth noise is weaker along the axes, whose steps are shorter.
    shorter = np.median(square[:, :2].sum(axis=1)) / max(float(np.median(square[:, 2:].sum(axis=1))), 1e-9)
    without = np.minimum(square[:, :2].min(axis=1), shorter * square[:, 2:].min(axis=1))
    return float(np.sqrt(max(0.0, np.percentile(directed, 90) - BY_CHANCE**2 * np.median(without))))


def _cut_fraction(mask: np.ndarray, volume: CtVolume) -> float:
    """Part of a mask's surface voxels at the edge of the scan or beside padding."""
    unseen = np.ones(np.array(mask.shape) + 2, dtype=bool)
    unseen[1:-1, 1:-1, 1:-1] = False if volume.padding is None else volume.padding
    box = tuple(slice(max(0, places.min() - 1), places.max() + 4) for places in np.nonzero(mask))
    tumour, unseen = np.pad(mask, 1)[box], unseen[box]
    surface = tumour & ~binary_erosion(tumour)
    return float((surface & binary_dilation(unseen)).sum() / surface.sum())


def _outside_fraction(volume: CtVolume, centre: np.ndarray, size_mm: float) -> float:
    """Part of a cube on the patient's axes that lies beyond the scan or in its padding, on a 17-point lattice."""
    steps = np.linspace(-0.5, 0.5, 17) * size_mm
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    index = np.rint(volume.to_voxel(centre + lattice)).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(axis=1)
    if volume.padding is not None:
        inside[inside] &= ~volume.padding[tuple(index[inside].T)]
    return float(1.0 - inside.mean())
