"""What a Cox model leaves of each patient: martingale and deviance residuals, and their pull on the coefficients."""

from __future__ import annotations

import numpy as np

from onlm_lab.analysis.partial_likelihood import CoxFit, Likelihood, RiskSets, likelihood, risk_sets, score_residuals


def martingale(sets: RiskSets, at: Likelihood) -> np.ndarray:
    """Observed minus expected events of each patient (n,), in the order of the table; expected with Efron's ties.

    Therneau, Grambsch and Fleming 1990, doi:10.1093/biomet/77.1.147.
    """
    expected = at.hazard * sets.so_far(sets.per_time(1 / at.denominator))
    expected[sets.died] -= at.hazard[sets.died] * sets.per_time(sets.fraction / at.denominator)[sets.died_at]
    out = np.empty(len(expected))
    out[sets.order] = sets.event - expected
    return out


def null_martingale(days: np.ndarray, event: np.ndarray, *, stratum: np.ndarray) -> np.ndarray:
    """Martingale residuals of the model without covariates (n,)."""
    sets = risk_sets(np.zeros((len(days), 1)), days, event, stratum)
    return martingale(sets, likelihood(sets, np.zeros(1)))


def deviance(residual: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Martingale residuals made symmetric about 0: sign(M) sqrt(-2 (M + d log(d - M)))."""
    expected = np.maximum(event - residual, 0)
    with np.errstate(divide="ignore"):
        log = np.where(event, np.log(expected), 0.0)
    return np.sign(residual) * np.sqrt(np.maximum(0, -2 * (residual + log)))


def pulls(fit: CoxFit) -> tuple[np.ndarray, np.ndarray]:
    """How much each patient moves the coefficients (n, p), to first order, and twice the log-likelihood so lost (n,).

    Cain and Lange 1984, doi:10.2307/2531326; likelihood displacement: Pettitt and Bin Daud 1989, doi:10.2307/2347677.
    """
    score = score_residuals(fit)
    moved = score @ fit.covariance
    return moved, (moved * score).sum(axis=1)
