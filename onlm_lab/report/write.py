"""One self-contained HTML file: everything that a reader needs is in it, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from onlm_lab import steps
from onlm_lab.figures import theme
from onlm_lab.report import (
    event_risks,
    held_out,
    imaging,
    outcomes,
    participants,
    performance,
    provenance,
    robustness,
    standard,
    treatments,
)
from onlm_lab.report.material import Material, gather
from onlm_lab.report.section import Section
from onlm_lab.report.summary import five_lines
from onlm_lab.runs import Run

SECTIONS: tuple[Callable[[Material], Section], ...] = (
    participants.participants, participants.table_one_section, participants.missing_values,
    standard.reference_standard, imaging.imaging, provenance.model_specification,
    performance.discrimination, performance.calibration, performance.doubt, performance.decision,
    performance.operating_point,
    performance.subgroups, performance.centres, robustness.fairness, robustness.sensitivity, robustness.mistakes,
    robustness.associations, held_out.held_out, outcomes.surgery, outcomes.sbrt,
    event_risks.event_risk, treatments.treatments,
    provenance.software, provenance.limits,
)  # fmt: skip

QUESTION = "Predicting occult nodal metastasis in clinical stage I non-small-cell lung cancer"
SURROGATE_QUESTION = (
    "Predicting nodal metastasis found at surgery, a surrogate of occult metastasis, in resected non-small-cell lung "
    "cancer"
)
N_POSITIVE = "cancer in the lymph nodes at surgery although they looked clean before (pathological N1-N3)"
SURROGATE_N_POSITIVE = "cancer in the lymph nodes at surgery (pathological N1-N3), a surrogate of occult metastasis"


def write_report(run: Run, *, work: Path, progress: bool = False) -> Path:
    """Write `report.html` into the run's folder, whole or not at all.

    Args:
        run: a finished run.
        work: the folder of files between steps (flow.csv, undetermined.csv, rules.csv, prepared.csv, ...); what is not
            there is left out, in words.
        progress: show a bar, a step a section.

    Returns:
        The file.

    Raises:
        OnlmError: the run has no patients or no predictions.
    """
    out = run.folder / "report.html"
    steps.write_text(out, render(gather(run, work=work), progress=progress))
    return out


def render(material: Material, *, progress: bool = False) -> str:
    """The page as text. Every value from data is escaped."""
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs
    from tqdm.auto import tqdm

    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = page.from_string(files("onlm_lab.report").joinpath("template.html").read_text(encoding="utf-8"))
    study = material.study
    return template.render(
        name=study.name,
        question=SURROGATE_QUESTION if study.label.surrogate else QUESTION,
        mark=material.mark,
        run=material.run.id,
        licence=study.study.licence,
        warnings=_warnings(material),
        lines=five_lines(material),
        n_positive=SURROGATE_N_POSITIVE if study.label.surrogate else N_POSITIVE,
        sections=[build(material) for build in tqdm(SECTIONS, desc="report", unit="section", disable=not progress)],
        plotly=get_plotlyjs(),
        font=theme.FONT,
        colours={"ink": theme.INK, "quiet": theme.QUIET, "grid": theme.GRID},
    )


def _warnings(material: Material) -> list[str]:
    """What the reader must know before any number."""
    said = []
    if material.study.label.surrogate:
        said.append(standard.SURROGATE)
    if provenance.partly_post_operative(material):
        said.append(provenance.POST_OPERATIVE)
    return said
