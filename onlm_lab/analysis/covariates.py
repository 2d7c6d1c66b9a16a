"""Covariates of a hazard model as numbers: units, categories against their first level, and what cannot be fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis.endpoint import sorted_levels
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.errors import OnlmError

PER_TEN_POINTS = "per 10 percentage points"
RISKS = ("risk", "risk_raw", "event_risk")
UNITS = {"_years": "year", "_days": "day", "_mm": "mm", "_ml": "ml", "_hu": "HU", "_px": "pixel"}
MOST_LEVELS = 30
LEAST_KNOWN = 0.7  # a covariate known in fewer would cost too many patients


@dataclass(frozen=True, eq=False)
class Design:
    """The covariates as a matrix: one name and unit a column, and which columns belong to which covariate."""

    x: np.ndarray  # (n, p)
    names: list[str]
    units: list[str]
    terms: dict[str, list[int]]


def design_matrix(
    rows: pd.DataFrame, *, covariates: list[str] | tuple[str, ...], stratum: np.ndarray, strata: str | None = None
) -> Design:
    """Numbers and booleans as they are (risks in units of 10 percentage points), text against its first level.

    Raises:
        OnlmError: a covariate with one value, with too many categories, or that follows from the others.
    """
    columns, names, units, terms = [], [], [], {}
    for covariate in covariates:
        parts = _columns(rows[covariate], covariate)
        terms[covariate] = list(range(len(names), len(names) + len(parts)))
        for name, unit, values in parts:
            names.append(name)
            units.append(unit)
            columns.append(values)
    x = np.column_stack(columns)
    _refuse_constant(x, names, stratum, strata)
    _refuse_collinear(x, names)
    return Design(x, names, units, terms)


def usable_covariates(rows: pd.DataFrame, *, wanted: Sequence[str]) -> list[str]:
    """Those of the covariates that are known in most patients and vary among those in whom all are known."""
    there = [c for c in wanted if c in rows.columns and rows[c].notna().mean() >= LEAST_KNOWN]
    complete = rows[there].dropna()
    return [c for c in there if complete[c].nunique() > 1]


def hazard_table(design: Design, coef: np.ndarray, se: np.ndarray) -> pd.DataFrame:
    """The coefficients as hazard ratios with Wald limits and p values."""
    z = normal_quantile(0.95)
    with np.errstate(over="ignore"):  # a ratio too large for a number is infinite
        hr, low, high = (np.exp(coef + k * se) for k in (0, -z, z))
    return pd.DataFrame(
        {
            "covariate": design.names,
            "unit": design.units,
            "coef": coef,
            "se": se,
            "hr": hr,
            "low": low,
            "high": high,
            "p_value": normal_tails(coef / se),
        }
    )


def _columns(column: pd.Series, name: str) -> list[tuple[str, str, np.ndarray]]:
    values = column.infer_objects() if column.dtype == object else column
    if pd.api.types.is_bool_dtype(values.dtype):
        return [(name, "yes against no", values.to_numpy(dtype=float))]
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(dtype=float)
        if np.isinf(numbers).any():
            raise OnlmError(f"covariate '{name}' is infinite in {int(np.isinf(numbers).sum())} patients. Correct it.")
        if name in RISKS:
            _refuse_percent(name, numbers)
            return [(name, PER_TEN_POINTS, numbers * 10)]
        unit = next((u for suffix, u in UNITS.items() if name.endswith(suffix)), "1")
        return [(name, f"per {unit}", numbers)]
    if name in RISKS:
        raise OnlmError(f"covariate '{name}' must be a number in [0, 1], but the column holds {column.dtype}.")
    levels, _ = sorted_levels(values)
    if len(levels) < 2:
        raise OnlmError(_constant(name, f"'{levels[0]}' in all {len(values)} patients"))
    if len(levels) > MOST_LEVELS:
        raise OnlmError(f"covariate '{name}' has {len(levels)} categories in {len(values)} patients. Group them first.")
    codes, found = pd.factorize(values)
    number = {v: i for i, v in enumerate(found)}
    return [(f"{name}[{v}]", f"against {levels[0]}", (codes == number[v]).astype(float)) for v in levels[1:]]


def _refuse_percent(name: str, numbers: np.ndarray) -> None:
    outside = (numbers < 0) | (numbers > 1)
    if outside.any():
        raise OnlmError(
            f"covariate '{name}' must lie in [0, 1] (not percent or a logit), but {int(outside.sum())} of "
            f"{len(numbers)} patients lie outside, from {numbers.min():g} to {numbers.max():g}."
        )


def _refuse_constant(x: np.ndarray, names: list[str], stratum: np.ndarray, strata: str | None) -> None:
    for name, values in zip(names, x.T, strict=True):
        if np.ptp(values) == 0:
            raise OnlmError(_constant(name, f"{values[0]:g} in all {len(values)} patients"))
        if not stratum.any():
            continue
        low, high = np.full(stratum.max() + 1, np.inf), np.full(stratum.max() + 1, -np.inf)
        np.minimum.at(low, stratum, values)
        np.maximum.at(high, stratum, values)
        if (low == high).all():
            raise OnlmError(_constant(name, f"the same in all patients of each stratum of {strata}"))


def _constant(name: str, what: str) -> str:
    return f"covariate '{name}' is constant ({what}), so it has no hazard ratio. Leave it out."


def _refuse_collinear(x: np.ndarray, names: list[str]) -> None:
    """By Gram and Schmidt: what a column has left when all before it are taken out."""
    triangle = np.linalg.qr((x - x.mean(axis=0)) / x.std(axis=0), mode="r")
    rest = np.abs(np.diag(triangle)) / np.sqrt(len(x))
    for i in range(1, len(names)):
        if i >= len(rest) or rest[i] < 1e-8:
            raise OnlmError(f"covariate '{names[i]}' follows from {', '.join(names[:i])}. Leave one of them out.")
