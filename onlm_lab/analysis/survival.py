"""Time to an event without competitors: Kaplan-Meier by group, medians and the log-rank test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis import product_limit
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.log_rank_score import chi_square, log_rank_score
from onlm_lab.analysis.product_limit import Steps, count_steps, median_followup, time_of_survival
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError
from onlm_lab.results import LogRank, SurvivalCurves


def kaplan_meier(
    rows: pd.DataFrame | Patients, *, endpoint: str = "os", by: str | None = None, model: str | None = None
) -> SurvivalCurves:
    """Survival after time zero, by group, with numbers at risk, medians and the log-rank test.

    Limits are log(-log) with Greenwood's variance and NaN where S is 0 or 1; the median's limits invert them. The
    median follow-up is by reverse Kaplan-Meier.

    Args:
        rows: one row a patient with {endpoint}_days and {endpoint}_event; `onlm` and `risk` are not needed.
        endpoint: such as "os" or "rfs".
        by: a column of categories, a boolean or a number with few values; None: one curve, group "all".
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: the endpoint has competing events (1 - KM would overstate its risk), is absent or impossible.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [5, 8, 8, 20], "os_event": [1, 0, 1, 0]})
        >>> kaplan_meier(rows).at(days=[8])["survival"].round(3).tolist()
        [0.5]
    """
    if endpoint_kind(rows, endpoint=endpoint) == "state":
        raise OnlmError(
            f"'{endpoint}' has competing events ({endpoint}_state), and 1 - Kaplan-Meier would overstate its risk. "
            f'Use cumulative_incidence(rows, endpoint="{endpoint}").'
        )
    followup = read_followup(rows, endpoint=endpoint, columns=[] if by is None else [by], model=model)
    if isinstance(rows, Patients):
        return rows.once(("kaplan_meier", endpoint, by), lambda: _curves(followup, endpoint=endpoint, by=by))
    return _curves(followup, endpoint=endpoint, by=by)


def _curves(followup: Followup, *, endpoint: str, by: str | None) -> SurvivalCurves:
    codes, names, notes = read_groups(followup.rows, by=by)
    curves, medians, groups = [], [], []
    for number, name in enumerate(names):
        days, state = followup.days[codes == number], followup.state[codes == number]
        steps = count_steps(days, state)
        curve = _curve(name, steps)
        curves.append(curve)
        medians.append(_median(name, curve))
        groups.append((name, len(days), int((state == 1).sum()), median_followup(days, state)))
    test = log_rank(followup, codes=codes)
    return SurvivalCurves(
        curve=pd.DataFrame({name: np.concatenate([curve[name] for curve in curves]) for name in curves[0]}),
        median=pd.DataFrame(medians, columns=["group", "days", "low", "high"]),
        log_rank=test,
        groups=pd.DataFrame(groups, columns=["group", "n", "n_events", "followup_days"]),
        endpoint=endpoint,
        by=by or "",
        n=len(followup.days),
        n_events=int((followup.state == 1).sum()),
        n_excluded=followup.n_excluded,
        notes=tuple(notes) + ((f"log-rank test: {test.note}",) if test.note and by else ()),
    )


def log_rank(followup: Followup, *, codes: np.ndarray) -> LogRank:
    """Log-rank test that the groups' hazards are equal (Mantel 1966; hypergeometric variance).

    A group that nobody entered before the first event has nothing expected and is left out of the degrees of freedom.
    """
    n_groups = int(codes.max()) + 1
    if n_groups < 2:
        return LogRank(chi2=np.nan, df=0, p_value=np.nan, note="one group")
    event = followup.state == 1
    if not event.any():
        return LogRank(chi2=np.nan, df=n_groups - 1, p_value=np.nan, note="no events")
    return chi_square(log_rank_score(followup.days, event, codes, n_groups=n_groups))


def _curve(name: str, steps: Steps) -> dict[str, np.ndarray]:
    """One group's curve, with a first row at day 0 where everybody is alive."""
    n_events = steps.n_state[:, 1]
    low, high = product_limit.log_log_limits(steps.at_risk, n_events)
    return {
        "group": np.full(len(steps.days) + 1, name, dtype=object),
        "days": np.r_[0.0, steps.days],
        "survival": np.r_[1.0, product_limit.survival(steps.at_risk, n_events)],
        "low": np.r_[np.nan, low],
        "high": np.r_[np.nan, high],
        "at_risk": np.r_[steps.at_risk[0], steps.at_risk],
        "n_events": np.r_[0, n_events],
        "n_censored": np.r_[0, steps.n_state[:, 0]],
    }


def _median(name: str, curve: dict[str, np.ndarray]) -> tuple[str, float, float, float]:
    limits = [time_of_survival(curve["days"][1:], curve[c][1:]) for c in ("survival", "low", "high")]
    return (name, *limits)
