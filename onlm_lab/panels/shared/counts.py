"""Counts in fives, and shares that are made of such counts.

Rounding to a base hides a small cell and its complement at once: a margin less the cells that are shown is a multiple
of the base, whatever is subtracted (Hundepool et al., Statistical Disclosure Control, 2012, chapter 5,
doi:10.1002/9781118348239).
"""

from __future__ import annotations

import math

from onlm_lab.analysis.intervals import proportion
from onlm_lab.results import Estimate

FEWEST = 5  # patients that a number must stand for; also what counts are rounded to
FEWEST_LEFT = 20  # patients to whom a page may be restricted, and whom such a choice must leave
FEW = f"<{FEWEST}"
ROUNDED = (
    f'Shared page: counts are rounded to the nearest {FEWEST}, smaller ones are given as "{FEW}" and drawn as nothing, '
    f"and percentages are those of the rounded counts. Numbers that rest on fewer than {FEWEST} patients are left out."
)


def rounded(n: float) -> int:
    """A count to the nearest multiple of five; 0 where it is one to four."""
    return 0 if n < FEWEST else FEWEST * math.floor(n / FEWEST + 0.5)


def said(n: float) -> str:
    """A count as a shared page says it: '1,465', '<5' or '0'."""
    return FEW if is_few(n) else f"{rounded(n):,}"


def cell(n: float) -> object:
    """A count as a table of a shared page holds it: a multiple of five, '<5', or None where it is not known."""
    if n is None or math.isnan(n):
        return None
    return FEW if is_few(n) else rounded(n)


def is_few(n: float) -> bool:
    """Whether a count is one to four."""
    return 0 < n < FEWEST


def share(count: float, total: float, *, of: str = "patients") -> Estimate:
    """count / total with Wilson's interval, both from the rounded counts; NaN where the part or the rest is few."""
    if total < FEWEST or is_few(count) or is_few(total - count):
        return Estimate(math.nan, note=f"fewer than {FEWEST} patients")
    whole = rounded(total)
    return proportion(min(rounded(count), whole), whole, of=of)
