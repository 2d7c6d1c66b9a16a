"""By how much 1 - Kaplan-Meier would overstate the risk of an event that others compete with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_cause, read_horizons
from onlm_lab.analysis.competing_risks import incidence_curve
from onlm_lab.analysis.endpoint import endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.product_limit import Steps, count_steps, survival
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError
from onlm_lab.results import OneMinusKm

COLUMNS = ["group", "days", "incidence", "low", "high", "one_minus_km"]


def one_minus_km(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    horizons_days: Sequence[float],
    by: str | None = None,
    cause: int = 1,
    model: str | None = None,
) -> OneMinusKm:
    """The cumulative incidence by each horizon, and what 1 - Kaplan-Meier would have read in its place.

    Kaplan-Meier takes a patient who died of something else for one lost to follow-up, who could still have the event;
    so it reads too high (Gooley and others 1999, doi:10.1002/(SICI)1097-0258(19990330)18:6<695::AID-SIM60>3.0.CO;2-O).

    Args:
        rows: one row a patient with {endpoint}_days and {endpoint}_state (0 censored, 1 event, 2 competing event).
        endpoint: such as "regional".
        horizons_days: days after time zero at which both are read; NaN beyond a group's follow-up.
        by: a column of groups; None: one group, "all".
        cause: 1 the event, 2 the competing event.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: the endpoint has no competing events, or a horizon is not above 0.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "regional_days": [5, 8, 9, 20],
        ...                      "regional_state": [1, 2, 1, 0]})
        >>> one_minus_km(rows, endpoint="regional", horizons_days=[9]).table["one_minus_km"].tolist()
        [0.625]
    """
    if endpoint_kind(rows, endpoint=endpoint) == "event":
        raise OnlmError(
            f"'{endpoint}' has no competing events ({endpoint}_event is 0 or 1): Kaplan-Meier is right. "
            f'Use kaplan_meier(rows, endpoint="{endpoint}").'
        )
    cause, horizons = read_cause(cause), read_horizons(horizons_days)
    followup = read_followup(rows, endpoint=endpoint, columns=[] if by is None else [by], model=model)
    codes, names, notes = read_groups(followup.rows, by=by)
    curves, tables = [], []
    for number, name in enumerate(names):
        own = codes == number
        steps = count_steps(followup.days[own], followup.state[own])
        curve = incidence_curve(steps, name=name, cause=cause)
        curve["one_minus_km"] = np.r_[0.0, 1 - survival(steps.at_risk, steps.n_state[:, cause])]
        curves.append({column: curve[column] for column in COLUMNS})
        tables.append(_at(curves[-1], steps, horizons, cause))
        late = [f"{h:g}" for h in horizons if h > steps.days[-1]]
        if late and np.isnan(tables[-1]["excess"]).any():
            notes.append(f"nobody of '{name}' is followed to day {', '.join(late)}")
    return OneMinusKm(
        table=pd.concat(tables, ignore_index=True), endpoint=endpoint,
        curve=pd.DataFrame({column: np.concatenate([curve[column] for curve in curves]) for column in COLUMNS}),
        by=by or "", cause=cause, n=len(codes), n_events=int((followup.state == cause).sum()),
        n_excluded=followup.n_excluded, notes=tuple(notes),
    )  # fmt: skip


def _at(curve: dict[str, np.ndarray], steps: Steps, horizons: list[float], cause: int) -> pd.DataFrame:
    """Both curves at the horizons; beyond the last follow-up only where nobody was left who could change them."""
    last, (n_censored, *_) = steps.days[-1], steps.n_state[-1]
    others = n_censored + steps.n_state[-1, 3 - cause]  # whom Kaplan-Meier takes for lost
    at = np.searchsorted(curve["days"], horizons, side="right") - 1
    beyond = np.array(horizons) > last
    read = {}
    for column in COLUMNS[2:]:
        lost = others if column == "one_minus_km" else n_censored
        read[column] = np.where(beyond & (lost > 0), np.nan, curve[column][at])
    excess = read["one_minus_km"] - read["incidence"]
    return pd.DataFrame({"group": curve["group"][0], "horizon_days": horizons} | read | {"excess": excess})
