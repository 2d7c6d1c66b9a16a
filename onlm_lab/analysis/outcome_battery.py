"""The calls about what became of one model's patients, as results.json holds them, surgery and SBRT apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.covariates import usable_covariates
from onlm_lab.analysis.cross_fitted_risk import YEARS_DAYS
from onlm_lab.analysis.endpoint import known_kind
from onlm_lab.analysis.label_battery import GROUP, Calls
from onlm_lab.analysis.treatment_pairs import ASKED_OF, COMPARED, PAIRS
from onlm_lab.results.frozen import plain_values
from onlm_lab.study import Analysis

ARMS = ("surgery", "sbrt")


def outcome_calls(
    rows: pd.DataFrame, *, model: str, plan: Analysis, event_risk: Callable[[], pd.DataFrame], seed: int = 0
) -> Calls:  # fmt: skip
    """What is asked about one model's patients after treatment, by "call/endpoint/arm".

    Args:
        rows: a row a patient and model.
        model: whose risks.
        plan: the study's [analysis] stage.
        event_risk: gives P(event by a day) of the patients, as event_risk.csv.
        seed: of the bootstrap of the net benefit.
    """
    one = rows[rows["model_id"] == model]
    arms = [a for a in ARMS if "arm" in one.columns and (one["arm"] == a).any()]
    by = GROUP if GROUP in one.columns else None
    found: Calls = {}
    for arm in arms or ["all"]:
        patients = one[one["arm"] == arm] if arms else one
        endpoints = [e for e in plan.endpoints if known_kind(patients.columns, endpoint=e)]
        for endpoint in endpoints:
            calls = _of_endpoint(patients, endpoint=endpoint, by=by, plan=plan)
            calls |= _of_event_risk(patients, endpoint=endpoint, plan=plan, event_risk=event_risk, seed=seed)
            found |= {f"{call}/{endpoint}/{arm}": work for call, work in calls.items()}
        if by and endpoints:
            found[f"outcome_card/{arm}"] = lambda p=patients, e=endpoints: analysis.outcome_card(
                p, by=by, horizon_days=plan.horizon_days, endpoints=e
            ).to_dict()
    return found | _of_treatments(one, arms=arms, plan=plan)


def horizons(rows: pd.DataFrame, *, endpoint: str, plan: Analysis) -> list[float]:
    """The study's horizon and whole years, those up to which somebody is still followed."""
    last = float(rows[f"{endpoint}_days"].max())
    asked = sorted({*YEARS_DAYS, plan.horizon_days})
    return [float(day) for day in asked if day < last] or [float(plan.horizon_days)]


def _of_endpoint(rows: pd.DataFrame, *, endpoint: str, by: str | None, plan: Analysis) -> Calls:
    """Curves, hazards and areas."""
    state = known_kind(rows.columns, endpoint=endpoint) == "state"
    days = horizons(rows, endpoint=endpoint, plan=plan)
    cause = 1 if state else None
    others = usable_covariates(rows, wanted=plan.adjust)

    def plain(call: Callable[..., Any], **options: Any) -> Callable[[], Any]:
        return lambda: as_plain(call(rows, endpoint=endpoint, **options))

    calls: Calls = {
        "cox": plain(analysis.cox, covariates=["risk"], cause=cause),
        "time_dependent_auc": plain(analysis.time_dependent_auc, horizons_days=days),
        "univariable": plain(analysis.univariable, covariates=["risk", *others], cause=cause),
    }
    if others:
        calls["added_value"] = plain(analysis.added_value, base=others, added=["risk"], cause=cause)
    if state:
        calls["cumulative_incidence"] = plain(analysis.cumulative_incidence, by=by)
        calls["fine_gray"] = plain(analysis.fine_gray, covariates=["risk"])
        calls["one_minus_km"] = lambda: _without_curve(
            analysis.one_minus_km(rows, endpoint=endpoint, by=by, horizons_days=days).to_dict()
        )
    else:
        calls["kaplan_meier"] = plain(analysis.kaplan_meier, by=by)
        calls["uno_c"] = plain(analysis.uno_c, tau_days=plan.horizon_days)
    if by:
        area = analysis.time_lost if state else analysis.rmst
        calls["time_lost" if state else "rmst"] = lambda: area(
            rows, endpoint=endpoint, by=by, tau_days=_followed(rows, endpoint=endpoint, by=by, plan=plan)
        ).to_dict()
    return calls


def _of_event_risk(
    rows: pd.DataFrame, *, endpoint: str, plan: Analysis, event_risk: Callable[[], pd.DataFrame], seed: int
) -> Calls:  # fmt: skip
    """How good the probabilities of the event by the study's horizon are."""
    day = float(plan.horizon_days)

    def asked(call: Callable[..., Any], **options: Any) -> Callable[[], Any]:
        return lambda: as_plain(call(rows, endpoint=endpoint, event_risk=event_risk(), **options))

    return {
        "brier_survival": asked(analysis.brier_survival, horizons_days=[day]),
        "calibrate_event_risk": asked(analysis.calibrate_event_risk, horizon_days=day),
        "survival_net_benefit": asked(
            analysis.survival_net_benefit, horizon_days=day, thresholds=plan.thresholds, n_bootstrap=plan.bootstrap,
            generator=np.random.default_rng(seed),
        ),
    }  # fmt: skip


def _of_treatments(rows: pd.DataFrame, *, arms: Sequence[str], plan: Analysis) -> Calls:
    """Treatments compared by predicted group, outside a trial; adjuvant treatment from landmarks."""
    found: Calls = {}
    if "surgery" not in arms or "treatment" not in rows.columns:
        return found
    for pair, treatments in PAIRS.items():
        wanted = ASKED_OF[pair]
        endpoint = wanted if known_kind(rows.columns, endpoint=wanted) else next(iter(plan.endpoints), "")
        if known_kind(rows.columns, endpoint=endpoint) and not (pair == "sbrt" and "sbrt" not in arms):
            found[f"compare_treatments/{endpoint}/{pair}"] = lambda e=endpoint, t=treatments: _compared(
                rows, endpoint=e, treatments=t, plan=plan
            )
    if (
        "rfs" in plan.endpoints
        and known_kind(rows.columns, endpoint="rfs")
        and {"adjuvant", "adjuvant_start_days"} <= set(rows)
    ):
        positive = rows[(rows["arm"] == "surgery") & (rows["onlm"] == 1)]
        if positive["adjuvant"].nunique() > 1:
            found["compare_landmarks/rfs/adjuvant"] = lambda: analysis.compare_landmarks(
                positive, endpoint="rfs", days=list(plan.landmark_days)
            ).to_dict()
    return found


def _compared(rows: pd.DataFrame, *, endpoint: str, treatments: dict[str, Any], plan: Analysis) -> dict[str, Any]:
    patients = analysis.treatment_arms(rows, arms=treatments)
    result = analysis.compare_treatments(
        patients, endpoint=endpoint, treatment=COMPARED, horizon_days=plan.horizon_days,
        covariates=usable_covariates(patients, wanted=plan.balance), group=GROUP if GROUP in patients.columns else None,
        cause=1 if known_kind(patients.columns, endpoint=endpoint) == "state" else None,
    ).to_dict()  # fmt: skip
    if result["balance"]:
        del result["balance"]["weights"]  # results.json holds nobody's row
    return result


def _followed(rows: pd.DataFrame, *, endpoint: str, by: str, plan: Analysis) -> float:
    """The study's horizon, or the last day to which every group is followed."""
    last = rows.dropna(subset=[f"{endpoint}_days", by]).groupby(by, observed=True)[f"{endpoint}_days"].max().min()
    return float(min(plan.horizon_days, last))


def _without_curve(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "curve"}


def as_plain(value: Any) -> Any:
    """A result, an Estimate or a table as plain values."""
    return value.to_dict() if hasattr(value, "digest") else plain_values(value)
