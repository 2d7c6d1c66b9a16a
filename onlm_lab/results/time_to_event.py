"""What a statistic of time found: survival, incidence, hazards, follow-up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.results.chi_square import ChiSquareTest
from onlm_lab.results.frozen import Estimate, result
from onlm_lab.showing import shows_itself


@shows_itself
@dataclass(frozen=True)
class LogRank:
    """Log-rank test over the groups."""

    chi2: float
    df: int
    p_value: float
    note: str = ""


@result
class SurvivalCurves:
    """Kaplan-Meier by group. `curve`: group, days, survival, low, high (log-log), at_risk, n_events, n_censored.
    `median`: group, days, low, high (NaN: not reached). `log_rank`: chi2, df, p_value; NaN with one group.
    `groups`: group, n, n_events, followup_days (median by reverse Kaplan-Meier)."""

    curve: pd.DataFrame
    median: pd.DataFrame
    log_rank: LogRank
    groups: pd.DataFrame
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def at(self, *, days: list[float]) -> pd.DataFrame:
        """The curve's columns at given days: S(t) of the last step at or before t.

        NaN beyond the last follow-up, but where the last patients all had an event: then nothing can change any more.

        `at_risk` counts patients with time >= t; n_events and n_censored are counted since the previous asked day.
        """
        return _step_table(self.curve, days=days, keys=["group"], carried=["survival", "low", "high"])


@result
class IncidenceCurves:
    """Aalen-Johansen cumulative incidence by group and cause. `curve`: group, cause, days, incidence, low, high
    (log-log), at_risk, n_events, n_censored. `gray_test`: cause, chi2, df, p_value."""

    curve: pd.DataFrame
    gray_test: pd.DataFrame
    groups: pd.DataFrame
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def at(self, *, days: list[float]) -> pd.DataFrame:
        """The curve's columns at given days; as SurvivalCurves.at."""
        return _step_table(self.curve, days=days, keys=["group", "cause"], carried=["incidence", "low", "high"])


@result
class HazardModel:
    """A fitted hazard model. `table`: covariate, unit, coef, se, hr, low, high, p_value. `concordance`: Harrell.
    `ph_test`: covariate incl. GLOBAL, chi2, df, p_value (exact score test, Grambsch and Therneau). `likelihood_ratio`,
    `wald`, `score`: tests that no covariate matters. `uno`: Uno's C of the linear predictor up to the stated day."""

    table: pd.DataFrame
    concordance: Estimate
    ph_test: pd.DataFrame
    endpoint: str
    method: str
    log_likelihood: float
    log_likelihood_null: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    likelihood_ratio: ChiSquareTest = ChiSquareTest()
    wald: ChiSquareTest = ChiSquareTest()
    score: ChiSquareTest = ChiSquareTest()
    uno: Estimate = Estimate(math.nan)
    aic: float = math.nan


@result
class Interaction:
    """Hazard ratio of a treatment in each group, fitted in the group alone, and the likelihood-ratio test that they are
    equal. `table`: group, hr, low, high, n, n_events; `contrast`: which level against which."""

    table: pd.DataFrame
    chi2: float
    df: int
    p_value: float
    contrast: str
    endpoint: str
    treatment: str
    group: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class Rmst:
    """Mean days lived up to `tau_days`, by group. `table`: group, rmst_days, low, high, n, n_events. `difference`: the
    last group minus the first, in days; NaN with other than two groups. `p_value`: of that difference. `ratio`: the
    last group over the first, its interval on the log scale, with `ratio_p_value`. `differences`: each group against
    the first, however many: group, difference, low, high, p_value, ratio, ratio_low, ratio_high, ratio_p_value."""

    table: pd.DataFrame
    difference: Estimate
    tau_days: float
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    differences: pd.DataFrame = field(default_factory=pd.DataFrame)
    p_value: float = math.nan
    ratio: Estimate = Estimate(math.nan)
    ratio_p_value: float = math.nan


@result
class FollowUp:
    """How long patients were followed. `table`: group ("all" first), n, n_deaths, median_days with low and high
    (reverse Kaplan-Meier), alive_median_days, alive_min_days, alive_max_days (observed, of those alive), completeness
    (NaN without a planned length)."""

    table: pd.DataFrame
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _asked_days(days: list[float]) -> list[float]:
    try:
        grid = sorted(float(d) for d in days)
    except (TypeError, ValueError):
        grid = []
    if not grid or not all(d >= 0 for d in grid):
        raise OnlmError(f"at: days must be a list of days from 0 on, such as days=[365, 730], got {days!r}.")
    return grid


def _step_table(curve: pd.DataFrame, *, days: list[float], keys: list[str], carried: list[str]) -> pd.DataFrame:
    """Read step curves at given days, group by group (rows must be sorted by days within a group)."""
    grid = np.array(_asked_days(days))
    code = np.zeros(len(curve), dtype=int)
    for key in keys:
        number, names = pd.factorize(curve[key])
        code = code * len(names) + number
    columns = {name: curve[name].to_numpy() for name in (*keys, "days", *carried, "at_risk", "n_events", "n_censored")}
    starts = np.flatnonzero(np.diff(code, prepend=-1))
    if len(np.unique(code[starts])) < len(starts):  # a group in several pieces
        order = np.argsort(code, kind="stable")
        columns = {name: values[order] for name, values in columns.items()}
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    out: dict[str, list[np.ndarray]] = {}
    for low, high in zip(starts, [*starts[1:], len(code)], strict=True):
        steps = {name: values[low:high] for name, values in columns.items()}
        time = steps["days"].astype(float)
        reached, ahead = np.searchsorted(time, grid, side="right"), np.searchsorted(time, grid, side="left")
        ends = steps["n_censored"][-1] > 0  # else nobody is left who could change the curve
        known = (reached > 0) & ~(ends & (grid > time[-1]))
        at = np.maximum(reached - 1, 0)
        table = {key: np.repeat(steps[key][:1], len(grid)) for key in keys} | {"days": grid}
        table |= {name: np.where(known, steps[name][at].astype(float), np.nan) for name in carried}
        table["at_risk"] = np.r_[steps["at_risk"], 0][ahead].astype(int)
        for name in ("n_events", "n_censored"):
            table[name] = np.diff(np.r_[0, np.r_[0, np.cumsum(steps[name])][reached]]).astype(int)
        for name, values in table.items():
            out.setdefault(name, []).append(values)
    return pd.DataFrame({name: np.concatenate(parts) for name, parts in out.items()})
