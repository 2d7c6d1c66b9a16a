"""Which cells differ between two versions of the same patients, as text that shows no free text and no date."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.schema.shown import shown

RECORDED = "recorded_"  # how a cohort keeps the days of followup.csv that share an endpoint's name
HIDDEN = "(a text)"
HEAD = ["change", "patient_id", "centre", "column", "before", "after"]


def change_rows(change: str, **columns: Iterable[object]) -> pd.DataFrame:
    """Rows of one kind of change; what is not given is empty."""
    data = {name: list(values) for name, values in columns.items()}
    size = max((len(v) for v in data.values()), default=0)
    filled = {name: data.get(name, [""] * size) for name in HEAD[1:]}
    return pd.DataFrame({"change": [change] * size, **filled}, columns=HEAD).astype(object)


def differ(a: pd.Series, b: pd.Series) -> np.ndarray:
    """Where two columns differ; missing and missing are the same."""
    empty = a.isna().to_numpy(), b.isna().to_numpy()
    unequal = (a.to_numpy(dtype=object) != b.to_numpy(dtype=object)) if a.dtype == object or b.dtype == object \
        else (a.to_numpy() != b.to_numpy())  # fmt: skip
    return np.asarray(unequal, dtype=bool) & ~(empty[0] & empty[1])


def changed_cells(
    a: pd.DataFrame, b: pd.DataFrame, *, names: list[str], listed: list[str], specs: dict[str, schema.Column]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Changed cells of patients who are in both versions, and their counts by column (most changed first)."""
    parts, counts = [], []
    nothing = pd.Series([None] * len(a), index=a.index, dtype=object)
    for name in names:
        x, y = a[name] if name in a else nothing, b[name] if name in b else nothing
        if name in a and name in b and pd.api.types.is_numeric_dtype(x) != pd.api.types.is_numeric_dtype(y):
            x, y = _as_texts(x), _as_texts(y)  # the type was declared anew: 1 and "1" are the same cell
        changed = differ(x, y)
        if not changed.any():
            continue
        was, now = x.notna().to_numpy() & changed, y.notna().to_numpy() & changed
        counts.append((file_name(name), int(changed.sum()), int((now & ~was).sum()), int((was & ~now).sum()),
                       int((was & now).sum())))  # fmt: skip
        if name in listed:
            spec = specs.get(name) or schema.column(name)
            free = spec is None or (spec.type == "text" and name in specs)
            parts.append(change_rows(
                "cell", patient_id=a.index[changed], centre=b.loc[changed, "centre"],
                column=[file_name(name)] * int(changed.sum()), before=_told(x[changed], free),
                after=_told(y[changed], free),
            ))  # fmt: skip
    table = pd.DataFrame(counts, columns=["column", "n_changed", "n_filled", "n_emptied", "n_altered"])
    table = table.sort_values(["n_changed", "column"], ascending=[False, True], ignore_index=True)
    return (pd.concat(parts, ignore_index=True) if parts else change_rows("cell")), table


def _as_texts(values: pd.Series) -> pd.Series:
    known = values.notna()
    return pd.Series([_exact(v) if k else None for v, k in zip(values.tolist(), known, strict=True)],
                     index=values.index, dtype=object)  # fmt: skip


def _told(values: pd.Series, free: bool) -> list[str]:
    """Cells as text; of free text only that there is some."""
    known = values.notna()
    if free:
        return ["" if not k else f"{v:g}" if isinstance(v, int | float) else HIDDEN
                for v, k in zip(values.tolist(), known, strict=True)]  # fmt: skip
    words = {v: _exact(v) for v in pd.unique(values[known])}
    return [words[v] if k else "" for v, k in zip(values.tolist(), known, strict=True)]


def _exact(value: object) -> str:
    return repr(float(value)).removesuffix(".0") if isinstance(value, int | float) else shown(value)


def file_name(column: str) -> str:
    """What the files call a column of the cohort."""
    return column.removeprefix(RECORDED)
