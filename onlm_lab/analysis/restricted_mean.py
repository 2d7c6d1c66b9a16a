"""Restricted mean survival time: the mean time lived up to a day tau, which needs no proportional hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.endpoint import endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.product_limit import Z95, Steps, count_steps, survival
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, Rmst


def rmst(
    rows: pd.DataFrame, *, endpoint: str, by: str | None = None, tau_days: float, model: str | None = None
) -> Rmst:
    """Mean days lived (or free of the event) up to `tau_days`, by group, and the difference of two groups.

    The area under Kaplan-Meier to tau, with Greenwood's variance (Royston and Parmar 2013,
    doi:10.1186/1471-2288-13-152); equal to R's survRM2 and survfit(rmean=).

    Args:
        rows: one row a patient with {endpoint}_days and {endpoint}_event.
        endpoint: such as "os".
        by: a column of categories, a boolean or a number with few values; None: one group, "all".
        tau_days: the day up to which life is counted; every group must be followed as long.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: competing events; tau_days not above zero or beyond a group's follow-up.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [5, 8, 8, 20], "os_event": [1, 0, 1, 0]})
        >>> rmst(rows, endpoint="os", tau_days=10).table["rmst_days"].round(6).tolist()
        [8.25]
    """
    if endpoint_kind(rows, endpoint=endpoint) == "state":
        raise OnlmError(
            f"'{endpoint}' has competing events, so the area under Kaplan-Meier is no mean time. "
            f'Use cumulative_incidence(rows, endpoint="{endpoint}"), or an endpoint such as "os" or "rfs".'
        )
    if not (np.isfinite(tau_days) and tau_days > 0):
        raise OnlmError(f"tau_days must be a day after time zero, above 0, got {tau_days!r}.")
    followup = read_followup(rows, endpoint=endpoint, columns=[] if by is None else [by], model=model)
    codes, names, notes = read_groups(followup.rows, by=by)
    last = [followup.days[codes == i].max() for i in range(len(names))]
    if tau_days > min(last):
        short = names[int(np.argmin(last))]
        raise OnlmError(
            f"tau_days={tau_days:g} lies beyond the last follow-up of group '{short}' (day {min(last):g}). "
            f"Take tau_days up to {min(last):g}."
        )
    table, errors = [], []
    for number, name in enumerate(names):
        own = codes == number
        mean, se = _restricted_mean(count_steps(followup.days[own], followup.state[own]), tau_days)
        errors.append(se)
        n_events = int((followup.state[own] == 1).sum())
        table.append((name, mean, mean - Z95 * se, mean + Z95 * se, int(own.sum()), n_events))
    return Rmst(
        table=pd.DataFrame(table, columns=["group", "rmst_days", "low", "high", "n", "n_events"]),
        difference=_difference([row[1] for row in table], errors, names),
        tau_days=float(tau_days),
        endpoint=endpoint,
        by=by or "",
        n=len(followup.days),
        n_events=int((followup.state == 1).sum()),
        n_excluded=followup.n_excluded,
        notes=tuple(notes),
    )


def _restricted_mean(steps: Steps, tau: float) -> tuple[float, float]:
    """Area under the curve from 0 to tau and its standard error."""
    used = steps.days <= tau
    days, n, d = steps.days[used], steps.at_risk[used], steps.n_state[used, 1]
    s = survival(n, d)
    width = np.diff(np.r_[0.0, days, tau])
    areas = np.r_[1.0, s] * width
    ahead = areas[::-1].cumsum()[::-1][1:]  # area from each time to tau
    left = n - d
    growth = np.divide(d, n * left, out=np.zeros(len(days)), where=left > 0)
    return float(areas.sum()), float(np.sqrt((ahead**2 * growth).sum()))


def _difference(means: list[float], errors: list[float], names: list[str]) -> Estimate:
    if len(names) != 2:
        return Estimate(np.nan, note=f"a difference needs two groups, there are {len(names)}")
    value, se = means[1] - means[0], float(np.hypot(*errors))
    method = f"{names[1]} minus {names[0]}, days; Greenwood"
    return Estimate(value, value - Z95 * se, value + Z95 * se, method=method)
