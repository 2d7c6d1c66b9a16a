"""What a test of predicted event risks found."""

from __future__ import annotations

import math
from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result


@result
class EventCalibration:
    """Do predicted risks of the event by a day mean what they say?

    `observed`: the share with the event by the day (Kaplan-Meier or Aalen-Johansen); `oe_ratio`: observed over
    `mean_predicted`, what is predicted taken as fixed; `oe_ratio_delta`: the same, observed and predicted varying
    together. `intercept` (slope fixed at 1), `intercept_joint` and `slope`: regression of pseudo-observations with
    `link`. `ici`, `e50`, `e90`, `emax`: distances between predicted risk and smooth curve. `curve`: event_risk,
    observed, low, high. `groups`: group, n, n_events, mean_predicted, observed, low, high in quantiles of risk.
    `distribution`: risk_from, risk_to, n. `n_events`, `n_competing`: by the day; `n_censored`: before it.
    """

    oe_ratio: Estimate
    oe_ratio_delta: Estimate
    observed: Estimate
    mean_predicted: float
    intercept: Estimate
    intercept_joint: Estimate
    slope: Estimate
    ici: float
    e50: float
    e90: float
    emax: float
    curve: pd.DataFrame
    groups: pd.DataFrame
    distribution: pd.DataFrame
    endpoint: str
    horizon_days: float = math.nan
    link: str = ""
    model_id: str = ""
    n: int = 0
    n_events: int = 0
    n_competing: int = 0
    n_censored: int = 0
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
