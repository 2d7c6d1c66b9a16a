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
NOTHING = 1e-290  # a risk set that weighs less: the coefficients are so far out that no step may go there

Pieces = tuple[float, np.ndarray, np.ndarray]  # log-likelihood, score (p,), information (p, p)


@dataclass(frozen=True, eq=False)
class Maximum:
    """Where the climb ended. `unbounded` marks coefficients without a finite maximum; the others are converged."""

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
        covariance[np.ix_(use, use)] = np.linalg.inv(information[np.ix_(use, use)])
    return Maximum(beta, covariance, unbounded, value, value_at_zero)
