"""The numbers of Table 1: each characteristic overall and by group, what is missing, and how far groups are apart."""

from __future__ import annotations

import itertools
import math
import numbers as kinds
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.distances import Numbers, number_distance, numbers_of, share_distance
from onlm_lab.errors import OnlmError

TABLE_ONE = (
    "age_years", "sex", "smoking", "pack_years", "kps", "ecog", "histology", "lobe", "nodule_type", "total_diameter_mm",
    "solid_diameter_mm", "ctr", "central_location", "cea_ng_ml", "suv_max", "pet_ct_done", "invasive_staging_done",
    "derived_t", "derived_stage", "treatment", "pathological_n", "nodes_examined", "adjuvant",
)  # fmt: skip
OVERALL = "overall"
MOST_GROUPS = 60
MOST_LEVELS = 60
SHORT_LIST = 5  # a category of at most so many words also shows those that nobody has
FIXED = ("variable", "level", OVERALL, "n_missing", "smd", "p_value", "test")


@dataclass(frozen=True, eq=False)
class Line:
    """One characteristic: its numbers or its counts by group (first: overall), and the distances between groups.

    Attributes:
        name: the column.
        kind: "number", "category" or "boolean".
        whole: holds whole numbers.
        numbers: of a number, a group each.
        levels, counts: of a category, (levels, groups).
        n, n_missing: known and missing, a group each.
        smd: of each pair of groups, in the order of Baseline.pairs.
        samples: known values by group, for the tests; empty for a category.
    """

    name: str
    kind: str
    whole: bool
    n: np.ndarray
    n_missing: np.ndarray
    smd: tuple[float, ...]
    numbers: tuple[Numbers, ...] = ()
    levels: tuple[object, ...] = ()
    counts: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=int))
    samples: tuple[np.ndarray, ...] = ()

    @property
    def largest_smd(self) -> float:
        known = [d for d in self.smd if not math.isnan(d)]
        return max(known) if known else math.nan


@dataclass(frozen=True, eq=False)
class Baseline:
    """All lines. `groups`: names, "overall" first; `sizes`: patients in each; `n_ungrouped`: patients without one."""

    lines: tuple[Line, ...]
    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    by: str
    n_ungrouped: int

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        return tuple(itertools.combinations(self.groups[1:], 2))


def baseline(
    patients: pd.DataFrame,
    *,
    by: str | None,
    columns: Sequence[str] | None,
    extra_columns: Iterable[schema.Column],
    categories: Sequence[str] = (),
) -> Baseline:
    """Everything that Table 1 says, computed once.

    Args:
        patients: one row a patient.
        by: a column that names the groups; None: overall alone.
        columns: what to show; None takes those of TABLE_ONE that hold anything.
        extra_columns: the study's own columns.
        categories: columns of numbers that are shown level by level, such as ECOG.

    Raises:
        OnlmError: a column is absent or there twice, holds free text, dates or what its kind does not allow, or has too
            many groups or levels to be a table.
    """
    extra = tuple(extra_columns)
    for name in (columns, categories):
        if isinstance(name, str):
            raise OnlmError(f"Table 1: wanted a list of columns, got the text '{name}'. Write ['{name}'].")
    _require(patients, [*([by] if by else []), *(columns or []), *categories], extra=extra)
    if columns is None:
        columns = [c for c in TABLE_ONE if c in patients and patients[c].notna().any() and c != by]
    codes, names = _groups(patients, by=by)
    members = [np.arange(len(patients)), *(np.flatnonzero(codes == i) for i in range(len(names)))]
    lines = [
        _line(patients[name], spec=schema.column(name, extra_columns=extra), members=members,
              as_category=name in categories)
        for name in dict.fromkeys(columns)
    ]  # fmt: skip
    return Baseline(
        lines=tuple(lines), groups=(OVERALL, *names), sizes=tuple(len(m) for m in members), by=by or "",
        n_ungrouped=int((codes < 0).sum()) if by else 0,
    )  # fmt: skip


def _require(patients: pd.DataFrame, names: Iterable[str], *, extra: tuple[schema.Column, ...]) -> None:
    present = list(map(str, patients.columns))
    for name in names:
        if name not in patients:
            near = schema.nearest(name, present)
            raise OnlmError(f"Table 1: there is no column '{name}'{f'; did you mean {near!r}?' if near else '.'}")
        if present.count(str(name)) > 1:
            raise OnlmError(
                f"Table 1: the column '{name}' is there {present.count(str(name))} times. Keep one of them."
            )
        spec = schema.column(name, extra_columns=extra)
        if spec is not None and spec.type == "text" and schema.column(name) is None:
            raise OnlmError(
                f"Table 1: '{name}' is free text, which no table shows. Declare it a category with its allowed words."
            )
        if pd.api.types.is_datetime64_any_dtype(patients[name].dtype):
            raise OnlmError(f"Table 1: '{name}' holds dates, which no table shows. Give days or years instead.")


def _groups(patients: pd.DataFrame, *, by: str | None) -> tuple[np.ndarray, list[str]]:
    """Each row's group number (-1: none) and the names in their order."""
    if by is None:
        return np.full(len(patients), -1), []
    codes, levels = _factorised(patients[by])
    if len(levels) > MOST_GROUPS:
        raise OnlmError(
            f"Table 1 by '{by}' would have {len(levels)} groups in {len(patients)} patients; wanted at most "
            f"{MOST_GROUPS}. Cut the column into groups first, for example with pandas.cut."
        )
    names = told_apart(levels, of=by, what="Table 1")
    taken = [n in FIXED or not n.strip() or n.startswith(("n_missing: ", "smd: ")) for n in names]
    return codes, [f"{by} = {n if n.strip() else repr(n)}" if t else n for n, t in zip(names, taken, strict=True)]


def told_apart(levels: Iterable[object], *, of: str, what: str) -> list[str]:
    """The levels of a column as texts; refused where two, such as the number 1 and the text "1", read the same."""
    texts = [level_text(v) for v in levels]
    twice = next((t for t in texts if texts.count(t) > 1), None)
    if twice is not None:
        raise OnlmError(f"{what}: '{of}' holds both a number and a text that read '{twice}'. Write all of it as text.")
    return texts


def _factorised(series: pd.Series) -> tuple[np.ndarray, list[object]]:
    """Codes of the values (-1: missing) and the values that occur, in the order of categories or sorted."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        used = series.cat.remove_unused_categories()
        return used.cat.codes.to_numpy(int), list(used.cat.categories)
    codes, seen = pd.factorize(series, use_na_sentinel=True)
    values = list(seen)
    order = sorted(range(len(values)), key=lambda i: _sort_key(values[i]))
    place = np.empty(len(values) + 1, dtype=int)
    place[-1] = -1
    for new, old in enumerate(order):
        place[old] = new
    return place[codes], [values[i] for i in order]


def _sort_key(value: object) -> tuple[int, float, str]:
    return (0, float(value), "") if isinstance(value, int | float | np.number) else (1, 0.0, str(value))


def level_text(value: object) -> str:
    """A level as text: 1 and 1.0 are both "1", true is "1"."""
    if not isinstance(value, int | float | np.number | np.bool_):
        return str(value)
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def kind_of(series: pd.Series, *, spec: schema.Column | None) -> str:
    """ "number", "category" or "boolean": as declared, else by what it holds (only 0 and 1: boolean)."""
    if spec is not None:
        return {"number": "number", "integer": "number", "boolean": "boolean"}.get(spec.type, "category")
    if pd.api.types.is_bool_dtype(series.dtype):
        return "boolean"
    if isinstance(series.dtype, pd.CategoricalDtype):
        return "category"
    if not pd.api.types.is_numeric_dtype(series.dtype):
        held = pd.api.types.infer_dtype(series, skipna=True)
        if held not in ("integer", "floating", "mixed-integer-float", "boolean"):
            return "category"
    known = series.dropna().to_numpy(float)
    return "boolean" if len(known) and np.isin(known, (0.0, 1.0)).all() else "number"


def _line(series: pd.Series, *, spec: schema.Column | None, members: list[np.ndarray], as_category: bool) -> Line:
    kind = "category" if as_category else kind_of(series, spec=spec)
    missing = series.isna().to_numpy()
    n_missing = np.array([int(missing[m].sum()) for m in members])
    known = np.array([len(m) for m in members]) - n_missing
    shared = {"name": str(series.name), "kind": kind, "n": known, "n_missing": n_missing}
    if kind == "number":
        values = _as_numbers(series)
        samples = tuple(values[m][~missing[m]] for m in members)
        numbers = tuple(numbers_of(s, n_missing=int(k)) for s, k in zip(samples, n_missing, strict=True))
        smd = tuple(number_distance(a, b) for a, b in itertools.combinations(numbers[1:], 2))
        whole = spec is not None and spec.type == "integer"
        return Line(**shared, whole=whole, smd=smd, numbers=numbers, samples=samples)
    levels, counts = _counted(series, kind=kind, spec=spec, members=members)
    smd = tuple(share_distance(counts[:, i], counts[:, j]) for i, j in
                itertools.combinations(range(1, len(members)), 2))  # fmt: skip
    return Line(**shared, whole=False, smd=smd, levels=levels, counts=counts)


def _as_numbers(series: pd.Series) -> np.ndarray:
    """The values as floats, NaN where missing; text is not taken for a number."""
    if pd.api.types.is_numeric_dtype(series.dtype):
        values = series.to_numpy(float, na_value=np.nan)
    else:
        real = [isinstance(v, kinds.Real) or bad for v, bad in zip(series.tolist(), series.isna(), strict=True)]
        _refuse(series, wrong=~np.array(real, dtype=bool), wanted="numbers")
        values = series.astype(object).to_numpy(float, na_value=np.nan)
    _refuse(series, wrong=np.isinf(values), wanted="finite numbers")
    return values


def _refuse(series: pd.Series, *, wrong: np.ndarray, wanted: str) -> None:
    if wrong.any():
        raise OnlmError(
            f"Table 1: '{series.name}' wants {wanted}, but {int(wrong.sum())} of {int(series.notna().sum())} known "
            f"values are none (first in row {int(wrong.argmax()) + 1}). Correct them, or read the table with "
            "load_cohort, which tells all faults."
        )


def _counted(
    series: pd.Series, *, kind: str, spec: schema.Column | None, members: list[np.ndarray]
) -> tuple[tuple[object, ...], np.ndarray]:
    """Levels in the order of the schema (those that nobody has too, where its list is short), and (levels, groups)."""
    codes, levels = _factorised(series)
    if kind == "boolean":
        strange = np.array([v not in (0, 1) for v in levels] + [False], dtype=bool)
        _refuse(series, wrong=strange[codes], wanted="0 or 1")
    texts = told_apart(levels, of=str(series.name), what="Table 1")
    wanted: list[object] = [0.0, 1.0] if kind == "boolean" else list(spec.allowed) if spec else []
    if kind == "category" and wanted:
        levels = list(texts)  # allowed words are texts: the number 1 is the level "1"
    if kind == "category" and (len(wanted) > SHORT_LIST or not levels):
        wanted = [w for w in wanted if w in set(levels)]
    order = wanted + [v for v in levels if v not in wanted]
    if len(order) > MOST_LEVELS:
        raise OnlmError(
            f"Table 1: '{series.name}' has {len(order)} different values in {len(series)} patients; wanted at most "
            f"{MOST_LEVELS}. Leave it out, or cut it into groups first."
        )
    place = np.array([order.index(v) for v in levels] + [-1], dtype=int)
    codes = place[codes]
    counts = [np.bincount(codes[m][codes[m] >= 0], minlength=len(order)) for m in members]
    return tuple(order), np.stack(counts, axis=1)
