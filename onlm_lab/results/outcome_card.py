"""What a clinician reads in a minute: what became of each group by a day."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class OutcomeCard:
    """Each group's outcomes at one horizon.

    `groups`: group, n, followup_days (median, reverse Kaplan-Meier of the first endpoint).
    `table`: group, endpoint, kind ("survival", or "incidence" where other events compete), n, n_events (by the last
    contact), at_risk (at the horizon), value, low, high (log-log; NaN where nobody was followed that long).
    `hundred`: group, state, share, count: what happened first to 100 such patients by the horizon; counts add up to
    100. Empty without the endpoints that it needs.
    `comparison`: endpoint, group, against, kind ("hazard ratio", "subdistribution hazard ratio"), hr, low, high,
    p_value (log-rank, or Gray; of all groups together).
    """

    groups: pd.DataFrame
    table: pd.DataFrame
    hundred: pd.DataFrame
    comparison: pd.DataFrame
    horizon_days: float
    by: str
    n: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
