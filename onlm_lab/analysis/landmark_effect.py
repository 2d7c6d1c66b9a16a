"""A treatment that begins during follow-up, as a naive comparison sees it and as landmarks see it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import columns_of, read_day
from onlm_lab.analysis.effect_modification import OBSERVATIONAL
from onlm_lab.analysis.endpoint import numbers_of, read_followup
from onlm_lab.analysis.hazard import cox
from onlm_lab.analysis.landmarking import landmark
from onlm_lab.errors import OnlmError
from onlm_lab.results import LandmarkEffect

NAIVE = "from time zero (naive)"
IMMORTAL = (
    "counted from time zero, the treated cannot have the event before their treatment starts: this immortal time makes "
    "any treatment look protective"
)
_COLUMNS = [
    "analysis", "day", "hr", "low", "high", "p_value", "n", "n_exposed", "n_events", "n_later", "n_left_out",
]  # fmt: skip


def compare_landmarks(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    days: Sequence[float],
    exposure: str = "adjuvant",
    start: str = "adjuvant_start_days",
    covariates: Sequence[str] = (),
    cause: int | None = None,
    model: str | None = None,
) -> LandmarkEffect:
    """The hazard ratio of a treatment counted from time zero, which is wrong, beside that from each landmark.

    Args:
        rows: one row a patient with the endpoint, the exposure (0/1) and the day on which it began.
        endpoint: such as "rfs"; with competing events name a `cause`.
        days: landmarks, days after time zero; see `landmark`.
        exposure: a treatment that begins during follow-up.
        start: the column with the day on which it began.
        covariates: further columns to adjust for.
        cause: 1 or 2 on an X_state endpoint.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: what `landmark` and `cox` refuse.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> late, life = rng.uniform(30, 300, 400), rng.exponential(900, 400).round() + 1
        >>> given = (rng.uniform(size=400) < 0.8) & (late < life)
        >>> rows = pd.DataFrame({"patient_id": range(400), "os_days": life, "os_event": 1, "adjuvant": given * 1,
        ...                      "adjuvant_start_days": np.where(given, late, np.nan)})
        >>> found = compare_landmarks(rows, endpoint="os", days=[180]).table
        >>> bool(found["high"][0] < 1), bool(found["low"][1] < 1 < found["high"][1])
        (True, True)
    """
    names = columns_of(covariates, least=0, such_as="age_years")
    if isinstance(days, str) or not isinstance(days, Iterable):
        raise OnlmError(f"days must be a list of landmarks, such as days=[180], got {days!r}.")
    landmarks = [read_day(d, name="days", least=0) for d in days]
    if not landmarks:
        raise OnlmError("days is empty: name at least one landmark, such as days=[180].")
    known = read_followup(rows, endpoint=endpoint, columns=[exposure], model=model)
    naive = known.rows.assign(**{exposure: numbers_of(known.rows, exposure)})
    terms = [exposure, *names]
    n_all = len(naive)
    table = [[NAIVE, 0.0, *_ratio(naive, endpoint, terms, cause), 0, 0]]
    notes = [OBSERVATIONAL, IMMORTAL]
    for day in landmarks:
        found = landmark(rows, day=day, endpoints=[endpoint], exposure=exposure, start=start, model=model)
        name = f"landmark day {day:g}"
        line = _ratio(found.rows, endpoint, terms, cause)
        table.append([name, float(day), *line, found.n_later, n_all - found.n])
        if np.isnan(line[0]):
            notes.append(f"{name}: no hazard ratio (too few events or nobody on one side)")
    return LandmarkEffect(
        table=pd.DataFrame(table, columns=_COLUMNS),
        endpoint=endpoint,
        exposure=exposure,
        covariates=tuple(names),
        n=n_all,
        n_events=int((known.state == (cause or 1)).sum()),
        n_excluded=known.n_excluded,
        notes=tuple(notes),
    )


def _ratio(rows: pd.DataFrame, endpoint: str, terms: list[str], cause: int | None) -> list[float]:
    """hr, low, high, p, n, number exposed, number of events; NaN where one side is empty or events are too few."""
    known = read_followup(rows, endpoint=endpoint, columns=terms)
    exposed = known.rows[terms[0]] == 1
    counts = [len(known.days), int(exposed.sum()), int((known.state == (cause or 1)).sum())]
    if exposed.nunique() < 2:
        return [np.nan] * 4 + counts
    own = cox(known.rows, endpoint=endpoint, covariates=terms, cause=cause).table.iloc[0]
    return [*(float(own[c]) for c in ("hr", "low", "high", "p_value")), *counts]
