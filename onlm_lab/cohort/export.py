"""Tables as files that people open: CSV, Excel, a page for the browser; and as text for a terminal."""

from __future__ import annotations

import csv
import html
import io
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import OnlmError

SUFFIXES = (".csv", ".html", ".xlsx")
MADE_UP = "MADE-UP DATA"
NOTHING = "–"
WORDS = {
    "variable": "Characteristic", "level": "", "overall": "All", "n_missing": "Missing", "smd": "SMD", "p_value": "P",
    "test": "Test", "n_in": "Entered", "n_excluded": "Excluded", "n_undetermined": "Undetermined", "n_left": "Left",
    "n_events": "Events", "n_deaths": "Deaths", "n_parameters": "Parameters", "column": "Characteristic",
    "rule": "Rule", "text": "What it asks", "centre": "Centre", "group": "Group", "pattern": "Missing", "n": "n",
    "fraction": "Share", "endpoint": "Endpoint", "predictor": "Predictor", "criterion": "Criterion", "means": "Meaning",
    "shrinkage": "Shrinkage", "drives": "Decides", "treatment": "Treatment", "reason": "Reason", "kind": "Kind",
    "change": "Change", "patient_id": "Patient", "before": "Before", "after": "After", "median_days": "Median (days)",
    "low": "Low", "high": "High",
}  # fmt: skip
NAMES = ("variable", "column", "predictor")  # columns that hold names of columns
_STYLE = """
body { font: 16px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", Arial, sans-serif; color: #1b2733; margin: 2rem auto;
  max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #e3e8ee; }
td.number { text-align: right; } thead th { border-bottom: 2px solid #5b6b7a; }
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
        OnlmError: the suffix is none of these.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise OnlmError(f"'{path.name}' ends in '{path.suffix}'; wanted {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    named = {title: tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    marks = [m for m in (MADE_UP if made_up else "", licence) if m]
    if suffix == ".csv":
        content = _csv(named, marks).encode("utf-8-sig")
    elif suffix == ".html":
        content = tables_html(named, title=title, made_up=made_up, licence=licence).encode()
    else:
        content = _xlsx(named, marks)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
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
        head, rows = _worded(table)
        widths = [max([len(h), *(len(r[j]) for r in rows)]) for j, h in enumerate(head)]
        numeric = [pd.api.types.is_numeric_dtype(table.iloc[:, j]) for j in range(table.shape[1])]
        lines = [name, "=" * len(name)]
        for cells in (head, ["-" * w for w in widths], *rows):
            shown = [c.rjust(w) if k else c.ljust(w) for c, w, k in zip(cells, widths, numeric, strict=True)]
            lines.append("  ".join(shown).rstrip())
        lines += [str(note) for note in table.attrs.get("notes", ())]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _worded(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Head and cells as people read them; a name that repeats the line above is left blank."""
    percent = table.attrs.get("percent", ())
    heads = table.attrs.get("heads", {})
    head = [_head(str(c), heads) for c in table.columns]
    columns = []
    for j, name in enumerate(table.columns):
        cells = [_words(v, percent=name in percent, p=name == "p_value") for v in table.iloc[:, j].tolist()]
        if name in NAMES:
            cells = [column_words(c) for c in cells]
        if name == "pattern":
            cells = [" + ".join(column_words(part) for part in c.split(" + ")) for c in cells]
        columns.append(cells)
    if "variable" in table:
        names = table["variable"].astype(str).tolist()
        again = [i > 0 and name == names[i - 1] for i, name in enumerate(names)]
        first = [name == "patients" for name in names]
        own = {c for c in table.columns if c in ("variable", "p_value", "test", "smd", "n_missing")
               or str(c).startswith(("smd: ", "n_missing: "))}  # fmt: skip
        for j, name in enumerate(table.columns):
            if name in own:
                blank = again if name == "variable" else [a or f for a, f in zip(again, first, strict=True)]
                columns[j] = ["" if b else c for b, c in zip(blank, columns[j], strict=True)]
    return head, [list(row) for row in zip(*columns, strict=True)] if columns else []


def _head(name: str, heads: Mapping[str, str]) -> str:
    """The head of a column in words; `heads` says what groups are called."""
    for prefix, said in (("n_missing: ", "Missing in "), ("smd: ", "SMD ")):
        if name.startswith(prefix):
            return said + " | ".join(heads.get(g, g) for g in name.removeprefix(prefix).split(" | "))
    return heads.get(name) or WORDS.get(name, name.replace("_", " ") if name.islower() else name)


def column_words(name: str) -> str:
    """What a column is, in the dictionary's words with its unit; the name itself where nobody declared it."""
    spec = schema.column(name)
    if spec is None or not spec.description:
        return name[:1].upper() + name[1:].replace("_", " ") if name else name
    said = re.split(r"[;(]", spec.description)[0].strip()
    return f"{said} ({spec.unit})" if spec.unit else said


def _words(value: object, *, percent: bool, p: bool) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}" if abs(int(value)) >= 10_000 else str(int(value))
    if isinstance(value, float | np.floating):
        if percent:
            return f"{100 * value:.1f} %"
        if p:
            return "< 0.001" if value < 0.001 else f"{value:.3f}"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == round(value):
            return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.4g}"
        return (
            f"{value:.3f}" if 1e-3 <= abs(value) < 10 else f"{value:.1f}" if 10 <= abs(value) < 1e7 else f"{value:.3g}"
        )
    return str(value)


def _html_table(name: str, table: pd.DataFrame) -> str:
    head, rows = _worded(table)
    numeric = [pd.api.types.is_numeric_dtype(table.iloc[:, j]) for j in range(table.shape[1])]
    top = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in head)
    body = "".join(
        "<tr>" + "".join(f'<td{" class=number" if k else ""}>{html.escape(c)}</td>'
                         for c, k in zip(row, numeric, strict=True)) + "</tr>\n"
        for row in rows
    )  # fmt: skip
    notes = "".join(f'<p class="note">{html.escape(str(n))}</p>' for n in table.attrs.get("notes", ()))
    return (
        f'<h2>{html.escape(name)}</h2><div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>\n{body}'
        f"</tbody></table></div>{notes}\n"
    )


def _plain_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula; an apostrophe tells it that this is text."""
    risky = text[:1] in ("=", "@", "\t", "\r") or (
        len(text) > 1 and text[0] in "+-" and not re.fullmatch(r"[+-]\d+(\.\d+)?", text)
    )
    return f"'{text}" if risky else text


def _csv(tables: Mapping[str, pd.DataFrame], marks: list[str]) -> str:
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    for mark in marks:
        write.writerow([_plain_text(mark)])
    for i, (name, table) in enumerate(tables.items()):
        if len(tables) > 1:
            if i or marks:
                write.writerow([])
            write.writerow([_plain_text(name)])
        write.writerow([_plain_text(str(c)) for c in table.columns])
        for row in table.itertuples(index=False, name=None):
            write.writerow([_csv_cell(v) for v in row])
        if len(tables) > 1 or marks:
            for note in table.attrs.get("notes", ()):
                write.writerow([_plain_text(str(note))])
    return out.getvalue()


def _csv_cell(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return repr(float(value))
    return str(value) if isinstance(value, int | np.integer) else _plain_text(str(value))


def _xlsx(tables: Mapping[str, pd.DataFrame], marks: list[str]) -> bytes:
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
        cell.quotePrefix = _plain_text(text) != text


def _sheet_name(name: str, taken: set[str]) -> str:
    """A name that Excel allows and no other sheet has."""
    base = re.sub(r"[\[\]:*?/\\\x00-\x1f]", " ", name).strip().strip("'")[:31] or "table"
    found, number = base, 2
    while found.lower() in taken:
        found, number = f"{base[: 31 - len(str(number)) - 1]} {number}", number + 1
    taken.add(found.lower())
    return found
