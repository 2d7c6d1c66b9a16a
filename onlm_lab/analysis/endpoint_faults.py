"""Endpoints that contradict themselves or each other: what cannot have happened as it is written."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from onlm_lab.analysis.rows import require_columns
from onlm_lab.errors import OnlmError

COLUMNS = ["endpoint", "n", "what", "advice", "patient_ids"]
ENDPOINTS = {
    "os": "event", "rfs": "event", "recurrence": "state", "regional": "state", "distant": "state",
    "cancer_death": "state",
}  # fmt: skip
FIRST = ("recurrence", "regional", "distant")  # all end at the first recurrence
SAME_DAY = 1e-6

Found = Iterator[tuple[str, np.ndarray, str, str]]


def check_endpoints(rows: pd.DataFrame) -> pd.DataFrame:
    """The faults of the endpoints in a table, a line a fault; no line where nothing contradicts anything.

    Looked at in every patient, surgery and SBRT alike; endpoints that are not there are not missed.

    Args:
        rows: patient_id and any of the endpoints' columns: os_days with os_event, regional_days with regional_state.

    Returns:
        endpoint, n (patients), what, advice, patient_ids (a list).

    Raises:
        OnlmError: no patient_id, or no endpoint at all.

    Example:
        >>> rows = pd.DataFrame({"patient_id": ["a", "b"], "os_days": [900, 500], "os_event": [0, 1],
        ...                      "rfs_days": [900, 700], "rfs_event": [0, 1]})
        >>> check_endpoints(rows)[["endpoint", "n", "what"]].to_numpy().tolist()
        [['rfs', 1, 'recurrence or death later than the last day alive']]
    """
    require_columns(rows, ["patient_id"])
    names = [f"{e}_{part}" for e, kind in ENDPOINTS.items() for part in ("days", kind)]
    there = [name for name in names if name in rows.columns]
    if not there:
        raise OnlmError(f"check_endpoints: no column of an endpoint is in the table, such as {', '.join(names[:4])}.")
    require_columns(rows, there)
    table = rows[["patient_id", *there]].drop_duplicates()  # rows of several models repeat the same follow-up
    value = {name: pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan) for name in there}
    written = {name: table[name].notna().to_numpy() for name in there}
    faults = [*_repeated(table), *_half(value, len(table)), *_alone(value, written), *_against_death(value)]
    faults += [*_between_recurrences(value)]
    ids = table["patient_id"].astype(str).to_numpy()
    lines = []
    for endpoint, wrong, what, advice in faults:
        if wrong.any():
            who = list(dict.fromkeys(ids[wrong]))
            lines.append((endpoint, len(who), what, advice, who))
    return pd.DataFrame(lines, columns=COLUMNS)


def _repeated(table: pd.DataFrame) -> Found:
    twice = table["patient_id"].duplicated(keep=False).to_numpy()
    yield (
        "all",
        twice,
        "follow-up differs between rows of one patient",
        "Join follow-up from one table, a row a patient.",
    )


def _half(value: dict[str, np.ndarray], n: int) -> Found:
    """Columns that lack their partner."""
    for name, kind in ENDPOINTS.items():
        pair = (f"{name}_days", f"{name}_{kind}")
        missing = [column for column in pair if column not in value]
        if len(missing) == 1:
            yield name, np.ones(n, dtype=bool), f"no column {missing[0]}", f"Add {missing[0]}, or drop its partner."


def _alone(value: dict[str, np.ndarray], written: dict[str, np.ndarray]) -> Found:
    """Each endpoint by itself."""
    for name, kind in ENDPOINTS.items():
        allowed = (0, 1) if kind == "event" else (0, 1, 2)
        for column in (f"{name}_days", f"{name}_{kind}"):
            if column in value:
                yield name, written[column] & np.isnan(value[column]), f"{column} is no number", "Correct the entry."
        days, state = value.get(f"{name}_days"), value.get(f"{name}_{kind}")
        if days is not None:
            yield (name, (days < 0) | np.isinf(days), "time is negative or infinite",
                   "Time runs from surgery or the first SBRT fraction: check both dates.")  # fmt: skip
        if state is not None:
            odd = ~np.isnan(state) & ~np.isin(state, allowed)
            yield name, odd, f"{kind} is not {' or '.join(map(str, allowed))}", "Code the event anew."
        if days is not None and state is not None:
            yield (name, np.isnan(days) & ~np.isnan(state), f"{kind} without a time",
                   "Fill in the day of the event or of the last contact.")  # fmt: skip
            yield (name, ~np.isnan(days) & np.isnan(state), f"time without {kind}",
                   "Say whether the event came, or leave the time empty too.")  # fmt: skip


def _against_death(value: dict[str, np.ndarray]) -> Found:
    """Each endpoint beside overall survival."""
    nothing = np.full(len(next(iter(value.values()))), np.nan)

    def of(column: str) -> np.ndarray:
        return value.get(column, nothing)

    last, dead = of("os_days"), of("os_event")
    yield ("rfs", of("rfs_days") > last + SAME_DAY, "recurrence or death later than the last day alive",
           "Correct the day of the recurrence or of the last contact.")  # fmt: skip
    yield ("rfs", (dead == 1) & (of("rfs_event") == 0), "dead, but free of recurrence or death",
           "A death is an event of recurrence-free survival.")  # fmt: skip
    for name in FIRST:
        yield (name, of(f"{name}_days") > last + SAME_DAY, f"{name} time later than the last day alive",
               "Correct the day of the recurrence or of the last contact.")  # fmt: skip
    yield ("recurrence", (dead == 1) & (of("recurrence_state") == 0), "dead without recurrence, but not counted as "
           "competing", "A death without recurrence is state 2.")  # fmt: skip
    yield ("recurrence", (dead == 0) & (of("recurrence_state") == 2), "death competes, but the patient is alive",
           "State 2 of recurrence is a death: correct it, or os_event.")  # fmt: skip
    cause = of("cancer_death_state")
    yield ("cancer_death", (dead == 0) & (cause == 1), "died of lung cancer, but alive in overall survival",
           "Correct os_event, or the cause of death.")  # fmt: skip
    yield ("cancer_death", (dead == 0) & (cause == 2), "died of another cause, but alive in overall survival",
           "Correct os_event, or the cause of death.")  # fmt: skip
    yield ("cancer_death", (dead == 1) & (cause == 0), "alive, but dead in overall survival",
           "Give the cause of death; where it is unknown, leave state and time empty.")  # fmt: skip
    yield ("cancer_death", np.abs(of("cancer_death_days") - last) > SAME_DAY, "time differs from overall survival",
           "Both end with the death or the last contact.")  # fmt: skip


def _between_recurrences(value: dict[str, np.ndarray]) -> Found:
    """Recurrence of any site beside its sites, and beside recurrence-free survival."""
    nothing = np.full(len(next(iter(value.values()))), np.nan)

    def of(column: str) -> np.ndarray:
        return value.get(column, nothing)

    days, state = of("recurrence_days"), of("recurrence_state")
    for name in ("regional", "distant"):
        came_back = of(f"{name}_state") == 1
        yield (name, came_back & ((state == 0) | (state == 2)), f"{name} recurrence, but no recurrence",
               "Say of what site the first recurrence was, or that there was none.")  # fmt: skip
        yield (name, np.abs(of(f"{name}_days") - days) > SAME_DAY, "time differs from that of any recurrence",
               "Sites end with the first recurrence, whatever its site.")  # fmt: skip
        yield (name, (of(f"{name}_state") == 0) & ((state == 1) | (state == 2)), "recurred or died, but not counted as "
               "competing", "Another site's recurrence, or a death, is state 2.")  # fmt: skip
    yield ("regional", (of("regional_state") == 1) & (of("distant_state") == 1), "first recurrence both regional and "
           "distant", "Found together they count as regional: the distant state is 2.")  # fmt: skip
    sites = np.abs(of("regional_days") - of("distant_days")) > SAME_DAY
    yield ("distant", sites & np.isnan(days), "time differs from that of regional recurrence",
           "Sites end with the first recurrence, whatever its site.")  # fmt: skip
    yield ("rfs", (of("rfs_event") == 0) & ((state == 1) | (state == 2)), "recurred or died, but no event",
           "Recurrence and death are the events of recurrence-free survival.")  # fmt: skip
    yield ("rfs", (of("rfs_event") == 1) & (state == 0), "event, but neither recurrence nor death",
           "Say which of the two it was.")  # fmt: skip
    yield ("rfs", np.abs(of("rfs_days") - days) > SAME_DAY, "time differs from that of recurrence",
           "Both end with the first recurrence, the death or the last contact.")  # fmt: skip
