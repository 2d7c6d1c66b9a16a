"""Whether a table holds what its columns want: every fault at once, a sentence each. pandera stands behind it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import DataError, Fault
from onlm_lab.schema.cells import Decimal, hint
from onlm_lab.schema.contradictions import contradictions
from onlm_lab.schema.dictionary import KEYS, NUMERIC, Column, columns, nearest
from onlm_lab.schema.header import header_faults
from onlm_lab.schema.shown import few, quoted, shown
from onlm_lab.schema.texts import CONTROL, Texts, factorized, plain

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a table comes from: what the file calls its columns and rows, and what its cells held.

    Attributes:
        rows: number of each row in the file; None: the first is 2.
        names: our name -> what a message calls the column, where the file calls it otherwise.
        texts: our name -> the cells as the file has them.
        bad: our name -> rows that could not be read.
        told: our name -> rows whose fault is told already: nothing more is said of them.
        unsure: columns that are absent, and told to be or perhaps there under another name.
        one_event: several rows a patient are a REDCap export by events; the sentence that explains it.
    """

    file: str = "table"
    rows: np.ndarray | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, Texts] = field(default_factory=dict)
    decimals: Mapping[str, Decimal] = field(default_factory=dict)
    bad: Mapping[str, np.ndarray] = field(default_factory=dict)
    told: Mapping[str, np.ndarray] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()
    several: str = ""

    def name(self, ours: str) -> str:
        return self.names.get(ours, ours)

    def numbers(self, rows: Iterable[int]) -> list[int]:
        """Row numbers as the user sees them."""
        return [int(self.rows[r]) if self.rows is not None else int(r) + 2 for r in rows]


def check(
    frame: pd.DataFrame, *, table: str, file: str = "table", extra_columns: Iterable[Column] = (), closed: bool = True
) -> pd.DataFrame:
    """The same table, once every rule holds: names, kinds, ranges, one row a key, and what columns say together.

    Args:
        frame: values as the module's first lines say; integers, booleans, categories and the types of pandas that
            know pd.NA are taken too.
        table: as in read_table.
        file: how messages call the table.
        closed: whether an undeclared column is a fault.

    Raises:
        DataError: every fault at once.
    """
    known = columns(table, extra_columns=extra_columns)
    names = [str(c) for c in frame.columns]
    faults, unsure = header_faults(names if closed else [n for n in names if n in known], known=known, file=file)
    present = {name: c for name, c in known.items() if name in names}
    origin = Origin(file, unsure=unsure)
    once = frame.loc[:, ~frame.columns.duplicated()].reset_index(drop=True)
    once = once.assign(**{name: plain(once[name]) for name in present})
    faults += table_faults(once, present, table=table, origin=origin)
    if faults:
        raise DataError(faults)
    return frame


def table_faults(frame: pd.DataFrame, present: Mapping[str, Column], *, table: str, origin: Origin) -> list[Fault]:
    """Cell faults (through pandera), doubled keys and contradictions between columns, in the order of the columns.

    A cell is told once: what cannot be read is not missing as well, nor at odds with other columns.
    """
    import numpy as np
    import pandera.errors

    nothing = np.zeros(len(frame), dtype=bool)
    told = {name: origin.told.get(name, nothing) for name in present}
    wrong = {name: origin.bad.get(name, nothing).copy() for name in present}
    empty: dict[str, np.ndarray] = {}
    try:
        pandera_schema(tuple(present.values())).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases
        for (name, test), group in cases.groupby(["column", "check"], sort=False):
            hit = nothing.copy()
            hit[group["index"].astype(int).to_numpy()] = True
            if test == "not_nullable":
                empty[name] = hit & ~wrong[name] & ~told[name]
            else:
                wrong[name] |= hit & ~told[name]
    ids = _ids(frame, unusable=wrong.get("patient_id", nothing) | told.get("patient_id", nothing))
    faults = []
    for name, spec in present.items():
        if name in empty and empty[name].any():
            faults.append(_empty_fault(np.flatnonzero(empty[name]), spec, frame=frame, ids=ids, origin=origin))
        if wrong[name].any():
            values = origin.texts[name] if name in origin.texts else frame[name].tolist()
            rows = np.flatnonzero(wrong[name]).tolist()
            faults.append(_cell_fault(rows, spec, values=values, ids=ids, origin=origin))
    unusable = {name: wrong[name] | told[name] | empty.get(name, nothing) for name in present}
    faults += _key_faults(frame, table=table, origin=origin, ids=ids, unusable=unusable)
    for rows, found in contradictions(frame, table=table, unusable=unusable, unsure=origin.unsure):
        said = f"{origin.file}: {found.what} in {_count(rows, frame)} ({_where(rows, ids, origin)}). {found.advice}"
        there = [name for name in found.columns if name in frame]
        values = [" and ".join(shown(_held(frame, name, r, origin=origin)) or "empty" for name in there) for r in rows]
        names = " and ".join(origin.name(name) for name in there)
        faults.append(_fault(said, names, rows, ids=ids, origin=origin, wanted=found.advice, values=values))
    return faults


def _held(frame: pd.DataFrame, name: str, row: int, *, origin: Origin) -> Any:
    """What a cell holds, as the file has it."""
    if name in origin.texts:
        return origin.texts[name].at(row)
    value = frame[name].iloc[row]
    return None if value is None or value != value else value


def _ids(frame: pd.DataFrame, *, unusable: np.ndarray) -> list[Any]:
    """The patient of each row, None where the cell does not say."""
    import numpy as np

    if "patient_id" not in frame:
        return [None] * len(frame)
    column = frame["patient_id"].astype(object).to_numpy()
    return np.where(unusable | frame["patient_id"].isna().to_numpy(), None, column).tolist()


def _fault(
    said: str, column: str, rows: Sequence[int], *, ids: Sequence[Any], origin: Origin, wanted: str,
    values: Sequence[str] = (),
) -> Fault:  # fmt: skip
    """A fault with all its cells."""
    patients = tuple("" if ids[r] is None else str(ids[r]) for r in rows)
    return Fault(
        said, file=origin.file, column=column, rows=tuple(origin.numbers(rows)), patients=patients,
        values=tuple(values) or ("",) * len(rows), wanted=wanted,
    )  # fmt: skip


def _empty_fault(rows: Sequence[int], spec: Column, *, frame: pd.DataFrame, ids: list[Any], origin: Origin) -> Fault:
    name = origin.name(spec.name)
    said = f"{origin.file}: {name} is empty in {_count(rows, frame)} ({_where(rows, ids, origin)}). Fill it."
    return _fault(said, name, rows, ids=ids, origin=origin, wanted="a filled cell")


def _cell_fault(rows: list[int], spec: Column, *, values: Texts | list[Any], ids: list[Any], origin: Origin) -> Fault:
    """One sentence for all wrong cells of a column, the nearest allowed word offered."""
    name, parts, advised = origin.name(spec.name), [], set()
    decimal = origin.decimals.get(spec.name, ".")
    held = [values.at(r) if isinstance(values, Texts) else values[r] for r in rows]
    for row, value, number in zip(rows[:5], held, origin.numbers(rows[:5]), strict=False):
        where = f"{ids[row]}" if ids[row] is not None and spec.name != "patient_id" else ""
        advice = hint(value, spec=spec, decimal=decimal)
        if isinstance(value, str) and not advice and value != value.strip():
            advice = "a blank before or after it"
        inside = "; ".join(part for part in (where, "" if value in advised else advice) if part)
        advised.add(value)
        parts.append(f"{quoted(value)} in row {number}" + (f" ({inside})" if inside else ""))
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    cells = "1 cell holds" if len(rows) == 1 else f"{len(rows)} cells hold"
    wanted = spec.wanted if spec.type != "text" else "text without line breaks and without blanks at its ends"
    said = (
        f"{origin.file}: {name} must be {wanted}; {cells} something else: {', '.join(parts)}{more}. "
        f"Correct {'it' if len(rows) == 1 else 'them'}{'' if spec.filled else ', or leave the cell empty'}."
        f"{_words(held, spec)}"
    )
    return _fault(said, name, rows, ids=ids, origin=origin, wanted=wanted, values=[shown(v) for v in held])


def _words(held: list[Any], spec: Column) -> str:
    """All different wrong words of a column with words, each with its count, so that they can be recoded in one go."""
    if spec.type not in ("category", "boolean") or len(held) <= 5:
        return ""
    counts: dict[str, int] = {}
    for value in held:
        counts[str(value)] = counts.get(str(value), 0) + 1
    parts = []
    for word, n in sorted(counts.items(), key=lambda pair: -pair[1])[:40]:
        advice = hint(word, spec=spec)
        parts.append(f"{quoted(word)} {n} times" + (f" ({advice})" if advice.startswith("did you mean") else ""))
    rest = f" and {len(counts) - 40} further words" if len(counts) > 40 else ""
    return f" Its words: {', '.join(parts)}{rest}. Recode them in study.toml under [mapping.values.{spec.name}]."


def _key_faults(
    frame: pd.DataFrame, *, table: str, origin: Origin, ids: list[Any], unusable: Mapping[str, np.ndarray]
) -> list[Fault]:
    """Rows that share their key."""
    key = [k for k in KEYS[table] if k in frame]
    if len(key) < len(KEYS[table]):
        return []
    usable = frame["patient_id"].notna().to_numpy()
    for name in key:
        usable &= ~unusable[name]
    keyed = frame.loc[usable, key]
    doubled = keyed[keyed.duplicated(key, keep=False)]
    if doubled.empty:
        return []
    groups = [group for _, group in doubled.groupby(key, sort=False)]
    first = [f"{group['patient_id'].iloc[0]}: rows {few(origin.numbers(group.index))}" for group in groups[:5]]
    n = len(groups)
    one = "patient" if len(key) == 1 else f"combination of {', '.join(key)}"
    more = f" and {n - 5} more" if n > 5 else ""
    advice = origin.several or "Keep one row of each, or give different identifiers."
    said = (
        f"{origin.file}: wanted one row a {one}; {n} {'has' if n == 1 else 'have'} more ({'; '.join(first)}{more}). "
        f"{advice}"
    )
    rows = sorted(int(i) for i in doubled.index)
    return [_fault(said, origin.name("patient_id"), rows, ids=ids, origin=origin, wanted=f"one row a {one}")]


def check_known_patients(
    frame: pd.DataFrame, *, patients: Iterable[str], file: str, of: str = "clinical.csv"
) -> list[str]:
    """A sentence for rows whose patient is not in the clinical table; no fault, no sentence."""
    return [fault.said for fault in unknown_patients(frame, patients=patients, file=file, of=of)]


def unknown_patients(
    frame: pd.DataFrame, *, patients: Iterable[str], file: str, of: str = "clinical.csv", rows: np.ndarray | None = None
) -> list[Fault]:
    """The same as faults with their cells. `rows`: their numbers in the file."""
    known = set(patients)
    ids = frame["patient_id"].tolist()
    strange = [i for i, p in enumerate(ids) if p is not None and p not in known]
    if not strange:
        return []
    origin = Origin(file, rows=rows)
    near = nearest(str(ids[strange[0]]), known)
    advice = f"Did you mean '{near}'? " if near else ""
    said = (
        f"{file}: {_count(strange, frame)} belong to a patient who is not in {of} ({_where(strange, ids, origin)}). "
        f"{advice}Correct the id or add the patient."
    )
    wanted = f"a patient of {of}"
    return [_fault(said, "patient_id", strange, ids=ids, origin=origin, wanted=wanted)]


def _count(rows: Sequence[int], frame: pd.DataFrame) -> str:
    return f"{len(rows)} of {len(frame)} rows"


def _where(rows: Sequence[int], ids: Sequence[Any], origin: Origin) -> str:
    numbers = origin.numbers(rows[:5])
    named = [f"row {n}" + (f" {ids[r]}" if ids[r] is not None else "") for n, r in zip(numbers, rows, strict=False)]
    return ", ".join(named) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


@functools.lru_cache(maxsize=32)
def pandera_schema(specs: tuple[Column, ...], strict: bool = False) -> Any:
    """A pandera schema of these columns; no coercion: a label of 2 is a fault, not True."""
    import pandera.pandas as pa

    return pa.DataFrameSchema(
        {
            c.name: pa.Column(
                checks=pa.Check(functools.partial(_fits, spec=c), name=c.wanted, error=c.wanted),
                nullable=not c.filled,
                required=c.required,
                description=c.description,
            )
            for c in specs
        },
        strict=strict,
    )


def _fits(series: pd.Series, *, spec: Column) -> pd.Series:
    """Whether each (known) cell holds what the column wants; each different text is looked at once."""
    import numpy as np
    import pandas as pd

    if spec.type in NUMERIC:
        if not pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
            series = series.map(lambda v: v if isinstance(v, int | float | np.number | np.bool_) else np.inf)
        values = series.astype(float)
        good = values.abs() < float("inf")
        if spec.type == "integer":
            good &= values % 1 == 0
        if spec.type == "boolean":
            good &= values.isin([0.0, 1.0])
        if spec.low is not None:
            good &= values >= spec.low
        if spec.high is not None:
            good &= values <= spec.high
        return good
    if spec.allowed:
        return series.isin(spec.allowed)
    codes, words = factorized(series.astype(object).to_numpy())
    fits = np.array([_is_text(word) for word in words], dtype=bool)
    return pd.Series(fits[codes], index=series.index, dtype=bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value == value.strip() and value != "" and not CONTROL.search(value)
