"""Follow-up ended early on purpose: at a day that is the same for all, or at the last imaging."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import columns_of
from onlm_lab.analysis.endpoint import endpoint_kind, numbers_of
from onlm_lab.analysis.rows import require_columns
from onlm_lab.errors import OnlmError

IMAGING = "last_imaging_days"
SEEN_BY_IMAGING = ("rfs", "recurrence", "regional", "distant")


def censor_at(rows: pd.DataFrame, *, endpoint: str | Sequence[str], days: float) -> pd.DataFrame:
    """The rows with follow-up ended at a horizon, the same for all: what came later is censored there.

    Events at exactly `days` count, competing ones too. Then a curve, a test or a hazard ratio speaks of the time up to
    the horizon and of nothing else.

    Args:
        rows: with the endpoint's two columns, any number of rows a patient.
        endpoint: such as "os"; or several.
        days: the horizon, days after time zero.

    Raises:
        OnlmError: the endpoint is absent, or the horizon is not above 0.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abc"), "os_days": [90, 100, 130], "os_event": [1, 1, 1]})
        >>> censor_at(rows, endpoint="os", days=100)[["os_days", "os_event"]].to_numpy().tolist()
        [[90.0, 1.0], [100.0, 1.0], [100.0, 0.0]]
    """
    if not (isinstance(days, int | float | np.number) and np.isfinite(days) and days > 0):
        raise OnlmError(f"censor_at: days must be a day after time zero, above 0, got {days!r}.")
    names = columns_of([endpoint] if isinstance(endpoint, str) else endpoint, word="endpoint", such_as="os")
    require_columns(rows, ())
    return _ended(rows, names, np.full(len(rows), float(days)))


def recurrence_at_last_imaging(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with patients free of recurrence followed to their last imaging, not to their last contact.

    A sensitivity analysis: a patient who was only telephoned may have a recurrence that nobody looked for. Censored
    patients alone are ended earlier; recurrences and deaths stay where they are. Patients without a day of imaging stay
    as they are and are counted in `attrs["recurrence_at_last_imaging"]`.

    Args:
        rows: with last_imaging_days and any of the endpoints rfs, recurrence, regional and distant.

    Raises:
        OnlmError: no last_imaging_days, or none of those endpoints.

    Example:
        >>> rows = pd.DataFrame({"patient_id": ["a", "b"], "rfs_days": [900, 500], "rfs_event": [0, 1],
        ...                      "last_imaging_days": [700, 400]})
        >>> recurrence_at_last_imaging(rows)["rfs_days"].tolist()
        [700.0, 500.0]
    """
    require_columns(rows, [IMAGING])
    known = [e for e in SEEN_BY_IMAGING if {f"{e}_days", f"{e}_event"} <= set(rows.columns)
             or {f"{e}_days", f"{e}_state"} <= set(rows.columns)]  # fmt: skip
    if not known:
        raise OnlmError(
            f"recurrence_at_last_imaging needs one of the endpoints {', '.join(SEEN_BY_IMAGING)}; the rows have none."
        )
    last = numbers_of(rows, IMAGING)
    found = _ended(rows, known, last, censored_only=True)
    found.attrs["recurrence_at_last_imaging"] = {"no day of imaging": int(np.isnan(last).sum())}
    return found


def _ended(rows: pd.DataFrame, endpoints: list[str], at: np.ndarray, *, censored_only: bool = False) -> pd.DataFrame:
    """Every endpoint ended at each patient's day; NaN days change nothing."""
    changed = {}
    for name in endpoints:
        kind = endpoint_kind(rows, endpoint=name)
        days, state = numbers_of(rows, f"{name}_days"), numbers_of(rows, f"{name}_{kind}")
        later = (days > at) & ((state == 0) | (not censored_only))
        changed[f"{name}_days"] = np.where(later, at, days)
        changed[f"{name}_{kind}"] = np.where(later & ~np.isnan(state), 0.0, state)
    return rows.assign(**changed)
