"""From hazards to P(event by a day): baseline hazards, and what a fitted model says of further patients.

Cox: 1 - exp(-H(t)), H the cumulative hazard with Efron's ties, as R's survfit of a coxph. Fine and Gray: the same of
the subdistribution hazard with Breslow's baseline, as cmprsk's predict.crr. Cause-specific: the hazards of both events
make the incidence of one, sum of S(u-) dH1(u) with S = exp(-H1 - H2), as riskRegression's CSC with
product.limit = FALSE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis import partial_likelihood, subdistribution
from onlm_lab.analysis.arguments import one_column, predictors_of, read_cause, read_horizons
from onlm_lab.analysis.covariates import design_matrix
from onlm_lab.analysis.endpoint import endpoint_kind, level_name, read_followup, sorted_levels
from onlm_lab.analysis.hazard import FEW_EVENTS_PER_COEFFICIENT
from onlm_lab.analysis.rows import one_row_a_patient, require_columns
from onlm_lab.errors import OnlmError

COX, FINE_GRAY, CAUSE_SPECIFIC = "cox", "fine_gray", "cause_specific"
METHODS = {"event": (COX,), "state": (FINE_GRAY, CAUSE_SPECIFIC)}
MOST_CELLS = 4_000_000  # of patients x event times held at once


@dataclass(frozen=True, eq=False)
class Hazard:
    """A hazard proportional to exp((x - centre) coef), with a cumulative baseline for each stratum."""

    coef: np.ndarray
    centre: np.ndarray
    event_days: tuple[np.ndarray, ...]  # of each stratum, rising
    cumulative: tuple[np.ndarray, ...]  # after each of them, of a patient at `centre`
    last_day: np.ndarray  # (strata,) the longest follow-up

    def relative(self, x: np.ndarray) -> np.ndarray:
        """(n,) how many times the baseline hazard each patient has."""
        with np.errstate(over="ignore"):
            return np.exp((x - self.centre) @ self.coef)

    def cumulative_at(self, days: np.ndarray, *, stratum: int = 0) -> np.ndarray:
        """The cumulative baseline hazard at the end of given days."""
        at = np.searchsorted(self.event_days[stratum], days, side="right")
        return np.r_[0.0, self.cumulative[stratum]][at]


@dataclass(frozen=True, eq=False)
class EventModel:
    """The hazards that make up the incidence of one event, or why there are none.

    `own`: which of the hazards is that of the event itself.
    """

    hazards: tuple[Hazard, ...]
    own: int = 0
    why: str = ""

    def probability(self, x: np.ndarray, horizons: np.ndarray, *, stratum: int = 0) -> np.ndarray:
        """(n, horizons) P(event by then), NaN beyond the follow-up.

        Of one hazard 1 - exp(-H), of two the sum of S(u-) dH over the days of the event.
        """
        relative = [h.relative(x)[:, None] for h in self.hazards]
        if len(relative) == 1:
            out = -np.expm1(-relative[0] * self.hazards[0].cumulative_at(horizons, stratum=stratum))
        else:
            out = self._sum_of_two(relative, horizons, stratum)
        out[:, horizons > self.last_day(stratum)] = np.nan
        return out

    def _sum_of_two(self, relative: list[np.ndarray], horizons: np.ndarray, stratum: int) -> np.ndarray:
        mine = self.hazards[self.own]
        days, step = mine.event_days[stratum], np.diff(mine.cumulative[stratum], prepend=0.0)
        before = [h.cumulative_at(np.nextafter(days, -np.inf), stratum=stratum) for h in self.hazards]
        at, n = np.searchsorted(days, horizons, side="right"), len(relative[0])
        out, size = np.empty((n, len(horizons))), max(1, MOST_CELLS // max(len(days), 1))
        for start in range(0, n, size):
            some = slice(start, start + size)
            free = np.exp(-sum(r[some] * b for r, b in zip(relative, before, strict=True)))
            rising = np.cumsum(free * (relative[self.own][some] * step), axis=1)
            out[some] = np.column_stack([np.zeros(len(rising)), rising])[:, at]
        return np.minimum(out, 1.0)

    def last_day(self, stratum: int = 0) -> float:
        """The longest follow-up of those who taught."""
        return float(self.hazards[0].last_day[stratum])


def fit_events(
    x: np.ndarray,
    days: np.ndarray,
    state: np.ndarray,
    *,
    stratum: np.ndarray | None = None,
    method: str,
    cause: int = 1,
) -> EventModel:
    """A model of P(event by a day), or the reason why these patients teach none.

    Args:
        x: (n, p) covariates, none constant or a combination of others.
        days: (n,) times; equal times are ties.
        state: (n,) 0 censored, 1 the event, 2 the competing event.
        stratum: (n,) numbers of the strata; None: one.
        method: "cox", "fine_gray" or "cause_specific".
        cause: the state whose probability is wanted.
    """
    p, causes = x.shape[1], (1, 2) if method == CAUSE_SPECIFIC else (cause,)
    counts = [int((state == c).sum()) for c in causes]
    own = causes.index(cause)
    if counts[own] < FEW_EVENTS_PER_COEFFICIENT * p or min(counts) <= p:
        return EventModel((), why=f"few events: {min(counts)} teach {p} coefficient{'s' if p > 1 else ''}")
    stratum = np.zeros(len(days), dtype=int) if stratum is None else stratum
    hazards = tuple(_fitted(x, days, state, stratum, method=method, cause=c) for c in causes)
    if any(np.isnan(h.coef).any() for h in hazards):
        return EventModel((), why="no finite hazard ratio: the event occurs on one side of a covariate only")
    return EventModel(hazards, own)


def predict_event(
    rows: pd.DataFrame,
    *,
    fitted_on: pd.DataFrame,
    endpoint: str,
    covariates: Sequence[str],
    horizons_days: Sequence[float],
    method: str | None = None,
    cause: int = 1,
    strata: str | None = None,
    model: str | None = None,
) -> pd.DataFrame:
    """P(event at or before each horizon) of patients, by a model fitted on others.

    For patients who were in the fit the number is apparent, and too good: `event_risk` leaves each one's fold out.

    Args:
        rows: the patients to be told, a row each: patient_id, the covariates, the strata column; no outcome is needed.
        fitted_on: the patients who teach, with the endpoint's columns as well.
        endpoint: such as "os" or "regional".
        covariates: columns; numbers and booleans as they are, text and categories against their first level.
        horizons_days: days after time zero.
        method: "cox"; where events compete "fine_gray" or "cause_specific" (two Cox models). None: the first that fits.
        cause: 1 the event, 2 the competing event.
        strata: a column; each of its values has its own baseline hazard (not with "fine_gray").
        model: whose rows to take when the tables hold several models.

    Returns:
        patient_id, horizon_days, event_risk, note: a row a patient and horizon. NaN, with the reason, where a covariate
        is missing or of a level that nobody taught, the horizon lies beyond the follow-up of those who taught, or there
        are fewer than 10 events for each coefficient.

    Raises:
        OnlmError: a method that does not go with the endpoint; a covariate that is absent, constant or a combination.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> risk = rng.uniform(size=300)
        >>> rows = pd.DataFrame({"patient_id": range(300), "risk": risk, "os_event": 1,
        ...                      "os_days": rng.exponential(1000 * np.exp(-2 * risk))})
        >>> told = predict_event(rows[:2], fitted_on=rows[2:], endpoint="os", covariates=["risk"], horizons_days=[365])
        >>> bool(told["event_risk"].between(0, 1).all())
        True
    """
    horizons = np.array(read_horizons(horizons_days))
    method = read_method(fitted_on, endpoint=endpoint, method=method, strata=strata)
    names, strata = predictors_of(covariates, endpoint=endpoint), one_column(strata, word="strata")
    cause = read_cause(cause)
    if method == COX and cause != 1:
        raise OnlmError(f"predict_event by {method} of '{endpoint}' takes no cause {cause!r}.")
    rows, _ = one_row_a_patient(rows, model=model)
    columns = list(dict.fromkeys([*names, *([strata] if strata else [])]))
    require_columns(rows, columns)
    probability, why = _probabilities(
        rows, one_row_a_patient(fitted_on, model=model)[0], endpoint=endpoint, covariates=names,
        horizons=horizons, method=method, cause=cause, strata=strata,
    )  # fmt: skip
    k = len(horizons)
    return pd.DataFrame(
        {
            "patient_id": np.repeat(rows["patient_id"].to_numpy(), k),
            "horizon_days": np.tile(horizons, len(rows)),
            "event_risk": probability.ravel(),
            "note": why.ravel(),
        }
    )


def baseline_hazard(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    covariates: Sequence[str],
    strata: str | None = None,
    method: str | None = None,
    cause: int = 1,
    model: str | None = None,
) -> pd.DataFrame:
    """The cumulative hazard of a patient whose covariates are all 0, after each day on which somebody had the event.

    Equal to survival::basehaz(centered = FALSE) with Efron's ties; of "fine_gray" to the sums of cmprsk's bfitj.

    Args:
        rows: one row a patient with the endpoint's columns and the covariates.
        endpoint, covariates, strata, cause, model: as in predict_event.
        method: "cox" (of `cause` where events compete) or "fine_gray"; None: the first that fits the endpoint.

    Returns:
        stratum ("all" without strata), days, cumulative_hazard.

    Raises:
        OnlmError: as predict_event; no more events than coefficients; no finite hazard ratio.
    """
    if method != COX:
        method = read_method(rows, endpoint=endpoint, method=method, strata=strata)
    if method == CAUSE_SPECIFIC:
        raise OnlmError("a cause-specific model has a baseline hazard for each cause: pass method='cox' and the cause.")
    cause, strata = read_cause(cause), one_column(strata, word="strata")
    names_x = predictors_of(covariates, endpoint=endpoint)
    columns = list(dict.fromkeys([*names_x, *([strata] if strata else [])]))
    followup = read_followup(rows, endpoint=endpoint, columns=columns, model=model)
    stratum, names = _strata(followup.rows, strata)
    design = design_matrix(followup.rows, covariates=names_x, stratum=stratum, strata=strata)
    n_events, p = int((followup.state == cause).sum()), design.x.shape[1]
    if n_events <= p:
        raise OnlmError(
            f"baseline_hazard of '{endpoint}': {n_events} events for {p} coefficients are too few. "
            "Take fewer covariates, or an endpoint with more events."
        )
    hazard = _fitted(design.x, followup.days, followup.state, stratum, method=method, cause=cause)
    if np.isnan(hazard.coef).any():
        lost = [n for n, c in zip(design.names, hazard.coef, strict=True) if np.isnan(c)]
        raise OnlmError(f"baseline_hazard of '{endpoint}': no finite hazard ratio of {', '.join(lost)}. Leave it out.")
    at_zero = float(hazard.relative(np.zeros(p)))
    parts = [
        pd.DataFrame({"stratum": name, "days": days, "cumulative_hazard": at_zero * cumulative})
        for name, days, cumulative in zip(names, hazard.event_days, hazard.cumulative, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def read_method(rows: pd.DataFrame, *, endpoint: str, method: str | None, strata: str | None = None) -> str:
    """The method that is meant for an endpoint: "cox" without competing events, "fine_gray" unless told with them.

    Raises:
        OnlmError: a method that does not go with the endpoint or with strata.
    """
    allowed = METHODS[endpoint_kind(rows, endpoint=endpoint)]
    if method is None:
        method = allowed[0] if strata is None else allowed[-1]
    if method not in allowed:
        raise OnlmError(
            f"method of endpoint '{endpoint}' must be {' or '.join(repr(m) for m in allowed)}, got {method!r}."
        )
    if method == FINE_GRAY and strata:
        raise OnlmError("fine_gray takes no strata here. Fit each stratum apart, or take method='cause_specific'.")
    return method


def _probabilities(
    rows: pd.DataFrame, taught: pd.DataFrame, *, endpoint: str, covariates: list[str], horizons: np.ndarray,
    method: str, cause: int, strata: str | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """(n, horizons) probabilities, NaN where there is none, and the reasons."""
    shape = (len(rows), len(horizons))
    nothing, why = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    columns = list(dict.fromkeys([*covariates, *([strata] if strata else [])]))
    followup = read_followup(taught, endpoint=endpoint, columns=columns)
    stratum, names = _strata(followup.rows, strata)
    design = design_matrix(followup.rows, covariates=covariates, stratum=stratum, strata=strata)
    taught = fit_events(design.x, followup.days, followup.state, stratum=stratum, method=method, cause=cause)
    if taught.why:
        why[:] = taught.why
        return nothing, why
    x, group, unknown = _coded(
        rows, followup.rows, covariates=covariates, strata=strata, names=names, p=design.x.shape[1]
    )
    why[unknown != ""] = unknown[unknown != "", None]
    out = nothing
    for number in range(len(names)):
        inside = np.flatnonzero((group == number) & (unknown == ""))
        last = taught.last_day(number)
        out[inside] = taught.probability(x[inside], horizons, stratum=number)
        why[np.ix_(inside, horizons > last)] = f"followed to day {last:g} only"
    return out, why


def _fitted(
    x: np.ndarray, days: np.ndarray, state: np.ndarray, stratum: np.ndarray, *, method: str, cause: int
) -> Hazard:
    last = np.zeros(stratum.max() + 1)
    np.maximum.at(last, stratum, days)
    if method == FINE_GRAY:
        fit = subdistribution.fit_subdistribution(x, days, state, cause=cause)
        return Hazard(fit.coef, fit.centre, (fit.event_days,), (fit.cumulative,), last)
    fit = partial_likelihood.fit_cox(x, days, state == cause, stratum=stratum)
    sets = fit.sets
    jump = sets.per_time(1 / fit.last.denominator) * np.exp(-fit.linear_predictor.max())
    rows_of = sets.order[sets.begin]  # a patient of each event time
    parts = [stratum[rows_of] == number for number in range(len(last))]
    event_days = tuple(days[rows_of][part] for part in parts)
    return Hazard(fit.coef, x.mean(axis=0), event_days, tuple(np.cumsum(jump[part]) for part in parts), last)


def _strata(rows: pd.DataFrame, strata: str | None) -> tuple[np.ndarray, list[str]]:
    if strata is None:
        return np.zeros(len(rows), dtype=int), ["all"]
    levels, _ = sorted_levels(rows[strata])
    names = [level_name(v) for v in levels]
    return rows[strata].map(dict(zip(levels, range(len(levels)), strict=True))).to_numpy(dtype=int), names


def _coded(
    rows: pd.DataFrame, taught: pd.DataFrame, *, covariates: list[str], strata: str | None, names: list[str], p: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The covariates of further patients in the columns of the fit, their strata, and why some cannot be told."""
    unknown = np.full(len(rows), "", dtype=object)
    own = rows[covariates].copy()
    for name in covariates:
        unknown[own[name].isna().to_numpy() & (unknown == "")] = f"{name} missing"
        values = taught[name].infer_objects()
        if not pd.api.types.is_numeric_dtype(values.dtype):
            strange = own[name].notna() & ~own[name].isin(values.unique())
            unknown[strange.to_numpy() & (unknown == "")] = f"{name} of a level that nobody in the fit has"
            own[name] = own[name].astype(values.dtype)
    group = np.zeros(len(rows), dtype=int)
    if strata:
        numbers = {name: i for i, name in enumerate(names)}
        found = rows[strata].map(lambda v: numbers.get(level_name(v), -1) if pd.notna(v) else -1)
        group = found.to_numpy(dtype=int)
        unknown[(group < 0) & (unknown == "")] = f"{strata} missing or of a level that nobody in the fit has"
    x, usable = np.full((len(rows), p), np.nan), unknown == ""
    if usable.any():
        both = pd.concat([taught[covariates], own[usable]], ignore_index=True)
        coded = design_matrix(both, covariates=covariates, stratum=np.zeros(len(both), dtype=int))
        x[usable] = coded.x[len(taught) :]
    return x, group, unknown
