"""What the sample sizes share: arguments that make sense, the least size that will do, and how criteria are told."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

Z = 1.96  # as the papers and pmsampsize have it
R2_DIFFERENCE = 0.05
MOST = 10**9


def whole_size(value: float) -> float:
    """A size without the dust of floating point, so that 500.0000000001 is not 501."""
    return round(value, 8)


def least_size(first: int, holds: Callable[[int], bool]) -> int:
    """The least whole number from `first` on for which a condition holds that stays true once it is."""
    if holds(first):
        return first
    low, high = first, 2 * first + 1
    while not holds(high):
        low, high = high, 2 * high
        if high > MOST:
            raise OnlmError(f"Sample size: more than {MOST:,} patients would be needed. Ask for less precision.")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def criteria_table(
    whole: dict[str, int], said: dict[str, str], shrinkage: dict[str, float], *, n_parameters: int,
    events_per_patient: float,
) -> pd.DataFrame:  # fmt: skip
    """A row a criterion, with what its size means a parameter."""
    sizes = np.array(list(whole.values()))
    events = sizes * events_per_patient
    return pd.DataFrame({
        "criterion": list(whole), "means": [said[name] for name in whole], "n": sizes, "n_events": events,
        "events_per_parameter": events / n_parameters, "patients_per_parameter": sizes / n_parameters,
        "shrinkage": [shrinkage[name] for name in whole], "drives": [name == driver_of(whole) for name in whole],
    })  # fmt: skip


def driver_of(whole: dict[str, int]) -> str:
    """The criterion that asks for most."""
    return max(whole, key=lambda name: whole[name])


def sentence_of(required: int, driver: str, n: int | None) -> str:
    """How many are needed, why, and whether the study at hand has them."""
    said = f"{required:,} patients are needed; the criterion '{driver}' asks for most."
    if n is None:
        return said
    if n >= required:
        return f"{said} The study has {n:,}: enough."
    return f"{said} The study has {n:,}: not enough, {required - n:,} more are needed."


def fault_between(name: str, value: object, low: float, high: float) -> list[str]:
    """What is wrong with a number that must lie between two others; nothing where it is None."""
    if value is None or (isinstance(value, Real) and low < value < high):
        return []
    bounds = f"be a number above {low:g}" if high == math.inf else f"lie between {low:g} and {high:g}"
    return [f"{name} must {bounds}, got {value!r}"]


def faults_of_counts(n: object, n_events: object) -> list[str]:
    """What is wrong with the patients and events of the study at hand; both may be None."""
    faults = [
        f"{name} must be a count of patients, got {value!r}"
        for name, value, least in (("n", n, 1), ("n_events", n_events, 0))
        if value is not None and not is_whole(value, least=least)
    ]
    if not faults and n_events is not None and (n is None or n_events > n):  # type: ignore[operator]
        faults.append(f"n_events are the events of n patients, got {n_events!r} of {n!r}")
    return faults


def is_whole(value: object, *, least: int) -> bool:
    """Whether a value is a whole number of at least this."""
    return isinstance(value, Real) and math.isfinite(value) and value == int(value) and value >= least
