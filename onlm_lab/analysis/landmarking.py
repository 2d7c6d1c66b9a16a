"""Landmarks: what is known only after time zero is compared from a day on which it is known (no time is immortal)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import columns_of, read_day
from onlm_lab.analysis.endpoint import endpoint_kind, numbers_of, read_followup
from onlm_lab.analysis.rows import one_row_a_patient, require_columns
from onlm_lab.errors import OnlmError
from onlm_lab.results import Landmarked

LANDMARK = "landmark_days"  # the column by which later calls know that the clock was reset
KEEPS = ("alive", "event_free")
FEW_EXPOSED = 10
_PLACE = "place among the rows"


def landmark(
    rows: pd.DataFrame,
    *,
    day: float,
    endpoints: Sequence[str] | None = None,
    exposure: str | None = "adjuvant",
    start: str | None = "adjuvant_start_days",
    keep: str = "alive",
    model: str | None = None,
) -> Landmarked:
    """The patients still at risk after `day`, the clock reset to it, and the exposure as it was known on that day.

    Who is to be treated must first live, free of recurrence, until treatment begins: counted from time zero that time
    is immortal and the treated look protected (Anderson, Cain and Gelber 1983, doi:10.1200/JCO.1983.1.11.710; Suissa
    2008, doi:10.1093/aje/kwm324). Kept are patients with time > day; exposed are those who started at or before it.

    Args:
        rows: one row a patient with the endpoints' columns and, where named, `exposure` (0/1) and `start`.
        day: days after time zero.
        endpoints: such as ("rfs", "os"); None: all of the table. The columns of others are left out of the result's
            rows, as their clock still runs from time zero.
        exposure: a treatment that begins during follow-up; None: only the clock is reset.
        start: the column with the day on which it began.
        keep: "alive": who is at risk for at least one endpoint; an endpoint that is over for a patient is then missing
            for this patient, and later calls count it as unknown. "event_free": who is at risk for every endpoint.
        model: whose rows to take when the table holds several models.

    Returns:
        Landmarked; its `.rows` go into any other call.

    Raises:
        OnlmError: columns absent, an exposure other than 0 and 1, a start day of somebody never treated, nobody left.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "rfs_days": [100, 400, 500, 600], "rfs_event": 1,
        ...                      "adjuvant": [0, 1, 1, 0], "adjuvant_start_days": [None, 40, 200, None]})
        >>> found = landmark(rows, day=180, endpoints=["rfs"])
        >>> found.rows["rfs_days"].tolist(), found.rows["adjuvant"].tolist()
        ([220.0, 320.0, 420.0], [1.0, 0.0, 0.0])
    """
    rows, _ = one_row_a_patient(rows, model=model)
    day = read_day(day, name="day", least=0)
    if keep not in KEEPS:
        raise OnlmError(f"keep must be one of {', '.join(KEEPS)}, got {keep!r}.")
    names = _endpoints(rows, endpoints)
    given, began = _exposure(rows, exposure, start)
    clocks, counts = {}, []
    at_risk = np.zeros((len(names), len(rows)), dtype=bool)
    for i, name in enumerate(names):
        days, state = _followup(rows, name)
        at_risk[i] = days > day
        clocks |= _reset(rows, name, days - day, state, at_risk[i])
        over = days <= day
        before = [int((over & (state == s)).sum()) for s in (1, 2, 0)]
        counts.append([name, *before, int(np.isnan(days).sum()), state])
    kept = at_risk.all(axis=0) if keep == "event_free" else at_risk.any(axis=0)
    unclear = kept & (np.isnan(given) | ((given == 1) & np.isnan(began)))
    kept = kept & ~unclear
    if not kept.any():
        raise OnlmError(f"no patient is left of {len(rows)} after day {day:g}. Take an earlier day.")
    later = kept & (given == 1) & (began > day)
    exposed = (given == 1) & ~later
    rest = [e for e in _known(rows) if e not in names]
    columns = clocks | {LANDMARK: float(day)}
    if exposure is not None:
        columns[exposure] = exposed.astype(float)
    others = [f"{e}_{part}" for e in rest for part in ("days", "event", "state") if f"{e}_{part}" in rows.columns]
    table = _table(counts, at_risk & kept, exposed)
    return Landmarked(
        rows=rows.assign(**columns).loc[kept].drop(columns=others).reset_index(drop=True),
        table=table,
        day=float(day),
        exposure=exposure or "",
        n_exposed=int(table["n_exposed"].iloc[0]),
        n_later=int(later.sum()),
        n=int(table["n"].iloc[0]),
        n_events=int(table["n_events"].iloc[0]),
        n_excluded=_excluded(table.iloc[0], day, unclear, given, exposure),
        notes=_notes(day, exposure, int((exposed & kept).sum()), int(later.sum()), int(kept.sum()), rest),
    )


def _known(rows: pd.DataFrame) -> list[str]:
    names = [str(c)[: -len("_days")] for c in rows.columns if str(c).endswith("_days")]
    return [n for n in names if f"{n}_event" in rows.columns or f"{n}_state" in rows.columns]


def _endpoints(rows: pd.DataFrame, endpoints: Sequence[str] | None) -> list[str]:
    if LANDMARK in rows.columns:
        raise OnlmError("these rows were landmarked already. Take the rows as they were before that.")
    names = _known(rows) if endpoints is None else columns_of(endpoints, word="endpoints", such_as="rfs")
    for name in names:
        endpoint_kind(rows, endpoint=name)
    if not names:
        raise OnlmError("the table has no endpoint (X_days with X_event or X_state). Add one, such as rfs or os.")
    return names


def _exposure(rows: pd.DataFrame, exposure: str | None, start: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Who was ever treated (0, 1, missing) and from which day; all 0 without an exposure."""
    if exposure is None:
        return np.zeros(len(rows)), np.full(len(rows), np.nan)
    if start is None:
        raise OnlmError(f"name the column with the day on which '{exposure}' began: start='{exposure}_start_days'.")
    require_columns(rows, [exposure, start])
    given = pd.to_numeric(rows[exposure], errors="coerce").to_numpy(float, na_value=np.nan)
    began = numbers_of(rows, start)
    words = np.isnan(given) & rows[exposure].notna().to_numpy()
    wrong = words | ~(np.isnan(given) | np.isin(given, (0, 1)))
    if wrong.any():
        example = rows.loc[wrong, exposure].iloc[0]
        raise OnlmError(
            f"'{exposure}' must be 0, 1 or missing, but {int(wrong.sum())} rows are not, such as {str(example)[:20]!r}."
        )
    if (began < 0).any():
        raise OnlmError(f"'{start}' is before time zero in {int((began < 0).sum())} patients. Correct it.")
    against = (given == 0) & ~np.isnan(began)
    if against.any():
        raise OnlmError(
            f"'{exposure}' is 0 but '{start}' is given in {int(against.sum())} patients. Correct one of them."
        )
    return given, began


def _followup(rows: pd.DataFrame, endpoint: str) -> tuple[np.ndarray, np.ndarray]:
    """Days and state of every row; NaN where the endpoint is unknown."""
    followup = read_followup(rows.assign(**{_PLACE: np.arange(len(rows))}), endpoint=endpoint)
    days, state = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    place = followup.rows[_PLACE].to_numpy()
    days[place], state[place] = followup.days, followup.state
    return days, state


def _reset(rows: pd.DataFrame, name: str, days: np.ndarray, state: np.ndarray, at_risk: np.ndarray) -> dict:
    kind = endpoint_kind(rows, endpoint=name)
    return {f"{name}_days": np.where(at_risk, days, np.nan), f"{name}_{kind}": np.where(at_risk, state, np.nan)}


def _table(counts: list[list], at_risk: np.ndarray, exposed: np.ndarray) -> pd.DataFrame:
    lines = []
    for (name, event, competing, censored, unknown, state), own in zip(counts, at_risk, strict=True):
        here = [int(own.sum()), int((own & (state == 1)).sum()), int((own & exposed).sum())]
        lines.append([name, *here, event, competing, censored, unknown])
    before = ["n_event_before", "n_competing_before", "n_censored_before", "n_unknown"]
    return pd.DataFrame(lines, columns=["endpoint", "n", "n_events", "n_exposed", *before])


def _excluded(
    first: pd.Series, day: float, unclear: np.ndarray, given: np.ndarray, exposure: str | None
) -> dict[str, int]:
    name = first["endpoint"]
    reasons = {
        f"{name}: event by day {day:g}": int(first["n_event_before"]),
        f"{name}: competing event by day {day:g}": int(first["n_competing_before"]),
        f"{name}: follow-up ended by day {day:g}": int(first["n_censored_before"]),
        f"{name} unknown": int(first["n_unknown"]),
        f"{exposure} unknown": int((unclear & np.isnan(given)).sum()),
        f"{exposure}: start day unknown": int((unclear & (given == 1)).sum()),
    }
    return {reason: n for reason, n in reasons.items() if n}


def _notes(day: float, exposure: str | None, n_exposed: int, n_later: int, n: int, rest: list[str]) -> tuple[str, ...]:
    notes = [f"counted from day {day:g} after time zero: who had the event or left before it is not in the comparison"]
    if exposure is not None:
        notes.append(f"{exposure}: {n_exposed} of {n} patients had started by day {day:g}")
        if n_later:
            who = "1 patient" if n_later == 1 else f"{n_later} patients"
            notes.append(f"{who} started {exposure} after day {day:g} and count as not exposed")
        if min(n_exposed, n - n_exposed) < FEW_EXPOSED:
            notes.append(f"few patients on one side: {n_exposed} exposed, {n - n_exposed} not")
    if rest:
        notes.append(f"endpoints left out, as their clock runs from time zero: {', '.join(rest)}")
    return tuple(notes)
