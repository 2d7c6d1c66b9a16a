"""Cohort: one row a patient, from clinical.csv and followup.csv, with label, arm, stage and endpoints beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.endpoints import endpoints
from onlm_lab.cohort.label import arm, label, label_given
from onlm_lab.cohort.staging import stage_table
from onlm_lab.cohort.tables import StudyOrPaths, Tables, read_tables
from onlm_lab.errors import DataError
from onlm_lab.showing import Said, shows_itself

if TYPE_CHECKING:
    from onlm_lab.cohort.comparison import Comparison
    from onlm_lab.study import Protocol

__all__ = ["Cohort", "Tables", "build_cohort", "load_cohort", "read_tables"]


@shows_itself
@dataclass(frozen=True, eq=False)
class Cohort:
    """The patients of a study. `patients` is a fresh copy each time; two cohorts are the same when `sha256` is.

    Attributes:
        patients: every column of clinical.csv and followup.csv (all missing where the file has none), then onlm,
            onlm_missing_reason, arm, ctr, derived_t, derived_stage and the endpoints. The days of followup.csv that
            share an endpoint's name are kept as recorded_recurrence_days, recorded_regional_days and
            recorded_distant_days.
        source: where it came from, without folders.
        sha256: digest of the table.
        extra_columns: the study's own columns.
        surrogate: the label rests on pathological N alone.
        made_up: the data are made up.
        notes: what was done while the files were read, a sentence each.
    """

    patients: pd.DataFrame
    source: str
    sha256: str
    extra_columns: tuple[schema.Column, ...] = ()
    surrogate: bool = False
    made_up: bool = False
    notes: tuple[str, ...] = ()

    def __getattribute__(self, name: str) -> object:
        value = object.__getattribute__(self, name)
        return value.copy() if name == "patients" else value

    def __len__(self) -> int:
        return len(object.__getattribute__(self, "patients"))

    def compare(self, other: Cohort, *, protocol: Protocol | None = None) -> Comparison:
        """What changed from this version of the data to `other`; with a protocol, in whose eligibility too."""
        from onlm_lab.cohort.comparison import compare_cohorts

        return compare_cohorts(self, other, protocol=protocol)

    def _said(self) -> Said:
        patients = self.patients
        onlm, year = patients["onlm"], patients["treatment_year"].dropna()
        facts = {
            "patients": len(patients), "centres": patients["centre"].nunique(),
            "treated": f"{year.min():.0f} to {year.max():.0f}" if len(year) else "",
            "surgery": int((patients["arm"] == "surgery").sum()), "SBRT": int((patients["arm"] == "sbrt").sum()),
            "labelled": int(onlm.notna().sum()), "N+": int((onlm == 1).sum()),
            "deaths": int((patients["died"] == 1).sum()),
            "label": "surrogate: pathological N alone" if self.surrogate else "occult nodal metastasis",
            "own columns": [column.name for column in self.extra_columns],
        }  # fmt: skip
        line = f"Cohort of {len(self)} patients from {self.source} (sha256 {self.sha256[:12]})"
        return Said(line, facts, notes=self.notes, made_up=self.made_up)


def load_cohort(study_or_paths: StudyOrPaths) -> Cohort:
    """The cohort of a study, or of one or two files.

    Args:
        study_or_paths: a Study; a study's folder or study.toml; a clinical file (CSV, TSV, text, Excel); (clinical,
            followup); or {"clinical": ..., "followup": ...}. Without a follow-up all endpoints are missing.

    Raises:
        DataError: every fault of both files at once.
        StudyError: study.toml cannot be used.
    """
    tables = read_tables(study_or_paths)
    return build_cohort(
        tables.clinical, followup=tables.followup, source=tables.source, extra_columns=tables.extra_columns,
        surrogate=tables.surrogate, made_up=tables.made_up, notes=tables.notes,
    )  # fmt: skip


def build_cohort(
    clinical: pd.DataFrame,
    *,
    followup: pd.DataFrame | None = None,
    source: str,
    extra_columns: Iterable[schema.Column] = (),
    surrogate: bool = False,
    made_up: bool = False,
    notes: Iterable[str] = (),
) -> Cohort:
    """A cohort from tables that schema.read_table or schema.check let through."""
    extra = tuple(extra_columns)
    patients = _completed(clinical, table="clinical", extra_columns=extra).reset_index(drop=True)
    follow = pd.DataFrame({"patient_id": []}, dtype=object) if followup is None else followup
    follow = _completed(follow, table="followup")
    follow = patients[["patient_id"]].merge(follow, on="patient_id", how="left", validate="one_to_one")
    follow = _completed(follow, table="followup")
    marks = label(patients, surrogate=surrogate)
    if "onlm" in clinical:
        marks = _with_given_label(marks, clinical=clinical.reset_index(drop=True), source=source)
    outcome = endpoints(follow)
    recorded = {name: f"recorded_{name}" for name in follow.columns if name in outcome.columns}
    parts = [
        patients, follow.drop(columns="patient_id").rename(columns=recorded), marks,
        arm(patients).rename("arm"), stage_table(patients), outcome,
    ]  # fmt: skip
    table = pd.concat(parts, axis=1)
    text = schema.table_text(table, extra_columns=extra)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Cohort(table, source, digest, extra_columns=extra, surrogate=surrogate, made_up=made_up, notes=tuple(notes))


def _completed(frame: pd.DataFrame, *, table: str, extra_columns: Iterable[schema.Column] = ()) -> pd.DataFrame:
    """The table with every column of the schema, in its order; absent ones all missing; missing text is None."""
    specs = [c for c in schema.columns(table, extra_columns=extra_columns).values() if c.table == table]
    data = {}
    for spec in specs:
        if spec.name not in frame:
            kind, missing = (float, np.nan) if spec.type in schema.NUMERIC else (object, None)
            data[spec.name] = pd.Series([missing] * len(frame), index=frame.index, dtype=kind)
        elif spec.type in schema.NUMERIC:
            data[spec.name] = frame[spec.name].astype(float)
        else:
            data[spec.name] = frame[spec.name].astype(object).where(frame[spec.name].notna(), None)
    return pd.DataFrame(data, index=frame.index)


def _with_given_label(marks: pd.DataFrame, *, clinical: pd.DataFrame, source: str) -> pd.DataFrame:
    """A label that came ready-made: taken where the table has no pathological N, compared where it has one."""
    given = clinical["onlm"].astype(float)
    if "pathological_n" not in clinical:
        return label_given(clinical.drop(columns="onlm"), given=given)
    wrong = given.notna() & ~(given == marks["onlm"])
    if wrong.any():
        ids = clinical.loc[wrong, "patient_id"].head(5)
        raise DataError(
            [
                f"{source}: the column onlm disagrees with the label from pathological_n in {int(wrong.sum())} of "
                f"{len(given)} rows ({', '.join(ids)}). Take the column out; the label is derived."
            ]
        )
    return marks
