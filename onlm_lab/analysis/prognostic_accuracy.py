"""How well a score tells who has the event sooner: Uno's C and the time-dependent AUC, with inverse censoring weights.

Both take any score, higher is worse; it need not be a probability of the event. Patients whose event was seen stand for
those censored before it, by the weight 1 / G(T-); at a tie events come before censorings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import read_day, read_horizons
from onlm_lab.analysis.censoring_weights import (
    Censoring,
    censoring,
    known_weights,
    standard_error,
)
from onlm_lab.analysis.concordance import concordance
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup
from onlm_lab.analysis.product_limit import Z95, uncensored_before
from onlm_lab.analysis.rows import Patients, require_columns
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate

CONTROLS = ("all", "event_free")
FEW = 10  # cases or controls below which a normal interval is too narrow


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
    if endpoint_kind(rows, endpoint=endpoint) == "state":
        raise OnlmError(
            f"'{endpoint}' has competing events ({endpoint}_state), which this measure does not know. Take an endpoint "
            f'without them, such as "os" or "rfs", time_dependent_auc(rows, endpoint="{endpoint}", ...), or '
            f'cox(rows, endpoint="{endpoint}", cause=1).concordance.'
        )
    followup, values = _read(rows, endpoint, score, model)
    tau_days = read_day(tau_days, name="tau_days")
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
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    horizons_days: Sequence[float],
    score: str = "risk",
    controls: str = "all",
    model: str | None = None,
) -> pd.DataFrame:
    """AUC at each horizon: those with the event by then against those without it (cumulative/dynamic).

    Cases have T <= t and weigh 1 / G(T-), controls have T > t (Uno et al. 2007,
    doi:10.1198/016214507000000149; Hung and Chiang 2010, doi:10.1002/cjs.10046). Where other events compete, patients
    who had one by t are controls too: they will never have the event (definition (ii) of Blanche et al. 2013,
    doi:10.1002/sim.5958, as R riskRegression); controls="event_free" leaves them out (definition (i)). The interval is
    normal with an infinitesimal jackknife that counts that G was estimated; as R timeROC, but that events exactly at
    the horizon are cases here.

    Args:
        rows: one row a patient with {endpoint}_days, {endpoint}_event or {endpoint}_state, and the score.
        endpoint: such as "os" or "regional".
        horizons_days: days after time zero.
        score: the column that is judged; any number, higher is worse.
        controls: "all" who had not had the event by t, or only those "event_free", of any event.
        model: whose rows to take when the table holds several models.

    Returns:
        horizon_days, value, low, high, n_cases, n_controls, n_excluded, note, n: a row a horizon, NaN without cases or
        controls, or beyond the follow-up.

    Raises:
        OnlmError: a score that is no number, a horizon not above zero, an unknown word for the controls.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abcd"), "regional_days": [1, 2, 3, 9],
        ...                      "regional_state": [1, 2, 1, 0], "risk": [0.9, 0.5, 0.4, 0.1]})
        >>> float(time_dependent_auc(rows, endpoint="regional", horizons_days=[5])["value"][0])
        0.75
    """
    _refuse_controls(controls)
    followup, values = _read(rows, endpoint, score, model)
    censored, n_excluded = censoring(followup.days, followup.state), sum(followup.n_excluded.values())
    out, level = [], _levels(values)
    for horizon in read_horizons(horizons_days):
        found = _area(level, censored, horizon, controls)
        limits, few = _limits(found, found.value, standard_error(found.influence))
        counts = (found.n_cases, found.n_controls, n_excluded)
        out.append((horizon, found.value, *np.clip(limits, 0, 1), *counts, found.why or few, len(values)))
    names = ["horizon_days", "value", "low", "high", "n_cases", "n_controls", "n_excluded", "note", "n"]
    return pd.DataFrame(out, columns=names)


def compare_time_dependent_aucs(
    rows: pd.DataFrame,
    *,
    model_a: str,
    model_b: str,
    endpoint: str,
    horizons_days: Sequence[float],
    score: str = "risk",
    controls: str = "all",
) -> pd.DataFrame:
    """Whether one model tells better than another who has the event by a day: AUC of model_a minus that of model_b.

    Paired: the same patients under both, the error from the difference of their influences on the two areas, as R
    timeROC's compare() and riskRegression's contrasts (Blanche et al. 2013, doi:10.1002/sim.5958).

    Args:
        rows: a row a patient and model (model_id), with the endpoint and the score.
        model_a: the model whose area comes first.
        model_b: the model that is taken away.
        endpoint, horizons_days, score, controls: as in time_dependent_auc.

    Returns:
        horizon_days, value (the difference), low, high, value_a, value_b, z, p_value, n_cases, n_controls, n,
        n_excluded (patients without a score from both), note.

    Raises:
        OnlmError: as time_dependent_auc; one model named twice, no patient in common, an outcome that differs.
    """
    _refuse_controls(controls)
    horizons = read_horizons(horizons_days)
    if model_a == model_b:
        raise OnlmError(f"compare_time_dependent_aucs needs two models, got '{model_a}' twice.")
    require_columns(rows, ["model_id"])
    (a, of_a), (b, of_b) = (_read(rows, endpoint, score, m) for m in (model_a, model_b))
    ids_a, ids_b = (pd.Index(f.rows["patient_id"].astype(str)) for f in (a, b))
    at_a = np.flatnonzero(ids_a.isin(ids_b))
    if not len(at_a):
        raise OnlmError(f"rows: no patient has a score from both '{model_a}' and '{model_b}' and a known {endpoint}.")
    at_b = ids_b.get_indexer(ids_a[at_a])
    days, state = a.days[at_a], a.state[at_a]
    differ = int(np.count_nonzero((days != b.days[at_b]) | (state != b.state[at_b])))
    if differ:
        raise OnlmError(
            f"rows: {endpoint} differs between {model_a} and {model_b} for {differ} of {len(days)} patients. A patient "
            "has one outcome: join it from one table."
        )
    censored, n_excluded = censoring(days, state), len(ids_a.union(ids_b)) - len(days)
    n_excluded += max(sum(f.n_excluded.values()) for f in (a, b))
    out, level_a, level_b = [], _levels(of_a[at_a]), _levels(of_b[at_b])
    for horizon in horizons:
        one = _area(level_a, censored, horizon, controls)
        other = _area(level_b, censored, horizon, controls)
        value, se = one.value - other.value, standard_error(one.influence - other.influence)
        limits, few = _limits(one, value, se)
        z = value / se if se > 0 and not np.isnan(limits[0]) else np.nan
        counts = (one.n_cases, one.n_controls, len(days), n_excluded)
        tested = (z, float(normal_tails(z)))
        out.append((horizon, value, *limits, one.value, other.value, *tested, *counts, one.why or few))
    names = ["horizon_days", "value", "low", "high", "value_a", "value_b", "z", "p_value"]
    return pd.DataFrame(out, columns=[*names, "n_cases", "n_controls", "n", "n_excluded", "note"])


@dataclass(frozen=True, eq=False)
class _Area:
    """The AUC at one horizon, each patient's influence on it, and why there is none."""

    value: float
    influence: np.ndarray
    n_cases: int
    n_controls: int
    why: str = ""


def _read(rows: pd.DataFrame | Patients, endpoint: str, score: str, model: str | None) -> tuple[Followup, np.ndarray]:
    followup = read_followup(rows, endpoint=endpoint, columns=[score], model=model)
    column = followup.rows[score].infer_objects()
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise OnlmError(f"the score '{score}' must be a number (higher is worse), but the column holds {column.dtype}.")
    return followup, column.to_numpy(dtype=float)


def _refuse_controls(controls: str) -> None:
    if controls not in CONTROLS:
        raise OnlmError(
            f'controls must be "all" (nobody who had the event by the horizon) or "event_free" (without any event by '
            f"then), got {controls!r}."
        )


def _limits(found: _Area, value: float, se: float) -> tuple[tuple[float, float], str]:
    """The normal interval, none for fewer than two cases or controls; and what to say of few."""
    fewest = min(found.n_cases, found.n_controls)
    if np.isnan(value) or fewest < 2:
        return (np.nan, np.nan), "no interval from one case or one control"
    few = f"few: {found.n_cases} cases and {found.n_controls} controls; the interval is too narrow"
    return (value - Z95 * se, value + Z95 * se), few if fewest < FEW else ""


def _levels(score: np.ndarray) -> np.ndarray:
    """(n,) which of the distinct scores, rising, is each patient's: sorted once for all horizons."""
    return np.unique(score, return_inverse=True)[1]


def _area(level: np.ndarray, censored: Censoring, horizon: float, controls: str) -> _Area:
    """The weighted AUC at one horizon; NaN without cases or controls, or beyond the follow-up."""
    days, state = censored.days, censored.state
    case = (state == 1) & (days <= horizon)
    later = days > horizon
    control = later | ((state == 2) & (days <= horizon)) if controls == "all" else later
    n_cases, n_controls = int(case.sum()), int(control.sum())
    why = f"{n_cases} cases and {n_controls} controls" if not (n_cases and n_controls) else ""
    if not why and not censored.followed(horizon):
        why = f"nobody is followed beyond day {horizon:g}"
    if why:
        return _Area(np.nan, np.full(len(days), np.nan), n_cases, n_controls, why)
    weight = known_weights(censored, horizon=horizon)
    value, lead = _weighted_auc(level, np.where(case, weight, 0.0), np.where(control, weight, 0.0))
    return _Area(value, lead + censored.through(lead, horizon=horizon), n_cases, n_controls)


def _weighted_auc(level: np.ndarray, of_cases: np.ndarray, of_controls: np.ndarray) -> tuple[float, np.ndarray]:
    """Share of the weighted pairs in which the case has the higher score (equal ones 1/2), and its derivative by the
    logarithm of each patient's weight."""
    at_level = [np.bincount(level, weights=w) for w in (of_cases, of_controls)]
    up_to = [np.cumsum(w) for w in at_level]
    cases, controls = (float(running[-1]) for running in up_to)
    beaten_by = (cases - up_to[0] + at_level[0] / 2)[level]  # weight of the cases with a higher score
    won = (up_to[1] - at_level[1] / 2)[level]  # weight of the controls with a lower one
    value = float(of_cases @ won / (cases * controls))
    lead = of_cases * (won - value * controls) + of_controls * (beaten_by - value * cases)
    return value, lead / (cases * controls)
