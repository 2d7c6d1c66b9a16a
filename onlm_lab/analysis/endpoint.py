"""What became of each patient: an endpoint X read from X_days with X_event (0/1) or X_state (0/1/2)."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from onlm_lab.analysis.rows import Patients, one_row_a_patient, require_columns
from onlm_lab.errors import OnlmError

MOST_NUMERIC_GROUPS = 10
MOST_GROUPS = 60
MOST_WHOLE_DAYS = 1e7  # whole days up to here are never closer than SAME_TIME
SAME_TIME = 1.5e-8  # two times closer than this, in relative terms, are one time (as R survival's timefix)


@dataclass(frozen=True, eq=False)
class Followup:
    """One endpoint of the patients in whom it is known.

    Attributes:
        rows: the kept rows, in the order in which they came.
        days: days from time zero to the event or the last contact, >= 0.
        state: 0 censored, 1 the event, 2 a competing event.
        n_excluded: reason -> number of patients left out.
    """

    rows: pd.DataFrame
    days: np.ndarray
    state: np.ndarray
    n_excluded: dict[str, int] = field(default_factory=dict)


def known_kind(columns: Collection[str], *, endpoint: str) -> str:
    """ "event" or "state" as endpoint_kind; empty where the columns do not hold the endpoint."""
    for kind in ("event", "state"):
        if f"{endpoint}_days" in columns and f"{endpoint}_{kind}" in columns:
            return kind
    return ""


def endpoint_kind(rows: pd.DataFrame | Patients, *, endpoint: str) -> str:
    """ "event" where only censoring ends follow-up early, "state" where other events compete.

    Raises:
        OnlmError: the endpoint's columns are absent; the nearest known endpoint is named.
    """
    require_columns(rows, ())
    kind = known_kind(rows.columns, endpoint=endpoint)
    if kind:
        return kind
    known = [c[: -len("_days")] for c in rows.columns if str(c).endswith("_days")]
    known = [n for n in known if f"{n}_event" in rows.columns or f"{n}_state" in rows.columns]
    near = difflib.get_close_matches(str(endpoint), known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"This table has: {', '.join(known) or 'no endpoint'}."
    raise OnlmError(
        f"endpoint '{endpoint}' needs the columns {endpoint}_days and {endpoint}_event (0/1) or {endpoint}_state "
        f"(0/1/2), but they are not all in the table. {hint}"
    )


def read_followup(
    rows: pd.DataFrame | Patients, *, endpoint: str, columns: Iterable[str] = (), model: str | None = None
) -> Followup:
    """The endpoint's times and states; patients in whom it is unknown are left out and counted.

    Args:
        rows: a row a patient (of one model), with the endpoint's two columns; or patients checked before, of whom an
            endpoint is read once.
        endpoint: its name, such as "os" or "regional".
        columns: further columns that must be known in every kept patient.
        model: which model_id; None where the table holds one only.

    Raises:
        OnlmError: more than one row a patient; columns absent or not numbers; a negative or infinite time; a state
            that does not exist; nobody left.
    """
    columns = tuple(columns)
    frame, _ = one_row_a_patient(rows, model=model)
    if isinstance(rows, Patients):
        return rows.once(("followup", endpoint, columns), lambda: _read(frame, endpoint, columns))
    return _read(frame, endpoint, columns)


def _read(rows: pd.DataFrame, endpoint: str, columns: tuple[str, ...]) -> Followup:
    require_columns(rows, columns)
    kind = endpoint_kind(rows, endpoint=endpoint)
    require_columns(rows, [f"{endpoint}_days", f"{endpoint}_{kind}"])
    days = numbers_of(rows, f"{endpoint}_days")
    state = numbers_of(rows, f"{endpoint}_{kind}")
    allowed = (0, 1) if kind == "event" else (0, 1, 2)
    _refuse(rows, (days < 0) | np.isinf(days), f"{endpoint}_days", "a time of zero or more days", days)
    wanted = " or ".join(str(v) for v in allowed)
    _refuse(rows, ~np.isnan(state) & ~np.isin(state, allowed), f"{endpoint}_{kind}", wanted, state)
    missing = np.isnan(days) | np.isnan(state)
    n_excluded = {f"{endpoint} unknown": int(missing.sum())} if missing.any() else {}
    for column in columns:
        blank = rows[column].isna().to_numpy() & ~missing
        if blank.any():
            n_excluded[f"{column} missing"] = int(blank.sum())
            missing = missing | blank
    if missing.all():
        why = "; ".join(f"{n} {reason}" for reason, n in n_excluded.items())
        raise OnlmError(f"no patient is left of {len(rows)} for endpoint '{endpoint}' ({why}). Complete the table.")
    kept = rows[~missing] if missing.any() else rows.copy(deep=False)
    kept.index = pd.RangeIndex(len(kept))
    return Followup(
        rows=kept,
        days=merge_equal_times(days[~missing]),
        state=state[~missing].astype(int),
        n_excluded=n_excluded,
    )


def read_groups(rows: pd.DataFrame, *, by: str | None) -> tuple[np.ndarray, list[str], list[str]]:
    """Each row's group number, the groups' names, and notes about groups without patients.

    Args:
        rows: no missing value in `by`.
        by: a category, a boolean or a number with few values; None puts all into one group, "all".

    Raises:
        OnlmError: `by` has so many values that curves by it would mean nothing.
    """
    if by is None:
        return np.zeros(len(rows), dtype=int), ["all"], []
    column = rows[by]
    levels, empty = sorted_levels(column)
    numeric = pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)
    most = MOST_NUMERIC_GROUPS if numeric else MOST_GROUPS
    if len(levels) > most:
        raise OnlmError(
            f"curves by '{by}' need a column with few groups, but it has {len(levels)} different values in "
            f"{len(rows)} patients. Cut it into groups first, for example with pandas.qcut."
        )
    number = {level: i for i, level in enumerate(levels)}
    found, values = pd.factorize(column)
    return (
        np.array([number[v] for v in values], dtype=int)[found],
        [level_name(v) for v in levels],
        [f"no patient with {by} = {v}" for v in empty],
    )


def sorted_levels(column: pd.Series) -> tuple[list, list]:
    """The values that occur, in the order of the categories or sorted, and the categories that do not occur."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        present = set(column.dropna().unique())
        levels = list(column.cat.categories)
        return [v for v in levels if v in present], [v for v in levels if v not in present]
    values = list(column.dropna().unique())
    try:
        return sorted(values), []
    except TypeError:
        return sorted(values, key=str), []


def level_name(value: object) -> str:
    """A level as text: 1 and 1.0 are both "1"."""
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)


def merge_equal_times(days: np.ndarray) -> np.ndarray:
    """Times that differ only by floating-point error become equal, so that ties are ties."""
    if len(days) and days.max() < MOST_WHOLE_DAYS and (days == np.floor(days)).all():
        return days
    unique = np.unique(days)
    if len(unique) < 2:
        return days
    gap = np.diff(unique)
    same = (gap <= SAME_TIME) | (gap / np.mean(np.abs(unique)) <= SAME_TIME)
    if not same.any():
        return days
    first = unique[np.maximum.accumulate(np.where(np.r_[False, same], 0, np.arange(len(unique))))]
    return first[np.searchsorted(unique, days)]


def numbers_of(rows: pd.DataFrame, column: str) -> np.ndarray:
    """A column as floats, NaN where it is empty; words are refused."""
    if getattr(rows[column].dtype, "kind", "") in "mM":
        raise OnlmError(
            f"{column} holds dates or spans ({rows[column].dtype}), but plain numbers of days are wanted. Take the "
            "days between two dates by .dt.days."
        )
    values = pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    words = np.isnan(values) & rows[column].notna().to_numpy()
    if words.any():
        example = rows.loc[words, column].iloc[0]
        raise OnlmError(f"{column} holds {int(words.sum())} values that are no numbers, such as {str(example)[:20]!r}.")
    return values


def _refuse(rows: pd.DataFrame, bad: np.ndarray, column: str, wanted: str, values: np.ndarray) -> None:
    if not bad.any():
        return
    names = ", ".join(str(v) for v in rows.loc[bad, "patient_id"].head(3))
    raise OnlmError(
        f"{column} must be {wanted}, but {int(bad.sum())} of {len(rows)} rows are not: {names} "
        f"(first value {values[bad][0]:g}). Correct the follow-up table."
    )
