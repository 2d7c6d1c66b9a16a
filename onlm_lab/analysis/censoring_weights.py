"""Weights that let patients whose outcome is known stand for those censored before it, and what estimating them costs.

G is the Kaplan-Meier estimate of the censoring time; at a tie events come before censorings. A patient whose outcome
was settled at T weighs 1 / G(T-), one who is still free after the horizon t weighs 1 / G(t), one who was censored
before t weighs nothing (Graf et al. 1999, Stat Med 18:2529; with competing events Gerds and Schumacher 2006,
doi:10.1002/bimj.200610301).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onlm_lab.analysis.product_limit import Steps, survival, uncensored_before


@dataclass(frozen=True, eq=False)
class Censoring:
    """How the patients were censored: G(T-) of each, and the counts at each distinct time."""

    days: np.ndarray
    state: np.ndarray
    free_before: np.ndarray  # (n,) G(T-)
    steps: Steps
    place: np.ndarray  # (n,) which of the distinct times is the patient's own

    @property
    def still(self) -> np.ndarray:
        """At each distinct time, who could have been censored then: at risk and without an event at that time."""
        return (self.steps.at_risk - self.steps.n_state[:, 1:].sum(axis=1)).astype(float)

    def free_at(self, horizon: float) -> float:
        """G(t), the share not yet censored at the end of day t."""
        after = survival(np.maximum(self.still, 1), self.steps.n_state[:, 0])
        return float(np.r_[1.0, after][np.searchsorted(self.steps.days, horizon, side="right")])

    def followed(self, horizon: float) -> bool:
        """Whether anybody tells what becomes of patients up to the horizon: some are followed beyond it, or everyone's
        outcome was known before."""
        last = self.days.max()
        return bool(last > horizon or not (self.state[self.days == last] == 0).any())

    def through(self, lead: np.ndarray, *, horizon: float) -> np.ndarray:
        """What each patient adds to a weighted sum by having shaped G.

        Args:
            lead: (n,) derivative of the sum by the logarithm of each patient's weight.
            horizon: the day t; who is followed beyond it weighs 1 / G(t).
        """
        n_times = len(self.steps.days)
        beyond = int(np.searchsorted(self.steps.days, horizon, side="right"))
        weighed_at = np.minimum(self.place, beyond)
        after = np.bincount(weighed_at, weights=lead, minlength=n_times + 1)
        after = (after.sum() - np.cumsum(after))[:n_times]  # lead of those weighed later than each time
        n_censored, still = self.steps.n_state[:, 0], self.still
        both = still * (still - n_censored)
        kept = np.divide(n_censored, both, out=np.zeros(n_times), where=both > 0)  # d log(1 - c/n) of one who stays
        before_own = np.r_[0.0, np.cumsum(kept * after)][self.place]
        own = np.divide(after, still, out=np.zeros(n_times), where=still > 0)[self.place]  # of one who leaves
        return np.where(self.state == 0, own, 0.0) - before_own


def censoring(days: np.ndarray, state: np.ndarray) -> Censoring:
    """The censoring of some patients, to be asked at one horizon after another."""
    free, steps = uncensored_before(days, state)
    return Censoring(days, state, free, steps, steps.place)


def known_weights(censored: Censoring, *, horizon: float) -> np.ndarray:
    """(n,) 1 / G(T-) of those with an event of either kind by the horizon, 1 / G(t) of those beyond it, else 0."""
    settled = (censored.state != 0) & (censored.days <= horizon)
    weight = np.divide(1.0, censored.free_before, out=np.zeros(len(settled)), where=settled)
    later = censored.days > horizon
    if later.any():
        weight[later] = 1 / censored.free_at(horizon)
    return weight


def standard_error(influence: np.ndarray) -> float:
    """Of a statistic from each patient's influence on it (n - 1 in the divisor); NaN for one patient."""
    n = len(influence)
    return float(np.sqrt((influence**2).sum() * n / (n - 1))) if n > 1 else np.nan
