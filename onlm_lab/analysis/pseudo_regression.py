"""Regression of pseudo-observations on a risk: the generalised estimating equation with independence, robust errors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

LINKS = ("cloglog", "logit")
_TOLERANCE = 1e-11
_MOST_STEPS = 200
_BEYOND = 50.0  # a linear predictor this far out has run away: there is no finite solution


@dataclass(frozen=True, eq=False)
class PseudoFit:
    """Coefficients and their sandwich covariance; `note` says why where they are NaN."""

    coef: np.ndarray
    covariance: np.ndarray
    note: str = ""

    @property
    def se(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))


def linked(risk: np.ndarray, *, link: str) -> np.ndarray:
    """A risk on the scale of the link."""
    return np.log(-np.log1p(-risk)) if link == "cloglog" else logit(risk)


def fit_pseudo(design: np.ndarray, outcome: np.ndarray, *, link: str, offset: np.ndarray) -> PseudoFit:
    """Solve sum of (d mean / d coef) (outcome - mean) = 0, as R's geepack::geese with family gaussian.

    Andersen, Klein and Rosthoj 2003, doi:10.1093/biomet/90.1.15. Gauss-Newton steps from zero, halved until the squared
    residuals do not grow. The variance is the sandwich with independent patients (geese's san.se).

    Args:
        design: (n, k) columns of the model, the intercept included.
        outcome: (n,) pseudo-observations.
        link: "cloglog" or "logit".
        offset: (n,) a term whose coefficient is fixed at 1.
    """
    k = design.shape[1]
    coef, fixed = np.zeros(k), offset
    eta = fixed.copy()
    mean, steep = _mean(eta, link)
    loss = float(((outcome - mean) ** 2).sum())
    for _ in range(_MOST_STEPS):
        slopes = design * steep[:, None]
        bread = slopes.T @ slopes
        if not np.isfinite(bread).all() or np.linalg.cond(bread) > 1e14:
            return _nothing(k)
        step, size = np.linalg.solve(bread, slopes.T @ (outcome - mean)), 1.0
        while True:
            tried = coef + size * step
            eta = fixed + design @ tried
            mean, steep = _mean(eta, link)
            new = float(((outcome - mean) ** 2).sum())
            if new <= loss + 1e-12 * (1 + loss) or size < 1e-6:
                break
            size /= 2
        coef, loss = tried, new
        if np.abs(eta - fixed).max() > _BEYOND:
            return _nothing(k)
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(coef).max()):
            break
    else:
        return _nothing(k)
    slopes = design * steep[:, None]
    inverse, scored = np.linalg.inv(slopes.T @ slopes), slopes * (outcome - mean)[:, None]
    return PseudoFit(coef, inverse @ (scored.T @ scored) @ inverse)


def _mean(eta: np.ndarray, link: str) -> tuple[np.ndarray, np.ndarray]:
    """The mean at each linear predictor, and its derivative."""
    if link == "logit":
        mean = expit(eta)
        return mean, mean * (1 - mean)
    rate = np.exp(np.minimum(eta, 30.0))
    return -np.expm1(-rate), rate * np.exp(-rate)


def _nothing(k: int) -> PseudoFit:
    note = "no finite estimate: the risks separate those with the event from the others, or hardly differ"
    return PseudoFit(np.full(k, math.nan), np.full((k, k), math.nan), note)
