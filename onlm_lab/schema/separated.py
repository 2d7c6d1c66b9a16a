"""A separated text file as rows of cells: its encoding, what stands between its cells, and its quotation marks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.encodings import decode
from onlm_lab.schema.texts import bare

if TYPE_CHECKING:
    from onlm_lab.study import Data

_END = "\x02end"  # stands in the last row, unless an open quotation mark swallows it
_HEAD = 200_000  # characters in which the first row ends
SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}


@dataclass
class Grid:
    """Rows of cells before they are columns."""

    header: list[str]
    records: list[list[str]]
    numbers: list[int]
    notes: list[str] = field(default_factory=list)
    separator: str = ""


def read_separated(raw: bytes, *, file: str, data: Data, known: Collection[str]) -> Grid:
    """Header and records of a separated text file."""
    text, note = decode(raw, file=file, encoding=data.encoding)
    text = text.replace("\0", "\x01")  # as faulty, and not taken for the end of the text
    notes = [note] if note else []
    named = {"tab": "\t"}.get(data.separator, data.separator)
    directive = re.match(r"sep=(.)\r?\n", text)  # Excel's own; Excel does not show it as a row
    if directive:
        named, text = named or directive.group(1), text[directive.end() :]
    separator = named or _separator(text[:_HEAD], known=known)
    try:
        *lines, last = _records(f"{text}\n{_END}", separator)
    except csv.Error:  # a cell longer than any cell of a table
        lines, last = [], []
    if last != [_END]:
        near = f" in row {len(lines) + 1} or above it" if lines else ""
        said = f'{file}: a quotation mark (") is opened and never closed{near}. Close it or take it out.'
        raise DataError([Fault(said, file=file, rows=(len(lines) + 1,) if lines else ())])
    numbers = [i + 1 for i, line in enumerate(lines) if any(map(bare, line))]
    if not numbers:
        raise DataError([Fault(f"{file}: the file is empty; wanted column names in the first row.", file=file)])
    if separator != "," and not named:
        notes.append(f"{file}: read as separated by {SEPARATORS[separator]}.")
    blank = numbers[-1] - len(numbers)
    if blank:
        notes.append(f"{file}: {blank} empty row{'s' if blank > 1 else ''} between the others passed over.")
    kept = [lines[i - 1] for i in numbers]
    return Grid(kept[0], kept[1:], numbers[1:], notes, separator)


def _records(text: str, separator: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _separator(text: str, *, known: Collection[str]) -> str:
    """What stands between the names: the sign that gives the most known names, then the most names; else the comma."""
    names = {bare(k) for k in known}
    best, most = ",", (0, 1)
    for sign in SEPARATORS:
        try:
            first = next((r for r in _records(text, sign) if any(map(bare, r))), [])
        except csv.Error:
            continue
        score = (sum(bare(name) in names for name in first), len(first))
        if score > most:
            best, most = sign, score
    return best
