"""The list of faults that goes back to a hospital: a line a cell for a spreadsheet, and a page to read.

What a line shows of a cell is what the fault's own sentence may show: never a date, a name or free text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from importlib.resources import files

from onlm_lab import schema
from onlm_lab.errors import Fault
from onlm_lab.schema.cells import hint
from onlm_lab.study import Study

FIELDS = ("number", "file", "row", "patient_id", "column", "value", "wanted", "hint", "what_to_do", "fault")
SHOWN = 200  # cells of one fault on the page; the spreadsheet has them all
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z])")


def fault_rows(faults: Sequence[Fault], *, study: Study | None = None) -> list[dict[str, str]]:
    """A line a cell; a fault of a whole file or column has one line without a row.

    Args:
        faults: of one site.
        study: of the site; tells what its own columns may hold, and so what may have been meant.

    Returns:
        For each line: number (of the fault), file, row, patient_id, column, value, wanted, hint, what_to_do,
        fault (the sentence where there is no cell, else what the line is about).
    """
    own = schema.declared(study.columns) if study else ()
    lines = []
    for number, fault in enumerate(faults, start=1):
        said = _without_file(fault)
        todo = _SENTENCE.split(said)[-1].replace("Correct them", "Correct it")
        wanted = fault.wanted.removeprefix("Wanted ").rstrip(".")
        if todo.startswith("Wanted "):  # said of two columns together
            wanted, todo = todo.removeprefix("Wanted ").rstrip("."), "Correct one of them."
        elif wanted == todo.rstrip("."):
            wanted = ""
        line = {"number": str(number), "file": fault.file, "column": fault.column, "wanted": wanted}
        if not fault.rows:
            lines.append(line | {"what_to_do": todo if todo != said else "", "fault": said})
            continue
        called = re.fullmatch(r".* \((\w+)\)", fault.column)  # "Geschlecht (sex)"
        spec = schema.column(called[1] if called else fault.column, extra_columns=own)
        for i, row in enumerate(fault.rows):
            value = fault.values[i] if i < len(fault.values) else ""
            unseen = not value or value.startswith("(a ")  # of a date or a text only its kind is told
            lines.append(
                line
                | {
                    "row": str(row),
                    "patient_id": fault.patients[i] if i < len(fault.patients) else "",
                    "value": value,
                    "hint": "" if unseen or spec is None else hint(value, spec=spec),
                    "what_to_do": todo,
                    "fault": _head(said),
                }
            )
    return lines


def _without_file(fault: Fault) -> str:
    """The sentence without the name of its file, which stands beside it."""
    return fault.said.removeprefix(f"{fault.file}: ") if fault.file else fault.said


def _head(said: str) -> str:
    """What a fault is about: its sentence up to the cells that it names."""
    return re.split(r"[;:] (?=\d+ cells?\b)|(?= in \d+ of \d+ rows)", said)[0].rstrip(" .;") + "."


def fault_list_csv(faults: Sequence[Fault], *, study: Study | None = None) -> str:
    """The list as a table for Excel: begins with the byte-order mark, without which Excel garbles other alphabets."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for line in fault_rows(faults, study=study):
        writer.writerow({name: _harmless(value) for name, value in line.items()})
    return "\ufeff" + text.getvalue()


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; an apostrophe tells it that this is text."""
    if cell[:1] in ("=", "@", "\t", "\r") or (cell[:1] in ("+", "-") and not re.fullmatch(r"[+-][\d.,]+", cell)):
        return f"'{cell}"
    return cell


def fault_list_html(
    faults: Sequence[Fault], *, site: str, study: Study | None = None, notes: Sequence[str] = (), note: str = ""
) -> str:
    """The list as a page that fetches nothing, to read and print, in the order of the files.

    Args:
        site: the hospital, as the merge calls it.
        study: as in fault_rows.
        notes: what was done on the way without being a fault.
        note: a sentence below the title, such as that the data are made up.
    """
    from jinja2 import Environment, StrictUndefined

    lines = fault_rows(faults, study=study)
    cells = [line for line in lines if line.get("row")]
    told = []
    for number, fault in enumerate(faults, start=1):
        own = [line for line in cells if line["number"] == str(number)]
        told.append({"number": number, "file": fault.file, "said": _told(fault, own), "cells": own[:SHOWN],
                     "left": max(0, len(own) - SHOWN)})  # fmt: skip
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = page.from_string(files("onlm_lab.cohort").joinpath("faults.html").read_text(encoding="utf-8"))
    return template.render(
        site=site, note=note, notes=notes, faults=told, n_cells=len(cells),
        n_patients=len({line["patient_id"] for line in cells} - {""}),
    )  # fmt: skip


def _told(fault: Fault, cells: list[dict[str, str]]) -> str:
    """The sentence above the cells, which need not be named twice."""
    said = _without_file(fault)
    if not cells:
        return said
    head, todo = _head(said), cells[0]["what_to_do"]
    return head if head.endswith(todo) else f"{head} {todo}"
