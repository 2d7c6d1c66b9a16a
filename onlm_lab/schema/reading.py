"""The one door by which a spreadsheet comes in: all text first, then what each column says it is."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema import mapping as mappings
from onlm_lab.schema.cells import decimal_of, parse_words
from onlm_lab.schema.checking import Origin, table_faults
from onlm_lab.schema.dictionary import NUMERIC, Column, columns
from onlm_lab.schema.header import header_faults
from onlm_lab.schema.names import Cells, Mapped, every_column, our_name
from onlm_lab.schema.redcap import ADMIN, matches
from onlm_lab.schema.settings import plain_settings, settings_faults
from onlm_lab.schema.sheets import Sheet
from onlm_lab.schema.shown import few, quoted, shown
from onlm_lab.schema.sources import Lost, Source, doubled_beside, lost_columns, open_source
from onlm_lab.schema.texts import TOLD, texts
from onlm_lab.study import Data
from onlm_lab.study import Mapping as Settings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_VERBATIM = ("patient_id", "centre")


@dataclass(frozen=True, eq=False)
class Reading:
    """A table that came in right.

    Attributes:
        frame: the checked table: rows and columns in the file's order, then columns made by the mapping.
        notes: what was done on the way, a sentence each, with counts.
        rows: the number of each row as a spreadsheet shows it.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    rows: np.ndarray | None = field(default=None, repr=False)


def read(
    path: str | Path,
    *,
    table: str,
    data: Data | None = None,
    mapping: Settings | None = None,
    extra_columns: Iterable[Column] = (),
    beside: str | Path | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Reading:
    """A spreadsheet as a checked table, with notes of what was done on the way.

    Args:
        path: separated text (CSV, TSV, semicolons) or an Excel workbook (.xlsx, .xlsm); names in the first row.
        table: "clinical", "followup", "annotations", "predictions" or "analysis".
        data: sheets, encoding, separator, decimal sign, format of dates, missing words, REDCap's data dictionary
            (a path; relative to the folder of `path`).
        mapping: the hospital's own names and words.
        extra_columns: the study's own columns.
        beside: the study's other file, in which a date of [mapping.dates] may stand; looked up by patient_id.
        defaults: value of a whole column, by name, for columns that the file may leave out.

    Raises:
        DataError: every fault of the file at once, with its cells in `details`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "clinical.csv"
        >>> _ = path.write_text("patient_id;centre;age_years\\n007;A;61,5\\n")
        >>> reading = read(path, table="clinical")
        >>> reading.frame["patient_id"].tolist(), reading.frame["age_years"].tolist()
        (['007'], [61.5])
        >>> reading.notes[-1]
        'clinical.csv: decimal commas read in 1 cell (age_years).'
    """
    data, mapping, path = data or Data(), plain_settings(mapping or Settings()), Path(path)
    extra = tuple(extra_columns)
    source = open_source(path, table=table, data=data, mapping=mapping, extra_columns=extra)
    other = None
    if beside is not None:
        second = "followup" if table == "clinical" else "clinical"
        other = open_source(beside, table=second, data=data, mapping=mapping, extra_columns=extra)
    opened = [source, *([other] if other else [])]
    lost = [one for one in lost_columns(opened, mapping=mapping, extra_columns=extra) if one.only_in(table)]
    faults = settings_faults(mapping, extra_columns=extra) + [one.fault([path.name]) for one in lost]
    reading, found = try_source(
        source, data=data, mapping=mapping, extra_columns=extra, other=other, defaults=defaults, lost=lost
    )
    faults += found + (doubled_beside(other, mapping=mapping) if other else [])
    if reading is None or faults:
        raise DataError(distinct(faults))
    return reading


def read_table(
    path: str | Path,
    *,
    table: str,
    missing_words: Sequence[str] = ("",),
    extra_columns: Iterable[Column] = (),
    defaults: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """A spreadsheet whose columns bear our names, as a checked table: rows and columns in the file's order.

    Args:
        path: as in read.
        table: "clinical", "followup", "annotations", "predictions" or "analysis".
        missing_words: cells that mean "not known"; the empty cell always does. patient_id and centre are never read
            as missing words: a patient called "NA" stays.
        extra_columns: the study's own columns.
        defaults: value of a whole column, by name, for columns that the file may leave out.

    Raises:
        DataError: every fault of the file at once, a sentence each.
    """
    data = Data(missing_words=tuple(missing_words))
    return read(path, table=table, data=data, extra_columns=extra_columns, defaults=defaults).frame


def try_source(
    source: Source,
    *,
    data: Data,
    mapping: Settings,
    extra_columns: Sequence[Column] = (),
    other: Source | None = None,
    elsewhere: Collection[str] = (),
    defaults: Mapping[str, Any] | None = None,
    lost: Sequence[Lost] = (),
) -> tuple[Reading | None, list[Fault]]:
    """What could be read of an opened file, and all its faults; with any fault the table is not fit for use.

    Args:
        other: the study's other file, where dates may stand.
        elsewhere: columns of another table that the same sheet holds too.
        lost: columns that the mapping names and no file has; a near name is not told as unknown too.
    """
    import pandas as pd

    sheet, table = source.sheet, source.table
    own = extra_columns if table not in ("followup", "annotations") else ()
    known = columns(table, extra_columns=own)
    done = mappings.mapped(
        sheet, names=source.names, table=table, known=known, data=data, mapping=mapping, project=source.project,
        other=other.beside if other else None, elsewhere=elsewhere,
    )  # fmt: skip
    for name, value in (defaults or {}).items():
        if name not in done.cells:
            made = texts([str(value)] * len(sheet))
            done.cells[name] = Cells(name, made, made)
    unknown = [n for n in done.unknown if not {n, source.names.get(n, n)} & {one.near for one in lost}]
    called = {our_name(n, mapping=mapping, names=source.names): source.names.get(n, n) for n in unknown}
    named, unsure = header_faults([*done.cells, *called], known=known, file=sheet.file, called=called)
    twice_ignored = [f for f in sheet.faults if f.column and not f.rows and matches(f.column, mapping.ignore)]
    sheet_faults = [f for f in sheet.faults if f not in twice_ignored]
    doubled = {fault.column for fault in sheet_faults if fault.column}
    absent = {one.target for one in lost} | doubled
    faults = _with_patients([*sheet_faults, *done.faults], source=source, mapping=mapping)
    ours = every_column(extra_columns)
    nowhere = {theirs for theirs, target in mapping.columns.items() if target not in ours}  # told in settings_faults
    faults += [f for f in named if f.column not in absent | nowhere]
    notes = [*sheet.notes, *done.notes]
    if not len(sheet):
        return None, distinct(faults)
    values, origin, cell_faults = _values(done, source=source, known=known, data=data, mapping=mapping, notes=notes)
    origin = replace(origin, unsure=unsure | (absent & known.keys()), several=_several(source))
    frame = pd.DataFrame(values)
    present = {name: spec for name, spec in known.items() if name in values}
    faults += _with_patients(cell_faults, source=source, mapping=mapping)
    faults += table_faults(frame, present, table=table, origin=origin)
    return Reading(frame, tuple(notes), sheet.rows), distinct(faults)


def _with_patients(faults: Iterable[Fault], *, source: Source, mapping: Settings) -> list[Fault]:
    """The faults of this file's cells with the patient of each row, where they do not say."""
    faults = list(faults)
    if not any(f.rows and not f.patients and f.file == source.sheet.file for f in faults):
        return faults
    named = dict(zip(source.sheet.rows.tolist(), source.ids(mapping=mapping), strict=True))
    return [
        replace(f, patients=tuple(p if (p := named.get(row, "")).isprintable() else "" for row in f.rows))
        if f.rows and not f.patients and f.file == source.sheet.file else f
        for f in faults
    ]  # fmt: skip


def distinct(faults: Iterable[Fault]) -> list[Fault]:
    """The faults without those that say the same."""
    return list({fault.said: fault for fault in faults}.values())


def _values(
    done: Mapped, *, source: Source, known: Mapping[str, Column], data: Data, mapping: Settings,
    notes: list[str],
) -> tuple[dict[str, Any], Origin, list[Fault]]:  # fmt: skip
    """Every column as values, where its cells could be read, and what Excel or mixed decimal signs left unreadable."""
    sheet, faults = source.sheet, []
    values, bad, told, decimals, raw, names = {}, {}, {}, {}, {}, {}
    points = any(_has_points(cells) for name, cells in done.cells.items() if known[name].type in NUMERIC)
    commas: dict[str, int] = {}
    changed: dict[str, int] = {}
    for name, cells in done.cells.items():
        spec = known[name]
        missing = {"", *mapping.missing_words.get(name, ()), *(() if name in _VERBATIM else data.missing_words)}
        field_ = source.project.fields.get(_their_name(name, mapping))
        cells, n = mappings.recoded(
            cells, spec=spec, missing=missing, words=mapping.values.get(name, {}),
            yes_no=field_ is not None and field_.is_yes_no,
        )  # fmt: skip
        if n:
            changed[name] = n
        names[name], raw[name] = cells.name, cells.raw
        read_, told_ = cells.read, cells.told
        decimal = "."
        if spec.type in NUMERIC and cells.numbers is None:
            decimal = decimal_of(read_.words, named=data.decimal, separator=sheet.separator)
            if decimal == "both" or (decimal == "," and points and not data.decimal):
                fault, mixed = _mixed(cells, sheet=sheet)
                faults.append(fault)
                told_ = mixed if told_ is None else told_ | mixed
                decimal = "."
            elif decimal == ",":
                n = int(read_.where(lambda w: "," in w).sum())
                commas.update({name: n} if n else {})
        parsed = parse_words(read_.words, spec=spec, decimal=decimal, factor=mapping.factors.get(name, 1.0))
        values[name] = (
            cells.numbers if cells.numbers is not None else (read_.values(parsed.values, numeric=spec.type in NUMERIC))
        )
        bad_ = read_.values(parsed.bad).astype(bool)
        if any(parsed.broken):
            broken = read_.values(parsed.broken).astype(object)
            faults.append(_broken_fault(cells, broken, sheet=sheet))
            hit = broken != ""
            told_ = hit if told_ is None else told_ | hit
        if told_ is not None:
            told[name] = told_
            bad_ &= ~told_
        bad[name] = bad_
        decimals[name] = decimal
        if name in mapping.factors and mapping.factors[name] != 1.0:
            notes.append(f"{sheet.file}: {cells.name} multiplied by {mapping.factors[name]:g}, as study.toml says.")
    if commas:
        n = sum(commas.values())
        notes.append(f"{sheet.file}: decimal commas read in {n} cell{'s' if n > 1 else ''} ({', '.join(commas)}).")
    if changed:
        said = ", ".join(f"{name} {n}" for name, n in changed.items())
        n = sum(changed.values())
        notes.append(f"{sheet.file}: {n} cell{'s' if n > 1 else ''} recoded ({said}).")
    return values, Origin(sheet.file, sheet.rows, names, raw, decimals, bad, told), faults


def _has_points(cells: Cells) -> bool:
    """Whether a number of the column is written with a decimal point."""
    return cells.numbers is None and any(re.fullmatch(r"[+-]?\d*\.\d+", w, re.ASCII) for w in cells.read.words)


def _their_name(name: str, mapping: Settings) -> str:
    """The sheet's name of one of our columns."""
    return next((theirs for theirs, ours in mapping.columns.items() if ours == name), name)


def _mixed(cells: Cells, *, sheet: Sheet) -> tuple[Fault, np.ndarray]:
    """A column with decimal commas and decimal points."""
    comma = cells.read.where(lambda w: "," in w)
    point = cells.read.where(lambda w: "." in w and not w.startswith(TOLD))
    both = comma | point
    rows = both.nonzero()[0]
    numbers = [int(sheet.rows[r]) for r in rows]
    if not point.any():  # the points stand in other columns: 1,234 may be a thousand and more
        said = (
            f"{sheet.file}: {cells.name} has commas in its numbers (row {few(numbers)}), but other columns have "
            "decimal points. Write all the same way, or name the sign in study.toml under [data] decimal."
        )
        values = tuple(shown(cells.raw.at(r)) for r in rows)
        wanted = "one decimal sign in the file"
        return Fault(said, file=sheet.file, column=cells.name, rows=tuple(numbers), values=values, wanted=wanted), both
    with_comma, with_point = (few([int(sheet.rows[r]) for r in hit.nonzero()[0]]) for hit in (comma, point))
    said = (
        f"{sheet.file}: {cells.name} has decimal commas (row {with_comma}) and decimal points (row {with_point}); "
        "wanted one of them. Write all the same way, or name it in study.toml under [data] decimal."
    )
    values = tuple(shown(cells.raw.at(r)) for r in rows)
    fault = Fault(
        said, file=sheet.file, column=cells.name, rows=tuple(numbers), values=values, wanted="one decimal sign"
    )
    return fault, both


def _broken_fault(cells: Cells, broken: np.ndarray, *, sheet: Sheet) -> Fault:
    """Cells that hold what Excel left in place of a value."""
    rows = (broken != "").nonzero()[0]
    numbers = [int(sheet.rows[r]) for r in rows]
    parts = [f"{broken[r]} in row {n}" for r, n in zip(rows[:5], numbers, strict=False)]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    count = "1 cell" if len(rows) == 1 else f"{len(rows)} cells"
    said = (
        f"{sheet.file}: {cells.name} has no value in {count}: {', '.join(parts)}{more}. Correct the cell, or empty it."
    )
    values = tuple(shown(cells.raw.at(r)) for r in rows)
    return Fault(said, file=sheet.file, column=cells.name, rows=tuple(numbers), values=values, wanted="a value")


def _several(source: Source) -> str:
    """What to do where REDCap has several rows a patient."""
    for name in ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"):
        for own in (name, ADMIN[name]):
            column = source.sheet.columns.get(own)
            if column is not None and len(set(column.words)) > 1:
                words = few([quoted(word) for word in column.words])
                return (
                    f"REDCap exports a row for each event or instance; say in study.toml which is wanted, such as "
                    f'[mapping.only.{source.table}] {own} = "{column.words[0]}" (the column holds {words}).'
                )
    return ""
