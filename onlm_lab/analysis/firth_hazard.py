"""Cox's model with Firth's penalty: finite hazard ratios under separation, less bias where events are few.

The partial likelihood (Efron's ties) is multiplied by the square root of the information's determinant: Firth 1993,
doi:10.1093/biomet/80.1.27; Heinze and Schemper 2001, doi:10.1111/j.0006-341X.2001.00114.x. P and limits come from the
profile of the penalised likelihood. One pass costs O(n p^2 + m p^3), m the number of events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onlm_lab.analysis.partial_likelihood import CoxFit, Likelihood, RiskSets, information, likelihood, risk_sets
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.tails import chi2_tail

MOST_STEPS = 100
SCORE = 1e-10  # of covariates in standard deviations, a share of the number of events
LONGEST = 2.0  # a step, in standard deviations
NO_INFORMATION = 1e-10


@dataclass(frozen=True, eq=False)
class Point:
    """The penalised likelihood at one coefficient vector; -infinity where the information is singular."""

    beta: np.ndarray
    value: float
    score: np.ndarray
    information: np.ndarray


@dataclass(frozen=True, eq=False)
class FirthFit:
    """`cox`: the fit with penalised log-likelihoods; low, high: profile limits of the coefficients; p_value: of each,
    by the penalised likelihood ratio. NaN where a coefficient has no information or its limit was not found."""

    cox: CoxFit
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray


def fit_firth_cox(x: np.ndarray, days: np.ndarray, event: np.ndarray, *, stratum: np.ndarray) -> FirthFit:
    """The maximum of the penalised partial likelihood, its modified score solved to 1e-10, with profile limits and P.

    Args:
        x: (n, p) covariates, none constant or a combination of others.
        days: (n,) times; equal times are ties.
        event: (n,) bool, at least one.
        stratum: (n,) numbers of the strata.
    """
    scale = x.std(axis=0)
    z = (x - x.mean(axis=0)) / scale
    sets = risk_sets(z, days, event, stratum)
    p = x.shape[1]
    informed = _informed(information(sets, likelihood(sets, np.zeros(p))))
    used = sets if informed.all() else risk_sets(z[:, informed], days, event, stratum)
    found = np.full((4, p), np.nan)
    covariance, beta, value, at_zero = np.full((p, p), np.nan), np.zeros(p), np.nan, np.nan
    if informed.any():
        k = int(informed.sum())
        top = _climb(used, _point(used, np.zeros(k)), free=np.ones(k, dtype=bool))
        if top is not None:
            value, at_zero = top.value, _point(used, np.zeros(k)).value
            beta[informed] = top.beta
            covariance[np.ix_(informed, informed)] = np.linalg.inv(top.information)
            found[0, informed] = top.beta
            found[1:, informed] = np.array([_profile(used, top, j) for j in range(k)]).T
    predictor = np.empty(len(days))
    predictor[sets.order] = sets.x @ beta
    cox = CoxFit(
        coef=found[0] / scale, covariance=covariance / np.outer(scale, scale), unbounded=np.isnan(found[0]),
        log_likelihood=value, log_likelihood_null=at_zero, linear_predictor=predictor, sets=sets,
        last=likelihood(sets, beta), scale=scale,
    )  # fmt: skip
    return FirthFit(cox, low=found[1] / scale, high=found[2] / scale, p_value=found[3])


def _informed(at_zero: np.ndarray) -> np.ndarray:
    """Which columns can have a coefficient: each varies among those at risk, and is no combination of earlier ones."""
    keep: list[int] = []
    for j in range(len(at_zero)):
        tried = [*keep, j]
        if np.linalg.eigvalsh(at_zero[np.ix_(tried, tried)])[0] > NO_INFORMATION:
            keep = tried
    return np.isin(np.arange(len(at_zero)), keep)


def _point(sets: RiskSets, beta: np.ndarray) -> Point:
    """Penalised log-likelihood, its gradient and the information."""
    at = likelihood(sets, beta)
    info = information(sets, at)
    sign, log_determinant = np.linalg.slogdet(info)
    if sign <= 0 or not np.isfinite(log_determinant):
        return Point(beta, -np.inf, np.zeros(len(beta)), np.eye(len(beta)))
    return Point(beta, at.value + log_determinant / 2, at.score + _pull(sets, at, info), info)


def _pull(sets: RiskSets, at: Likelihood, info: np.ndarray) -> np.ndarray:
    """Gradient of 1/2 log |I|: 1/2 the sum over events of E[q (x - mean)], q the squared length of x - mean under 1/I.

    In coordinates z where the information is the identity, E[q (z - m)] is made of E[|z|^2 z], E[z z'], E[|z|^2], m.
    """
    root = np.linalg.cholesky(np.linalg.inv(info))
    z, mean = sets.x @ root, at.mean @ root
    p = z.shape[1]
    square = (z**2).sum(axis=1)
    columns = np.column_stack([square, square[:, None] * z]) * at.hazard[:, None]
    moment = _risk_mean(sets, at, columns)
    length, cubic = moment[:, 0], moment[:, 1:]
    turned = np.zeros_like(mean)  # E[(m z) z]
    for j in range(p):
        turned += mean[:, j, None] * _risk_mean(sets, at, (at.hazard * z[:, j])[:, None] * z)
    own = (mean**2).sum(axis=1)
    third = (cubic - length[:, None] * mean - 2 * turned + 2 * own[:, None] * mean).sum(axis=0) / 2
    return np.linalg.solve(root.T, third)


def _risk_mean(sets: RiskSets, at: Likelihood, weighted: np.ndarray) -> np.ndarray:
    """Mean of given columns (already times the hazard) in Efron's risk set of each event (m, columns)."""
    ahead, own = sets.ahead(weighted)[sets.begin], sets.per_time(weighted[sets.died])
    return (ahead[sets.died_at] - sets.fraction[:, None] * own[sets.died_at]) / at.denominator[:, None]


def _climb(sets: RiskSets, start: Point, *, free: np.ndarray) -> Point | None:
    """The maximum over the free coefficients, the others held where they are; None where it was not reached."""
    here = start
    if not np.isfinite(here.value):
        return None
    small = SCORE * max(1, len(sets.died))
    for _ in range(MOST_STEPS):
        if not free.any() or np.abs(here.score[free]).max() <= small:
            return here
        step = np.zeros(len(free))
        step[free] = np.linalg.solve(_curvature(sets, here, free), here.score[free])
        step *= min(1.0, LONGEST / max(np.abs(step).max(), 1e-300))
        for half in range(40):
            new = _point(sets, here.beta + step / 2**half)
            if new.value >= here.value - 1e-12 * (1 + abs(here.value)):
                break
        if np.abs(step).max() / 2**half <= 1e-13 * (1 + np.abs(here.beta).max()):
            return new
        here = new
    return None


def _curvature(sets: RiskSets, here: Point, free: np.ndarray) -> np.ndarray:
    """Minus the second derivatives, by differences of the exact gradient; the information where that is not convex."""
    at, width = np.flatnonzero(free), 1e-5
    bend = np.empty((len(at), len(at)))
    for column, j in enumerate(at):
        moved = here.beta.copy()
        moved[j] += width
        bend[:, column] = (here.score[at] - _point(sets, moved).score[at]) / width
    bend = (bend + bend.T) / 2
    plain = here.information[np.ix_(at, at)]
    least = np.linalg.eigvalsh(bend)[0] if np.isfinite(bend).all() else -1.0
    return bend if least > 1e-8 * np.abs(plain).max() else plain


def _profile(sets: RiskSets, top: Point, j: int) -> tuple[float, float, float]:
    """Profile limits of coefficient j at 95 %, and P of the penalised likelihood ratio against 0."""
    free = np.arange(len(top.beta)) != j
    along = np.linalg.inv(top.information)[:, j]
    along = along / along[j]  # how the others follow this one

    def held(value: float) -> Point | None:
        start = _point(sets, top.beta + along * (value - top.beta[j]))
        return _climb(sets, start, free=free)

    without = held(0.0)
    p_value = np.nan
    if without is not None:
        p_value = chi2_tail(max(0.0, 2 * (top.value - without.value)), 1)
    se = float(np.sqrt(np.linalg.inv(top.information)[j, j]))
    low, high = (_limit(held, top, j, side=side, se=se) for side in (-1, 1))
    return low, high, p_value


def _limit(held: Callable[[float], Point | None], top: Point, j: int, *, side: int, se: float) -> float:
    """Where the root of twice the fall of the profile reaches 1.96: Newton's steps between ends that enclose it.

    The root is nearly a straight line in the coefficient, and its slope is the profile's gradient over the root.
    """
    inner, outer = 0.0, np.inf  # distances from the top
    distance = Z95 * se
    for _ in range(MOST_STEPS):
        found = held(top.beta[j] + side * distance)
        if found is None:
            outer, distance = distance, (inner + distance) / 2
        else:
            root = float(np.sqrt(max(0.0, 2 * (top.value - found.value))))
            if abs(root - Z95) <= 1e-11:
                return float(top.beta[j] + side * distance)
            inner, outer = (distance, outer) if root < Z95 else (inner, distance)
            slope = -side * found.score[j] / root if root > 0 else 0.0
            tried = distance + (Z95 - root) / slope if slope > 0 else 2 * distance
            tried = min(tried, 4 * distance)
            within = inner < tried < outer
            distance = tried if within else (inner + outer) / 2 if np.isfinite(outer) else 2 * distance
        if outer - inner <= 1e-13 * (1 + inner):
            return float(top.beta[j] + side * distance)
    return np.nan
