"""Tables as an Excel workbook: a sheet a table, numbers as numbers, text as text whatever it begins with."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from onlm_lab.cohort.table_words import plain_text


def workbook(tables: Mapping[str, pd.DataFrame], marks: list[str]) -> bytes:
    """The file of a workbook: a sheet a table, each below the marks that the whole bears."""
    import openpyxl
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = openpyxl.Workbook()
    book.remove(book.active)
    taken: set[str] = set()
    for name, table in tables.items():
        sheet = book.create_sheet(_sheet_name(name, taken))
        for mark in marks:
            sheet.append([None])
            _put(sheet.cell(sheet.max_row, 1), mark)
            sheet.cell(sheet.max_row, 1).font = Font(bold=True, color="8A3D00")
        top = len(marks) + 1
        widths = []
        for j, column in enumerate(table.columns, start=1):
            _put(sheet.cell(top, j), str(column))
            sheet.cell(top, j).font = Font(bold=True)
            percent = column in table.attrs.get("percent", ())
            for i, value in enumerate(table.iloc[:, j - 1].tolist(), start=top + 1):
                cell = sheet.cell(i, j)
                _put(cell, value)
                if percent:
                    cell.number_format = "0.0%"
            widths.append(max([len(str(column)), *(len(str(v)) for v in table.iloc[:200, j - 1])]))
        for k, note in enumerate(table.attrs.get("notes", ()), start=top + len(table) + 2):
            _put(sheet.cell(k, 1), str(note))
        for j, width in enumerate(widths, start=1):
            sheet.column_dimensions[get_column_letter(j)].width = min(max(width + 2, 8), 48)
        sheet.freeze_panes = sheet.cell(top + 1, 2)
    if not tables:
        book.create_sheet("empty")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _put(cell, value: object) -> None:  # an openpyxl cell
    """A number as a number, text as text whatever it begins with; characters that Excel refuses become \ufffd."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and not math.isfinite(value)):
        return
    if isinstance(value, bool | np.bool_):
        cell.value = bool(value)
    elif isinstance(value, int | np.integer):
        cell.value = int(value)
    elif isinstance(value, float | np.floating):
        cell.value = float(value)
    else:
        text = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", str(value))[:32_767]
        cell.value = text
        cell.data_type = "s"
        cell.quotePrefix = plain_text(text) != text


def _sheet_name(name: str, taken: set[str]) -> str:
    """A name that Excel allows and no other sheet has."""
    base = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", name).strip().strip("'")[:31] or "table"
    found, number = base, 2
    while found.lower() in taken:
        found, number = f"{base[: 31 - len(str(number)) - 1]} {number}", number + 1
    taken.add(found.lower())
    return found
