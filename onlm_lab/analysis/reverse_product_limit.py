"""How long patients were followed, overall and by group: reverse Kaplan-Meier, what was observed, completeness."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis import product_limit
from onlm_lab.analysis.arguments import read_day
from onlm_lab.analysis.endpoint import read_followup, read_groups
from onlm_lab.analysis.product_limit import count_steps, time_of_survival
from onlm_lab.analysis.rows import require_columns
from onlm_lab.errors import OnlmError
from onlm_lab.results import FollowUp

ALL = "all"
METHOD = "median and 95 % limits (log-log) by reverse Kaplan-Meier: death ends observation, as censoring ends survival"


def follow_up(
    rows: pd.DataFrame,
    *,
    by: str | None = None,
    endpoint: str = "os",
    planned_days: float | str | None = None,
    model: str | None = None,
) -> FollowUp:
    """How long patients were, or could have been, followed.

    The median is by reverse Kaplan-Meier (Schemper and Smith 1996, doi:10.1016/0197-2456(96)00075-X). Completeness is
    the share of the planned person-time that was observed; a death ends what was planned (Clark, Altman, De Stavola
    2002, doi:10.1016/S0140-6736(02)08272-7).

    Args:
        rows: a row a patient, with {endpoint}_days and {endpoint}_event.
        by: a column of groups, such as "centre" or "arm"; patients without it count in "all" alone.
        endpoint: whose time is meant; "os" reads to the last contact or death.
        planned_days: how long each patient was to be followed, in days, or the column that says so; None: completeness
            is not told.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a column is absent, times are impossible, the endpoint has competing events, or nobody is left.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [5, 8, 9, 20], "os_event": [1, 0, 1, 0]})
        >>> follow_up(rows).table["median_days"].tolist()
        [20.0]
    """
    followup = read_followup(rows, endpoint=endpoint, model=model)
    if (followup.state == 2).any():
        raise OnlmError(f"follow-up by '{endpoint}' would take competing events for losses; take endpoint='os'.")
    planned, excluded = _planned(followup.rows, planned_days)
    event = followup.state == 1
    lines = [_line(ALL, followup.days, event, planned)]
    notes = [METHOD]
    if by is not None:
        require_columns(followup.rows, [by])
        known = followup.rows[by].notna().to_numpy()
        if not known.all():
            notes.append(f"{int((~known).sum())} patients without {by} count in '{ALL}' alone")
        if known.any():
            codes, names, empty = read_groups(followup.rows[known], by=by)
            names = [f"{by} = {name}" if name == ALL else name for name in names]
            number = np.full(len(known), -1)
            number[known] = codes
            lines += [
                _line(name, followup.days[number == i], event[number == i],
                      None if planned is None else planned[number == i])
                for i, name in enumerate(names)
            ]  # fmt: skip
            notes += empty
    return FollowUp(
        table=pd.DataFrame(lines), endpoint=endpoint, by=by or "", n=len(followup.days), n_events=int(event.sum()),
        n_excluded=followup.n_excluded | excluded, notes=tuple(notes),
    )  # fmt: skip


def _planned(rows: pd.DataFrame, planned_days: float | str | None) -> tuple[np.ndarray | None, dict[str, int]]:
    """Planned days of each patient; NaN where the column is empty, and how often that is."""
    if planned_days is None:
        return None, {}
    if isinstance(planned_days, str):
        require_columns(rows, [planned_days])
        planned = pd.to_numeric(rows[planned_days], errors="coerce").to_numpy(float, na_value=np.nan)
    else:
        planned = np.full(len(rows), read_day(planned_days, name="planned_days"))
    bad = int((planned <= 0).sum())
    if bad:
        raise OnlmError(f"planned_days must be above 0, but {bad} of {len(rows)} patients have none. Give the plan.")
    unknown = int(np.isnan(planned).sum())
    return planned, {"planned follow-up unknown (completeness only)": unknown} if unknown else {}


def _line(name: str, days: np.ndarray, event: np.ndarray, planned: np.ndarray | None) -> dict[str, object]:
    steps = count_steps(days, event.astype(int))
    left = steps.n_state[:, 0]
    low, high = product_limit.log_log_limits(steps.at_risk, left)
    curves = {"median_days": product_limit.survival(steps.at_risk, left), "low": low, "high": high}
    alive = days[~event]
    found = {column: time_of_survival(steps.days, values) for column, values in curves.items()}
    return {
        "group": name, "n": len(days), "n_deaths": int(event.sum()), **found,
        "alive_median_days": float(np.median(alive)) if len(alive) else np.nan,
        "alive_min_days": float(alive.min()) if len(alive) else np.nan,
        "alive_max_days": float(alive.max()) if len(alive) else np.nan,
        "completeness": _completeness(days, event, planned),
    }  # fmt: skip


def _completeness(days: np.ndarray, event: np.ndarray, planned: np.ndarray | None) -> float:
    if planned is None:
        return float("nan")
    known = ~np.isnan(planned)
    days, event, planned = days[known], event[known], planned[known]
    potential = np.where(event & (days < planned), days, planned).sum()
    return float(np.minimum(days, planned).sum() / potential) if potential > 0 else float("nan")
