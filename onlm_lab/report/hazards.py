"""What the report says of hazards: the risk alone and beside other covariates, what it adds, whether it is constant."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.covariates import usable_covariates
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.panels.hazards import hazard_comparison_panel, unit_said, with_risk_unit
from onlm_lab.panels.outcomes import is_competing
from onlm_lab.panels.patients import of_arm
from onlm_lab.panels.phrases import OBSERVATIONAL, named
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt
from onlm_lab.report.section import Block, Text, figure, note, table
from onlm_lab.report.words import p_cell
from onlm_lab.results import Estimate

EVENTS_PER_COEFFICIENT = 5  # below this the adjusted ratio is not shown
RISK_HEAD = "HR of the risk, alone"
ADJUSTED_HEAD = "HR of the risk, adjusted"
NONE = "–"


def hazard_blocks(material: Material, *, arm: str, endpoints: tuple[str, ...]) -> list[Block]:
    """A table of all endpoints and, for the first with enough events, every covariate side by side."""
    patients, risk = with_risk_unit(of_arm(material.rows, model=material.primary, arm=arm))
    others = usable_covariates(patients, wanted=material.study.analysis.adjust)
    rows: list[dict[str, str]] = []
    refused: list[Block] = []
    enough: list[str] = []  # endpoints with events enough for all covariates together
    for endpoint in endpoints:
        try:
            row, notes = _row(patients, endpoint=endpoint, risk=risk, others=others)
        except OnlmError as refusal:
            refused.append(note(f"Hazard ratio for {endpoint_words(endpoint)} not shown: {refusal}"))
        else:
            rows.append(row)
            enough += [endpoint] if row.get(ADJUSTED_HEAD, NONE) != NONE else []
            refused += [note(f"{endpoint_words(endpoint).capitalize()}: {said}.") for said in notes]
    if not rows:
        return refused
    beside = f", alone and beside {named(others)}" if others else ""
    caption = (
        f"Hazard ratio {unit_said(patients, risk)} of predicted risk ({material.primary}){beside}; cause-specific "
        "where other events compete."
    )
    said: list[Block] = [table(pd.DataFrame(rows), caption=caption)]
    said.append(note(
        "Likelihood ratio: whether the risk adds to the other covariates; C: concordance with the risk minus without "
        "it, on the patients of the fit (apparent). Where the P of proportional hazards is small, one ratio does not "
        f"hold over the whole of follow-up. An adjusted ratio needs {EVENTS_PER_COEFFICIENT} events a coefficient."
    ))  # fmt: skip
    said += refused
    if enough:
        said += attempt(lambda: _forest(material, arm=arm, endpoint=enough[0]))
    return said


def _row(
    patients: pd.DataFrame, *, endpoint: str, risk: str, others: list[str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """A row of the table, and what its reader must know."""
    cause = 1 if is_competing(patients, endpoint=endpoint) else None
    alone = analysis.cox(patients, endpoint=endpoint, covariates=[risk], cause=cause)
    overall = alone.ph_test[alone.ph_test["covariate"] == "GLOBAL"]["p_value"]
    row = {
        "Endpoint": endpoint_words(endpoint),
        "Events / patients": f"{alone.n_events:,} / {alone.n:,}",
        RISK_HEAD: _ratio(alone.table.iloc[0]),
        "P": p_cell(alone.table["p_value"].iloc[0]),
    }
    if others:
        row |= _adjusted(patients, endpoint=endpoint, risk=risk, others=others, cause=cause)
    row["Proportional hazards, P"] = p_cell(float(overall.iloc[0])) if len(overall) else NONE
    return row, alone.notes


def _adjusted(
    patients: pd.DataFrame, *, endpoint: str, risk: str, others: list[str], cause: int | None
) -> dict[str, str]:
    """The risk beside the others, and what it adds to them; dashes where there are too few events."""
    nothing = {ADJUSTED_HEAD: NONE, "Likelihood ratio, P": NONE, "Difference of C": NONE}
    both = analysis.cox(patients, endpoint=endpoint, covariates=[risk, *others], cause=cause)
    if both.n_events < EVENTS_PER_COEFFICIENT * len(both.table):
        return nothing
    gain = analysis.added_value(patients, endpoint=endpoint, base=others, added=[risk], cause=cause)
    own = both.table[both.table["covariate"] == risk].iloc[0]
    return {
        ADJUSTED_HEAD: _ratio(own),
        "Likelihood ratio, P": p_cell(gain.likelihood_ratio.p_value),
        "Difference of C": theme.with_interval(gain.difference, digits=3),
    }


def _ratio(row: pd.Series) -> str:
    if np.isnan(row["hr"]):
        return NONE
    return theme.with_interval(Estimate(row["hr"], row["low"], row["high"]))


def _forest(material: Material, *, arm: str, endpoint: str) -> list[Block]:
    panel = hazard_comparison_panel(
        material.followed, model=material.primary, endpoint=endpoint, arm=arm, adjust=material.study.analysis.adjust,
        mark=material.mark,
    )  # fmt: skip
    said = panel.sentence.replace(f" {OBSERVATIONAL}", "")
    return [Text(said), figure(panel.figure, id=f"fig-hazards-{arm}", wide=True),
            *(note(n) for n in panel.notes)]  # fmt: skip
