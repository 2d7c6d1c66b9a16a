"""What a statistic of time found: survival, incidence, hazards, follow-up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.results.frozen import Estimate, result


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
    `ph_test`: covariate incl. GLOBAL, chi2, df, p_value (exact score test, Grambsch and Therneau)."""

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
    last group minus the first, in days; NaN with other than two groups."""

    table: pd.DataFrame
    difference: Estimate
    tau_days: float
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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
    out = []
    grid = _asked_days(days)
    for key, steps in curve.groupby(keys, sort=False, observed=True):
        time = steps["days"].to_numpy(float)
        last = time.max() if steps["n_censored"].iloc[-1] else math.inf  # nobody left who could change the curve
        before = -math.inf
        for day in grid:
            row = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True)) | {"days": day}
            at = int((time <= day).sum()) - 1
            for name in carried:
                row[name] = float(steps[name].iloc[at]) if 0 <= at and day <= last else math.nan
            ahead = steps[time >= day]
            row["at_risk"] = int(ahead["at_risk"].iloc[0]) if len(ahead) else 0
            window = steps[(time > before) & (time <= day)]
            row["n_events"] = int(window["n_events"].sum())
            row["n_censored"] = int(window["n_censored"].sum())
            before = day
            out.append(row)
    return pd.DataFrame(out)
