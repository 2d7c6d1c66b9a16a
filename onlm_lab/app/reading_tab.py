"""The blind reader: the CT and clinical values, the reader's own estimate on the disk, and only then the model's risk.

Before the own estimate was saved no message of the kernel holds the risk: it is not even read from the predictions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets

from onlm_lab import reading_plan, readings, schema
from onlm_lab.app import reading_words as words
from onlm_lab.app.estimate_entry import EstimateEntry
from onlm_lab.app.reading_state import ReadingState
from onlm_lab.app.shell import sentence_html
from onlm_lab.errors import OnlmError
from onlm_lab.reading_plan import Case, ReadingPlan, Shown
from onlm_lab.readings import ALONE, WITH_MODEL, Reading
from onlm_lab.runs import Run

_FLEX = {"min_width": "0"}
_CSS = Path(__file__).parent / "reading_tab.css"


def reading_tab(
    run: Run, *, viewer: widgets.Widget | None = None, show_case: Callable[[str], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> widgets.Widget:  # fmt: skip
    """Where a reader reads the cases of a planned study (`reading_plan.plan_reading`), one after another.

    Args:
        run: a finished run with a plan.
        viewer: a CT viewer that stands beside the form; it must show no risk, no saliency and no name.
        show_case: called with the patient_id of each case as it opens, and with "" when none is open any more; it
            lets the viewer show that CT. The clock begins when it returns. An OnlmError from it: the case cannot be
            read.
        clock: seconds; for tests.

    Returns:
        A widget; where no study is planned, the sentence that says so.
    """
    try:
        return _Desk(run, reading_plan.read_plan(run), viewer=viewer, show_case=show_case, clock=clock).widget
    except OnlmError as error:
        return widgets.HTML(sentence_html(str(error)))


class _Desk:
    """The tab's parts, and what its buttons do: each writes to the disk and then sets the state, which draws."""

    def __init__(
        self, run: Run, plan: ReadingPlan, *, viewer: widgets.Widget | None,
        show_case: Callable[[str], object] | None, clock: Callable[[], float],
    ) -> None:  # fmt: skip
        self.run, self.plan, self.clock = run, plan, clock
        self.show_case = show_case or (lambda patient_id: None)
        self.patients = run.patients.set_index("patient_id")[list(plan.columns)]
        self.state = ReadingState(n_cases=len(next(iter(plan.orders.values()))))
        self.session, self.since = 0, 0.0
        self.skipped: set[str] = set()
        self.shown: Shown | None = None  # of the open case; None until the own estimate is on the disk

        self.head, self.message, self.values, self.model = (widgets.HTML() for _ in range(4))
        self.code = widgets.Text(description=words.ASK_CODE, placeholder="R01", continuous_update=False)
        self.code.style.description_width = "auto"
        self.entry = EstimateEntry()
        self.entry.on_save(self._record)
        self.begin, self.keep, self.next, self.skip, self.stop = (
            widgets.Button(description=text, tooltip=text)
            for text in (words.BEGIN, words.KEEP, words.NEXT, words.SKIP, words.STOP)
        )
        for button in (self.begin, self.next):
            button.add_class("onlm-first-button")
        for button, act in (
            (self.begin, self._begin), (self.keep, self._keep), (self.next, self._next), (self.skip, self._pass_over),
            (self.stop, self._stop),
        ):  # fmt: skip
            button.on_click(lambda _, act=act: act())
        self.enter = _box([self.code, self.begin], "onlm-enter", flow=True)
        buttons = _box([self.keep, self.next, self.skip, self.stop], "onlm-reading-buttons", flow=True)
        form = _box([self.values, self.model, self.entry, buttons], "onlm-case-form")
        image = [_box([viewer], "onlm-case-image")] if viewer is not None else []
        self.case = _box([*image, form], "onlm-case", flow=True)
        style = widgets.HTML(f"<style>{_CSS.read_text(encoding='utf-8')}</style>")
        style.layout.display = "none"
        self.widget = _box([style, self.head, self.message, self.enter, self.case], "onlm-reading")
        self._redraw()
        self.state.observe(self._redraw)

    # What the buttons do

    # A second press comes when the state has moved on: each looks whether it is still meant.

    def _begin(self) -> None:
        if self.state.step != "enter":
            return
        try:
            code = readings.reader_code(self.code.value)
            if code not in self.plan.orders:
                raise OnlmError(reading_plan.UNKNOWN_READER)
            table = readings.read_readings(self.run.folder).table
        except OnlmError as error:
            self.state.message = str(error)
            return
        own = table.loc[table["reader_id"] == code, "session"]
        self.session, self.skipped = (int(own.max()) if len(own) else 0) + 1, set()
        self.state.reader_id = code
        self._go_on()

    def _go_on(self) -> None:
        """Open what the files say comes next."""
        try:
            table = readings.read_readings(self.run.folder).table
            case = reading_plan.next_case(self.plan, table, reader=self.state.reader_id, skipped=self.skipped)
            if case is None:
                self._close(step="done")
            elif case.step == ALONE:
                self._open(case)
            else:
                own = table[(table["reader_id"] == self.state.reader_id) & (table["patient_id"] == case.patient_id)]
                self._reveal(case, own=float(own.loc[own["step"] == ALONE, "estimate"].iloc[0]), step=WITH_MODEL)
        except OnlmError as error:
            self._close(step="enter", message=str(error))

    def _open(self, case: Case) -> None:
        """A case that this reader has not estimated."""
        self.shown = None
        message = self._show_ct(case)
        with self.state.hold_trait_notifications():
            self.state.step, self.state.patient_id, self.state.order = ALONE, case.patient_id, case.order
            self.state.own = None
            self.state.message, self.state.unseen = message, bool(message)
        self._start_clock()

    def _reveal(self, case: Case, *, own: float, step: str) -> None:
        """The model's risk of a case whose own estimate is on the disk."""
        self.shown = reading_plan.risks(self.run, plan=self.plan)[case.patient_id]
        message = self._show_ct(case) if self.state.patient_id != case.patient_id else ""
        with self.state.hold_trait_notifications():
            self.state.step, self.state.patient_id, self.state.order = step, case.patient_id, case.order
            self.state.own = own
            self.state.message, self.state.unseen = message, bool(message)
        self._start_clock()

    def _show_ct(self, case: Case) -> str:
        try:
            self.show_case(case.patient_id)
        except OnlmError as error:
            return words.UNSEEN.format(error)
        return ""

    def _start_clock(self) -> None:
        self.entry.case += 1
        self.since = self.clock()

    def _keep(self) -> None:
        if self.state.step == WITH_MODEL and self.state.own is not None:
            self._record(self.state.own, note=readings.KEPT)

    def _next(self) -> None:
        if self.state.step == "shown":
            self._go_on()

    def _record(self, estimate: float, *, note: str = "") -> None:
        state, first = self.state, self.state.step == ALONE
        if state.step not in (ALONE, WITH_MODEL):
            return
        reading = Reading(
            reader_id=state.reader_id, patient_id=state.patient_id, model_id=self.plan.model_id, session=self.session,
            order=state.order, step=ALONE if first else WITH_MODEL, estimate=estimate,
            seconds=max(0.0, self.clock() - self.since),
            risk_shown=None if first or self.shown is None else self.shown.risk, note=note,
        )  # fmt: skip
        try:
            readings.record(self.run.folder, reading)
        except OnlmError as error:
            if self._is_done_elsewhere():
                self._go_on()
            state.message = str(error)
            return
        if not first:
            self._go_on()
            return
        try:
            case = Case(state.patient_id, state.order, WITH_MODEL)
            self._reveal(case, own=estimate, step=WITH_MODEL if self.plan.second_estimate else "shown")
        except OnlmError as error:
            self._close(step="enter", message=str(error))

    def _is_done_elsewhere(self) -> bool:
        """Whether this step of the open case has come onto the disk from another page of the same reader."""
        state = self.state
        try:
            table = readings.read_readings(self.run.folder).table
        except OnlmError:
            return False  # the message that refused the estimate says it
        there = table[(table["reader_id"] == state.reader_id) & (table["patient_id"] == state.patient_id)]
        return state.step in set(there["step"])

    def _pass_over(self) -> None:
        if not self.state.unseen:
            return
        self.skipped.add(self.state.patient_id)
        self._go_on()

    def _stop(self) -> None:
        self._close(step="enter")

    def _close(self, *, step: str, message: str = "") -> None:
        """No case is open any more."""
        self.shown = None
        self.entry.case += 1
        self.show_case("")
        with self.state.hold_trait_notifications():
            self.state.step, self.state.patient_id, self.state.order = step, "", 0
            self.state.own, self.state.unseen = None, False
            self.state.message = message
            if step == "enter":
                self.state.reader_id = ""

    # What is shown

    def _redraw(self, _: object = None) -> None:
        state = self.state
        reading = state.step not in ("enter", "done")
        second = state.step == WITH_MODEL
        self.head.value = words.head_html(state, n_skipped=len(self.skipped))
        self.message.value = sentence_html(state.message) if state.message else ""
        self.values.value = self._values() if reading else ""
        self.model.value = self._model() if second or state.step == "shown" else ""
        self.entry.label = words.ASK_AGAIN if second else words.ASK_ALONE
        self.entry.action = words.SAVE_AGAIN if second else words.SAVE
        self.entry.closed = state.unseen or not reading
        _shown(self.enter, state.step == "enter")
        _shown(self.case, reading)
        _shown(self.message, bool(state.message))
        _shown(self.model, bool(self.model.value))
        _shown(self.entry, state.step in (ALONE, WITH_MODEL))
        _shown(self.keep, second)
        _shown(self.next, state.step == "shown")
        _shown(self.skip, state.unseen)

    def _values(self) -> str:
        extra = schema.declared(self.run.study.columns)
        return words.values_html(self.patients.loc[self.state.patient_id, list(self.plan.columns)], extra_columns=extra)

    def _model(self) -> str:
        if self.shown is None or self.state.own is None:
            return ""
        return words.model_html(self.shown, model=self.plan.model_id, own=self.state.own)


def _box(children: list[widgets.Widget], css_class: str, *, flow: bool = False) -> widgets.Box:
    box = (widgets.Box if flow else widgets.VBox)(children, layout=_FLEX)
    box.add_class(css_class)
    return box


def _shown(widget: widgets.Widget, there: bool) -> None:
    widget.layout.display = None if there else "none"
