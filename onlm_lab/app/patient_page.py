"""One patient: a form for the clinical-only model. What is typed is shown to nobody else and stands in no address."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ipywidgets as widgets
from traitlets import dlink

from onlm_lab.app import controls, linked, opening, sharing, shell
from onlm_lab.app.patient_state import PatientState
from onlm_lab.figures import theme
from onlm_lab.learning.coefficients import USE, ClinicalModel, load_clinical_model
from onlm_lab.panels import one_patient as panels
from onlm_lab.panels import patients
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Moved, Panel
from onlm_lab.panels.typed_patient import Field, Judgement, fields, judge
from onlm_lab.runs import Run

PAGE = "One patient, by the clinical-only model"
FILE = "clinical_model.json"
RESET = "Empty the form"
NOT_KNOWN, NEEDED = "not known", "needed"
STAYS = "What you type stays on this page: it is not saved, not logged and in no link."
_FULL = {"width": "100%", "min_width": "0"}


class View(NamedTuple):
    """What the page reads and what was typed."""

    run: Run
    model: ClinicalModel
    state: PatientState
    known: dict[str, Judged]  # the study's out-of-fold patients, once they were read
    said: dict[str, tuple[Any, Judgement]]  # what the model says of what stands in the form

    @property
    def mark(self) -> str:
        return theme.MADE_UP if self.model.made_up else ""

    @property
    def judgement(self) -> Judgement:
        values, found = self.said.get("", (None, None))
        if found is None or values != self.state.values:
            found = judge(self.model, self.state.values)
            self.said[""] = (self.state.values, found)
        return found

    @property
    def tested(self) -> Judged:
        if "" not in self.known:
            rows = self.run.rows()
            self.known[""] = Judged(patients.tested(patients.of_model(rows, model=self.model.model_id)))
        return self.known[""]


def patient(run: Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The page of one patient as one widget.

    Args:
        run: a run, its folder, or a study's folder (then its newest run); None: what is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget for JupyterLab and Voilà. Where the run has no clinical model, it says so in a sentence.
    """
    return opening.page_of_run(run, name="patient", build=_page, language=language)


def _page(run: Run, language: str) -> linked.Built:
    model = load_clinical_model(run.folder / FILE)
    view = View(run, model, PatientState(language=language), {}, {})
    view = view._replace(model=sharing.clinical_model(model, rows=lambda: view.tested.rows))
    cards = _cards(view)
    for card in cards:
        card.language = language

    def redraw(_: object = None) -> None:
        for card in cards:
            card.refresh()

    redraw()
    view.state.observe(redraw, "values")
    said = " ".join(view.state.say(text) for text in (USE, STAYS))
    about = widgets.HTML(f"<div class='onlm-about'><p>{html.escape(said)}</p></div>")
    head = shell.header(name=run.study.name, page=PAGE, made_up=run.study.made_up, language=language)
    left = [controls.stack([*_form(view), _reset(view.state)]), about]
    return linked.Built(shell.frame(head=head, left=left, main=[shell.grid(cards, css_class="onlm-cards")]), view.state)


def _form(view: View) -> list[widgets.Widget]:
    """A control a field, each linked to its place in `values`."""
    return [_choice(view.state, f) if f.levels else _number(view.state, f) for f in fields(view.model)]


def _choice(state: PatientState, field: Field) -> widgets.Widget:
    empty = state.say(NOT_KNOWN if field.optional else NEEDED)
    box = widgets.Dropdown(
        options=[(empty, None), *((state.say(words), value) for words, value in field.levels.items())], layout=_FULL
    )
    return _linked(state, field, box, read=lambda value: value, write=lambda value: value)


def _number(state: PatientState, field: Field) -> widgets.Widget:
    box = widgets.Text(
        placeholder=state.say(NOT_KNOWN if field.optional else NEEDED), continuous_update=False, layout=_FULL
    )
    return _linked(state, field, box, read=_read, write=_written)


def _linked(state: PatientState, field: Field, box: widgets.Widget, *, read: Any, write: Any) -> widgets.Widget:
    def moved(change: Mapping[str, Any]) -> None:
        state.typed(field.name, read(change["new"]))

    box.observe(moved, "value")
    dlink((state, "values"), (box, "value"), lambda values: write(values.get(field.name)))
    hint = "; ".join(part for part in (field.description, field.wanted) if part)
    found = controls.labelled(state.say(field.label), box, hint=hint)
    below = f"{field.wanted}; {state.say('may be empty')}" if field.optional else field.wanted
    said = widgets.HTML(f"<span class='onlm-hint'>{html.escape(below)}</span>")
    found.children = (*found.children, said)
    return found


def _read(text: str) -> float | str | None:
    """A number, nothing, or the text as it stands where it is no number."""
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        return text or None
    return number if math.isfinite(number) else text


def _written(value: float | str | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.10g}"


def _reset(state: PatientState) -> widgets.Widget:
    button = widgets.Button(description=state.say(RESET), layout=_FULL)

    def emptied(_: object) -> None:
        state.values = {}

    button.on_click(emptied)
    return button


def _cards(view: View) -> Sequence[shell.Card]:
    state, mark, model = view.state, view.mark, view.model

    def key() -> object:
        return tuple(sorted((name, str(value)) for name, value in state.values.items()))

    def similar(judged: Judgement) -> Panel:
        return panels.similar_panel(view.tested, model_id=model.model_id, risk=judged.risk, mark=mark)

    def is_told() -> bool:
        return view.judgement.told

    def told(build: Any) -> Any:
        def found() -> Panel | None:
            judged = view.judgement
            return build(judged) if judged.told else None

        return found

    def around() -> Moved:
        risk = view.judgement.risk
        return panels.similar(view.tested, risk, model_id=model.model_id)

    return [
        shell.Card(lambda: panels.risk_card(model, view.judgement, mark=mark), key=key, wide=True),
        shell.Card(told(lambda judged: panels.hundred_alike_panel(model, judged, mark=mark)), key=key),
        shell.Card(told(similar), key=is_told, moved=around, moved_key=key),
        shell.Card(told(lambda judged: panels.terms_panel(model, judged, mark=mark)), key=key),
        shell.Card(told(lambda judged: panels.effects_panel(model, judged, mark=mark)), key=key),
    ]  # fmt: skip
