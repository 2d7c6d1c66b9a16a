"""What the readers of public tables share: cells as text, foreign words as ours, a report of all that did not fit."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.table import Cohort, build_cohort
from onlm_lab.errors import DataError
from onlm_lab.schema import Column

Rules = Sequence[tuple[str, Callable[[pd.DataFrame], pd.Series]]]
CLASSES_OF_N = ("N0", "N1", "N2", "N3")


@dataclass(frozen=True)
class Findings:
    """What comes to light while a table is read; the functions of this module add to its lists.

    Attributes:
        source: how messages call the table.
        faults: what makes the table unusable, a sentence each.
        notes: patient_id, what contradicts itself, what was made of it.
        unmapped: column, value, count, why.
    """

    source: str
    faults: list[str] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    unmapped: list[tuple[str, str, int, str]] = field(default_factory=list)

    def stop_at_faults(self) -> None:
        """Raise every fault that was found so far."""
        if self.faults:
            raise DataError(self.faults)

    def reports(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """unmapped (column, value, count, why) and inconsistent (patient_id, what, done)."""
        unmapped = pd.DataFrame(self.unmapped, columns=["column", "value", "count", "why"])
        notes = pd.DataFrame(self.notes, columns=["patient_id", "what", "done"])
        return unmapped, notes.sort_values(["patient_id", "what"], ignore_index=True)


@dataclass(frozen=True, eq=False)
class PublicTable:
    """A public table, read.

    Attributes:
        cohort: all patients; the label is a surrogate.
        unmapped: column, value, count, why: everything that did not reach our columns as it stood.
        inconsistent: patient_id, what, done: contradictions inside the table and what was made of each.
    """

    cohort: Cohort
    unmapped: pd.DataFrame
    inconsistent: pd.DataFrame


def read_cells(path: Path, *, wanted: str, sheet: str = "") -> list[list[str]]:
    """The rows of a CSV, TSV or XLSX file as text without outer blanks; empty rows left out.

    Args:
        path: the file; separator and kind are taken from its first bytes and its first row.
        wanted: what the file should be, for messages: "the clinical table of ...".
        sheet: of a workbook; "" is its only sheet.

    Raises:
        DataError: no file, no text, an unknown encoding, a quotation mark that is never closed.
    """
    if not path.is_file():
        raise DataError([f"{path.name}: there is no such file. Name {wanted}."])
    raw = path.read_bytes()
    if raw[:4] == b"\xd0\xcf\x11\xe0":
        raise DataError([f"{path.name}: an Excel workbook of before 2007; wanted CSV, text or XLSX. Save it as XLSX."])
    rows = _workbook_rows(raw, name=path.name, sheet=sheet) if raw[:2] == b"PK" else _text_rows(raw, name=path.name)
    rows = [[cell.strip() for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    if not rows:
        raise DataError([f"{path.name}: the file is empty. Wanted {wanted}."])
    return rows


def _workbook_rows(raw: bytes, *, name: str, sheet: str) -> list[list[str]]:
    import zipfile

    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        raise DataError([f"{name}: the workbook cannot be opened; it may be cut off. Get it again."]) from None
    try:
        names = book.sheetnames
        if (sheet and sheet not in names) or (not sheet and len(names) != 1):
            wanted = f"the sheet '{sheet}'" if sheet else "one sheet"
            raise DataError([f"{name}: wanted {wanted}, found {', '.join(names)}. Name the right workbook."])
        page = book[sheet or names[0]]
        return [[_cell_text(value) for value in row] for row in page.iter_rows(values_only=True)]
    finally:
        book.close()


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _text_rows(raw: bytes, *, name: str) -> list[list[str]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        said = f"{name}: line {line} is not UTF-8 text. Get the file again, or save it as 'CSV UTF-8'."
        raise DataError([said]) from None
    if "\x00" in text:
        raise DataError([f"{name}: not a text file (it holds zero bytes). Get it again, or save it as 'CSV UTF-8'."])
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(("\t", ",", ";"), key=first.count)
    if separator == "\t":  # these exports have no quotation: a lone quotation mark is a character like any other
        return [line.split("\t") for line in re.split(r"\r\n|\r|\n", text)]
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        raise DataError([f'{name}: a quotation mark (") is opened and never closed. Get the file again.']) from None


def as_table(
    names: Sequence[str], records: Sequence[Sequence[str]], *, file: str, first_row: int, wanted: Collection[str],
    kind: str, findings: Findings,
) -> pd.DataFrame:  # fmt: skip
    """The records as a text table with columns `names`; missing and doubled columns and cut rows become faults.

    Args:
        names: of the columns.
        records: the rows below them.
        file: how messages call the file.
        first_row: the row number of the first record, for messages.
        wanted: columns that must be there.
        kind: what the file should be, for messages.
        findings: where faults go.
    """
    absent = [name for name in wanted if name not in names]
    if len(absent) * 2 > len(wanted):
        raise DataError(
            [f"{file}: this is not {kind}: it has {len(wanted) - len(absent)} of the {len(wanted)} columns that are "
             f"read ({', '.join(absent[:3])} and others are missing). Name the right file."]
        )  # fmt: skip
    if absent:
        many = "column is" if len(absent) == 1 else "columns are"
        findings.faults.append(
            f"{file}: {len(absent)} {many} missing ({', '.join(absent)}); wanted {kind} as it was published."
        )
    doubled = sorted({n for n in names if n and list(names).count(n) > 1 and n in wanted})
    if doubled:
        findings.faults.append(f"{file}: {', '.join(doubled)} is there more than once; wanted once. Remove the others.")
    short = [(i + first_row, len(r)) for i, r in enumerate(records) if len(r) != len(names)]
    if short:
        where = ", ".join(f"row {row} has {n}" for row, n in short[:5])
        findings.faults.append(
            f"{file}: {len(short)} of {len(records)} rows do not have the {len(names)} cells of the first ({where}). "
            "The file may be cut off: get it again."
        )
    if not records:
        findings.faults.append(f"{file}: there is no patient below the column names. Get the file again.")
    findings.stop_at_faults()
    return pd.DataFrame([list(r) for r in records], columns=_unique(names), dtype=object)


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with a number where one is empty or there again."""
    found: list[str] = []
    for i, name in enumerate(names):
        name = name or f"(column {i + 1})"
        found.append(f"{name} ({i + 1})" if name in found else name)
    return found


def check_patients(raw: pd.DataFrame, *, file: str, findings: Findings) -> None:
    """Faults for a patient without an identifier or there twice; `raw` has the column patient_id."""
    ids = raw["patient_id"]
    if (ids == "").any():
        findings.faults.append(
            f"{file}: {int((ids == '').sum())} of {len(ids)} rows have no patient identifier. Fill it."
        )
    doubled = sorted(set(ids[ids.duplicated() & (ids != "")]))
    if doubled:
        findings.faults.append(
            f"{file}: wanted one row a patient; {len(doubled)} of {ids.nunique()} have more "
            f"({', '.join(doubled[:5])}). Keep one row of each."
        )


def map_words(
    raw: pd.DataFrame, column: str, *, to: str, words: Mapping[str, Any], missing: Collection[str], findings: Findings
) -> pd.Series:
    """A column in our words; case does not count. What means "not known" and what nobody expected is counted."""
    known = {word.casefold(): value for word, value in words.items()}
    nothing = {word.casefold() for word in missing}
    cells = raw[column].str.casefold()
    for value, count in raw[column].value_counts().sort_index().items():
        if value.casefold() in nothing:
            findings.unmapped.append((column, value, int(count), f"not known: {to} left empty"))
        elif value.casefold() not in known:
            findings.unmapped.append((column, value, int(count), f"no such word in {to}: left empty"))
    found = cells.map(known)
    numeric = all(isinstance(value, float) for value in words.values())
    return found.astype(float) if numeric else found.astype(object).where(found.notna(), None)


def read_numbers(
    raw: pd.DataFrame, column: str, *, missing: Collection[str], findings: Findings, to: str = ""
) -> pd.Series:
    """A column as numbers; what is neither a number nor a word for "not known" is a fault.

    `to`: our column, under whose name the missing are counted; "" counts none.
    """
    nothing = {word.casefold() for word in missing}
    known = ~raw[column].str.casefold().isin(nothing)
    if to:
        for value, count in raw.loc[~known, column].value_counts().sort_index().items():
            findings.unmapped.append((column, value, int(count), f"not known: {to} left empty"))
    texts = raw[column].where(known)
    found = pd.to_numeric(texts, errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)
    unreadable(raw, known & found.isna(), column, "a number", findings=findings)
    return found


def unreadable(raw: pd.DataFrame, bad: pd.Series, column: str, wanted: str, *, findings: Findings) -> None:
    """A fault for cells that cannot be read; what they hold is not shown."""
    if bad.any():
        ids = ", ".join(raw.loc[bad, "patient_id"].head(5))
        count = f"{int(bad.sum())} of {len(raw)} cells {'is' if bad.sum() == 1 else 'are'} not ({ids})"
        findings.faults.append(f"{findings.source}: {column} must be {wanted}; {count}. Correct, or leave empty.")


def note(raw: pd.DataFrame, where: pd.Series, what: str, done: str, *, findings: Findings) -> None:
    """A contradiction inside the table, for each patient in whom it is found."""
    hit = where.fillna(False).astype(bool)
    findings.notes.extend((patient, what, done) for patient in raw.loc[hit, "patient_id"])


def never_smoked_nothing(
    raw: pd.DataFrame, given: pd.Series, *, column: str, never: pd.Series, findings: Findings
) -> pd.Series:
    """Pack-years, 0 in never smokers where none are given; what is missing is counted, a contradiction noted."""
    wrong = never & (given > 0)
    note(raw, wrong, "never smoker with pack-years", "pack-years left out", findings=findings)
    empty = given.isna()
    for where, why in ((never & empty, "never smokers: pack_years 0"),
                       (~never & empty, "not known: pack_years left empty")):  # fmt: skip
        for value, count in raw.loc[where, column].value_counts().sort_index().items() if column in raw else ():
            findings.unmapped.append((column, value, int(count), why))
    return given.mask(wrong).mask(never & empty, 0.0)


def without_contradictions(followup: pd.DataFrame, *, zero: str, findings: Findings) -> pd.DataFrame:
    """The follow-up with what contradicts itself left out or moved, and each time noted.

    Args:
        followup: patient_id, followup_days, died, recurred, recurrence_days, recurrence_site.
        zero: what time zero is, for messages.
        findings: where notes go.
    """
    rows = followup.copy()

    def left_out(where: pd.Series, what: str, *, survival: bool) -> None:
        names = "survival and its day" if survival else "recurrence, its day and site"
        note(rows, where, what, f"{names} left out", findings=findings)
        columns = ["followup_days", "died"] if survival else ["recurred", "recurrence_days"]
        rows.loc[where, columns] = np.nan
        rows.loc[where, "death_cause" if survival else "recurrence_site"] = None

    rows["death_cause"] = rows["death_cause"] if "death_cause" in rows else None
    left_out((rows["followup_days"] < 0) & rows["died"].notna(), f"death or last contact before {zero}", survival=True)
    left_out((rows["died"] == 1) & rows["followup_days"].isna(), "death without a day", survival=True)
    left_out((rows["recurred"] == 1) & (rows["recurrence_days"] < 0), f"recurrence before {zero}", survival=False)
    left_out((rows["recurred"] == 1) & rows["recurrence_days"].isna(), "recurrence without a day", survival=False)
    rows["recurrence_days"] = rows["recurrence_days"].where(rows["recurred"] == 1)
    rows["recurrence_site"] = rows["recurrence_site"].where(rows["recurred"] == 1, None)
    after = rows["recurrence_days"] > rows["followup_days"]
    late = after & (rows["died"] != 1)
    note(rows, late, "recurrence after the day last known alive", "last contact moved to the day of recurrence",
         findings=findings)  # fmt: skip
    rows["followup_days"] = rows["followup_days"].mask(late, rows["recurrence_days"])
    left_out(after & (rows["died"] == 1), "recurrence after death", survival=True)
    return rows


def as_public_table(
    clinical: pd.DataFrame, *, followup: pd.DataFrame, extra_columns: Iterable[Column], findings: Findings
) -> PublicTable:
    """The two tables as a checked cohort with a surrogate label, and the two reports.

    Raises:
        DataError: every fault of both tables, and every fault found before.
    """
    extra = tuple(extra_columns)
    texts = [c for c in clinical if clinical[c].dtype == object]
    clinical = clinical.assign(**{c: clinical[c].where(clinical[c].notna(), None) for c in texts})
    for table, frame, own in (("clinical", clinical, extra), ("followup", followup, ())):
        try:
            schema.check(frame, table=table, file=findings.source, extra_columns=own)
        except DataError as error:
            findings.faults.extend(error.faults)
    findings.stop_at_faults()
    cohort = build_cohort(clinical, followup=followup, source=findings.source, extra_columns=extra, surrogate=True)
    return PublicTable(cohort, *findings.reports())


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
        folder: where it is written; files of these names there are replaced.
        name: of the study.
        cohort: its patients; the label is a surrogate.
        reports: file name -> table.
        sections: of study.toml, what differs from a study without CT and with a surrogate label.
    """
    from onlm_lab.study import starter_toml

    extra = cohort.extra_columns
    clinical, followup = as_files(cohort.patients, extra_columns=extra)
    said = {
        "data": {"annotations": "", "ct": ""}, "label": {"surrogate": True},
        **sections,
        "columns": {
            c.name: {"type": c.type, "timing": c.timing, "unit": c.unit, "allowed": list(c.allowed),
                     "description": c.description}
            for c in extra if c.name in clinical
        },
    }  # fmt: skip
    text = starter_toml(name=name, sections={key: dict(value) for key, value in said.items()})
    for file, frame in {"clinical.csv": clinical, "followup.csv": followup, **reports}.items():
        schema.write_table(frame, folder / file, extra_columns=extra)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder
