"""What goes with what: associations of the predicted risk with markers, and odds ratios by penalised likelihood."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class Associations:
    """With which markers does the predicted risk go? An association, never a mechanism.

    `effects`: marker, kind, contrast, adjusted, n, n_level, n_reference, n_missing, effect, low, high (SD of the log
    odds of risk), note. `tests`, one P a marker and model: marker, kind, adjusted, n, n_missing, f, df, df_residual,
    p_value, p_holm, p_bh, note. `binary`: marker, adjusted, n, n_positive, odds_ratio, low, high (of the marker, per SD
    of the log odds of risk), method, note; for the unadjusted rows auc, auc_low, auc_high, auc_method too. `levels`:
    marker, level, n, n_events, median_risk, q1_risk, q3_risk. `risk_sd`: one SD of the log odds of risk.
    """

    effects: pd.DataFrame
    tests: pd.DataFrame
    binary: pd.DataFrame
    levels: pd.DataFrame
    adjusted_for: tuple[str, ...]
    risk_sd: float
    level: float
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class PenalisedModel:
    """Odds ratios by logistic regression with Firth's penalty.

    `table`: covariate, unit, coef, se (Wald), odds_ratio, low, high (profile penalised likelihood), chi2, p_value
    (penalised likelihood ratio); the first row is the intercept.
    """

    table: pd.DataFrame
    outcome: str
    log_likelihood: float
    level: float
    method: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
