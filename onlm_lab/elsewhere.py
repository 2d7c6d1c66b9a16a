"""A model from anywhere else, analysed by the same code: all it takes is a table of patients and risks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab import runs, schema
from onlm_lab.errors import OnlmError
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

    rows = schema.read_table(path, table="predictions", defaults=DEFAULTS)
    if clinical is not None:
        source = _beside(clinical, followup=followup)
        return runs.join_rows(rows, patients=cohorts.load_cohort(source).patients)
    if followup is not None:
        raise OnlmError("--followup needs --clinical: outcomes join through the clinical table.")
    return rows


def _beside(clinical: Path, *, followup: Path | None) -> Study:
    """The two tables as a study; a study.toml beside them declares the hospital's own columns."""
    folder = clinical.resolve().parent
    study = load_study(folder) if (folder / "study.toml").is_file() else Study(folder=folder)
    named = replace(study.data, clinical=clinical.name, followup=str(followup.resolve()) if followup else "")
    return replace(study, data=named)
