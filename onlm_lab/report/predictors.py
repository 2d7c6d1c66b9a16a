"""The section on the predictors: what each is, when it is known, how it enters a model, and what if it is missing."""

from __future__ import annotations

import pandas as pd

from onlm_lab import schema
from onlm_lab.figures.subgroup import level_words
from onlm_lab.learning.clinical import LOG_OFFSET
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.provenance import POST_OPERATIVE, partly_post_operative
from onlm_lab.report.section import Block, Section, Text, box, note, table

WHEN = {"pre_treatment": "before treatment", "post_treatment": "after treatment", "": "not declared"}
HOW = (
    "Predictors were named in study.toml before training; none was selected by its relation to the label. Means, "
    "spreads and categories come from the training patients of each fold alone, and go unchanged to the patients who "
    "are tested."
)
CT_FACTS = (
    "The baseline image_facts sees no column of this table: it sees 16 numbers measured on the CT (size, solid part, "
    "density, pleura, depth), sizes on a log scale."
)
PLANES = (
    "Planes of the CT: Hounsfield units within the window become 0 to 1; nothing of the header (scanner, kernel, "
    "dates) is shown to the model."
)
BOOSTED = "Boosting is scale-free: it takes numbers as they are, in at most 32 levels."


def predictors(material: Material) -> Section:
    """Every predictor with its meaning, unit, timing and coding."""
    rows = [_row(material, name) for name in material.study.training.predictors]
    blocks: list[Block] = [Text(HOW)]
    if partly_post_operative(material):
        blocks.insert(0, box(POST_OPERATIVE))
    blocks.append(table(pd.DataFrame(rows), caption=f"The {words.plural(len(rows), 'predictor')} and their handling."))
    said = [
        ("boosting", BOOSTED),
        ("image_facts", CT_FACTS),
        ("image", PLANES),
    ]
    blocks += [note(text) for model, text in said if model in material.models]
    blocks.append(note("Who measured a predictor, and whether the label was hidden, is not in the data: authors tell."))
    return Section("predictors", "Predictors", tuple(blocks))


def _row(material: Material, name: str) -> dict[str, str]:
    own, known = material.study.columns.get(name), schema.column(name)
    said = own or known
    return {
        "Predictor": words.column(name),
        "Column": name,
        "Meaning": (said.description if said else "") or "–",
        "Known": _known(material, name, timing=said.timing if said else ""),
        "Enters the models as": coding(material.patients, name),
    }


def _known(material: Material, name: str, *, timing: str) -> str:
    """When a predictor is known, in this table and not only by its definition."""
    if name == "histology" and partly_post_operative(material):
        return "from the resection: not before treatment"
    return WHEN.get(timing, timing)


def coding(patients: pd.DataFrame, name: str) -> str:
    """How a column becomes numbers, by the rules of the clinical encoder."""
    if name not in patients:
        return "not in the table of this run"
    values = patients[name]
    if not pd.api.types.is_numeric_dtype(values.dtype):
        counts = values.dropna().value_counts()
        if counts.empty:
            return "never known: left out"
        levels = sorted(map(str, counts.index))
        reference = max(levels, key=lambda level: counts.get(level, 0))
        others = ", ".join(level_words(level) for level in levels if level != reference)
        first = level_words(reference)
        return f"a sign for each of {others} against {first}" if others else f"always {first}: left out"
    if values.nunique() < 2:
        return "the same in all, or never known: left out"
    offset = LOG_OFFSET.get(name)
    scale = f"log2(value + {offset:g}), " if offset is not None else ""
    kind = "0 or 1, " if set(values.dropna().unique()) <= {0, 1} else scale
    return f"{kind}minus the mean, divided by the standard deviation"
