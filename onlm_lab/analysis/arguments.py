"""What a call was asked: days, columns, causes, counts and chance, each read once and refused in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

Columns = list[str] | tuple[str, ...]


def read_horizons(horizons_days: Iterable[float] | float) -> list[float]:
    """The horizons as they were asked, each a day after time zero.

    Raises:
        OnlmError: none, or one that is no day after time zero.
    """
    asked = horizons_days.to_numpy() if isinstance(horizons_days, (pd.Series, pd.Index)) else horizons_days
    asked = list(asked) if isinstance(asked, Iterable) and not isinstance(asked, (str, dict)) else [asked]
    if not asked:
        raise OnlmError("horizons_days is empty: name at least one day after time zero, such as [1095].")
    return [read_day(h, name="horizons_days") for h in asked]


def read_day(value: object, *, name: str, least: float | None = None) -> float:
    """One day after time zero.

    Args:
        value: what was passed.
        name: the argument, for the sentence.
        least: the first day that is allowed; None: any above 0.

    Raises:
        OnlmError: anything else.
    """
    try:
        day = np.nan if isinstance(value, (bool, np.bool_, pd.Series)) else float(value)
    except (TypeError, ValueError):
        day = np.nan
    if not (np.isfinite(day) and (day > 0 if least is None else day >= least)):
        bound = "above 0" if least is None else f"{least:g} or more"
        raise OnlmError(f"{name} must be days after time zero, {bound}, got {_short(value)}.")
    return day


def read_count(value: object, *, name: str, least: int) -> int:
    """A whole number of at least `least`.

    Raises:
        OnlmError: anything else.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise OnlmError(f"{name} must be a whole number of at least {least}, got {_short(value)}.")
    return int(value)


def read_cause(cause: object) -> int:
    """Cause 1, the event, or 2, the competing event.

    Raises:
        OnlmError: anything else.
    """
    if isinstance(cause, (bool, np.bool_)) or not isinstance(cause, (int, np.integer)) or cause not in (1, 2):
        raise OnlmError(f"cause must be 1 (the event) or 2 (the competing event), got {_short(cause)}.")
    return int(cause)


def columns_of(columns: Sequence[str], *, word: str = "covariates", least: int = 1, such_as: str = "risk") -> list[str]:
    """Several columns as a list.

    Args:
        columns: a list or tuple of names.
        word: the argument, for the sentence.
        least: how many there must be.
        such_as: an example of such a column.

    Raises:
        OnlmError: a word in place of the list, something that is no column's name, too few, or one named twice.
    """
    known = isinstance(columns, (list, tuple, pd.Index, np.ndarray)) and all(isinstance(c, str) for c in columns)
    if not known or len(columns) < least:
        several = "at least one column" if least else "columns"
        raise OnlmError(f"{word} must be a list of {several}, such as ['{such_as}'], got {_short(columns)}.")
    if len(set(columns)) < len(columns):
        raise OnlmError(f"{word} name a column twice: {', '.join(columns)}. Name each once.")
    return [str(c) for c in columns]


def predictors_of(covariates: Sequence[str], *, endpoint: str) -> list[str]:
    """The covariates as a list; the outcome itself is none.

    Raises:
        OnlmError: as columns_of; a column of the endpoint.
    """
    names = columns_of(covariates)
    own = outcome_among(names, endpoint=endpoint)
    if own:
        raise OnlmError(f"'{own}' cannot be a covariate: it is the outcome. Leave it out.")
    return names


def outcome_among(columns: Iterable[str], *, endpoint: str) -> str:
    """The first column that is part of the endpoint; empty where none is."""
    own = {f"{endpoint}_{part}" for part in ("days", "event", "state")}
    return next((c for c in columns if c in own), "")


def list_of(columns: str | Columns | None, *, word: str) -> list[str]:
    """One column or several as a list; none is an empty one.

    Raises:
        OnlmError: something that is no column's name, or one named twice.
    """
    found = [] if columns is None else [columns] if isinstance(columns, str) else columns
    if not isinstance(found, (list, tuple)) or not all(isinstance(c, str) for c in found):
        raise OnlmError(f"{word} must be a column or a list of columns, such as 'centre', got {_short(columns)}.")
    if len(set(found)) < len(found):
        raise OnlmError(f"{word} name a column twice: {', '.join(found)}. Name each once.")
    return list(found)


def one_column(column: str | None, *, word: str, needed: bool = False) -> str | None:
    """The name of one column, or None where none is needed.

    Raises:
        OnlmError: anything else.
    """
    if (column is None and not needed) or (isinstance(column, str) and column):
        return column
    raise OnlmError(f"{word} must be the name of one column, such as 'centre', got {_short(column)}.")


def read_generator(generator: np.random.Generator | None, *, seed: int) -> np.random.Generator:
    """The source of chance; None is a fixed one.

    Raises:
        OnlmError: a seed or anything else in its place.
    """
    if generator is None:
        return np.random.default_rng(seed)
    if not isinstance(generator, np.random.Generator):
        raise OnlmError(f"generator must be numpy.random.default_rng(seed), or None, got {_short(generator)}.")
    return generator


def _short(value: object) -> str:
    """What was passed, as it looks; a table is named by its type alone, so that no patient gets into a sentence."""
    if isinstance(value, (pd.DataFrame, pd.Series, pd.Index, np.ndarray)):
        return f"a {type(value).__name__} of {len(value) if value.ndim else 1} values"
    return repr(value)[:80]
