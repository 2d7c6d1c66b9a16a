"""A spreadsheet as it lies in its file: names, columns of text, and the number of each row as the user sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.separated import SEPARATORS, Grid, read_separated
from onlm_lab.schema.shown import few, shown
from onlm_lab.schema.texts import Texts, bare, texts

if TYPE_CHECKING:
    import numpy as np

    from onlm_lab.study import Data


@dataclass(frozen=True, eq=False)
class Sheet:
    """One table as its file has it.

    Attributes:
        file: the file's name, without folders.
        columns: by the hospital's own names, in the file's order; a name that is there twice is left out, with a fault.
        rows: the number of each row as a spreadsheet shows it.
        separator: what stands between the cells; "" in a workbook.
        notes: what was done on the way. faults: what is wrong with the sheet itself.
    """

    file: str
    columns: dict[str, Texts]
    rows: np.ndarray
    separator: str = ""
    notes: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    ragged_ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


def open_sheet(path: str | Path, *, data: Data, sheet: str = "", table: str = "", known: Collection[str] = ()) -> Sheet:
    """The sheet of a file: CSV, TSV or any separated text, or an Excel workbook.

    Args:
        data: encoding, separator and decimal sign, where the study names them.
        sheet: of a workbook.
        table: of several sheets without a named one, the one of this name is taken.
        known: names that the first row may hold, ours and the hospital's; they tell the separator.

    Raises:
        DataError: there is no such file, or it is no table.
    """
    path = Path(path)
    if not path.is_file():
        without = ', or set followup = "" where there is none' if table == "followup" else ""
        said = f"{path.name}: there is no such file. Put it into the study's folder, or name it under [data]{without}."
        raise DataError([Fault(said, file=path.name)])
    raw = path.read_bytes()
    if raw[:4] == b"\xd0\xcf\x11\xe0":
        raise DataError(
            [
                Fault(
                    f"{path.name}: this is an old Excel file (.xls), or one locked by a password; wanted .xlsx. "
                    "Open it in Excel and save it as .xlsx without a password.",
                    file=path.name,
                )
            ]
        )
    if raw[:2] == b"PK":
        from onlm_lab.schema.workbooks import read_workbook

        book = read_workbook(path, sheet=sheet, table=table, decimal=data.decimal)
        grid = Grid(book.records[0] if book.records else [], book.records[1:], book.numbers[1:], list(book.notes))
        if book.records and book.numbers[0] > 1:
            grid.notes.append(f"{path.name}: {book.numbers[0] - 1} empty rows above the names were passed over.")
    elif sheet:
        said = (
            f"study.toml: [data] names the sheet '{sheet}', but {path.name} is no Excel workbook. Take the sheet out, "
            "or name the workbook."
        )
        raise DataError([Fault(said, file="study.toml")])
    else:
        grid = read_separated(raw, file=path.name, data=data, known=known)
    return _columns(grid, file=path.name, known=known)


def _columns(grid: Grid, *, file: str, known: Collection[str]) -> Sheet:
    """Columns from rows: blanks at ends off, nameless empty columns off, every fault of the sheet told."""
    import numpy as np

    notes, faults = list(grid.notes), []
    if not grid.header:
        raise DataError([Fault(f"{file}: the sheet is empty; wanted column names in the first row.", file=file)])
    header = [bare(name) for name in grid.header]
    _refuse_title(header, grid, file=file, known=known)
    width = len(header)
    rows, ids, kept, wrong = [], [], [], []
    trimmed = 0
    for number, record in zip(grid.numbers, grid.records, strict=True):
        if len(record) > width and not any(map(bare, record[width:])):
            trimmed += 1
            record = record[:width]
        if len(record) == width:
            kept.append(record)
            rows.append(number)
        else:
            wrong.append(number)
            ids.append(record)
    if not all(header):  # a note beside the table makes no patient
        filled = [any(bare(cell) for cell, name in zip(record, header, strict=True) if name) for record in kept]
        strays = [(n, r) for n, r, there in zip(rows, kept, filled, strict=True) if not there]
        faults += _strays(strays, header=header, file=file)
        rows = [n for n, there in zip(rows, filled, strict=True) if there]
        kept = [r for r, there in zip(kept, filled, strict=True) if there]
    if trimmed:
        notes.append(f"{file}: empty cells to the right of the last name were taken off {trimmed} rows.")
    if not grid.records:
        faults.append(Fault(f"{file}: there is no row below the column names; wanted at least one patient.", file=file))
    if wrong:
        n = len(grid.records)
        faults.append(
            Fault(
                f"{file}: {len(wrong)} of {n} rows do not have the {width} cells that the first row has "
                f"(row {few(wrong)}). A comma inside a text needs quotation marks around that text, "
                "and every quotation mark that is opened has to be closed."
                if grid.separator in (",", "")
                else f"{file}: {len(wrong)} of {n} rows do not have the {width} cells that the first row has "
                f"(row {few(wrong)}). A {SEPARATORS.get(grid.separator, 'separator').strip(chr(39))} inside a text "
                "needs quotation marks around that text, and every quotation mark that is opened has to be closed.",
                file=file,
                rows=tuple(wrong),
                wanted=f"{width} cells",
            )
        )
    cells = np.empty((len(kept), width), dtype=object)
    if kept:
        cells[:] = kept
    columns: dict[str, Texts] = {}
    stripped, named = 0, []
    for position, name in enumerate(header):
        column = texts(cells[:, position])
        words = [bare(word) for word in column.words]
        changed = [i for i, word in enumerate(words) if word is not column.words[i] and word != column.words[i]]
        if changed:
            stripped += int(np.isin(column.codes, changed).sum())
            named.append(name)
        column = column.replaced(words)
        faults += _swallowed(column, name, grid=grid, width=width, rows=rows, file=file)
        if not name:
            faults += _nameless(column, position=position, rows=rows, file=file)
        elif header.count(name) == 1:
            columns[name] = column
    for name in sorted({n for n in header if n and header.count(n) > 1}):
        faults.append(
            Fault(
                f"{file}: column '{shown(name)}' is there {header.count(name)} times; wanted once. Remove the others.",
                file=file,
                column=name,
            )
        )
    blank = sum(a != b for a, b in zip(header, grid.header, strict=False))
    if blank:
        notes.append(f"{file}: blanks at the ends of {blank} column name{'s' if blank > 1 else ''} were taken off.")
    if stripped:
        cells_ = "1 cell" if stripped == 1 else f"{stripped} cells"
        notes.append(f"{file}: blanks at the ends of {cells_} were taken off (in {', '.join(named)}).")
    key = header.index("patient_id") if "patient_id" in header else 0
    ids_ = tuple(bare(record[key]) for record in ids if len(record) > key)
    return Sheet(
        file=file, columns=columns, rows=np.array(rows, dtype=int), separator=grid.separator, notes=tuple(notes),
        faults=tuple(faults), ragged_ids=ids_,
    )  # fmt: skip


def _swallowed(column: Texts, name: str, *, grid: Grid, width: int, rows: Sequence[int], file: str) -> list[Fault]:
    """Cells that hold whole rows, because a quotation mark was opened in one row and the next one stands far below."""
    if not grid.separator or width < 3:
        return []
    hit = column.where(
        lambda w: "\n" in w and any(line.count(grid.separator) >= width - 1 for line in w.splitlines()[1:])
    )
    numbers = [rows[i] for i in hit.nonzero()[0]]
    if not numbers:
        return []
    said = (
        f"{file}: {shown(name)} in row {few(numbers)} holds what looks like whole rows of the table: a quotation mark "
        '(") is opened there and not closed. Close it or take it out.'
    )
    return [Fault(said, file=file, column=name, rows=tuple(numbers), wanted="one cell")]


def _strays(strays: Sequence[tuple[int, list[str]]], *, header: Sequence[str], file: str) -> list[Fault]:
    """Rows that hold something only in columns without a name."""
    if not strays:
        return []
    numbers = tuple(number for number, _ in strays)
    letters = {
        spreadsheet_letter(i) for _, record in strays for i, cell in enumerate(record) if bare(cell) and not header[i]
    }
    said = (
        f"{file}: {len(strays)} row{'s hold' if len(strays) > 1 else ' holds'} something only in column "
        f"{', '.join(sorted(letters))}, which has no name in the first row (row {few(numbers)}). Take it out."
    )
    return [Fault(said, file=file, column=", ".join(sorted(letters)), rows=numbers, wanted="nothing beside the table")]


def _nameless(column: Texts, *, position: int, rows: Sequence[int], file: str) -> list[Fault]:
    filled = [rows[i] for i in column.where(bool).nonzero()[0]]
    if not filled:
        return []
    letter = spreadsheet_letter(position)
    return [
        Fault(
            f"{file}: column {letter} has no name in the first row, but {len(filled)} filled "
            f"cell{'s' if len(filled) > 1 else ''} (row {few(filled)}). Give it a name, or empty it.",
            file=file,
            column=letter,
            rows=tuple(filled),
            wanted="a name in the first row",
        )
    ]


def _refuse_title(header: list[str], grid: Grid, *, file: str, known: Collection[str]) -> None:
    """A title above the names is told as such, and not as a table of unknown columns."""
    names = {bare(k) for k in known}
    if not names or any(name in names for name in header):
        return
    for number, record in zip(grid.numbers[:10], grid.records[:10], strict=True):
        hits = [bare(cell) for cell in record if bare(cell) in names]
        if len(hits) >= 2 or "patient_id" in hits:
            raise DataError(
                [
                    Fault(
                        f"{file}: the names must stand in the first row; they seem to stand in row {number} "
                        f"({', '.join(hits[:3])}). Take out the rows above it.",
                        file=file,
                        rows=(number,),
                    )
                ]
            )


def spreadsheet_letter(position: int) -> str:
    """A for 0, Z for 25, AA for 26."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
