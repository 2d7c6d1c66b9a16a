"""A hospital's own columns and words as ours: names, dates, checkboxes, constants, rows left out; every fault told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.cells import as_number
from onlm_lab.schema.dates import elapsed, read_dates
from onlm_lab.schema.dictionary import NUMERIC, SITES, Column, columns, nearest
from onlm_lab.schema.redcap import Project, is_admin, matches
from onlm_lab.schema.sheets import Sheet
from onlm_lab.schema.shown import few, quoted, shown
from onlm_lab.schema.texts import TOLD, Texts, texts

if TYPE_CHECKING:
    import numpy as np

    from onlm_lab.study import Data
    from onlm_lab.study import Mapping as Settings

TABLES = ("clinical", "followup", "annotations")
_BOXES = {"1": True, "checked": True, "0": False, "unchecked": False, "": False}


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


def settings_faults(mapping: Settings, *, extra_columns: Sequence[Column] = ()) -> list[Fault]:
    """What is wrong with [mapping] whatever the files hold: targets that do not exist, words that are not allowed."""
    known = {n: c for t in TABLES for n, c in columns(t).items()} | {c.name: c for c in extra_columns}
    faults: list[Fault] = []

    def say(section: str, text: str) -> None:
        faults.append(Fault(f"study.toml: [mapping{section}] {text}", file="study.toml"))

    sections = {
        "values": mapping.values, "factors": mapping.factors, "constants": mapping.constants, "dates": mapping.dates,
        "checkboxes": mapping.checkboxes, "missing_words": mapping.missing_words,
    }  # fmt: skip
    targets = [("columns", target) for target in mapping.columns.values()]
    for section, target in dict.fromkeys(targets + [(s, t) for s, named in sections.items() for t in named]):
        if target not in known:
            near = nearest(target, known)
            say(f".{section}", f"'{target}' is not one of our columns" + (f"; did you mean '{near}'?" if near else "."))
    for name, words in mapping.values.items():
        for theirs, ours in words.items():
            if name in known and not _allowed(ours, known[name]):
                near = nearest(ours, known[name].allowed)
                hint = f"; did you mean '{near}'?" if near else "."
                wanted = "text" if known[name].type == "text" else known[name].wanted
                say(f".values.{name}", f"'{theirs}' = '{shown(ours)}': wanted {wanted}{hint}")
    for name, boxes in mapping.checkboxes.items():
        for theirs, ours in boxes.items():
            if name not in known:
                continue
            if not (ours in (*SITES, "unknown") if name == "recurrence_site" else _allowed(ours, known[name])):
                near = nearest(ours, known[name].allowed or SITES)
                hint = f"; did you mean '{near}'?" if near else "."
                say(f".checkboxes.{name}", f"'{theirs}' = '{shown(ours)}' is not a word of {name}{hint}")
    for name, factor in mapping.factors.items():
        if name in known and known[name].type not in ("number", "integer"):
            say(".factors", f"{name} holds no numbers; a factor is for numbers.")
        if factor == 0 or factor != factor or abs(factor) == float("inf"):
            say(".factors", f"{name} = {factor:g}; wanted a number other than 0.")
    for name in mapping.dates:
        if name in known and known[name].type not in ("number", "integer"):
            say(f".dates.{name}", f"{name} holds no numbers; dates become days, years or a year.")
    for name in mapping.only:
        if name not in TABLES:
            near = nearest(name, TABLES)
            hint = f"; did you mean '{near}'?" if near else f"; wanted one of {', '.join(TABLES)}."
            say(".only", f"'{name}' is not a table{hint}")
    for name in mapping.constants:
        if name == "patient_id":
            say(".constants", "patient_id cannot be the same in every row.")
    twice = {n for s in (mapping.dates, mapping.checkboxes, mapping.constants) for n in s}
    for name in sorted(twice):
        ways = [s for s in ("dates", "checkboxes", "constants") if name in sections[s]]
        ways += ["columns"] * (name in mapping.columns.values())
        if len(ways) > 1:
            say("", f"{name} is made in {len(ways)} ways ({', '.join(ways)}); wanted one.")
    return faults


def _allowed(word: str, spec: Column) -> bool:
    if not word or spec.type == "text":
        return True
    if spec.type in NUMERIC:
        number = as_number(word)
        return number is not None and (spec.type != "boolean" or number in (0.0, 1.0))
    return word in spec.allowed if spec.allowed else True


def chosen_rows(sheet: Sheet, *, table: str, mapping: Settings, names: Mapping[str, str]) -> Sheet:
    """The rows that [mapping.only] keeps, with a note of those left out."""
    import numpy as np

    wanted = mapping.only.get(table, {})
    if not wanted or not len(sheet):
        return sheet
    keep, faults = np.ones(len(sheet), dtype=bool), []
    for name, word in wanted.items():
        theirs = _resolve(name, sheet, mapping=mapping, names=names)
        if theirs is None:
            near = nearest(name, sheet.columns)
            hint = f"; did you mean '{near}'?" if near else "."
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


def _resolve(name: str, sheet: Sheet, *, mapping: Settings, names: Mapping[str, str]) -> str | None:
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
    used |= _checked_boxes(sheet, done, names=names, known=known, mapping=mapping)
    used |= _from_dates(sheet, done, names=names, table=table, known=known, data=data, mapping=mapping, other=other)
    used |= {n for name in mapping.only.get(table, {}) if (n := _resolve(name, sheet, mapping=mapping, names=names))}
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
        done.notes.append(f"{sheet.file}: {_n(len(ignored), 'column')} ignored, as study.toml says.")
    if admin:
        done.notes.append(f"{sheet.file}: REDCap's own columns passed over ({', '.join(admin)}).")
    return done


def _n(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def our_name(name: str, *, mapping: Settings, names: Mapping[str, str]) -> str:
    """Our name of a column of the sheet."""
    return mapping.columns.get(name, mapping.columns.get(names.get(name, name), name))


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
        told = column.where(lambda w: w.startswith(TOLD))
        done.cells[target] = Cells(
            target if called[0] == target else f"{called[0]} ({target})", column, column,
            told=told if told.any() else None,
        )  # fmt: skip
    if renamed:
        done.notes.append(f"{sheet.file}: {_n(renamed, 'column')} renamed by [mapping.columns].")
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
        n += count * (new != word and word not in missing)
        out.append(new)
    return replace(cells, read=cells.raw.replaced(out)), n


def _checked_boxes(
    sheet: Sheet, done: Mapped, *, names: Mapping[str, str], known: Mapping[str, Column], mapping: Settings
) -> set[str]:
    """One column from several checkboxes."""
    import numpy as np

    used: set[str] = set()
    for target, boxes in mapping.checkboxes.items():
        if target not in known:
            continue
        found = {box: n for box in boxes if (n := _resolve(box, sheet, mapping=mapping, names=names))}
        if not found:
            continue
        for box in boxes:
            if box not in found:
                near = nearest(box, sheet.columns)
                hint = f"; did you mean '{near}'?" if near else "."
                done.faults.append(
                    Fault(
                        f"study.toml: [mapping.checkboxes.{target}] names '{box}', which {sheet.file} does not have"
                        f"{hint}",
                        file="study.toml",
                        column=box,
                    )
                )
        words = np.full(len(sheet), "", dtype=object)
        number, told = np.zeros(len(sheet), dtype=int), np.zeros(len(sheet), dtype=bool)
        order = {w: i for i, w in enumerate((*SITES, "unknown"))}
        for box, name in sorted(found.items(), key=lambda pair: order.get(boxes[pair[0]], 9)):
            column = sheet.columns[name]
            used.add(name)
            wrong = column.where(lambda w: w.lower() not in _BOXES)
            if wrong.any():
                done.faults.append(
                    _rows_fault(sheet, names.get(name, name), wrong, "must be 0 or 1, or Checked or Unchecked",
                                column=column)
                )  # fmt: skip
                told |= wrong
            checked = column.where(lambda w: _BOXES.get(w.lower(), False))
            words[checked] = [f"{w};{boxes[box]}" if w else boxes[box] for w in words[checked]]
            number += checked
        label = f"{target} (from {len(found)} checkboxes)"
        several = (number > 1) & (known[target].type != "text")
        if several.any():
            said = f"holds one word, but several of its checkboxes are checked in {int(several.sum())} rows"
            done.faults.append(_rows_fault(sheet, label, several, said, column=texts(words)))
            told |= several
        words[several] = ""
        done.notes.append(
            f"{sheet.file}: {target} read from {len(found)} checkboxes; none is checked in "
            f"{_n(int((number == 0).sum()), 'row')}, left empty."
        )
        made = texts(words)
        done.cells[target] = Cells(label, made, made, told=told)
    return used


def _rows_fault(sheet: Sheet, column_name: str, hit: np.ndarray, said: str, *, column: Texts) -> Fault:
    rows = hit.nonzero()[0]
    numbers = [int(sheet.rows[r]) for r in rows]
    values = tuple(shown(column.at(r)) for r in rows)
    words = few([quoted(w) for w in dict.fromkeys(column.at(r) for r in rows)])
    return Fault(
        f"{sheet.file}: {column_name} {said}: {words} (row {few(numbers)}). Correct "
        f"{'it' if len(rows) == 1 else 'them'}.",
        file=sheet.file, column=column_name, rows=tuple(numbers), values=values, wanted=said,
    )  # fmt: skip


def _constants(sheet: Sheet, done: Mapped, *, known: Mapping[str, Column], mapping: Settings) -> None:
    """Columns that are the same in every row."""
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
        made = texts([value] * len(sheet))
        done.cells[name] = Cells(name, made, made)
        done.notes.append(f"{sheet.file}: {name} is '{value}' in every row, as study.toml says.")


def _from_dates(
    sheet: Sheet, done: Mapped, *, names: Mapping[str, str], table: str, known: Mapping[str, Column], data: Data,
    mapping: Settings, other: tuple[Sheet, Mapping[str, str]] | None,
) -> set[str]:  # fmt: skip
    """Days, years and calendar years."""
    import numpy as np

    used: set[str] = set()
    for target, said in mapping.dates.items():
        if target not in known:
            continue
        if target in done.cells:
            done.faults.append(
                Fault(
                    f"study.toml: [mapping.dates.{target}], but {sheet.file} has the column "
                    f"'{done.cells[target].name}' too; wanted one of the two. Name the column under [mapping] ignore, "
                    "or take the section out.",
                    file="study.toml",
                    column=target,
                )
            )
            continue
        sides, bad = [], np.zeros(len(sheet), dtype=bool)
        missing = {"", *data.missing_words, *mapping.missing_words.get(target, ())}
        for source in (said.start, said.end):
            if not source:
                sides.append(None)
                continue
            side = _dated(sheet, source, names=names, data=data, mapping=mapping, missing=missing, other=other)
            if side is None:
                where = [*sheet.columns, *(other[0].columns if other else ())]
                near = nearest(source, where)
                hint = f"; did you mean '{near}'?" if near else "."
                lacking = f"neither {sheet.file} nor {other[0].file} has" if other else f"{sheet.file} does not have"
                done.faults.append(
                    Fault(
                        f"study.toml: [mapping.dates.{target}] names '{source}', which {lacking}{hint}",
                        file="study.toml",
                        column=source,
                    )
                )
                bad[:] = True
                sides.append(None)
                continue
            used |= side.used
            sides.append(side.dates)
            bad |= side.bad
            for fault in side.faults:
                if fault.said not in {f.said for f in done.faults}:
                    done.faults.append(fault)
        start, end = sides
        numbers = np.full(len(sheet), np.nan)
        if end is not None and (start is not None or said.unit == "calendar_year"):
            starts = start if start is not None else [None] * len(sheet)
            for i, (a, b) in enumerate(zip(starts, end, strict=True)):
                if b is not None:
                    numbers[i] = elapsed(a, b, unit=said.unit)
        numbers[bad] = np.nan
        made = texts(["" if v != v else f"{v:.15g}" for v in numbers.tolist()])
        label = f"{target} (from {said.start} to {said.end})" if said.start else f"{target} (the year of {said.end})"
        done.cells[target] = Cells(label, made, made, numbers=numbers, told=bad)
        done.notes.append(
            f"{sheet.file}: {target} reckoned from dates in {int(np.isfinite(numbers).sum())} of {len(sheet)} rows."
        )
    return used


@dataclass(eq=False)
class _Side:
    """One end of a span: a date or None for each row."""

    dates: list[Any]
    bad: np.ndarray
    faults: list[Fault]
    used: set[str]


def _dated(
    sheet: Sheet, source: str, *, names: Mapping[str, str], data: Data, mapping: Settings, missing: Collection[str],
    other: tuple[Sheet, Mapping[str, str]] | None,
) -> _Side | None:  # fmt: skip
    """The dates of a column of this sheet, or of the patient's row in the study's other one."""
    import numpy as np

    own = _resolve(source, sheet, mapping=mapping, names=names)
    holder = sheet if own is not None else other[0] if other else None
    holder_names = names if own is not None else other[1] if other else {}
    name = own if own is not None else other and _resolve(source, other[0], mapping=mapping, names=other[1])
    if holder is None or not name:
        return None
    column = holder.columns[name]
    column = column.replaced(["" if w in missing else w for w in column.words])
    dates, wrong = read_dates(column, date_format=data.date_format)
    holder_dates = column.values(dates)
    holder_bad = column.values([bool(w) for w in wrong]).astype(bool) if column.words else np.zeros(0, dtype=bool)
    if holder is sheet:
        where = np.arange(len(sheet))
        found = np.ones(len(sheet), dtype=bool)
    else:
        where, found = _joined(sheet, holder, mapping=mapping, names=names, holder_names=holder_names)
    told_rows = np.zeros(len(holder), dtype=bool)
    told_rows[where[found]] = True
    faults = _date_faults(
        holder, holder_names.get(name, name), holder_bad & told_rows, column=column, wrong=wrong, data=data,
        patients=patients_of(holder, mapping=mapping, names=holder_names),
    )  # fmt: skip
    picked = np.full(len(sheet), None, dtype=object)
    bad = np.zeros(len(sheet), dtype=bool)
    picked[found] = holder_dates[where[found]]
    bad[found] = holder_bad[where[found]]
    return _Side(picked.tolist(), bad, faults, {name} if own is not None else set())


def patients_of(sheet: Sheet, *, mapping: Settings, names: Mapping[str, str]) -> list[str]:
    """The patient of each row as the file has it; '' where it does not say."""
    key = _resolve("patient_id", sheet, mapping=mapping, names=names)
    return sheet.columns[key].values(sheet.columns[key].words).tolist() if key else [""] * len(sheet)


def _joined(
    sheet: Sheet, other: Sheet, *, mapping: Settings, names: Mapping[str, str], holder_names: Mapping[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """For each row of the sheet the first row of the same patient in the other, and whether there is one."""
    import numpy as np

    first: dict[str, int] = {}
    for i, patient in enumerate(patients_of(other, mapping=mapping, names=holder_names)):
        if patient:
            first.setdefault(patient, i)
    where = np.array([first.get(p, -1) for p in patients_of(sheet, mapping=mapping, names=names)], dtype=int)
    return where, where >= 0


def _date_faults(
    sheet: Sheet, name: str, hit: np.ndarray, *, column: Texts, wrong: Sequence[str], data: Data, patients: list[str]
) -> list[Fault]:
    """One sentence for all cells of a column that are no dates; never their values."""
    rows = hit.nonzero()[0]
    if not len(rows):
        return []
    numbers = [int(sheet.rows[r]) for r in rows]
    why = [wrong[column.codes[r]] for r in rows]
    parts = [
        f"row {n} ({'; '.join(p for p in (patients[r], w) if p)})"
        for n, r, w in zip(numbers[:5], rows, why, strict=False)
    ]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    cells = "1 cell is" if len(rows) == 1 else f"{len(rows)} cells are"
    said = (
        f"{sheet.file}: {name} must be a date written {data.date_format}; {cells} not: {', '.join(parts)}{more}. "
        f"Correct {'it' if len(rows) == 1 else 'them'}, or name another date_format under [data]."
    )
    return [
        Fault(
            said,
            file=sheet.file,
            column=name,
            rows=tuple(numbers),
            patients=tuple(patients[r] for r in rows),
            values=("(not shown)",) * len(rows),
            wanted=f"a date written {data.date_format}",
        )
    ]
