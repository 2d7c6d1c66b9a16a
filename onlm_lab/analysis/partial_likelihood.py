"""Cox's partial likelihood with Efron's ties: fit, score residuals and the exact test of proportional hazards.

Efron (1977, doi:10.1080/01621459.1977.10480613): d events at one time with risk-set sum S and event sum D have the
denominators S - (k/d) D, k = 0 .. d-1. Every sum below is a cumulative sum over rows sorted by stratum and time, so
one pass costs O(n p^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2 as chi2_distribution

from onlm_lab.analysis import newton
from onlm_lab.analysis.product_limit import before, count_steps, survival


@dataclass(frozen=True, eq=False)
class RiskSets:
    """Rows sorted by stratum and time, and where each distinct event time's risk set begins."""

    order: np.ndarray  # (n,) positions in the table that was given
    x: np.ndarray  # (n, p) centred, in units of one standard deviation
    event: np.ndarray  # (n,) bool
    bounds: list[tuple[int, int]]  # first and past-the-last row of each stratum
    begin: np.ndarray  # (j,) first row at each distinct event time: its risk set runs from here to the stratum's end
    died: np.ndarray  # (m,) rows of the events, sorted by event time
    died_at: np.ndarray  # (m,) the event time's number, 0 .. j-1
    fraction: np.ndarray  # (m,) Efron's k / d
    first: np.ndarray  # (j,) position in `died` of each event time's first event

    def ahead(self, values: np.ndarray) -> np.ndarray:
        """Sums over this row and all later rows of its stratum."""
        out = np.empty_like(values)
        for low, high in self.bounds:
            out[low:high] = values[low:high][::-1].cumsum(axis=0)[::-1]
        return out

    def so_far(self, values_at_event_times: np.ndarray) -> np.ndarray:
        """For each row, the sum over its stratum's event times up to and including its own time."""
        out = np.zeros((len(self.order), *values_at_event_times.shape[1:]))
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
    hazard: np.ndarray  # (n,) exp(x beta), up to a constant
    denominator: np.ndarray  # (m,)
    mean: np.ndarray  # (m, p) weighted mean of x in Efron's risk set of each event


@dataclass(frozen=True, eq=False)
class CoxFit:
    """Coefficients and covariance on the covariates' own scale; NaN where a coefficient cannot be estimated."""

    coef: np.ndarray
    covariance: np.ndarray
    unbounded: np.ndarray  # (p,) bool: no finite maximum (separation), or no variation among those at risk
    log_likelihood: float
    log_likelihood_null: float
    linear_predictor: np.ndarray  # (n,) in the order of the table
    sets: RiskSets
    last: Likelihood
    scale: np.ndarray


def fit_cox(x: np.ndarray, days: np.ndarray, event: np.ndarray, *, stratum: np.ndarray) -> CoxFit:
    """The maximum of Efron's partial likelihood by Newton steps, converged to 1e-11 standard deviations.

    Args:
        x: (n, p) covariates, none constant or a combination of others.
        days: (n,) times; equal times are ties.
        event: (n,) bool.
        stratum: (n,) numbers of the strata.
    """
    scale = x.std(axis=0)
    sets = risk_sets((x - x.mean(axis=0)) / scale, days, event, stratum)

    def pieces(beta: np.ndarray) -> newton.Pieces:
        at = likelihood(sets, beta)
        return at.value, at.score, information(sets, at)

    top = newton.maximise(pieces, p=x.shape[1])
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
        last=likelihood(sets, top.beta),
        scale=scale,
    )


def risk_sets(x: np.ndarray, days: np.ndarray, event: np.ndarray, stratum: np.ndarray) -> RiskSets:
    """Sort once by stratum and time; every later pass is cumulative sums."""
    order = np.lexsort((~event, days, stratum))
    days, event, stratum = days[order], event[order], stratum[order]
    new_stratum = np.r_[True, stratum[1:] != stratum[:-1]]
    starts = np.flatnonzero(new_stratum)
    bounds = list(zip(starts.tolist(), np.r_[starts[1:], len(days)].tolist(), strict=True))
    new_time = new_stratum | np.r_[True, days[1:] != days[:-1]]
    time_start = np.flatnonzero(new_time)[np.cumsum(new_time) - 1]  # first row of each row's time
    died = np.flatnonzero(event)
    begin, first, died_at, n_tied = np.unique(
        time_start[died], return_index=True, return_inverse=True, return_counts=True
    )
    fraction = (np.arange(len(died)) - first[died_at]) / n_tied[died_at]
    return RiskSets(order, x[order], event, bounds, begin, died, died_at, fraction, first)


def likelihood(sets: RiskSets, beta: np.ndarray) -> Likelihood:
    """Log partial likelihood and score at `beta`."""
    eta = sets.x @ beta
    eta = eta - eta.max()
    r = np.exp(eta)
    rx = r[:, None] * sets.x
    s0, s1 = sets.ahead(r)[sets.begin], sets.ahead(rx)[sets.begin]
    d0, d1 = sets.per_time(r[sets.died]), sets.per_time(rx[sets.died])
    at, k = sets.died_at, sets.fraction
    denominator = s0[at] - k * d0[at]
    mean = (s1[at] - k[:, None] * d1[at]) / denominator[:, None]
    value = float(eta[sets.died].sum() - np.log(denominator).sum())
    return Likelihood(value, (sets.x[sets.died] - mean).sum(axis=0), r, denominator, mean)


def information(sets: RiskSets, at: Likelihood, *, weight: np.ndarray | None = None) -> np.ndarray:
    """Sum over the events of the covariance of x in the risk set, each event weighted (1 where None)."""
    w = np.ones(len(sets.died)) if weight is None else weight
    risk = at.hazard * sets.so_far(sets.per_time(w / at.denominator))
    risk[sets.died] -= (at.hazard[sets.died]) * sets.per_time(w * sets.fraction / at.denominator)[sets.died_at]
    return sets.x.T @ (risk[:, None] * sets.x) - at.mean.T @ (w[:, None] * at.mean)


def score_residuals(fit: CoxFit) -> np.ndarray:
    """Each patient's share of the score (n, p), in the order of the table; what the robust variance is made of."""
    sets, at = fit.sets, fit.last
    share = sets.per_time(1 / at.denominator)
    mean_share = sets.per_time(at.mean / at.denominator[:, None])
    residual = -at.hazard[:, None] * (sets.x * sets.so_far(share)[:, None] - sets.so_far(mean_share))
    own, j = sets.died, sets.died_at
    tied = sets.per_time(sets.fraction / at.denominator)[j]
    tied_mean = sets.per_time((sets.fraction / at.denominator)[:, None] * at.mean)[j]
    n_tied = np.bincount(j)[j]
    residual[own] += sets.x[own] - sets.per_time(at.mean)[j] / n_tied[:, None]
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


def proportional_hazards_test(
    fit: CoxFit, days: np.ndarray, event: np.ndarray, *, terms: dict[str, list[int]]
) -> list[tuple[str, float, int, float]]:
    """Score test that each term's coefficient does not change with time, and that none does ("GLOBAL").

    The score test of a coefficient that is linear in g(t), g = 1 - S(t-) of the whole sample (Grambsch and Therneau
    1994, doi:10.1093/biomet/81.3.515, with the exact information matrix, as cox.zph of R survival 3 and later).
    """
    steps = count_steps(days, event.astype(int))
    fallen = 1 - before(survival(steps.at_risk, steps.n_state[:, 1]))
    g = fallen[np.searchsorted(steps.days, days)][fit.sets.order][fit.sets.died]
    g = g - g.mean()
    sets, at = fit.sets, fit.last
    p = len(fit.scale)
    plain = information(sets, at)
    crossed, squared = information(sets, at, weight=g), information(sets, at, weight=g**2)
    full = np.block([[plain, crossed], [crossed, squared]])
    score = (g[:, None] * (sets.x[sets.died] - at.mean)).sum(axis=0)
    if len(np.unique(g)) < 2 or np.linalg.matrix_rank(plain) < p:
        return [(name, np.nan, len(where), np.nan) for name, where in _with_global(terms, p).items()]
    out = []
    for name, where in _with_global(terms, p).items():
        keep = [*range(p), *(p + i for i in where)]
        u = np.r_[np.zeros(p), score[where]]
        matrix = full[np.ix_(keep, keep)]
        known = np.linalg.matrix_rank(matrix) == len(keep)
        chi2 = float(u @ np.linalg.solve(matrix, u)) if known else np.nan
        out.append((name, chi2, len(where), float(chi2_distribution.sf(chi2, len(where)))))
    return out


def _with_global(terms: dict[str, list[int]], p: int) -> dict[str, list[int]]:
    return terms | {"GLOBAL": list(range(p))}
