"""Columns of a table as the columns of a regression: numbers as they are, categories against their first level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis.endpoint import level_name, sorted_levels
from onlm_lab.errors import OnlmError

MOST_LEVELS = 30


@dataclass(frozen=True, eq=False)
class Terms:
    """x: (n, p), without an intercept; a name and a unit a column; and the columns that had one value only."""

    x: np.ndarray
    names: list[str]
    units: list[str]
    constant: list[str]


def coded(rows: pd.DataFrame, *, columns: Sequence[str], of: str) -> Terms:
    """Numbers and booleans as they are, words and categories as indicators against their first level.

    Args:
        rows: no value of the columns is missing.
        columns: which; one with a single value is left out and named in `constant`.
        of: who asks, for messages.

    Raises:
        OnlmError: an infinite number, or more than 30 categories.
    """
    x, names, units, constant = [], [], [], []
    for name in columns:
        column = rows[name].infer_objects() if rows[name].dtype == object else rows[name]
        numeric = pd.api.types.is_numeric_dtype(column.dtype)
        levels = [] if numeric else sorted_levels(column)[0]
        if (column.nunique() if numeric else len(levels)) < 2:
            constant.append(name)
        elif numeric:
            number = column.to_numpy(dtype=float)
            if np.isinf(number).any():
                raise OnlmError(f"{of}: '{name}' is infinite in {int(np.isinf(number).sum())} patients. Correct it.")
            x.append(number)
            names.append(name)
            units.append("yes against no" if set(np.unique(number)) <= {0.0, 1.0} else "per 1")
        elif len(levels) > MOST_LEVELS:
            raise OnlmError(f"{of}: '{name}' has {len(levels)} categories in {len(rows)} patients. Group them first.")
        else:
            text = column.astype(object)
            x += [(text == v).to_numpy(dtype=float) for v in levels[1:]]
            names += [f"{name}[{level_name(v)}]" for v in levels[1:]]
            units += [f"against {level_name(levels[0])}"] * (len(levels) - 1)
    return Terms(np.column_stack(x) if x else np.empty((len(rows), 0)), names, units, constant)
