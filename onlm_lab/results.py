"""The frozen types that a statistic hands to a figure, a report or a dashboard.

Every result says how many patients it rests on (`n`), how many had the event (`n_events`), who was left out and why
(`n_excluded`, reason -> count) and what the reader must know (`notes`). Tables inside a result are copied on access,
so that nobody downstream can change a number that somebody else reads. Two results are the same when their `digest`
is the same.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, dataclass_transform

import pandas as pd

from onlm_lab.errors import OnlmError


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes:
        value: the point estimate; NaN where it cannot be computed (then `note` says why).
        low, high: limits of the interval at `level`; NaN where there is none.
        level: coverage of the interval, 0.95 unless told.
        method: how the interval was made, such as "DeLong", "Wilson".
        note: what a reader must know; empty when nothing.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    level: float = 0.95
    method: str = ""
    note: str = ""

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"not estimated ({self.note})" if self.note else "not estimated"
        if math.isnan(self.low) and math.isnan(self.high):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass_transform(frozen_default=True, eq_default=False)
def result(cls: type) -> type:
    """Make a class a frozen result: tables and counts are copied on access; `digest`, `to_dict()`, escaped HTML."""
    cls = dataclass(frozen=True, eq=False)(cls)
    copied = frozenset(
        f.name for f in fields(cls) if f.type in ("pd.DataFrame", pd.DataFrame, "dict[str, int]", dict[str, int])
    )
    plain = object.__getattribute__

    def read(self: Any, name: str) -> Any:
        value = plain(self, name)
        return value.copy() if name in copied and value is not None else value

    cls.__getattribute__ = read
    cls.to_dict = _to_dict
    cls.digest = property(_digest)
    cls._repr_html_ = _html
    return cls


def _plain(value: Any) -> Any:
    """A value as JSON knows it: NaN and infinities become None, tables become lists of records."""
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, pd.DataFrame):
        return [{str(k): _plain(v) for k, v in row.items()} for row in value.to_dict("records")]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _to_dict(self: Any) -> dict[str, Any]:
    """This result as plain JSON-ready values, keyed by field name."""
    return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}


def _digest(self: Any) -> str:
    text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _html(self: Any) -> str:
    rows, tables = [], []
    for f in fields(self):
        value = getattr(self, f.name)
        name = html.escape(f.name)
        if isinstance(value, pd.DataFrame):
            body = value.head(20).to_html(index=False, escape=True, float_format=lambda x: f"{x:.4g}")
            tables.append(f"<details><summary>{name} ({len(value)} rows)</summary>{body}</details>")
        elif is_dataclass(value) and not isinstance(value, Estimate | LogRank):  # a result within a result
            tables.append(f"<details><summary>{name}</summary>{_html(value)}</details>")
        elif value not in ((), {}, "", None):
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>")
    return f"<b>{type(self).__name__}</b><table>{''.join(rows)}</table>{''.join(tables)}"


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
    """What a threshold does: positive if risk >= threshold. `threshold` is NaN when each row carried its own."""

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


@result
class Calibration:
    """Do predicted risks mean what they say?

    `intercept`: calibration in the large (slope fixed at 1); `intercept_joint`, `slope`: logistic recalibration.
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
    notes: tuple[str, ...] = ()


@result
class DecisionCurve:
    """Net benefit against the threshold: model_id (incl. treat_all, treat_none), threshold, net_benefit, low, high,
    interventions_avoided (per 100 patients)."""

    table: pd.DataFrame
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


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
class SurvivalCurves:
    """Kaplan-Meier by group. `curve`: group, days, survival, low, high (log-log), at_risk, n_events, n_censored.
    `median`: group, days, low, high (NaN: not reached). `log_rank`: chi2, df, p_value; NaN with one group.
    `groups`: group, n, n_events, followup_days (median by reverse Kaplan-Meier)."""

    curve: pd.DataFrame
    median: pd.DataFrame
    log_rank: LogRank
    groups: pd.DataFrame
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def at(self, *, days: list[float]) -> pd.DataFrame:
        """The curve's columns at given days: S(t) of the last step at or before t.

        NaN beyond the last follow-up, but where the last patients all had an event: then nothing can change any more.

        `at_risk` counts patients with time >= t; n_events and n_censored are counted since the previous asked day.
        """
        return _step_table(self.curve, days=days, keys=["group"], carried=["survival", "low", "high"])


@dataclass(frozen=True)
class LogRank:
    """Log-rank test over the groups."""

    chi2: float
    df: int
    p_value: float
    note: str = ""


@result
class IncidenceCurves:
    """Aalen-Johansen cumulative incidence by group and cause. `curve`: group, cause, days, incidence, low, high
    (log-log), at_risk, n_events, n_censored. `gray_test`: cause, chi2, df, p_value."""

    curve: pd.DataFrame
    gray_test: pd.DataFrame
    groups: pd.DataFrame
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def at(self, *, days: list[float]) -> pd.DataFrame:
        """The curve's columns at given days; as SurvivalCurves.at."""
        return _step_table(self.curve, days=days, keys=["group", "cause"], carried=["incidence", "low", "high"])


@result
class HazardModel:
    """A fitted hazard model. `table`: covariate, unit, coef, se, hr, low, high, p_value. `concordance`: Harrell.
    `ph_test`: covariate incl. GLOBAL, chi2, df, p_value (exact score test, Grambsch and Therneau)."""

    table: pd.DataFrame
    concordance: Estimate
    ph_test: pd.DataFrame
    endpoint: str
    method: str
    log_likelihood: float
    log_likelihood_null: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class Interaction:
    """Hazard ratio of a treatment in each group, fitted in the group alone, and the likelihood-ratio test that they are
    equal. `table`: group, hr, low, high, n, n_events; `contrast`: which level against which."""

    table: pd.DataFrame
    chi2: float
    df: int
    p_value: float
    contrast: str
    endpoint: str
    treatment: str
    group: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class Rmst:
    """Mean days lived up to `tau_days`, by group. `table`: group, rmst_days, low, high, n, n_events. `difference`: the
    last group minus the first, in days; NaN with other than two groups."""

    table: pd.DataFrame
    difference: Estimate
    tau_days: float
    endpoint: str
    by: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _asked_days(days: list[float]) -> list[float]:
    try:
        grid = sorted(float(d) for d in days)
    except (TypeError, ValueError):
        grid = []
    if not grid or not all(d >= 0 for d in grid):
        raise OnlmError(f"at: days must be a list of days from 0 on, such as days=[365, 730], got {days!r}.")
    return grid


def _step_table(curve: pd.DataFrame, *, days: list[float], keys: list[str], carried: list[str]) -> pd.DataFrame:
    """Read step curves at given days, group by group (rows must be sorted by days within a group)."""
    out = []
    grid = _asked_days(days)
    for key, steps in curve.groupby(keys, sort=False, observed=True):
        time = steps["days"].to_numpy(float)
        last = time.max() if steps["n_censored"].iloc[-1] else math.inf  # nobody left who could change the curve
        before = -math.inf
        for day in grid:
            row = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True)) | {"days": day}
            at = int((time <= day).sum()) - 1
            for name in carried:
                row[name] = float(steps[name].iloc[at]) if 0 <= at and day <= last else math.nan
            ahead = steps[time >= day]
            row["at_risk"] = int(ahead["at_risk"].iloc[0]) if len(ahead) else 0
            window = steps[(time > before) & (time <= day)]
            row["n_events"] = int(window["n_events"].sum())
            row["n_censored"] = int(window["n_censored"].sum())
            before = day
            out.append(row)
    return pd.DataFrame(out)


@result
class CentreTable:
    """Does the model work in every centre? `table`: centre, n, n_positive, auc, low, high, method, is_pooled, note.

    `pooled`: random effects on the logit scale (REML) with Hartung-Knapp's interval; `pooled_conservative`: the same
    with the variance factor never below 1; `prediction_interval`: where the AUC of a new centre is expected (value:
    the pooled AUC). `tau2`: variance between centres on the logit scale; `i2`: its share of the total, 0 to 1.
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
class SampleSize:
    """How many patients are needed, and what the study at hand would achieve.

    `criteria`: criterion, means (in words), n, n_events and what it stands for; `drives` marks the one that asks for
    most. `n`, `n_events`: of the study at hand, 0 where none was named; `n_more`: patients still wanting;
    `shrinkage_at_n`, `margin_at_n`: what it would reach (NaN: not asked). `shrinkage`: what is reached at n_required.
    """

    outcome: str
    criteria: pd.DataFrame
    n_required: int
    n_events_required: float
    driven_by: str
    sentence: str
    n_parameters: int
    shrinkage: float
    r2: float
    r2_max: float
    r2_nagelkerke: float
    shrinkage_at_n: float
    margin_at_n: float
    n_more: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class TestingSampleSize:
    """How many patients are needed to test a model. `criteria`: criterion, means (in words), n, n_events, target_width,
    width_at_n (what the study at hand would reach; NaN: not asked), drives. The rest as in SampleSize."""

    __test__ = False  # no test of pytest's

    criteria: pd.DataFrame
    n_required: int
    n_events_required: float
    driven_by: str
    sentence: str
    prevalence: float
    c_statistic: float
    sensitivity: float
    specificity: float
    n_more: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class FollowUp:
    """How long patients were followed. `table`: group ("all" first), n, n_deaths, median_days with low and high
    (reverse Kaplan-Meier), alive_median_days, alive_min_days, alive_max_days (observed, of those alive), completeness
    (NaN without a planned length)."""

    table: pd.DataFrame
    endpoint: str
    by: str
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
