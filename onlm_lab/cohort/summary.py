"""Table 1, missing values and accrual: what a reader asks before the first result."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import OnlmError

TABLE_ONE = (
    "age_years", "sex", "smoking", "pack_years", "kps", "ecog", "histology", "lobe", "nodule_type", "total_diameter_mm",
    "solid_diameter_mm", "ctr", "central_location", "cea_ng_ml", "suv_max", "pet_ct_done", "invasive_staging_done",
    "derived_t", "derived_stage", "treatment", "pathological_n", "nodes_examined", "adjuvant",
)  # fmt: skip


def table_one(
    patients: pd.DataFrame,
    *,
    by: str | None = None,
    columns: Sequence[str] | None = None,
    extra_columns: Iterable[schema.Column] = (),
) -> pd.DataFrame:
    """Who the patients are, overall and by group, with what is missing and how far the groups are apart.

    The standardised mean difference is |difference| / sqrt of the mean variance (Austin, Stat Med 2009;28:3083,
    doi:10.1002/sim.3697), for categories its multinomial form (Yang & Dalton, SAS Global Forum 2012, 335); with more
    than two groups the largest of all pairs. It rests on known values; NaN where it cannot be computed.

    Args:
        patients: one row a patient.
        by: a column that names the groups, such as "arm", "centre" or "onlm"; rows without it are in "overall" only.
        columns: what to show; None takes those of TABLE_ONE that hold anything.
        extra_columns: the study's own columns.

    Returns:
        variable, level ("median (Q1-Q3)" or the category), overall, one column a group ("n (%)" or the quartiles, in
        text), n_missing, smd. The first row is the number of patients.

    Raises:
        OnlmError: a column that is not in the table; the nearest is named.
    """
    extra = tuple(extra_columns)
    for name in ([by] if by else []) + list(columns or []):
        if name not in patients:
            near = schema.nearest(name, map(str, patients.columns))
            raise OnlmError(f"Table 1: there is no column '{name}'{f'; did you mean {near!r}?' if near else '.'}")
    if columns is None:
        columns = [c for c in TABLE_ONE if c in patients and patients[c].notna().any() and c != by]
    groups: dict[str, pd.DataFrame] = {"overall": patients}
    if by:
        groups |= {_level(k): g for k, g in patients.groupby(by, sort=True)}
    rows = [{"variable": "patients", "level": "n"} | {k: str(len(g)) for k, g in groups.items()}]
    for name in columns:
        spec = schema.column(name, extra_columns=extra)
        numeric = spec.type in ("number", "integer") if spec else pd.api.types.is_numeric_dtype(patients[name])
        series = {k: g[name] for k, g in groups.items()}
        parts = [s for k, s in series.items() if k != "overall"]
        shared = {
            "n_missing": int(patients[name].isna().sum()),
            "smd": _largest(parts, numeric=numeric) if len(parts) > 1 else math.nan,
        }
        if numeric:
            cells = {k: _quartiles(s) for k, s in series.items()}
            rows.append({"variable": name, "level": "median (Q1-Q3)"} | cells | shared)
            continue
        for level in _levels(patients[name], spec=spec):
            cells = {k: _share(s, level) for k, s in series.items()}
            rows.append({"variable": name, "level": _level(level)} | cells | shared)
    return pd.DataFrame(rows, columns=["variable", "level", *groups, "n_missing", "smd"])


def _level(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _levels(series: pd.Series, *, spec: schema.Column | None) -> list[object]:
    """Categories in the schema's order, as far as they occur; of a boolean only "1"."""
    seen = set(series.dropna())
    if spec is not None and spec.type == "boolean":
        return [1.0]
    order = [a for a in (spec.allowed if spec else ()) if a in seen]
    return order + sorted(seen - set(order))


def _quartiles(series: pd.Series) -> str:
    known = series.dropna()
    if known.empty:
        return "-"
    q1, median, q3 = known.astype(float).quantile([0.25, 0.5, 0.75])
    return f"{median:.1f} ({q1:.1f}-{q3:.1f})"


def _share(series: pd.Series, level: object) -> str:
    known = series.dropna()
    n = int((known == level).sum())
    return f"{n} ({100 * n / len(known):.1f} %)" if len(known) else "-"


def _largest(parts: list[pd.Series], *, numeric: bool) -> float:
    found = [standardised_difference(a, b, numeric=numeric) for a, b in itertools.combinations(parts, 2)]
    known = [d for d in found if not math.isnan(d)]
    return max(known) if known else math.nan


def standardised_difference(a: pd.Series, b: pd.Series, *, numeric: bool) -> float:
    """Absolute standardised mean difference of two groups, known values only; sources as in table_one."""
    a, b = a.dropna(), b.dropna()
    if min(len(a), len(b)) < (2 if numeric else 1):
        return math.nan
    if numeric:
        spread = math.sqrt((a.astype(float).var() + b.astype(float).var()) / 2)
        gap = abs(float(a.astype(float).mean() - b.astype(float).mean()))
        return gap / spread if spread > 0 else (0.0 if gap == 0 else math.nan)
    levels = sorted(set(a) | set(b), key=str)[1:]
    if not levels:
        return 0.0
    p = np.array([(a == level).mean() for level in levels])
    q = np.array([(b == level).mean() for level in levels])
    covariance = (np.diag(p) - np.outer(p, p) + np.diag(q) - np.outer(q, q)) / 2
    if np.linalg.matrix_rank(covariance) < len(levels):
        return 0.0 if np.allclose(p, q) else math.nan
    return float(np.sqrt((p - q) @ np.linalg.solve(covariance, p - q)))


def missingness(patients: pd.DataFrame, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """How many cells of each column are empty: column, n_missing, missing_fraction, timing; most missing first."""
    names = [str(c) for c in patients.columns] if columns is None else list(columns)
    rows = []
    for name in names:
        spec = schema.column(name)
        n = int(patients[name].isna().sum())
        rows.append((name, n, n / len(patients) if len(patients) else math.nan, spec.timing if spec else ""))
    table = pd.DataFrame(rows, columns=["column", "n_missing", "missing_fraction", "timing"])
    return table.sort_values(["n_missing", "column"], ascending=[False, True], ignore_index=True)


def accrual(patients: pd.DataFrame) -> pd.DataFrame:
    """When and how long patients were followed, by centre and for all.

    The median follow-up is not here: it needs the reverse Kaplan-Meier estimate, which is analysis.

    Returns:
        centre, n, first_year, last_year, n_year_missing, followup_days_min, followup_days_max, n_followup_missing,
        n_lost.
    """
    rows = []
    for centre in ["all", *sorted(patients["centre"].unique())]:
        part = patients if centre == "all" else patients[patients["centre"] == centre]
        year, days = part["treatment_year"].astype(float), part["followup_days"].astype(float)
        rows.append(
            {"centre": centre, "n": len(part), "first_year": year.min(), "last_year": year.max(),
             "n_year_missing": int(year.isna().sum()), "followup_days_min": days.min(), "followup_days_max": days.max(),
             "n_followup_missing": int(days.isna().sum()), "n_lost": int((part["lost_to_followup"] == 1).sum())}
        )  # fmt: skip
    return pd.DataFrame(rows)
