"""A public table as a study: who is nearest to clinical stage I in it, how they came about, and the folder."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.public_table import PublicTable
from onlm_lab.cohort.table import Cohort, build_cohort
from onlm_lab.errors import DataError, StudyError
from onlm_lab.schema import Column
from onlm_lab.steps import write_text
from onlm_lab.study import starter_toml

Rules = Sequence[tuple[str, Callable[[pd.DataFrame], pd.Series]]]
CLASSES_OF_N = ("N0", "N1", "N2", "N3")


def apply_rules(patients: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """The patients who pass every rule, in their order."""
    for _, rule in rules:
        patients = patients[rule(patients)]
    return patients


def surrogate_of(table: PublicTable, rules: Rules, *, source: str) -> Cohort:
    """The patients who pass every rule, as a cohort of their own, without own columns that are empty in all of them."""
    patients = apply_rules(table.cohort.patients, rules)
    if not len(patients):
        raise DataError(
            [f"{table.cohort.source}: none of {len(table.cohort)} patients is left by the surrogate's rules."]
        )
    extra = tuple(c for c in table.cohort.extra_columns if patients[c.name].notna().any())
    clinical, followup = as_files(patients, extra_columns=extra)
    return build_cohort(clinical, followup=followup, source=source, extra_columns=extra, surrogate=True)


def rules_flow(patients: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """How a cohort came about rule by rule, as a Screening's flow; and of those left how many N0, N1, N2 and N3."""
    rows = []
    for centre in ["all", *sorted(patients["centre"].unique())]:
        left = patients if centre == "all" else patients[patients["centre"] == centre]
        for name, rule in rules:
            kept = left[rule(left)]
            stages = [int((kept["pathological_n"] == stage).sum()) for stage in CLASSES_OF_N]
            rows.append((centre, name, len(left), len(left) - len(kept), 0, len(kept), *stages))
            left = kept
    counted = ["n_in", "n_excluded", "n_undetermined", "n_left", *(f"n_{stage.lower()}" for stage in CLASSES_OF_N)]
    return pd.DataFrame(rows, columns=["centre", "rule", *counted])


def as_files(patients: pd.DataFrame, *, extra_columns: Iterable[Column]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of clinical.csv and of followup.csv again, without those that are wholly empty."""
    rows = patients.reset_index(drop=True)
    own = [c.name for c in extra_columns]
    clinical = rows[[*(c.name for c in schema.COLUMNS if c.table == "clinical"), *own]]
    names = [c.name for c in schema.COLUMNS if c.table == "followup"]
    recorded = {f"recorded_{n}": n for n in names if f"recorded_{n}" in rows}
    followup = rows.drop(columns=list(recorded.values())).rename(columns=recorded)[names]
    kept = [c.name for c in schema.columns("followup").values() if c.required]
    empty = [name for name in followup if followup[name].isna().all() and name not in kept]
    return clinical.dropna(axis=1, how="all"), followup.drop(columns=empty)


def write_folder(
    folder: Path, *, name: str, cohort: Cohort, reports: Mapping[str, pd.DataFrame],
    sections: Mapping[str, Mapping[str, Any]],
) -> Path:  # fmt: skip
    """A study folder without CT: study.toml, clinical.csv, followup.csv and the reports.

    Args:
        folder: where it is written; the files of an earlier study of the same licence are replaced.
        name: of the study.
        cohort: its patients; the label is a surrogate.
        reports: file name -> table.
        sections: of study.toml, what differs from a study without CT and with a surrogate label.

    Raises:
        StudyError: `folder` is a file, or holds files of another study.
    """
    files = ("study.toml", "clinical.csv", "followup.csv", *reports)
    _refuse_another(folder, files=files, licence=sections["study"]["licence"])
    extra = cohort.extra_columns
    clinical, followup = as_files(cohort.patients, extra_columns=extra)
    said = {
        "data": {"annotations": "", "ct": ""}, "label": {"surrogate": True},
        **sections,
        "columns": {
            c.name: {key: said for key, said in (
                ("type", c.type), ("timing", c.timing), ("unit", c.unit), ("low", c.low), ("high", c.high),
                ("allowed", list(c.allowed)), ("description", c.description),
            ) if said not in ("", None, [])}
            for c in extra if c.name in clinical
        },
    }  # fmt: skip
    text = starter_toml(name=name, sections={key: dict(value) for key, value in said.items()})
    write_text(folder / "study.toml", text)  # first: a study that was cut short is known as this source's, and replaced
    for file, frame in {"clinical.csv": clinical, "followup.csv": followup, **reports}.items():
        schema.write_table(frame, folder / file, extra_columns=extra)
    return folder


def _refuse_another(folder: Path, *, files: Sequence[str], licence: str) -> None:
    """Only what was written from the same source is replaced."""
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder.resolve().name}' is a file; wanted a folder for the study. Name another.")
    taken = [name for name in files if (folder / name).exists()]
    if not taken:
        return
    try:
        said = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        said = {}
    if said.get("study", {}).get("licence") != licence:
        raise StudyError(
            f"'{folder.resolve().name}' has {', '.join(taken)} of another study; nothing was overwritten. Name a new "
            "folder."
        )
