"""What a report is made from: the run, its rows, and the files that the steps before it left beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import runs
from onlm_lab.analysis import event_risk_table
from onlm_lab.analysis.battery import first_repeat
from onlm_lab.figures import theme
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.patients import models_of, splits_of, tested
from onlm_lab.runs import Run
from onlm_lab.steps import file_digest
from onlm_lab.study import Study

LABELLED, UNLABELLED = "labelled", "unlabelled"


@dataclass(frozen=True, eq=False)
class Material:
    """All that the sections read.

    Attributes:
        run, study: the run, and the study as it was when the run began.
        patients: every patient of the run: cohort columns, label, arm, endpoints.
        rows: all predictions joined with the patients.
        tested: rows of the first testing set (first repeat), of all models; empty where there is none.
        split: which testing set that is.
        models: model ids, the primary one first.
        flow, status, undetermined, disagreements, rules, prepared, series, image_disagreements: tables between steps;
            empty where the step left none.
        surrogate_flow, unmapped: how a public table became this study, and what of it could not be used; else empty.
        trained: what training wrote down about calibrators, thresholds and weights (calibration.json); else empty.
        oracle: what a model that knows the made-up truth reaches, by "clinical" and "full"; empty where there is none.
        reading: what was done to the tables on the way in (encoding, words recoded, rows left out), a sentence each.
        given: name of each table of the study as it came -> its SHA-256; empty where the study's folder is not at hand.
        mark: words across every figure; empty for real data.
    """

    run: Run
    study: Study
    patients: pd.DataFrame
    rows: pd.DataFrame
    tested: pd.DataFrame
    split: str
    models: tuple[str, ...]
    flow: pd.DataFrame
    status: pd.DataFrame
    undetermined: pd.DataFrame
    disagreements: pd.DataFrame
    rules: pd.DataFrame
    prepared: pd.DataFrame
    series: pd.DataFrame
    image_disagreements: pd.DataFrame
    surrogate_flow: pd.DataFrame
    unmapped: pd.DataFrame
    trained: dict[str, Any]
    oracle: dict[str, dict[str, Any]]
    reading: tuple[str, ...]
    given: dict[str, str]
    mark: str

    @cached_property
    def judged(self) -> Judged:
        """The tested rows, with what was computed of them so far."""
        return Judged(self.tested)

    @cached_property
    def followed(self) -> Followed:
        """All rows, with what was computed of their outcomes so far."""
        return Followed(self.rows)

    @cached_property
    def event_risk(self) -> pd.DataFrame:
        """P(event by a day) of each patient, cross-fitted: the run's event_risk.csv, or the same made here."""
        if (self.run.folder / runs.EVENT_RISK).is_file():
            return self.run.event_risk()
        plan = self.study.analysis
        return event_risk_table(first_repeat(self.rows), endpoints=plan.endpoints, horizon_days=plan.horizon_days)

    @property
    def primary(self) -> str:
        return self.models[0]

    @property
    def labelled(self) -> pd.DataFrame:
        """Patients with a reference standard, from the surgery arm."""
        return self.patients[self.patients["onlm"].notna()]


def gather(run: Run, *, work: Path) -> Material:
    """Read everything once.

    Args:
        run: a finished run.
        work: the folder with the files between steps; what is not there is left out of the report, in words.

    Raises:
        OnlmError: the run has no patients or no predictions.
    """
    study, rows, patients = run.study, run.rows(), run.patients
    models = models_of(rows, first=study.primary_model)
    splits = splits_of(rows)
    return Material(
        run=run, study=study, patients=patients, rows=rows, models=models, split=splits[0] if splits else "",
        tested=tested(rows) if splits else rows.iloc[:0],
        flow=_table(work / "flow.csv"), status=_table(work / "status.csv"),
        undetermined=_table(work / "undetermined.csv"), disagreements=_table(work / "disagreements.csv"),
        rules=_texts(work / "rules.csv"), prepared=_table(work / "prepared.csv"),
        series=_table(work / "series.csv"), image_disagreements=_table(work / "image_disagreements.csv"),
        surrogate_flow=_table(work.parent / "surrogate_flow.csv"), unmapped=_table(work.parent / "unmapped.csv"),
        trained=_json(run.folder / "calibration.json"), oracle=_json(work / "oracle.json") if study.made_up else {},
        reading=tuple(_json(work / "checked.json").get("notes", ())), given=_given(study, folder=work.parent),
        mark=theme.MADE_UP if study.made_up else "",
    )  # fmt: skip


def _given(study: Study, *, folder: Path) -> dict[str, str]:
    """The study's own tables, which the step before this one found unchanged: names and digests."""
    names = dict.fromkeys((study.data.clinical, study.data.followup, study.data.annotations))
    return {name: file_digest(folder / name) for name in names if name and (folder / name).is_file()}


def _table(path: Path) -> pd.DataFrame:
    return runs.read_csv(path) if path.is_file() else pd.DataFrame()


def _texts(path: Path) -> pd.DataFrame:
    """A table whose cells stay as they are written: version 2.10 is not 2.1."""
    return pd.read_csv(path, dtype=str, keep_default_na=False) if path.is_file() else pd.DataFrame()


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
