"""The performance page: how good is the model, in whom does it fail, and what became of the patients?"""

from __future__ import annotations

import html
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import pandas as pd

from onlm_lab.app import controls, shell
from onlm_lab.app.state import ViewState
from onlm_lab.errors import OnlmError
from onlm_lab.figures import label_of, theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import MEASURES
from onlm_lab.panels import outcomes, patients, subgroups
from onlm_lab.panels import performance as panels
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Panel
from onlm_lab.runs import Run, open_run
from onlm_lab.study import Study

RUN_VARIABLE = "ONLM_RUN"  # the run that `onlm dashboards` serves
PAGE = "Performance of the model"
TABS = ("Performance", "Subgroups", "Outcomes")
HORIZONS = {"1 year": 365, "2 years": 730, "3 years": 1095, "5 years": 1826}
N_COMPARED = 3  # drawn at first: more curves, each with its band, hide one another; the rest are one click away


class View(NamedTuple):
    """What a page reads and what the user chose."""

    study: Study
    rows: pd.DataFrame
    state: ViewState
    by_split: dict[str, Judged]  # what was computed so far

    @property
    def mark(self) -> str:
        return theme.MADE_UP if self.study.made_up else ""

    @property
    def tested(self) -> Judged:
        split = self.state.split
        if split not in self.by_split:
            self.by_split[split] = Judged(patients.tested(self.rows, split=split))
        return self.by_split[split]


def performance(run: Run | str | Path | None = None) -> widgets.Widget:
    """The performance page as one widget.

    Args:
        run: a run, its folder, or a study's folder (then its newest run); None: the run that is being served.

    Returns:
        A widget for JupyterLab and Voilà. Where there is nothing to show, it says so in a sentence.
    """
    try:
        return _page(_open(run))
    except OnlmError as error:
        return shell.error_page(str(error), page=PAGE)


def _open(run: Run | str | Path | None) -> Run:
    if isinstance(run, Run):
        return run
    if run is None:
        run = os.environ.get(RUN_VARIABLE, "")
        if not run:
            raise OnlmError(
                "No run was named: call app.performance(\"STUDY\") with a study's or run's folder, or serve one with "
                "`onlm dashboards STUDY`."
            )
    return open_run(run)


def _page(run: Run) -> widgets.Widget:
    view = View(run.study, run.rows(), ViewState(), {})
    _choose_defaults(view)
    tiles = widgets.HTML()
    tiles.add_class("onlm-tiles-box")
    built: dict[str, widgets.Widget] = {}
    place = widgets.VBox(layout={"min_width": "0"})
    place.add_class("onlm-place")
    makers: dict[str, Callable[[View], list[shell.Card]]] = {
        "Performance": _performance_cards, "Subgroups": _subgroup_cards, "Outcomes": _outcome_cards,
    }  # fmt: skip

    def redraw(_: object = None) -> None:
        tab = view.state.tab
        tiles.value = _tiles_html(view)
        if tab not in built:  # a tab is built when it is first opened
            built[tab] = shell.grid(makers[tab](view), css_class="onlm-cards")
        for card in built[tab].children:
            card.refresh()
        if place.children != (built[tab],):
            place.children = (built[tab],)
        for name, box in sides.items():
            box.layout.display = None if name in (tab, "") else "none"

    sides = _sides(view)
    tabs = controls.buttons(view.state, name="tab", options={t: t for t in TABS})
    tabs.add_class("onlm-tabs")
    redraw()
    view.state.observe(redraw)
    left = [*sides.values(), widgets.HTML(_about_html(run, view))]
    head = shell.header(name=view.study.name, page=PAGE, made_up=view.study.made_up)
    return shell.frame(head=head, left=left, main=[tiles, tabs, place])


def _choose_defaults(view: View) -> None:
    plan, state, rows = view.study.analysis, view.state, view.rows
    models = patients.models_of(rows, first=view.study.primary_model)
    if not models:
        raise OnlmError("predictions: there is no row. Finish the run with `onlm run STUDY`.")
    splits = patients.splits_of(rows)
    if not splits:
        patients.tested(rows)  # raises, saying what is wanted
    endpoints = outcomes.endpoints_of(rows, wanted=plan.endpoints)
    with state.hold_trait_notifications():
        state.model, state.compared, state.split = models[0], models[:N_COMPARED], splits[0]
        state.columns = subgroups.columns_of(rows, wanted=plan.subgroups)
        state.endpoint = "regional" if "regional" in endpoints else endpoints[0] if endpoints else ""
        state.horizon_days = plan.horizon_days


def _sides(view: View) -> dict[str, widgets.Widget]:
    """The left panel: what holds for every tab under "", the rest by tab."""
    rows, state, plan = view.rows, view.state, view.study.analysis
    models = patients.models_of(rows, first=view.study.primary_model)
    always = [controls.choice(state, name="model", label="Model", options={m: m for m in models})]
    splits = patients.splits_of(rows)
    if len(splits) > 1:
        names = {"oof": "Out of fold", "test": "Internal test", "external": "External test", "temporal": "Later years"}
        always.append(
            controls.choice(state, name="split", label="Judged on", options={names[s]: s for s in splits})
        )  # fmt: skip
    own = rows.loc[rows["model_id"] == state.model, "threshold"].median() if "threshold" in rows else np.nan
    top = max(0.6, plan.threshold_range[1])
    always.append(controls.threshold_slider(state, own_fraction=0.1 if np.isnan(own) else float(own), top_fraction=top))
    compared = controls.several(state, name="compared", label="Models in the figures", options={m: m for m in models},
                                rows=min(len(models), 6))  # fmt: skip
    sides = {"": _stack(always)}
    if len(models) > 1:
        sides["Performance"] = _stack([compared])
    columns = subgroups.columns_of(rows, wanted=plan.subgroups)
    if columns:
        sides["Subgroups"] = _stack([
            controls.choice(state, name="measure", label="Measure", options={v: k for k, v in MEASURES.items()}),
            controls.several(state, name="columns", label="Divide patients by",
                             options={label_of(c): c for c in columns}, rows=min(len(columns), 10)),
        ])  # fmt: skip
    endpoints = outcomes.endpoints_of(rows, wanted=plan.endpoints)
    if endpoints:
        horizons = HORIZONS | (
            {} if plan.horizon_days in HORIZONS.values() else {theme.years(plan.horizon_days): plan.horizon_days}
        )
        arms = {"Both": "both"} | {patients.ARMS[a].capitalize() if a != "sbrt" else "SBRT": a
                                   for a in patients.arms_of(rows)}  # fmt: skip
        sides["Outcomes"] = _stack([
            controls.choice(state, name="endpoint", label="Endpoint",
                            options={endpoint_words(e).capitalize(): e for e in endpoints}),
            controls.choice(state, name="horizon_days", label="Read at", options=horizons),
            controls.buttons(state, name="arm", label="Arm", options=arms),
        ])  # fmt: skip
    return sides


def _performance_cards(view: View) -> list[shell.Card]:
    state, plan, mark = view.state, view.study.analysis, view.mark

    def models() -> list[str]:
        return [state.model, *(m for m in state.compared if m != state.model)]

    def key() -> object:
        return (state.split, state.threshold, *models())

    def without_threshold() -> object:
        return (state.split, *models())

    def line() -> float | None:
        return state.threshold

    def decision() -> Panel:
        return panels.decision_panel(
            view.tested, thresholds=plan.thresholds, models=models(), threshold=line(),
            n_bootstrap=plan.bootstrap, seed=view.study.seed, mark=mark,
        )  # fmt: skip

    def comparison() -> Panel | None:
        if len(models()) < 2:
            return None
        return panels.comparison_panel(view.tested, model=state.model, others=models(), mark=mark)

    return [
        shell.Card(lambda: panels.roc_panel(view.tested, models=models(), threshold=line(), mark=mark), key=key),
        shell.Card(lambda: panels.calibration_panel(view.tested, models=models(), mark=mark), key=without_threshold),
        shell.Card(
            lambda: panels.operating_panel(view.tested, model=state.model, threshold=line(), mark=mark), key=key
        ),
        shell.Card(decision, key=key),
        shell.Card(comparison, key=without_threshold, wide=True),
    ]


def _subgroup_cards(view: View) -> list[shell.Card]:
    state, plan, mark = view.state, view.study.analysis, view.mark

    def forest() -> Panel:
        return subgroups.subgroup_panel(
            view.tested, model=state.model, columns=state.columns, bins=plan.bins, measure=state.measure,
            threshold=state.threshold, mark=mark,
        )  # fmt: skip

    key = _key(state, "split", "model", "columns", "measure", "threshold")
    return [shell.Card(forest, key=key, wide=True)]


def _outcome_cards(view: View) -> list[shell.Card]:
    state, mark = view.state, view.mark
    cards = []
    for arm in patients.arms_of(view.rows):

        def curves(arm: str = arm) -> Panel | None:
            if state.arm not in (arm, "both") or not state.endpoint:
                return None
            return outcomes.outcome_panel(
                view.rows, model=state.model, endpoint=state.endpoint, arm=arm, threshold=state.threshold,
                horizon_days=state.horizon_days, mark=mark,
            )  # fmt: skip

        def hazards(arm: str = arm) -> Panel | None:
            if state.arm not in (arm, "both") or not state.endpoint:
                return None
            return outcomes.hazard_panel(view.rows, model=state.model, endpoint=state.endpoint, arm=arm, mark=mark)

        cards.append(shell.Card(curves, key=_key(state, "model", "endpoint", "arm", "threshold", "horizon_days")))
        cards.append(shell.Card(hazards, key=_key(state, "model", "endpoint", "arm")))
    return cards[::2] + cards[1::2]


def _key(state: ViewState, *names: str) -> Callable[[], object]:
    return lambda: tuple(getattr(state, name) for name in names)


def _tiles_html(view: View) -> str:
    state = view.state
    try:
        tested = view.tested
        shown = panels.tiles(tested, model=state.model, threshold=state.threshold)
    except OnlmError as error:
        return shell.sentence_html(str(error))
    tiles = "".join(
        f"<div class='onlm-tile' data-tile='{html.escape(t.name, quote=True)}'>"
        f"<div class='name'>{html.escape(t.name)}</div><div class='value'>{html.escape(t.value)}</div>"
        f"<div class='interval'>{html.escape(t.interval)}</div><div class='note'>{html.escape(t.note)}</div></div>"
        for t in shown
    )
    one = tested.patients(state.model).frame
    basis = (
        f"Model {state.model} at {patients.threshold_words(one, threshold=state.threshold)}; "
        f"{patients.TESTED[state.split]}."
    )
    return f"<div class='onlm-tiles'>{tiles}</div><p class='onlm-basis'>{html.escape(basis)}</p>"


def _about_html(run: Run, view: View) -> str:
    counted = view.rows.drop_duplicates("patient_id")
    arms = "; ".join(f"{patients.ARMS[a]} {int((counted['arm'] == a).sum())}" for a in patients.arms_of(counted))
    lines = [f"Run {run.id}: {len(counted)} patients{f' ({arms})' if arms else ''}."]
    if view.study.label.surrogate:
        lines.append("Surrogate label: the table has no clinical N; pathological N stands alone.")
    n_opened = len(run.openings)
    if n_opened:
        times = "once" if n_opened == 1 else f"{n_opened} times: no longer an untouched test"
        lines.append(f"Internal test: the locked test set of this study was opened {times}.")
    if view.study.study.licence:
        lines.append(view.study.study.licence)
    lines.append("For research. Not a medical device; not for decisions about a patient.")
    return "<div class='onlm-about'>" + "".join(f"<p>{html.escape(line)}</p>" for line in lines) + "</div>"


def _stack(controls_: list[widgets.Widget]) -> widgets.Widget:
    box = widgets.VBox(controls_, layout={"min_width": "0", "grid_gap": "14px", "overflow": "visible"})
    return box
