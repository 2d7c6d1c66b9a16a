"""P values of the normal and the chi-squared distribution, from scipy.special: scipy.stats takes a second to load."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, ndtr


def normal_tails(z: float | np.ndarray) -> float | np.ndarray:
    """The two-sided P value of a standard normal statistic; NaN stays NaN."""
    return 2 * ndtr(-np.abs(z))


def chi2_tail(chi2: float, df: int) -> float:
    """The upper tail of the chi-squared distribution; NaN without degrees of freedom."""
    return float(chdtrc(df, chi2)) if df > 0 else float("nan")
