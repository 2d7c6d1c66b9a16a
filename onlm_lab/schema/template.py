"""An Excel workbook to be filled: a sheet a table, drop-down lists, limits, notes, identifiers that stay text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from onlm_lab.schema.document import TIMINGS, Entry

LAST_ROW = 1_048_576  # of a sheet
_INLINE = 255  # characters of a list inside a validation; longer ones stand on a sheet of their own


def template_workbook(entries: Sequence[Entry], *, notes: Sequence[str] = ()) -> bytes:
    """The workbook's bytes: a sheet for each table of `entries`, then a sheet 'dictionary' to read.

    Text columns are formatted as text, so that '007' stays '007'; categories and booleans have drop-down lists,
    numbers their limits; each name carries a note.

    Args:
        entries: of dictionary_entries.
        notes: lines above the dictionary.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    words: dict[str, tuple[str, ...]] = {}
    for table in dict.fromkeys(entry.column.table for entry in entries):
        sheet = book.create_sheet(table)
        for position, entry in enumerate((e for e in entries if e.column.table == table), start=1):
            _add_column(sheet, entry, position=position, words=words)
        sheet.freeze_panes = "B2"
    _add_dictionary(book.create_sheet("dictionary"), entries, notes=notes)
    if words:
        _add_words(book.create_sheet("words"), words)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _add_column(sheet: Any, entry: Entry, *, position: int, words: dict[str, tuple[str, ...]]) -> None:
    """Name, note, format and limits of one column."""
    from openpyxl.comments import Comment
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    column, letter = entry.column, get_column_letter(position)
    name = sheet.cell(row=1, column=position, value=column.name)
    name.font = Font(bold=True, color="FFFFFF" if column.required else "1F2933")
    name.fill = PatternFill("solid", fgColor="0B5CAD" if column.required else "DCE6F0")
    name.alignment = Alignment(vertical="center")
    name.comment = Comment(note_text(entry), "onlm_lab", width=360, height=200)
    sheet.column_dimensions[letter].width = max(12, len(column.name) + 3)
    if column.type in ("text", "category"):
        sheet.column_dimensions[letter].number_format = "@"
        name.number_format = "@"
    rule = _validation(entry, words=words)
    if rule is not None:
        rule.add(f"{letter}2:{letter}{LAST_ROW}")
        sheet.add_data_validation(rule)


def note_text(entry: Entry) -> str:
    """What the note on a column's name says."""
    parts = [
        f"{entry.column.description}. {entry.note}".strip(),
        f"{entry.range[0].upper()}{entry.range[1:]}; {entry.required}.",
        *(f"{word}: {meaning}" for word, meaning in entry.meanings if meaning),
        f"Source: {entry.column.source}.",
    ]
    return "\n".join(parts)


def _validation(entry: Entry, *, words: dict[str, tuple[str, ...]]) -> Any:
    """Excel's own check of a column, or None for free text."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    column = entry.column
    allowed = ("0", "1") if column.type == "boolean" else column.allowed
    if column.type in ("boolean", "category") and allowed:
        formula = '"' + ",".join(allowed) + '"'
        if len(formula) > _INLINE or any(set(word) & set(',"') for word in allowed):
            words[column.name] = allowed
            letter = get_column_letter(len(words))
            formula = f"words!${letter}$2:${letter}${len(allowed) + 1}"
        rule = DataValidation(type="list", formula1=formula)
    elif column.type in ("number", "integer"):
        kind = "whole" if column.type == "integer" else "decimal"
        low, high = column.low, column.high
        if low is not None and high is not None:
            rule = DataValidation(type=kind, operator="between", formula1=f"{low:g}", formula2=f"{high:g}")
        elif low is not None:
            rule = DataValidation(type=kind, operator="greaterThanOrEqual", formula1=f"{low:g}")
        elif high is not None:
            rule = DataValidation(type=kind, operator="lessThanOrEqual", formula1=f"{high:g}")
        else:
            rule = DataValidation(type=kind, operator="between", formula1="-1000000000", formula2="1000000000")
    else:
        return None
    rule.allow_blank = not column.filled
    rule.showErrorMessage = rule.showInputMessage = True
    rule.errorTitle = rule.promptTitle = column.name[:32]
    rule.error = f"Wanted {entry.range}."[:225]
    rule.prompt = f"{column.description}: {entry.range}."[:255]
    return rule


def _add_dictionary(sheet: Any, entries: Sequence[Entry], *, notes: Sequence[str]) -> None:
    """The dictionary as a sheet to read beside the tables."""
    from openpyxl.styles import Alignment, Font

    for line in notes:
        sheet.append([line])
    head = ["table", "column", "what it is", "what a cell holds", "when it is known", "needed", "source"]
    sheet.append(head)
    top = sheet.max_row
    for entry in entries:
        column = entry.column
        meanings = "\n".join(f"{word}: {meaning}" for word, meaning in entry.meanings if meaning)
        holds = entry.range + (f"\n{meanings}" if meanings else "")
        what = f"{column.description}. {entry.note}".strip()
        sheet.append([column.table, column.name, what, holds, TIMINGS[column.timing], entry.required, column.source])
    for cell in sheet[top]:
        cell.font = Font(bold=True)
    for row in sheet.iter_rows(min_row=top + 1):
        for cell in row:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if isinstance(cell.value, str):
                cell.data_type = "s"  # a description that begins with '=' is text, never a formula
    for letter, width in zip("ABCDEFG", (12, 26, 48, 48, 28, 18, 34), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = sheet.cell(row=top + 1, column=1)


def _add_words(sheet: Any, words: dict[str, tuple[str, ...]]) -> None:
    """Lists that are too long for a validation, out of sight."""
    for position, (name, allowed) in enumerate(words.items(), start=1):
        for row, word in enumerate((name, *allowed), start=1):
            cell = sheet.cell(row=row, column=position, value=word)
            cell.data_type = "s"
    sheet.sheet_state = "hidden"
