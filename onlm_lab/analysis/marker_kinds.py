"""What a marker is - yes or no, ordered, a category, a number - and its values as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis.endpoint import level_name, sorted_levels
from onlm_lab.errors import OnlmError

BINARY, ORDERED, CATEGORY, NUMBER = "binary", "ordered", "category", "number"
MOST_LEVELS = 30


@dataclass(frozen=True, eq=False)
class Marker:
    """One marker: its kind, the names of its levels (none for a number), and a value a patient.

    `values`: (n,) the number itself, or the place of the level from 0; NaN where missing.
    """

    name: str
    kind: str
    levels: list[str]
    values: np.ndarray

    @property
    def known(self) -> np.ndarray:
        return ~np.isnan(self.values)


def read_marker(column: pd.Series, *, name: str, order: Sequence[object] | None = None) -> Marker:
    """A column as a marker: 0/1 and booleans are binary, ordered categories ordered, other numbers numbers.

    Args:
        column: the values, missing ones included.
        name: of the marker.
        order: its levels in rising order; None takes the column's own order, where it is an ordered categorical.

    Raises:
        OnlmError: a value that is not in the order, an infinite number, or more than 30 levels.
    """
    column = column.infer_objects() if column.dtype == object else column
    if order is not None:
        return _ordered(column, name=name, order=list(order))
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        return _ordered(column, name=name, order=list(column.cat.categories))
    if pd.api.types.is_numeric_dtype(column.dtype):
        number = column.to_numpy(dtype=float, na_value=np.nan)
        if np.isinf(number).any():
            raise OnlmError(
                f"associations: '{name}' is infinite in {int(np.isinf(number).sum())} patients. Correct it."
            )
        binary = bool(np.isin(number[~np.isnan(number)], [0, 1]).all())
        return Marker(name, BINARY if binary else NUMBER, ["0", "1"] if binary else [], number)
    levels, _ = sorted_levels(column)
    if len(levels) > MOST_LEVELS:
        raise OnlmError(
            f"associations: '{name}' has {len(levels)} levels in {len(column)} patients. Group them first, or make "
            "them numbers."
        )
    return Marker(name, CATEGORY, [level_name(v) for v in levels], _places(column, levels))


def _ordered(column: pd.Series, *, name: str, order: list[object]) -> Marker:
    strange = sorted({str(v) for v in column.dropna().unique() if v not in order})
    if strange:
        raise OnlmError(
            f"associations: '{name}' holds {', '.join(strange[:4])}, which its order ({', '.join(map(str, order))}) "
            "lacks. Name every level, lowest first."
        )
    return Marker(name, ORDERED, [level_name(v) for v in order], _places(column, order))


def _places(column: pd.Series, levels: list) -> np.ndarray:
    place = {value: float(k) for k, value in enumerate(levels)}
    return np.array([place.get(v, np.nan) if pd.notna(v) else np.nan for v in column], dtype=float)
