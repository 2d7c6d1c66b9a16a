"""How well a score tells who has the event sooner: Uno's C and the time-dependent AUC, with inverse censoring weights.

Both take any score, higher is worse; it need not be a probability of the event. Patients whose event was seen stand for
those censored before it, by the weight 1 / G(T-); at a tie events come before censorings.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.concordance import concordance
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup
from onlm_lab.analysis.product_limit import Z95, Steps, uncensored_before
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate


def uno_c(
    rows: pd.DataFrame, *, endpoint: str, tau_days: float, score: str = "risk", model: str | None = None
) -> Estimate:
    """Share of pairs in which the patient with the higher score has the event first, freed from the censoring.

    Uno et al. (2011, doi:10.1002/sim.4154): pairs whose first event falls at or before tau, weighted by 1 / G(T-)^2;
    equal scores count 1/2. As R survival's concordance(timewt = "n/G2", ymax = tau), with its infinitesimal jackknife.

    Args:
        rows: one row a patient with {endpoint}_days, {endpoint}_event and the score.
        endpoint: such as "os"; without competing events.
        tau_days: only events up to this day count; choose it where some patients are still followed.
        score: the column that is judged.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: competing events, a score that is no number, tau_days not above zero.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [1, 2, 3, 4], "os_event": [1, 1, 0, 1],
        ...                      "risk": [0.9, 0.5, 0.7, 0.1]})
        >>> round(uno_c(rows, endpoint="os", tau_days=3).value, 3)
        0.8
    """
    followup, values = _read(rows, endpoint, score, model)
    _refuse_time(tau_days, "tau_days")
    event = followup.state == 1
    used = event & (followup.days <= tau_days)
    if not used.any():
        return Estimate(np.nan, note=f"no event up to day {tau_days:g} in {len(event)} patients")
    free, _ = uncensored_before(followup.days, followup.state)
    weight = np.zeros(len(event))
    weight[used] = 1 / free[used] ** 2
    value, se = concordance(values, followup.days, event, weight=weight)
    if np.isnan(value):
        return Estimate(np.nan, note=f"no pair of patients can be compared up to day {tau_days:g}")
    note = f"{int(used.sum())} events up to day {tau_days:g} in {len(event)} patients"
    method = "Uno's C, infinitesimal jackknife, clipped to [0, 1]"
    return Estimate(value, max(0.0, value - Z95 * se), min(1.0, value + Z95 * se), method=method, note=note)


def time_dependent_auc(
    rows: pd.DataFrame, *, endpoint: str, horizons_days: list[float], score: str = "risk", model: str | None = None
) -> pd.DataFrame:
    """AUC at each horizon: those with the event by then against those still free of it (cumulative/dynamic).

    Cases have T <= t and weigh 1 / G(T-), controls have T > t (Uno et al. 2007,
    doi:10.1198/016214507000000149; Hung and Chiang 2010, doi:10.1002/cjs.10046). The interval is normal with an
    infinitesimal jackknife that counts that G was estimated; both as R timeROC, but that events exactly at the horizon
    are cases here.

    Args:
        rows: one row a patient with {endpoint}_days, {endpoint}_event and the score.
        endpoint: such as "os"; without competing events.
        horizons_days: days after time zero.
        score: the column that is judged.
        model: whose rows to take when the table holds several models.

    Returns:
        horizon_days, value, low, high, n_cases, n_controls, n_excluded, note: a row a horizon, NaN without cases or
        controls.

    Raises:
        OnlmError: competing events, a score that is no number, a horizon not above zero.
    """
    followup, values = _read(rows, endpoint, score, model)
    out = []
    for horizon in np.atleast_1d(horizons_days):
        _refuse_time(horizon, "horizons_days")
        case = (followup.state == 1) & (followup.days <= horizon)
        control = followup.days > horizon
        value, se = _auc(values, followup, case, control)
        n_cases, n_controls = int(case.sum()), int(control.sum())
        limits = np.clip([value - Z95 * se, value + Z95 * se], 0, 1)
        note = f"{n_cases} cases and {n_controls} controls" if np.isnan(value) else ""
        out.append((float(horizon), value, *limits, n_cases, n_controls, sum(followup.n_excluded.values()), note))
    names = ["horizon_days", "value", "low", "high", "n_cases", "n_controls", "n_excluded", "note"]
    return pd.DataFrame(out, columns=names)


def _read(rows: pd.DataFrame, endpoint: str, score: str, model: str | None) -> tuple[Followup, np.ndarray]:
    if endpoint_kind(rows, endpoint=endpoint) == "state":
        raise OnlmError(
            f"'{endpoint}' has competing events ({endpoint}_state), which this measure does not know. Take an endpoint "
            f'without them, such as "os" or "rfs", or cox(rows, endpoint="{endpoint}", cause=1).concordance.'
        )
    followup = read_followup(rows, endpoint=endpoint, columns=[score], model=model)
    column = followup.rows[score].infer_objects()
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise OnlmError(f"the score '{score}' must be a number (higher is worse), but the column holds {column.dtype}.")
    return followup, column.to_numpy(dtype=float)


def _refuse_time(days: float, name: str) -> None:
    if not (np.isfinite(days) and days > 0):
        raise OnlmError(f"{name} must be days after time zero, above 0, got {days!r}.")


def _auc(score: np.ndarray, followup: Followup, case: np.ndarray, control: np.ndarray) -> tuple[float, float]:
    """The weighted AUC and its standard error; NaN without cases or controls."""
    n_controls = int(control.sum())
    if not case.any() or not n_controls:
        return np.nan, np.nan
    free, steps = uncensored_before(followup.days, followup.state)
    weight = np.zeros(len(score))
    weight[case] = 1 / free[case]
    ranked = np.sort(score[control])
    below, up_to = np.searchsorted(ranked, score, side="left"), np.searchsorted(ranked, score, side="right")
    won = (below + up_to) / 2  # controls with a lower score, half of those with the same
    total = weight.sum() * n_controls
    value = float(weight @ won / total)
    lead = weight * (won - value * n_controls) / total
    influence = lead + control * (_beaten_by(score, weight) - value * weight.sum()) / total
    influence = influence + _through_censoring(lead, followup, steps)
    n = len(score)
    return value, float(np.sqrt((influence**2).sum() * n / (n - 1)))


def _beaten_by(score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """For each score, the weight of the cases with a higher one, half of those with the same."""
    order = np.argsort(score, kind="stable")
    running = np.r_[0.0, np.cumsum(weight[order])]
    below = running[np.searchsorted(score[order], score, side="left")]
    up_to = running[np.searchsorted(score[order], score, side="right")]
    return running[-1] - (below + up_to) / 2


def _through_censoring(lead: np.ndarray, followup: Followup, steps: Steps) -> np.ndarray:
    """What each patient adds by having shaped G, at whose times later cases are weighed."""
    place = np.searchsorted(steps.days, followup.days)
    after = np.bincount(place, weights=lead, minlength=len(steps.days))
    after = after.sum() - np.cumsum(after)  # cases later than each time
    n_censored = steps.n_state[:, 0]
    still = (steps.at_risk - steps.n_state[:, 1:].sum(axis=1)).astype(float)
    stays = still - n_censored
    both = still * stays
    kept = np.divide(n_censored, both, out=np.zeros(len(still)), where=both > 0)  # d log(1 - c/n) of one who stays
    before_own = np.r_[0.0, np.cumsum(kept * after)][place]
    own = np.divide(after, still, out=np.zeros(len(still)), where=still > 0)[place]  # -d log(1 - c/n) of one who leaves
    return np.where(followup.state == 0, own, 0.0) - before_own
