"""A hospital's own columns and words as ours: names, words, constants, rows left out; every fault told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.checkboxes import checked_boxes
from onlm_lab.schema.dictionary import Column, meant
from onlm_lab.schema.names import Cells, Mapped, our_name, resolve
from onlm_lab.schema.redcap import Project, is_admin, matches
from onlm_lab.schema.settings import is_allowed
from onlm_lab.schema.sheets import Sheet
from onlm_lab.schema.shown import counted, few, quoted
from onlm_lab.schema.spans import from_dates
from onlm_lab.schema.texts import TOLD, texts

if TYPE_CHECKING:
    from onlm_lab.study import Data
    from onlm_lab.study import Mapping as Settings


def chosen_rows(sheet: Sheet, *, table: str, mapping: Settings, names: Mapping[str, str]) -> Sheet:
    """The rows that [mapping.only] keeps, with a note of those left out."""
    import numpy as np

    wanted = mapping.only.get(table, {})
    if not wanted or not len(sheet):
        return sheet
    keep, faults = np.ones(len(sheet), dtype=bool), []
    for name, word in wanted.items():
        theirs = resolve(name, sheet, mapping=mapping, names=names)
        if theirs is None:
            hint = meant(name, sheet.columns)
            faults.append(
                Fault(
                    f"study.toml: [mapping.only.{table}] names '{name}', which {sheet.file} does not have{hint}",
                    file="study.toml",
                    column=name,
                )
            )
            continue
        hit = sheet.columns[theirs].where(lambda cell, word=word: cell == word)
        if not hit.any():
            few_words = few([quoted(w) for w in sheet.columns[theirs].words])
            faults.append(
                Fault(
                    f"study.toml: [mapping.only.{table}] wants '{name}' = '{word}', but no row of {sheet.file} has "
                    f"that; it has {few_words}.",
                    file="study.toml",
                    column=name,
                )
            )
            continue
        keep &= hit
    if faults:  # without the choice the rows are not those that are meant
        raise DataError([*sheet.faults, *faults])
    if not keep.any():
        said = f"study.toml: [mapping.only.{table}] keeps no row of {sheet.file}: no row fits all of its conditions."
        raise DataError([Fault(said, file="study.toml")])
    if keep.all():
        return sheet
    out = int((~keep).sum())
    said = " and ".join(f"{name} = '{word}'" for name, word in wanted.items())
    note = f"{sheet.file}: {out} of {len(sheet)} rows left out; kept are those with {said}."
    return replace(
        sheet, columns={name: column.kept(keep) for name, column in sheet.columns.items()}, rows=sheet.rows[keep],
        notes=(*sheet.notes, note),
    )  # fmt: skip


def mapped(
    sheet: Sheet, *, names: Mapping[str, str], table: str, known: Mapping[str, Column], data: Data, mapping: Settings,
    project: Project, other: tuple[Sheet, Mapping[str, str]] | None = None, elsewhere: Collection[str] = (),
) -> Mapped:  # fmt: skip
    """The columns of a sheet under our names.

    Args:
        names: the sheet's name of a column -> what the file calls it (they differ in label exports of REDCap).
        known: our columns of this table.
        other: the study's other sheet, where a date may start.
        elsewhere: our columns of another table that the same sheet holds too; they are passed over.
    """
    done = Mapped()
    used = _renamed(sheet, done, names=names, known=known, mapping=mapping, elsewhere=elsewhere)
    used |= checked_boxes(sheet, done, names=names, known=known, mapping=mapping)
    used |= from_dates(sheet, done, names=names, table=table, known=known, data=data, mapping=mapping, other=other)
    used |= {n for name in mapping.only.get(table, {}) if (n := resolve(name, sheet, mapping=mapping, names=names))}
    _constants(sheet, done, known=known, mapping=mapping)
    left = [name for name in sheet.columns if name not in used]
    ignored = [n for n in left if matches(n, mapping.ignore) or matches(names.get(n, n), mapping.ignore)]
    dates = {source for e in mapping.dates.values() for source in (e.start, e.end)}
    boxes = {source for named in mapping.checkboxes.values() for source in named}
    apart = [
        n
        for n in left
        if {n, names.get(n, n)} & (dates | boxes) or our_name(n, mapping=mapping, names=names) in elsewhere
    ]
    admin = [n for n in left if n not in ignored and n not in apart and is_admin(n, project)]
    passed = {*ignored, *admin, *apart}
    done.unknown = [n for n in left if n not in passed]
    if ignored:
        done.notes.append(f"{sheet.file}: {counted(len(ignored), 'column')} ignored, as study.toml says.")
    if admin:
        done.notes.append(f"{sheet.file}: REDCap's own columns passed over ({', '.join(admin)}).")
    return done


def _renamed(
    sheet: Sheet, done: Mapped, *, names: Mapping[str, str], known: Mapping[str, Column], mapping: Settings,
    elsewhere: Collection[str],
) -> set[str]:  # fmt: skip
    """Columns that are ours by their own or by their mapped name."""
    used: set[str] = set()
    sources: dict[str, list[str]] = {}
    for name in sheet.columns:
        target = our_name(name, mapping=mapping, names=names)
        if target in known:
            sources.setdefault(target, []).append(name)
            used.add(name)
    renamed = 0
    for target, theirs in sources.items():
        called = [names.get(n, n) for n in theirs]
        if len(theirs) > 1:
            listed = " and ".join(f"'{c}'" for c in called)
            done.faults.append(
                Fault(
                    f"{sheet.file}: the columns {listed} are both {target}; wanted one. Take one out of "
                    "[mapping.columns], or name it under [mapping] ignore.",
                    file=sheet.file,
                    column=called[0],
                )
            )
        column = sheet.columns[theirs[0]]
        renamed += target != called[0]
        told = column.where(lambda w: w.startswith(TOLD)) | (len(theirs) > 1)
        done.cells[target] = Cells(
            target if called[0] == target else f"{called[0]} ({target})", column, column,
            told=told if told.any() else None,
        )  # fmt: skip
    if renamed:
        done.notes.append(f"{sheet.file}: {counted(renamed, 'column')} renamed by [mapping.columns].")
    return used


def recoded(
    cells: Cells, *, spec: Column, missing: Collection[str], words: Mapping[str, str], yes_no: bool = False
) -> tuple[Cells, int]:
    """The column with our words, and how many cells were recoded. A word that [mapping.values] names goes first."""
    counts, out, n = cells.raw.counts(), [], 0
    for word, count in zip(cells.raw.words, counts, strict=True):
        new = word
        if word in words:
            new = words[word]
        elif word in missing:
            new = ""
        elif yes_no and spec.type == "boolean" and word.lower() in ("yes", "no", "true", "false"):
            new = "1" if word.lower() in ("yes", "true") else "0"
        n += count * (new != word and (word in words or word not in missing))
        out.append(new)
    return replace(cells, read=cells.raw.replaced(out)), n


def _constants(sheet: Sheet, done: Mapped, *, known: Mapping[str, Column], mapping: Settings) -> None:
    """Columns that are the same in every row."""
    import numpy as np

    for name, value in mapping.constants.items():
        if name not in known:
            continue
        if name in done.cells:
            done.faults.append(
                Fault(
                    f"study.toml: [mapping.constants] {name}, but {sheet.file} has the column "
                    f"'{done.cells[name].name}'; wanted one of the two.",
                    file="study.toml",
                    column=name,
                )
            )
            continue
        fits = is_allowed(value, known[name], factor=mapping.factors.get(name, 1.0))
        told = None if fits else np.ones(len(sheet), dtype=bool)  # by settings_faults
        made = texts([value] * len(sheet))
        done.cells[name] = Cells(name, made, made, told=told)
        done.notes.append(f"{sheet.file}: {name} is '{value}' in every row, as study.toml says.")
