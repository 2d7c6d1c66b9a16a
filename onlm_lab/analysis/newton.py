"""Newton's climb to the maximum of a concave log-likelihood that may have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MOST_STEPS = 60
STEP_TOLERANCE = 1e-11  # of a coefficient per standard deviation of its covariate
SURE_STEP = 1e-6  # of so small a step the next one, of quadratic convergence, is foretold and need not be made
FLAT_GAIN = 1e-9  # a step that promises less log-likelihood than this ...
FAR_STEP = 1e-3  # ... and yet moves a coefficient more than this: the coefficient runs to infinity
NO_INFORMATION = 1e-10
VANISHED = 1e-6  # of the information at zero: others that ran to infinity took the rest with them
ALIASED = 1e-12  # an eigenvalue of the scaled information below this: what R's coxph calls singular, within rounding
NOTHING = 1e-290  # a risk set that weighs less: the coefficients are so far out that no step may go there

Pieces = tuple[float, np.ndarray, np.ndarray]  # log-likelihood, score (p,), information (p, p)


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where the climb ended. `unbounded` marks coefficients without a finite maximum of their own: those that run to
    infinity, and those that nobody who was at risk can tell from the ones before them; the others are converged."""

    beta: np.ndarray
    covariance: np.ndarray  # NaN in the rows and columns of unbounded coefficients
    unbounded: np.ndarray
    value: float
    value_at_zero: float


def maximise(evaluate: Callable[[np.ndarray], Pieces], *, p: int) -> Maximum:
    """The maximum from zero by Newton steps, each halved until the likelihood does not fall.

    Args:
        evaluate: log-likelihood, score and information at given coefficients, covariates standardised.
        p: number of coefficients.
    """
    beta = np.zeros(p)
    value, score, information = evaluate(beta)
    value_at_zero, at_first = value, np.diag(information)
    unbounded = np.diag(information) < NO_INFORMATION
    last = np.inf
    for _ in range(MOST_STEPS):
        use = np.flatnonzero(~unbounded)
        if not len(use):
            break
        step = np.zeros(p)
        step[use] = np.linalg.lstsq(information[np.ix_(use, use)], score[use], rcond=1e-14)[0]
        far = np.abs(step) > FAR_STEP
        if far.any() and float(step @ score) < FLAT_GAIN + 1e-13 * abs(value):
            unbounded = unbounded | far
            break
        for half in range(30):
            new = evaluate(beta + step / 2**half)
            if new[0] >= value - 1e-10 * (1 + abs(value)):
                beta, (value, score, information) = beta + step / 2**half, new
                break
        size, close = np.abs(step).max(), STEP_TOLERANCE * (1 + np.abs(beta).max())
        if size < close or (size < SURE_STEP and half == 0 and size * (size / last) ** 2 < close):
            break
        last = size
    else:
        unbounded = unbounded | far
    if unbounded.any():  # such as a level beside a reference level, both without an event
        unbounded = unbounded | (np.diag(information) < VANISHED * at_first)
    covariance = np.full((p, p), np.nan)
    use = np.flatnonzero(~unbounded)
    if len(use):
        kept = use[_independent(information[np.ix_(use, use)])]
        if len(kept) < len(use):
            return _within(evaluate, kept=kept, p=p)
        covariance[np.ix_(use, use)] = np.linalg.inv(information[np.ix_(use, use)])
    return Maximum(beta, covariance, unbounded, value, value_at_zero)


def _independent(information: np.ndarray) -> np.ndarray:
    """Of each set of coefficients that cannot be told apart all but the last, as R's coxph leaves them out."""
    size = np.sqrt(np.diag(information))
    scaled = information / np.outer(size, size)
    kept: list[int] = []
    if np.linalg.eigvalsh(scaled)[0] > ALIASED:
        return np.arange(len(size))
    for one in range(len(size)):
        tried = [*kept, one]
        if np.linalg.eigvalsh(scaled[np.ix_(tried, tried)])[0] > ALIASED:
            kept = tried
    return np.array(kept, dtype=int)


def _within(evaluate: Callable[[np.ndarray], Pieces], *, kept: np.ndarray, p: int) -> Maximum:
    """The maximum with the other coefficients at zero, where they are marked."""

    def fewer(beta: np.ndarray) -> Pieces:
        whole = np.zeros(p)
        whole[kept] = beta
        value, score, information = evaluate(whole)
        return value, score[kept], information[np.ix_(kept, kept)]

    top = maximise(fewer, p=len(kept))
    beta, unbounded, covariance = np.zeros(p), np.ones(p, dtype=bool), np.full((p, p), np.nan)
    beta[kept], unbounded[kept] = top.beta, top.unbounded
    covariance[np.ix_(kept, kept)] = top.covariance
    return Maximum(beta, covariance, unbounded, top.value, top.value_at_zero)
