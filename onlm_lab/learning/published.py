"""A published score beside the models: [scores.<name>] of study.toml as log odds, with nothing fitted but what stands
in for a missing cell.

    check_scores(study.scores, patients=patients, columns=study.columns, surrogate=study.label.surrogate)
    found = PublishedScore.fit(study.scores["brock"], name="brock", patients=patients.iloc[learn])
    logit = found.logit(patients)                       # (n,)
    found.n_missing(patients)                           # {"cea_ng_ml": 12}: cells that had to be filled

A publication seldom says what to do where a value is missing. Here the median of the training rows stands in for a
number, their commonest value for a category or a 0/1 column; how many cells that were is counted. No torch here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import OnlmError, StudyError
from onlm_lab.learning.clinical import check_predictors
from onlm_lab.showing import shows_itself
from onlm_lab.study import BASELINES, MODELS, ExtraColumn, Score

TERMS = (
    "wanted a column (age_years), a level (sex=female), a limit (age_years > 65) or a logarithm (log(cea_ng_ml), log2, "
    "log10, also log(cea_ng_ml + 1))"
)
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COLUMN = r"[^()<>=+]*[^()<>=+\s]"
_LOG = re.compile(rf"(?P<log>log|ln|log2|log10)\s*\(\s*(?P<column>{_COLUMN})\s*(?:\+\s*(?P<offset>{_NUMBER})\s*)?\)")
_LIMIT = re.compile(rf"(?P<column>{_COLUMN})\s*(?P<sign>>=|<=|>|<)\s*(?P<limit>{_NUMBER})")
_LEVEL = re.compile(rf"(?P<column>{_COLUMN})\s*==?\s*(?P<level>[^()<>=]*[^()<>=\s])")
_PLAIN = re.compile(rf"(?P<column>{_COLUMN})")
_LOGS = {"log": np.log, "ln": np.log, "log2": np.log2, "log10": np.log10}
_SIGNS = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal}


@dataclass(frozen=True)
class Term:
    """One term of a score, as it is written, and what it means. `by` is a sign or a logarithm where there is one."""

    text: str
    column: str
    kind: Literal["number", "level", "limit", "log"]
    by: str = ""
    level: str = ""
    number: float = 0.0  # the limit, or what is added before the logarithm

    @classmethod
    def read(cls, text: str) -> Term:
        """The meaning of a term as study.toml writes it.

        Raises:
            StudyError: it is none of the four kinds.
        """
        said = text.strip()
        if found := _LOG.fullmatch(said):
            return cls(text, found["column"], "log", by=found["log"], number=float(found["offset"] or 0))
        if found := _LIMIT.fullmatch(said):
            return cls(text, found["column"], "limit", by=found["sign"], number=float(found["limit"]))
        if found := _LEVEL.fullmatch(said):
            return cls(text, found["column"], "level", level=found["level"])
        if found := _PLAIN.fullmatch(said):
            return cls(text, found["column"], "number")
        raise StudyError(f"the term cannot be read; {TERMS}.")

    def values(self, column: pd.Series) -> np.ndarray:
        """What the term is for each patient, (n,) float; NaN where the column is missing.

        Raises:
            OnlmError: the logarithm of 0 or less.
        """
        unknown = column.isna().to_numpy()
        if self.kind == "level":
            level = float(self.level) if _holds_numbers(column) else self.level
            return np.where(unknown, np.nan, (column == level).to_numpy(dtype=np.float64, na_value=False))
        x = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if self.kind == "limit":
            return np.where(unknown, np.nan, _SIGNS[self.by](x, self.number))
        if self.kind == "log":
            if fault := self.log_fault(column):
                raise OnlmError(fault)
            return _LOGS[self.by](x + self.number)
        return x

    def log_fault(self, column: pd.Series) -> str:
        """How many values have no logarithm; "" where all have one."""
        x = column.to_numpy(dtype=np.float64, na_value=np.nan) + self.number
        n = int((x <= 0).sum())
        if not n:
            return ""
        lowest = f"{np.nanmin(x) - self.number:g}"
        return (
            f"{n} of {len(x)} patients have no logarithm there (the lowest {self.column} is {lowest}); "
            f"wanted all above {-self.number or 0:g}. Correct the values, or write what the source adds to them, "
            f"such as {self.by}({self.column} + 1)."
        )


@shows_itself
@dataclass(frozen=True)
class PublishedScore:
    """A score ready to be applied: its coefficients as published, and what stands in for a missing cell.

    Attributes:
        fills: by column, the training rows' median or commonest value.
    """

    name: str
    source: str
    intercept: float
    terms: tuple[Term, ...]
    coefficients: tuple[float, ...]
    fills: Mapping[str, float | str]

    @classmethod
    def fit(cls, score: Score, *, name: str, patients: pd.DataFrame) -> PublishedScore:
        """The score with the fills of these (training) rows.

        Raises:
            OnlmError: a column of the score is known of none of them.
        """
        terms = tuple(Term.read(text) for text in score.coefficients)
        columns = list(dict.fromkeys(term.column for term in terms))
        unknown = [column for column in columns if patients[column].isna().all()]
        if unknown:
            raise OnlmError(
                f"[scores.{name}] {', '.join(unknown)} is known of none of the {len(patients)} training patients, so "
                "nothing can stand in where it is missing. Take the score out, or use fewer folds."
            )
        return cls(
            name=name, source=score.source, intercept=float(score.intercept), terms=terms,
            coefficients=tuple(float(value) for value in score.coefficients.values()),
            fills={column: _usual(patients[column]) for column in columns},
        )  # fmt: skip

    @property
    def columns(self) -> list[str]:
        """The columns that the score reads, each once."""
        return list(self.fills)

    def logit(self, patients: pd.DataFrame) -> np.ndarray:
        """Log odds by the score as published, no calibrator applied: (n,).

        Raises:
            OnlmError: a column is not there, or a value has no logarithm.
        """
        lost = [column for column in self.columns if column not in patients]
        if lost:
            raise OnlmError(f"[scores.{self.name}] needs the column {', '.join(lost)}; the table does not have it.")
        total = np.full(len(patients), self.intercept)
        for term, coefficient in zip(self.terms, self.coefficients, strict=True):
            column = patients[term.column]
            total += coefficient * term.values(column.where(column.notna(), self.fills[term.column]))
        return total

    def n_missing(self, patients: pd.DataFrame) -> dict[str, int]:
        """By column, how many of these patients' cells are missing and were filled."""
        return {column: int(patients[column].isna().sum()) for column in self.columns}

    def note(self, patients: pd.DataFrame) -> str:
        """One sentence on what was filled among these patients; "" where nothing was."""
        counts = {column: n for column, n in self.n_missing(patients).items() if n}
        if not counts:
            return ""
        said = ", ".join(
            f"{column} of {n} by {value:g}" if isinstance(value := self.fills[column], float) else
            f"{column} of {n} by '{value}'" for column, n in counts.items()
        )  # fmt: skip
        return f"{self.name} does not say what to do with missing values; of {len(patients)} patients, filled: {said}."


def check_scores(
    scores: Mapping[str, Score],
    *,
    patients: pd.DataFrame,
    columns: Mapping[str, ExtraColumn] | None = None,
    surrogate: bool = False,
) -> None:
    """Refuses scores that these patients' table cannot serve, before anything is trained.

    Args:
        scores: [scores] of study.toml.
        patients: all patients of the run.
        columns: the study's own columns (study.columns): their timing and allowed words.
        surrogate: as for `clinical.check_predictors`.

    Raises:
        StudyError: every fault of every score, one a line.
    """
    faults = []
    for name, score in scores.items():
        if name in (*MODELS, *BASELINES):
            faults.append(f"[scores.{name}] a model of this program has that name. Give the score another.")
        if re.fullmatch(r"\w[\w.-]*", name) is None:
            faults.append(f"[scores.{name}] wanted a name of letters, digits, _, - and points: files are named by it.")
        said = {"intercept": score.intercept, **score.coefficients}
        faults += [
            f"[scores.{name}] '{key}' is {value}; wanted a finite number."
            for key, value in said.items()
            if not np.isfinite(value)
        ]
        for text in score.coefficients:
            fault = _term_fault(text, patients=patients, columns=columns or {}, surrogate=surrogate)
            faults += [f"[scores.{name}] '{text}': {fault}"] if fault else []
    if faults:
        raise StudyError("study.toml: " + "\n".join(faults))


def _term_fault(
    text: str, *, patients: pd.DataFrame, columns: Mapping[str, ExtraColumn], surrogate: bool
) -> str:  # fmt: skip
    """What is wrong with a term for these patients, or ""."""
    late = [name for name, own in columns.items() if own.timing == "post_treatment"]
    try:
        term = Term.read(text)
        check_predictors(patients, predictors=[term.column], post_treatment=late, surrogate=surrogate)
    except OnlmError as error:
        return str(error).removeprefix("[training] predictors: ")
    values = patients[term.column]
    if values.isna().all():
        return f"{term.column} is known of none of the {len(values)} patients. Take the term's score out."
    if term.kind == "level":
        return _level_fault(term, values, columns=columns)
    if not _holds_numbers(values):
        example = f"{term.column}={sorted(values.dropna().unique())[0]}"
        return f"{term.column} holds words; wanted one of its levels, such as '{example}'."
    return term.log_fault(values) if term.kind == "log" else ""


def _level_fault(term: Term, values: pd.Series, *, columns: Mapping[str, ExtraColumn]) -> str:
    """What is wrong with `column=level`, or "". A level that nobody has is none where the dictionary knows it."""
    spec = columns.get(term.column) or schema.column(term.column)
    known = sorted(values.dropna().unique())
    if _holds_numbers(values):
        if re.fullmatch(_NUMBER, term.level) is None:
            return f"{term.column} holds numbers, and '{term.level}' is none; wanted such as '{term.column} > 1'."
        level = float(term.level)
        if level in known or (spec is not None and _in_range(level, low=spec.low, high=spec.high)):
            return ""
        return f"{term.column} never is {term.level}; of these patients it is {known[0]:g} to {known[-1]:g}."
    known = list(dict.fromkeys([*(spec.allowed if spec else ()), *known]))
    if term.level in known:
        return ""
    near = schema.nearest(term.level, known)
    offer = f"; did you mean '{near}'?" if near else "."
    return f"{term.column} never is '{term.level}'; known: {', '.join(known)}{offer}"


def _in_range(value: float, *, low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= value <= high


def _holds_numbers(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype)


def _usual(values: pd.Series) -> Any:
    """The median of a number; the commonest of words and of 0 and 1 (ties: the first in their order)."""
    known = values.dropna()
    if _holds_numbers(values) and not known.isin((0, 1)).all():
        return float(known.median())
    commonest = known.mode().iloc[0]
    return float(commonest) if _holds_numbers(values) else str(commonest)
