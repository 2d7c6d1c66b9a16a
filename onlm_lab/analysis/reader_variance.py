"""The mean over several readers of the same patients, and how much it would vary: Obuchowski and Rockette's model."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from onlm_lab.results import Estimate


class Average(NamedTuple):
    """The mean over readers with what its interval rests on.

    `ms_readers`: variance between the readers' values; `variance`: mean variance of one reader's value over patients;
    `covariance`: mean covariance of two readers' values, who read the same patients.
    """

    value: float
    se: float
    df: float
    ms_readers: float
    variance: float
    covariance: float

    @property
    def p_value(self) -> float:
        """Two-sided, against 0; NaN where there is no standard error."""
        if not self.se > 0:
            return math.nan
        t = -abs(self.value) / self.se
        return float(2 * (ndtr(t) if math.isinf(self.df) else stdtr(self.df, t)))


def average_over_readers(event: np.ndarray | None, nonevent: np.ndarray | None, *, fixed: bool) -> Average:
    """The mean over readers, and its standard error over patients and, unless they are fixed, over readers.

    Obuchowski and Rockette 1995 (doi:10.1080/03610919508813243) with the degrees of freedom of Hillis 2007
    (doi:10.1002/sim.2532), in the form for one treatment. Of differences between two treatments it gives what the form
    for two gives, since MS(D) = 2 MS(TR) and Cov(D) = 2 (Cov2 - Cov3). A negative mean covariance counts as 0.

    Args:
        event: (readers, N+) what each N+ patient adds to the mean: placements, calls, or differences of them; None
            where the value rests on N0 alone.
        nonevent: (readers, N0) the same of N0 patients.
        fixed: True: these very readers, not readers like them. One reader is always fixed.
    """
    parts = [part for part in (event, nonevent) if part is not None]
    values = parts[0].mean(axis=1)
    covariances = sum(_covariance_of_means(part) for part in parts)
    r = len(values)
    variance = float(np.diag(covariances).mean())
    covariance = float(covariances[~np.eye(r, dtype=bool)].mean()) if r > 1 else 0.0
    shared = max(covariance, 0.0) if not math.isnan(covariance) else math.nan
    ms = float(np.var(values, ddof=1)) if r > 1 else math.nan
    if fixed or r == 1:
        se, df = math.sqrt(max(variance + (r - 1) * shared, 0.0) / r), math.inf
    else:
        total = ms + r * shared
        se, df = math.sqrt(total / r), (total**2 / (ms**2 / (r - 1)) if ms > 0 else math.inf)
    return Average(float(values.mean()), se, df, ms, variance, covariance)


def as_estimate(average: Average, *, level: float, least: float, fixed: bool) -> Estimate:
    """The mean with its interval, clipped to [least, 1].

    Args:
        average: of `average_over_readers`.
        level: coverage.
        least: 0 for a value, -1 for a difference.
        fixed: as it was made.
    """
    method = "Obuchowski-Rockette, fixed readers" if fixed else "Obuchowski-Rockette, Hillis"
    if math.isnan(average.se):
        return Estimate(average.value, level=level, method=method, note="a variance needs two N+ and two N0 patients")
    if average.se == 0:
        return Estimate(average.value, level=level, method=method, note="no interval: nothing varies")
    tail = 0.5 + level / 2
    half = average.se * float(ndtri(tail) if math.isinf(average.df) else stdtrit(average.df, tail))
    return Estimate(average.value, max(least, average.value - half), min(1.0, average.value + half), level, method)


def _covariance_of_means(part: np.ndarray) -> np.ndarray:
    """(readers, readers) covariances of the readers' means over the patients; NaN from fewer than two patients."""
    readers, n = part.shape
    if n < 2:
        return np.full((readers, readers), math.nan)
    apart = part - part.mean(axis=1, keepdims=True)
    return np.einsum("ik,jk->ij", apart, apart) / ((n - 1) * n)
