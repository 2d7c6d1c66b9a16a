"""From bootstrap replicates to an interval: percentiles, plain or corrected for bias and skewness (BCa)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri

from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.resampling import percentile_interval
from onlm_lab.results import Estimate

LEAST_SHARE = 0.5  # of the samples must have a number, else there is no interval
FEW = 10  # N+ or N0 patients: with fewer a bootstrap interval is said to be too narrow


def percentile(
    value: float, replicates: np.ndarray, *, level: float, method: str = "bootstrap, percentile"
) -> Estimate:
    """The value with the percentiles of its replicates (NaN replicates left out); NaN limits with the reason.

    Args:
        value: the statistic of the data.
        replicates: (samples,) the statistic of each bootstrap sample.
        level: coverage of the interval.
        method: how the interval is called.
    """
    normal_quantile(level)
    used = replicates[np.isfinite(replicates)]
    why = _no_interval(value, used, len(replicates))
    if why:
        return Estimate(value, level=level, method=method, note=why)
    low, high = percentile_interval(used, level=level)
    return Estimate(value, float(low), float(high), level, method)


def bca(value: float, replicates: np.ndarray, *, acceleration: float, level: float) -> tuple[Estimate, float]:
    """The bias-corrected and accelerated interval, and the bias correction z0.

    Efron 1987, doi:10.1080/01621459.1987.10478410. Replicates equal to the value count half in z0.

    Args:
        value: the statistic of the data.
        replicates: (samples,) the statistic of each bootstrap sample.
        acceleration: from the jackknife, see `acceleration_of`.
        level: coverage of the interval.
    """
    method, z = "bootstrap, BCa", normal_quantile(level)
    used = replicates[np.isfinite(replicates)]
    why = _no_interval(value, used, len(replicates))
    if why:
        return Estimate(value, level=level, method=method, note=why), math.nan
    z0 = float(ndtri((np.mean(used < value) + np.mean(used <= value)) / 2))
    if not math.isfinite(z0) or not math.isfinite(acceleration):
        why = "the jackknife has no number" if math.isfinite(z0) else "the value lies outside all its replicates"
        return Estimate(value, level=level, method=method, note=f"no interval: {why}"), z0
    below, above = 1 - acceleration * (z0 - z), 1 - acceleration * (z0 + z)
    if min(below, above) <= 0:
        return Estimate(value, level=level, method=method, note="no interval: the statistic is too skew for BCa"), z0
    at = 100 * ndtr(np.array([z0 + (z0 - z) / below, z0 + (z0 + z) / above]))
    low, high = np.percentile(used, at)
    return Estimate(value, float(low), float(high), level, method), z0


def acceleration_of(groups: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Acceleration a of BCa from leave-one-out values, one group a stratum (Davison and Hinkley 1997, section 5.4.1).

    Args:
        groups: per stratum the statistic without one patient, and how many patients give that value.
    """
    cubes = squares = 0.0
    for without, times in groups:
        n = float(times.sum())
        pull = (n - 1) * (float(times @ without) / n - without)
        cubes += float(times @ pull**3) / n**3
        squares += float(times @ pull**2) / n**2
    return cubes / (6 * squares**1.5) if squares > 0 else math.nan


def few_notes(n_events: int, n: int) -> list[str]:
    """A sentence where so few patients of a class are there that resampling them shows too little of the chance."""
    said = []
    for count, name in ((n_events, "N+"), (n - n_events, "N0")):
        if 0 < count < FEW:
            said.append(f"only {count} {name} patients: a bootstrap interval is too narrow with fewer than {FEW}")
    return said


def unused_note(replicates: np.ndarray, *, what: str) -> list[str]:
    """How many samples had no number, if any."""
    lost = int(np.count_nonzero(~np.isfinite(replicates)))
    return [f"{lost} of {len(replicates)} bootstrap samples had no {what} and were left out"] if lost else []


def _no_interval(value: float, used: np.ndarray, n_resamples: int) -> str:
    if not math.isfinite(value):
        return "the patients have no such value"
    if len(used) < LEAST_SHARE * n_resamples or len(used) < 2:
        return f"no interval: only {len(used)} of {n_resamples} bootstrap samples have a value"
    if np.ptp(used) <= 1e-12 * max(1.0, abs(value)):
        return "no interval: every bootstrap sample has the same value"
    return ""
