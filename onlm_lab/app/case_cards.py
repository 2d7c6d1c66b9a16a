"""The cards of one case: list, risk, values, effects, nearest patients, pictures, flags, what became known later."""

from __future__ import annotations

import html
import math

import ipywidgets as widgets
from traitlets import link

from onlm_lab import flags
from onlm_lab.app import controls, saved_pictures, shell
from onlm_lab.app.cases_view import CasesView
from onlm_lab.app.live_card import LiveCard, table_html
from onlm_lab.app.patient_list import Download, PatientList
from onlm_lab.cohort import splits
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.learning.explained import read_explained, read_index
from onlm_lab.panels import case_follow_up, cases
from onlm_lab.panels.panel import Panel

LIST, VALUES, NEAREST = "Patients", "What was known before treatment", "Whom does the model take this patient for?"
PICTURES, FLAG, LATER = "What the model saw", "Look again?", "What became known later"
NO_PICTURES = (
    "No pictures of this patient were saved: the model saw no image, or the run was explained for others only."
)
MOST_ROWS = 3000
CUT = "Only the first {n} of {all} patients are listed. Choose a filter to see the others."
LOCKED = "This patient belongs to the locked test set: what became known of him stays closed until it is opened."
SHOW_LATER, HIDE_LATER = "Show what became known later", "Hide it again"
CLOSED = "Pathology and outcome stay closed, so that they do not colour how the case is read."
NO_NAMES = "Write no name, no birth date and no number of a hospital into a note: the file leaves this page as it is."
NOTE, CODE, KIND = "Note (short, no names)", "Your reader code", "What is wrong"
SAVE, SAVED, EXPORT = "Save flag", "Saved.", "All flags as CSV"
ERRORS = {"": "", "fn": "missed N+", "fp": "false alarm"}


def list_card(view: CasesView) -> LiveCard:
    """The patients that pass the filters; the chosen one is the case."""
    state = view.state
    box = PatientList(
        label=state.say(LIST), texts={k: state.say(v) for k, v in PatientList.TEXTS.items()},
        columns=[{"key": k, "label": state.say(v)} for k, v in (
            ("id", "Patient"), ("risk", "Risk"), ("spread", "Model spread"), ("label", "Nodes"), ("error", "Error"),
            ("flags", "Flag"))],
    )  # fmt: skip
    told = widgets.HTML()
    link((state, "patient"), (box, "chosen"))

    def draw() -> None:
        picked = view.picked
        shown = picked.head(MOST_ROWS)
        box.rows = [
            {
                "id": r.patient_id, "risk": theme.percent(r.risk, digits=1),
                "spread": _span(r.risk_low, r.risk_high),
                "label": "" if r.onlm != r.onlm else "N+" if r.onlm == 1 else "N0", "error": state.say(ERRORS[r.error]),
                "flags": ", ".join(state.say(flags.KINDS[k]) for k in r.flags.split(";") if k),
            }
            for r in shown.assign(**{c: shown.get(c, math.nan) for c in ("risk_low", "risk_high")}).itertuples()
        ]  # fmt: skip
        notes = [*view.flags.notes]
        if len(shown) < len(picked):
            notes.append(state.say(CUT).format(n=f"{len(shown):,}", all=f"{len(picked):,}"))
        if state.patient and state.patient not in set(picked["patient_id"]):
            notes.append(state.say("The patient shown does not pass the filters of this list."))
        told.value = "".join(f"<p class='onlm-hint'>{html.escape(note)}</p>" for note in notes)

    key = state.key("model", "threshold", "arm", "split", "error", "column", "level", "order", "n_flags", "patient")
    return LiveCard([box, told], draw=draw, key=key, title=LIST)


def risk_card(view: CasesView) -> shell.Card:
    """The risk among those of the study."""
    state = view.state
    return shell.Card(lambda: cases.risk_panel(view.listed, patient=state.patient, mark=view.mark),
                      key=state.key("patient", "model", "threshold"))  # fmt: skip


def values_card(view: CasesView) -> LiveCard:
    """What was known before treatment, with units and where each value stands."""
    state, told = view.state, widgets.HTML()

    def draw() -> None:
        found = cases.value_table(view.patients, patient=state.patient, extra_columns=view.extra)
        told.value = _values_html(view, found)

    return LiveCard([told], draw=draw, key=state.key("patient"), title=VALUES)


def _values_html(view: CasesView, found: object) -> str:
    say = view.state.say
    rows = found[["label", "value", "among"]].to_numpy().tolist()  # type: ignore[index]
    marks = ["unknown" if row[1] == "not known" else "" for row in rows]
    return table_html([say("Value"), say("This patient"), say("Among the patients of the study")], rows, marks=marks)


def effects_card(view: CasesView) -> shell.Card:
    """What the model would say were one value another."""
    state = view.state

    def build() -> Panel:
        return cases.effects_panel(view.effects, row=view.person, model=state.model, extra_columns=view.extra,
                                   mark=view.mark)  # fmt: skip

    return shell.Card(build, key=state.key("patient", "model"), wide=True)


def nearest_card(view: CasesView) -> LiveCard:
    """The nearest patients; a click goes to one of them."""
    state = view.state
    box = PatientList(
        label=state.say(NEAREST), steps=False,
        columns=[{"key": k, "label": state.say(v)} for k, v in (
            ("id", "Patient"), ("distance", "Distance"), ("label", "Nodes"), ("outcome", "What became of him or her"))],
    )  # fmt: skip
    said = widgets.HTML(f"<p class='onlm-sentence'>{html.escape(state.say(cases.NO_FORECAST))}</p>")

    def draw() -> None:
        found = cases.nearest_table(view.run, patient=state.patient, patients=view.patients)
        with box.hold_sync():
            box.chosen = ""
            box.rows = [
                {"id": r.patient_id, "distance": theme.number(r.distance), "label": r.label, "outcome": r.outcome}
                for r in found.itertuples()
            ]  # fmt: skip

    def go(change: dict[str, str]) -> None:
        if change["new"]:
            state.patient = change["new"]

    box.observe(go, "chosen")
    return LiveCard([box, said], draw=draw, key=state.key("patient"), title=NEAREST)


def pictures_card(view: CasesView) -> LiveCard:
    """The saved pictures with attention, and a map over them where the reader asks for one."""
    state, told = view.state, widgets.HTML()
    chooser = controls.buttons(state, name="saliency", label="Map over the pictures", options=saved_pictures.KINDS)

    def draw() -> None:
        if state.patient not in set(read_index(view.run)["patient_id"]):
            raise OnlmError(state.say(NO_PICTURES))
        shown = read_explained(view.run, state.patient)
        drawn = saved_pictures.pictures_html(
            shown, kind=state.saliency, limits=view.limits if state.saliency else {}, state=state
        )
        learned = html.escape(cases.learned_words({"role": "labelled" if shown.seen_in_training else ""}))
        told.value = f"{drawn}<p class='onlm-sentence'>{learned}</p>"

    return LiveCard([chooser, told], draw=draw, key=state.key("patient", "saliency"), title=PICTURES)


def flag_card(view: CasesView) -> LiveCard:
    """A form for a flag; what was flagged of this patient; all flags as a file."""
    state = view.state
    full = {"width": "100%", "min_width": "0"}
    kind = widgets.Dropdown(options=[(state.say(label), k) for k, label in flags.KINDS.items()], layout=full)
    note = widgets.Text(layout=full)
    code = widgets.Text(placeholder="R01", layout=full)
    save = widgets.Button(description=state.say(SAVE), tooltip=state.say(SAVE))
    said, told = widgets.HTML(), widgets.HTML()
    said.add_class("onlm-flag-said")
    hint = widgets.HTML(f"<p class='onlm-hint'>{html.escape(state.say(NO_NAMES))}</p>")
    export = Download(lambda: view.flags.table, label=state.say(EXPORT), name="flags.csv")

    def press(_: object) -> None:
        try:
            flags.add_flag(view.run.folder, state.patient, kind=kind.value, reader_id=code.value, note=note.value)
        except OnlmError as error:
            said.value = shell.sentence_html(str(error))
            return
        said.value = f"<p class='onlm-sentence' role='status'>{html.escape(state.say(SAVED))}</p>"
        note.value = ""
        state.n_flags += 1

    save.on_click(press)

    def draw() -> None:
        own = view.flags.table[view.flags.table["patient_id"] == state.patient]
        rows = [[state.say(flags.KINDS[r.kind]), r.note, f"{r.reader_id}, {r.time_utc[:10]}"] for r in own.itertuples()]
        heads = [state.say(one) for one in ("Flag", "Note", "By whom, when")]
        told.value = table_html(heads, rows) if rows else ""

    def draw_anew() -> None:
        if said_of[0] != state.patient:
            said.value, note.value = "", ""  # what was said of the patient before
        said_of[0] = state.patient
        draw()

    said_of = [""]
    form = [controls.labelled(state.say(KIND), kind), controls.labelled(state.say(NOTE), note), hint,
            controls.labelled(state.say(CODE), code)]  # fmt: skip
    buttons = widgets.Box(
        [save, export], layout={"flex_flow": "row wrap", "grid_gap": "8px", "min_width": "0", "align_items": "center"}
    )
    return LiveCard(
        [controls.stack([*form, buttons]), said, told], draw=draw_anew, key=state.key("patient", "n_flags"), title=FLAG
    )


def later_card(view: CasesView) -> LiveCard:
    """Pathology and follow-up, folded away until the reader asks."""
    state = view.state
    button = widgets.ToggleButton(description=state.say(SHOW_LATER), tooltip=state.say(SHOW_LATER))
    link((state, "later"), (button, "value"))
    told = widgets.HTML()
    strip = shell.Card(lambda: case_follow_up.follow_up_panel(view.person, mark=view.mark) if state.later else None,
                       key=state.key("patient", "later"))  # fmt: skip
    strip.remove_class("onlm-card")
    strip.language = state.language

    def draw() -> None:
        button.description = button.tooltip = state.say(HIDE_LATER if state.later else SHOW_LATER)
        told.value = _later_html(view) if state.later else f"<p class='onlm-hint'>{html.escape(state.say(CLOSED))}</p>"
        strip.refresh()
        if _is_closed(view):
            strip.layout.display = "none"

    return LiveCard([button, told, strip], draw=draw, key=state.key("patient", "later"), title=LATER, wide=True)


def _span(low: float, high: float) -> str:
    """'61–88 %'; empty where there is no spread."""
    return "" if low != low or high != high else f"{100 * low:.0f}–{100 * high:.0f}{theme.PERCENT}"


def _is_closed(view: CasesView) -> bool:
    return view.person.get("part") == splits.LOCKED and not view.run.openings


def _later_html(view: CasesView) -> str:
    say, person = view.state.say, view.person
    if _is_closed(view):
        return f"<p class='onlm-sentence'>{html.escape(say(LOCKED))}</p>"
    found = cases.value_table(view.patients, patient=view.state.patient, timing=("post_treatment",),
                              extra_columns=view.extra)  # fmt: skip
    found = found[found["column"] != "adjuvant_start_days"]  # the strip below has it, where there was any
    label = case_follow_up.label_words(person)
    return (
        f"<p class='onlm-sentence'>{html.escape(say('Occult nodal metastasis'))}: <b>{html.escape(label)}</b></p>"
        + _values_html(view, found)
    )
