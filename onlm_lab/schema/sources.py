"""A file before it is a table: its sheet, what its columns are called in it, and what the mapping wants of it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onlm_lab.errors import Fault
from onlm_lab.schema import mapping as mappings
from onlm_lab.schema.dates import read_dates
from onlm_lab.schema.dictionary import Column, columns, nearest
from onlm_lab.schema.names import TABLES, every_column, our_name, patients_of, resolve
from onlm_lab.schema.redcap import ADMIN, Project, explained, read_project
from onlm_lab.schema.sheets import Sheet, open_sheet
from onlm_lab.schema.shown import few
from onlm_lab.study import Data
from onlm_lab.study import Mapping as Settings


@dataclass(frozen=True, eq=False)
class Source:
    """An opened file. `names`: the sheet's name of a column -> what the file calls it."""

    table: str
    sheet: Sheet
    names: dict[str, str]
    project: Project

    @property
    def beside(self) -> tuple[Sheet, Mapping[str, str]]:
        return self.sheet, self.names

    @property
    def headings(self) -> set[str]:
        """Every name by which a column can be meant."""
        return {*self.sheet.columns, *self.names, *self.names.values()}

    def ours(self, *, mapping: Settings) -> set[str]:
        """The columns of ours that the sheet gives: its own, and those that the mapping makes of it."""
        made = {name: said.end for name, said in mapping.dates.items()}
        made |= {name: next(iter(boxes), "") for name, boxes in mapping.checkboxes.items()}
        there = {
            name for name, source in made.items() if resolve(source, self.sheet, mapping=mapping, names=self.names)
        }
        own = {our_name(name, mapping=mapping, names=self.names) for name in self.sheet.columns}
        return own | there | set(mapping.constants)

    def ids(self, *, mapping: Settings) -> list[str]:
        """The patient of each row as the file has it; '' where it does not say."""
        return patients_of(self.sheet, mapping=mapping, names=self.names)


def open_source(
    path: str | Path, *, table: str, data: Data, mapping: Settings, extra_columns: Sequence[Column] = ()
) -> Source:
    """A file as text, codes of REDCap explained, the rows that the mapping keeps.

    Raises:
        DataError: there is no such file, or it is no table.
    """
    path = Path(path)
    project = read_project(path.parent / data.redcap_dictionary) if data.redcap_dictionary else Project()
    wanted = {*columns(table, extra_columns=extra_columns), *mapping.columns, *project.names, *ADMIN}
    wanted |= {source for said in mapping.dates.values() for source in (said.start, said.end) if source}
    wanted |= {box for boxes in mapping.checkboxes.values() for box in boxes}
    chosen = {"clinical": data.clinical_sheet, "followup": data.followup_sheet}.get(table, "")
    sheet = open_sheet(path, data=data, sheet=chosen, table=table, known=wanted)
    sheet, names = explained(sheet, project)
    sheet = mappings.chosen_rows(sheet, table=table, mapping=mapping, names=names)
    return Source(table, sheet, names, project)


@dataclass(frozen=True)
class Lost:
    """A column that [mapping.columns] names and no file has: its name, ours, and the file's nearest."""

    name: str
    target: str
    near: str

    def only_in(self, table: str) -> bool:
        """Whether our column belongs to this table alone."""
        return [t for t in TABLES if self.target in columns(t)] == [table]

    def fault(self, files: Iterable[str]) -> Fault:
        hint = f"; did you mean '{self.near}'?" if self.near else "."
        where = " nor ".join(files)
        said = f"study.toml: [mapping.columns] names '{self.name}', which is not a column of {where}{hint}"
        return Fault(said, file="study.toml", column=self.name, wanted="a column of the file")


def lost_columns(sources: Sequence[Source], *, mapping: Settings, extra_columns: Sequence[Column] = ()) -> list[Lost]:
    """What [mapping.columns] names and none of the files has."""
    there = {name for source in sources for name in source.headings}
    ours = every_column(extra_columns)
    free = [name for name in there if name not in mapping.columns and name not in ours]
    return [Lost(name, target, nearest(name, free)) for name, target in mapping.columns.items() if name not in there]


def dates_by_patient(source: Source, name: str, *, data: Data, mapping: Settings) -> dict[str, datetime.date]:
    """The date of each patient in a column that the file or the mapping calls so; empty where there is no such column.

    Cells that hold no date are left out: reading the table tells of them.
    """
    own = resolve(name, source.sheet, mapping=mapping, names=source.names)
    if own is None:
        return {}
    column = source.sheet.columns[own]
    found, _ = read_dates(column, date_format=data.date_format)
    days = column.values(found).tolist()
    return {patient: day for patient, day in zip(source.ids(mapping=mapping), days, strict=True) if patient and day}


def doubled_beside(source: Source, *, mapping: Settings) -> list[Fault]:
    """A fault where the file in which dates are looked up has several rows of one patient."""
    ids = [p for p in source.ids(mapping=mapping) if p]
    doubled = sorted({p for p in ids if ids.count(p) > 1}) if len(set(ids)) < len(ids) else []
    if not doubled:
        return []
    said = f"{source.sheet.file}: wanted one row a patient; {len(doubled)} have more ({few(doubled)})."
    return [Fault(said, file=source.sheet.file, column="patient_id", patients=tuple(doubled))]
