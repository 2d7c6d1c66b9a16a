"""All files that a report is: the page, its checklists as a table, and the model card in two forms."""

from __future__ import annotations

from pathlib import Path

from onlm_lab.report.model_card import write_model_card
from onlm_lab.report.write import CHECKLIST_FILE, write_report
from onlm_lab.runs import Run


def write_files(run: Run, *, work: Path | None = None, progress: bool = False) -> list[Path]:
    """Write report.html, checklist.csv, model_card.md and model_card.html into the run's folder.

    Args:
        run: trained and analysed.
        work: the folder of files between steps; None: beside the study's runs.
        progress: show a bar, a step a section.

    Raises:
        OnlmError: the run has no patients, no predictions or no results.
    """
    work = work or run.folder.absolute().parents[1] / "work"
    page = write_report(run, work=work, progress=progress)
    return [page, page.with_name(CHECKLIST_FILE), *write_model_card(run, work=work)]
