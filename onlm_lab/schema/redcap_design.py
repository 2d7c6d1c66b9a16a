"""A REDCap data dictionary: a hospital that sets up its project with it exports tables that fit as they are.

The eighteen headers are those of REDCap's own data-dictionary file. The code and the label of a choice are both our
word, so that an export of raw codes and an export of labels read alike; what a word means stands in the field note.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from onlm_lab.errors import OnlmError
from onlm_lab.schema.dictionary import SITES
from onlm_lab.schema.document import Entry

HEADERS = (
    "Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
    "Choices, Calculations, OR Slider Labels", "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)",
    "Required Field?", "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?",
    "Field Annotation",
)  # fmt: skip
ENTERED = ("clinical", "followup")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_CODE = re.compile(r"[A-Za-z0-9_]+")


def redcap_design(entries: Sequence[Entry]) -> str:
    """The CSV text that REDCap takes under 'Upload data dictionary': a form a table, patient_id the record id.

    Sites of recurrence are ticked: REDCap exports them as recurrence_site___local and so on, which
    [mapping.checkboxes.recurrence_site] of study.toml joins again.

    Args:
        entries: of dictionary_entries; other tables than clinical and followup are left out.

    Raises:
        OnlmError: nothing is left to enter, or a column's name or words cannot stand in REDCap.
    """
    entered = entered_in_redcap(entries)
    if not entered:
        raise OnlmError(
            "A REDCap data dictionary holds what people enter; wanted the table clinical or followup, or both."
        )
    strange = [entry.column.name for entry in entered if not _NAME.fullmatch(entry.column.name)]
    if strange:
        raise OnlmError(
            "REDCap takes names of small letters, digits and underscores that begin with a letter; it would not take "
            f"{', '.join(strange)}. Rename [columns.{strange[0]}] in study.toml."
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADERS, restval="", lineterminator="\n")
    writer.writeheader()
    for entry in entered:
        writer.writerow(_field(entry))
    return text.getvalue()


def entered_in_redcap(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Of these columns those that people enter; patient_id stands once, on the first form."""
    once = {entry.column.name: entry for entry in reversed(entries) if entry.column.table in ENTERED}
    return tuple(entry for entry in entries if once.get(entry.column.name) is entry)


def _field(entry: Entry) -> dict[str, str]:
    """One row of the data dictionary."""
    column = entry.column
    row = {
        "Variable / Field Name": column.name,
        "Form Name": column.table,
        "Field Type": "text",
        "Field Label": column.description + (f" ({column.unit})" if column.unit else ""),
        "Field Note": _note(entry),
        "Required Field?": "y" if column.filled else "",
        "Identifier?": "y" if column.name == "patient_id" else "",
    }
    if column.type == "boolean":
        row["Field Type"] = "yesno"
    elif column.name == "recurrence_site":
        row |= {"Field Type": "checkbox", "Choices, Calculations, OR Slider Labels": _choices((*SITES, "unknown"))}
    elif column.allowed:
        row["Field Type"] = "radio" if len(column.allowed) <= 6 else "dropdown"
        row["Choices, Calculations, OR Slider Labels"] = _choices(column.allowed)
    elif column.type in ("number", "integer"):
        row |= {
            "Text Validation Type OR Show Slider Number": column.type,
            "Text Validation Min": "" if column.low is None else f"{column.low:g}",
            "Text Validation Max": "" if column.high is None else f"{column.high:g}",
        }
    return row


def _choices(words: tuple[str, ...]) -> str:
    """'code, label | code, label'; words that cannot be codes are numbered."""
    if any("|" in word for word in words):
        raise OnlmError(f"REDCap separates choices by '|'; take it out of {', '.join(w for w in words if '|' in w)}.")
    plain = all(_CODE.fullmatch(word) for word in words)
    return " | ".join(f"{word if plain else i + 1}, {word}" for i, word in enumerate(words))


def _note(entry: Entry) -> str:
    meanings = "; ".join(f"{word}: {meaning}" for word, meaning in entry.meanings if meaning)
    note = "Tick each site of the first recurrence." if entry.column.name == "recurrence_site" else entry.note
    return " ".join(
        part for part in (note, f"{meanings}." if meanings else "", f"Source: {entry.column.source}.") if part
    )
