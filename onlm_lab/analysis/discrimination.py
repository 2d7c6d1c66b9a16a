"""Does the risk separate N+ from N0? ROC curve, area under it with DeLong's interval, paired comparison of models."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import normal_quantile, wald
from onlm_lab.analysis.rows import Labelled, labelled, paired
from onlm_lab.analysis.tails import normal_tails
from onlm_lab.analysis.tally import tabulate
from onlm_lab.results import AucComparison, Estimate, Roc

FEW_EVENTS = 50  # below this, or above HIGH_AUC, the logit interval covers better (simulated: docs, statistics)
HIGH_AUC = 0.9
SUSPICIOUS_AUC = 0.95


def roc(rows: pd.DataFrame, *, model: str | None = None, level: float = 0.95, apparent: bool = False) -> Roc:
    """How well the risk separates patients with cancer in the nodes from those without (higher risk = worse).

    The area is the chance that a random N+ patient has a higher risk than a random N0 patient, ties counting half;
    its variance is DeLong's (DeLong et al. 1988, doi:10.2307/2531595) in O(n log n) (Sun and Xu 2014,
    doi:10.1109/LSP.2014.2337313). The interval is clipped to [0, 1]; the one on the logit scale stands beside it and
    is preferred with fewer than 50 events or an area above 0.9, where the plain one covers too seldom.

    Args:
        rows: a row a patient: patient_id, onlm, risk in [0, 1].
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.
        apparent: True where the model was fitted on these very patients; carried into the result.

    Raises:
        OnlmError: more than one row a patient, or an unusable label or risk (see `rows.labelled`).

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"patient_id": list("abcde"), "onlm": [0, 0, 1, 0, 1], "risk": [.1, .2, .2, .3, .9]})
        >>> roc(rows).auc.value
        0.75
    """
    given = labelled(rows, model=model)
    value, n_events, n_nonevents = tabulate(given.onlm, given.risk)
    curve = _curve(value, n_events, n_nonevents)
    auc, variance = _area(n_events, n_nonevents)
    plain, logit = auc_intervals(auc, variance, level=level, why=given.one_class)
    notes = list(given.notes)
    if given.one_class:
        notes.append(f"no AUC: {given.one_class}")
    if auc > SUSPICIOUS_AUC:
        notes.append(
            f"AUC {auc:.3f} is above {SUSPICIOUS_AUC}: look for leakage first (a predictor known only after treatment, "
            "a patient on both sides of a split)"
        )
    return Roc(
        curve=curve,
        auc=plain,
        auc_logit=logit,
        prefer_logit=prefers_logit(given.n_events, logit),
        model_id=given.model_id,
        n=given.n,
        n_events=given.n_events,
        n_excluded=given.n_excluded,
        apparent=apparent,
        notes=tuple(notes),
    )


def compare_aucs(rows: pd.DataFrame, *, model_a: str, model_b: str, level: float = 0.95) -> AucComparison:
    """AUC of model_a minus AUC of model_b in the same patients (paired DeLong test, two-sided normal P).

    Only patients with a label and a risk from both models count; the others are counted in n_excluded. DeLong et al.
    1988, doi:10.2307/2531595.

    Args:
        rows: predictions of both models: patient_id, model_id, onlm, risk.
        model_a, model_b: two model_ids; a positive difference says that model_a separates better.
        level: coverage of the intervals.

    Raises:
        OnlmError: an unknown model, no common patient, or a label that differs between the models.
    """
    (a, b), n_excluded = paired(rows, models=[model_a, model_b])
    method = "DeLong, paired"
    notes = a.notes
    if a.one_class:
        nothing = Estimate(math.nan, level=level, method=method, note=a.one_class)
        return AucComparison(
            difference=nothing, auc_a=nothing, auc_b=nothing, z=math.nan, p_value=math.nan, model_a=model_a,
            model_b=model_b, n=a.n, n_events=a.n_events, n_excluded=n_excluded, notes=(*notes, a.one_class),
        )  # fmt: skip
    event_a, nonevent_a = placements(a)
    event_b, nonevent_b = placements(b)
    difference = float(event_a.mean() - event_b.mean())
    variance = _variance(event_a - event_b) + _variance(nonevent_a - nonevent_b)
    se = math.sqrt(variance)
    areas = [
        auc_intervals(float(e.mean()), _variance(e) + _variance(o), level=level)[0]
        for e, o in ((event_a, nonevent_a), (event_b, nonevent_b))
    ]
    if se > 0:
        statistic = difference / se
        estimate = wald(difference, se, level=level, method=method)
    else:  # also NaN: one event or one non-event has no variance
        statistic = math.nan
        why = "both models order the patients alike" if se == 0 else "a variance needs two N+ and two N0 patients"
        estimate = Estimate(difference, level=level, method=method, note=f"no test: {why}")
        notes = (*notes, estimate.note)
    return AucComparison(
        difference=estimate, auc_a=areas[0], auc_b=areas[1], z=statistic, p_value=float(normal_tails(statistic)),
        model_a=model_a, model_b=model_b, n=a.n, n_events=a.n_events, n_excluded=n_excluded, notes=notes,
    )  # fmt: skip


def area_under_curve(given: Labelled) -> tuple[float, float]:
    """AUC and its DeLong variance (NaN where a class is missing, or has one patient only)."""
    _, n_events, n_nonevents = tabulate(given.onlm, given.risk)
    return _area(n_events, n_nonevents)


def auc_intervals(auc: float, variance: float, *, level: float, why: str = "") -> tuple[Estimate, Estimate]:
    """The plain interval, clipped to [0, 1], and the one made on the logit scale."""
    names = ("DeLong", "DeLong, logit")
    if math.isnan(auc):
        plain, logit = (Estimate(math.nan, level=level, method=name, note=why) for name in names)
        return plain, logit
    if math.isnan(variance):
        note = "no interval: a variance needs at least two N+ and two N0 patients"
        plain, logit = (Estimate(auc, level=level, method=name, note=note) for name in names)
        return plain, logit
    if auc in (0.0, 1.0):
        note = "no interval: the risks separate the classes completely, DeLong's variance is 0"
        plain, logit = (Estimate(auc, level=level, method=name, note=note) for name in names)
        return plain, logit
    z, se = normal_quantile(level), math.sqrt(variance)
    plain = Estimate(auc, max(0.0, auc - z * se), min(1.0, auc + z * se), level, names[0])
    centre, spread = math.log(auc / (1 - auc)), z * se / (auc * (1 - auc))
    return plain, Estimate(auc, _expit(centre - spread), _expit(centre + spread), level, names[1])


def prefers_logit(n_events: int, logit: Estimate) -> bool:
    """Whether the logit interval is to be shown first: few events or a high area, where the plain one is too short."""
    return (n_events < FEW_EVENTS or logit.value > HIGH_AUC) and not math.isnan(logit.low)


def placements(given: Labelled) -> tuple[np.ndarray, np.ndarray]:
    """For each N+ patient the share of N0 with a lower risk, for each N0 the share of N+ with a higher (ties half)."""
    event, nonevent = given.risk[given.onlm], given.risk[~given.onlm]
    event_sorted, nonevent_sorted = np.sort(event), np.sort(nonevent)
    below = np.searchsorted(nonevent_sorted, event, "left") + np.searchsorted(nonevent_sorted, event, "right")
    upto = np.searchsorted(event_sorted, nonevent, "left") + np.searchsorted(event_sorted, nonevent, "right")
    return below / (2 * len(nonevent)), 1 - upto / (2 * len(event))


def _area(n_events: np.ndarray, n_nonevents: np.ndarray) -> tuple[float, float]:
    m, n = int(n_events.sum()), int(n_nonevents.sum())
    if m == 0 or n == 0:
        return math.nan, math.nan
    twice_below = 2 * np.cumsum(n_nonevents) - n_nonevents  # whole numbers, so that the area is exact
    twice_above = 2 * (m - np.cumsum(n_events)) + n_events
    auc = int((n_events * twice_below).sum()) / (2 * m * n)
    if m == 1 or n == 1:
        return auc, math.nan
    # sums, not dot products: on a busy machine BLAS waits for its threads longer than the sum takes
    spread_event = float((n_events * (twice_below / (2 * n) - auc) ** 2).sum()) / (m - 1)
    spread_nonevent = float((n_nonevents * (twice_above / (2 * m) - auc) ** 2).sum()) / (n - 1)
    return auc, spread_event / m + spread_nonevent / n


def _variance(placed: np.ndarray) -> float:
    """Variance of the mean of the placements of one class, with divisor n - 1."""
    return float(np.var(placed, ddof=1)) / len(placed) if len(placed) > 1 else math.nan


def _curve(value: np.ndarray, n_events: np.ndarray, n_nonevents: np.ndarray) -> pd.DataFrame:
    found = np.concatenate(([0], np.cumsum(n_events[::-1])))
    false = np.concatenate(([0], np.cumsum(n_nonevents[::-1])))
    m, n = found[-1], false[-1]
    return pd.DataFrame(
        {
            "threshold": np.concatenate(([math.inf], value[::-1])),
            "sensitivity": found / m if m else np.full(len(found), math.nan),
            "specificity": 1 - false / n if n else np.full(len(false), math.nan),
        }
    )


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
