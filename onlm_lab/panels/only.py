"""Who is judged: everybody, or only the patients of one centre, group or year."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.levels import MISSING, levels_of
from onlm_lab.errors import OnlmError
from onlm_lab.figures import label_of
from onlm_lab.figures.subgroup import level_words
from onlm_lab.panels.patients import SMALLEST_GROUP

EVERYBODY = ""
_BETWEEN = "="
_YEAR = "treatment_year"


def choices(
    rows: pd.DataFrame, *, columns: Sequence[str], bins: Mapping[str, Sequence[float]] | None = None,
    least: int = SMALLEST_GROUP, least_others: int = 1, say: Callable[[int], str] = "{:,}".format,
) -> dict[str, str]:  # fmt: skip
    """What a reader may restrict the patients to: words with the number of patients -> what `only` takes.

    Small levels are not offered: nothing can be said of them.

    Args:
        rows: tested rows of one or several models.
        columns: words, categories or 0/1, numbers with bins, or the year of treatment; other numbers are passed over.
        bins: the inner edges of columns of numbers.
        least: patients that a level must have.
        least_others: patients that it must leave.
        say: a number of patients, in the words.
    """
    patients = rows.drop_duplicates("patient_id")
    found = {"Everybody": EVERYBODY}
    for column in columns:
        words, code = _levels(patients[column], bins=bins)
        for k, level in enumerate(words):
            n = int((code == k).sum())
            if n >= least and len(patients) - n >= least_others:
                said = "not known" if level == MISSING else level_words(level)
                found[f"{label_of(column)}: {said} ({say(n)})"] = f"{column}{_BETWEEN}{level}"
    return found


def only(
    rows: pd.DataFrame, *, chosen: str, bins: Mapping[str, Sequence[float]] | None = None
) -> pd.DataFrame:  # fmt: skip
    """The rows of the patients whom a choice names.

    Raises:
        OnlmError: there is no such column or level.
    """
    if chosen == EVERYBODY:
        return rows
    column, _, level = chosen.partition(_BETWEEN)
    if column not in rows.columns:
        raise OnlmError(f"The patients cannot be restricted by '{column}': there is no such column.")
    words, code = _levels(rows[column], bins=bins)
    if level not in words:
        raise OnlmError(f"No patient has {label_of(column)} '{level}'; there is {', '.join(words)}.")
    return rows[code == words.index(level)]


def only_words(rows: pd.DataFrame, *, chosen: str, total: int) -> str:
    """Who is left, in a sentence."""
    left = rows["patient_id"].nunique()
    if chosen == EVERYBODY:
        return f"All {total:,} patients are judged."
    return f"{restricted(chosen)}; {left:,} of {total:,} patients are left."


def restricted(chosen: str) -> str:
    """Whom a choice names, without a count: 'Only patients with Sex: female'; empty for everybody."""
    if chosen == EVERYBODY:
        return ""
    column, _, level = chosen.partition(_BETWEEN)
    return f"Only patients with {label_of(column)}: {'not known' if level == MISSING else level_words(level)}"


def _levels(values: pd.Series, *, bins: Mapping[str, Sequence[float]] | None) -> tuple[list[str], np.ndarray]:
    """The levels of a column and each row's; none of numbers that nobody declared bins for."""
    name, edges = str(values.name), (bins or {}).get(str(values.name))
    numeric = pd.api.types.is_numeric_dtype(values.dtype)
    if edges is None and numeric and name == _YEAR:
        values = values.map(lambda year: None if pd.isna(year) else f"{year:.0f}").astype(object)
    elif edges is None and numeric and not values.dropna().isin([0, 1]).all():
        return [], np.zeros(len(values), dtype=int)
    return levels_of(values, name=name, edges=edges, call="only")
