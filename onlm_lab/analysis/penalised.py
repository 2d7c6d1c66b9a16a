"""Logistic regression with Firth's penalty: finite where N+ and N0 are separated, less biased where events are few."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.logistic import LogisticFit
from onlm_lab.analysis.tails import chi2_tail

_SCORE = 1e-10  # of orthogonal columns with a root mean square of 1
_DEPENDENT = 1e-9  # what is left of a column beside the others, its root mean square being 1
_STEP = 1e-12
_MAX_STEPS = 200
_LONGEST = 5.0  # a step in log odds


def fit_firth(
    design: np.ndarray, event: np.ndarray, *, held: tuple[int, float] | None = None, start: np.ndarray | None = None
) -> LogisticFit:
    """Logistic regression whose likelihood is multiplied by the square root of the information's determinant.

    The score X'(y - p + h (1/2 - p)), h the hat values, is solved to 1e-10 in orthogonal columns (Firth 1993,
    doi:10.1093/biomet/80.1.27; Heinze and Schemper 2002, doi:10.1002/sim.1047). The covariance is the inverse of the
    information there, as brglm2's. Estimates are finite under separation.

    Args:
        design: (n, k) columns of the model, the intercept included.
        event: (n,) bool or 0/1.
        held: a column and the value at which its coefficient is held while the others are fitted; the penalty stays
            that of the whole model, as a profile needs it.
        start: (k,) where to begin.

    Returns:
        A fit whose log_likelihood is the penalised one; NaN with a note where the columns are dependent.
    """
    n, k = design.shape
    y = np.asarray(event, dtype=float)
    size = np.sqrt(np.mean(design**2, axis=0)) if n else np.zeros(k)
    if n <= k or not np.all(size > 0):
        return _nothing(k, "no estimate: a column is 0 in everybody, or there are too few patients")
    last = k - 1 if held is None else held[0]
    order = np.array([*(j for j in range(k) if j != last), last])  # held comes last: its coefficient is one coordinate
    basis, triangle = np.linalg.qr((design / size)[:, order] / math.sqrt(n))
    if np.min(np.abs(np.diag(triangle))) < _DEPENDENT:
        return _nothing(k, "no estimate: a column repeats others")
    x = basis * math.sqrt(n)
    place = triangle @ (np.zeros(k) if start is None else (start * size)[order])
    if held is not None:
        place += triangle[:, -1] * (held[1] * size[last] - place[-1] / triangle[-1, -1])
    place, value, information, note = _climb(x, y, place, free=k if held is None else k - 1)
    if note:
        return _nothing(k, note)
    back = np.linalg.inv(triangle)
    coef, covariance = np.empty(k), np.empty((k, k))
    coef[order] = back @ place
    covariance[np.ix_(order, order)] = back @ np.linalg.inv(information) @ back.T
    units = float(np.log(size).sum() + np.log(np.abs(np.diag(triangle))).sum())  # of the determinant
    return LogisticFit(coef / size, covariance / np.outer(size, size), value + units)


def _climb(x: np.ndarray, y: np.ndarray, coef: np.ndarray, *, free: int) -> tuple[np.ndarray, float, np.ndarray, str]:
    """The maximum over the first `free` coefficients: where, how high, the information there, and why there is none."""
    value, score, information = _pieces(x, y, coef)
    if value == -math.inf:
        return coef, value, information, "no estimate: at these coefficients every fitted risk is 0 or 1"
    for _ in range(_MAX_STEPS):
        if not free or np.max(np.abs(score[:free])) <= _SCORE:
            return coef, value, information, ""
        step = np.zeros(len(coef))
        step[:free] = _step(x, coef, score, information, free=free)
        step *= min(1.0, _LONGEST / np.max(np.abs(step)))
        for half in range(40):  # halve a step that overshoots
            tried = coef + step / 2**half
            new = _pieces(x, y, tried)
            if new[0] >= value - 1e-13 * (1 + abs(value)):
                break
        coef, (value, score, information) = tried, new
        if np.max(np.abs(step)) <= _STEP * (1 + np.max(np.abs(coef))):
            return coef, value, information, ""
    return coef, value, information, f"no estimate: the penalised score was not solved in {_MAX_STEPS} steps"


def profile_interval(
    design: np.ndarray, event: np.ndarray, *, column: int, fit: LogisticFit, level: float = 0.95
) -> tuple[float, float]:
    """Limits of one coefficient: where the profile of the penalised likelihood has fallen by half the chi2 quantile.

    Heinze and Schemper 2002, doi:10.1002/sim.1047. The profile falls without end on both sides, so limits exist even
    under separation.
    """
    if fit.note:
        return math.nan, math.nan
    drop = normal_quantile(level) ** 2
    return tuple(_limit(design, event, column=column, fit=fit, drop=drop, side=side) for side in (-1, 1))


def penalised_ratio_test(
    design: np.ndarray, event: np.ndarray, *, column: int, fit: LogisticFit
) -> tuple[float, float]:
    """Chi2 and P of one coefficient: twice the fall of the penalised likelihood where it is held at 0."""
    if fit.note:
        return math.nan, math.nan
    without = fit_firth(design, event, held=(column, 0.0))
    chi2 = max(0.0, 2 * (fit.log_likelihood - without.log_likelihood))
    return chi2, chi2_tail(chi2, 1)


def _limit(
    design: np.ndarray, event: np.ndarray, *, column: int, fit: LogisticFit, drop: float, side: int
) -> float:  # fmt: skip
    """Where the profile has fallen by `drop` on one side: walked to in steps, then found between the last two."""
    near, at, step = fit, float(fit.coef[column]), side * float(fit.se[column])

    def there(value: float) -> LogisticFit:
        along = near.covariance[:, column] / near.covariance[column, column]  # how the others follow this one
        return fit_firth(design, event, held=(column, value), start=near.coef + along * (value - at))

    def gap(value: float) -> float:
        return 2 * (fit.log_likelihood - there(value).log_likelihood) - drop

    for _ in range(_MAX_STEPS):
        reached = there(at + step)
        if reached.note:
            step /= 2
        elif 2 * (fit.log_likelihood - reached.log_likelihood) >= drop:
            ends = sorted((at, at + step))
            return float(brentq(gap, *ends, xtol=1e-10 * (1 + abs(at)), rtol=1e-12))
        else:
            near, at, step = reached, at + step, 1.5 * step
    return math.nan


def _step(x: np.ndarray, coef: np.ndarray, score: np.ndarray, information: np.ndarray, *, free: int) -> np.ndarray:
    """Newton's step where the penalised likelihood is concave, else Fisher's scoring step."""
    risk = expit(x @ coef)
    w, inverse = risk * (1 - risk), np.linalg.inv(information)
    inside = x @ inverse
    leverage = np.einsum("ij,ij->i", inside, x)
    slope = w * (1 - 2 * risk)
    bend = np.empty_like(x)  # how each hat value changes with each coefficient
    for column in range(x.shape[1]):
        moved = (x * (slope * x[:, column])[:, None]).T @ x
        bend[:, column] = slope * x[:, column] * leverage - w * np.einsum("ij,jk,ik->i", inside, moved, inside)
    curvature = information + (x * (w * w * leverage)[:, None]).T @ x - (x * (0.5 - risk)[:, None]).T @ bend
    curvature = ((curvature + curvature.T) / 2)[:free, :free]
    least, most = np.linalg.eigvalsh(curvature)[[0, -1]]
    return np.linalg.solve(curvature if least > 1e-10 * most else information[:free, :free], score[:free])


def _pieces(x: np.ndarray, y: np.ndarray, coef: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Penalised log likelihood, modified score and information at given coefficients."""
    eta = x @ coef
    risk = expit(eta)
    weighted = x * np.sqrt(risk * (1 - risk))[:, None]
    information = weighted.T @ weighted
    sign, log_determinant = np.linalg.slogdet(information)
    if sign <= 0 or not math.isfinite(log_determinant):
        return -math.inf, np.zeros(len(coef)), np.eye(len(coef))
    hat = np.einsum("ij,ij->i", weighted @ np.linalg.inv(information), weighted)
    value = float(np.sum(y * eta - np.logaddexp(0, eta))) + 0.5 * float(log_determinant)
    return value, x.T @ (y - risk + hat * (0.5 - risk)), information


def _nothing(k: int, note: str) -> LogisticFit:
    return LogisticFit(np.full(k, math.nan), np.full((k, k), math.nan), math.nan, note)
