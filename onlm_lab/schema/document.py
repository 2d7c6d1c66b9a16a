"""The data dictionary as people and programs read it: in a terminal, in a spreadsheet, in a browser.

entries = dictionary_entries(table="clinical")      # an entry a column; `study=` adds its columns and its mapping
dictionary_text(entries); dictionary_csv(entries); dictionary_html(entries)
"""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from onlm_lab.errors import OnlmError
from onlm_lab.schema.dictionary import COLUMNS, Column, declared, nearest
from onlm_lab.schema.meanings import MEANINGS, note_of

if TYPE_CHECKING:
    from onlm_lab.study import Study

TABLES = {
    "clinical": "one row a patient",
    "followup": "one row a patient; days count from the day of surgery or of the first SBRT fraction",
    "annotations": "one row a patient: where the tumour is on the CT (patient frame of DICOM, LPS, in mm)",
    "predictions": "one row a patient, model, split and repeat; written by the software or by another model",
    "derived": "computed from the tables above; a spreadsheet never needs them",
}
TIMINGS = {
    "id": "identifies or administers, never predicts",
    "pre_treatment": "known before treatment, may predict",
    "post_treatment": "known after treatment only, never predicts",
    "outcome": "outcome, never predicts",
}


@dataclass(frozen=True)
class Entry:
    """One column of the dictionary, in words.

    Attributes:
        column: name, type, unit, range, allowed words, timing, source.
        meanings: (word, what it means), every allowed word of a category; the meaning may be "".
        note: how it is measured, filled in or derived.
        hospital: what the study's mapping calls it, or how it is made from the hospital's columns.
    """

    column: Column
    meanings: tuple[tuple[str, str], ...] = ()
    note: str = ""
    hospital: tuple[str, ...] = ()

    @property
    def required(self) -> str:
        """Whether a table must have the column, and every cell of it."""
        if self.column.table == "derived":
            return "computed"
        if self.column.filled:
            return "required, every cell filled"
        return "required" if self.column.required else "may be left out"

    @property
    def range(self) -> str:
        """Type, range and unit, such as 'number from 0 to 120 years'."""
        if self.column.type == "category":
            return "one of " + ", ".join(self.column.allowed) if self.column.allowed else "a word"
        return {"text": "text", "boolean": "0 (no) or 1 (yes)"}.get(self.column.type) or self.column.wanted


def dictionary_entries(table: str | None = None, *, study: Study | None = None) -> tuple[Entry, ...]:
    """The dictionary of one table, or of all of them in their order.

    Args:
        table: "clinical", "followup", "annotations", "predictions" or "derived"; None: all.
        study: adds its own columns to the clinical table, and the hospital's names beside ours.

    Raises:
        OnlmError: no such table; or DataError where the study declares a column that is fixed.
    """
    if table is not None and table not in TABLES:
        near = nearest(table, TABLES)
        hint = f" Did you mean '{near}'?" if near else ""
        raise OnlmError(f"'{table}' is not a table of the dictionary; wanted one of {', '.join(TABLES)}.{hint}")
    own = declared(study.columns) if study else ()
    found = []
    for name in TABLES if table is None else (table,):
        found += [c for c in COLUMNS if c.table == name] + [c for c in own if c.table == name]
    return tuple(
        Entry(
            column=c,
            meanings=_meanings(c),
            note=note_of(c.table, c.name),
            hospital=_hospital(c, study=study) if study and c.table not in ("predictions", "derived") else (),
        )
        for c in found
    )


def _meanings(column: Column) -> tuple[tuple[str, str], ...]:
    """What its words mean: every allowed word, or those of a scale that need it."""
    said = MEANINGS.get(column.name, {})
    words = column.allowed or tuple(said)
    return tuple((word, said.get(word, "")) for word in words) if said else ()


def _hospital(column: Column, *, study: Study) -> tuple[str, ...]:
    """What the study's mapping says of a column, a sentence a part."""
    mapping, name = study.mapping, column.name
    said = [f'column "{theirs}"' for theirs, ours in mapping.columns.items() if ours == name]
    said += [f'"{theirs}" means {ours}' for theirs, ours in mapping.values.get(name, {}).items()]
    if name in mapping.factors:
        said.append(f"multiplied by {mapping.factors[name]:g}")
    if name in mapping.constants:
        said.append(f'"{mapping.constants[name]}" in every row')
    if name in mapping.dates:
        dates = mapping.dates[name]
        between = f'from "{dates.start}" to "{dates.end}"' if dates.start else f'of "{dates.end}"'
        said.append(f"{dates.unit.replace('_', ' ')} {between}")
    said += [f'"{theirs}" ticked means {ours}' for theirs, ours in mapping.checkboxes.get(name, {}).items()]
    words = [word for word in mapping.missing_words.get(name, ()) if word]
    if words:
        said.append(f"not known: {', '.join(words)}")
    return tuple(said)


def dictionary_text(entries: Sequence[Entry], *, width: int = 100) -> str:
    """The dictionary for a terminal of that many columns, at least 60."""
    width = max(width, 60)
    lines: list[str] = []
    shown = ""
    for entry in entries:
        column = entry.column
        if column.table != shown:
            shown = column.table
            title = f"{shown}: {TABLES[shown]}"
            lines += [*([""] if lines else []), *textwrap.wrap(title, width)]
            lines += ["=" * min(width, len(title)), ""]
        lines += _entry_lines(entry, width=width)
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def _entry_lines(entry: Entry, *, width: int) -> list[str]:
    """One column as a block of lines."""
    column = entry.column

    def filled(text: str, *, indent: int = 4, first: int | None = None) -> list[str]:
        pad, lead = " " * indent, " " * (indent if first is None else first)
        return textwrap.wrap(text, width, initial_indent=lead, subsequent_indent=pad, break_long_words=False)

    lines = [*filled(f"{column.name}  [{entry.required}; {TIMINGS[column.timing]}]", first=0)]
    lines += filled(f"{column.description}." + (f" {entry.note}" if entry.note else ""))
    told = column.allowed and all(meaning for _, meaning in entry.meanings) and entry.meanings
    lines += filled("Holds: one of" if told else f"Holds: {entry.range}", indent=11, first=4)
    for word, meaning in entry.meanings:
        if meaning:
            lines += filled(f"{word}: {meaning}", indent=15, first=11)
    lines += filled(f"Source: {column.source}", indent=12, first=4)
    if entry.hospital:
        lines += filled(f"In this study: {'; '.join(entry.hospital)}", indent=19, first=4)
    return [*lines, ""]


FIELDS = (
    "table", "column", "type", "unit", "low", "high", "range", "allowed", "meanings", "timing", "may_predict",
    "required", "filled", "source", "description", "note", "hospital",
)  # fmt: skip


def dictionary_csv(entries: Sequence[Entry]) -> str:
    """The dictionary as a table for programs: a row a column; words and their meanings joined by ' | '."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FIELDS)
    for entry in entries:
        c = entry.column
        writer.writerow([
            c.table, c.name, c.type, c.unit, "" if c.low is None else f"{c.low:g}",
            "" if c.high is None else f"{c.high:g}", _range(c), " | ".join(c.allowed),
            " | ".join(f"{word}: {meaning}" for word, meaning in entry.meanings if meaning), c.timing,
            int(c.timing == "pre_treatment"), int(c.required), int(c.filled), c.source, c.description, entry.note,
            " | ".join(entry.hospital),
        ])  # fmt: skip
    return text.getvalue()


def _range(column: Column) -> str:
    """Its range in words; "" where it has none."""
    if column.type == "boolean":
        return "0 or 1"
    low, high = column.low, column.high
    if low is None and high is None:
        return ""
    if high is None:
        return f"at least {low:g}"
    return f"at most {high:g}" if low is None else f"{low:g} to {high:g}"


def dictionary_html(entries: Sequence[Entry], *, title: str = "Data dictionary", note: str = "") -> str:
    """The dictionary as one page that fetches nothing: an anchor a column (#clinical-age_years), a box that filters.

    Args:
        title: of the page, such as the study's name.
        note: a sentence below it, such as that the data are made up.
    """
    from jinja2 import Environment, StrictUndefined

    tables = {name: [e for e in entries if e.column.table == name] for name in TABLES}
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = page.from_string(files("onlm_lab.schema").joinpath("dictionary.html").read_text(encoding="utf-8"))
    return template.render(
        title=title,
        note=note,
        tables=[(name, TABLES[name], found) for name, found in tables.items() if found],
        timings=TIMINGS,
        mapped=any(entry.hospital for entry in entries),
        n_columns=len(entries),
    )
