"""An Excel workbook as rows of text: what its cells show, and nothing that Excel only seems to hold."""

from __future__ import annotations

import datetime
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.dictionary import meant
from onlm_lab.schema.texts import DATE, ERROR, FORMULA, ROUNDED, TIME, bare

_SECTION = re.compile(r'(?:"[^"]*"|\\.|[^;"\\])*')  # of a number format: what holds for positive numbers
# Its parts: text in quotation marks, one character, a language, room for a character, places for digits.
_PART = re.compile(r'"([^"]*)"|\\(.)|\[(?:\$-[^\]]*|[A-Z][a-z]+)\]|_.|([0#]+)|([-/ ():+ACFI-LO-RT-XZ])')
_UNREADABLE = (  # what openpyxl raises on workbooks that are damaged or that it does not understand
    zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, OSError, ElementTree.ParseError,
)  # fmt: skip
_EXACT = 10**15  # Excel keeps 15 digits of a number


@dataclass(frozen=True)
class Workbook:
    """The filled rows of one sheet as text, their numbers in the sheet, and what is to be told of it."""

    records: list[list[str]]
    numbers: list[int]
    notes: tuple[str, ...]


def read_workbook(path: Path, *, sheet: str = "", table: str = "", decimal: str = "") -> Workbook:
    """One sheet of an .xlsx or .xlsm workbook.

    Numbers have at most 15 digits, as Excel keeps them; what a number format puts before and between the digits
    (0007, P0007, 000-007) stays, and a percentage stays one; dates, error cells and formulas without a result are
    marked as such for whoever reads the column.

    Raises:
        DataError: no workbook, no such sheet, or several sheets and none named.
    """
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with warnings.catch_warnings(), path.open("rb") as stream:  # by its bytes, whatever the file is called
            warnings.simplefilter("ignore")  # openpyxl tells of styles and extensions that it does not keep
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            chosen, notes = _chosen(book, file=path.name, sheet=sheet, table=table)
            marks = _marks(path, chosen)
            records, numbers = _rows(chosen, marks=marks, decimal=decimal)
    except (*_UNREADABLE, InvalidFileException) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            [
                Fault(
                    f"{path.name}: this cannot be read as an Excel workbook (.xlsx). Open it in Excel or LibreOffice "
                    "and save it as .xlsx, or as 'CSV UTF-8'.",
                    file=path.name,
                )
            ]
        ) from None
    notes += [f"{path.name}: {said}" for said in marks.notes]
    return Workbook(records, numbers, tuple(notes))


def sheet_names(path: Path) -> list[str]:
    """The names of a workbook's visible sheets; none where the file is no workbook."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return []
    import openpyxl

    with path.open("rb") as stream:
        try:
            book = openpyxl.load_workbook(stream, read_only=True)
        except _UNREADABLE:
            return []
        return [s.title for s in book.worksheets if s.sheet_state == "visible"]


def _chosen(book: Any, *, file: str, sheet: str, table: str) -> tuple[Any, list[str]]:
    names = [s.title for s in book.worksheets]
    if sheet:
        if sheet not in names:
            hint = meant(sheet, names)
            raise DataError([f"{file}: there is no sheet '{sheet}'; it has {', '.join(names)}{hint}"])
        return book[sheet], []
    filled = [s for s in book.worksheets if s.sheet_state == "visible" and _is_filled(s)]
    if not filled:
        raise DataError([f"{file}: no visible sheet of the workbook holds anything; wanted one table."])
    if len(filled) == 1:
        return filled[0], []
    same = [s for s in filled if s.title.strip().lower() == table]
    if len(same) == 1:
        return same[0], [f"{file}: read the sheet '{same[0].title}' of {len(filled)}."]
    shown = ", ".join(f"'{s.title}'" for s in filled)
    key = table if table in ("clinical", "followup") else "clinical"
    raise DataError(
        [
            f"{file}: {len(filled)} sheets hold something ({shown}); wanted to know which. "
            f'Name it in study.toml under [data], such as {key}_sheet = "{filled[0].title}".'
        ]
    )


def _is_filled(sheet: Any) -> bool:
    return any(cell is not None for row in sheet.iter_rows(max_row=50, values_only=True) for cell in row)


@dataclass(frozen=True)
class _Marks:
    """What openpyxl's quick reader does not tell: formulas that were never calculated, and what is merged or hidden."""

    uncalculated: frozenset[str]
    notes: tuple[str, ...]


def _marks(path: Path, sheet: Any) -> _Marks:
    with zipfile.ZipFile(path) as archive:
        raw = archive.read(sheet._worksheet_path.lstrip("/"))
    notes = []
    merged = re.findall(rb'<(?:\w+:)?mergeCell [^>]*ref="([^"]+)"', raw)
    hidden_rows = len(re.findall(rb'<(?:\w+:)?row [^>]*hidden="(?:1|true)"', raw))
    hidden = [
        range(int(low), int(high) + 1)
        for tag in re.findall(rb'<(?:\w+:)?col [^>]*hidden="(?:1|true)"[^>]*>', raw)
        for low, high in [(re.search(rb'min="(\d+)"', tag)[1], re.search(rb'max="(\d+)"', tag)[1])]
    ]
    hidden_columns = sum(len([c for c in span if c <= (sheet.max_column or 0)]) for span in hidden)
    if merged:
        named = ", ".join(m.decode() for m in merged[:5]) + (" and more" if len(merged) > 5 else "")
        notes.append(f"{len(merged)} merged cells ({named}); only the first cell of each holds the value.")
    if hidden_rows:
        notes.append(f"{hidden_rows} hidden row{'s' if hidden_rows > 1 else ''} read like the others.")
    if hidden_columns:
        notes.append(f"{hidden_columns} hidden column{'s' if hidden_columns > 1 else ''} read like the others.")
    if re.search(rb"<(?:\w+:)?autoFilter ", raw) and hidden_rows:
        notes.append("a filter is set; rows that it hides are read too.")
    return _Marks(_uncalculated(raw), tuple(notes))


def _uncalculated(raw: bytes) -> frozenset[str]:
    """Cells with a formula and no stored result."""
    if not re.search(rb"<(?:\w+:)?f[ />]", raw):
        return frozenset()
    found = set()
    for cell in ElementTree.fromstring(raw).iter():
        if cell.tag.rpartition("}")[2] != "c":
            continue
        parts = {part.tag.rpartition("}")[2]: part for part in cell}
        if "f" in parts and not (parts["v"].text if "v" in parts else ""):
            if cell.get("t") != "str":  # a formula whose result is the empty text
                found.add(cell.get("r", ""))
    return frozenset(found)


def _rows(sheet: Any, *, marks: _Marks, decimal: str) -> tuple[list[list[str]], list[int]]:
    records, numbers, width = [], [], 0
    sheet.reset_dimensions()  # some programs write a wrong size
    for number, row in enumerate(sheet.iter_rows(), start=1):
        cells = [_text(cell, marks=marks, decimal=decimal) for cell in row]
        while cells and not bare(cells[-1]):
            cells.pop()
        if cells:
            records.append(cells)
            numbers.append(number)
            width = max(width, len(cells))
    return [cells + [""] * (width - len(cells)) for cells in records], numbers


def _text(cell: Any, *, marks: _Marks, decimal: str) -> str:
    value = cell.value
    if value is None:
        return FORMULA if marks.uncalculated and getattr(cell, "coordinate", "") in marks.uncalculated else ""
    if isinstance(value, str):
        return ERROR + value if cell.data_type == "e" else value
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime.datetime):
        return DATE + value.date().isoformat()
    if isinstance(value, datetime.date):
        return DATE + value.isoformat()
    if isinstance(value, datetime.time | datetime.timedelta):
        return TIME
    if isinstance(value, int | float):
        return _number(value, style=cell.number_format, decimal=decimal)
    return str(value)


def _number(value: float, *, style: str, decimal: str) -> str:
    if "%" in style:
        return f"{value * 100:.15g}%"
    if float(value).is_integer():
        if abs(value) >= _EXACT:
            return f"{ROUNDED}{int(value)}"
        return _in_places(int(value), style=style) or str(int(value))
    text = f"{value:.15g}"
    return text.replace(".", ",") if decimal == "," else text


def _in_places(value: int, *, style: str) -> str:
    """7 as 0007, P0007 or 000-007, where a number format shows it so; "" where it does not."""
    section = _SECTION.match(style)[0]
    parts = list(_PART.finditer(section))
    places = "".join(part[3] or "" for part in parts)
    if value < 0 or "0" not in places or "".join(part[0] for part in parts) != section:
        return ""
    while parts and not parts[-1][3]:  # a unit is no part of the number
        parts.pop()
    first = next(i for i, part in enumerate(parts) if part[3])
    if "#" in places and not all(part[3] for part in parts[first:]):
        return ""  # signs between thousands
    digits = f"{value:0{len(places) - places.index('0')}d}"
    shown = ""
    for part in reversed(parts):
        if not part[3]:
            shown = (part[1] or part[2] or part[4] or "") + shown
        elif len(part[3]) < len(places):  # more places stand to the left
            digits, shown = digits[: -len(part[3])], digits[-len(part[3]) :] + shown
            places = places[: -len(part[3])]
        else:
            shown = digits + shown
    return shown.strip()
