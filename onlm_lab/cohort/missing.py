"""What is missing: in which column, in which centre, and which columns together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.baseline import told_apart
from onlm_lab.errors import OnlmError

ALL = "all"
NO_GROUP = "(none)"
MOST_GROUPS = 1000


def missingness(patients: pd.DataFrame, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """How many cells of each column are empty: column, n_missing, missing_fraction, timing; most missing first."""
    names = _named(patients, columns)
    counts = patients[names].isna().sum().to_numpy() if names else []
    rows = []
    for name, n in zip(names, counts, strict=True):
        spec = schema.column(name)
        rows.append((name, int(n), n / len(patients) if len(patients) else math.nan, spec.timing if spec else ""))
    table = pd.DataFrame(rows, columns=["column", "n_missing", "missing_fraction", "timing"])
    return table.sort_values(["n_missing", "column"], ascending=[False, True], ignore_index=True)


def missing_by(patients: pd.DataFrame, *, by: str = "centre", columns: Sequence[str] | None = None) -> pd.DataFrame:
    """How many cells of each column are empty in each group: the missingness map.

    Args:
        patients: one row a patient.
        by: a column that names the groups; patients without one are the group "(none)".
        columns: which columns; None: all but `by` that hold anything, in the order of the table.

    Returns:
        column, group ("all" first, then the groups sorted), n, n_missing, fraction (NaN of an empty group).

    Raises:
        OnlmError: a column is absent (the nearest is named), or `by` has too many groups for a map.
    """
    names = _named(patients, columns)
    if columns is None:
        names = [n for n in names if n != by and patients[n].notna().any()]
    _named(patients, [by])
    codes, levels = pd.factorize(patients[by], sort=True)
    if len(levels) > MOST_GROUPS:
        raise OnlmError(f"Missing values by '{by}': {len(levels)} groups; wanted at most {MOST_GROUPS}. Cut it first.")
    groups = told_apart(levels, of=by, what="Missing values")
    groups = [f"{by} = {g}" if g in (ALL, NO_GROUP) else g for g in groups]
    if (codes < 0).any():
        codes, groups = np.where(codes < 0, len(groups), codes), [*groups, NO_GROUP]
    empty = patients[names].isna().to_numpy(dtype=float) if names else np.zeros((len(patients), 0))
    sizes = np.bincount(codes, minlength=len(groups))
    counts = np.stack([np.bincount(codes, weights=empty[:, j], minlength=len(groups)) for j in range(len(names))]) \
        if names else np.zeros((0, len(groups)))  # fmt: skip
    sizes, counts = np.r_[len(patients), sizes], np.c_[counts.sum(axis=1), counts]
    table = pd.DataFrame({
        "column": np.repeat(np.array(names, dtype=object), len(groups) + 1), "group": [ALL, *groups] * len(names),
        "n": np.tile(sizes, len(names)), "n_missing": counts.ravel().astype(int),
    })  # fmt: skip
    fraction = np.divide(table["n_missing"], table["n"], out=np.full(len(table), np.nan), where=table["n"] > 0)
    return table.assign(fraction=fraction)


def missing_patterns(patients: pd.DataFrame, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Which columns are missing together.

    Args:
        patients: one row a patient.
        columns: which columns; None: all that are missing in some patients and known in others.

    Returns:
        pattern (the missing columns joined by " + ", "" where none is), n_columns, n, fraction; most frequent first.
    """
    names = _named(patients, columns)
    empty = patients[names].isna().to_numpy() if names else np.zeros((len(patients), 0), dtype=bool)
    if columns is None:
        mixed = empty.any(axis=0) & ~empty.all(axis=0)
        names, empty = [n for n, m in zip(names, mixed, strict=True) if m], empty[:, mixed]
    packed = np.ascontiguousarray(np.packbits(empty, axis=1)) if names else np.zeros((len(patients), 1), dtype=np.uint8)
    _, first, counts = np.unique(packed.view(f"V{packed.shape[1]}").ravel(), return_index=True, return_counts=True)
    rows = []
    for row, n in zip(first, counts, strict=True):
        gone = [name for name, m in zip(names, empty[row], strict=True) if m]
        rows.append((" + ".join(gone), len(gone), int(n), n / len(patients)))
    table = pd.DataFrame(rows, columns=["pattern", "n_columns", "n", "fraction"])
    return table.sort_values(["n", "n_columns", "pattern"], ascending=[False, True, True], ignore_index=True)


def _named(patients: pd.DataFrame, columns: Iterable[str] | None) -> list[str]:
    present = [str(c) for c in patients.columns]
    if isinstance(columns, str):
        raise OnlmError(f"Missing values: wanted a list of columns, got the text '{columns}'. Write ['{columns}'].")
    names = present if columns is None else list(dict.fromkeys(columns))
    for name in names:
        if present.count(name) > 1:
            raise OnlmError(f"Missing values: the column '{name}' is there {present.count(name)} times. Keep one.")
        if name not in present:
            near = schema.nearest(str(name), present)
            hint = f"; did you mean {near!r}?" if near else "."
            raise OnlmError(f"Missing values: there is no column '{name}'{hint}")
    return names
