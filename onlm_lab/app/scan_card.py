"""The whole CT of the chosen patient: read beside the page when it is asked for, then shown by the viewer."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import ipywidgets as widgets

from onlm_lab.app.cases_view import CasesView
from onlm_lab.app.live_card import LiveCard
from onlm_lab.app.shell import sentence_html
from onlm_lab.app.written_scan import beside, study_of, write_scan
from onlm_lab.errors import OnlmError
from onlm_lab.learning.explained import read_explained
from onlm_lab.learning.placed import saliency_layers

TITLE, SHOW = "CT", "Show CT"
READING = "Reading the CT. The rest of the page goes on; this takes some seconds."
NOT_ASKED = "The whole series is read when you ask for it."


class Viewer(Protocol):
    """What the card asks of a CT viewer."""

    def load(self, path: Path, *, layers: Any = ()) -> bool: ...
    def clear(self) -> None: ...


class ScanReader:
    """Asks for CTs, one at a time, and keeps what came of it: by patient a path, or the sentence why there is none."""

    def __init__(self, view: CasesView, *, write: Callable[[Path | None, str], Path] = write_scan) -> None:
        self._view, self._write, self._under_way = view, write, ""
        self.found: dict[str, Path | OnlmError] = {}

    def ask(self, patient: str) -> None:
        """Begin to read a patient's CT, unless one is being read: that one is awaited first."""
        if self._under_way:
            return
        self._under_way = patient
        self.found.pop(patient, None)

        def done(came: Path | OnlmError) -> None:
            self._under_way = ""
            self.found = {patient: came}  # an older file may have been removed for want of space
            wanted = self._view.state.scan
            if wanted and wanted != patient:
                self.ask(wanted)
            self._view.state.n_scans += 1

        folder = study_of(self._view.run.folder)
        self.thread = beside(lambda: self._write(folder, patient), done)


def scan_card(view: CasesView, *, viewer: Any, write: Callable[[Path | None, str], Path] = write_scan) -> LiveCard:
    """The card of the CT.

    Args:
        view: of the page.
        viewer: a widget with `load` and `clear`.
        write: what leaves a patient's CT on the disk; for tests.
    """
    state, reader, said = view.state, ScanReader(view, write=write), widgets.HTML()
    show = widgets.Button(description=state.say(SHOW), tooltip=state.say(SHOW))
    place = widgets.VBox([viewer], layout={"min_width": "0", "display": "none"})

    def press(_: object) -> None:
        reader.found.pop(state.patient, None)  # asked once more after what went wrong
        if state.scan == state.patient:
            state.n_scans += 1
        state.scan = state.patient

    show.on_click(press)

    def draw() -> None:
        asked = bool(state.patient) and state.scan == state.patient
        came = reader.found.get(state.patient) if asked else None
        if asked and came is None:
            reader.ask(state.patient)
        is_there = isinstance(came, Path)
        show.layout.display = "none" if asked and not isinstance(came, OnlmError) else None
        place.layout.display = None if is_there else "none"
        if not isinstance(came, Path):
            viewer.clear()
        if isinstance(came, OnlmError):
            said.value = sentence_html(str(came))
        elif isinstance(came, Path):
            layers, told = _layers(view, came)
            viewer.load(came, layers=layers)
            said.value = f"<p class='onlm-hint'>{html.escape(told)}</p>" if told else ""
        else:
            words = html.escape(state.say(READING if asked else NOT_ASKED))
            said.value = f"<p class='onlm-hint' role='status'>{words}</p>"

    return LiveCard([show, said, place], draw=draw, key=state.key("patient", "scan", "n_scans"), title=TITLE, wide=True)


def _layers(view: CasesView, path: Path) -> tuple[Any, str]:
    """The maps in their place over the CT, and why there are none."""
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return saliency_layers(read_explained(view.run, view.state.patient), facts, limits=view.limits), ""
    except OnlmError as error:
        return (), str(error)
