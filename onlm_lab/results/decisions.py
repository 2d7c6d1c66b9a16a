"""What a comparison of treatments outside a trial found: landmarks, balance, hazard ratios and risks by arm."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result


@result
class Landmarked:
    """Patients still under observation after a day, their clock reset to it. Pass `rows` on to any other call.

    `rows`: the patients, a row each, with `landmark_days`. `table`: endpoint, n, n_events, n_exposed,
    n_event_before, n_competing_before, n_censored_before, n_unknown. `n_later`: patients whose treatment began after
    the landmark; they count as not exposed. `n`, `n_events` and `n_exposed` are of the first endpoint.
    """

    rows: pd.DataFrame
    table: pd.DataFrame
    day: float
    exposure: str
    n_exposed: int
    n_later: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class LandmarkEffect:
    """One treatment's hazard ratio counted from time zero (naive: immortal time) and from landmarks.

    `table`: analysis, day, hr, low, high, p_value, n, n_exposed, n_events, n_later, n_left_out.
    """

    table: pd.DataFrame
    endpoint: str
    exposure: str
    covariates: tuple[str, ...]
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class Balance:
    """Two treatments made comparable in the named covariates by overlap weights.

    `table`: covariate, level, first_before, second_before, first_after, second_after (mean or share in each arm),
    smd_before, smd_after. `arms`: the first and the second treatment. `effective_n`: arm, n, effective_n.
    `weights`: patient_id, propensity (of the second treatment), weight.
    """

    table: pd.DataFrame
    effective_n: pd.DataFrame
    weights: pd.DataFrame
    c_statistic: float
    arms: tuple[str, ...]
    treatment: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class TreatmentComparison:
    """Two treatments compared outside a trial, as they are and weighted.

    `hazard_ratio`, `hazard_ratio_crude`: second arm against the first, with `p_value` and `p_value_crude`.
    `risk_difference`, `risk_difference_crude`: risk of the event by `horizon_days` in the second arm minus the first.
    `risks`: group, arm, risk, low, high, risk_crude, n, n_events, effective_n. `curve`: group, arm, days, incidence,
    low, high, at_risk, effective_at_risk. `by_group`: group, hr, low, high, p_value, hr_crude, crude_low, crude_high,
    risk_difference, difference_low, difference_high, n, n_events, effective_n; empty without a group.
    `interaction_p`: that the weighted hazard ratios are equal in the groups; `interaction_p_crude`: the crude ones.
    `landmark_days`: the day from which the rows count, 0 without a landmark.
    """

    hazard_ratio: Estimate
    hazard_ratio_crude: Estimate
    p_value: float
    p_value_crude: float
    risk_difference: Estimate
    risk_difference_crude: Estimate
    risks: pd.DataFrame
    curve: pd.DataFrame
    by_group: pd.DataFrame
    interaction_p: float
    interaction_p_crude: float
    contrast: str
    arms: tuple[str, ...]
    endpoint: str
    treatment: str
    group: str
    weighting: str
    covariates: tuple[str, ...]
    horizon_days: float
    balance: Balance | None
    landmark_days: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
