"""One hospital of several: its study or its spreadsheet, read with its own mapping, with every fault kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.table import Cohort, build_cohort
from onlm_lab.cohort.tables import read_tables
from onlm_lab.errors import DataError, Fault, OnlmError, StudyError
from onlm_lab.steps import file_digest
from onlm_lab.study import Data, Info, Study, load_study

RESERVED = ("between_sites",)
TEMPLATE = "tables.xlsx"  # of `onlm init`
SEEN = ("patient_id", "centre")
SPREADSHEETS = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm")


@dataclass(frozen=True, eq=False)
class Site:
    """What a hospital sent.

    Attributes:
        name: its folder's name, or its file's without the ending.
        study: what its study.toml says; of a spreadsheet alone, the defaults. None where study.toml cannot be used.
        has_study: whether there is a study.toml.
        tables: "clinical", "followup", "annotations" as read; empty where there are faults.
        seen: patient_id and centre row by row, as far as they could be read: faults between sites are told at once with
            the site's own. None where there is nothing to see.
        cohort: the site alone; None where there are faults.
        faults: everything that is wrong.
        notes: what was done on the way, such as an encoding that was found out.
        sha256: digest of its files.
    """

    name: str
    study: Study | None
    has_study: bool
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    seen: pd.DataFrame | None = None
    cohort: Cohort | None = None
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.faults

    def with_faults(self, faults: Sequence[Fault]) -> Site:
        """The same site with more faults."""
        return replace(self, faults=(*self.faults, *faults)) if faults else self


def name_sites(paths: Sequence[str | Path]) -> dict[str, Path]:
    """The sites by name, in the order given.

    Raises:
        StudyError: one does not exist, is there twice, or two have one name; all at once.
    """
    found: dict[str, Path] = {}
    faults, seen = [], set()
    for given in map(Path, paths):
        path = given.parent if given.name == "study.toml" else given
        whole = path.resolve()
        name = whole.name if whole.is_dir() else whole.stem
        if not whole.exists():
            faults.append(f"'{given.name}' does not exist; wanted a study's folder or a spreadsheet.")
        elif whole.is_file() and whole.suffix.lower() not in SPREADSHEETS:
            faults.append(f"'{given.name}' is neither a study's folder nor one of {', '.join(SPREADSHEETS)}.")
        elif whole in seen:
            faults.append(f"'{name}' is named twice; wanted each site once.")
        elif whole.is_file() and _is_of_a_study(whole):
            faults.append(f"'{given.name}' belongs to the study '{whole.parent.name}'; name that folder.")
        elif name.lower() in {known.lower() for known in found} or name in RESERVED:
            faults.append(f"Two sites would be called '{name}'; give one folder or file another name.")
        elif not name.isprintable():
            faults.append("The name of a site holds a control character; give its folder or file another name.")
        else:
            found[name] = path
        seen.add(whole)
    if faults:
        raise StudyError("\n".join(faults))
    return found


def _is_of_a_study(file: Path) -> bool:
    """Whether the study.toml beside a spreadsheet names it: alone it would be read without its mapping."""
    try:
        study = load_study(file.parent)
    except StudyError:
        return False
    named = (study.data.clinical, study.data.followup, study.data.annotations)
    return file in {study.path(name).resolve() for name in named if name}


def read_site(path: Path, *, name: str) -> Site:
    """A hospital's tables, or all that is wrong with them; nothing is raised for what the hospital has to correct."""
    try:
        study, has_study = _study(path)
    except StudyError as error:
        faults = tuple(Fault(line, file="study.toml") for line in str(error).splitlines())
        return Site(name, None, True, faults=faults, sha256=_digest([path / "study.toml"]))
    named = [study.data.clinical, study.data.followup, study.data.annotations]
    files = [study.path(file) for file in dict.fromkeys(filter(None, named))]
    site = Site(name, study, has_study, sha256=_digest([study.path("study.toml")] * has_study + files))
    try:
        tables, notes = _tables(path, study)
        cohort = build_cohort(
            tables["clinical"], followup=tables.get("followup"), source=study.data.clinical,
            extra_columns=schema.declared(study.columns), surrogate=study.label.surrogate, made_up=study.made_up,
        )  # fmt: skip
    except DataError as error:
        return replace(site, seen=_seen_in_spite(study)).with_faults(_if_empty(study) or error.details)
    except OnlmError as error:
        return site.with_faults([Fault(line) for line in str(error).splitlines()])
    seen = tables["clinical"][list(SEEN)]
    return replace(site, tables=tables, seen=seen, cohort=cohort, notes=tuple(notes))


def _seen_in_spite(study: Study) -> pd.DataFrame | None:
    """Patients and centres of a clinical table with faults; None where not even they can be read."""
    try:
        source = _source(study, "clinical")
    except DataError:
        return None
    extra = schema.declared(study.columns)
    reading, _ = schema.try_source(source, data=study.data, mapping=study.mapping, extra_columns=extra)
    if reading is None or not {*SEEN} <= {*reading.frame}:
        return None
    return reading.frame[list(SEEN)].astype(object).replace("", None)


def _study(path: Path) -> tuple[Study, bool]:
    """What study.toml says; of a spreadsheet alone, the defaults and no images."""
    if path.is_dir():
        return load_study(path), True
    data = Data(clinical=path.name, followup="", annotations="", ct="")
    return Study(folder=path.parent, study=Info(name=path.stem), data=data), False


def _tables(path: Path, study: Study) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Every table of a site, and what was done on the way.

    Raises:
        DataError: every fault of every file at once.
    """
    tables: dict[str, pd.DataFrame] = {}
    notes: list[str] = []
    faults: list[Fault] = []
    try:
        read = read_tables(study if path.is_dir() else path)
        tables = {"clinical": read.clinical} | ({} if read.followup is None else {"followup": read.followup})
        notes += read.notes
    except DataError as error:
        faults += error.details
    if study.data.annotations:
        try:
            frame, said, found = _annotations(study, patients=tables.get("clinical"))
            tables["annotations"] = frame
            notes += said
            faults += found
        except DataError as error:
            faults += error.details
    if faults:
        raise DataError(schema.distinct(faults))
    return tables, notes


def _annotations(study: Study, *, patients: pd.DataFrame | None) -> tuple[pd.DataFrame, tuple[str, ...], list[Fault]]:
    """Where the tumours are, what was done on the way, and what is wrong between rows: scans twice, unknown patients.

    Raises:
        DataError: every fault of the file alone.
    """
    file = study.data.annotations
    reading, faults = schema.try_source(_source(study, "annotations"), data=study.data, mapping=study.mapping)
    if faults or reading is None:
        raise DataError(faults)
    frame = reading.frame
    found: list[Fault] = []
    for name in ("series_uid", "series_path"):
        if name not in frame:
            continue
        rows = (frame[name].notna() & frame[name].duplicated(keep=False)).to_numpy().nonzero()[0]
        if len(rows):
            said = (
                f"{file}: {name} names a CT series that another row names too in {len(rows)} of {len(frame)} rows. "
                "A scan belongs to one patient: correct series_uid or series_path."
            )
            numbers = tuple(int(n) for n in reading.rows[rows])
            ids = tuple(frame["patient_id"].iloc[rows])
            found.append(Fault(said, file=file, column=name, rows=numbers, patients=ids))
    if patients is not None:
        found += schema.unknown_patients(
            frame, patients=patients["patient_id"], file=file, of=study.data.clinical, rows=reading.rows
        )
    return frame, reading.notes, found


def _if_empty(study: Study) -> list[Fault]:
    """The one fault of a site that has filled in nothing yet."""
    try:
        refuse_empty(study)
    except DataError as error:
        return error.details
    return []


def refuse_empty(study: Study) -> None:
    """Stops with one sentence where the clinical table is still as empty as `onlm init` wrote it.

    Raises:
        DataError: the tables that have no row.
    """
    data = study.data
    named = {"clinical": data.clinical, "followup": data.followup, "annotations": data.annotations}
    empty = []
    for table, file in named.items():
        try:
            if file and not len(_source(study, table).sheet):
                empty.append(file if file not in empty else "")
        except DataError:
            if table == "clinical":
                return
    empty = [file for file in empty if file]
    if data.clinical in empty:
        files = " and ".join([", ".join(empty[:-1]), empty[-1]]) if len(empty) > 1 else empty[0]
        raise DataError(
            [
                f"{files} {'have' if len(empty) > 1 else 'has'} no patient yet, only the names of the columns. Fill in "
                "a row a patient (dictionary.html or `onlm dictionary` says what each column holds), then check again."
                + _if_elsewhere(study)
            ]
        )


def _if_elsewhere(study: Study) -> str:
    """What to try where the workbook of `onlm init` holds patients that study.toml does not name."""
    book = study.path(TEMPLATE)
    if not book.is_file() or TEMPLATE in (study.data.clinical, study.data.followup):
        return ""
    try:
        sheet = schema.open_source(book, table="clinical", data=Data(), mapping=study.mapping).sheet
    except DataError:
        return ""
    if not len(sheet):
        return ""
    todo = f'to read them, write "{TEMPLATE}" for each table under [data] in study.toml.'
    return f" {TEMPLATE} has {len(sheet)} rows: {todo}"


def row_numbers(study: Study, table: str) -> np.ndarray:
    """The number of each row of a site's table as its spreadsheet shows it."""
    return _source(study, table).sheet.rows


def _source(study: Study, table: str) -> schema.Source:
    """A site's file as text."""
    data = study.data
    file = {"clinical": data.clinical, "followup": data.followup, "annotations": data.annotations}[table]
    if data.redcap_dictionary:
        data = replace(data, redcap_dictionary=str(study.path(data.redcap_dictionary).resolve()))
    extra = schema.declared(study.columns) if table == "clinical" else ()
    path = study.path(file or data.clinical)
    return schema.open_source(path, table=table, data=data, mapping=study.mapping, extra_columns=extra)


def _digest(files: Sequence[Path]) -> str:
    """A digest of a site's files, by name and content."""
    seal = hashlib.sha256()
    for file in files:
        seal.update(f"{file.name}\0{file_digest(file)}\n".encode())
    return seal.hexdigest()
