"""Opening the locked test set of a study to the predictions of one run: first the record, then the look."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import runs, schema, steps
from onlm_lab.cohort import locked, splits
from onlm_lab.errors import OnlmError
from onlm_lab.runs import Run


def open_set(
    run: Run, *, cohort: pd.DataFrame, log: Path, purpose: str, by: str = "", keep: Iterable[str] = (),
    extra_columns: Iterable[schema.Column] = (),
) -> locked.Opening:  # fmt: skip
    """Writes a line to the study's record, and then what was kept back of the locked patients into the run's folder.

    Args:
        run: a finished run.
        cohort: work/cohort.csv, where the truth stands.
        log: openings.csv of the study.
        purpose: why.
        by: who.
        keep: the predictors, which the run has seen all along.
        extra_columns: the study's own columns.

    Raises:
        OnlmError: no locked patient, predictions that lack some of them, a split or a record that was changed.
    """
    dealt = run.dealt
    ids = sorted(dealt.parts.loc[dealt.parts["part"] == splits.LOCKED, "patient_id"])
    if not ids:
        raise OnlmError(
            f"Run {run.id} has no locked test set. Set [split] locked_fraction in study.toml and start `onlm run`."
        )
    predictions = run.predictions
    without = sorted(set(ids) - set(predictions.loc[predictions["split"] == "test", "patient_id"]))
    if without:
        raise OnlmError(
            f"predictions.csv: {len(without)} of {len(ids)} locked patients have no prediction "
            f"({', '.join(without[:5])}); wanted one of each model. Train anew with `onlm run STUDY --redo`."
        )
    truth = _truth(cohort, ids=ids, keep=keep, extra_columns=extra_columns)
    before = record(log)
    digest = steps.file_digest(run.folder / "predictions.csv")
    opening = locked.log_opening(
        log, purpose=purpose, by=by, run_id=run.id, n_patients=len(ids), predictions_sha256=digest,
        split_sha256=dealt.sha256,
    )  # fmt: skip
    schema.write_table(truth, run.folder / "opened.csv", extra_columns=extra_columns)
    said = {"predictions_sha256": digest, "openings": [o.to_dict() for o in (*before, opening)]}
    steps.write_text(run.folder / "opening.json", json.dumps(said, indent=1, ensure_ascii=False))
    return opening


def _truth(
    cohort: pd.DataFrame, *, ids: list[str], keep: Iterable[str], extra_columns: Iterable[schema.Column]
) -> pd.DataFrame:
    """What became known of the locked patients after treatment."""
    rows = cohort[cohort["patient_id"].isin(ids)].sort_values("patient_id", kind="stable", ignore_index=True)
    if rows["patient_id"].tolist() != ids or rows["onlm"].isna().any():
        raise OnlmError(
            f"work/cohort.csv has a label of {int(rows['onlm'].notna().sum())} of the {len(ids)} locked patients; "
            "wanted each. Make it anew with `onlm screen STUDY`."
        )
    return rows[["patient_id", *locked.hidden_columns(rows, keep=keep, extra_columns=extra_columns)]]


def record(log: Path) -> list[locked.Opening]:
    """Every opening on record, oldest first.

    Args:
        log: openings.csv of the study.

    Raises:
        OnlmError: a line was changed, or one is gone that a run of the study remembers.
    """
    found = locked.read_openings(log)
    locked.require_record(found, remembered=remembered(log.parent))
    return found


def remembered(study: Path) -> list[dict[str, Any]]:
    """Every opening that a run of the study remembers."""
    return [opening for run in runs.list_runs(study) for opening in run.remembered.get("openings", ())]


def loud(opening: locked.Opening) -> str:
    """How often the set has been opened, in a sentence."""
    if opening.number == 1:
        return f"the locked test set ({opening.n_patients} patients) is opened for the first time"
    return (
        f"ATTENTION: this is opening {opening.number} of the locked test set ({opening.n_patients} patients); what "
        "was changed since the first may have been chosen with these labels in sight: no longer an untouched test"
    )
