"""Weighted cumulative incidence with the influence of each patient on it, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onlm_lab.analysis.product_limit import Z95, before

NOBODY = 1e-12  # a share of the risk set that is rounding, not patients


@dataclass(frozen=True, eq=False)
class WeightedSteps:
    """Weighted Aalen-Johansen estimate of one cause: sums of weights at each distinct time, and the incidence."""

    at: np.ndarray  # (n,) each patient's time among `days`
    own: np.ndarray  # (n,) bool: had the event of this cause
    event: np.ndarray  # (n,) bool: had an event of any cause
    weight: np.ndarray  # (n,)
    days: np.ndarray  # (j,)
    weight_at_risk: np.ndarray  # (j,)
    n_at_risk: np.ndarray  # (j,)
    effective_at_risk: np.ndarray  # (j,) (sum w)^2 / sum w^2 of those at risk (Kish 1965)
    hazard: np.ndarray  # (j,) of any event
    own_hazard: np.ndarray  # (j,) of this cause
    event_free: np.ndarray  # (j,) after each time
    incidence: np.ndarray  # (j,) after each time
    last: float  # where the curve ends; infinite when nobody is left who could change it


def weighted_steps(days: np.ndarray, state: np.ndarray, weight: np.ndarray, *, cause: int = 1) -> WeightedSteps:
    """Aalen and Johansen's estimate with case weights; 1 - Kaplan-Meier where no event competes.

    Args:
        days: (n,) times, at least one.
        state: (n,) 0 censored, 1 the event, 2 a competing event.
        weight: (n,) above zero.
        cause: 1 or 2.
    """
    times, at = np.unique(days, return_inverse=True)
    own, event = state == cause, state > 0

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(at, weights=values, minlength=len(times))

    def ahead(values: np.ndarray) -> np.ndarray:
        return sums(values)[::-1].cumsum()[::-1]

    weight_at_risk = ahead(weight)
    hazard = np.minimum(sums(weight * event) / weight_at_risk, 1.0)
    hazard = np.where(1 - hazard < NOBODY, 1.0, hazard)
    own_hazard = sums(weight * own) / weight_at_risk
    event_free = np.cumprod(1 - hazard)
    return WeightedSteps(
        at=at,
        own=own,
        event=event,
        weight=weight,
        days=times,
        weight_at_risk=weight_at_risk,
        n_at_risk=ahead(np.ones(len(days))).round().astype(int),
        effective_at_risk=weight_at_risk**2 / ahead(weight**2),
        hazard=hazard,
        own_hazard=own_hazard,
        event_free=event_free,
        incidence=np.cumsum(before(event_free) * own_hazard),
        last=float(times[-1]) if (state[at == len(times) - 1] == 0).any() else np.inf,
    )


def risk_by(steps: WeightedSteps, day: float) -> tuple[float, np.ndarray]:
    """The incidence by a day and each patient's derivative of it (n,): d F(day) / d weight.

    The infinitesimal jackknife: the variance is the sum of squares of weight times derivative, as survfit of R's
    survival gives it with robust=TRUE (Therneau and Grambsch 2000, doi:10.1007/978-1-4757-3294-8). NaN beyond the end.
    """
    n_until = int((steps.days <= day).sum())
    if day > steps.last:
        return np.nan, np.full(len(steps.at), np.nan)
    if n_until == 0:
        return 0.0, np.zeros(len(steps.at))
    risk = float(steps.incidence[n_until - 1])
    n, kept = steps.weight_at_risk[:n_until], 1 - steps.hazard[:n_until]
    per_own = before(steps.event_free)[:n_until] / n
    still = risk - steps.incidence[:n_until]
    per_event = np.divide(still, n * kept, out=np.zeros(n_until), where=kept > 0)
    paid = np.cumsum(per_event * steps.hazard[:n_until] - per_own * steps.own_hazard[:n_until])
    where = np.minimum(steps.at, n_until - 1)
    within = steps.at < n_until
    return risk, paid[where] + within * (steps.own * per_own[where] - steps.event * per_event[where])


def standard_errors(steps: WeightedSteps) -> np.ndarray:
    """The robust standard error of the incidence after each time (j,), as risk_by gives it at one, in one pass.

    A patient's derivative of F(t) is F(t) a - b with a and b fixed from the patient's own time on, so that sums of
    squares are cumulative sums.
    """
    n, kept, f = steps.weight_at_risk, 1 - steps.hazard, steps.incidence
    per_own = before(steps.event_free) / n
    per_event = np.divide(1.0, n * kept, out=np.zeros(len(n)), where=kept > 0)
    a = np.cumsum(steps.hazard * per_event)
    b = np.cumsum(f * steps.hazard * per_event + per_own * steps.own_hazard)
    at = steps.at
    a_own = a[at] - steps.event * per_event[at]
    b_own = b[at] - steps.own * per_own[at] - steps.event * (f * per_event)[at]
    squared = steps.weight**2

    def so_far(values: np.ndarray) -> np.ndarray:
        return np.bincount(at, weights=squared * values, minlength=len(n)).cumsum()

    ahead = squared.sum() - so_far(np.ones(len(at)))
    known = f**2 * so_far(a_own**2) - 2 * f * so_far(a_own * b_own) + so_far(b_own**2)
    return np.sqrt(np.maximum(known + ahead * (f * a - b) ** 2, 0.0))


def limits(risk: float, se: float) -> tuple[float, float]:
    """95 % limits on the log(-log) scale; NaN where the risk is 0 or 1."""
    if not (0 < risk < 1 and se > 0):
        return np.nan, np.nan
    with np.errstate(over="ignore"):  # an error so large that nothing is known: from 0 to 1
        power = np.exp(Z95 * se / (risk * -np.log(risk)))
    return float(risk**power), float(risk ** (1 / power))
