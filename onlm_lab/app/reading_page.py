"""The reading page: the blind reading of a reader study and nothing else, for readers who must see no other page.

Before the own estimate is on the disk neither the page nor its kernel has read a risk.
"""

from __future__ import annotations

from pathlib import Path

import ipywidgets as widgets

from onlm_lab import reading_plan
from onlm_lab.app import linked, opening, shell
from onlm_lab.app.reading_place import reading_cards
from onlm_lab.errors import OnlmError
from onlm_lab.runs import Run, list_runs
from onlm_lab.served import Served, lists_patients

PAGE = "Reading"
REFUSED = (
    "Readers see patients one by one, and study.toml does not let shared pages do so. Whoever owns the study can allow "
    "it: patient_pages = true under [study]."
)


def reading(run: Run | str | Path | None = None, *, language: str = "en") -> widgets.Widget:
    """The reading page as one widget.

    Args:
        run: a run, its folder, or a study's folder (then its newest run with a reader study, else its newest run);
            None: what is being served.
        language: of texts.LANGUAGES.

    Returns:
        A widget; where no reader study is planned, or patients may not be shown one by one, it says so in a sentence.
    """

    def named(given: Run | str | Path | None) -> Run:
        found = opening.named_run(given, page="reading")
        is_run = isinstance(given, Run) or Path(str(given)).resolve() == found.folder.resolve()
        return found if is_run else reading_plan.planned_run(list_runs(given), else_run=found)

    def serve(one: Served, name: str) -> Run:
        found = one.run(name)
        return found if name else reading_plan.planned_run(one.runs, else_run=found)

    return linked.page(run, name="reading", resolve=named, serve=serve, build=_page, language=language)


def _page(run: Run, language: str) -> linked.Built:
    study = run.study
    if not lists_patients(study):
        raise OnlmError(REFUSED)
    cards = reading_cards(run)
    for card in cards:
        card.language = language
        card.refresh()
    head = shell.header(name=study.name, page=PAGE, made_up=study.made_up, language=language)
    return linked.Built(shell.frame(head=head, left=[], main=[shell.grid(cards, css_class="onlm-cards")]))
