"""The training page: start, stop and go on with a run, see it learn, and hold runs against each other.

The run is a process of its own (see launching): this page, a second one and the terminal see the same files.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import ipywidgets as widgets
import pandas as pd
from traitlets import link

from onlm_lab import launching, served
from onlm_lab.app import controls, linked, opening, shell
from onlm_lab.app import training_words as words
from onlm_lab.app.pulse import GOING_MS, RESTING_MS, Pulse
from onlm_lab.app.tabs import EVERY_TAB, tabbed
from onlm_lab.app.training_state import TrainingState
from onlm_lab.app.training_watch import Watch
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.page_names import FILE
from onlm_lab.panels import training as panels
from onlm_lab.panels.panel import Panel
from onlm_lab.runs import Run
from onlm_lab.served import Served
from onlm_lab.study import BASELINES, MODELS, Study

PAGE = "Training"
NOT_SHARED = "This page starts work on the server, so nobody can open it in shared mode."
NO_STUDY = "This run stands alone: its study is not here, so nothing can be trained. Serve the study's folder."
LAYOUTS = {"Three planes": "orthogonal", "Axial slab": "slab", "Planes as one picture": "three_planes",
           "Lung and soft-tissue windows": "multi_window"}  # fmt: skip
FUSIONS = {"Side by side": "concat", "Gated": "gated", "FiLM": "film", "Late": "late"}
MODES = {"Frozen backbone": "frozen", "Fine-tuned": "finetune"}
SCHEMES = {"Stratified folds": "stratified", "Leave one centre out": "leave_one_centre_out"}
N_COMPARED = 4
COHORT = (
    "Trained on the patients of this study: who is in, and what is asked, stands in its study.toml. To train on other "
    "patients, serve their study."
)
HELD = (
    "These settings hold for the run that Start begins; study.toml stays as it is. Other settings give another run, "
    "and each run keeps its own."
)


def training(study: Study | Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The training page as one widget.

    Args:
        study: the study, its folder, or a run of it; None: the study that is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget; what is wrong with the study or the request stands on it as a sentence.
    """

    def serve(one: Served, _: str) -> Study:
        return one.study

    return linked.page(
        study, name="training", resolve=partial(opening.named_study, page="training"), serve=serve, build=_page,
        language=language,
    )  # fmt: skip


def _page(study: Study, language: str) -> linked.Built:
    if served.is_shared():
        raise OnlmError(NOT_SHARED)
    if (study.folder / "patients.csv").is_file() and not (study.folder / study.data.clinical).is_file():
        raise OnlmError(NO_STUDY)
    page = _Page(study, language)
    return linked.Built(page.widget, page.state)


class _Page:
    """The page of one study: its parts, and what `look` brings onto it."""

    def __init__(self, study: Study, language: str) -> None:
        self.study, self.state = study, TrainingState(language=language)
        self.state.take(study)
        self.mark = theme.MADE_UP if study.made_up else ""
        self.watch = Watch(study.folder)
        self._said, self._status, self._log, self._runs = (widgets.HTML() for _ in range(4))
        self._told: tuple[object, ...] = ()  # what the table of runs was made of
        self._start, self._stop, self._resume = (
            self._button(name, act)
            for name, act in (("Start", self._begin), ("Stop", self._end), ("Resume", self._again))
        )
        self._start.add_class("onlm-start")
        self.pulse = Pulse(self.look)
        self.watch.look()
        self._finished = {run.id for run in self.watch.runs if run.finished}
        self.state.compared = tuple(run.id for run in self.watch.runs[-N_COMPARED:][::-1])
        self._sides()
        self.look()
        makers = {"Run": self._run_cards, "Compare": self._compare_cards}
        side = widgets.HBox([self._start, self._stop, self._resume], layout={"flex_flow": "row wrap", "min_width": "0"})
        sides = [((EVERY_TAB,), side), (("Run",), self._settings), (("Compare",), self._chosen)]
        found = tabbed(self.state, makers=makers, sides=sides, before=self._tell_runs)
        head = shell.header(name=study.name, page=PAGE, made_up=study.made_up, language=language)
        self.widget = shell.frame(
            head=head, left=found.left,
            main=[self._status, self._said, *found.main, self._runs, self._log, self.pulse],
        )  # fmt: skip

    # --- controls --------------------------------------------------------------------------------------------------

    def _button(self, name: str, act: Any) -> widgets.Button:
        button = widgets.Button(description=self.state.say(name), layout={"width": "auto", "flex": "1 1 70px"})

        def pressed(_: object) -> None:
            try:
                act()
                self._said.value = ""
            except OnlmError as error:
                self._said.value = shell.sentence_html(str(error))
            self.look()

        button.on_click(pressed)
        return button

    def _sides(self) -> None:
        state, own = self.state, self.study
        parts = [
            controls.several(state, name="models", label="Models", options={m: m for m in MODELS}, rows=3),
            controls.choice(state, name="layout", label="How the CT is shown to the model", options=LAYOUTS),
            self._text("backbone", "Backbone (a timm name)"),
            controls.choice(state, name="fusion", label="How CT and clinical values meet", options=FUSIONS),
            controls.choice(state, name="mode", label="How the backbone learns", options=MODES),
            controls.choice(state, name="scheme", label="How it is tested", options=SCHEMES),
            controls.several(state, name="baselines", label="Simple models beside them",
                             options={b: b for b in BASELINES}, rows=3),
            self._number("training", "folds", "Folds", low=2, high=20),
            self._number("training", "repeats", "Repeats", low=1, high=20),
            self._number("training", "seeds_per_fold", "Models a fold (seeds)", low=1, high=50),
            self._number("training", "epochs", "Epochs at most", low=1, high=1000),
            self._number("training", "patience", "Epochs without gain before it stops", low=1, high=1000),
            self._number("training", "learning_rate", "Learning rate", low=1e-7, high=1.0),
            self._number("training", "backbone_learning_rate", "Learning rate of the backbone", low=1e-8, high=1.0),
            self._number("patch", "size_mm", "Edge of the cube around the tumour (mm)", low=8.0, high=256.0),
        ]  # fmt: skip
        said = "".join(f"<p>{html.escape(state.say(text))}</p>" for text in (COHORT, HELD))
        names = ("", *MODELS, *BASELINES, *own.scores)
        drawn = controls.choice(state, name="drawn", label="Curves of",
                                options={name or "The model in training": name for name in names})  # fmt: skip
        about = widgets.HTML(f"<div class='onlm-about'>{said}</div>")
        self._settings = controls.stack([drawn, *parts, about])
        runs = {run.id: run.id for run in self.watch.runs[::-1]}
        chosen = controls.several(state, name="compared", label="Runs in the figures", options=runs, rows=_rows(runs))
        self._runs_box = next(w for w in chosen.children if isinstance(w, widgets.SelectMultiple))
        self._chosen = controls.stack([chosen])

    def _number(self, section: str, name: str, label: str, *, low: float, high: float) -> widgets.Widget:
        state, own = self.state, getattr(getattr(self.study, section), name)
        low, high = min(low, own), max(high, own)
        kind = widgets.BoundedIntText if isinstance(getattr(state, name), int) else widgets.BoundedFloatText
        box = kind(value=own, min=low, max=high, layout={"width": "100%", "min_width": "0"})
        state.offer(name, lambda value: low <= value <= high)
        link((state, name), (box, "value"))
        return controls.labelled(state.say(label), box)

    def _text(self, name: str, label: str) -> widgets.Widget:
        box = widgets.Text(value=getattr(self.state, name), continuous_update=False,
                           layout={"width": "100%", "min_width": "0"})  # fmt: skip
        self.state.offer(name, lambda value: bool(re.fullmatch(r"[A-Za-z0-9_.]{1,80}", value)))
        link((self.state, name), (box, "value"))
        return controls.labelled(self.state.say(label), box)

    # --- what the buttons do ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        launching.start(self.study.folder, changes=self.state.changes(self.study))

    def _end(self) -> None:
        if self.watch.launch is not None:
            launching.stop(self.watch.launch)

    def _again(self) -> None:
        launch = self.watch.launch
        if launch is not None:
            launching.start(self.study.folder, changes=launch.settings)

    # --- what is seen ----------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Bring what the files say onto the page; nothing is sent or drawn again where nothing changed."""
        watch, state = self.watch, self.state
        watch.look()
        launch, working = watch.launch, watch.going or watch.busy
        _set(self._status, "value", words.status_html(watch, say=state.say))
        _set(self._log, "value", words.log_html(watch, say=state.say))
        for button, off in (
            (self._start, working), (self._stop, not watch.going),
            (self._resume, working or launch is None or launch.ended == "done"),
        ):  # fmt: skip
            _set(button, "disabled", off)
        _set(self.pulse, "every_ms", GOING_MS if working else RESTING_MS)
        with state.hold_trait_notifications():
            self._list_runs()
            state.going, state.seen, state.runs_seen = working, watch.seen, watch.runs_seen

    def _list_runs(self) -> None:
        """Offer the runs that are there by now; one that has finished meanwhile comes into the figures."""
        runs = {run.id: run.id for run in self.watch.runs[::-1]}
        finished = {run.id for run in self.watch.runs if run.finished}
        kept = tuple(name for name in self.state.compared if name in runs)
        new = tuple(name for name in runs if name in finished - self._finished and name not in kept)
        kept = (*new, *kept) if len(new) + len(kept) <= N_COMPARED else kept
        self._finished = finished
        if tuple(runs.items()) != self._runs_box.options:
            self.state.offer("compared", runs)
            self._runs_box.options, self._runs_box.rows = tuple(runs.items()), _rows(runs)
        if self.state.compared != kept:
            self.state.compared = kept

    # --- cards -----------------------------------------------------------------------------------------------------

    def _model(self) -> str:
        """Whose curves are drawn: chosen, else in training, else the main model."""
        history, run = self.watch.history, self.watch.run
        if self.state.drawn or run is None or not len(history):
            return self.state.drawn
        own = self.study.primary_model
        return own if not self.state.going and own in set(history["model_id"]) else str(history["model_id"].iloc[-1])

    def _run_cards(self) -> list[shell.Card]:
        def curves() -> Panel | None:
            history = self.watch.history
            return (
                panels.curves_panel(history, model=self._model(), mark=self.mark, empty=True) if len(history) else None
            )

        def key() -> object:
            model, run = self._model(), self.watch.run
            return run and run.id, model, panels.n_drawn(self.watch.history, model=model)

        return [
            shell.Card(
                curves, key=key, wide=True, moved_key=self.state.key("seen"),
                moved=lambda: panels.curves_moved(self.watch.history, model=self._model()),
            )
        ]  # fmt: skip

    def _compare_cards(self) -> list[shell.Card]:
        def chosen() -> list[Run]:
            known = {run.id: run for run in self.watch.runs}
            return [known[name] for name in self.state.compared if name in known]

        def histories() -> dict[str, pd.DataFrame]:
            return {run.id: self.watch.main_history(run) for run in chosen()}

        key = self.state.key("compared", "runs_seen")
        return [
            shell.Card(lambda: panels.compared_roc_panel(chosen(), mark=self.mark), key=key),
            shell.Card(
                lambda: panels.compared_curves_panel(histories(), mark=self.mark, empty=True),
                key=lambda: (key(), [run for run, rows in histories().items() if len(rows)]),
                moved=lambda: panels.compared_curves_moved(histories()),
                moved_key=lambda: [len(rows) for rows in histories().values()],
            ),
        ]

    def _tell_runs(self) -> None:
        """The table of runs, under the tab that compares them."""
        comparing = self.state.tab == "Compare"
        _set(self._log.layout, "display", "none" if comparing else None)
        _set(self._runs.layout, "display", None if comparing else "none")
        if comparing and self._told != (self.state.runs_seen,):
            runs = self.watch.runs[::-1]
            ways = _ways(self.study, runs=runs, language=self.state.language)
            text = words.runs_html(panels.runs_table(runs), say=self.state.say, ways=ways) if runs else ""
            _set(self._runs, "value", text)
            self._told = (self.state.runs_seen,)


def _set(widget: Any, name: str, value: Any) -> None:
    if getattr(widget, name) != value:
        setattr(widget, name, value)


def _rows(runs: Mapping[str, str]) -> int:
    return max(2, min(len(runs), 10))


def _ways(study: Study, *, runs: Sequence[Run], language: str) -> dict[str, str]:
    """Finished runs that may be opened here -> the address of their performance page."""
    if "performance" not in json.loads(os.environ.get(served.PAGES, "[]")):
        return {}
    found = served.served()
    one = next((one for one in found if one.folder.resolve() == study.folder.resolve()), None)
    if one is None:
        return {}
    common = {} if one == found[0] else {linked.STUDY: one.name}
    more = {} if language == "en" else {linked.LANGUAGE: language}
    return {
        run.id: f"{FILE.format('performance')}#{urlencode(common | {linked.RUN: run.id} | more)}"
        for run in runs if run.finished and (not one.only or run.id in one.only)
    }  # fmt: skip
