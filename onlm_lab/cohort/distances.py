"""How far two groups are apart in one characteristic, in numbers that do not depend on how many patients there are.

|difference| / sqrt of the mean variance (Austin, Stat Med 2009;28:3083, doi:10.1002/sim.3697), for categories its
multinomial form (Yang & Dalton, SAS Global Forum 2012, 335).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Numbers:
    """Of one number in one group; NaN where nothing is known, the spread where fewer than two are."""

    n: int
    n_missing: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    low: float
    high: float


def numbers_of(known: np.ndarray, *, n_missing: int) -> Numbers:
    """What Table 1 says of the known values of one group."""
    n = len(known)
    if not n:
        return Numbers(0, n_missing, *([math.nan] * 7))
    low, high = float(known.min()), float(known.max())
    if low == high:  # the dust of a sum must not pass for a spread: 100 times 0.1 have none
        return Numbers(n, n_missing, low, 0.0 if n > 1 else math.nan, low, low, low, low, low)
    with np.errstate(over="ignore", invalid="ignore"):  # a spread beyond all numbers is told as such, not warned of
        q1, median, q3 = (float(v) for v in np.quantile(known, [0.25, 0.5, 0.75]))
        mean, sd = float(known.mean()), float(np.std(known, ddof=1))
    return Numbers(n, n_missing, mean, sd, median, q1, q3, low, high)


def number_distance(a: Numbers, b: Numbers) -> float:
    """Distance of two groups in a number; NaN where one has fewer than two known values."""
    if min(a.n, b.n) < 2:
        return math.nan
    spread, gap = math.hypot(a.sd, b.sd) / math.sqrt(2), abs(a.mean - b.mean)
    return gap / spread if spread > 0 else (0.0 if gap == 0 else math.nan)


def share_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two groups from their counts of each level; levels that neither has do not matter."""
    if a.sum() == 0 or b.sum() == 0:
        return math.nan
    seen = (a + b) > 0
    p, q = (a[seen] / a.sum())[1:], (b[seen] / b.sum())[1:]
    if not len(p):
        return 0.0
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if np.linalg.matrix_rank(covariance, tol=1e-10) < len(p):
        return 0.0 if np.allclose(p, q) else math.nan
    return float(np.sqrt((p - q) @ np.linalg.solve(covariance, p - q)))


def standardised_difference(a: pd.Series, b: pd.Series, *, numeric: bool) -> float:
    """Absolute standardised mean difference of two groups, known values only; NaN where it cannot be computed.

    |difference| / sqrt of the mean variance (Austin, Stat Med 2009;28:3083, doi:10.1002/sim.3697), for categories its
    multinomial form (Yang & Dalton, SAS Global Forum 2012, 335).
    """
    a, b = a.dropna(), b.dropna()
    if numeric:
        return number_distance(*(numbers_of(s.to_numpy(float), n_missing=0) for s in (a, b)))
    levels = sorted(set(a) | set(b), key=str)
    return share_distance(*(np.array([int((s == level).sum()) for level in levels]) for s in (a, b)))
