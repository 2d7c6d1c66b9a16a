"""The section on what the models react to: how far each predictor moves a risk, and where saliency is kept."""

from __future__ import annotations

import pandas as pd

from onlm_lab import runs
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, note, table

EFFECTS, SALIENCY = "effects.csv", "saliency"
NOT_DONE = "Nothing was explained in this run ([training] explain): what the models react to was not looked at."
READING = (
    "Each patient's risk is told again with one predictor changed over the values of the training patients, the CT and "
    "all else as they are; what follows from a changed size changes with it (Goldstein et al. 2015, "
    "doi:10.1080/10618600.2014.907095). The spread tells how patients differ; it is no confidence interval. This "
    "describes the model and is not a cause."
)
SHOWN_APART = (
    "Saliency of the CT and the effects in single patients are on the case page, not in this report. A test of the "
    "software checks that a map changes with the weights; on this study's models nobody has checked it."
)


def explanation(material: Material) -> Section:
    """How far each predictor moves the risk, of the first two explained models; that saliency is there."""
    title = "Explanation: what do the models react to?"
    path = material.run.folder / EFFECTS
    if not path.is_file():
        return Section("explanation", title, (Text(NOT_DONE),))
    found = runs.read_csv(path)
    models = [m for m in material.models if (found["model_id"] == m).any()]
    blocks: list[Block] = [Text(READING)]
    for model in models[:2]:
        one = found[found["model_id"] == model]
        rows = [_row(str(name), of) for name, of in one.groupby("predictor", sort=False)]
        n = words.plural(one["patient_id"].nunique(), "patient")
        shown = pd.DataFrame([row for _, row in sorted(rows, key=lambda row: -row[0])])
        blocks.append(table(shown, caption=f"{model}: how far one predictor moves the risk of a patient ({n})."))
    if (material.run.folder / SALIENCY).is_dir():
        blocks.append(note(SHOWN_APART))
    return Section("explanation", title, tuple(blocks))


def _row(name: str, of: pd.DataFrame) -> tuple[float, dict[str, str]]:
    """How far the risk of a patient moves, and the row that says so."""
    numbers = pd.to_numeric(of["value"], errors="coerce")
    known = of[of["value"].notna()].assign(number=numbers)
    moved = 100 * known.groupby("patient_id")["risk"].agg(lambda risk: risk.max() - risk.min())
    ordered = known["number"].notna().all()
    return float(moved.median()), {
        "Predictor": words.column(name), "Patients": f"{len(moved):,}",
        "Risk moves by, points: median (quartiles)": words.middle(moved, digits=1),
        "Risk is highest": _rising(known) if ordered else _highest(known),
    }  # fmt: skip


def _rising(of: pd.DataFrame) -> str:
    """In how many patients the risk is higher at the highest value than at the lowest."""
    ends = of.sort_values("number", kind="stable").groupby("patient_id")["risk"].agg(["first", "last"])
    return f"at the higher value in {words.share(int((ends['last'] > ends['first']).sum()), len(ends))}"


def _highest(of: pd.DataFrame) -> str:
    """The level at which the risk is highest in most patients."""
    top = of.loc[of.groupby("patient_id")["risk"].idxmax(), "value"].astype(str)
    level = top.value_counts().index[0]
    return f"at {level.replace('_', ' ')} in {words.share(int((top == level).sum()), len(top))}"
