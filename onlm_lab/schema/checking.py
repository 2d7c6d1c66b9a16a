"""Whether a table holds what its columns want: every fault at once, a sentence each. pandera stands behind it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from onlm_lab.errors import DataError
from onlm_lab.schema.contradictions import contradictions
from onlm_lab.schema.dictionary import KEYS, NUMERIC, Column, columns, nearest

CONTROL = re.compile(r"[\x00-\x1f\x7f]")  # line breaks and the like, left over from an export

if TYPE_CHECKING:
    import pandas as pd


def check(
    frame: pd.DataFrame, *, table: str, file: str = "table", extra_columns: Iterable[Column] = (), closed: bool = True
) -> pd.DataFrame:
    """The same table, once every rule holds: names, kinds, ranges, one row a key, and what columns say together.

    Args:
        frame: values as the module's first lines say; integers and bools of numpy are taken too.
        table: as in read_table.
        file: how messages call the table.
        closed: whether an undeclared column is a fault.

    Raises:
        DataError: every fault at once.
    """
    known = columns(table, extra_columns=extra_columns)
    names = [str(c) for c in frame.columns]
    faults = header_faults(names if closed else [n for n in names if n in known], known=known, file=file)
    present = {name: c for name, c in known.items() if name in names}
    faults += table_faults(frame.reset_index(drop=True), present, table=table, file=file, texts={}, bad={})
    if faults:
        raise DataError(faults)
    return frame


def table_faults(
    frame: pd.DataFrame,
    present: dict[str, Column],
    *,
    table: str,
    file: str,
    texts: dict[str, list[str]],
    bad: dict[str, list[int]],
) -> list[str]:
    """Cell faults (through pandera), doubled keys and contradictions between columns, in the order of the columns."""
    import pandera.errors

    wrong = {name: set(bad.get(name, ())) for name in present}
    empty: dict[str, list[int]] = {}
    try:
        pandera_schema(tuple(present.values())).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as error:
        for name, test, position in error.failure_cases[["column", "check", "index"]].itertuples(index=False):
            if test == "not_nullable":
                if position not in wrong[name]:
                    empty.setdefault(name, []).append(int(position))
            else:
                wrong[name].add(int(position))
    ids = frame["patient_id"].tolist() if "patient_id" in frame else [None] * len(frame)
    faults = []
    for name, spec in present.items():
        if name in empty:
            rows = empty[name]
            faults.append(f"{file}: {name} is empty in {_count(rows, frame)} ({_where(rows, ids)}). Fill it.")
        if wrong[name]:
            shown = texts.get(name) or frame[name].tolist()
            faults.append(_cell_sentence(sorted(wrong[name]), spec, shown=shown, ids=ids, file=file))
    faults += _key_faults(frame, table=table, file=file, ids=ids)
    for rows, said in contradictions(frame, table=table):
        faults.append(f"{file}: {said[0]} in {_count(rows, frame)} ({_where(rows, ids)}). {said[1]}")
    return faults


def _cell_sentence(rows: list[int], spec: Column, *, shown: list[Any], ids: list[Any], file: str) -> str:
    """One sentence for all wrong cells of a column, the nearest allowed word offered."""
    parts = []
    for row in rows[:5]:
        value = shown[row]
        near = nearest(str(value), spec.allowed)
        hint = f"; did you mean '{near}'?" if near else ""
        if isinstance(value, str) and value != value.strip():
            hint = "; a blank before or after it"
        elif isinstance(value, str) and spec.type == "number" and re.fullmatch(r"[+-]?\d+,\d+", value):
            hint = f"; did you mean '{value.replace(',', '.')}'?"
        elif isinstance(value, str) and not value.isprintable() and spec.type in ("text", "category"):
            hint = "; a line break or another control character inside it"
        text = value if isinstance(value, str) else f"{value:g}" if isinstance(value, int | float) else str(value)
        where = f"{ids[row]}" if ids[row] is not None and spec.name != "patient_id" else ""
        inside = (where + hint).removeprefix("; ")
        text = "".join(c if c.isprintable() else " " for c in text)
        parts.append(f"'{shortened(text)}' in row {row + 2}" + (f" ({inside})" if inside else ""))
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    cells = "1 cell holds" if len(rows) == 1 else f"{len(rows)} cells hold"
    wanted = spec.wanted if spec.type != "text" else "text without line breaks and without blanks at its ends"
    return (
        f"{file}: {spec.name} must be {wanted}; {cells} something else: {', '.join(parts)}{more}. "
        f"Correct {'it' if len(rows) == 1 else 'them'}{'' if spec.filled else ', or leave the cell empty'}."
    )


def _key_faults(frame: pd.DataFrame, *, table: str, file: str, ids: list[Any]) -> list[str]:
    """Rows that share their key."""
    key = [k for k in KEYS[table] if k in frame]
    if len(key) < len(KEYS[table]):
        return []
    doubled = frame[frame.duplicated(key, keep=False) & frame["patient_id"].notna()]
    if doubled.empty:
        return []
    first = [
        f"{group['patient_id'].iloc[0]}: rows {', '.join(str(i + 2) for i in group.index)}"
        for _, group in list(doubled.groupby(key, sort=False))[:5]
    ]
    n = len(doubled.drop_duplicates(key))
    one = "patient" if len(key) == 1 else f"combination of {', '.join(key)}"
    return [
        f"{file}: wanted one row a {one}; {n} {'has' if n == 1 else 'have'} more ({'; '.join(first)}). "
        "Keep one row of each, or give different identifiers."
    ]


def check_known_patients(
    frame: pd.DataFrame, *, patients: Iterable[str], file: str, of: str = "clinical.csv"
) -> list[str]:
    """A fault for rows whose patient is not in the clinical table; no fault, no sentence."""
    known = set(patients)
    rows = [i for i, p in enumerate(frame["patient_id"]) if p is not None and p not in known]
    if not rows:
        return []
    near = nearest(str(frame["patient_id"].iloc[rows[0]]), known)
    hint = f"Did you mean '{near}'? " if near else ""
    where = _where(rows, frame["patient_id"].tolist())
    return [
        f"{file}: {_count(rows, frame)} belong to a patient who is not in {of} ({where}). {hint}"
        "Correct the id or add the patient."
    ]


def header_faults(header: list[str], *, known: dict[str, Column], file: str) -> list[str]:
    """Unknown, doubled and missing column names."""
    faults = []
    for name in header:
        if name not in known:
            near = nearest(name, [k for k in known if k not in header])
            hint = f"did you mean '{near}'? Rename it" if near else "rename it"
            where = (
                f", or declare it in study.toml under [columns.{name.strip() or 'NAME'}]" if "risk" not in known else ""
            )
            faults.append(f"{file}: column '{shortened(name)}' is not known; {hint}{where}.")
    for name in sorted({n for n in header if header.count(n) > 1}):
        faults.append(f"{file}: column '{name}' is there {header.count(name)} times; wanted once. Remove the others.")
    for name, wanted in known.items():
        if wanted.required and name not in header:
            faults.append(f"{file}: column '{name}' is missing ({wanted.description}). Add it.")
    return faults


def _count(rows: list[int], frame: pd.DataFrame) -> str:
    return f"{len(rows)} of {len(frame)} rows"


def _where(rows: list[int], ids: list[Any]) -> str:
    named = [f"row {r + 2}" + (f" {ids[r]}" if ids[r] is not None else "") for r in rows[:5]]
    return ", ".join(named) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def few(rows: list[int]) -> str:
    """The first five numbers, and how many more there are."""
    return ", ".join(map(str, rows[:5])) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def shortened(text: str) -> str:
    """A cell's text, at most 40 characters of it."""
    return text if len(text) <= 40 else text[:37] + "..."


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
    """Whether each (known) cell holds what the column wants."""
    import pandas as pd

    if spec.type in NUMERIC:
        if not pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
            return series.map(lambda v: False if isinstance(v, str) else _fits(pd.Series([v]), spec=spec).iloc[0])
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
    good = series.map(lambda v: isinstance(v, str) and v == v.strip() and v != "" and not CONTROL.search(v)).astype(
        bool
    )
    return good & series.isin(spec.allowed) if spec.allowed else good
