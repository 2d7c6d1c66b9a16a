"""A handle on runs/<id>/: plain files that say what was trained, on whom, and what it predicts. No torch here.

runs/<id>/
  study.toml        the study as it was when the run began, in full
  patients.csv      the patients that the run may see: cohort columns, label, arm, endpoints, part and role; of locked
                    patients only what was known before treatment
  split.csv, parts.csv, split.json    who was dealt where, with a hash (see split_files)
  inputs.json       digests of what went in, and where the patches lie
  history.csv       a row an epoch, appended as it goes
  weights.safetensors, calibration.json, environment.txt, embeddings.npy + embeddings_ids.csv
  predictions.csv   the waist: one row a patient, model, split and repeat
  opening.json, opened.csv    only where the locked test set was opened to these predictions: the record of it, and what
                    patients.csv keeps back
  event_risk.csv    what the risks say of the outcomes: a row a patient, model, endpoint and horizon
  results.json, report.html
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import split_files, steps
from onlm_lab.errors import OnlmError
from onlm_lab.showing import Said, shows_itself
from onlm_lab.split_files import DealtSplit
from onlm_lab.study import Study, load_study

TEXT = ("patient_id", "centre")
EVENT_RISK = "event_risk.csv"
EVENT_RISK_KEY = ["patient_id", "model_id", "endpoint", "horizon_days"]


@shows_itself
@dataclass(frozen=True)
class Run:
    """One run on disk. Properties read the files anew, so that a page always sees the present state."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def study(self) -> Study:
        return load_study(self.folder)

    @property
    def finished(self) -> bool:
        """Whether the predictions are there; they are written last."""
        return (self.folder / "predictions.csv").is_file()

    @property
    def patients(self) -> pd.DataFrame:
        """Cohort columns, label, arm and endpoints of every patient of the run; those of locked patients are blank
        until the test set has been opened to the predictions of this run."""
        table = self._table("patients.csv")
        return _with_opened(table, opened=self._table("opened.csv")) if self.openings else table

    @property
    def openings(self) -> list[dict[str, Any]]:
        """Every opening of the study's locked test set up to the last one for this run; empty where it is closed to
        this run, or where the predictions are not those that it was opened to."""
        said = self.remembered
        if not said or said.get("predictions_sha256") != steps.file_digest(self.folder / "predictions.csv"):
            return []
        return list(said["openings"])

    @property
    def remembered(self) -> dict[str, Any]:
        """What opening.json says, whatever became of the predictions; empty where there is none."""
        path = self.folder / "opening.json"
        if not path.is_file():
            return {}
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("openings"), list):
            raise OnlmError(
                f"Run {self.id}: opening.json is not as it was written, so nobody can say whether the locked test set "
                "was opened to this run. Put the original file back."
            )
        return said

    @property
    def dealt(self) -> DealtSplit:
        """The split with its parts and facts, checked against its hash.

        Raises:
            OnlmError: a file of it is missing or was changed.
        """
        return split_files.read_split(self.folder)

    @property
    def split(self) -> pd.DataFrame:
        """patient_id, repeat, fold of the development patients, checked against its hash."""
        return self.dealt.folds

    @property
    def predictions(self) -> pd.DataFrame:
        """The waist table, checked against the schema."""
        from onlm_lab import schema

        path = self.folder / "predictions.csv"
        if not path.is_file():
            raise OnlmError(f"Run {self.id} has no predictions.csv yet. Finish it with `onlm run STUDY`.")
        return schema.read_table(path, table="predictions")

    @property
    def history(self) -> pd.DataFrame:
        """Training so far, a row an epoch. Empty before the first epoch."""
        path = self.folder / "history.csv"
        return pd.read_csv(path) if path.is_file() else pd.DataFrame()

    @property
    def results(self) -> dict[str, Any]:
        path = self.folder / "results.json"
        if not path.is_file():
            raise OnlmError(f"Run {self.id} has no results.json yet. Make it with `onlm analyse STUDY`.")
        return json.loads(path.read_text(encoding="utf-8"))

    def event_risk(self, *, endpoint: str | None = None, model: str | None = None) -> pd.DataFrame:
        """P(event by a day) of each patient, from models of the outcome that never saw the patient.

        Args:
            endpoint: such as "os"; None: all.
            model: which model_id; None: all.

        Returns:
            patient_id, model_id, endpoint, horizon_days, event_risk (missing with a note), fold, method, note, arm.

        Raises:
            OnlmError: the file is not there (a run of before it was written), or is not as it was written.
        """
        path = self.folder / EVENT_RISK
        if not path.is_file():
            raise OnlmError(f"Run {self.id} has no {EVENT_RISK} yet. Make it with `onlm analyse STUDY`.")
        table = read_csv(path)
        _check_event_risk(table, run=self.id)
        table["note"] = table["note"].fillna("").astype(str)
        for name, wanted in (("endpoint", endpoint), ("model_id", model)):
            known = [str(v) for v in pd.unique(table[name])]
            if wanted is not None and wanted not in known:
                raise OnlmError(f"Run {self.id}: {EVENT_RISK} has no {name} '{wanted}'; it has {', '.join(known)}.")
            table = table if wanted is None else table[table[name].astype(str) == wanted]
        return table.reset_index(drop=True)

    def rows(self, *, split: str | None = None) -> pd.DataFrame:
        """AnalysisRows: predictions joined many-to-one with the patients.

        Args:
            split: "oof", "test", "external" or "unlabelled"; None keeps all.
        """
        return join_rows(self.predictions, patients=self.patients, split=split)

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / name
        if not path.is_file():
            raise OnlmError(f"Run {self.id} has no {name}. Start it again with `onlm run STUDY`.")
        return read_csv(path)

    def _said(self) -> Said:
        study, state = self.study, "finished" if self.finished else "not finished"
        line = f"Run {self.id} of {study.name}: {state}"
        if not (self.folder / "patients.csv").is_file():
            return Said(line, made_up=study.made_up)
        patients = self.patients
        facts = {
            "patients": len(patients), "labelled": int(patients["onlm"].notna().sum()),
            "N+": int((patients["onlm"] == 1).sum()), "centres": patients["centre"].nunique(),
            "models": study.training.models, "main model": study.primary_model, "folds": study.training.folds,
        }  # fmt: skip
        return Said(line, facts, made_up=study.made_up)


def read_csv(path: Path) -> pd.DataFrame:
    """A table that this library wrote: ids and centres are text, only the empty cell is missing."""
    return pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values=[""])


def _check_event_risk(table: pd.DataFrame, *, run: str) -> None:
    """Stop where event_risk.csv is not as it was written."""
    missing = [c for c in (*EVENT_RISK_KEY, "event_risk", "fold", "method", "note") if c not in table.columns]
    said = f"lacks the column {missing[0]}" if missing else ""
    if not said:
        risk = pd.to_numeric(table["event_risk"], errors="coerce")
        wrong = int((((risk < 0) | (risk > 1)) | (risk.isna() & table["event_risk"].notna())).sum())
        twice = int(table.duplicated(EVENT_RISK_KEY).sum())
        said = f"holds {wrong} values that are no probability" if wrong else ""
        said = said or (f"tells {twice} rows of a patient, model, endpoint and horizon twice" if twice else "")
    if said:
        raise OnlmError(f"Run {run}: {EVENT_RISK} {said}. Make it again with `onlm analyse STUDY`.")


def _with_opened(patients: pd.DataFrame, *, opened: pd.DataFrame) -> pd.DataFrame:
    """The table with what was kept back of the locked patients."""
    values = opened.set_index("patient_id")
    rows = patients["patient_id"].isin(values.index)
    shown = {}
    for name in values.columns:
        found = patients["patient_id"].map(values[name])
        kept = patients[name]
        if not (pd.api.types.is_numeric_dtype(kept) and pd.api.types.is_numeric_dtype(found)):
            found, kept = found.astype(object), kept.astype(object)
        shown[name] = kept.where(~rows, found)
    return patients.assign(**shown)


def join_rows(predictions: pd.DataFrame, *, patients: pd.DataFrame, split: str | None = None) -> pd.DataFrame:
    """Predictions joined many-to-one with the cohort on patient_id.

    Raises:
        OnlmError: a predicted patient is not in the cohort; the sentence counts and names them.
    """
    if split is not None:
        predictions = predictions[predictions["split"] == split]
    lost = sorted(set(predictions["patient_id"]) - set(patients["patient_id"]))
    if lost:
        raise OnlmError(
            f"predictions: {len(lost)} of {predictions['patient_id'].nunique()} patients are not in the cohort "
            f"({', '.join(lost[:5])}). Give the clinical table that these predictions were made from."
        )
    shared = [c for c in predictions.columns if c in patients.columns and c != "patient_id"]
    return predictions.merge(patients.drop(columns=shared), on="patient_id", how="left", validate="many_to_one")


def open_run(path: str | Path) -> Run:
    """A run by its folder, or the newest run of a study's folder.

    Raises:
        OnlmError: there is no run there.
    """
    path = Path(path)
    if (path / "patients.csv").is_file() or (path / "predictions.csv").is_file():
        return Run(path)
    runs = list_runs(path)
    if not runs:
        name = path.resolve().name
        raise OnlmError(f"'{name}' holds no run. Make one with `onlm run {shlex.quote(name)}`, or name runs/<id>.")
    return runs[-1]


def list_runs(folder: str | Path) -> list[Run]:
    """The runs of a study's folder, oldest first; finished ones after unfinished ones."""
    found = [Run(p.parent) for p in Path(folder).glob("runs/*/study.toml")]
    return sorted(found, key=lambda run: (run.finished, (run.folder / "study.toml").stat().st_mtime, run.id))
