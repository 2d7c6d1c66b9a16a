"""How noisy a CT is in soft tissue."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, uniform_filter

from onlm_lab.imaging.volume import CtVolume

SOFT_TISSUE_HU = (0.0, 100.0)
WINDOW_MM, LEAST_PIXELS = 9.0, 5
ENOUGH = 500  # windows
BINS_HU = np.geomspace(0.5, 500.0, 235)  # 3 % wide; below the first, no noise that a CT stores in whole HU
SMOOTHED_BINS = 2.0


def noise_hu(volume: CtVolume, *, n_slices: int = 9) -> float:
    """Standard deviation of the noise in soft tissue, in HU; NaN where a scan shows too little of it.

    The global noise level of Christianson et al. (AJR Am J Roentgenol 2015;205:W93-W99, doi:10.2214/AJR.14.13613): the
    standard deviation in a small window round every pixel of soft tissue, and of all windows the value that is most
    frequent, which is that of windows on one tissue. It is what a region of interest in muscle or blood would read,
    whatever the kernel and the size of the pixels. A window of 9 mm hides the part of the noise that is coarser.

    Args:
        volume: the CT.
        n_slices: how many slices, evenly spread, are looked at.
    """
    chosen = np.unique(np.linspace(0, volume.shape[0] - 1, n_slices).round().astype(int))
    window = max(LEAST_PIXELS, 2 * round(WINDOW_MM / float(np.mean(volume.spacing_mm[1:])) / 2) + 1)
    counts = np.zeros(len(BINS_HU) + 1)
    for z in chosen:
        plane = volume.hu[z].astype(np.float64)
        mean = uniform_filter(plane, window)
        soft = (mean >= SOFT_TISSUE_HU[0]) & (mean <= SOFT_TISSUE_HU[1])
        if volume.padding is not None:
            soft &= ~volume.padding[z]
        variance = uniform_filter(plane**2, window)[soft] - mean[soft] ** 2
        deviation = np.sqrt(np.maximum(variance, 0.0) * window**2 / (window**2 - 1))
        counts += np.bincount(np.digitize(deviation, BINS_HU), minlength=len(counts))
    if counts.sum() < ENOUGH:
        return float("nan")
    if counts[0] > counts.sum() / 2:
        return 0.0
    widths = np.diff(BINS_HU, prepend=0.0, append=np.inf)
    most = int(np.argmax(gaussian_filter1d(counts, SMOOTHED_BINS, mode="constant") / widths))
    return float(np.sqrt(BINS_HU[max(most, 1) - 1] * BINS_HU[max(most, 1)]))
