"""A REDCap export as its data dictionary explains it: raw codes become the labels of their choices."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.dictionary import nearest
from onlm_lab.schema.sheets import Sheet, open_sheet
from onlm_lab.schema.shown import few, quoted
from onlm_lab.schema.texts import TOLD, Texts
from onlm_lab.study import Data

ADMIN = {
    "redcap_event_name": "Event Name", "redcap_repeat_instrument": "Repeat Instrument",
    "redcap_repeat_instance": "Repeat Instance", "redcap_survey_identifier": "Survey Identifier",
    "redcap_data_access_group": "Data Access Group",
}  # fmt: skip
# What an export of labels calls the state of each form: once a form, all alike.
FORM_STATES = ("Complete?", "Survey Timestamp")
_NAME, _FORM, _TYPE, _LABEL = "Variable / Field Name", "Form Name", "Field Type", "Field Label"
_CHOICES = "Choices, Calculations, OR Slider Labels"
_FIXED = {"yesno": {"1": "Yes", "0": "No"}, "truefalse": {"1": "True", "0": "False"}}


@dataclass(frozen=True)
class Field:
    """One field of a project: its name, type, label, and what its codes mean."""

    name: str
    type: str
    label: str
    choices: dict[str, str] = field(default_factory=dict)

    @property
    def is_yes_no(self) -> bool:
        """Whether its labels are yes and no, or true and false."""
        labels = {label.lower() for label in self.choices.values()}
        return bool(labels) and (labels <= {"yes", "no"} or labels <= {"true", "false"})


@dataclass(frozen=True)
class Project:
    """What a REDCap data dictionary says: fields by name, and the forms."""

    file: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    forms: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Every name or label that a column of an export may have."""
        return [*self.fields, *(f.label for f in self.fields.values()), *self.boxes, *self.boxes.values(), *ADMIN]

    @property
    def boxes(self) -> dict[str, str]:
        """Columns of checkboxes, `field___code`, and their labels."""
        return {
            f"{f.name}___{code.lower().replace('-', '_')}": f"{f.label} (choice={label})"
            for f in self.fields.values() if f.type == "checkbox" for code, label in f.choices.items()
        }  # fmt: skip


def read_project(path: str | Path) -> Project:
    """The project of a data dictionary as REDCap writes it (CSV).

    Raises:
        DataError: no such file, or not a data dictionary.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(
            [f"study.toml: [data] redcap_dictionary = '{path.name}', but there is no such file in the study's folder."]
        )
    sheet = open_sheet(path, data=Data(), known=(_NAME, _TYPE, _LABEL, _CHOICES))
    wanted = [name for name in (_NAME, _TYPE, _LABEL, _CHOICES) if name not in sheet.columns]
    if wanted:
        raise DataError(
            [
                f"{path.name}: this is not a REDCap data dictionary; column {', '.join(repr(w) for w in wanted)} is "
                "missing. In REDCap: Project Setup, 'Download the current Data Dictionary'."
            ]
        )
    fields, forms, faults = {}, [], []
    for i in range(len(sheet)):
        of = {name: sheet.columns[name].at(i) for name in sheet.columns}
        kind = of[_TYPE].lower()
        choices = _FIXED.get(kind, {})
        if kind in ("radio", "dropdown", "checkbox"):
            choices = _choices(of[_CHOICES])
            if not choices:
                faults.append(
                    f"{path.name}: row {sheet.rows[i]}: field '{of[_NAME]}' has no choices such as '1, Male'."
                )
        fields[of[_NAME]] = Field(of[_NAME], kind, _plain(of[_LABEL]), choices)
        forms.append(of.get(_FORM, ""))
    if faults:
        raise DataError(faults)
    return Project(path.name, fields, tuple(dict.fromkeys(f for f in forms if f)))


def _choices(text: str) -> dict[str, str]:
    """'1, Male | 2, Female' as codes and labels."""
    found = {}
    for part in text.split("|"):
        code, comma, label = part.partition(",")
        if comma:
            found[code.strip()] = _plain(label.strip())
    return found


def _plain(label: str) -> str:
    """A label without the HTML that REDCap lets it have, as the export has it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", label)).strip()


def is_admin(name: str, project: Project) -> bool:
    """Whether a column is REDCap's own: events, instances, and the state of a form."""
    forms = {f"{form}_{end}" for form in project.forms for end in ("complete", "timestamp")}
    return name in ADMIN or name in forms


def explained(sheet: Sheet, project: Project) -> tuple[Sheet, dict[str, str]]:
    """The sheet with variable names for labels and labels for codes, and the name that each column has in the file.

    Each column is read as codes or as labels, whichever all its cells are; where both would do, as most columns of
    the file are. A cell that is neither is a fault.
    """
    if not project.fields:
        return sheet, {name: name for name in sheet.columns}
    sheet = _without_form_states(sheet, project)
    names, faults = _variable_names(sheet, project)
    columns, notes = {}, list(sheet.notes)
    modes = {name: _mode(sheet.columns[theirs].words, project.fields[name]) for name, theirs in names.items()
             if name in project.fields and project.fields[name].choices}  # fmt: skip
    sure = [mode for mode in modes.values() if mode in ("codes", "labels")]
    usual = "labels" if sure.count("labels") > sure.count("codes") else "codes"
    coded = 0
    for name, theirs in names.items():
        column = sheet.columns[theirs]
        mode = modes.get(name)
        if mode is None:
            columns[name] = column
            continue
        spec = project.fields[name]
        if mode == "neither":
            known = spec.choices if any(w in spec.choices for w in column.words if w) else {}
            wrong = [w for w in column.words if w and w not in spec.choices and w not in spec.choices.values()]
            faults.append(_strange(sheet, theirs, column, wrong, spec, project))
            columns[name] = column.replaced([TOLD + w if w in wrong else known.get(w, w) for w in column.words])
        elif mode == "codes" or (mode == "either" and usual == "codes"):
            coded += 1
            columns[name] = column.replaced([spec.choices.get(w, w) for w in column.words])
        else:
            columns[name] = column
    if coded:
        notes.append(f"{sheet.file}: the codes of {coded} columns were read by {project.file}.")
    done = replace(sheet, columns=columns, notes=tuple(notes), faults=(*sheet.faults, *faults))
    return done, names


def _without_form_states(sheet: Sheet, project: Project) -> Sheet:
    """The sheet without the states of its forms, which bear the same label each."""
    states = {name for name in FORM_STATES if name not in project.names}
    columns = {name: column for name, column in sheet.columns.items() if name not in states}
    faults = tuple(fault for fault in sheet.faults if fault.column not in states)
    return replace(sheet, columns=columns, faults=faults)


def _mode(words: list[str], spec: Field) -> str:
    filled = [w for w in words if w]
    codes = all(w in spec.choices for w in filled)
    labels = all(w in spec.choices.values() for w in filled)
    return "either" if codes and labels else "codes" if codes else "labels" if labels else "neither"


def _variable_names(sheet: Sheet, project: Project) -> tuple[dict[str, str], list[Fault]]:
    """Variable name -> name in the file; a label that two fields share is a fault."""
    by_label: dict[str, list[str]] = {}
    for spec in project.fields.values():
        if spec.type != "checkbox":
            by_label.setdefault(spec.label, []).append(spec.name)
    for box, label in project.boxes.items():
        by_label.setdefault(label, []).append(box)
    for name, label in ADMIN.items():
        by_label.setdefault(label, []).append(name)
    names, faults = {}, []
    for theirs in sheet.columns:
        plain = _plain(theirs)
        found = by_label.get(plain, []) if theirs not in project.fields else []
        if len(found) > 1:
            faults.append(
                Fault(
                    f"{sheet.file}: column '{theirs}' may be {' or '.join(found)}, which share this label in "
                    f"{project.file}. Export raw data (variable names as column names), or give different labels.",
                    file=sheet.file,
                    column=theirs,
                )
            )
        name = found[0] if len(found) == 1 else theirs
        if name in names:
            faults.append(
                Fault(f"{sheet.file}: the columns '{names[name]}' and '{theirs}' are both {name}. Remove one.",
                      file=sheet.file, column=theirs)
            )  # fmt: skip
            continue
        names[name] = theirs
    return names, faults


def _strange(sheet: Sheet, theirs: str, column: Texts, wrong: list[str], spec: Field, project: Project) -> Fault:
    """A cell that is neither a code nor a label of its field."""
    rows = column.where(lambda word: word in set(wrong)).nonzero()[0]
    numbers = [int(sheet.rows[r]) for r in rows]
    wanted = ", ".join(f"{code} ({label})" for code, label in spec.choices.items())
    near = nearest(wrong[0], [*spec.choices.values()])
    hint = f" Did you mean '{near}'?" if near else ""
    words = few([quoted(w) for w in wrong])
    cells = "1 cell holds" if len(rows) == 1 else f"{len(rows)} cells hold"
    return Fault(
        f"{sheet.file}: {theirs} must be one of {wanted}, as {project.file} says; {cells} something else: {words} "
        f"(row {few(numbers)}).{hint} Correct the cells, or send the newest dictionary.",
        file=sheet.file, column=theirs, rows=tuple(numbers), values=tuple(quoted(column.at(r)) for r in rows),
        wanted=f"one of {wanted}",
    )  # fmt: skip


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a column's name is one of the names, or fits one with * in it."""
    return any(name == p or ("*" in p and fnmatch.fnmatchcase(name, p)) for p in patterns)
