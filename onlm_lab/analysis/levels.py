"""Patients divided by a column: its levels, declared and not chosen by the data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

MISSING = "missing"


def levels_of(
    column: pd.Series, *, name: str, edges: Sequence[float] | None = None, call: str = "by_subgroup"
) -> tuple[list[str], np.ndarray]:
    """The names of the levels, and each patient's level; a last level 'missing' where values are missing.

    Args:
        column: of the patients: words, categories, 0/1; numbers where edges are declared.
        name: of the column, for messages.
        edges: the rising inner edges of a column of numbers, declared before looking: [65, 75] is <65, 65 to <75, >=75.
        call: the call that asks, for messages.

    Raises:
        OnlmError: numbers without edges, edges that do not rise, or values that are no numbers.
    """
    missing = column.isna().to_numpy()
    if edges is not None:
        levels, code = _binned(column, name=name, edges=edges, call=call)
    elif isinstance(column.dtype, pd.CategoricalDtype):
        levels, code = [str(c) for c in column.cat.categories], column.cat.codes.to_numpy().astype(int)
    else:
        values = column[~missing]
        if pd.api.types.is_numeric_dtype(column) and not values.isin([0, 1]).all():
            raise OnlmError(
                f"{call}: column '{name}' holds numbers ({values.nunique()} different). Declare its edges before "
                f"looking, such as bins={{'{name}': [{float(values.median()):g}]}}."
            )
        if pd.api.types.is_numeric_dtype(column):
            values = values.astype(float).astype(int)
        words = values.astype(str)
        levels = sorted(pd.unique(words))
        code = np.full(len(column), -1)
        code[~missing] = pd.Categorical(words, categories=levels).codes
    code = np.where(missing, len(levels), code)
    return ([*levels, MISSING] if missing.any() else levels), code


def _binned(column: pd.Series, *, name: str, edges: Sequence[float], call: str) -> tuple[list[str], np.ndarray]:
    cut = np.asarray(list(edges), dtype=float)
    if not len(cut) or not np.all(np.isfinite(cut)) or not np.all(np.diff(cut) > 0):
        raise OnlmError(f"{call}: bins for '{name}' must be rising finite edges, got {list(edges)}.")
    number = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isnan(number) & column.notna().to_numpy()
    if wrong.any():
        raise OnlmError(f"{call}: '{name}' has bins, but {int(wrong.sum())} of {len(column)} values are no number.")
    inner = [f"{a:g} to <{b:g}" for a, b in pairwise(cut)]
    return [f"<{cut[0]:g}", *inner, f">={cut[-1]:g}"], np.searchsorted(cut, number, side="right")
