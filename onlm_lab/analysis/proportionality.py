"""Does a coefficient change with time? Schoenfeld's residuals and the exact score test of Cox's model, Efron's ties.

Grambsch and Therneau 1994, doi:10.1093/biomet/81.3.515, with the exact information matrix, as cox.zph of R survival 3
and later. Every sum is over events and cumulative sums: one pass costs O(n p^2).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.partial_likelihood import CoxFit, information
from onlm_lab.analysis.product_limit import before, count_steps, survival
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.errors import OnlmError

TRANSFORMS = ("km", "identity", "rank", "log")
Tested = tuple[str, float, int, float]


def time_scale(days: np.ndarray, event: np.ndarray, *, transform: str) -> np.ndarray:
    """g(t) of each patient's time (n,): what a coefficient may be linear in.

    km: 1 - S(t-) of the whole sample; identity: days; rank: rank among all times; log: log of the days.

    Raises:
        OnlmError: a transform that does not exist.
    """
    if transform not in TRANSFORMS:
        raise OnlmError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform!r}.")
    if transform == "identity":
        return days.astype(float)
    if transform == "log":
        with np.errstate(divide="ignore"):
            return np.log(days)
    if transform == "rank":
        return pd.Series(days).rank().to_numpy()
    steps = count_steps(days, event.astype(int))
    fallen = 1 - before(survival(steps.at_risk, steps.n_state[:, 1]))
    return fallen[steps.place]


def constancy_test(
    fit: CoxFit, days: np.ndarray, event: np.ndarray, *, terms: dict[str, list[int]], transform: str = "km"
) -> list[Tested]:
    """Score test that each term's coefficient does not change with time, and that none does ("GLOBAL").

    At coefficients that are not the maximum (a penalised fit) what is left of the plain score is taken out: Neyman's
    C(alpha) test. NaN where events fall on one time, on day 0 with the log, or where a coefficient has no maximum.
    """
    p = len(fit.scale)
    terms = terms | {"GLOBAL": list(range(p))}
    nothing = [(name, np.nan, len(where), np.nan) for name, where in terms.items()]
    if fit.unbounded.any():
        return nothing
    sets, at = fit.sets, fit.last
    g = time_scale(days, event, transform=transform)[sets.order][sets.died]
    plain = information(sets, at)
    if not np.isfinite(g).all() or len(np.unique(g)) < 2 or np.linalg.matrix_rank(plain) < p:
        return nothing
    g = (g - g.mean()) / g.std()
    crossed, squared = information(sets, at, weight=g), information(sets, at, weight=g**2)
    score = (g[:, None] * (sets.x[sets.died] - at.mean)).sum(axis=0) - crossed @ np.linalg.solve(plain, at.score)
    left = squared - crossed @ np.linalg.solve(plain, crossed)  # information on the change, the coefficients fitted
    out = []
    for name, where in terms.items():
        matrix = left[np.ix_(where, where)]
        known = np.linalg.matrix_rank(matrix, tol=1e-10 * np.abs(squared).max()) == len(where)
        chi2 = float(score[where] @ np.linalg.solve(matrix, score[where])) if known else np.nan
        out.append((name, chi2, len(where), chi2_tail(chi2, len(where))))
    return out


def scaled_schoenfeld(fit: CoxFit) -> np.ndarray:
    """At each event, an estimate of the coefficients at that time (m, p), in the order of `fit.sets.died`.

    coef + m V (x - mean), the mean over Efron's denominators of tied events, as cox.zph(terms = FALSE)$y.
    """
    sets, at = fit.sets, fit.last
    n_tied = np.bincount(sets.died_at)[sets.died_at]
    mean = sets.per_time(at.mean)[sets.died_at] / n_tied[:, None]
    residual = (sets.x[sets.died] - mean) * fit.scale
    return fit.coef + len(sets.died) * residual @ fit.covariance
