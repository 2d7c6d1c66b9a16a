"""The cases page: one patient after another, and what the model makes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
from traitlets import dlink

from onlm_lab import reading_plan, readings
from onlm_lab.app import case_cards, controls, linked, opening, shell
from onlm_lab.app.cases_state import CasesState
from onlm_lab.app.cases_view import CasesView
from onlm_lab.app.ct_viewer import CtViewer
from onlm_lab.app.live_card import LiveCard
from onlm_lab.app.readers_card import readers_card
from onlm_lab.app.reading_place import reading_cards
from onlm_lab.app.scan_card import scan_card
from onlm_lab.app.tabs import tabbed
from onlm_lab.errors import OnlmError
from onlm_lab.figures import label_of
from onlm_lab.panels import case_list, patients
from onlm_lab.runs import Run
from onlm_lab.served import lists_patients

PAGE = "Cases"
CASES, READING, RESULTS = "Cases", "Reading", "Readers' results"
REFUSED = (
    "This page shows patients one by one, and study.toml does not let shared pages do so. Whoever owns the study can "
    "allow it: patient_pages = true under [study]."
)
Cards = Sequence[shell.Card | LiveCard]


def cases(run: Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The cases page as one widget.

    Args:
        run: a run, its folder, or a study's folder (then its newest run); None: what is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget for JupyterLab and Voilà. Where there is nothing to show, or patients may not be shown one by one, it
        says so in a sentence.
    """
    return opening.page_of_run(run, name="cases", build=_page, language=language)


def _page(run: Run, language: str) -> linked.Built:
    if not lists_patients(run.study):
        raise OnlmError(REFUSED)
    view = CasesView(run, CasesState(language=language))
    _choose_defaults(view)
    makers: dict[str, Callable[[], Cards]] = {CASES: partial(_case_cards, view), READING: partial(reading_cards, run)}
    if (run.folder / reading_plan.FILE).is_file():
        view.state.tab = READING  # a reader who opens the page is sent no risk: the other tab is not built yet
    if (run.folder / readings.FILE).is_file():
        makers[RESULTS] = lambda: [readers_card(run, language=language)]
    found = tabbed(view.state, makers=makers, sides=_sides(view), before=_keep_in_list(view))
    left = [*found.left, widgets.HTML(opening.about_html(run, rows=view.rows))]
    head = shell.header(name=view.study.name, page=PAGE, made_up=view.study.made_up, language=language)
    return linked.Built(shell.frame(head=head, left=left, main=found.main), view.state)


def _choose_defaults(view: CasesView) -> None:
    models = patients.models_of(view.rows, first=view.study.primary_model)
    if not models:
        raise OnlmError("predictions: there is no row. Finish the run with `onlm run STUDY`.")
    view.state.model = models[0]


def _keep_in_list(view: CasesView) -> Callable[[], None]:
    """After other filters the first of the list is shown, where the patient on view no longer passes them."""
    seen: list[tuple[object, ...]] = [()]

    def keep() -> None:
        if view.state.tab != CASES or seen[0] == view.filters:
            return
        seen[0] = view.filters
        ids = view.picked["patient_id"].tolist()
        if view.state.patient not in ids:
            view.state.patient = ids[0] if ids else ""

    return keep


def _sides(view: CasesView) -> list[tuple[Sequence[str], widgets.Widget]]:
    """The left panel: who is in the list, and in which order."""
    rows, state, plan = view.rows, view.state, view.study.analysis
    models = patients.models_of(rows, first=view.study.primary_model)
    own = rows.loc[rows["model_id"] == state.model, "threshold"].median() if "threshold" in rows else np.nan
    box = [controls.choice(state, name="model", label="Model", options={m: m for m in models})]
    arms = patients.arms_of(rows)
    if len(arms) > 1:
        box.append(
            controls.buttons(state, name="arm", label="Arm", options={"Both": "both"} | controls.arm_options(arms))
        )
    box += [
        controls.choice(state, name="split", label="Tested or not", options=_turned(case_list.SPLITS)),
        controls.choice(state, name="error", label="Error", options=_turned(case_list.ERRORS)),
        controls.threshold_slider(  # a CasesState has a threshold as a ViewState has
            state, own_fraction=0.1 if np.isnan(own) else float(own), top_fraction=max(0.6, plan.threshold_range[1])
        ),
        *_subgroup_controls(view),
        controls.choice(state, name="order", label="Order", options=_turned(case_list.ORDERS)),
    ]  # fmt: skip
    return [((CASES,), controls.stack(box))]


def _turned(words: dict[str, str]) -> dict[str, object]:
    return {label: value for value, label in words.items()}


def _subgroup_controls(view: CasesView) -> list[widgets.Widget]:
    """A column, and beside it one of its levels; the levels follow the column."""
    state, plan = view.state, view.study.analysis
    names = case_list.columns_of(view.rows, wanted=plan.subgroups, bins=plan.bins)
    if not names:
        return []
    columns = {"None": ""} | {label_of(name): name for name in names}
    options = {
        name: case_list.level_options(view.rows, column=name, bins=plan.bins) for name in columns.values()
    }  # fmt: skip
    state.offer("level", lambda value: value == "" or value in options.get(state.column, {}).values())
    box = widgets.Dropdown(options=[(state.say("Everybody"), "")], value="", layout={"width": "100%", "min_width": "0"})

    def chosen(change: dict[str, Any]) -> None:
        state.level = change["new"] or ""

    def follow(_: object = None) -> None:
        box.unobserve(chosen, "value")
        levels = [(state.say(label), value) for label, value in options[state.column].items()]
        box.options = [(state.say("Everybody"), ""), *levels]
        box.value = state.level if state.level in dict(map(reversed, levels)) else ""  # type: ignore[arg-type]
        box.observe(chosen, "value")

    box.observe(chosen, "value")
    state.observe(follow, ["column", "level"])
    level = controls.labelled(state.say("Level"), box)
    dlink((state, "column"), (level.layout, "display"), lambda name: None if name else "none")
    return [controls.choice(state, name="column", label="Subgroup", options=columns), level]


def _case_cards(view: CasesView) -> Cards:
    viewer = CtViewer()
    viewer.mask_shown = False  # neither contour nor map is there before the reader has looked
    return [
        case_cards.list_card(view), case_cards.risk_card(view), case_cards.values_card(view),
        case_cards.flag_card(view), scan_card(view, viewer=viewer), case_cards.pictures_card(view),
        case_cards.nearest_card(view), case_cards.effects_card(view), case_cards.later_card(view),
    ]  # fmt: skip
