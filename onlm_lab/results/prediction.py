"""What a statistic of the label found: discrimination, thresholds, calibration, decisions, subgroups, centres."""

from __future__ import annotations

import math
from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result


@result
class Roc:
    """How well the risk separates N+ from N0 (higher risk = worse).

    `curve`: threshold, sensitivity, specificity; positive if risk >= threshold; first row threshold = inf.
    `auc`: DeLong interval, clipped to [0, 1] as pROC. `auc_logit`: the same variance on the logit scale, to be shown
    first where `prefer_logit` (fewer than 50 events, or AUC above 0.9).
    """

    curve: pd.DataFrame
    auc: Estimate
    auc_logit: Estimate
    prefer_logit: bool
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class AucComparison:
    """AUC of model_a minus AUC of model_b in the same patients (paired DeLong)."""

    difference: Estimate
    auc_a: Estimate
    auc_b: Estimate
    z: float
    p_value: float
    model_a: str
    model_b: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class OperatingPoint:
    """What a threshold does: positive if risk >= threshold. `threshold` is NaN when each row carried its own.

    `ppv`, `npv` hold at these patients' share of N+; `ppv_at_prevalence`, `npv_at_prevalence` at the share
    `prevalence`, where one was named.
    """

    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    ppv: Estimate
    npv: Estimate
    lr_positive: Estimate
    lr_negative: Estimate
    n_tp: int
    n_fp: int
    n_tn: int
    n_fn: int
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()
    prevalence: float = math.nan
    ppv_at_prevalence: Estimate = Estimate(math.nan)
    npv_at_prevalence: Estimate = Estimate(math.nan)


@result
class Calibration:
    """Do predicted risks mean what they say?

    `intercept`: calibration in the large (slope fixed at 1); `intercept_joint`, `slope`: logistic recalibration.
    `oe_ratio_delta`: O:E with the interval that counts that observed and expected vary together.
    `curve`: risk, observed, low, high (local regression); `groups`: tenths of risk with n, n_events, risk, observed.
    """

    intercept: Estimate
    intercept_joint: Estimate
    slope: Estimate
    oe_ratio: Estimate
    ici: float
    e50: float
    e90: float
    emax: float
    brier: Estimate
    scaled_brier: float
    curve: pd.DataFrame
    groups: pd.DataFrame
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    oe_ratio_delta: Estimate = Estimate(math.nan)
    notes: tuple[str, ...] = ()


@result
class DecisionCurve:
    """Net benefit against the threshold: model_id (incl. treat_all, treat_none), threshold, net_benefit, low, high,
    interventions_avoided (per 100 patients), avoided_low, avoided_high.

    `endpoint` and `horizon_days` are set where the event is one by a day, not N+; `n_events` are then those by it."""

    table: pd.DataFrame
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()
    endpoint: str = ""
    horizon_days: float = math.nan


@result
class SubgroupTable:
    """In whom does the model work? `table`: column, level, n, n_positive and auc, sensitivity, specificity, oe_ratio,
    each with _low and _high and a `note`; `interaction`: column, chi2, df, p_value, p_holm, p_bh."""

    table: pd.DataFrame
    interaction: pd.DataFrame
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class CentreTable:
    """Does the model work in every centre? `table`: centre, n, n_positive, auc, low, high, method, is_pooled, note, and
    intercept (calibration in the large), slope and oe_ratio, each with _low and _high.

    `pooled`: random effects on the logit scale (REML) with Hartung-Knapp's interval; `pooled_conservative`: the same
    with the variance factor never below 1; `prediction_interval`: where the AUC of a new centre is expected (value:
    the pooled AUC). `tau2`: variance between centres on the logit scale; `i2`: its share of the total, 0 to 1.
    `measures`: the same of auc, intercept, slope and oe_ratio (pooled on the log scale), a row each: measure, scale,
    n_pooled, value, low, high, low_conservative, high_conservative, prediction_low, prediction_high, tau2, i2, note.
    """

    table: pd.DataFrame
    pooled: Estimate
    pooled_conservative: Estimate
    prediction_interval: Estimate
    tau2: float
    i2: float
    n_centres: int
    n_pooled: int
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    measures: pd.DataFrame = field(default_factory=pd.DataFrame)
    notes: tuple[str, ...] = ()


@result
class Reclassification:
    """What model_b moves compared with model_a: positive is better. Secondary measures: never alone.

    `nri`, `nri_events`, `nri_nonevents`: over the categories cut at `cuts`; `nri_continuous` and its parts: any change
    of risk; `idi` and its parts. `table`: onlm, category_a, category_b, n.
    """

    nri: Estimate
    nri_events: Estimate
    nri_nonevents: Estimate
    nri_continuous: Estimate
    nri_continuous_events: Estimate
    nri_continuous_nonevents: Estimate
    idi: Estimate
    idi_events: Estimate
    idi_nonevents: Estimate
    table: pd.DataFrame
    cuts: tuple[float, ...]
    model_a: str
    model_b: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class AbstentionCurve:
    """What is gained where the patients of whom the model is least sure are referred instead of predicted.

    `table`, a row a fraction asked for, all kept first: asked_fraction, kept_fraction, limit (kept if the doubt is at
    most this), n, n_events (kept), n_referred, n_events_referred, and auc, sensitivity, specificity, npv, oe_ratio of
    the kept, each with _low and _high; `note` where a number is missing. `by`: what doubt is: spread, log_odds_spread
    or ood_score.
    """

    table: pd.DataFrame
    by: str
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class Recalibration:
    """A model's risks updated to the patients of one place: log odds' = intercept + slope * log odds.

    `method` was asked for, `chosen` was done: none, intercept, both, or refused (then intercept and slope are NaN and
    the notes say why). `tests`: the closed test's steps: kept (the simpler model), against, chi2, df, p_value.
    `before`; `after` on the patients who fitted it (apparent); `cross_fitted`: each patient by an update that he had no
    part in, which is what new patients of the place may expect. The last two are None where nothing was done.
    """

    method: str
    chosen: str
    intercept: Estimate
    slope: Estimate
    tests: pd.DataFrame
    before: Calibration
    after: Calibration | None
    cross_fitted: Calibration | None
    n_folds: int
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
