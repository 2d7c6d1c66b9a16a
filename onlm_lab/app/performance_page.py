"""The performance page: how good is the model, in whom does it fail, and what became of the patients?"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from onlm_lab.app import controls, linked, opening, sharing, shell
from onlm_lab.app.performance_cards import (
    CENTRE,
    View,
    centre_cards,
    fairness_cards,
    outcome_cards,
    performance_cards,
    subgroup_cards,
)
from onlm_lab.app.performance_state import PerformanceState
from onlm_lab.app.tabs import EVERY_TAB, tabbed
from onlm_lab.errors import OnlmError
from onlm_lab.figures import centres as centre_figures
from onlm_lab.figures import fairness as fair_figures
from onlm_lab.figures import label_of
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import MEASURES
from onlm_lab.panels import outcomes, patients, subgroups
from onlm_lab.runs import Run

PAGE = "Performance of the model"
FAIR = ("sex", "age_years")  # of the study's subgroups, those asked about first
N_COMPARED = 3  # drawn at first: more curves, each with its band, hide one another; the rest are one click away


def performance(run: Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The performance page as one widget.

    Args:
        run: a run, its folder, or a study's folder (then its newest run); None: what is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget for JupyterLab and Voilà. Where there is nothing to show, it says so in a sentence.
    """
    return opening.page_of_run(run, name="performance", build=_page, language=language)


def _page(run: Run, language: str) -> linked.Built:
    view = View(run.study, run.rows(), PerformanceState(language=language), {})
    _choose_defaults(view)
    tiles = widgets.HTML()
    tiles.add_class("onlm-tiles-box")
    tabs = {
        "Performance": performance_cards, "Subgroups": subgroup_cards, "Centres": centre_cards,
        "Fairness": fairness_cards, "Outcomes": outcome_cards,
    }  # fmt: skip
    makers = {tab: partial(cards, view) for tab, cards in tabs.items() if tab != "Centres" or _has_centres(view)}

    def draw_tiles() -> None:
        tiles.value = _tiles_html(view)

    found = tabbed(view.state, makers=makers, sides=_sides(view), before=draw_tiles)
    left = [*found.left, widgets.HTML(opening.about_html(run, rows=view.rows))]
    head = shell.header(name=view.study.name, page=PAGE, made_up=view.study.made_up, language=language)
    return linked.Built(shell.frame(head=head, left=left, main=[tiles, *found.main]), view.state)


def _has_centres(view: View) -> bool:
    return CENTRE in view.rows.columns and view.rows[CENTRE].nunique() > 1


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
        state.fair_columns = tuple(c for c in state.columns if c in FAIR) or state.columns[:1]
        state.endpoint = "regional" if "regional" in endpoints else endpoints[0] if endpoints else ""
        state.horizon_days = plan.horizon_days


def _sides(view: View) -> list[tuple[Sequence[str], widgets.Widget]]:
    """The left panel: controls with the tabs for which they hold."""
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
    always.append(
        controls.threshold_slider(
            state,
            own_fraction=0.1 if np.isnan(own) else float(own),
            top_fraction=top,
            grid=sharing.thresholds(rows, state=state),
        )
    )
    compared = controls.several(state, name="compared", label="Models in the figures", options={m: m for m in models},
                                rows=min(len(models), 6))  # fmt: skip
    sides: list[tuple[Sequence[str], widgets.Widget]] = [((EVERY_TAB,), controls.stack(always))]
    if len(models) > 1:
        sides.append((("Performance",), controls.stack([compared])))
    columns = subgroups.columns_of(rows, wanted=plan.subgroups)
    if _has_centres(view):
        sides.append((("Centres",), controls.stack([
            controls.choice(state, name="centre_measure", label="Measure",
                            options={v: k for k, v in centre_figures.MEASURES.items()}),
        ])))  # fmt: skip
    if columns:
        sides.append((("Fairness",), controls.stack([
            controls.choice(state, name="fair_measure", label="Measure",
                            options={v: k for k, v in fair_figures.MEASURES.items()}),
            controls.several(state, name="fair_columns", label="Groups held against each other",
                             options={label_of(c): c for c in columns}, rows=min(len(columns), 10)),
        ])))  # fmt: skip
        sides.append((("Subgroups",), controls.stack([
            controls.choice(state, name="only", label="Only patients with", options=_who_may_be_left(view)),
            controls.choice(state, name="measure", label="Measure", options={v: k for k, v in MEASURES.items()}),
            controls.several(state, name="columns", label="Divide patients by",
                             options={label_of(c): c for c in columns}, rows=min(len(columns), 10)),
        ])))  # fmt: skip
    endpoints = outcomes.endpoints_of(rows, wanted=plan.endpoints)
    if endpoints:
        arms = {"Both": "both"} | controls.arm_options(patients.arms_of(rows))
        sides.append((("Outcomes",), controls.stack([
            controls.choice(state, name="endpoint", label="Endpoint",
                            options={endpoint_words(e).capitalize(): e for e in endpoints}),
            controls.choice(state, name="horizon_days", label="Read at",
                            options=controls.horizon_options(plan.horizon_days)),
            controls.buttons(state, name="arm", label="Arm", options=arms),
        ])))  # fmt: skip
    return sides


def _who_may_be_left(view: View) -> dict[str, str]:
    """What the subgroups may be restricted to: the centre, the year of treatment, and what divides patients."""
    wanted = dict.fromkeys((CENTRE, "treatment_year", *view.study.analysis.subgroups))
    columns = subgroups.columns_of(view.rows, wanted=tuple(wanted))
    return sharing.filters(view.rows, columns=columns, bins=view.bins)


def _tiles_html(view: View) -> str:
    state = view.state
    try:
        tested = view.tested
        shown = sharing.tiles(tested, model=state.model, threshold=state.threshold)
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
