"""Tables as files that people open: CSV, Excel, a page for the browser; and as text for a terminal."""

from __future__ import annotations

import csv
import html
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from unicodedata import combining, east_asian_width

import numpy as np
import pandas as pd

from onlm_lab.cohort.table_words import plain_text, worded
from onlm_lab.cohort.workbook import workbook
from onlm_lab.errors import OnlmError

SUFFIXES = (".csv", ".html", ".xlsx")
MADE_UP = "MADE-UP DATA"
SHORT = 24  # letters of a cell that is not broken into lines
_STYLE = """
body { font: 16px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", Arial, sans-serif; color: #1b2733; margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #e3e8ee; }
td.number { text-align: right; } td.short, td.number { white-space: nowrap; }
thead th { border-bottom: 2px solid #5b6b7a; }
.note { color: #5b6b7a; font-size: .85rem; }
.mark { background: #ffd9b3; color: #5a2500; font-weight: 700; padding: .4rem 1rem; display: inline-block; }
@media print { .scroll { overflow: visible; } h2 { break-after: avoid; } }
"""


def write_tables(
    tables: pd.DataFrame | Mapping[str, pd.DataFrame],
    path: str | Path,
    *,
    title: str = "Summary",
    made_up: bool = False,
    licence: str = "",
) -> Path:
    """Write one table or several; the suffix of the path says how.

    .csv: UTF-8 with a mark that spreadsheets know; several tables one below the other, each under its name. .html: one
    page without anything from outside. .xlsx: a sheet a table, numbers as numbers. Text that a spreadsheet would take
    for a formula stays text. What a table's `attrs` hold is used: "notes" are written below it, "percent" names the
    columns of fractions that people read as percentages, "heads" says what groups are called.

    Args:
        tables: name -> table; a table alone is called by the title.
        path: the file; one that is there is replaced.
        title: of the page.
        made_up: marks every form MADE-UP DATA.
        licence: licence and citation of the data, written on every form.

    Returns:
        The path.

    Raises:
        OnlmError: the suffix is none of these, or the file cannot be written.
    """
    path = writable(path)
    suffix = path.suffix.lower()
    named = {title: tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    marks = [m for m in (MADE_UP if made_up else "", licence) if m]
    if suffix == ".csv":
        content = _csv(named, marks).encode("utf-8-sig")
    elif suffix == ".html":
        content = tables_html(named, title=title, made_up=made_up, licence=licence).encode()
    else:
        content = workbook(named, marks)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise OnlmError(
            f"'{path}' cannot be written: {error.strerror}. Name a file in a folder that is there."
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return path


def writable(path: str | Path) -> Path:
    """The path, if tables can be written there: to be asked before a long computation.

    Raises:
        OnlmError: the suffix is none of SUFFIXES, or there is no such folder.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        said = f"ends in '{path.suffix}'" if path.suffix else "has no ending"
        raise OnlmError(f"'{path.name}' {said}; wanted {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    if path.is_dir():
        raise OnlmError(f"'{path}' is a folder; wanted the name of a file.")
    if not path.parent.is_dir():
        raise OnlmError(f"There is no folder '{path.parent}' to write '{path.name}' in. Make it first.")
    return path


def tables_html(
    tables: Mapping[str, pd.DataFrame], *, title: str = "Summary", made_up: bool = False, licence: str = ""
) -> str:
    """One page with every table, escaped, in words; nothing is loaded from elsewhere."""
    mark = f'<p class="mark">{MADE_UP}</p>' if made_up else ""
    said = f'<p class="note">{html.escape(licence)}</p>' if licence else ""
    parts = [_html_table(name, table) for name, table in tables.items()]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{html.escape(f"{MADE_UP}: " if made_up else "")}'
        f"{html.escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{mark}<h1>{html.escape(title)}</h1>{said}\n{''.join(parts)}</body></html>\n"
    )


def tables_text(tables: Mapping[str, pd.DataFrame], *, made_up: bool = False, licence: str = "") -> str:
    """Every table as lines of a terminal, in words."""
    blocks = [line for line in (MADE_UP if made_up else "", licence) if line]
    for name, table in tables.items():
        head, rows = worded(table)
        widths = [max([_width(h), *(_width(r[j]) for r in rows)]) for j, h in enumerate(head)]
        numeric = [pd.api.types.is_numeric_dtype(table.iloc[:, j]) for j in range(table.shape[1])]
        lines = [name, "=" * _width(name)]
        for cells in (head, ["-" * w for w in widths], *rows):
            shown = [_padded(c, w, right=k) for c, w, k in zip(cells, widths, numeric, strict=True)]
            lines.append("  ".join(shown).rstrip())
        lines += [str(note) for note in table.attrs.get("notes", ())]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _width(text: str) -> int:
    """How many columns of a terminal a text takes: a Chinese character takes two, an accent of its own none."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _padded(cell: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _width(cell))
    return blank + cell if right else cell + blank


def _html_table(name: str, table: pd.DataFrame) -> str:
    head, rows = worded(table)
    numeric = [pd.api.types.is_numeric_dtype(table.iloc[:, j]) for j in range(table.shape[1])]
    top = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in head)
    body = "".join(
        "<tr>" + "".join(_html_cell(c, number=k) for c, k in zip(row, numeric, strict=True)) + "</tr>\n" for row in rows
    )
    notes = "".join(f'<p class="note">{html.escape(str(n))}</p>' for n in table.attrs.get("notes", ()))
    return (
        f'<h2>{html.escape(name)}</h2><div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>\n{body}'
        f"</tbody></table></div>{notes}\n"
    )


def _html_cell(cell: str, *, number: bool) -> str:
    kind = ' class="number"' if number else ' class="short"' if len(cell) <= SHORT else ""
    return f"<td{kind}>{html.escape(cell)}</td>"


def _csv(tables: Mapping[str, pd.DataFrame], marks: list[str]) -> str:
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    for mark in marks:
        write.writerow([plain_text(mark)])
    for i, (name, table) in enumerate(tables.items()):
        if len(tables) > 1:
            if i or marks:
                write.writerow([])
            write.writerow([plain_text(name)])
        write.writerow([plain_text(str(c)) for c in table.columns])
        for row in table.itertuples(index=False, name=None):
            write.writerow([_csv_cell(v) for v in row])
        if len(tables) > 1 or marks:
            for note in table.attrs.get("notes", ()):
                write.writerow([plain_text(str(note))])
    return out.getvalue()


def _csv_cell(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    return str(value) if isinstance(value, int | np.integer) else plain_text(str(value))
