"""The one door by which a spreadsheet comes in: all text first, then what each column says it is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import DataError
from onlm_lab.schema.checking import CONTROL, few, header_faults, table_faults
from onlm_lab.schema.dictionary import NUMERIC, Column, columns

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_VERBATIM = ("patient_id", "centre")
_BAD = object()


def read_table(
    path: str | Path,
    *,
    table: str,
    missing_words: Sequence[str] = ("",),
    extra_columns: Iterable[Column] = (),
    defaults: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """A CSV file as a checked table: rows in the file's order, columns in the file's order.

    Args:
        path: a CSV file, UTF-8 (with or without a byte-order mark), separated by commas, names in the first row.
        table: "clinical", "followup", "annotations", "predictions" or "analysis".
        missing_words: cells that mean "not known"; the empty cell always does. patient_id and centre are never read
            as missing words: a patient called "NA" stays.
        extra_columns: the study's own columns.
        defaults: value of a whole column, by name, for columns that the file may leave out.

    Raises:
        DataError: every fault of the file at once, a sentence each.
    """
    import pandas as pd

    path, extra = Path(path), tuple(extra_columns)
    known = columns(table, extra_columns=extra)
    header, records = _read_text(path)
    absent = {name: str(value) for name, value in (defaults or {}).items() if name not in header}
    if absent and header:
        header, records = [*header, *absent], [[*r, *absent.values()] for r in records]
    faults = header_faults(header, known=known, file=path.name)
    if not records:
        faults.append(f"{path.name}: there is no row below the column names; wanted at least one patient.")
    width = len(header)
    ragged = [i + 2 for i, r in enumerate(records) if len(r) != width]
    if ragged:
        faults.append(
            f"{path.name}: {len(ragged)} of {len(records)} rows do not have the {width} cells that the first row has "
            f"(row {few(ragged)}). A comma inside a text needs quotation marks around that text, "
            "and every quotation mark that is opened has to be closed."
        )
    if faults and (ragged or len(set(header)) < width or not records):
        raise DataError(faults)
    words = {"", *missing_words}
    cells = {name: [r[i] for r in records] for i, name in enumerate(header) if name in known}
    data, bad = {}, {}
    for name, texts in cells.items():
        data[name], bad[name] = _parse(texts, column=known[name], words={""} if name in _VERBATIM else words)
    frame = pd.DataFrame(data)
    present = {k: c for k, c in known.items() if k in data}
    faults += table_faults(frame, present, table=table, file=path.name, texts=cells, bad=bad)
    if faults:
        raise DataError(faults)
    return frame


def _read_text(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and records of a CSV file, all text; blank lines are no records."""
    if not path.is_file():
        raise DataError(
            [f"{path.name}: there is no such file. Put it into the study's folder, or name it under [data]."]
        )
    raw = path.read_bytes()
    if raw[:2] == b"PK" or raw[:4] == b"\xd0\xcf\x11\xe0":
        raise DataError([f"{path.name}: this is an Excel workbook; wanted text. Save it as 'CSV UTF-8'."])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = raw[: error.start].count(b"\n") + 1
        raise DataError([f"{path.name}: line {row} is not UTF-8 text. Save the file as 'CSV UTF-8'."]) from None
    try:
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error:  # a cell longer than any cell of a table
        raise DataError(
            [f'{path.name}: a quotation mark (") is opened and never closed. Close it or take it out.']
        ) from None
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise DataError([f"{path.name}: the file is empty; wanted column names in the first row."])
    for mark, said in ((";", "';'"), ("\t", "tabs")):
        if len(lines[0]) == 1 and mark in lines[0][0]:
            raise DataError(
                [f"{path.name}: the columns are separated by {said}; wanted ','. Save it as 'CSV UTF-8' with commas."]
            )
    return lines[0], lines[1:]


def _parse(texts: list[str], *, column: Column, words: set[str]) -> tuple[list[Any], list[int]]:
    """Cells as values, and the positions of those that cannot be read. Each different text is parsed once."""
    missing = float("nan") if column.type in NUMERIC else None
    seen: dict[str, Any] = {}
    for text in set(texts):
        if text in words:
            seen[text] = missing
        elif column.type in ("number", "integer"):
            pattern = _INTEGER if column.type == "integer" else _NUMBER
            seen[text] = float(text) if pattern.fullmatch(text) else _BAD
        elif column.type == "boolean":
            seen[text] = {"0": 0.0, "1": 1.0}.get(text, _BAD)
        else:
            seen[text] = text if text == text.strip() and not CONTROL.search(text) else _BAD
    bad = [i for i, text in enumerate(texts) if seen[text] is _BAD]
    return [missing if seen[t] is _BAD else seen[t] for t in texts], bad
