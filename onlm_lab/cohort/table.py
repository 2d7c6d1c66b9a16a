"""Cohort: one row a patient, from clinical.csv and followup.csv, with label, arm, stage and endpoints beside them."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.endpoints import endpoints
from onlm_lab.cohort.label import arm, label
from onlm_lab.cohort.staging import stage_table
from onlm_lab.errors import DataError
from onlm_lab.study import Study, load_study


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
    """

    patients: pd.DataFrame
    source: str
    sha256: str
    extra_columns: tuple[schema.Column, ...] = ()
    surrogate: bool = False
    made_up: bool = False

    def __getattribute__(self, name: str) -> object:
        value = object.__getattribute__(self, name)
        return value.copy() if name == "patients" else value

    def __len__(self) -> int:
        return len(object.__getattribute__(self, "patients"))

    def __repr__(self) -> str:
        return f"Cohort of {len(self)} patients from {self.source} (sha256 {self.sha256[:12]})"

    def _repr_html_(self) -> str:
        patients = self.patients
        onlm = patients["onlm"]
        facts = {
            "patients": len(patients), "centres": patients["centre"].nunique(),
            "surgery": int((patients["arm"] == "surgery").sum()), "SBRT": int((patients["arm"] == "sbrt").sum()),
            "labelled": int(onlm.notna().sum()), "N+": int((onlm == 1).sum()),
            "deaths": int((patients["died"] == 1).sum()),
            "label": "surrogate: pathological N alone" if self.surrogate else "occult nodal metastasis",
        }  # fmt: skip
        body = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in facts.items())
        mark = "<p><b>MADE-UP DATA</b></p>" if self.made_up else ""
        return f"{mark}<b>Cohort from {html.escape(self.source)}</b><table>{body}</table>"


def load_cohort(
    study_or_paths: Study | str | Path | Sequence[str | Path] | Mapping[str, str | Path],
) -> Cohort:
    """The cohort of a study, or of one or two CSV files.

    Args:
        study_or_paths: a Study; a study's folder or study.toml; a clinical CSV file; (clinical, followup); or
            {"clinical": ..., "followup": ...}. Without a follow-up file all endpoints are missing.

    Raises:
        DataError: every fault of both files at once.
        StudyError: study.toml cannot be used.
    """
    if isinstance(study_or_paths, str | Path) and Path(study_or_paths).suffix != ".csv":
        study_or_paths = load_study(study_or_paths)
    if isinstance(study_or_paths, Study):
        study = study_or_paths
        paths = [study.path(name) for name in (study.data.clinical, study.data.followup) if name]
        words, surrogate, made_up = study.data.missing_words, study.label.surrogate, study.made_up
        extra = schema.declared(study.columns)
    else:
        if isinstance(study_or_paths, Mapping):
            study_or_paths = [study_or_paths[k] for k in ("clinical", "followup") if k in study_or_paths]
        paths = [Path(p) for p in ([study_or_paths] if isinstance(study_or_paths, str | Path) else study_or_paths)]
        words, surrogate, made_up, extra = ("",), False, False, ()
    faults: list[str] = []
    tables = []
    for path, table in zip(paths, ("clinical", "followup"), strict=False):
        try:
            own = extra if table == "clinical" else ()
            tables.append(schema.read_table(path, table=table, missing_words=words, extra_columns=own))
        except DataError as error:
            faults += error.faults
    if len(tables) == 2:
        faults += schema.check_known_patients(
            tables[1], patients=tables[0]["patient_id"], file=paths[1].name, of=paths[0].name
        )
    if faults:
        raise DataError(faults)
    return build_cohort(
        tables[0], followup=tables[1] if len(tables) == 2 else None, source=" + ".join(p.name for p in paths),
        extra_columns=extra, surrogate=surrogate, made_up=made_up,
    )  # fmt: skip


def build_cohort(
    clinical: pd.DataFrame,
    *,
    followup: pd.DataFrame | None = None,
    source: str,
    extra_columns: Iterable[schema.Column] = (),
    surrogate: bool = False,
    made_up: bool = False,
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
    return Cohort(table, source, digest, extra_columns=extra, surrogate=surrogate, made_up=made_up)


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
        reason = pd.Series(np.where(given.isna(), "no label given", None), index=marks.index, dtype=object)
        return pd.DataFrame({"onlm": given, "onlm_missing_reason": reason})
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
