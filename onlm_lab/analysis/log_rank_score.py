"""Observed minus expected events of each group: the log-rank score, with weights and strata (Mantel 1966; Peto)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onlm_lab.analysis.product_limit import distinct_times
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.results import LogRank

TOO_FEW = "too few events to compare the groups"


@dataclass(frozen=True, eq=False)
class Score:
    """Weighted observed and expected events of each group, and the covariance of their difference."""

    observed: np.ndarray  # (n_groups,)
    expected: np.ndarray
    variance: np.ndarray  # (n_groups, n_groups)


def log_rank_score(
    days: np.ndarray,
    event: np.ndarray,
    codes: np.ndarray,
    *,
    n_groups: int,
    strata: np.ndarray | None = None,
    rho: float = 0.0,
) -> Score:
    """The score of the groups, summed over strata; hypergeometric variance.

    Each time's deaths are weighted by S(t-)^rho, S the Kaplan-Meier curve of all groups of the stratum (Harrington and
    Fleming 1982, doi:10.1093/biomet/69.3.553): 0 is the log-rank test, 1 Peto and Peto's form of Wilcoxon's.

    Args:
        days: time of each patient's event or last contact.
        event: (n,) bool.
        codes: group number of each patient, 0 to n_groups - 1.
        n_groups: how many groups.
        strata: stratum number of each patient; None: one stratum.
        rho: weight, 0 or more.
    """
    times, line = distinct_times(days)
    stratum = np.zeros(len(days), dtype=int) if strata is None else strata
    if strata is not None:  # a line a stratum and time, strata one after the other
        found, line = np.unique(stratum * len(times) + line, return_inverse=True)
        last = np.searchsorted(found // len(times), found // len(times), side="right")
        n_lines = len(found)
    else:
        n_lines = len(times)
        last = np.full(n_lines, n_lines)
    shape = (n_lines, n_groups)
    cell = line * n_groups + codes
    left = np.bincount(cell, minlength=n_lines * n_groups).reshape(shape)
    died = np.bincount(cell[event], minlength=n_lines * n_groups).reshape(shape)
    ahead = np.vstack([left[::-1].cumsum(axis=0)[::-1], np.zeros((1, n_groups), dtype=int)])
    at_risk = ahead[:-1] - ahead[last]
    n, d = at_risk.sum(axis=1).astype(float), died.sum(axis=1).astype(float)
    weight = np.ones(n_lines) if rho == 0 else _survival_before(n, d, last) ** rho
    keep = d > 0
    at_risk, died, n, d, weight = at_risk[keep].astype(float), died[keep], n[keep], d[keep], weight[keep]
    share = at_risk / n[:, None]
    expected = ((weight * d)[:, None] * share).sum(axis=0)
    spread = weight**2 * d * np.divide(n - d, n - 1, out=np.zeros(len(n)), where=n > 1)
    weighted = spread[:, None] * share
    variance = np.diag(weighted.sum(axis=0)) - weighted.T @ share
    return Score((weight[:, None] * died).sum(axis=0), expected, variance)


def chi_square(score: Score) -> LogRank:
    """The test that no group differs; groups of whom nothing is expected are left out of the degrees of freedom."""
    used = np.flatnonzero(score.expected > 0)[1:]
    df, variance = len(used), score.variance[np.ix_(used, used)]
    if df == 0 or np.linalg.matrix_rank(variance) < df:
        return LogRank(chi2=np.nan, df=df, p_value=np.nan, note=TOO_FEW)
    excess = (score.observed - score.expected)[used]
    chi2 = float(excess @ np.linalg.solve(variance, excess))
    return LogRank(chi2=chi2, df=df, p_value=chi2_tail(chi2, df))


def trend_test(score: Score) -> LogRank:
    """The test of a trend over the groups as scored 0, 1, 2 ... (Tarone 1975, doi:10.1093/biomet/62.3.679)."""
    place = np.arange(len(score.expected), dtype=float)
    variance = float(place @ score.variance @ place)
    if not variance > 0:
        return LogRank(chi2=np.nan, df=1, p_value=np.nan, note=TOO_FEW)
    chi2 = float(place @ (score.observed - score.expected)) ** 2 / variance
    return LogRank(chi2=chi2, df=1, p_value=chi2_tail(chi2, 1))


def _survival_before(n: np.ndarray, d: np.ndarray, last: np.ndarray) -> np.ndarray:
    """S(t-) within each stratum; it is never zero while somebody is at risk."""
    first = np.r_[True, last[1:] != last[:-1]]
    fallen = np.where(n > d, np.log1p(-d / n, out=np.zeros(len(n)), where=n > d), 0.0)
    total = np.r_[0.0, np.cumsum(fallen)[:-1]]
    return np.exp(total - total[np.maximum.accumulate(np.where(first, np.arange(len(n)), 0))])
