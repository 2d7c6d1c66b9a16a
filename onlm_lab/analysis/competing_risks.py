"""Cumulative incidence where other events compete: exact ties, Aalen's variance, Gray's test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.gray_score import gray_test
from onlm_lab.analysis.product_limit import Z95, Steps, before, count_steps, median_followup, survival
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError
from onlm_lab.results import IncidenceCurves

CAUSES = (1, 2)
ROUNDING = 1e-12  # an incidence this close to 1 is 1: it has no limits on the log(-log) scale


def cumulative_incidence(
    rows: pd.DataFrame | Patients, *, endpoint: str = "regional", by: str | None = None, model: str | None = None
) -> IncidenceCurves:
    """The share of patients who have had the event by each day, others having been taken out by competing events.

    Aalen and Johansen's estimate for the event (cause 1) and the competing event (cause 2); variance of Aalen (1978,
    doi:10.1214/aos/1176344198) as in R cmprsk; limits on the log(-log F) scale, NaN while the incidence is zero.

    Args:
        rows: one row a patient with {endpoint}_days and {endpoint}_state (0 censored, 1 event, 2 competing event).
        endpoint: such as "regional", "distant" or "cancer_death".
        by: a column of categories, a boolean or a number with few values; None: one curve, group "all".
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: the endpoint has no competing events (Kaplan-Meier is right), is absent or impossible.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "regional_days": [5, 8, 9, 20],
        ...                      "regional_state": [1, 2, 1, 0]})
        >>> cumulative_incidence(rows).at(days=[9]).set_index("cause")["incidence"].tolist()
        [0.5, 0.25]
    """
    if endpoint_kind(rows, endpoint=endpoint) == "event":
        raise OnlmError(
            f"'{endpoint}' has no competing events ({endpoint}_event is 0 or 1). "
            f'Use kaplan_meier(rows, endpoint="{endpoint}").'
        )
    followup = read_followup(rows, endpoint=endpoint, columns=[] if by is None else [by], model=model)
    if isinstance(rows, Patients):
        return rows.once(("cumulative_incidence", endpoint, by), lambda: _curves(followup, endpoint=endpoint, by=by))
    return _curves(followup, endpoint=endpoint, by=by)


def _curves(followup: Followup, *, endpoint: str, by: str | None) -> IncidenceCurves:
    codes, names, notes = read_groups(followup.rows, by=by)
    curves, groups = [], []
    for number, name in enumerate(names):
        days, state = followup.days[codes == number], followup.state[codes == number]
        steps = count_steps(days, state)
        curves += [incidence_curve(steps, name=name, cause=cause) for cause in CAUSES]
        counts = [int((state == s).sum()) for s in CAUSES]
        groups.append((name, len(days), *counts, median_followup(days, state)))
    tests = [(cause, *gray_test(followup.days, followup.state, codes, cause=cause)) for cause in CAUSES]
    if by is not None:
        why = "one group" if len(names) < 2 else "too few events"
        notes += [f"Gray's test of cause {t[0]}: {why}" for t in tests if np.isnan(t[1])]
    return IncidenceCurves(
        curve=pd.DataFrame({name: np.concatenate([curve[name] for curve in curves]) for name in curves[0]}),
        gray_test=pd.DataFrame(tests, columns=["cause", "chi2", "df", "p_value"]),
        groups=pd.DataFrame(groups, columns=["group", "n", "n_events", "n_competing", "followup_days"]),
        endpoint=endpoint,
        by=by or "",
        n=len(followup.days),
        n_events=int((followup.state == 1).sum()),
        n_excluded=followup.n_excluded,
        notes=tuple(notes),
    )


def incidence_curve(steps: Steps, *, name: str, cause: int) -> dict[str, np.ndarray]:
    """One group's incidence of one cause, with a first row at day 0 where nobody has had it."""
    incidence, variance = _aalen_johansen(steps, cause)
    low, high = _log_log_limits(incidence, variance)
    n_rows = len(steps.days) + 1
    return {
        "group": np.full(n_rows, name, dtype=object),
        "cause": np.full(n_rows, cause),
        "days": np.r_[0.0, steps.days],
        "incidence": np.r_[0.0, incidence],
        "low": np.r_[np.nan, low],
        "high": np.r_[np.nan, high],
        "at_risk": np.r_[steps.at_risk[0], steps.at_risk],
        "n_events": np.r_[0, steps.n_state[:, cause]],
        "n_censored": np.r_[0, steps.n_state[:, 0]],
    }


def _aalen_johansen(steps: Steps, cause: int) -> tuple[np.ndarray, np.ndarray]:
    """F(t) of one cause at each time and Aalen's variance, which changes only at that cause's events."""
    n = steps.at_risk.astype(float)
    own = steps.n_state[:, cause].astype(float)
    other = steps.n_state[:, 3 - cause].astype(float)
    after = survival(n, own + other)
    s = before(after)
    incidence = np.cumsum(s * own / n)
    inverse = np.divide(1.0, after, out=np.zeros(len(n)), where=after > 0)
    own_part = (s / n) ** 2 * own * _tied(own, n)
    other_part = (s / n) ** 2 * other * _tied(other, n) * (after > 0)
    own_weight, other_weight = 1 + incidence * inverse, incidence * inverse
    v1 = np.cumsum(own_weight**2 * own_part + other_weight**2 * other_part)
    v2 = np.cumsum(inverse * (own_weight * own_part + other_weight * other_part))
    v3 = np.cumsum(inverse**2 * (own_part + other_part))
    variance = v1 + incidence**2 * v3 - 2 * incidence * v2
    last = np.maximum.accumulate(np.where(own > 0, np.arange(len(n)), -1))
    return incidence, np.where(last >= 0, variance[last], 0.0)


def _tied(n_events: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """The correction for several events at one time, 1 - (d - 1) / (n - 1)."""
    several = n_events > 1
    return 1 - np.divide(n_events - 1, at_risk - 1, out=np.zeros(len(at_risk)), where=several)


def _log_log_limits(incidence: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inside = (incidence > 0) & (incidence < 1 - ROUNDING) & (variance > 0)
    power = np.full(len(incidence), np.nan)
    f = incidence[inside]
    power[inside] = Z95 * np.sqrt(variance[inside]) / (f * -np.log(f))
    base = np.where(inside, incidence, np.nan)
    return base ** np.exp(power), base ** np.exp(-power)
