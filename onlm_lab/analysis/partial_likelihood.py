"""Cox's partial likelihood with Efron's ties: fit, score residuals and robust variance.

Efron (1977, doi:10.1080/01621459.1977.10480613): d events at one time with risk-set sum S and event sum D have the
denominators S - (k/d) D, k = 0 .. d-1. Every sum below is a cumulative sum over rows sorted by stratum and time, so
one pass costs O(n p^2). With case weights S and D are weighted sums, and each of d tied events counts with their mean
weight, as in R's survival::coxph (Therneau and Grambsch 2000, doi:10.1007/978-1-4757-3294-8, section 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onlm_lab.analysis import newton
from onlm_lab.analysis.product_limit import distinct_times

MOST_YES_OR_NO = 4  # covariates, whose patterns are counted instead of the patients


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Rows sorted by stratum and time, and where each distinct event time's risk set begins."""

    order: np.ndarray  # (n,) positions in the table that was given
    x: np.ndarray  # (n, p) centred, in units of one standard deviation; column after column in memory
    event: np.ndarray  # (n,) bool
    bounds: list[tuple[int, int]]  # first and past-the-last row of each stratum
    begin: np.ndarray  # (j,) first row at each distinct event time: its risk set runs from here to the stratum's end
    died: np.ndarray  # (m,) rows of the events, sorted by event time
    died_at: np.ndarray  # (m,) the event time's number, 0 .. j-1
    fraction: np.ndarray  # (m,) Efron's k / d
    first: np.ndarray  # (j,) position in `died` of each event time's first event
    weight: np.ndarray | None = None  # (n,) case weights, sorted as the rows; None: every patient counts once
    event_weight: np.ndarray | None = None  # (m,) the mean weight of the events at the same time

    @cached_property
    def observed(self) -> np.ndarray:
        """Sum of the covariates of the events, by case weight (p,)."""
        own = self.x.T.take(self.died, axis=1)
        return own.sum(axis=1) if self.weight is None else own @ self.weight[self.died]

    def of(self, x: np.ndarray) -> RiskSets:
        """The same patients with other covariates (n, p), in the order of the table."""
        return replace(self, x=np.asfortranarray(x[self.order]))

    def at_risk(self, values: np.ndarray) -> np.ndarray:
        """Sums over the risk set of each distinct event time (q, j), of values of the sorted rows (q, n)."""
        n_times = len(self.begin)
        if not n_times:
            return np.zeros((len(values), 0))
        ends = [high for _, high in self.bounds[:-1]]
        cuts = np.unique(np.r_[self.begin, ends]).astype(np.intp) if ends else self.begin
        out = np.add.reduceat(values, cuts, axis=1)
        out = out[:, np.searchsorted(cuts, self.begin)] if ends else out
        firsts = np.searchsorted(self.begin, [low for low, _ in self.bounds]) if ends else [0]
        for low, high in zip(firsts, [*firsts[1:], n_times], strict=True):
            out[:, low:high] = out[:, low:high][:, ::-1].cumsum(axis=1)[:, ::-1]
        return out

    def ahead(self, values: np.ndarray) -> np.ndarray:
        """Sums over this row and all later rows of its stratum."""
        out = np.empty_like(values)
        for low, high in self.bounds:
            out[low:high] = values[low:high][::-1].cumsum(axis=0)[::-1]
        return out

    def so_far(self, values_at_event_times: np.ndarray) -> np.ndarray:
        """For each row, the sum over its stratum's event times up to and including its own time."""
        n = len(self.order)
        if len(self.bounds) == 1:
            total = np.concatenate([np.zeros((1, *values_at_event_times.shape[1:])), values_at_event_times]).cumsum(
                axis=0
            )
            return np.repeat(total, np.diff(np.r_[0, self.begin, n]), axis=0)
        out = np.zeros((n, *values_at_event_times.shape[1:]))
        out[self.begin] = values_at_event_times
        for low, high in self.bounds:
            out[low:high] = out[low:high].cumsum(axis=0)
        return out

    def per_time(self, values_at_events: np.ndarray) -> np.ndarray:
        """Sums over the events of each event time."""
        return np.add.reduceat(values_at_events, self.first, axis=0)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The partial likelihood at one coefficient vector and the pieces that its derivatives share."""

    value: float
    score: np.ndarray  # (p,)
    hazard: np.ndarray  # (n,) exp(x beta), times the case weight, up to a constant
    denominator: np.ndarray  # (m,)
    mean: np.ndarray  # (m, p) weighted mean of x in Efron's risk set of each event


@dataclass(frozen=True, eq=False)
class Counted:
    """Patients of yes-or-no covariates, counted: g patterns of covariates, in each risk set and among its events."""

    sets: RiskSets
    x: np.ndarray  # (p, g)
    at_risk: np.ndarray  # (g, j), by case weight
    died: np.ndarray  # (g, j)

    def pieces(self, beta: np.ndarray) -> newton.Pieces:
        """Log-likelihood, score and information, as `likelihood` and `information` give them patient by patient."""
        eta = beta @ self.x
        eta = eta - eta.max()
        r, j, k = np.exp(eta), self.sets.died_at, self.sets.fraction
        both = np.vstack([r, r * self.x])  # (1 + p, g)
        sums = (both @ self.at_risk)[:, j] - k * (both @ self.died)[:, j]
        denominator, mean = sums[0], sums[1:] / sums[0]
        w = np.ones(len(j)) if self.sets.event_weight is None else self.sets.event_weight
        events, part = self.died.sum(axis=1), w / denominator
        risk = r * (self.at_risk @ self.sets.per_time(part) - self.died @ self.sets.per_time(k * part))
        value = float(events @ eta - w @ np.log(denominator))
        return value, self.x @ events - mean @ w, (risk * self.x) @ self.x.T - (w * mean) @ mean.T


def count_patterns(sets: RiskSets) -> Counted | None:
    """The patients counted by pattern where every covariate has two values and there are few of them; else None."""
    columns = sets.x.T
    p = len(columns)
    if not 0 < p <= MOST_YES_OR_NO or not len(sets.died):
        return None
    low, high = columns.min(axis=1, keepdims=True), columns.max(axis=1, keepdims=True)
    is_high = columns == high
    if not (is_high | (columns == low)).all():
        return None
    found, code = np.unique(2 ** np.arange(p, dtype=np.int16) @ is_high.astype(np.int16), return_inverse=True)
    x = np.where((found[None, :] >> np.arange(p)[:, None]) & 1, high, low)
    each = (np.arange(len(found))[:, None] == code).astype(float)  # (g, n)
    if sets.weight is not None:
        each = each * sets.weight
    died = np.add.reduceat(each[:, sets.died], sets.first, axis=1)
    return Counted(sets, x, sets.at_risk(each), died)


@dataclass(frozen=True, eq=False)
class CoxFit:
    """Coefficients and covariance on the covariates' own scale; NaN where a coefficient cannot be estimated."""

    coef: np.ndarray
    covariance: np.ndarray
    unbounded: np.ndarray  # (p,) bool: no finite maximum (separation), or one with others among those at risk
    log_likelihood: float
    log_likelihood_null: float
    linear_predictor: np.ndarray  # (n,) in the order of the table
    sets: RiskSets
    last: Likelihood
    scale: np.ndarray


def fit_cox(
    x: np.ndarray,
    days: np.ndarray,
    event: np.ndarray,
    *,
    stratum: np.ndarray,
    weight: np.ndarray | None = None,
    sets: RiskSets | None = None,
) -> CoxFit:
    """The maximum of Efron's partial likelihood by Newton steps, converged to 1e-11 standard deviations.

    Args:
        x: (n, p) covariates, none constant or a combination of others.
        days: (n,) times; equal times are ties.
        event: (n,) bool.
        stratum: (n,) numbers of the strata.
        weight: (n,) case weights above zero; None: every patient counts once. The covariance is then the inverse
            information, which takes weights for numbers of patients: use robust_covariance.
        sets: risk sets of the same patients, with whatever covariates: they need not be sorted again.
    """
    scale = x.std(axis=0)
    standardised = (x - x.mean(axis=0)) / scale
    if sets is None:
        sets = risk_sets(standardised, days, event, stratum, weight=weight)
    else:
        sets = sets.of(standardised)
    seen: list[tuple[np.ndarray, Likelihood]] = []
    counted = count_patterns(sets)

    def pieces(beta: np.ndarray) -> newton.Pieces:
        if counted is not None:
            return counted.pieces(beta)
        at = likelihood(sets, beta)
        seen[:] = [(beta, at)]
        return at.value, at.score, information(sets, at)

    top = newton.maximise(pieces, p=x.shape[1])
    kept = [at for beta, at in seen if np.array_equal(beta, top.beta)]
    predictor = np.empty(len(days))
    predictor[sets.order] = sets.x @ top.beta
    return CoxFit(
        coef=np.where(top.unbounded, np.nan, top.beta) / scale,
        covariance=top.covariance / np.outer(scale, scale),
        unbounded=top.unbounded,
        log_likelihood=top.value,
        log_likelihood_null=top.value_at_zero,
        linear_predictor=predictor,
        sets=sets,
        last=kept[0] if kept else likelihood(sets, top.beta),
        scale=scale,
    )


def risk_sets(
    x: np.ndarray, days: np.ndarray, event: np.ndarray, stratum: np.ndarray, *, weight: np.ndarray | None = None
) -> RiskSets:
    """Sort once by stratum and time; every later pass is cumulative sums."""
    order = _order(days, event, stratum)
    days, event, stratum = days[order], event[order], stratum[order]
    new_stratum = np.r_[True, stratum[1:] != stratum[:-1]]
    starts = np.flatnonzero(new_stratum)
    bounds = list(zip(starts.tolist(), np.r_[starts[1:], len(days)].tolist(), strict=True))
    new_time = new_stratum | np.r_[True, days[1:] != days[:-1]]
    time_start = np.flatnonzero(new_time)[np.cumsum(new_time) - 1]  # first row of each row's time
    died = np.flatnonzero(event)
    own = time_start[died]
    new_event_time = np.diff(own, prepend=-1) > 0
    first = np.flatnonzero(new_event_time)
    begin, died_at, n_tied = own[first], np.cumsum(new_event_time) - 1, np.diff(np.r_[first, len(died)])
    fraction = (np.arange(len(died)) - first[died_at]) / n_tied[died_at]
    sets = RiskSets(order, np.asfortranarray(x[order]), event, bounds, begin, died, died_at, fraction, first)
    if weight is None:
        return sets
    weight = np.asarray(weight, dtype=float)[order]
    mean_weight = sets.per_time(weight[died]) / n_tied if len(died) else np.empty(0)
    return replace(sets, weight=weight, event_weight=mean_weight[died_at])


def _order(days: np.ndarray, event: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Rows by stratum and time, events first."""
    times, place = distinct_times(days)
    key = (stratum * len(times) + place) * 2 + ~event
    small = len(key) and 0 <= key.min() and key.max() < 2**16
    return np.argsort(key.astype(np.uint16) if small else key, kind="stable")  # short numbers are sorted by counting


def likelihood(sets: RiskSets, beta: np.ndarray) -> Likelihood:
    """Log partial likelihood and score at `beta`."""
    columns = sets.x.T  # (p, n)
    eta = beta @ columns
    eta -= eta.max(initial=-np.inf)
    w, r = sets.weight, np.exp(eta)
    r = r if w is None else r * w
    both = np.empty((len(columns) + 1, len(r)))  # the hazard, and the hazard times each covariate
    both[0] = r
    np.multiply(columns, r, out=both[1:])
    died, at = sets.died, sets.died_at
    sums = sets.at_risk(both).take(at, axis=1)
    if len(died):
        tied = np.add.reduceat(both.take(died, axis=1), sets.first, axis=1).take(at, axis=1)
        sums -= sets.fraction * tied
    denominator = sums[0]
    if not (denominator > newton.NOTHING).all():  # no step may go there
        m, p = len(denominator), len(columns)
        return Likelihood(-np.inf, np.zeros(p), r, np.ones(m), np.zeros((m, p)))
    mean = sums[1:] / denominator
    if w is None:
        value = float(eta[died].sum() - np.log(denominator).sum())
        return Likelihood(value, sets.observed - mean.sum(axis=1), r, denominator, mean.T)
    value = float(w[died] @ eta[died] - sets.event_weight @ np.log(denominator))
    return Likelihood(value, sets.observed - mean @ sets.event_weight, r, denominator, mean.T)


def information(sets: RiskSets, at: Likelihood, *, weight: np.ndarray | None = None) -> np.ndarray:
    """Sum over the events of the covariance of x in the risk set, each event weighted (1 where None).

    `weight` is of events, beside the case weights of the patients.
    """
    w = np.ones(len(sets.died)) if weight is None else weight
    w = w if sets.event_weight is None else w * sets.event_weight
    risk = at.hazard * sets.so_far(sets.per_time(w / at.denominator))
    risk[sets.died] -= (at.hazard[sets.died]) * sets.per_time(w * sets.fraction / at.denominator)[sets.died_at]
    return sets.x.T @ (risk[:, None] * sets.x) - at.mean.T @ (w[:, None] * at.mean)


def score_residuals(fit: CoxFit) -> np.ndarray:
    """Each patient's share of the score (n, p), in the order of the table; what the robust variance is made of.

    With case weights, the share times the weight: R's residuals(type="score", weighted=TRUE).
    """
    sets, at = fit.sets, fit.last
    part = 1 / at.denominator if sets.event_weight is None else sets.event_weight / at.denominator
    share = sets.per_time(part)
    mean_share = sets.per_time(part[:, None] * at.mean)
    residual = -at.hazard[:, None] * (sets.x * sets.so_far(share)[:, None] - sets.so_far(mean_share))
    own, j = sets.died, sets.died_at
    tied = sets.per_time(sets.fraction * part)[j]
    tied_mean = sets.per_time((sets.fraction * part)[:, None] * at.mean)[j]
    n_tied = np.bincount(j)[j]
    excess = sets.x[own] - sets.per_time(at.mean)[j] / n_tied[:, None]
    residual[own] += excess if sets.weight is None else excess * sets.weight[own, None]
    residual[own] += at.hazard[own, None] * (sets.x[own] * tied[:, None] - tied_mean)
    out = np.empty_like(residual)
    out[sets.order] = residual
    return out * fit.scale


def robust_covariance(fit: CoxFit, *, cluster: np.ndarray) -> np.ndarray:
    """Sandwich variance with patients of one cluster summed (Lin and Wei 1989, doi:10.1080/01621459.1989.10478874)."""
    change = score_residuals(fit) @ np.nan_to_num(fit.covariance)
    _, at = np.unique(cluster, return_inverse=True)
    summed = np.zeros((at.max() + 1, change.shape[1]))
    np.add.at(summed, at, change)
    return np.where(np.isnan(fit.covariance), np.nan, summed.T @ summed)
