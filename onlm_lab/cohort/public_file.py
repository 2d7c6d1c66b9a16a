"""The file of a public table as text: CSV, TSV or XLSX, every cell without outer blanks, cut rows and columns told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab.cohort.public_table import Findings
from onlm_lab.errors import DataError


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
