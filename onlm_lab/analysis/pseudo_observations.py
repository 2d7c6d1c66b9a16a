"""What stands for "had the event by the day" in patients who were censored before it: jackknife pseudo-observations."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from onlm_lab.analysis.arguments import read_cause, read_horizons
from onlm_lab.analysis.endpoint import endpoint_kind, read_followup
from onlm_lab.analysis.horizon_risk import pseudo_observations
from onlm_lab.errors import OnlmError


def pseudo_values(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    horizons_days: Sequence[float],
    cause: int = 1,
    model: str | None = None,
) -> pd.DataFrame:
    """Each patient's pseudo-observation of the event by each horizon, to be regressed on anything.

    n F - (n - 1) F(without the patient), F being 1 - Kaplan-Meier, or Aalen and Johansen's cumulative incidence where
    events compete (Andersen, Klein and Rosthoj 2003, doi:10.1093/biomet/90.1.15). Exact, without a refit. It may lie
    below 0 or above 1; the mean over patients is close to F. It takes censoring to be independent of the patients.

    Args:
        rows: a row a patient with {endpoint}_days and {endpoint}_event or {endpoint}_state.
        endpoint: such as "os" or "regional".
        horizons_days: days after time zero.
        cause: 1, or 2 for the competing event.
        model: whose rows to take when the table holds several models.

    Returns:
        patient_id, horizon_days, pseudo_value: a row a patient and horizon, NaN past the last follow-up. A patient in
        whom the endpoint is unknown has no row.

    Raises:
        OnlmError: an endpoint that is absent, a horizon not above zero, cause 2 where nothing competes.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abc"), "os_days": [5, 8, 20], "os_event": [1, 0, 1]})
        >>> pseudo_values(rows, endpoint="os", horizons_days=[10])["pseudo_value"].round(3).tolist()
        [1.0, 0.0, 0.0]
    """
    refuse_cause(cause, competing=endpoint_kind(rows, endpoint=endpoint) == "state", endpoint=endpoint)
    followup = read_followup(rows, endpoint=endpoint, model=model)
    ids, out = followup.rows["patient_id"], []
    for horizon in read_horizons(horizons_days):
        values = pseudo_observations(followup.days, followup.state, horizon_days=horizon, cause=cause)
        out.append(pd.DataFrame({"patient_id": ids, "horizon_days": float(horizon), "pseudo_value": values}))
    return pd.concat(out, ignore_index=True)


def refuse_cause(cause: int, *, competing: bool, endpoint: str) -> None:
    """Stop where there is no such cause."""
    if read_cause(cause) == 2 and not competing:
        raise OnlmError(f"'{endpoint}' has no competing event, so there is no cause 2. Leave cause at 1.")
