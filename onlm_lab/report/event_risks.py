"""The section on how well the risk of N+ tells what becomes of the patients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.outcome_battery import horizons
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.events import upper_first, within
from onlm_lab.panels.event_risks import (
    TOLD,
    auc_over_time_panel,
    brier_panel,
    event_calibration_panel,
    event_decision_panel,
    told_horizons,
)
from onlm_lab.panels.outcomes import endpoints_of
from onlm_lab.panels.patients import arms_of, of_arm
from onlm_lab.report.grouping import CHANCE
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt, panel_blocks
from onlm_lab.report.section import Block, Section, Text, box, note, said_once, table
from onlm_lab.results import Estimate

LEADING = {"surgery": "rfs", "sbrt": "regional"}  # whose figures are drawn
MOST_MODELS = 3
READING = (
    "AUC: 0.5 is chance. Scaled Brier: above 0 is better than telling everybody the same probability, below 0 worse. "
    "O:E and calibration slope: 1 is right."
)


def event_risk(material: Material) -> Section:
    """Discrimination over time, Brier score, calibration and net benefit of P(event by the horizon)."""
    blocks: list[Block] = [box(TOLD)]
    for arm in arms_of(material.rows):
        endpoints = endpoints_of(of_arm(material.rows, model=material.primary, arm=arm),
                                 wanted=material.study.analysis.endpoints)  # fmt: skip
        if not endpoints:
            continue
        blocks += attempt(lambda a=arm, e=endpoints: _table(material, arm=a, endpoints=e))
        leading = LEADING[arm] if LEADING[arm] in endpoints else endpoints[0]
        blocks += _figures(material, arm=arm, endpoint=leading)
    if len(blocks) == 1:
        blocks = [Text("No follow-up is recorded: nothing can be said about outcomes.")]
    return Section("event-risk", "How well does the risk tell what becomes of the patients?", tuple(said_once(blocks)))


def _table(material: Material, *, arm: str, endpoints: tuple[str, ...]) -> list[Block]:
    horizon = float(material.study.analysis.horizon_days)
    patients = of_arm(material.rows, model=material.primary, arm=arm)
    rows = [_row(material, patients, endpoint=e, horizon=horizon) for e in endpoints]
    name = {"surgery": "Surgery", "sbrt": "SBRT"}[arm]
    shown = table(
        pd.DataFrame([row for row, _ in rows]), caption=f"{name}: {material.primary}, by {theme.years(horizon)}"
    )
    return [shown, note(READING), *(note(said) for _, notes in rows for said in notes)]


def _row(
    material: Material, patients: pd.DataFrame, *, endpoint: str, horizon: float
) -> tuple[dict[str, str], list[str]]:
    """One endpoint at the horizon, dashes where nobody could be told a probability; and what its reader must know."""
    what = within(endpoint, horizon)
    auc = analysis.time_dependent_auc(patients, endpoint=endpoint, horizons_days=[horizon]).iloc[0]
    row = {"Event": what, "AUC": _said(auc["value"], auc["low"], auc["high"]),
           "Brier score": "–", "Scaled Brier": "–", "O:E": "–", "Calibration slope": "–"}  # fmt: skip
    notes = [f"{upper_first(what)}: {auc['note']}."] if auc["note"] else []
    if auc["high"] < CHANCE:
        notes.append(
            f"{upper_first(what)}: the interval of the AUC lies below {CHANCE:g}. The higher the predicted risk, the "
            "less often the event."
        )
    asked = {"endpoint": endpoint, "event_risk": material.event_risk, "model": material.primary}
    try:
        brier = analysis.brier_survival(patients, horizons_days=[horizon], **asked).iloc[0]
        found = analysis.calibrate_event_risk(patients, horizon_days=horizon, **asked)
    except OnlmError:
        return row, [*notes, f"{upper_first(what)}: too few events, or too short a follow-up, to tell probabilities."]
    row |= {
        "Brier score": _said(brier["value"], brier["low"], brier["high"], digits=3),
        "Scaled Brier": theme.percent(brier["scaled"]),
        "O:E": _estimate(found.oe_ratio), "Calibration slope": _estimate(found.slope),
    }  # fmt: skip
    return row, notes


def _figures(material: Material, *, arm: str, endpoint: str) -> list[Block]:
    plan, rows, told = material.study.analysis, material.rows, material.event_risk
    models = list(material.models[:MOST_MODELS])
    asked = {"endpoint": endpoint, "arm": arm, "mark": material.mark}
    patients = of_arm(rows, model=material.primary, arm=arm)
    days = horizons(patients, endpoint=endpoint, plan=plan)
    blocks = attempt(
        lambda: panel_blocks(
            auc_over_time_panel(
                material.followed, models=models, horizons_days=days, horizon_days=plan.horizon_days, **asked
            ),
            id=f"fig-auc-time-{arm}",
        )
    )
    known = told_horizons(told, endpoint=endpoint, arm=arm)
    if plan.horizon_days not in known:
        what = within(endpoint, plan.horizon_days)
        return [*blocks, note(f"Too few events, or too short a follow-up, to tell probabilities of {what}.")]
    blocks += attempt(
        lambda: panel_blocks(
            brier_panel(rows, event_risk=told, models=models, horizons_days=known, **asked), id=f"fig-brier-{arm}"
        )
    )
    blocks += attempt(lambda: panel_blocks(event_calibration_panel(
        rows, event_risk=told, model=material.primary, horizon_days=plan.horizon_days, **asked),
        id=f"fig-event-calibration-{arm}"))  # fmt: skip
    return blocks + attempt(lambda: panel_blocks(event_decision_panel(
        rows, event_risk=told, models=models, horizon_days=plan.horizon_days, thresholds=plan.thresholds,
        n_bootstrap=plan.bootstrap, seed=material.study.seed, **asked), id=f"fig-event-decision-{arm}"))  # fmt: skip


def _said(value: float, low: float, high: float, *, digits: int = 2) -> str:
    return _estimate(Estimate(value, low, high), digits=digits)


def _estimate(estimate: Estimate, *, digits: int = 2) -> str:
    return "–" if np.isnan(estimate.value) else theme.with_interval(estimate, digits=digits)
