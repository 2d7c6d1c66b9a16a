"""Intervals that several statistics share."""

from __future__ import annotations

import math

from scipy.special import ndtri

from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate


def normal_quantile(level: float) -> float:
    """The normal quantile of a two-sided interval at `level` (1.96 for 0.95); refuses a level outside (0, 1)."""
    if not 0 < level < 1:
        raise OnlmError(f"level must lie between 0 and 1 (0.95 for a 95 % interval), got {level}.")
    return float(ndtri(0.5 + level / 2))


def proportion(count: int, total: int, *, of: str, level: float = 0.95) -> Estimate:
    """count / total with Wilson's interval (1927, doi:10.1080/01621459.1927.10502953); NaN with a note if total is 0.

    Args:
        count: how many have it.
        total: of how many.
        of: what is counted, for the note, such as "N+ patients".
        level: coverage of the interval.
    """
    if total == 0:
        return Estimate(math.nan, level=level, method="Wilson", note=f"no {of}")
    z = normal_quantile(level)
    share, shrink = count / total, z * z / total
    centre = (share + shrink / 2) / (1 + shrink)
    half = z * math.sqrt(share * (1 - share) / total + shrink / (4 * total)) / (1 + shrink)
    low = 0.0 if count == 0 else max(0.0, centre - half)
    high = 1.0 if count == total else min(1.0, centre + half)
    return Estimate(share, low, high, level, "Wilson")


def wald(value: float, se: float, *, level: float = 0.95, method: str = "Wald") -> Estimate:
    """value with value -+ z se; NaN limits where se is NaN."""
    z = normal_quantile(level)
    return Estimate(value, value - z * se, value + z * se, level, method)
