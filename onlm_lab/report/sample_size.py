"""The section on sample size: how many patients and events there are, and how many were needed."""

from __future__ import annotations

from functools import cache

import pandas as pd

from onlm_lab import analysis, schema
from onlm_lab.analysis.anticipated_fit import r2_of_c_statistic
from onlm_lab.cohort.parameters import NOTE, candidate_parameters
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, note, table

EXPECTED = (0.70, 0.75, 0.80, 0.85)
NOT_NAMED = (
    "No sample size was fixed in this run's files: the authors tell how it came about. How well a model is expected to "
    "do must be named before the data are seen, so the table tells what would have been needed for several answers."
)
COUNTED = (
    "Needed to develop: the largest of three criteria (shrinkage of at least 0.9, a small difference of apparent and "
    "adjusted R2, the overall risk known to within 0.05; Riley et al. 2020, doi:10.1136/bmj.m441), from the C "
    "statistic by exact integration. They hold for an unpenalised regression on the clinical columns. The models here "
    "are penalised, and a network on images has no count of parameters: for these the interval of the tested "
    "performance says what the patients carried. Needed to test: intervals of observed : expected and slope 0.2 wide, "
    "of C 0.1 wide (Riley et al. 2021, doi:10.1002/sim.9025)."
)


def sample_size(material: Material) -> Section:
    """Patients, events and candidate parameters of development; what the published criteria ask for."""
    parts = material.run.dealt.parts
    developing = parts.loc[parts["part"] == "development", "patient_id"]
    labelled = material.labelled[material.labelled["patient_id"].isin(developing)]
    n, n_events = len(labelled), int((labelled["onlm"] == 1).sum())
    names = [name for name in material.study.training.predictors if name in labelled]
    extra = schema.declared(material.study.columns)
    k = int(candidate_parameters(labelled, predictors=names, extra_columns=extra)["n_parameters"].sum())
    per = f", {n_events / k:.1f} N+ a parameter" if k else ""
    blocks: list[Block] = [
        Text(f"{words.plural(n, 'labelled patient')} of development, {n_events:,} of them N+; "
             f"{words.plural(len(names), 'clinical predictor')} with {words.plural(k, 'candidate parameter')}{per}."),
        note(NOT_NAMED),
    ]  # fmt: skip
    if 0 < n_events < n and k:
        rows = [_row(c, k=k, n=n, n_events=n_events) for c in EXPECTED]
        caption = f"What was needed, at {theme.percent(n_events / n)} N+ and {words.plural(k, 'parameter')}."
        blocks += [table(pd.DataFrame(rows), caption=caption), note(COUNTED), note(NOTE)]
    else:
        blocks.append(Text("No size can be told without both N+ and N0 and at least one predictor that varies."))
    return Section("sample-size", "Sample size", tuple(blocks))


def _row(c: float, *, k: int, n: int, n_events: int) -> dict[str, str]:
    row = {"Expected C statistic": f"{c:.2f}"}
    try:
        needed, shrinkage, margin = _to_develop(c, k=k, n=n, n_events=n_events)
    except OnlmError:
        return row | {"Patients needed to develop": "cannot be told"}
    return row | {
        "Patients needed to develop": f"{needed:,}",
        "Shrinkage expected here (1: none)": f"{shrinkage:.2f}",
        "Overall risk known here to within": f"{100 * margin:.1f} points",
        "Patients needed to test elsewhere": f"{_to_test(c, prevalence=n_events / n):,}",
    }


@cache
def _to_develop(c: float, *, k: int, n: int, n_events: int) -> tuple[int, float, float]:
    found = analysis.sample_size_binary(
        n_parameters=k, prevalence=n_events / n, r2_cox_snell=r2_of_c_statistic(c, prevalence=n_events / n), n=n,
        n_events=n_events,
    )  # fmt: skip
    return found.n_required, found.shrinkage_at_n, found.margin_at_n


@cache
def _to_test(c: float, *, prevalence: float) -> int:
    return analysis.sample_size_external(prevalence=prevalence, c_statistic=c).n_required
