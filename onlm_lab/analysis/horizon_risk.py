"""The share of patients who had the event by one day, and the same with each patient left out, as arrays.

Kaplan-Meier where nothing competes, Aalen and Johansen where other events do. Leaving a patient out changes only the
numbers at risk up to the day on which that patient left: running products before it and after it give every
leave-one-out estimate at once, exactly, without a refit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onlm_lab.analysis.product_limit import Z95, before, count_steps, log_log_limits, survival

ROUNDING = 1e-12  # a share this close to 1 is 1: it has no limits on the log(-log) scale


@dataclass(frozen=True, eq=False)
class HorizonRisk:
    """The share with the event by a day, its standard error and its 95 % limits (log-log; NaN at 0 and 1)."""

    value: float
    se: float
    low: float
    high: float


NOTHING = HorizonRisk(np.nan, np.nan, np.nan, np.nan)


def reaches(days: np.ndarray, state: np.ndarray, *, horizon_days: float) -> bool:
    """Whether the data say anything about the day: somebody was followed so far, or nobody is left to have an event."""
    if not len(days):
        return False
    last = days.max()
    return bool(last >= horizon_days or not (state[days == last] == 0).any())


def risk_by(
    days: np.ndarray, state: np.ndarray, *, horizon_days: float, competing: bool, cause: int = 1
) -> HorizonRisk:
    """The share of patients with the event at or before a day; NaN where follow-up does not reach it.

    Args:
        days: (n,) days to the event or the last contact.
        state: (n,) 0 censored, 1 the event, 2 a competing event.
        horizon_days: the day.
        competing: True takes Aalen-Johansen with Aalen's variance (as R cmprsk), False Kaplan-Meier with Greenwood's.
        cause: whose incidence where events compete, 1 or 2.
    """
    if not reaches(days, state, horizon_days=horizon_days):
        return NOTHING
    steps = count_steps(days, state)
    k = int(np.searchsorted(steps.days, horizon_days, side="right"))
    at_risk, own, other = steps.at_risk[:k], steps.n_state[:k, cause], steps.n_state[:k, 3 - cause]
    if not own.any():
        return HorizonRisk(0.0, 0.0, np.nan, np.nan)
    if not competing:
        low, high = log_log_limits(at_risk, own)
        s, left = survival(at_risk, own)[-1], at_risk - own
        spread = np.divide(own, at_risk * left, out=np.zeros(k), where=left > 0).sum()
        return HorizonRisk(float(1 - s), float(s * np.sqrt(spread)), float(1 - high[-1]), float(1 - low[-1]))
    after = survival(at_risk, own + other)
    s = before(after)
    risen = np.cumsum(s * own / at_risk)
    last = int(np.flatnonzero(own)[-1]) + 1  # Aalen's variance changes only at the cause's own events
    ahead = np.divide(risen[-1] - risen, after, out=np.zeros(k), where=after > 0)
    part = (s / at_risk) ** 2
    own_part = part * own * _tied(own, at_risk) * (1 - ahead) ** 2
    other_part = part * other * _tied(other, at_risk) * ahead**2
    value, se = float(risen[-1]), float(np.sqrt((own_part + other_part)[:last].sum()))
    if value >= 1 - ROUNDING or se == 0:
        return HorizonRisk(value, se, np.nan, np.nan)
    power = np.exp(Z95 * se / (value * -np.log(value)))
    return HorizonRisk(value, se, float(value**power), float(value ** (1 / power)))


def _tied(n_events: np.ndarray, at_risk: np.ndarray) -> np.ndarray:
    """The correction for several events at one time, 1 - (d - 1) / (n - 1)."""
    return 1 - np.divide(n_events - 1, at_risk - 1, out=np.zeros(len(at_risk)), where=n_events > 1)


def without_each(
    days: np.ndarray, state: np.ndarray, *, horizon_days: float, cause: int = 1
) -> tuple[float, np.ndarray]:
    """The share with the event by a day, and (n,) the share in the others when each patient is left out.

    Where nothing competes this is 1 - Kaplan-Meier, else Aalen-Johansen. Past the last follow-up of the others their
    curve stays where it was.

    Args:
        days: (n,) days to the event or the last contact.
        state: (n,) 0 censored, 1 the event, 2 a competing event.
        horizon_days: the day.
        cause: whose incidence, 1 or 2.
    """
    steps = count_steps(days, state)
    k = int(np.searchsorted(steps.days, horizon_days, side="right"))
    n, own = steps.at_risk[:k].astype(float), steps.n_state[:k, cause].astype(float)
    gone = own + steps.n_state[:k, 3 - cause]
    after = survival(n, gone)
    rise = before(after) * own / n
    later = np.r_[rise[::-1].cumsum()[::-1][1:], 0.0] if k else rise  # what the curve rises after each time
    rest = np.divide(later, after, out=np.zeros(k), where=after > 0)  # ... of those who get past it
    fewer = np.where(n > 1, n - 1, np.inf)  # with nobody else at risk nothing moves
    still = np.r_[1.0, np.cumprod(1 - gone / fewer)]  # just before each time, one who stays longer left out
    risen = np.r_[0.0, np.cumsum(still[:-1] * own / fewer)]
    place = np.searchsorted(steps.days[:k], days)  # k: past the horizon
    left_out = risen[place]
    inside = np.flatnonzero(days <= horizon_days)
    at, was = place[inside], state[inside]
    up = still[at] * (own[at] - (was == cause)) / fewer[at]
    stays = still[at] * (1 - (gone[at] - (was > 0)) / fewer[at])
    left_out[inside] = risen[at] + up + stays * rest[at]
    return float(rise.sum()), left_out


def pseudo_observations(days: np.ndarray, state: np.ndarray, *, horizon_days: float, cause: int = 1) -> np.ndarray:
    """(n,) n F - (n - 1) F without the patient: what stands for "had the event by the day" under censoring.

    NaN where follow-up does not reach the day. Without censoring before the day it is exactly 1 or 0.
    """
    if not reaches(days, state, horizon_days=horizon_days):
        return np.full(len(days), np.nan)
    whole, others = without_each(days, state, horizon_days=horizon_days, cause=cause)
    return len(days) * whole - (len(days) - 1) * others
