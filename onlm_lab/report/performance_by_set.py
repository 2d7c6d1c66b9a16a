"""The section that tells every testing set apart: who told the risks there, and how good they were."""

from __future__ import annotations

import pandas as pd

from onlm_lab.analysis.battery import LOCKED, testing_sets
from onlm_lab.errors import OnlmError
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.patients import first_repeat
from onlm_lab.panels.performance import calibration_panel, roc_panel
from onlm_lab.report.material import Material
from onlm_lab.report.performance import spread
from onlm_lab.report.section import Block, Section, Text, box, note, table

NAMES = {
    "oof": "Internal testing, out-of-fold: risks by models of the folds, which never saw the patient",
    "external": "External testing, other centres: risks by the final model",
    "temporal": "Temporal testing, later years: risks by the final model",
    LOCKED: "Internal testing, locked set: risks by the final model",
}  # fmt: skip
NOT_EXTERNAL = (
    "There is no external testing in this run: whether a model works in a hospital that gave no training patients is "
    "not known."
)
APART = (
    "Testing sets are never pooled. Out-of-fold rows describe the procedure in patients of development; the others "
    "describe the final model. Sensitivity and specificity are those of the threshold fixed in training. Right: "
    "observed : expected 1, slope 1."
)


def performance(material: Material) -> Section:
    """A table a testing set: model, n, and the measures with their intervals."""
    sets = testing_sets(first_repeat(material.rows))
    title = "Performance in each testing set"
    if not sets:
        return Section("performance", title, (Text("No labelled patient was tested."),))
    blocks: list[Block] = [] if "external" in sets else [box(NOT_EXTERNAL)]
    for name, of in sets.items():
        judged = material.judged if name == material.split else Judged(of)
        shown = pd.DataFrame([_row(judged, model=model) for model in material.models])
        blocks.append(table(shown, caption=f"{NAMES.get(name, name)}. Brackets: 95 % interval."))
    return Section("performance", title, (*blocks, note(APART)))


def _row(judged: Judged, *, model: str) -> dict[str, str]:
    try:
        r = roc_panel(judged, models=[model]).table.iloc[0].to_dict()
        c = calibration_panel(judged, models=[model]).table.iloc[0].to_dict()
    except OnlmError:
        return {"Model": model, "N+ / patients": "too few of one class"}
    return {
        "Model": model, "N+ / patients": f"{r['n_positive']} / {r['n']}", "AUC": spread(r, "auc"),
        "Sensitivity": spread(r, "sensitivity", as_percent=True),
        "Specificity": spread(r, "specificity", as_percent=True),
        "Observed : expected": spread(c, "oe_ratio"), "Slope": spread(c, "slope"),
    }  # fmt: skip
