"""The columns of a sheet under our names, before they are values, and how a name is found in the sheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onlm_lab.errors import Fault
from onlm_lab.schema.dictionary import Column, columns
from onlm_lab.schema.sheets import Sheet
from onlm_lab.schema.texts import Texts

if TYPE_CHECKING:
    import numpy as np

    from onlm_lab.study import Mapping as Settings

TABLES = ("clinical", "followup", "annotations")  # that a hospital brings


@dataclass(frozen=True, eq=False)
class Cells:
    """One of our columns before it is values.

    Attributes:
        name: what a message calls it.
        raw: the cells as the file has them; read: the same rows with our words.
        numbers: ready values (from dates), where there are no words. told: rows whose fault is told already.
    """

    name: str
    raw: Texts
    read: Texts
    numbers: np.ndarray | None = None
    told: np.ndarray | None = None


@dataclass(eq=False)
class Mapped:
    """What a sheet gives under our names, with all that was wrong and all that was done on the way."""

    cells: dict[str, Cells] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def resolve(name: str, sheet: Sheet, *, mapping: Settings, names: Mapping[str, str]) -> str | None:
    """The sheet's column of that name: its own, its label in the file, or ours that is mapped from it."""
    if name in sheet.columns:
        return name
    for own, theirs in names.items():
        if theirs == name and own in sheet.columns:
            return own
    for theirs, ours in mapping.columns.items():
        if ours == name and theirs in sheet.columns:
            return theirs
    return None


def our_name(name: str, *, mapping: Settings, names: Mapping[str, str]) -> str:
    """Our name of a column of the sheet."""
    return mapping.columns.get(name, mapping.columns.get(names.get(name, name), name))


def patients_of(sheet: Sheet, *, mapping: Settings, names: Mapping[str, str]) -> list[str]:
    """The patient of each row as the file has it; '' where it does not say."""
    key = resolve("patient_id", sheet, mapping=mapping, names=names)
    return sheet.columns[key].values(sheet.columns[key].words).tolist() if key else [""] * len(sheet)


def every_column(extra_columns: Iterable[Column] = ()) -> dict[str, Column]:
    """The columns of all tables that a hospital brings, by name."""
    return {n: c for t in TABLES for n, c in columns(t).items()} | {c.name: c for c in extra_columns}
