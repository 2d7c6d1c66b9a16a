"""Judges whether a CT is good enough to measure and to learn from, with a score and its reasons."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.ndimage import convolve, uniform_filter

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.volume import CtVolume

SECOND_DIFFERENCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
MAD_PER_SIGMA = 0.67449  # median of |x| for a normal x with standard deviation 1
SOFT_TISSUE_HU = (0.0, 100.0)
ENOUGH_PIXELS = 500


@dataclass(frozen=True)
class QualityLimits:
    """What counts as good enough. These are settings of a study, not clinical thresholds; a report names them."""

    max_spacing_mm: float = 3.0
    max_thickness_mm: float = 3.0
    max_pixel_mm: float = 1.0
    max_gap_mm: float = 0.5
    max_noise_hu: float = 60.0
    max_outside_fraction: float = 0.05


@dataclass(frozen=True)
class Quality:
    """How good a CT is for this tumour.

    Attributes:
        score: part of the checks that could be made and were passed, 0 to 1.
        reasons: one sentence for each check that failed.
        unchecked: names of checks that could not be made (no thickness in the header, no soft tissue).
        spacing_mm, thickness_mm, pixel_mm: geometry; gap_mm is what lies between neighbouring slices unseen.
        noise_hu: standard deviation of the noise in soft tissue, a proxy.
        outside_fraction: part of the cube around the tumour that lies beyond the scan.
    """

    score: float
    reasons: tuple[str, ...]
    unchecked: tuple[str, ...]
    spacing_mm: float
    thickness_mm: float
    pixel_mm: float
    gap_mm: float
    noise_hu: float
    outside_fraction: float

    def as_dict(self) -> dict[str, Any]:
        """The facts by name, reasons joined, for a table."""
        return {**asdict(self), "reasons": " ".join(self.reasons), "unchecked": ", ".join(self.unchecked)}


def assess_quality(
    volume: CtVolume,
    *,
    centre_mm: tuple[float, float, float] | None = None,
    size_mm: float | None = None,
    limits: QualityLimits | None = None,
) -> Quality:
    """Score and reasons for one CT.

    Args:
        volume: the CT.
        centre_mm: the tumour's centre x, y, z (LPS), and
        size_mm: the edge of the cube around it; without both, the field of view is not checked.
        limits: None takes the defaults.

    Raises:
        SeriesError: only one of centre_mm and size_mm was given.
    """
    if (centre_mm is None) != (size_mm is None):
        raise SeriesError("centre_mm and size_mm are wanted together; one is missing.")
    limits = QualityLimits() if limits is None else limits
    spacing, pixel = volume.spacing_mm[0], max(volume.spacing_mm[1:])
    thickness = float(volume.acquisition.get("thickness_mm", float("nan")))
    gap = max(0.0, spacing - thickness) if np.isfinite(thickness) else float("nan")
    noise = noise_hu(volume)
    outside = float("nan") if centre_mm is None else _outside_fraction(volume, np.asarray(centre_mm, float), size_mm)
    checks = (
        ("spacing", spacing, limits.max_spacing_mm, "Slices lie {:.2f} mm apart, more than {:g} mm."),
        ("thickness", thickness, limits.max_thickness_mm, "Slices are {:.2f} mm thick, more than {:g} mm."),
        ("pixel", pixel, limits.max_pixel_mm, "Pixels are {:.2f} mm wide, more than {:g} mm."),
        ("gap", gap, limits.max_gap_mm, "{:.2f} mm between slices are not imaged, more than {:g} mm."),
        ("noise", noise, limits.max_noise_hu, "Noise in soft tissue is {:.0f} HU, more than {:g} HU."),
        (
            "field_of_view",
            outside,
            limits.max_outside_fraction,
            "{:.2f} of the cube around the tumour lies beyond the scan, more than {:g}.",
        ),
    )
    made = [check for check in checks if np.isfinite(check[1])]
    failed = [check for check in made if check[1] > check[2]]
    return Quality(
        score=1.0 - len(failed) / len(made),
        reasons=tuple(text.format(value, limit) for _, value, limit, text in failed),
        unchecked=tuple(name for name, value, _, _ in checks if not np.isfinite(value)),
        spacing_mm=spacing,
        thickness_mm=thickness,
        pixel_mm=pixel,
        gap_mm=gap,
        noise_hu=noise,
        outside_fraction=outside,
    )


def noise_hu(volume: CtVolume, *, n_slices: int = 9) -> float:
    """Standard deviation of the noise in soft tissue, in HU; NaN where a scan shows too little of it.

    The second difference of Immerkaer (Comput Vis Image Underst 1996;64:300-302, doi:10.1006/cviu.1996.0060), which
    structure of constant slope leaves at zero, with the median in place of the mean so that edges do not count. It
    takes the noise as white; a smooth kernel therefore reads lower than its region-of-interest deviation.

    Args:
        volume: the CT.
        n_slices: how many slices, evenly spread, are looked at.
    """
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, n_slices).round().astype(int))
    found = []
    for z in chosen:
        plane = volume.hu[z].astype(np.float32)
        local = uniform_filter(plane, 3)
        soft = (local >= SOFT_TISSUE_HU[0]) & (local <= SOFT_TISSUE_HU[1])
        found.append(np.abs(convolve(plane, SECOND_DIFFERENCE))[soft])
    differences = np.concatenate(found)
    if differences.size < ENOUGH_PIXELS:
        return float("nan")
    return float(np.median(differences) / (6.0 * MAD_PER_SIGMA))  # 6 = root of the kernel's sum of squares


def _outside_fraction(volume: CtVolume, centre: np.ndarray, size_mm: float) -> float:
    """Part of a cube on the patient's axes that lies beyond the scan or in its padding, on a 17-point lattice."""
    steps = np.linspace(-0.5, 0.5, 17) * size_mm
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    index = np.rint(volume.to_voxel(centre + lattice)).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(axis=1)
    if volume.padding is not None:
        inside[inside] &= ~volume.padding[tuple(index[inside].T)]
    return float(1.0 - inside.mean())
