"""Gray's test that groups have the same cumulative incidence of one cause (Gray 1988, doi:10.1214/aos/1176350951)."""

from __future__ import annotations

import numpy as np

from onlm_lab.analysis.product_limit import distinct_times
from onlm_lab.analysis.tails import chi2_tail

NO_TEST = (float("nan"), 0, float("nan"))


def gray_test(
    days: np.ndarray,
    state: np.ndarray,
    codes: np.ndarray,
    *,
    cause: int,
    strata: np.ndarray | None = None,
    rho: float = 0.0,
) -> tuple[float, int, float]:
    """Chi-square, degrees of freedom and p of the K-sample test; NaN where it cannot be made.

    The score compares each group's events of `cause` with those expected if all groups shared one subdistribution
    hazard; patients with a competing event stay in the "risk set" with weight (1 - F(t-)) / S(t-). The variance is
    Gray's, with the correction for ties of cmprsk::cuminc.

    Args:
        days: time of each patient's event or last contact.
        state: 0 censored, 1 the event, 2 a competing event.
        codes: group number of each patient, 0 to K-1.
        cause: the state that is tested.
        strata: stratum number of each patient; scores and variances of the strata are added. None: one stratum.
        rho: each time counts with (1 - F(t-))^rho, F the incidence of all groups of the stratum.
    """
    n_groups = int(codes.max()) + 1
    if n_groups < 2 or not (state == cause).any():
        return NO_TEST
    df = n_groups - 1
    score, variance = np.zeros(df), np.zeros((df, df))
    parts = [slice(None)] if strata is None else [strata == s for s in range(int(strata.max()) + 1)]
    for part in parts:
        at_risk, own, other = _counts(days[part], state[part], codes[part], n_groups, cause)
        if own.any():
            own_score, own_variance = _score(at_risk, own, other, rho)
            score, variance = score + own_score, variance + own_variance
    if not np.isfinite(variance).all() or np.linalg.matrix_rank(variance) < df:
        return NO_TEST
    chi2 = float(score @ np.linalg.solve(variance, score))
    return chi2, df, chi2_tail(chi2, df)


def _counts(
    days: np.ndarray, state: np.ndarray, codes: np.ndarray, n_groups: int, cause: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each time with any event, by group: at risk, events of the cause, other events; (n_times, n_groups) each."""
    times, at = distinct_times(days)
    cell, shape = at * n_groups + codes, (len(times), n_groups)

    def table(which: np.ndarray) -> np.ndarray:
        return np.bincount(cell[which], minlength=shape[0] * n_groups).reshape(shape).astype(float)

    own, other = table(state == cause), table((state != 0) & (state != cause))
    at_risk = table(np.ones(len(days), dtype=bool))[::-1].cumsum(axis=0)[::-1]
    keep = (own + other).sum(axis=1) > 0
    return at_risk[keep], own[keep], other[keep]


def _score(at_risk: np.ndarray, own: np.ndarray, other: np.ndarray, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """The score of the first K-1 groups and its covariance."""
    some = at_risk > 0
    kept = 1 - np.divide(own + other, at_risk, out=np.zeros_like(at_risk), where=some)
    after = np.cumprod(kept, axis=0)  # all-cause survival at t, by group
    before = np.vstack([np.ones(at_risk.shape[1]), after[:-1]])
    jump = np.divide(before * own, at_risk, out=np.zeros_like(at_risk), where=some)
    incidence_before = np.vstack([np.zeros(at_risk.shape[1]), np.cumsum(jump, axis=0)[:-1]])
    scaled = np.divide(at_risk, before, out=np.zeros_like(at_risk), where=some)  # R / S(t-), by group
    total = scaled.sum(axis=1)
    n_own = own.sum(axis=1)
    pooled = np.cumsum(n_own / total)  # one subdistribution for all, under the null
    pooled_before = np.r_[0.0, pooled[:-1]]
    weight = (1 - pooled_before)[:, None] ** rho
    in_play = scaled * (1 - incidence_before)
    score = (weight * (own - n_own[:, None] * in_play / in_play.sum(axis=1)[:, None])).sum(axis=0)

    identity, weighted = np.eye(at_risk.shape[1]), weight * scaled
    a = identity[None] * weighted[:, :, None] - weighted[:, :, None] * (scaled / total[:, None])[:, None, :]
    c = np.cumsum(a * (n_own / (total * (1 - pooled_before)))[:, None, None], axis=0)
    ratio = np.divide(1 - pooled[:, None], after, out=np.zeros_like(after), where=after > 0)

    own_spread = _spread(n_own[:, None], total[:, None] * before)
    own_spread *= np.divide(before, total[:, None] * at_risk, out=np.zeros_like(before), where=some) * n_own[:, None]
    other_spread = _spread(other, at_risk) * np.divide(before, at_risk, out=np.zeros_like(before), where=some) ** 2
    other_spread *= other * (after > 0)
    slope = 1 - ratio
    b = a - slope[:, None, :] * c
    third = (slope**2 * own_spread + ratio**2 * other_spread).sum(axis=0)
    second = np.einsum("tik,tk->ik", b, slope * own_spread) - np.einsum("tik,tk->ik", c, ratio**2 * other_spread)
    first = _spread_of(b, own_spread) + _spread_of(c, ratio**2 * other_spread)
    end = c[-1]
    variance = first + np.einsum("ik,jk,k->ij", end, end, third) + end @ second.T + second @ end.T
    return score[:-1], variance[:-1, :-1]


def _spread(n_events: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """The correction for ties: 1 - (d - 1) / (n - 1) where more than one event falls on one time."""
    n_events, at_risk = np.broadcast_arrays(n_events, at_risk)
    several = (n_events > 1) & (at_risk > 1)
    return 1 - np.divide(n_events - 1, at_risk - 1, out=np.zeros(at_risk.shape), where=several)


def _spread_of(step: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sum over times t and groups k of weight[t, k] step[t, :, k] step[t, :, k]'."""
    by_group = step.transpose(2, 1, 0)  # (k, i, t)
    return ((by_group * weight.T[:, None, :]) @ by_group.transpose(0, 2, 1)).sum(axis=0)
