"""The numbers of Table 1: each characteristic overall and by group, what is missing, and how far groups are apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from onlm_lab import schema
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
class Numbers:
    """Of one number in one group; NaN where nothing is known, the spread where fewer than two are."""

    n: int
    n_missing: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    low: float
    high: float


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
        OnlmError: a column is absent or there twice, or has too many groups or levels to be a table.
    """
    extra = tuple(extra_columns)
    _require(patients, [*([by] if by else []), *(columns or []), *categories])
    if columns is None:
        columns = [c for c in TABLE_ONE if c in patients and patients[c].notna().any() and c != by]
    codes, names = _groups(patients, by=by)
    members = [np.arange(len(patients)), *(np.flatnonzero(codes == i) for i in range(len(names)))]
    lines = [
        _line(patients[name], spec=schema.column(name, extra_columns=extra), members=members,
              as_category=name in categories)
        for name in columns
    ]  # fmt: skip
    return Baseline(
        lines=tuple(lines), groups=(OVERALL, *names), sizes=tuple(len(m) for m in members), by=by or "",
        n_ungrouped=int((codes < 0).sum()) if by else 0,
    )  # fmt: skip


def _require(patients: pd.DataFrame, names: Iterable[str]) -> None:
    present = list(map(str, patients.columns))
    for name in names:
        if name not in patients:
            near = schema.nearest(name, present)
            raise OnlmError(f"Table 1: there is no column '{name}'{f'; did you mean {near!r}?' if near else '.'}")
        if present.count(str(name)) > 1:
            raise OnlmError(
                f"Table 1: the column '{name}' is there {present.count(str(name))} times. Keep one of them."
            )


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
    names = [level_text(v) for v in levels]
    return codes, [f"{by} = {n}" if n in FIXED else n for n in names]


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
    return f"{float(value):g}" if isinstance(value, int | float | np.number | np.bool_) else str(value)


def kind_of(series: pd.Series, *, spec: schema.Column | None) -> str:
    """ "number", "category" or "boolean": as declared, else by what it holds (only 0 and 1: boolean)."""
    if spec is not None:
        return {"number": "number", "integer": "number", "boolean": "boolean"}.get(spec.type, "category")
    if pd.api.types.is_bool_dtype(series.dtype):
        return "boolean"
    if not pd.api.types.is_numeric_dtype(series.dtype):
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
        values = pd.to_numeric(series, errors="coerce").to_numpy(float, na_value=np.nan)
        samples = tuple(values[m][~missing[m]] for m in members)
        numbers = tuple(_numbers(s, n_missing=int(k)) for s, k in zip(samples, n_missing, strict=True))
        smd = tuple(_number_distance(a, b) for a, b in itertools.combinations(numbers[1:], 2))
        whole = spec is not None and spec.type == "integer"
        return Line(**shared, whole=whole, smd=smd, numbers=numbers, samples=samples)
    levels, counts = _counted(series, kind=kind, spec=spec, members=members)
    smd = tuple(_share_distance(counts[:, i], counts[:, j]) for i, j in
                itertools.combinations(range(1, len(members)), 2))  # fmt: skip
    return Line(**shared, whole=False, smd=smd, levels=levels, counts=counts)


def _counted(
    series: pd.Series, *, kind: str, spec: schema.Column | None, members: list[np.ndarray]
) -> tuple[tuple[object, ...], np.ndarray]:
    """Levels in the order of the schema (those that nobody has too, where its list is short), and (levels, groups)."""
    codes, levels = _factorised(series)
    wanted: list[object] = [0.0, 1.0] if kind == "boolean" else list(spec.allowed) if spec else []
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


def _numbers(known: np.ndarray, *, n_missing: int) -> Numbers:
    if not len(known):
        return Numbers(0, n_missing, *([math.nan] * 7))
    q1, median, q3 = (float(v) for v in np.quantile(known, [0.25, 0.5, 0.75]))
    with np.errstate(over="ignore", invalid="ignore"):  # a spread beyond all numbers is told as such, not warned of
        sd = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
    return Numbers(len(known), n_missing, float(known.mean()), sd, median, q1, q3, float(known.min()),
                   float(known.max()))  # fmt: skip


def _number_distance(a: Numbers, b: Numbers) -> float:
    if min(a.n, b.n) < 2:
        return math.nan
    spread, gap = math.hypot(a.sd, b.sd) / math.sqrt(2), abs(a.mean - b.mean)
    return gap / spread if spread > 0 else (0.0 if gap == 0 else math.nan)


def _share_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Distance of two groups from their counts of each level; levels that neither has do not matter."""
    if a.sum() == 0 or b.sum() == 0:
        return math.nan
    seen = (a + b) > 0
    p, q = (a[seen] / a.sum())[1:], (b[seen] / b.sum())[1:]
    if not len(p):
        return 0.0
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if np.linalg.matrix_rank(covariance) < len(p):
        return 0.0 if np.allclose(p, q) else math.nan
    return float(np.sqrt((p - q) @ np.linalg.solve(covariance, p - q)))


def standardised_difference(a: pd.Series, b: pd.Series, *, numeric: bool) -> float:
    """Absolute standardised mean difference of two groups, known values only; NaN where it cannot be computed.

    |difference| / sqrt of the mean variance (Austin, Stat Med 2009;28:3083, doi:10.1002/sim.3697), for categories its
    multinomial form (Yang & Dalton, SAS Global Forum 2012, 335).
    """
    a, b = a.dropna(), b.dropna()
    if numeric:
        return _number_distance(*(_numbers(s.to_numpy(float), n_missing=0) for s in (a, b)))
    levels = sorted(set(a) | set(b), key=str)
    return _share_distance(*(np.array([int((s == level).sum()) for level in levels]) for s in (a, b)))
