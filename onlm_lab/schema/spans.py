"""Days, years and calendar years of [mapping.dates], from this sheet or the study's other one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import Fault
from onlm_lab.schema.dates import elapsed, read_dates
from onlm_lab.schema.dictionary import Column, meant
from onlm_lab.schema.names import Cells, Mapped, patients_of, resolve
from onlm_lab.schema.sheets import Sheet
from onlm_lab.schema.shown import counted
from onlm_lab.schema.texts import Texts, texts

if TYPE_CHECKING:
    import numpy as np

    from onlm_lab.study import Data
    from onlm_lab.study import Mapping as Settings


def from_dates(
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
                hint = meant(source, where)
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
            done.notes += [note for note in side.notes if note not in done.notes]
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
    notes: list[str]


def _dated(
    sheet: Sheet, source: str, *, names: Mapping[str, str], data: Data, mapping: Settings, missing: Collection[str],
    other: tuple[Sheet, Mapping[str, str]] | None,
) -> _Side | None:  # fmt: skip
    """The dates of a column of this sheet; where it does not say, of the patient's row in the study's other one."""
    import numpy as np

    own = resolve(source, sheet, mapping=mapping, names=names)
    theirs = resolve(source, other[0], mapping=mapping, names=other[1]) if other and other[0] is not sheet else None
    if own is None and theirs is None:
        return None
    dates, bad = np.full(len(sheet), None, dtype=object), np.zeros(len(sheet), dtype=bool)
    faults: list[Fault] = []
    notes: list[str] = []
    open_ = np.ones(len(sheet), dtype=bool)  # rows whose own cell does not say
    if own is not None:
        column = _known(sheet.columns[own], missing=missing)
        found, wrong = read_dates(column, date_format=data.date_format)
        dates, bad = column.values(found), column.values(list(map(bool, wrong))).astype(bool)
        faults += _date_faults(
            sheet, names.get(own, own), bad, column=column, wrong=wrong, data=data,
            patients=patients_of(sheet, mapping=mapping, names=names),
        )  # fmt: skip
        open_ = column.where(lambda w: not w)
    if theirs is not None and open_.any():
        holder, holder_names = other
        column = _known(holder.columns[theirs], missing=missing)
        found, wrong = read_dates(column, date_format=data.date_format)
        holder_dates, holder_bad = column.values(found), column.values(list(map(bool, wrong))).astype(bool)
        where, there = _joined(sheet, holder, mapping=mapping, names=names, holder_names=holder_names)
        there &= open_
        dates[there], bad[there] = holder_dates[where[there]], holder_bad[where[there]]
        used = np.zeros(len(holder), dtype=bool)
        used[where[there]] = True
        faults += _date_faults(
            holder, holder_names.get(theirs, theirs), holder_bad & used, column=column, wrong=wrong, data=data,
            patients=patients_of(holder, mapping=mapping, names=holder_names),
        )  # fmt: skip
        taken = int(sum(date is not None for date in dates[there]))
        if own is not None and taken:  # an export by events has the date of surgery in one row, the visit in another
            notes.append(
                f"{sheet.file}: {names.get(own, own)} is empty in {counted(taken, 'row')} and was taken from the "
                f"patient's row in {'another table' if holder.file == sheet.file else holder.file}."
            )
    return _Side(dates.tolist(), bad, faults, {own} if own is not None else set(), notes)


def _known(column: Texts, *, missing: Collection[str]) -> Texts:
    """The column with nothing for its missing words."""
    return column.replaced(["" if w in missing else w for w in column.words])


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
