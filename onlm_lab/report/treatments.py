"""The section on treatments compared by predicted group, with everything that such a comparison cannot say."""

from __future__ import annotations

from onlm_lab.analysis.treatment_pairs import ASKED_OF
from onlm_lab.panels.outcomes import endpoints_of
from onlm_lab.panels.patients import arms_of
from onlm_lab.panels.phrases import COMPARED_TREATMENTS
from onlm_lab.panels.treatments import (
    balance_panel,
    landmark_panel,
    pairs_of,
    treatment_comparison,
    treatment_panel,
    weighted_curves_panel,
)
from onlm_lab.report.grouping import grouping_of
from onlm_lab.report.material import Material
from onlm_lab.report.performance import attempt, panel_blocks
from onlm_lab.report.section import Block, Section, Text, box, figure, said_once

WHY = (
    f"{COMPARED_TREATMENTS} Weights make the patients alike in what was measured (overlap weights); what was not "
    "measured stays as it was. A treatment that begins after surgery is counted from a landmark day, never from "
    "surgery."
)


def treatments(material: Material) -> Section:
    """Sublobar resection or lobectomy, SBRT or surgery, adjuvant treatment or none."""
    blocks: list[Block] = []
    patients = material.rows[material.rows["model_id"] == material.primary]
    endpoints = endpoints_of(patients, wanted=material.study.analysis.endpoints)
    if endpoints and "treatment" in patients.columns:
        for pair in pairs_of(material.rows, model=material.primary):
            endpoint = ASKED_OF[pair] if ASKED_OF[pair] in endpoints else endpoints[0]
            blocks += attempt(lambda p=pair, e=endpoint: _pair(material, pair=p, endpoint=e))
    if "surgery" in arms_of(material.rows) and endpoints:
        endpoint = "rfs" if "rfs" in endpoints else endpoints[0]
        blocks += attempt(lambda: _adjuvant(material, endpoint=endpoint))
    if not any(block.kind == "figure" for block in blocks):
        said = Text("No two treatments have enough patients to be compared.")
        return Section("treatments", "Treatments compared", (said, *blocks))
    shown = [
        Text(b.text.replace(f" {COMPARED_TREATMENTS}", "")) if b.kind == "text" and b.tone == "say" else b
        for b in blocks
    ]
    return Section("treatments", "Treatments compared", (box(WHY), *said_once(shown)))


def _pair(material: Material, *, pair: str, endpoint: str) -> list[Block]:
    grouping = grouping_of(material, arm="surgery")
    found = treatment_comparison(
        material.rows, model=material.primary, pair=pair, endpoint=endpoint, balance=material.study.analysis.balance,
        horizon_days=material.study.analysis.horizon_days, threshold=grouping.threshold,
    )  # fmt: skip
    blocks: list[Block] = attempt(
        lambda: panel_blocks(balance_panel(found, pair=pair, mark=material.mark), id=f"fig-balance-{pair}", wide=True)
    )
    blocks += panel_blocks(treatment_panel(found, pair=pair, mark=material.mark), id=f"fig-treatment-{pair}", wide=True)
    curves = weighted_curves_panel(found, pair=pair, mark=material.mark)
    return [*blocks, figure(curves.figure, id=f"fig-weighted-{pair}")]


def _adjuvant(material: Material, *, endpoint: str) -> list[Block]:
    panel = landmark_panel(
        material.rows, model=material.primary, endpoint=endpoint, landmark_days=material.study.analysis.landmark_days,
        mark=material.mark,
    )  # fmt: skip
    return panel_blocks(panel, id="fig-landmark", wide=True)
