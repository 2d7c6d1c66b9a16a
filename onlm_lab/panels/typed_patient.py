"""What was typed about one patient: the fields of a form, what is missing or beyond the training patients, the risk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.staging import ctr
from onlm_lab.figures import label_of
from onlm_lab.figures.subgroup import level_words
from onlm_lab.learning.coefficients import ClinicalModel
from onlm_lab.learning.ranges import Range
from onlm_lab.schema.contradictions import contradictions

YES_NO = {"no": 0.0, "yes": 1.0}
_CTR_FROM = ("nodule_type", "solid_diameter_mm", "total_diameter_mm")


class Field(NamedTuple):
    """One field of the form.

    Attributes:
        name: the column.
        label: as a reader says it, with its unit.
        kind: number, choice or yes_no.
        levels: words shown -> value; empty for a number.
        wanted: what the training patients' values were, in words.
        optional: whether it may be left empty: some training patients' value was not known.
        description: what it is.
    """

    name: str
    label: str
    kind: str
    levels: dict[str, Any]
    wanted: str
    optional: bool
    description: str


class Judgement(NamedTuple):
    """What the model says of what was typed; without a number where it may say none.

    Attributes:
        table: one row, as the model reads it.
        missing: labels of fields that must be filled in.
        refused: sentences: which value, and what range.
        risk: calibrated; NaN where it is not told.
        low, high: spread of the models; NaN with fewer than five.
    """

    table: pd.DataFrame
    missing: tuple[str, ...]
    refused: tuple[str, ...]
    risk: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        return math.isfinite(self.risk)


def fields(model: ClinicalModel) -> tuple[Field, ...]:
    """The form's fields, in the model's order; what follows from others (the ratio of diameters) is no field."""
    return tuple(_field(known) for known in model.ranges if known.column not in derived(model))


def derived(model: ClinicalModel) -> tuple[str, ...]:
    """Columns of the model that the form works out itself."""
    return ("ctr",) if "ctr" in model.columns and set(_CTR_FROM) <= set(model.columns) else ()


def judge(model: ClinicalModel, values: Mapping[str, Any]) -> Judgement:
    """What the model says of what was typed.

    Args:
        model: the clinical-only model.
        values: column -> number, or a word; a column that is not there, or None, is not known.

    Returns:
        No risk where a field must still be filled in, a value lies outside what the training patients' were, or two
        values cannot both be right.
    """
    asked = fields(model)
    given = {f.name: values.get(f.name) for f in asked}
    missing = tuple(f.label for f in asked if given[f.name] is None and not f.optional)
    words = {f.name: given[f.name] for f in asked if f.kind != "choice" and isinstance(given[f.name], str)}
    refused = [f"{label_of(n)}: '{v}' is no number. Write it with a point, such as 3.5." for n, v in words.items()]
    table = table_of(model, {n: None if n in words else v for n, v in given.items()})
    by_name = {known.column: known for known in model.ranges}
    at_odds = [one for _, one in contradictions(table, table="clinical")]
    for row in model.outside_range(table).to_dict("records"):
        if row["column"] not in derived(model) or not at_odds:  # what follows from values at odds is no news
            refused.append(_outside(by_name[row["column"]], row["value"], wanted=row["wanted"]))
    for one in at_odds:
        names = " and ".join(label_of(c) for c in one.columns)
        refused.append(f"{names} cannot both be right: {_readable(one.what, one.columns)}.")
    if not refused and not missing:
        unknown = [n for n in derived(model) if not by_name[n].n_missing and table[n].isna().any()]
        refused += [_never_missing(by_name[name]) for name in unknown]
    if missing or refused:
        return Judgement(table, missing, tuple(refused), math.nan, math.nan, math.nan)
    risk = model.risk(table).iloc[0]
    return Judgement(table, (), (), float(risk["risk"]), float(risk["risk_low"]), float(risk["risk_high"]))


def risks(model: ClinicalModel, table: pd.DataFrame) -> np.ndarray:
    """The risk of each row as the model reads it; NaN where it is outside the range or columns are at odds."""
    found = model.risk(table)["risk"].to_numpy(float).copy()
    found[model.outside_range(table)["row"].to_numpy(int)] = np.nan
    for rows, _ in contradictions(table, table="clinical"):
        found[rows] = np.nan
    return found


def table_of(model: ClinicalModel, values: Mapping[str, Any]) -> pd.DataFrame:
    """One row as the model reads it; missing: NaN, of words None."""
    row: dict[str, Any] = {}
    for known in model.ranges:
        value = values.get(known.column)
        words = known.lowest is None
        row[known.column] = pd.Series(
            [None if words and value is None else np.nan if value is None else value],
            dtype=object if words else np.float64,
        )
    table = pd.DataFrame(row)
    return table.assign(ctr=ctr(table)) if derived(model) else table


def typed_words(model: ClinicalModel, judged: Judgement) -> list[tuple[str, str]]:
    """What was typed, as label and value, for a page that is printed."""
    said = []
    for field in fields(model):
        value = judged.table[field.name].iloc[0]
        if pd.isna(value):
            said.append((field.label, "not known"))
        elif field.levels:
            said.append((field.label, next((w for w, v in field.levels.items() if v == value), str(value))))
        else:
            said.append((field.label, f"{value:g}"))
    return said


def _field(known: Range) -> Field:
    spec = schema.column(known.column)
    label, optional = label_of(known.column), known.n_missing > 0
    if known.lowest is None:
        levels: dict[str, Any] = {level_words(level): level for level in known.levels}
        if len(levels) < len(known.levels):  # two long names that begin alike
            levels = {level: level for level in known.levels}
        wanted = " or ".join(levels) if len(levels) < 3 else f"one of {', '.join(levels)}"
        return Field(known.column, label, "choice", levels, wanted, optional, known.description)
    if spec is not None and spec.type == "boolean":
        levels = {word: value for word, value in YES_NO.items() if known.lowest <= value <= known.highest}
        return Field(known.column, label, "yes_no", levels, "yes or no", optional, known.description)
    if known.unit and not label.endswith(")"):
        label += f" ({known.unit})"
    return Field(known.column, label, "number", {}, known.wanted, optional, known.description)


def _outside(known: Range, value: Any, *, wanted: str) -> str:
    said = f"{value:g}" if isinstance(value, float) else str(value)
    return (
        f"{label_of(known.column)}: {said} is outside what the model has learned from ({wanted}, in {known.n_known:,} "
        "patients). No risk is told."
    )


def _never_missing(known: Range) -> str:
    return f"{label_of(known.column)} must be known: the model never learned from a patient without it."


def _readable(what: str, columns: tuple[str, ...]) -> str:
    for column in sorted(columns, key=len, reverse=True):
        what = what.replace(column, label_of(column))
    return what
