"""What tests of groups and areas under curves found: log-rank and Gray, 1 - Kaplan-Meier, time lost to a cause."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result
from onlm_lab.results.time_to_event import LogRank


@result
class LogRankTest:
    """Whether groups die, or have the event, at the same rate.

    `table`: group, n, n_events, observed and expected (weighted where rho is above 0). `trend`: the test of a trend
    over the groups in their order, None where not asked. `pairwise`: group_a, group_b, chi2, df, p_value, p_holm, p_bh
    and p_adjusted (the one asked for); empty where not asked. `strata`: the columns within whose values groups are
    compared.
    """

    table: pd.DataFrame
    chi2: float
    df: int
    p_value: float
    trend: LogRank | None
    pairwise: pd.DataFrame
    endpoint: str
    by: str
    strata: tuple[str, ...]
    rho: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class GrayTest:
    """Whether groups have the same cumulative incidence of one cause. `table`: group, n, n_events (of the cause),
    n_competing. `pairwise`: as LogRankTest. `cause`: the state that is tested."""

    table: pd.DataFrame
    chi2: float
    df: int
    p_value: float
    pairwise: pd.DataFrame
    endpoint: str
    by: str
    cause: int
    strata: tuple[str, ...]
    rho: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class OneMinusKm:
    """What 1 - Kaplan-Meier would have read where other events compete.

    `table`: group, horizon_days, incidence with low and high (Aalen-Johansen), one_minus_km (competing events taken
    for losses), excess (one_minus_km - incidence). `curve`: group, days, incidence, low, high, one_minus_km.
    """

    table: pd.DataFrame
    curve: pd.DataFrame
    endpoint: str
    by: str
    cause: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class TimeLost:
    """Mean days lost to a cause up to `tau_days`, other events competing.

    `table`: group, days_lost, low, high, n, n_events. `difference`: the last group minus the first, in days; NaN with
    other than two groups. `differences`: each group minus the first: group, difference, low, high, p_value.
    """

    table: pd.DataFrame
    difference: Estimate
    differences: pd.DataFrame
    p_value: float
    tau_days: float
    endpoint: str
    by: str
    cause: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
