"""Where a reader reads: the blind reading beside a CT viewer of its own, on the page of cases and on a page alone."""

from __future__ import annotations

from collections.abc import Sequence

from onlm_lab import reading_plan
from onlm_lab.app.ct_viewer import CtViewer
from onlm_lab.app.live_card import LiveCard
from onlm_lab.app.reading_tab import reading_tab
from onlm_lab.app.written_scan import study_of, write_scan
from onlm_lab.errors import OnlmError
from onlm_lab.runs import Run


def reading_cards(run: Run) -> Sequence[LiveCard]:
    """The blind reading: a viewer without maps, whose CT is there before the clock begins; without a plan the sentence
    that says so."""
    if not (run.folder / reading_plan.FILE).is_file():
        return [LiveCard([reading_tab(run)], draw=lambda: None, key=lambda: 0, wide=True)]
    viewer, study = CtViewer(), study_of(run.folder)
    viewer.mask_shown = False

    def show_case(patient: str) -> None:
        if not patient:
            viewer.clear()
            return
        if not viewer.load(write_scan(study, patient)):
            raise OnlmError(viewer.sentence)

    tab = reading_tab(run, viewer=viewer, show_case=show_case)
    return [LiveCard([tab], draw=lambda: None, key=lambda: 0, wide=True)]
