"""What a survival measure takes as its prediction: P(event by a day), which is not the risk of N+."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_day, read_horizons
from onlm_lab.analysis.rows import Patients, one_row_a_patient, require_columns
from onlm_lab.errors import OnlmError

EventRisk = str | Sequence[str] | Mapping[float, str] | pd.DataFrame
COLUMN = "event_risk_at_"  # the predictions' columns in the rows that come back
RISKS_OF_LABEL = ("risk", "risk_raw", "risk_low", "risk_high", "onlm")
TABLE = ["patient_id", "horizon_days", "event_risk"]


def with_event_risk(
    rows: pd.DataFrame | Patients,
    *,
    event_risk: EventRisk,
    endpoint: str,
    horizons_days: Sequence[float],
    model: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one model with a column of predictions for each horizon, and the names of those columns.

    Args:
        rows: a row a patient.
        event_risk: P(event at or before the horizon) in [0, 1]: a column of the rows (one horizon), a column for each
            horizon in their order, {horizon: column}, or a table as in event_risk.csv (patient_id, horizon_days,
            event_risk; endpoint and model_id where there are several). A patient whom the table does not know has NaN.
        endpoint: whose event is meant; picks the table's rows.
        horizons_days: days after time zero.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a risk of N+ in its place, a horizon without a column, values outside [0, 1].

    Example:
        >>> rows = pd.DataFrame({"patient_id": ["a", "b"], "p": [0.1, 0.4]})
        >>> with_event_risk(rows, event_risk="p", endpoint="os", horizons_days=[365])[1]
        ['event_risk_at_365']
    """
    rows, model_id = one_row_a_patient(rows, model=model)
    horizons = read_horizons(horizons_days)
    names = [f"{COLUMN}{h:g}" for h in horizons]
    if isinstance(event_risk, pd.DataFrame):
        values = _from_table(rows, event_risk, endpoint, horizons, model_id)
    else:
        columns = _columns(event_risk, horizons)
        require_columns(rows, columns)
        values = [_numbers(rows[column], column) for column in columns]
    return rows.assign(**dict(zip(names, values, strict=True))), names


def _columns(event_risk: str | Sequence[str] | Mapping[float, str], horizons: list[float]) -> list[str]:
    if isinstance(event_risk, Mapping):
        known = {read_day(h, name="the horizons of event_risk"): column for h, column in event_risk.items()}
        missing = [f"{h:g}" for h in horizons if h not in known]
        if missing:
            raise OnlmError(
                f"event_risk names no column for the horizon {', '.join(missing)} days; it has "
                f"{', '.join(f'{h:g}' for h in sorted(known)) or 'none'}."
            )
        columns = [known[h] for h in horizons]
    else:
        columns = columns_listed(event_risk)
    if len(columns) != len(horizons):
        raise OnlmError(
            f"event_risk needs a column for each of {len(horizons)} horizons, it names {len(columns)}. A probability "
            "belongs to one horizon: pass {horizon: column}."
        )
    for column in columns:
        if column in RISKS_OF_LABEL:
            what = "the label" if column == "onlm" else "P(N+)"
            raise OnlmError(
                f"event_risk is '{column}', which is {what}, not the probability of the event by a day. Take what "
                "analysis.event_risk(rows, endpoint=, horizons_days=) gives, or event_risk.csv of the run."
            )
    return columns


def columns_listed(event_risk: object) -> list[str]:
    """The columns that were named, one or several."""
    listed = [event_risk] if isinstance(event_risk, str) else event_risk
    if not isinstance(listed, (list, tuple)) or not all(isinstance(c, str) for c in listed):
        raise OnlmError(
            "event_risk must be a column, a column for each horizon, {horizon: column} or a table as event_risk.csv, "
            f"got a {type(event_risk).__name__}."
        )
    return list(listed)


def _from_table(
    rows: pd.DataFrame, table: pd.DataFrame, endpoint: str, horizons: list[float], model_id: str
) -> list[np.ndarray]:
    require_columns(table, TABLE)
    if "endpoint" in table.columns:
        table = table[table["endpoint"] == endpoint]
    if "model_id" in table.columns and table["model_id"].nunique() > 1:
        table = table[table["model_id"].astype(str) == model_id]
    ids, found = rows["patient_id"].astype(str), []
    days = pd.to_numeric(table["horizon_days"], errors="coerce").to_numpy(dtype=float)
    for horizon in horizons:
        one = table[days == horizon]
        if one.empty:
            there = ", ".join(f"{d:g}" for d in np.unique(days[~np.isnan(days)])) or "none"
            raise OnlmError(
                f"event_risk holds no row of endpoint '{endpoint}' at {horizon:g} days; its horizons are {there}."
            )
        one = one.set_axis(one["patient_id"].astype(str))["event_risk"]
        if one.index.has_duplicates:
            raise OnlmError(
                f"event_risk holds more than one row a patient at {horizon:g} days. Keep one model, split and repeat."
            )
        found.append(_numbers(one.reindex(ids), "event_risk"))
    return found


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    words = np.isnan(values) & column.notna().to_numpy()
    outside = (values < 0) | (values > 1)
    if words.any() or outside.any():
        bad = int(words.sum() + outside.sum())
        raise OnlmError(f"'{name}' must be a probability in [0, 1], but {bad} of {len(values)} rows hold none.")
    return values
