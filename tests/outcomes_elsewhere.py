"""What lifelines, scikit-survival and statsmodels say of some patients; from the definitions what none of them has.

Nothing here calls onlm_lab. Where libraries differ the convention is said at the place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter, KaplanMeierFitter
from scipy.optimize import brentq
from scipy.stats import chi2, norm
from sksurv.nonparametric import cumulative_incidence_competing_risks

Z = norm.ppf(0.975)
Limits = tuple[float, float, float]


def survival_at(days, event, at: float) -> Limits:
    """Kaplan-Meier at a day, with lifelines' log-log limits."""
    fitted = KaplanMeierFitter().fit(days, event_observed=event)
    limits = fitted.confidence_interval_survival_function_
    low, high = limits[limits.index <= at].iloc[-1]
    return float(fitted.predict(at)), float(low), float(high)


def followed_days(days, died) -> float:
    """Median follow-up by reverse Kaplan-Meier."""
    return float(KaplanMeierFitter().fit(days, event_observed=1 - np.asarray(died)).median_survival_time_)


def incidence_curve(days, state, *, cause: int = 1) -> tuple[np.ndarray, ...]:
    """Aalen-Johansen by scikit-survival: days, incidence, low, high (Aalen's variance, log-log)."""
    state = np.asarray(state).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # log(-log 0) before the first event
        x, y, limits = cumulative_incidence_competing_risks(
            state, np.asarray(days, dtype=float), conf_type="log-log", var_type="Aalen"
        )
    return x, y[cause], *limits[cause]


def incidence_at(days, state, at: float, *, cause: int = 1) -> Limits:
    x, y, low, high = incidence_curve(days, state, cause=cause)
    k = int(np.searchsorted(x, at, side="right")) - 1
    return float(y[k]), float(low[k]), float(high[k])


def cox(frame: pd.DataFrame, days, event) -> CoxPHFitter:
    """Cox with Efron's ties, converged far beyond what is shown."""
    data = frame.astype(float).assign(days=np.asarray(days), event=np.asarray(event).astype(int))
    return CoxPHFitter().fit(data, "days", "event", fit_options={"precision": 1e-12})


def ratio(fitted: CoxPHFitter, name: str) -> tuple[float, float, float, float]:
    """Hazard ratio, limits and P of one covariate."""
    row = fitted.summary.loc[name]
    return tuple(float(row[c]) for c in ("exp(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"))


def proportional_p(x, days, event, coef: float) -> float:
    """The score test of a coefficient that changes with 1 - KM(t-), of one covariate (as R's cox.zph; lifelines has the
    approximation of 1994). From the definition, a step an event time, Efron's weights at ties."""
    x, days, event = (np.asarray(v, dtype=float) for v in (x, days, event))
    lived, g, moment = 1.0, [], []
    for t in np.unique(days[event == 1]):
        risk, own = days >= t, (days == t) & (event == 1)
        d = int(own.sum())
        g.append(1 - lived)
        lived *= 1 - d / risk.sum()
        slope = information = 0.0
        for step in range(d):
            w = np.exp(x * coef) * (risk - step / d * own)
            mean = (w * x).sum() / w.sum()
            information += (w * (x - mean) ** 2).sum() / w.sum()
            slope -= mean
        moment.append((slope + x[own].sum(), information))
    g, (slope, information) = np.array(g), np.array(moment).T
    left = (g**2 * information).sum() - (g * information).sum() ** 2 / information.sum()
    return float(chi2.sf((g * slope).sum() ** 2 / left, 1))


def mean_time(days, event, tau: float) -> tuple[float, float]:
    """Area under Kaplan-Meier to tau, and its error by Greenwood (lifelines' own is the variance of min(T, tau))."""
    fitted = KaplanMeierFitter().fit(days, event_observed=event)
    s, table = fitted.survival_function_.iloc[:, 0], fitted.event_table
    at = np.r_[s.index[s.index < tau], tau]
    steps = np.r_[0, np.cumsum(s[s.index < tau].to_numpy() * np.diff(at))]
    table = table[(table.index > 0) & (table.index <= tau) & (table["observed"] > 0)]
    ahead = steps[-1] - np.interp(table.index, at, steps)
    d, n = table["observed"], table["at_risk"]
    return float(steps[-1]), float(np.sqrt((ahead**2 * d / (n * (n - d))).sum()))


def jackknife_error(statistic: Callable[[np.ndarray], float], n: int, *, corrected: bool) -> float:
    """Infinitesimal jackknife: how the statistic moves with each patient's weight, by central differences."""
    step, one = 1e-4, np.ones(n)
    pull = np.array([
        (statistic(one + step * unit) - statistic(one - step * unit)) / (2 * step) for unit in np.eye(n)
    ])  # fmt: skip
    return float(np.sqrt((pull**2).sum() * (n / (n - 1) if corrected else 1)))


def time_lost(days, state, tau: float) -> tuple[float, float]:
    """Area under the incidence of cause 1 to tau, and its error by the infinitesimal jackknife."""
    days, state = np.asarray(days, dtype=float), np.asarray(state)

    def area(weight: np.ndarray) -> float:
        free, lost = 1.0, 0.0
        for t in np.unique(days[(state > 0) & (days <= tau)]):
            at_risk, own = weight[days >= t].sum(), weight[(days == t) & (state == 1)].sum()
            lost += free * own / at_risk * (tau - t)
            free *= 1 - weight[(days == t) & (state > 0)].sum() / at_risk
        return lost

    x, y, *_ = incidence_curve(days, state)
    k = x < tau
    value = float((y[k] * np.diff(np.r_[x[k], tau])).sum())
    assert abs(value - area(np.ones(len(days)))) < 1e-8
    return value, jackknife_error(area, len(days), corrected=False)


def concordance(score, days, event, weight=None) -> float:
    """Harrell's C: of pairs whose order is known, the share in which the higher score has the event first. A censoring
    on the day of an event is later than it; two events on one day are no pair (R survival; lifelines counts those
    pairs as half)."""
    score, days, event = (np.asarray(v, dtype=float) for v in (score, days, event))
    w = np.ones(len(days)) if weight is None else weight
    first = (event[:, None] == 1) & ((days[:, None] < days) | ((days[:, None] == days) & (event == 0)))
    pair = first * w[:, None] * w
    return float((pair * ((score[:, None] > score) + 0.5 * (score[:, None] == score))).sum() / pair.sum())


def free_of_censoring(days, state, weight) -> Callable[..., np.ndarray]:
    """G: Kaplan-Meier of the censoring, events first at a tie; called with days, before or after what happens then."""
    times = np.unique(days[state == 0])
    kept = np.array([
        1 - weight[(days == t) & (state == 0)].sum() / weight[(days > t) | ((days == t) & (state == 0))].sum()
        for t in times
    ])  # fmt: skip
    steps = np.r_[1.0, np.cumprod(kept)]
    return lambda at, before=False: steps[np.searchsorted(times, at, side="left" if before else "right")]


def _known(days, state, at: float, weight) -> np.ndarray:
    """1 / G(T-) of those with an event of any kind by the day, 1 / G(day) of those followed beyond it."""
    free = free_of_censoring(days, state, weight)
    settled = (state > 0) & (days <= at)
    return weight * np.where(settled, 1 / free(np.where(settled, days, 0), before=True), (days > at) / free(at))


def area_at(score, days, state, at: float) -> Limits:
    """Cumulative/dynamic AUC, weighted; who had a competing event by then is a control (R riskRegression)."""
    score, days, state = (np.asarray(v, dtype=float) for v in (score, days, state))
    case = (state == 1) & (days <= at)
    won = (score[:, None] > score) + 0.5 * (score[:, None] == score)

    def area(weight: np.ndarray) -> float:
        w = _known(days, state, at, weight)
        a, b = w * case, w * ~case
        return float(a @ won @ b / (a.sum() * b.sum()))

    return _limits(area, len(days))


def brier_at(told, days, state, at: float) -> Limits:
    """Brier score of P(event by the day), weighted as the area."""
    told, days, state = (np.asarray(v, dtype=float) for v in (told, days, state))
    squared = (((state == 1) & (days <= at)) - told) ** 2
    return _limits(lambda w: float((_known(days, state, at, w) * squared).sum() / w.sum()), len(days))


def _limits(statistic: Callable[[np.ndarray], float], n: int) -> Limits:
    value, error = statistic(np.ones(n)), jackknife_error(statistic, n, corrected=True)
    return value, value - Z * error, value + Z * error


def fine_gray(x, days, state) -> tuple[float, Callable[[float, np.ndarray], np.ndarray]]:
    """Coefficient of one covariate for the subdistribution hazard of cause 1, and P(event by a day | x), from the
    definition: who had a competing event stays at risk with weight G(t-) / G(T-); Breslow's ties (R cmprsk)."""
    x, days, state = (np.asarray(v, dtype=float) for v in (x, days, state))
    free = free_of_censoring(days, state, np.ones(len(days)))
    own = np.sort(days[state == 1])
    left = np.divide(free(own, before=True)[:, None], free(days, before=True))
    at_risk = np.where(days >= own[:, None], 1.0, np.where(state == 2, left, 0.0))  # (events, patients)

    def slope(b: float) -> float:
        w = at_risk * np.exp((x - x.mean()) * b)
        return float(x[state == 1].sum() - ((w * x).sum(axis=1) / w.sum(axis=1)).sum())

    spread = np.std(x)
    coef = brentq(slope, -20 / spread, 20 / spread, xtol=1e-12)
    rise = 1 / (at_risk * np.exp(x * coef)).sum(axis=1)
    return coef, lambda at, other: 1 - np.exp(-rise[own <= at].sum() * np.exp(other * coef))


def share_with_event(days, state, at: float) -> float:
    """1 - Kaplan-Meier or Aalen-Johansen at a day, the curve carried on past its end."""
    days, state = np.asarray(days, dtype=float), np.asarray(state)
    free, share = 1.0, 0.0
    for t in np.unique(days[(state > 0) & (days <= at)]):
        n = (days >= t).sum()
        share += free * ((days == t) & (state == 1)).sum() / n
        free *= 1 - ((days == t) & (state > 0)).sum() / n
    return float(share)


def net_benefit(told, days, state, at: float, threshold: float) -> float:
    above = np.asarray(told) >= threshold
    if not above.any():
        return 0.0
    share = share_with_event(np.asarray(days)[above], np.asarray(state)[above], at)
    return float(above.mean() * (share - (1 - share) * threshold / (1 - threshold)))


def area_of_roc(risk, positive) -> Limits:
    """DeLong's AUC with the interval on the logit scale (n - 1 divisors), from the placements."""
    risk, positive = np.asarray(risk), np.asarray(positive) == 1
    won = (risk[positive][:, None] > risk[~positive]) + 0.5 * (risk[positive][:, None] == risk[~positive])
    area = won.mean()
    error = np.sqrt(won.mean(axis=1).var(ddof=1) / len(won) + won.mean(axis=0).var(ddof=1) / won.shape[1])
    middle, half = np.log(area / (1 - area)), Z * error / (area * (1 - area))
    return float(area), *(float(1 / (1 + np.exp(-(middle + k * half)))) for k in (-1, 1))
