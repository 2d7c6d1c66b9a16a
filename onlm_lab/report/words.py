"""Numbers and names as a reader says them."""

from __future__ import annotations

import pandas as pd

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.panels.cohort import characteristic
from onlm_lab.results import Estimate

SPLITS = {
    "oof": "internal testing (out-of-fold)", "test": "internal testing (held-out patients)",
    "external": "external testing", "temporal": "temporal testing",
}  # fmt: skip


def share(n: int, of: int) -> str:
    """'48 of 51 (94 %)'."""
    return f"{n:,} of {of:,} ({theme.percent(n / of)})" if of else f"{n:,} of 0"


def ratio(estimate: Estimate, *, counts: str = "") -> str:
    """A fraction as a percentage with its interval, and the counts behind it."""
    said = theme.with_interval(estimate, as_percent=True)
    return f"{said}; {counts}" if counts else said


def middle(values: pd.Series, *, digits: int = 0) -> str:
    """'14 (10 to 18)': median and quartiles, these only where they differ; says so where nothing is known."""
    known = values.dropna()
    if known.empty:
        return "not recorded"
    found = [float(known.quantile(q)) for q in (0.25, 0.5, 0.75)]
    if digits == 0 and any(value % 1 for value in found):
        digits = 1
    low, mid, high = (theme.number(value, digits=digits) for value in found)
    return mid if low == high else f"{mid} ({low} to {high})"


def read_and_left(flow: pd.DataFrame) -> tuple[int, int]:
    """How many rows a public table had, and how many its last rule left."""
    steps = figures.flow_counts(flow)
    return int(steps["n_in"].iloc[0]), int(steps["n_left"].iloc[-1])


def column(name: str) -> str:
    """A column's name in words, with its unit."""
    return characteristic(name)


def plural(n: int, one: str, many: str = "") -> str:
    """'1 patient', '2 patients'."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def p_cell(value: float) -> str:
    """A P value for a table's cell: '0.032', '< 0.001', or a dash."""
    return theme.p_value(value).removeprefix("P ").removeprefix("= ").replace(" ", "\u00a0") or "–"
