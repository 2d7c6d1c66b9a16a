"""The outcomes page: what became of the patients, by predicted group, and how far the model tells it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import pandas as pd

from onlm_lab.app import controls, linked, opening, sharing, shell
from onlm_lab.app.state import ViewState
from onlm_lab.app.tabs import EVERY_TAB, tabbed
from onlm_lab.errors import OnlmError
from onlm_lab.figures import label_of, theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels import card as cards
from onlm_lab.panels import event_risks, hazards, patients, subgroups, treatments
from onlm_lab.panels import outcomes as panels
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.phrases import named
from onlm_lab.runs import Run

PAGE = "Outcomes of the patients"
TABS = ("Curves", "Hazards", "Event risks", "Treatments")
GROUPINGS = {
    "Low and high risk": "threshold", "Quarters of the risk": "quartiles", "Risk and pathological N": "pathology",
}  # fmt: skip
LANDMARK_DAYS = (60, 90, 120, 180, 240, 300, 365)
N_COMPARED = 3  # models beside each other in the AUC over time: more hide one another


class View(NamedTuple):
    """What the page reads and what the user chose."""

    run: Run
    known: Followed
    state: ViewState
    told: dict[str, pd.DataFrame]  # event_risk.csv, once it was read

    @property
    def rows(self) -> pd.DataFrame:
        return self.known.rows

    @property
    def mark(self) -> str:
        return theme.MADE_UP if self.run.study.made_up else ""

    @property
    def event_risk(self) -> pd.DataFrame:
        if "" not in self.told:
            self.told[""] = self.run.event_risk()
        return self.told[""]


def outcomes(run: Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The outcomes page as one widget.

    Args:
        run: a run, its folder, or a study's folder (then its newest run); None: what is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget for JupyterLab and Voilà. Where there is nothing to show, it says so in a sentence.
    """
    return opening.page_of_run(run, name="outcomes", build=_page, language=language)


def _page(run: Run, language: str) -> linked.Built:
    view = View(run, Followed(run.rows()), ViewState(language=language), {})
    _choose_defaults(view)
    cards_of = (_curve_cards, _hazard_cards, _event_risk_cards, _treatment_cards)
    makers = {tab: partial(cards, view) for tab, cards in zip(TABS, cards_of, strict=True)}
    found = tabbed(view.state, makers=makers, sides=_sides(view))
    left = [*found.left, widgets.HTML(opening.about_html(run, rows=view.rows))]
    head = shell.header(name=run.study.name, page=PAGE, made_up=run.study.made_up, language=language)
    return linked.Built(shell.frame(head=head, left=left, main=found.main), view.state)


def _choose_defaults(view: View) -> None:
    plan, state, rows = view.run.study.analysis, view.state, view.rows
    models = patients.models_of(rows, first=view.run.study.primary_model)
    if not models:
        raise OnlmError("predictions: there is no row. Finish the run with `onlm run STUDY`.")
    arms = patients.arms_of(rows)
    if not arms:
        raise OnlmError(f"predictions: none of {len(rows)} rows names an arm (surgery or sbrt), so none is followed.")
    endpoints = panels.endpoints_of(rows, wanted=plan.endpoints)
    if not endpoints:
        raise OnlmError(
            f"No outcome is known: of {', '.join(plan.endpoints)} no patient has a day. Give followup.csv in "
            "study.toml and run the study again."
        )
    with state.hold_trait_notifications():
        state.tab, state.model, state.arm = TABS[0], models[0], arms[0]
        state.endpoint = "regional" if "regional" in endpoints else endpoints[0]
        state.horizon_days = plan.horizon_days
        state.adjust = tuple(c for c in plan.adjust if c in _covariates(view))
        state.landmark_day = sorted(plan.landmark_days)[len(plan.landmark_days) // 2]


def _covariates(view: View) -> tuple[str, ...]:
    """What the risk can stand beside: the study's own first, then whatever else it names."""
    plan = view.run.study.analysis
    wanted = dict.fromkeys((*plan.adjust, *plan.balance, *plan.confounders, *plan.subgroups))
    return subgroups.columns_of(view.rows, wanted=tuple(wanted))


def _sides(view: View) -> list[tuple[Sequence[str], widgets.Widget]]:
    """The left panel: controls with the tabs for which they hold."""
    rows, state, plan = view.rows, view.state, view.run.study.analysis
    models = patients.models_of(rows, first=view.run.study.primary_model)
    endpoints = panels.endpoints_of(rows, wanted=plan.endpoints)
    arms = patients.arms_of(rows)
    own = rows.loc[rows["model_id"] == state.model, "threshold"].median() if "threshold" in rows else np.nan
    top = max(0.6, plan.threshold_range[1])
    groupings = {k: v for k, v in GROUPINGS.items() if v != "pathology" or "surgery" in arms}
    curves, hazard_tab, _, treatment_tab = TABS
    sides: list[tuple[Sequence[str], widgets.Widget]] = [
        ((EVERY_TAB,), controls.stack([
            controls.choice(state, name="model", label="Model", options={m: m for m in models}),
            controls.buttons(state, name="arm", label="Arm", options=controls.arm_options(arms)),
            controls.choice(state, name="endpoint", label="Endpoint",
                            options={endpoint_words(e).capitalize(): e for e in endpoints}),
            controls.choice(state, name="horizon_days", label="Read at",
                            options=controls.horizon_options(plan.horizon_days)),
            controls.threshold_slider(state, own_fraction=0.1 if np.isnan(own) else float(own), top_fraction=top,
                                      grid=sharing.thresholds(rows, state=state)),
        ])),
        ((curves,), controls.stack([
            controls.choice(state, name="grouping", label="Groups of the curves and the card", options=groupings),
        ])),
    ]  # fmt: skip
    covariates = _covariates(view)
    if covariates:
        sides.append(((hazard_tab,), controls.stack([
            controls.several(state, name="adjust", label="Beside the risk",
                             options={label_of(c): c for c in covariates}, rows=min(len(covariates), 10)),
        ])))  # fmt: skip
    if "surgery" in arms:
        days = sorted({*LANDMARK_DAYS, *plan.landmark_days})
        sides.append(((treatment_tab,), controls.stack([
            controls.choice(state, name="landmark_day", label="Adjuvant treatment judged from",
                            options={f"day {d}": d for d in days}),
        ])))  # fmt: skip
    return sides


def _curve_cards(view: View) -> list[shell.Card]:
    state, known, mark, plan = view.state, view.known, view.mark, view.run.study.analysis

    def cut() -> float | None:
        return None if state.grouping == "quartiles" else state.threshold  # quarters know no threshold

    def curves() -> Panel:
        asked = {"model": state.model, "endpoint": state.endpoint, "horizon_days": state.horizon_days, "mark": mark}
        if state.grouping == "quartiles":
            return panels.quantile_panel(known, arm=state.arm, **asked)
        if state.grouping == "pathology":
            _require_pathology(state)
            try:
                return panels.pathology_panel(known, threshold=state.threshold, **asked)
            except OnlmError as refusal:  # it names what is not drawn
                raise OnlmError(f"Not drawn: {refusal}") from refusal
        return panels.outcome_panel(known, arm=state.arm, threshold=state.threshold, **asked)

    def printed() -> cards.Card:
        asked = {"model": state.model, "horizon_days": state.horizon_days, "endpoints": _card_endpoints(), "mark": mark}
        if state.grouping == "quartiles":
            return cards.quantile_card(known, arm=state.arm, **asked)
        if state.grouping == "pathology":
            _require_pathology(state)
            return cards.pathology_card(known, threshold=state.threshold, **asked)
        return cards.outcome_card(known, arm=state.arm, threshold=state.threshold, **asked)

    def _card_endpoints() -> tuple[str, ...]:
        return panels.endpoints_of(view.rows, wanted=plan.endpoints)

    def mean_time() -> Panel:
        return panels.mean_time_panel(
            known, model=state.model, endpoint=state.endpoint, arm=state.arm, threshold=state.threshold,
            horizon_days=state.horizon_days, mark=mark,
        )  # fmt: skip

    by_group = state.key("model", "arm", "grouping", "horizon_days")
    return [
        shell.Card(curves, key=lambda: (by_group(), state.endpoint, cut()), wide=True),
        shell.Card(printed, key=lambda: (by_group(), cut()), wide=True),
        shell.Card(mean_time, key=state.key("model", "arm", "endpoint", "threshold", "horizon_days"), wide=True),
    ]


def _require_pathology(state: ViewState) -> None:
    if state.arm != "surgery":
        raise OnlmError(
            "Patients after SBRT have no pathological N, so they cannot be grouped by it. Choose the surgery arm, or "
            "other groups."
        )


def _hazard_cards(view: View) -> list[shell.Card]:
    state, known, mark = view.state, view.known, view.mark

    def forest() -> Panel:
        return drawn(hazards.hazard_comparison_panel)

    def incidence() -> Panel | None:
        competing = panels.is_competing(view.rows, endpoint=state.endpoint)
        return drawn(hazards.subdistribution_panel) if competing else None

    def drawn(call: Callable[..., Panel]) -> Panel:
        panel = call(known, model=state.model, endpoint=state.endpoint, arm=state.arm, adjust=state.adjust, mark=mark)
        there = {str(c) for c in panel.table["covariate"]}
        missing = [c for c in state.adjust if c not in there]
        if not missing:
            return panel
        note = f"Left out, for few patients of this arm have a value or all have the same: {named(missing)}."
        return panel._replace(notes=(*panel.notes, note))

    def constancy() -> Panel:
        return hazards.constancy_panel(known, model=state.model, endpoint=state.endpoint, arm=state.arm, mark=mark)

    key = state.key("model", "arm", "endpoint", "adjust")
    return [
        shell.Card(forest, key=key, wide=True),
        shell.Card(incidence, key=key, wide=True),
        shell.Card(constancy, key=state.key("model", "arm", "endpoint"), wide=True),
    ]


def _event_risk_cards(view: View) -> list[shell.Card]:
    state, known, mark = view.state, view.known, view.mark
    models = patients.models_of(view.rows)

    def auc() -> Panel:
        days = [d for d in controls.HORIZONS.values() if d < view.rows[f"{state.endpoint}_days"].max()]
        compared = [state.model, *(m for m in models if m != state.model)][:N_COMPARED]
        return event_risks.auc_over_time_panel(
            known, models=compared, endpoint=state.endpoint, arm=state.arm, horizons_days=days,
            horizon_days=state.horizon_days, mark=mark,
        )  # fmt: skip

    def calibration() -> Panel:
        return event_risks.event_calibration_panel(
            view.rows, event_risk=view.event_risk, model=state.model, endpoint=state.endpoint, arm=state.arm,
            horizon_days=state.horizon_days, mark=mark,
        )  # fmt: skip

    key = state.key("model", "arm", "endpoint", "horizon_days")
    return [shell.Card(auc, key=key), shell.Card(calibration, key=key)]


def _treatment_cards(view: View) -> list[shell.Card]:
    state, mark, plan = view.state, view.mark, view.run.study.analysis

    def compared(pair: str) -> Panel:
        found = treatments.treatment_comparison(
            view.rows, model=state.model, pair=pair, endpoint=state.endpoint, balance=plan.balance,
            horizon_days=state.horizon_days, threshold=state.threshold,
        )  # fmt: skip
        return treatments.treatment_panel(found, pair=pair, mark=mark)

    def adjuvant() -> Panel | None:
        if state.arm != "surgery":
            return None
        return treatments.landmark_panel(
            view.rows, model=state.model, endpoint=state.endpoint, told_day=state.landmark_day, mark=mark,
            landmark_days=sorted({*plan.landmark_days, state.landmark_day}),
        )  # fmt: skip

    key = state.key("model", "endpoint", "horizon_days", "threshold")
    pairs = treatments.pairs_of(view.rows, model=state.model) or tuple(treatments.PAIRS)  # then each says why not
    shown = [shell.Card(lambda pair=pair: compared(pair), key=key, wide=True) for pair in pairs]
    return [*shown, shell.Card(adjuvant, key=state.key("arm", "endpoint", "landmark_day"), wide=True)]
