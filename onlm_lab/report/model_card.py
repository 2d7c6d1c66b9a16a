"""The model card of a run, as Markdown and as one HTML file: what the model is, for whom, how good, and where it ends.

    markdown, page = write_model_card(run)

Headings as Mitchell et al. 2019, "Model Cards for Model Reporting" (doi:10.1145/3287560.3287596). Every number comes
from the run's own files: results.json, calibration.json, patients.csv, split.json, environment.txt, and work/flow.csv.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pandas as pd

from onlm_lab import runs, steps
from onlm_lab.figures import theme
from onlm_lab.report.card_sections import Facts, card_sections
from onlm_lab.report.markdown import to_markdown
from onlm_lab.report.section import Section
from onlm_lab.runs import Run


def write_model_card(run: Run, *, work: Path | None = None) -> tuple[Path, Path]:
    """Writes model_card.md and model_card.html into the run's folder, each whole or not at all.

    Args:
        run: trained and analysed.
        work: the folder of files between steps, for flow.csv; None: beside the study's runs.

    Returns:
        The two files.

    Raises:
        OnlmError: the run has no predictions or no results yet.
    """
    facts = _gather(run, work=work or run.folder.absolute().parents[1] / "work")
    sections = card_sections(facts)
    title, mark = f"Model card: {facts.study.name}", theme.MADE_UP if facts.study.made_up else ""
    lead = [*([mark] if mark else []), "Research use only. Not for decisions about patients."]
    markdown, page = run.folder / "model_card.md", run.folder / "model_card.html"
    steps.write_text(markdown, to_markdown(sections, title=title, lead=lead))
    steps.write_text(page, _render(sections, title=title, mark=mark))
    return markdown, page


def _render(sections: list[Section], *, title: str, mark: str) -> str:
    """The page; every value from data is escaped."""
    from jinja2 import Environment, StrictUndefined

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = files("onlm_lab.report").joinpath("model_card.html").read_text(encoding="utf-8")
    return page.from_string(text).render(
        title=title, mark=mark, sections=sections, font=theme.FONT,
        colours={"ink": theme.INK, "quiet": theme.QUIET, "grid": theme.GRID},
    )  # fmt: skip


def _gather(run: Run, *, work: Path) -> Facts:
    calibration = run.folder / "calibration.json"
    flow = runs.read_csv(work / "flow.csv") if (work / "flow.csv").is_file() else pd.DataFrame()
    patients = run.patients
    role = patients["role"] if "role" in patients else patients["onlm"].notna().map({True: "labelled", False: ""})
    return Facts(
        run=run, study=run.study, results=run.results, predictions=run.predictions,
        trained=json.loads(calibration.read_text(encoding="utf-8")) if calibration.is_file() else {},
        patients=patients[role == "labelled"],
        flow=flow[flow["centre"] == "all"] if len(flow) else flow,
    )  # fmt: skip
