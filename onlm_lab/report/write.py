"""One self-contained HTML file: everything that a reader needs is in it, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onlm_lab import steps
from onlm_lab.report import (
    centres,
    design,
    event_risks,
    explanation,
    held_out,
    imaging,
    measures,
    outcomes,
    participants,
    performance,
    performance_by_set,
    predictors,
    provenance,
    robustness,
    sample_size,
    specification,
    standard,
    testing,
    treatments,
)
from onlm_lab.report.checklists import checklist_csv, checklist_section
from onlm_lab.report.evidence import CHECKLISTS, Judgement, judge
from onlm_lab.report.material import Material, gather
from onlm_lab.report.page import render
from onlm_lab.report.section import Section
from onlm_lab.report.summary import summary_lines
from onlm_lab.runs import Run

SECTIONS: tuple[Callable[[Material], Section], ...] = (
    design.design, standard.reference_standard, imaging.imaging, predictors.predictors, participants.missing_values,
    sample_size.sample_size, specification.model_specification, testing.testing, measures.measures,
    participants.participants, participants.table_one_section, performance_by_set.performance,
    performance.discrimination, performance.calibration, performance.operating_point, performance.decision,
    performance.subgroups, centres.centres, robustness.fairness, held_out.held_out, outcomes.surgery, outcomes.sbrt,
    robustness.mistakes, provenance.limits,
    robustness.sensitivity, performance.doubt, robustness.associations, event_risks.event_risk, treatments.treatments,
    explanation.explanation, provenance.software,
)  # fmt: skip

CHECKLIST_FILE = "checklist.csv"
QUESTION = "Predicting occult nodal metastasis in clinical stage I non-small-cell lung cancer"
SURROGATE_QUESTION = (
    "Predicting nodal metastasis found at surgery, a surrogate of occult metastasis, in resected non-small-cell lung "
    "cancer"
)
N_POSITIVE = "cancer in the lymph nodes at surgery although they looked clean before (pathological N1-N3)"
SURROGATE_N_POSITIVE = "cancer in the lymph nodes at surgery (pathological N1-N3), a surrogate of occult metastasis"


def write_report(run: Run, *, work: Path, progress: bool = False) -> Path:
    """Write `report.html` into the run's folder, and `checklist.csv` beside it, each whole or not at all.

    Args:
        run: a finished run.
        work: the folder of files between steps (flow.csv, undetermined.csv, rules.csv, prepared.csv, ...); what is not
            there is left out, in words.
        progress: show a bar, a step a section.

    Returns:
        The page.

    Raises:
        OnlmError: the run has no patients or no predictions.
    """
    out = run.folder / "report.html"
    material = gather(run, work=work)
    sections = build(material, progress=progress)
    judged = judge(material, sections=sections)
    steps.write_text(out, page(material, sections=sections, judged=judged))
    steps.write_text(run.folder / CHECKLIST_FILE, checklist_csv(judged, page=out.name))
    return out


def build(material: Material, *, progress: bool = False) -> list[Section]:
    """All sections but the checklists, in their order."""
    from tqdm.auto import tqdm

    return [make(material) for make in tqdm(SECTIONS, desc="report", unit="section", disable=not progress)]


def page(material: Material, *, sections: list[Section], judged: list[Judgement]) -> str:
    """The page as text, the checklists last. Every value from data is escaped."""
    study = material.study
    shown = [*sections, *(checklist_section(name, judged=judged, sections=sections) for name in CHECKLISTS)]
    return render(
        shown,
        name=study.name,
        question=SURROGATE_QUESTION if study.label.surrogate else QUESTION,
        mark=material.mark,
        run=material.run.id,
        licence=study.study.licence,
        warnings=_warnings(material),
        lines=summary_lines(material),
        n_positive=SURROGATE_N_POSITIVE if study.label.surrogate else N_POSITIVE,
    )


def _warnings(material: Material) -> list[str]:
    """What the reader must know before any number."""
    said = []
    if material.study.label.surrogate:
        said.append(standard.SURROGATE)
    if provenance.partly_post_operative(material):
        said.append(provenance.POST_OPERATIVE)
    return said
