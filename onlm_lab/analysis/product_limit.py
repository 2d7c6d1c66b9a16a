"""The product-limit estimate of Kaplan and Meier (1958, doi:10.1080/01621459.1958.10501452), as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onlm_lab.analysis.intervals import normal_quantile

Z95 = normal_quantile(0.95)
WHOLE_DAYS = 200_000  # whole days below this are counted in a table instead of sorted
SAME_LEVEL = float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True, eq=False)
class Steps:
    """Counts at each distinct time: `at_risk` with time >= t, and how many of each state left at t."""

    days: np.ndarray
    at_risk: np.ndarray
    n_state: np.ndarray  # (n_times, 3): censored, event, competing event
    place: np.ndarray  # (n,) which of the times is each patient's own


def distinct_times(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct times in rising order and each patient's place among them; whole days need no sorting."""
    if len(days) and days.max() < WHOLE_DAYS and (days == np.floor(days)).all():
        day = days.astype(np.intp)
        seen = np.bincount(day) > 0
        return np.flatnonzero(seen).astype(float), (np.cumsum(seen) - 1)[day]
    return np.unique(days, return_inverse=True)


def count_steps(days: np.ndarray, state: np.ndarray) -> Steps:
    """Distinct times with the number at risk and the number in each state (0, 1, 2)."""
    times, at = distinct_times(days)
    n_state = np.bincount(3 * at + state, minlength=3 * len(times)).reshape(-1, 3)
    at_risk = n_state.sum(axis=1)[::-1].cumsum()[::-1]
    return Steps(days=times, at_risk=at_risk, n_state=n_state, place=at)


def survival(at_risk: np.ndarray, n_events: np.ndarray) -> np.ndarray:
    """S(t) after each time's events."""
    return np.cumprod(1 - n_events / at_risk)


def before(survival_after: np.ndarray) -> np.ndarray:
    """S(t-): the value just before each time."""
    return np.r_[1.0, survival_after[:-1]] if len(survival_after) else survival_after


def log_log_limits(at_risk: np.ndarray, n_events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95 % limits of S(t) on the log(-log) scale with Greenwood's variance; NaN where S is 0 or 1."""
    s = survival(at_risk, n_events)
    inside = (s > 0) & (s < 1)
    left = at_risk - n_events
    variance = np.cumsum(np.divide(n_events, at_risk * left, out=np.zeros(len(s)), where=left > 0))
    shift = np.full(len(s), np.nan)
    shift[inside] = Z95 * np.sqrt(variance[inside]) / np.log(s[inside])  # negative
    centre = np.full(len(s), np.nan)
    centre[inside] = np.log(-np.log(s[inside]))
    return np.exp(-np.exp(centre - shift)), np.exp(-np.exp(centre + shift))


def time_of_survival(days: np.ndarray, s: np.ndarray, *, level: float = 0.5) -> float:
    """First time at which a survival curve is at or below `level`; NaN when it never is.

    Where the curve runs flat exactly at the level, the middle of that stretch (Brookmeyer and Crowley 1982,
    doi:10.2307/2530286, as R survival does). The same inversion applied to the limits gives the median's interval.
    """
    known = ~np.isnan(s)
    days_known, fallen = np.r_[0.0, days[known]], np.r_[0.0, 1 - s[known]]
    target = 1 - level
    if fallen.max() < target:
        return float("nan")
    first = int(np.argmax(fallen >= target - SAME_LEVEL))
    if abs(fallen[first] - target) >= SAME_LEVEL:
        return float(days_known[first])
    lower = np.flatnonzero(fallen > target + SAME_LEVEL)
    end = days_known[lower[0]] if len(lower) else days[-1]
    return float((days_known[first] + end) / 2)


def median_followup(days: np.ndarray, state: np.ndarray) -> float:
    """Median follow-up in days by reverse Kaplan-Meier (Schemper and Smith 1996, doi:10.1016/0197-2456(96)00075-X)."""
    if len(days) == 0:
        return float("nan")
    steps = count_steps(days, state)
    return time_of_survival(steps.days, survival(steps.at_risk, steps.n_state[:, 0]))


def uncensored_before(days: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, Steps]:
    """G(t-), the share not yet censored just before each patient's time; events come before censorings at a tie."""
    steps = count_steps(days, state)
    still = np.maximum(steps.at_risk - steps.n_state[:, 1:].sum(axis=1), 1)
    return before(survival(still, steps.n_state[:, 0]))[steps.place], steps
