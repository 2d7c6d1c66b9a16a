"""Restricted means: time lived up to a day tau, and time lost to a cause; neither needs proportional hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_cause, read_day
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.product_limit import Z95, Steps, before, count_steps, survival
from onlm_lab.analysis.rows import Patients
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, Rmst, TimeLost


def rmst(
    rows: pd.DataFrame | Patients, *, endpoint: str, by: str | None = None, tau_days: float, model: str | None = None
) -> Rmst:
    """Mean days lived (or free of the event) up to `tau_days`, by group, and the difference and ratio of two groups.

    The area under Kaplan-Meier to tau, with Greenwood's variance (Royston and Parmar 2013,
    doi:10.1186/1471-2288-13-152); equal to R's survRM2 and survfit(rmean=). The ratio's interval is made on the log
    scale.

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
            f"'{endpoint}' has competing events, so the area under Kaplan-Meier is no mean time. Use "
            f'time_lost(rows, endpoint="{endpoint}", tau_days=...), or an endpoint such as "os" or "rfs".'
        )
    tau_days = read_day(tau_days, name="tau_days")
    followup, codes, names, notes = _read(rows, endpoint, by, tau_days, model)
    means, errors, counts = [], [], []
    for number in range(len(names)):
        days, state = followup.days[codes == number], followup.state[codes == number]
        mean, se = _restricted_mean(count_steps(days, state), tau_days)
        means.append(mean)
        errors.append(se)
        counts.append((len(days), int((state == 1).sum())))
    differences = _differences(names, means, errors, ratio=True)
    two = len(names) == 2
    ratio = _ratio(means, errors, names) if two else _needs_two("ratio", names)
    return Rmst(
        table=_table(names, means, errors, counts, column="rmst_days"),
        difference=_difference(means, errors, names, method="Greenwood"),
        tau_days=float(tau_days), endpoint=endpoint, by=by or "", n=len(followup.days),
        n_events=int((followup.state == 1).sum()), n_excluded=followup.n_excluded, notes=tuple(notes),
        differences=differences, p_value=float(differences["p_value"].iloc[0]) if two else np.nan, ratio=ratio,
        ratio_p_value=float(differences["ratio_p_value"].iloc[0]) if two else np.nan,
    )  # fmt: skip


def time_lost(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    by: str | None = None,
    tau_days: float,
    cause: int = 1,
    model: str | None = None,
) -> TimeLost:
    """Mean days lost to a cause up to `tau_days`, other events competing, by group, and the groups' differences.

    The area under the cumulative incidence to tau (Andersen 2013, doi:10.1002/sim.5903): of the first tau_days, how
    many the event took on average. Its variance is that of the infinitesimal jackknife, as R's survfit for several
    states.

    Args:
        rows: one row a patient with {endpoint}_days and {endpoint}_state (0 censored, 1 event, 2 competing event).
        endpoint: such as "regional" or "cancer_death".
        by: a column of categories, a boolean or a number with few values; None: one group, "all".
        tau_days: the day up to which time is counted; every group must be followed as long.
        cause: 1 the event, 2 the competing event.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: no competing events (take `rmst`); tau_days not above zero or beyond a group's follow-up.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "regional_days": [4, 6, 8, 20],
        ...                      "regional_state": [1, 2, 1, 0]})
        >>> time_lost(rows, endpoint="regional", tau_days=10).table["days_lost"].tolist()
        [2.0]
    """
    if endpoint_kind(rows, endpoint=endpoint) == "event":
        raise OnlmError(
            f"'{endpoint}' has no competing events: the time lost is tau_days minus the time lived. Use "
            f'rmst(rows, endpoint="{endpoint}", tau_days=...).'
        )
    cause, tau_days = read_cause(cause), read_day(tau_days, name="tau_days")
    followup, codes, names, notes = _read(rows, endpoint, by, tau_days, model)
    means, errors, counts = [], [], []
    for number in range(len(names)):
        days, state = followup.days[codes == number], followup.state[codes == number]
        mean, se = _days_lost(count_steps(days, state), tau_days, cause)
        means.append(mean)
        errors.append(se)
        counts.append((len(days), int((state == cause).sum())))
    differences = _differences(names, means, errors, ratio=False)
    return TimeLost(
        table=_table(names, means, errors, counts, column="days_lost"),
        difference=_difference(means, errors, names, method="infinitesimal jackknife"), differences=differences,
        p_value=float(differences["p_value"].iloc[0]) if len(names) == 2 else np.nan, tau_days=float(tau_days),
        endpoint=endpoint, by=by or "", cause=cause, n=len(followup.days),
        n_events=int((followup.state == cause).sum()), n_excluded=followup.n_excluded, notes=tuple(notes),
    )  # fmt: skip


def _read(
    rows: pd.DataFrame | Patients, endpoint: str, by: str | None, tau_days: float, model: str | None
) -> tuple[Followup, np.ndarray, list[str], list[str]]:
    tau_days = read_day(tau_days, name="tau_days")
    followup = read_followup(rows, endpoint=endpoint, columns=[] if by is None else [by], model=model)
    codes, names, notes = read_groups(followup.rows, by=by)
    last = [followup.days[codes == i].max() for i in range(len(names))]
    if tau_days > min(last):
        short = names[int(np.argmin(last))]
        raise OnlmError(
            f"tau_days={tau_days:g} lies beyond the last follow-up of group '{short}' (day {min(last):g}). "
            f"Take tau_days up to {min(last):g}."
        )
    return followup, codes, names, notes


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


def _days_lost(steps: Steps, tau: float, cause: int) -> tuple[float, float]:
    """Area under a cause's incidence from 0 to tau, and its standard error by the infinitesimal jackknife.

    A patient's share in the area is what his own event, and his being at risk, did to the hazard of the cause (`own`)
    and to the chance of still being there for it (`later`): patients of one time and state share alike.
    """
    used = steps.days <= tau
    days, n, left = steps.days[used], steps.at_risk[used].astype(float), steps.n_state[used]
    d_own, d_all = left[:, cause].astype(float), (left[:, 1] + left[:, 2]).astype(float)
    s = survival(n, d_all)
    gain = (tau - days) * before(s) / n  # area won by one event of the cause at this time
    later = np.cumsum((gain * d_own)[::-1])[::-1] - gain * d_own  # area won after this time
    lost = np.divide(later, n - d_all, out=np.zeros(len(n)), where=n > d_all)
    at_risk_cost = np.cumsum((lost * d_all - gain * d_own) / n)
    of_state = np.stack([at_risk_cost, at_risk_cost - lost, at_risk_cost - lost], axis=1)
    of_state[:, cause] += gain
    beyond = _n_beyond(steps, tau)
    rest = beyond * at_risk_cost[-1] ** 2 if len(days) and beyond else 0.0
    return float((gain * d_own).sum()), float(np.sqrt((left * of_state**2).sum() + rest))


def _n_beyond(steps: Steps, tau: float) -> int:
    """How many patients are followed beyond tau."""
    return int(steps.n_state[steps.days > tau].sum())


def _table(
    names: list[str], means: list[float], errors: list[float], counts: list[tuple[int, int]], *, column: str
) -> pd.DataFrame:
    lines = [
        (name, mean, mean - Z95 * se, mean + Z95 * se, *count)
        for name, mean, se, count in zip(names, means, errors, counts, strict=True)
    ]
    return pd.DataFrame(lines, columns=["group", column, "low", "high", "n", "n_events"])


def _differences(names: list[str], means: list[float], errors: list[float], *, ratio: bool) -> pd.DataFrame:
    """Each group against the first."""
    lines = []
    for name, mean, se in list(zip(names, means, errors, strict=True))[1:]:
        value, spread = mean - means[0], float(np.hypot(se, errors[0]))
        line = {"group": name, "difference": value, "low": value - Z95 * spread, "high": value + Z95 * spread}
        line["p_value"] = _p(value, spread)
        if ratio:
            log_ratio, log_se = _log_ratio(means[0], mean, errors[0], se)
            line |= {"ratio": np.exp(log_ratio), "ratio_low": np.exp(log_ratio - Z95 * log_se)}
            line |= {"ratio_high": np.exp(log_ratio + Z95 * log_se), "ratio_p_value": _p(log_ratio, log_se)}
        lines.append(line)
    columns = ["group", "difference", "low", "high", "p_value"]
    return pd.DataFrame(
        lines, columns=columns + (["ratio", "ratio_low", "ratio_high", "ratio_p_value"] if ratio else [])
    )


def _log_ratio(first: float, last: float, first_se: float, last_se: float) -> tuple[float, float]:
    if not (first > 0 and last > 0):
        return np.nan, np.nan
    return float(np.log(last / first)), float(np.hypot(first_se / first, last_se / last))


def _ratio(means: list[float], errors: list[float], names: list[str]) -> Estimate:
    value, se = _log_ratio(means[0], means[1], errors[0], errors[1])
    method = f"{names[1]} over {names[0]}; log scale, delta method"
    return Estimate(*(float(np.exp(v)) for v in (value, value - Z95 * se, value + Z95 * se)), method=method)


def _p(value: float, se: float) -> float:
    return float(normal_tails(value / se)) if se > 0 else float("nan")


def _difference(means: list[float], errors: list[float], names: list[str], *, method: str) -> Estimate:
    if len(names) != 2:
        return _needs_two("difference", names)
    value, se = means[1] - means[0], float(np.hypot(*errors))
    method = f"{names[1]} minus {names[0]}, days; {method}"
    return Estimate(value, value - Z95 * se, value + Z95 * se, method=method)


def _needs_two(what: str, names: list[str]) -> Estimate:
    return Estimate(np.nan, note=f"a {what} needs two groups, there are {len(names)}")
