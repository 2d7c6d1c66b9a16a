"""A model from anywhere else, analysed by the same code: all it takes is a table of patients and risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab import runs, schema
from onlm_lab.errors import DataError, Fault, OnlmError
from onlm_lab.study import Analysis, Study, load_study

if TYPE_CHECKING:
    import pandas as pd

DEFAULTS = {"model_id": "model", "split": "external", "repeat": 0}  # what such a table may leave out


def analyse_predictions(
    path: Path, *, clinical: Path | None = None, followup: Path | None = None, out: Path
) -> dict[str, Any]:
    """Every statistic of a predictions.csv of any origin, as a results.json.

    Args:
        path: predictions.csv; at the least patient_id and risk.
        clinical, followup: the cohort's tables, where the label and the outcomes stand.
        out: the file to write.

    Raises:
        OnlmError: what is wrong with a table, or a patient without a row in the cohort.
    """
    from onlm_lab.analysis import battery

    rows = read_predictions(path, clinical=clinical, followup=followup)
    results = battery.analyse(rows, plan=Analysis(), progress=True)
    battery.write_results(results, out)
    return results


def read_predictions(path: Path, *, clinical: Path | None = None, followup: Path | None = None) -> pd.DataFrame:
    """A predictions.csv of any origin, joined with the cohort's tables where they are given.

    Raises:
        OnlmError: as `analyse_predictions`.
    """
    from onlm_lab import cohort as cohorts

    try:
        rows = schema.read_table(path, table="predictions", defaults=DEFAULTS)
    except DataError as error:
        raise DataError([*error.details, *_what_it_may_be(error.details)]) from None
    if clinical is not None:
        source = _beside(clinical, followup=followup)
        patients = cohorts.load_cohort(source).patients
        _require_zeros(rows["patient_id"], known=patients["patient_id"], file=path.name)
        return runs.join_rows(rows, patients=patients)
    if followup is not None:
        raise OnlmError("--followup needs --clinical: outcomes join through the clinical table.")
    return rows


def _beside(clinical: Path, *, followup: Path | None) -> Study:
    """The two tables as a study; a study.toml beside them declares the hospital's own columns."""
    folder = clinical.resolve().parent
    study = load_study(folder) if (folder / "study.toml").is_file() else Study(folder=folder)
    named = replace(study.data, clinical=clinical.name, followup=str(followup.resolve()) if followup else "")
    return replace(study, data=named)


def _what_it_may_be(faults: Sequence[Fault]) -> list[Fault]:
    """What numbers that are no risks probably are, and what to do about it; nothing is turned here."""
    values = [_number(cell) for fault in faults if fault.column == "risk" for cell in fault.values]
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return []
    file = next(fault.file for fault in faults if fault.column == "risk")
    if min(known) < 0:
        return [Fault(f"{file}: numbers below 0 look like log odds: a risk is 1 / (1 + exp(-x)).", column="risk")]
    if max(known) <= 100:
        return [Fault(f"{file}: numbers up to 100 look like percent: divide every risk by 100.", column="risk")]
    return []


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _require_zeros(ids: pd.Series, *, known: pd.Series, file: str) -> None:
    """Stop where a spreadsheet program took the ids for numbers and dropped their zeros."""
    there = set(known)
    lost = [one for one in dict.fromkeys(ids) if one not in there]
    short = {one.lstrip("0"): one for one in there if one.startswith("0")}
    found = [one for one in lost if one in short]
    if found:
        raise OnlmError(
            f"{file}: {len(found)} patient_ids lack the zeros that the clinical table has ({found[0]} for "
            f"{short[found[0]]}): a program read them as numbers. Write the file again with patient_id as text."
        )
