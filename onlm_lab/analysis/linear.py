"""Linear regression whose standard errors do not assume that all patients scatter alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

_ALONE = 1 - 1e-9  # a hat value from which one patient alone decides a coefficient


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Coefficients, their robust covariance and the residual degrees of freedom; `note` says why they are NaN."""

    coef: np.ndarray
    covariance: np.ndarray
    df: int
    note: str = ""

    @property
    def se(self) -> np.ndarray:
        return np.sqrt(np.diag(self.covariance))


def fit_linear(design: np.ndarray, outcome: np.ndarray) -> LinearFit:
    """Least squares with the covariance HC3, which weighs each squared residual by 1 / (1 - hat value)^2.

    MacKinnon and White 1985, doi:10.1016/0304-4076(85)90158-7; best of its family in small samples: Long and Ervin
    2000, doi:10.1080/00031305.2000.10474549.

    Args:
        design: (n, k) columns of the model, the intercept included.
        outcome: (n,) float.

    Returns:
        A fit whose numbers are NaN, with a note, where the columns are dependent, one patient alone decides one of
        them, or the outcome is the same in everybody.
    """
    n, k = design.shape
    if n <= k:
        return _nothing(k, n - k, f"{n} patients are too few for {k} coefficients")
    scale = np.sqrt(np.mean(design**2, axis=0))
    if not np.all(scale > 0):
        return _nothing(k, n - k, "a column is 0 in everybody")
    basis, triangle = np.linalg.qr(design / scale)
    if np.min(np.abs(np.diag(triangle))) < 1e-9 * math.sqrt(n):
        return _nothing(k, n - k, "a column follows from the others")
    if np.ptp(outcome) == 0:
        return _nothing(k, n - k, "the risk is the same in all patients")
    hat = np.sum(basis**2, axis=1)
    if hat.max() > _ALONE:
        return _nothing(k, n - k, "one patient alone decides a coefficient")
    inverse = np.linalg.inv(triangle)
    coef = inverse @ (basis.T @ outcome)
    residual = outcome - design / scale @ coef
    spread = basis * (residual / (1 - hat))[:, None]
    covariance = inverse @ (spread.T @ spread) @ inverse.T
    return LinearFit(coef / scale, covariance / np.outer(scale, scale), n - k)


def wald_test(fit: LinearFit, *, columns: Sequence[int]) -> tuple[float, float]:
    """F and P that the coefficients of these columns are all 0, with the robust covariance."""
    at = list(columns)
    covariance = fit.covariance[np.ix_(at, at)]
    if fit.note or not at or np.linalg.matrix_rank(covariance) < len(at):
        return math.nan, math.nan
    f = float(fit.coef[at] @ np.linalg.solve(covariance, fit.coef[at])) / len(at)
    return f, float(fdtrc(len(at), fit.df, f))


def _nothing(k: int, df: int, note: str) -> LinearFit:
    return LinearFit(np.full(k, math.nan), np.full((k, k), math.nan), df, note)
