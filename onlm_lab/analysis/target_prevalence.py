"""Predictive values where another share of patients has cancer in the nodes: Bayes, with Mercaldo's intervals."""

from __future__ import annotations

import math

from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate

_METHOD = "logit (Mercaldo)"


def checked_prevalence(prevalence: float | None, *, call: str) -> float:
    """The target share of N+ patients, NaN for None.

    Args:
        prevalence: a share in (0, 1), or None where none is wanted.
        call: who asks, for the message.

    Raises:
        OnlmError: a share that is 0, 1 or outside.
    """
    if prevalence is None:
        return math.nan
    if not 0 < prevalence < 1:
        raise OnlmError(
            f"{call}: prevalence is the share of N+ patients, between 0 and 1 (0.15, not 15), got {prevalence}."
        )
    return float(prevalence)


def predictive_values(
    *, n_tp: int, n_fp: int, n_tn: int, n_fn: int, prevalence: float, level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """PPV and NPV among patients of whom the share `prevalence` is N+.

    Bayes' rule on sensitivity and specificity; the interval is made on the logit scale (Mercaldo, Lau and Zhou 2007,
    doi:10.1002/sim.2677). Where one of the four counts is 0 that variance has no value: then the interval comes from
    their adjusted sensitivity and specificity (z^2/2 successes in z^2 patients added), and reaches to the value.

    Args:
        n_tp, n_fp, n_tn, n_fn: the four counts.
        prevalence: the share of N+ patients, in (0, 1); the share is taken as known.
        level: coverage of the intervals.
    """
    n_events, n_nonevents = n_tp + n_fn, n_fp + n_tn
    if not n_events or not n_nonevents:
        why = "no N+ patients" if not n_events else "no N0 patients"
        nothing = Estimate(math.nan, level=level, method=_METHOD, note=f"needs both classes: {why}")
        return nothing, nothing
    z = normal_quantile(level)
    odds = prevalence / (1 - prevalence)
    empty = 0 in (n_tp, n_fp, n_tn, n_fn)
    extra = z * z if empty else 0.0
    sens, spec = (n_tp + extra / 2) / (n_events + extra), (n_tn + extra / 2) / (n_nonevents + extra)
    in_events, in_nonevents = sens * (n_events + extra), spec * (n_nonevents + extra)  # sensitivity's, specificity's
    ppv_variance = (1 - sens) / in_events + spec / ((1 - spec) * (n_nonevents + extra))
    npv_variance = sens / ((1 - sens) * (n_events + extra)) + (1 - spec) / in_nonevents
    ppv = _bayes(n_tp / n_events * odds, n_fp / n_nonevents)
    npv = _bayes(n_tn / n_nonevents, n_fn / n_events * odds)
    return (
        _estimate(ppv, math.log(sens / (1 - spec) * odds), ppv_variance, z=z, level=level, adjusted=empty),
        _estimate(npv, math.log(spec / (1 - sens) / odds), npv_variance, z=z, level=level, adjusted=empty),
    )


def _bayes(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong > 0 else math.nan


def _estimate(value: float, centre: float, variance: float, *, z: float, level: float, adjusted: bool) -> Estimate:
    if math.isnan(value):
        return Estimate(math.nan, level=level, method=_METHOD, note="nobody is called so")
    low, high = (1 / (1 + math.exp(-(centre + sign * z * math.sqrt(variance)))) for sign in (-1, 1))
    if not adjusted:
        return Estimate(value, low, high, level, _METHOD)
    note = "a cell is empty: interval from adjusted sensitivity and specificity"
    return Estimate(value, min(low, value), max(high, value), level, f"{_METHOD}, adjusted", note)
