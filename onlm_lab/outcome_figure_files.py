"""The figures of what became of the patients, by file name: curves, hazards, event risks, treatments compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pandas as pd

from onlm_lab import runs
from onlm_lab.analysis import event_risk_table
from onlm_lab.analysis.battery import first_repeat
from onlm_lab.analysis.outcome_battery import horizons
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.events import within
from onlm_lab.panels import event_risks, hazards, outcomes, patients, treatments
from onlm_lab.panels.panel import Panel
from onlm_lab.results import TreatmentComparison
from onlm_lab.runs import Run

Named = tuple[str, Callable[[], Panel]]
LEADING = {"sublobar": "rfs", "sbrt": "regional"}  # the endpoint of a pair of treatments
MOST_MODELS = 3


def outcome_panels_of(run: Run) -> Iterator[Named]:
    """The figures of outcomes of a run by file name, each built when it is asked for."""
    rows, plan = run.rows(), run.study.analysis
    mark = theme.MADE_UP if run.study.made_up else ""

    @cache
    def told() -> pd.DataFrame:
        if (run.folder / runs.EVENT_RISK).is_file():
            return run.event_risk()
        return event_risk_table(first_repeat(rows), endpoints=plan.endpoints, horizon_days=plan.horizon_days)

    for arm in patients.arms_of(rows):
        for endpoint in outcomes.endpoints_of(rows[rows["arm"] == arm], wanted=plan.endpoints):
            asked = {"model": run.study.primary_model, "endpoint": endpoint, "arm": arm, "mark": mark}
            yield from _curves(run, rows, asked)
            yield from _hazards(run, rows, asked)
            yield from _event_risks(run, rows, told, asked)
    yield from _treatments(run, rows, mark)


def _curves(run: Run, rows: pd.DataFrame, asked: dict[str, str]) -> Iterator[Named]:
    """By predicted group, by quarters of the risk, inside pathological N, and the mean time."""
    name, by = f"{asked['endpoint']}_{asked['arm']}", {"horizon_days": run.study.analysis.horizon_days}
    yield name, lambda: outcomes.outcome_panel(rows, **by, **asked)
    yield f"{name}_quantiles", lambda: outcomes.quantile_panel(rows, **by, **asked)
    yield f"{name}_mean_time", lambda: outcomes.mean_time_panel(rows, **by, **asked)
    if asked["arm"] == "surgery":
        inside = {key: value for key, value in asked.items() if key != "arm"}
        yield f"{asked['endpoint']}_pathology", lambda: outcomes.pathology_panel(rows, **by, **inside)


def _hazards(run: Run, rows: pd.DataFrame, asked: dict[str, str]) -> Iterator[Named]:
    """The ratio alone, beside other covariates, over time and along the risk."""
    name = f"{asked['endpoint']}_{asked['arm']}"
    adjust = run.study.analysis.adjust
    yield f"{name}_hazard", lambda: hazards.hazard_panel(rows, **asked)
    yield f"{name}_hazards", lambda: hazards.hazard_comparison_panel(rows, adjust=adjust, **asked)
    yield f"{name}_constancy", lambda: hazards.constancy_panel(rows, **asked)
    yield f"{name}_form", lambda: hazards.form_panel(rows, **asked)


def _event_risks(
    run: Run, rows: pd.DataFrame, told: Callable[[], pd.DataFrame], asked: dict[str, str]
) -> Iterator[Named]:
    """How well the risk tells the event: over time, and as a probability of it."""
    plan, model = run.study.analysis, asked["model"]
    endpoint, arm, mark = asked["endpoint"], asked["arm"], asked["mark"]
    models = patients.models_of(rows, first=model)[:MOST_MODELS]
    shown = {"endpoint": endpoint, "arm": arm, "mark": mark}
    day = plan.horizon_days

    def over_time() -> Panel:
        days = horizons(patients.of_arm(rows, model=model, arm=arm), endpoint=endpoint, plan=plan)
        return event_risks.auc_over_time_panel(rows, models=models, horizons_days=days, horizon_days=day, **shown)

    def known() -> list[float]:
        days = event_risks.told_horizons(told(), endpoint=endpoint, arm=arm)
        if day not in days:
            raise OnlmError(
                f"too few events, or too short a follow-up, to tell probabilities of {within(endpoint, day)}."
            )
        return days

    def brier() -> Panel:
        return event_risks.brier_panel(rows, event_risk=told(), models=models, horizons_days=known(), **shown)

    def calibration() -> Panel:
        known()
        return event_risks.event_calibration_panel(rows, event_risk=told(), horizon_days=day, **asked)

    def decision() -> Panel:
        known()
        return event_risks.event_decision_panel(
            rows, event_risk=told(), models=models, horizon_days=day, thresholds=plan.thresholds,
            n_bootstrap=plan.bootstrap, seed=run.study.seed, **shown,
        )  # fmt: skip

    yield f"auc_{endpoint}_{arm}", over_time
    yield f"brier_{endpoint}_{arm}", brier
    yield f"event_calibration_{endpoint}_{arm}", calibration
    yield f"event_decision_{endpoint}_{arm}", decision


def _treatments(run: Run, rows: pd.DataFrame, mark: str) -> Iterator[Named]:
    """Two treatments side by side where enough patients had each, and adjuvant treatment from landmarks."""
    plan, model = run.study.analysis, run.study.primary_model
    endpoints = outcomes.endpoints_of(rows, wanted=plan.endpoints)
    if not endpoints:
        return
    for pair in treatments.PAIRS:
        endpoint = LEADING[pair] if LEADING[pair] in endpoints else endpoints[0]

        @cache
        def found(pair: str = pair, endpoint: str = endpoint) -> TreatmentComparison:
            return treatments.treatment_comparison(
                rows, model=model, pair=pair, endpoint=endpoint, balance=plan.balance, horizon_days=plan.horizon_days
            )

        for name, draw in (
            ("balance", treatments.balance_panel), ("treatment", treatments.treatment_panel),
            ("weighted", treatments.weighted_curves_panel),
        ):  # fmt: skip
            yield f"{name}_{pair}", lambda draw=draw, found=found, pair=pair: draw(found(), pair=pair, mark=mark)
    if "surgery" in patients.arms_of(rows):
        endpoint = "rfs" if "rfs" in endpoints else endpoints[0]
        yield (
            f"landmark_{endpoint}",
            lambda: treatments.landmark_panel(
                rows, model=model, endpoint=endpoint, landmark_days=plan.landmark_days, mark=mark
            ),
        )
