"""A study's two spreadsheets, read and compared with each other: checked tables, or every fault of both at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import DataError, Fault
from onlm_lab.showing import shows_itself
from onlm_lab.study import Data, Study, load_study
from onlm_lab.study import Mapping as Settings

StudyOrPaths = Study | str | Path | Sequence[str | Path] | Mapping[str, str | Path]


@shows_itself
@dataclass(frozen=True, eq=False)
class Tables:
    """What a study's spreadsheets hold.

    Attributes:
        clinical, followup: checked tables; followup is None where the study has none.
        notes: what was done on the way, a sentence each, with counts.
        source: the files' names.
        extra_columns: the study's own columns.
        surrogate: the label rests on pathological N alone.
        made_up: the data are made up.
    """

    clinical: pd.DataFrame
    followup: pd.DataFrame | None
    notes: tuple[str, ...] = ()
    source: str = ""
    extra_columns: tuple[schema.Column, ...] = ()
    surrogate: bool = False
    made_up: bool = False


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Which files are to be read, and how."""

    clinical: Path
    followup: Path | None
    annotations: Path | None = None
    data: Data = field(default_factory=Data)
    mapping: Settings = field(default_factory=Settings)
    extra_columns: tuple[schema.Column, ...] = ()
    surrogate: bool = False
    made_up: bool = False


def read_tables(study_or_paths: StudyOrPaths) -> Tables:
    """The clinical and the follow-up table of a study, or of one or two files.

    Args:
        study_or_paths: a Study; a study's folder or study.toml; a clinical file (CSV, TSV, text, Excel); (clinical,
            followup); or {"clinical": ..., "followup": ...}. One file may hold both tables: as two sheets called
            clinical and followup, or as the columns of one sheet.

    Raises:
        DataError: every fault of both files at once, with their cells in `details`.
        StudyError: study.toml cannot be used.
    """
    wanted = _wanted(study_or_paths)
    opened, faults = _opened(wanted)
    faults = schema.settings_faults(wanted.mapping, extra_columns=wanted.extra_columns) + faults
    lost = _lost(wanted, opened)
    if len(opened) == len(_paths(wanted)):
        faults += [one.fault([source.sheet.file for source in opened.values()]) for one in lost]
    readings: dict[str, schema.Reading] = {}
    shared = _is_shared(wanted, opened)
    for table, source in opened.items():
        other = next((s for name, s in opened.items() if name != table), None)
        elsewhere = _elsewhere(table, wanted.extra_columns) if shared else frozenset()
        reading, found = schema.try_source(
            source, data=wanted.data, mapping=wanted.mapping, extra_columns=wanted.extra_columns, other=other,
            elsewhere=elsewhere, lost=lost,
        )  # fmt: skip
        faults += found
        if reading is not None:
            readings[table] = reading
    if shared:
        faults = _once(faults)
    if len(opened) == 2 and not shared:
        faults += _strangers(opened, mapping=wanted.mapping)
    if len(readings) == 2:
        faults += _adjuvant_after_the_end(readings, opened, told=faults)
    if faults:
        raise DataError(schema.distinct(faults))
    notes = [note for reading in readings.values() for note in reading.notes]
    files = dict.fromkeys(path.name for path in _paths(wanted).values())
    return Tables(
        clinical=readings["clinical"].frame, followup=readings["followup"].frame if "followup" in readings else None,
        notes=tuple(dict.fromkeys(notes)), source=" + ".join(files), extra_columns=wanted.extra_columns,
        surrogate=wanted.surrogate, made_up=wanted.made_up,
    )  # fmt: skip


def read_annotation_table(study: Study) -> schema.Reading:
    """Where each tumour is, by the study's own mapping.

    Raises:
        DataError: every fault of the file at once.
    """
    return schema.read(
        study.path(study.data.annotations), table="annotations", data=_data(study), mapping=study.mapping,
        extra_columns=schema.declared(study.columns),
    )  # fmt: skip


def read_settings(study: Study) -> tuple[Data, Settings]:
    """[data] and [mapping] as the readers of tables take them."""
    return _data(study), schema.plain_settings(study.mapping)


def _data(study: Study) -> Data:
    """[data], with REDCap's dictionary by its whole path."""
    said = study.data
    if not said.redcap_dictionary:
        return said
    return replace(said, redcap_dictionary=str(study.path(said.redcap_dictionary).resolve()))


def _wanted(given: StudyOrPaths) -> _Wanted:
    if isinstance(given, str | Path) and _is_study(Path(given)):
        given = load_study(given)
    if isinstance(given, Study):
        data = _data(given)
        return _Wanted(
            given.path(data.clinical), given.path(data.followup) if data.followup else None,
            given.path(data.annotations) if data.annotations else None, data, schema.plain_settings(given.mapping),
            schema.declared(given.columns), given.label.surrogate, given.made_up,
        )  # fmt: skip
    if isinstance(given, Mapping):
        strange = [name for name in given if name not in ("clinical", "followup")]
        if strange or "clinical" not in given:
            raise DataError([f"Wanted files by the names clinical and followup; got {', '.join(given) or 'none'}."])
        given = [given[name] for name in ("clinical", "followup") if given.get(name) is not None]
    paths = [given] if isinstance(given, str | Path) else list(given) if isinstance(given, list | tuple) else [given]
    if strange := [path for path in paths if not isinstance(path, str | Path)]:
        raise DataError(
            [
                "Wanted a study, its folder, or the paths of one or two files; got "
                f"{', '.join(dict.fromkeys(type(one).__name__ for one in strange))}. A table in memory goes through "
                "schema.check and cohort.build_cohort."
            ]
        )
    paths = [Path(path) for path in paths]
    if len(paths) not in (1, 2):
        raise DataError([f"Wanted one file, or a clinical and a follow-up file; got {len(paths)}."])
    followup = paths[1] if len(paths) == 2 else None
    if followup is None and "followup" in [name.strip().lower() for name in schema.sheet_names(paths[0])]:
        followup = paths[0]
    return _Wanted(paths[0], followup)


def _is_study(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".toml" or (not path.suffix and not path.is_file())


def _paths(wanted: _Wanted) -> dict[str, Path]:
    named = {"clinical": wanted.clinical, "followup": wanted.followup}
    return {table: path for table, path in named.items() if path is not None}


def _opened(wanted: _Wanted) -> tuple[dict[str, schema.Source], list[Fault]]:
    """The files as text; a file of both tables is opened as both."""
    opened: dict[str, schema.Source] = {}
    faults: list[Fault] = []
    for table, path in _paths(wanted).items():
        try:
            opened[table] = schema.open_source(
                path, table=table, data=wanted.data, mapping=wanted.mapping, extra_columns=wanted.extra_columns
            )
        except DataError as error:
            faults += error.details
    alone = opened.get("clinical")
    if wanted.followup is None and alone is not None:
        needed = {name for name, c in schema.columns("followup").items() if c.required}
        if needed <= alone.ours(mapping=wanted.mapping):
            opened["followup"] = replace(alone, table="followup")
    return opened, faults


def _is_shared(wanted: _Wanted, opened: Mapping[str, schema.Source]) -> bool:
    """Whether both tables are the columns of one sheet."""
    if len(opened) < 2:
        return False
    same = wanted.followup is None or wanted.followup == wanted.clinical
    return same and list(opened["clinical"].sheet.columns) == list(opened["followup"].sheet.columns)


def _elsewhere(table: str, extra_columns: Sequence[schema.Column]) -> frozenset[str]:
    """Columns that belong to the other table alone."""
    clinical = {*schema.columns("clinical"), *(c.name for c in extra_columns)}
    followup = set(schema.columns("followup"))
    return frozenset(followup - clinical if table == "clinical" else clinical - followup)


def _once(faults: Sequence[Fault]) -> list[Fault]:
    """An unknown column of a sheet that is read as both tables is told once, with the nearest name if there is one."""
    unknown: dict[str, Fault] = {}
    for fault in faults:
        if "' is not known; " in fault.said and (fault.column not in unknown or "did you mean" in fault.said):
            unknown[fault.column] = fault
    kept = {id(fault) for fault in unknown.values()}
    return [fault for fault in faults if "' is not known; " not in fault.said or id(fault) in kept]


def _lost(wanted: _Wanted, opened: Mapping[str, schema.Source]) -> list[schema.Lost]:
    """Columns that the mapping names and none of the study's files has."""
    sources = list(opened.values())
    lost = schema.lost_columns(sources, mapping=wanted.mapping, extra_columns=wanted.extra_columns)
    if not lost or wanted.annotations is None or not wanted.annotations.is_file():
        return [one for one in lost if not one.only_in("annotations")]
    try:
        third = schema.open_source(
            wanted.annotations, table="annotations", data=wanted.data, mapping=wanted.mapping,
        )  # fmt: skip
    except DataError:  # told where the annotations are read
        return [one for one in lost if not one.only_in("annotations")]
    return schema.lost_columns([*sources, third], mapping=wanted.mapping, extra_columns=wanted.extra_columns)


def _strangers(opened: Mapping[str, schema.Source], *, mapping: Settings) -> list[Fault]:
    """Rows of the follow-up whose patient the clinical table does not have.

    A row is not told where the clinical table's own fault explains it: a patient whose clinical row has an empty or a
    doubled id, or too many cells, stands in the follow-up beside the same neighbours.
    """
    clinical, followup = opened["clinical"], opened["followup"]
    known, ids = clinical.ids(mapping=mapping), followup.ids(mapping=mapping)
    there = {*known, *clinical.sheet.ragged_ids}
    usable = np.array([bool(i) and i.isprintable() for i in ids], dtype=bool)
    strange = np.array([i not in there for i in ids], dtype=bool) & usable
    if not strange.any():
        return []
    place = {patient: row for row, patient in enumerate(ids)}
    counts = pd.Series(known).value_counts()
    for row, patient in enumerate(known):
        if patient and patient.isprintable() and counts[patient] == 1:
            continue
        before = place.get(known[row - 1], -2) + 1 if row else 0
        after = place.get(known[row + 1], 0) - 1 if row + 1 < len(known) else len(ids) - 1
        for at in {before, after}:
            if 0 <= at < len(ids):
                strange[at] = False
    frame = pd.DataFrame({"patient_id": np.where(strange, np.array(ids, dtype=object), None)})
    return schema.unknown_patients(
        frame, patients=there, file=followup.sheet.file, of=clinical.sheet.file, rows=followup.sheet.rows
    )


def _adjuvant_after_the_end(
    readings: Mapping[str, schema.Reading], opened: Mapping[str, schema.Source], *, told: Sequence[Fault]
) -> list[Fault]:
    """Adjuvant treatment that starts after death or the last contact."""
    clinical, followup = readings["clinical"].frame, readings["followup"].frame
    names = ("adjuvant_start_days", "followup_days")
    if names[0] not in clinical or names[1] not in followup or "patient_id" not in clinical:
        return []
    doubtful = {p for fault in told if any(n in fault.column for n in (*names, "patient_id")) for p in fault.patients}
    ends = followup.drop_duplicates("patient_id").set_index("patient_id")[names[1]]
    late = (clinical[names[0]] > clinical["patient_id"].map(ends)) & ~clinical["patient_id"].isin(doubtful)
    rows = np.flatnonzero(late)
    if not len(rows):
        return []
    file, of = opened["clinical"].sheet.file, opened["followup"].sheet.file
    numbers = [int(n) for n in readings["clinical"].rows[rows]]
    patients = clinical["patient_id"].iloc[rows].tolist()
    where = ", ".join(f"row {n} {p}" for n, p in zip(numbers[:5], patients, strict=False))
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    said = (
        f"{file}: adjuvant_start_days is after followup_days of {of} in {len(rows)} of {len(clinical)} rows "
        f"({where}{more}). Correct one of them."
    )
    return [
        Fault(
            said, file=file, column=names[0], rows=tuple(numbers), patients=tuple(patients),
            values=tuple(f"{v:g}" for v in clinical[names[0]].iloc[rows]), wanted="at most followup_days",
        )
    ]  # fmt: skip
