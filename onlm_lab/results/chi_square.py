"""A test whose statistic is a chi-square."""

from __future__ import annotations

import math
from dataclasses import dataclass

from onlm_lab.showing import shows_itself


@shows_itself
@dataclass(frozen=True)
class ChiSquareTest:
    """A chi-square with its degrees of freedom and P; NaN where it cannot be had (then `note` says why)."""

    chi2: float = math.nan
    df: int = 0
    p_value: float = math.nan
    note: str = ""
