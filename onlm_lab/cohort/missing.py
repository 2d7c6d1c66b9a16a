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
# Columns that are asked of some patients only: the column that says of whom, and its words for them.
ASKED_OF: dict[str, tuple[str, tuple[object, ...]]] = {
    "suv_max": ("pet_ct_done", (1.0,)), "invasive_staging_positive": ("invasive_staging_done", (1.0,)),
    "pathological_n": ("arm", ("surgery",)), "nodes_examined": ("arm", ("surgery",)),
    "n2_stations_examined": ("arm", ("surgery",)), "adjuvant_start_days": ("adjuvant", (1.0,)),
    "death_cause": ("died", (1.0,)), "recurrence_days": ("recurred", (1.0,)), "recurrence_site": ("recurred", (1.0,)),
    "histology_source": ("histology", ("adenocarcinoma", "squamous", "other_nsclc")),
}  # fmt: skip


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


def asked(patients: pd.DataFrame, *, column: str) -> np.ndarray:
    """Of whom a column is asked, bool: a cause of death of the dead, nodes of the surgery arm; most of everybody.

    A day of local, regional or distant recurrence is asked of those whose recurrence_site names that site. Where the
    table does not say of whom, of everybody.
    """
    if f"recorded_{column}" in patients:  # the endpoint of that name, which everybody has
        return np.ones(len(patients), dtype=bool)
    name = column.removeprefix("recorded_")
    site = name.removesuffix("_days")
    if site in schema.SITES and "recurrence_site" in patients:
        return patients["recurrence_site"].astype(object).map(lambda said: _names(said, site)).to_numpy(dtype=bool)
    decides, words = ASKED_OF.get(name, ("", ()))
    if decides not in patients:
        return np.ones(len(patients), dtype=bool)
    return patients[decides].isin(words).to_numpy(dtype=bool)


def _names(said: object, site: str) -> bool:
    return isinstance(said, str) and site in said.split(";")


def _recorded(patients: pd.DataFrame, name: str) -> bool:
    """Whether a column was filled in by somebody, and is neither an identifier nor derived here."""
    spec = schema.column(name)
    if name == "patient_id" or f"recorded_{name}" in patients:
        return False
    return spec is None or spec.table != "derived" or name.startswith("recorded_")


def missing_by(
    patients: pd.DataFrame, *, by: str = "centre", columns: Sequence[str] | None = None, asked_only: bool = False
) -> pd.DataFrame:
    """How many cells of each column are empty in each group: the missingness map.

    Args:
        patients: one row a patient.
        by: a column that names the groups; patients without one are the group "(none)".
        columns: which columns; None: all but `by` that hold anything, in the order of the table; with `asked_only`
            only those that somebody filled in.
        asked_only: counts a column among the patients of whom it is asked (see `asked`): a cause of death is not
            missing in the living, nor a pathological N after SBRT.

    Returns:
        column, group ("all" first, then the groups sorted), n, n_missing, fraction (NaN where n is 0).

    Raises:
        OnlmError: a column is absent (the nearest is named), or `by` has too many groups for a map.
    """
    names = _named(patients, columns)
    if columns is None:
        names = [n for n in names if n != by and patients[n].notna().any()]
        names = [n for n in names if not asked_only or _recorded(patients, n)]
    _named(patients, [by])
    codes, levels = pd.factorize(patients[by], sort=True)
    if len(levels) > MOST_GROUPS:
        raise OnlmError(f"Missing values by '{by}': {len(levels)} groups; wanted at most {MOST_GROUPS}. Cut it first.")
    groups = told_apart(levels, of=by, what="Missing values")
    groups = [f"{by} = {g}" if g in (ALL, NO_GROUP) else g for g in groups]
    if (codes < 0).any():
        codes, groups = np.where(codes < 0, len(groups), codes), [*groups, NO_GROUP]
    of_whom = [asked(patients, column=n) if asked_only else np.ones(len(patients), dtype=bool) for n in names]
    sizes = [np.bincount(codes[here], minlength=len(groups)) for here in of_whom]
    counts = [
        np.bincount(codes[here & patients[n].isna().to_numpy(dtype=bool)], minlength=len(groups))
        for n, here in zip(names, of_whom, strict=True)
    ]
    table = pd.DataFrame({
        "column": np.repeat(np.array(names, dtype=object), len(groups) + 1), "group": [ALL, *groups] * len(names),
        "n": _with_sum(sizes), "n_missing": _with_sum(counts),
    })  # fmt: skip
    fraction = np.divide(table["n_missing"], table["n"], out=np.full(len(table), np.nan), where=table["n"] > 0)
    return table.assign(fraction=fraction)


def _with_sum(counts: list[np.ndarray]) -> np.ndarray:
    """The counts of each column's groups, their sum before them, end to end."""
    return np.concatenate([np.r_[part.sum(), part] for part in counts]) if counts else np.empty(0, dtype=int)


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
