"""One group of patients under two treatments: hazard ratio, risk difference and curves, weighted where weights are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis.partial_likelihood import fit_cox, robust_covariance
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.propensity import Propensity, effective_number
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.analysis.weighted_incidence import WeightedSteps, limits, risk_by, standard_errors, weighted_steps
from onlm_lab.results import Estimate

MOST_POINTS = 150  # event days of a curve that are told, with their intervals
HALF_YEAR = 182.625
RISKS = ["group", "arm", "risk", "low", "high", "risk_crude", "n", "n_events", "effective_n"]
CURVE = ["group", "arm", "days", "incidence", "low", "high", "at_risk", "effective_at_risk"]


@dataclass(frozen=True, eq=False)
class Part:
    """The patients of one group; `fitted` is their propensity, None where nothing is weighted."""

    name: str
    arm: np.ndarray  # (n,) 0 the first treatment, 1 the second
    days: np.ndarray
    state: np.ndarray
    cause: int
    x: np.ndarray  # (n, k) covariates
    fitted: Propensity | None = None

    @property
    def weight(self) -> np.ndarray:
        return np.ones(len(self.arm)) if self.fitted is None else self.fitted.weight

    @property
    def event(self) -> np.ndarray:
        return self.state == self.cause


def within(part: Part, inside: np.ndarray, name: str) -> Part:
    """Some of the patients, without weights."""
    return Part(name, part.arm[inside], part.days[inside], part.state[inside], part.cause, part.x[inside])


def hazard_ratio(part: Part, *, adjusted: bool) -> tuple[Estimate, float]:
    """The second treatment's hazard ratio, weighted or adjusted by the model where it can be; NaN with the reason."""
    weight = part.fitted.weight if part.fitted is not None else None
    further = part.x[:, np.ptp(part.x, axis=0) > 0] if adjusted and weight is None and part.x.size else None
    x = part.arm[:, None].astype(float) if further is None else np.column_stack([part.arm, further])
    method = "Cox, Efron's ties, robust" + (", overlap weights" if weight is not None else "")
    why = _too_few(part, x)
    if why:
        return Estimate(np.nan, method=method, note=why), float("nan")
    fit = fit_cox(x, part.days, part.event, stratum=np.zeros(len(x), dtype=int), weight=weight)
    if fit.unbounded[0]:
        return Estimate(np.nan, method=method, note="the event occurs with one treatment only"), float("nan")
    coef, se = fit.coef[0], np.sqrt(robust_covariance(fit, cluster=np.arange(len(x)))[0, 0])
    ratio, low, high = (float(np.exp(coef + k * Z95 * se)) for k in (0, -1, 1))
    return Estimate(ratio, low, high, method=method), float(normal_tails(coef / se))


def _too_few(part: Part, x: np.ndarray) -> str:
    if len(np.unique(part.arm)) < 2:
        return "one treatment only"
    if np.isnan(part.weight).any():
        return "no weights: the covariates tell the treatments apart"
    if part.event.sum() <= x.shape[1]:
        return f"too few events: {int(part.event.sum())} for a model of size {x.shape[1]}"
    return "" if np.linalg.matrix_rank(x - x.mean(axis=0)) == x.shape[1] else "a covariate follows from others"


def _steps(part: Part, arm: int, *, weighted: bool = True) -> WeightedSteps | None:
    """The weighted curve of one arm; None where it has no patient or no weights."""
    own = part.arm == arm
    weight = part.weight[own] if weighted else np.ones(own.sum())
    if not own.any() or np.isnan(weight).any():
        return None
    return weighted_steps(part.days[own], part.state[own], weight, cause=part.cause)


def risk_difference(part: Part, horizon: float) -> Estimate:
    """Risk in the second arm minus the first by the horizon."""
    sides = [_steps(part, k) for k in (0, 1)]
    method = "Aalen-Johansen" + (", overlap weights" if part.fitted is not None else "") + ", infinitesimal jackknife"
    if None in sides:
        return Estimate(np.nan, method=method, note="one treatment only, or no weights")
    (first, by_first), (second, by_second) = (risk_by(side, horizon) for side in sides)
    if np.isnan(first + second):
        return Estimate(np.nan, method=method, note=f"follow-up of an arm ends before day {horizon:g}")
    se = np.sqrt(sum(((side.weight * by) ** 2).sum() for side, by in zip(sides, (by_first, by_second), strict=True)))
    value = second - first
    low, high = max(-1.0, value - Z95 * se), min(1.0, value + Z95 * se)
    return Estimate(value, low, high, method=method)


def risk_lines(part: Part, arms: Sequence[str], horizon: float) -> list[tuple]:
    """Each arm's risk by the horizon as a line of RISKS."""
    out = []
    for k, name in enumerate(arms):
        own = part.arm == k
        risk = low = high = np.nan
        steps, crude = _steps(part, k), _steps(part, k, weighted=False)
        if steps is not None:
            risk, derivative = risk_by(steps, horizon)
            low, high = limits(risk, float(np.sqrt(((steps.weight * derivative) ** 2).sum())))
        plain = risk_by(crude, horizon)[0] if crude is not None else np.nan
        counts = (int(own.sum()), int(part.event[own].sum()), effective_number(part.weight[own]))
        out.append((part.name, name, risk, low, high, plain, *counts))
    return out


def curves(part: Part, arms: Sequence[str]) -> pd.DataFrame:
    """Each arm's weighted incidence at its event days (at most MOST_POINTS), each half year and the last day."""
    out = []
    for k, name in enumerate(arms):
        steps = _steps(part, k)
        if steps is None:
            continue
        errors, last = standard_errors(steps), steps.days[-1]
        events = np.unique(steps.days[np.unique(steps.at[steps.own])])
        if len(events) > MOST_POINTS:
            events = events[np.unique(np.linspace(0, len(events) - 1, MOST_POINTS).round().astype(int))]
        for day in np.unique(np.r_[0.0, events, np.arange(0, min(last, MOST_POINTS * HALF_YEAR), HALF_YEAR), last]):
            after = int(np.searchsorted(steps.days, day, side="right")) - 1  # the last step at or before the day
            risk, se = (float(steps.incidence[after]), float(errors[after])) if after >= 0 else (0.0, 0.0)
            ahead = int(np.searchsorted(steps.days, day))  # the first time at or after it
            left = (int(steps.n_at_risk[ahead]), float(steps.effective_at_risk[ahead]))
            out.append((part.name, name, float(day), risk, *limits(risk, se), *left))
    return pd.DataFrame(out, columns=CURVE)
