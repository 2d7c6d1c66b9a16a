"""Choosing a threshold by rule, and what a threshold does to patients."""

from __future__ import annotations

import difflib
import math

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import normal_quantile, proportion
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.target_prevalence import checked_prevalence, predictive_values
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, OperatingPoint

RULES = ("sensitivity", "specificity", "youden")
_SLACK = 1e-9  # patients: 0.95 * 20 is 19, not 18.999...


class ChosenThreshold(float):
    """A threshold that remembers on whom it was chosen, so that what it does to these very patients is marked apparent.

    Attributes:
        chosen_on: patient_id and risk of each patient; arithmetic and files keep the plain number only.
    """

    chosen_on: frozenset[tuple[str, float]]

    def __new__(cls, value: float, chosen_on: frozenset[tuple[str, float]] = frozenset()) -> ChosenThreshold:
        """The number, with its patients beside it."""
        self = super().__new__(cls, value)
        self.chosen_on = chosen_on
        return self


def choose_threshold(
    rows: pd.DataFrame, *, rule: str = "sensitivity", target: float = 0.95, model: str | None = None
) -> float:
    """The risk from which a patient is called positive, chosen among the observed risks (positive if risk >= it).

    Choose on training or inner out-of-fold patients and apply unchanged to others; numbers at a threshold that was
    chosen on the same patients are apparent: the float remembers its patients, and `operating_point` marks the result.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        rule: "sensitivity" - the highest threshold whose sensitivity reaches the target; "specificity" - the lowest
            whose specificity reaches it (inf, nobody positive, where no observed risk does); "youden" - the largest
            sensitivity + specificity - 1, the lowest threshold at ties (Youden 1950,
            doi:10.1002/1097-0142(1950)3:1<32::aid-cncr2820030106>3.0.co;2-3); the target is not used.
        target: sensitivity or specificity wanted, 0 < target <= 1.
        model: which model_id; None where the table holds one only.

    Raises:
        OnlmError: an unknown rule, a target outside (0, 1], or patients of one class only.
    """
    if rule not in RULES:
        near = difflib.get_close_matches(str(rule), RULES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise OnlmError(f"choose_threshold: rule must be one of {', '.join(RULES)}, got '{rule}'.{hint}")
    if not 0 < target <= 1:
        raise OnlmError(f"choose_threshold: target must lie in (0, 1] (0.95, not 95), got {target}.")
    given = labelled(rows, model=model)
    if given.one_class:
        raise OnlmError(f"choose_threshold: {given.one_class}. Choose the threshold on patients of both classes.")
    value = np.unique(given.risk)
    n_tp = given.n_events - np.searchsorted(np.sort(given.risk[given.onlm]), value, "left")
    n_tn = np.searchsorted(np.sort(given.risk[~given.onlm]), value, "left")
    n_nonevents = given.n - given.n_events
    if rule == "sensitivity":
        chosen = value[n_tp >= target * given.n_events - _SLACK].max()
    elif rule == "specificity":
        chosen = value[n_tn >= target * n_nonevents - _SLACK].min(initial=math.inf)
    else:
        chosen = value[np.argmax(n_tp * n_nonevents + n_tn * given.n_events)]  # whole numbers: ties are exact
    return ChosenThreshold(chosen, _who(given))


def operating_point(
    rows: pd.DataFrame,
    *,
    threshold: float | None = None,
    model: str | None = None,
    prevalence: float | None = None,
    level: float = 0.95,
    apparent: bool = False,
) -> OperatingPoint:
    """What a threshold does: sensitivity, specificity, predictive values, likelihood ratios, and the four counts.

    Proportions have Wilson's interval (Wilson 1927, doi:10.1080/01621459.1927.10502953), likelihood ratios the log
    method (Simel et al. 1991, doi:10.1016/0895-4356(91)90128-V). Predictive values hold at these patients'
    prevalence of N+; at another one they follow by Bayes' rule, with intervals on the logit scale (Mercaldo, Lau and
    Zhou 2007, doi:10.1002/sim.2677).

    Args:
        rows: a row a patient: patient_id, onlm, risk; predicted_positive (0/1) where no threshold is given.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive, which came from a
            threshold fixed without that patient.
        model: which model_id; None where the table holds one only.
        prevalence: the share of N+ patients where the model is to be used, 0 < prevalence < 1, for ppv_at_prevalence
            and npv_at_prevalence; None leaves them NaN.
        level: coverage of the intervals.
        apparent: True where the threshold was chosen on these very patients; carried into the result. A threshold from
            `choose_threshold` knows it by itself.

    Raises:
        OnlmError: a threshold that is NaN, a prevalence outside (0, 1), or predicted_positive absent, missing or not
            0/1.
    """
    target = checked_prevalence(prevalence, call="operating_point")
    given = labelled(rows, model=model)
    positive = predicted_positive(given, threshold=threshold)
    apparent = apparent or chosen_on_these(given, threshold=threshold)
    n_tp = int(np.count_nonzero(positive & given.onlm))
    n_fp = int(np.count_nonzero(positive)) - n_tp
    n_fn = given.n_events - n_tp
    n_tn = given.n - given.n_events - n_fp
    lr_positive, lr_negative = _likelihood_ratios(n_tp, n_fp, n_tn, n_fn, level=level)
    notes = given.notes
    if given.one_class:
        notes = (*notes, given.one_class)
    at_target = Estimate(math.nan), Estimate(math.nan)
    if prevalence is not None:
        at_target = predictive_values(n_tp=n_tp, n_fp=n_fp, n_tn=n_tn, n_fn=n_fn, prevalence=target, level=level)
    return OperatingPoint(
        threshold=math.nan if threshold is None else float(threshold),
        sensitivity=proportion(n_tp, n_tp + n_fn, level=level, of="N+ patients"),
        specificity=proportion(n_tn, n_tn + n_fp, level=level, of="N0 patients"),
        ppv=proportion(n_tp, n_tp + n_fp, level=level, of="positive patients"),
        npv=proportion(n_tn, n_tn + n_fn, level=level, of="negative patients"),
        lr_positive=lr_positive, lr_negative=lr_negative, n_tp=n_tp, n_fp=n_fp, n_tn=n_tn, n_fn=n_fn,
        model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, apparent=apparent,
        notes=notes, prevalence=target, ppv_at_prevalence=at_target[0], npv_at_prevalence=at_target[1],
    )  # fmt: skip


def predicted_positive(given: Labelled, *, threshold: float | None) -> np.ndarray:
    """Who is positive: risk >= threshold, or each row's own predicted_positive where no threshold is given."""
    if threshold is not None:
        if math.isnan(threshold):
            raise OnlmError("threshold is NaN; pass a number, or None to use each row's predicted_positive.")
        return given.risk >= threshold
    if "predicted_positive" not in given.frame.columns:
        require_columns(given.frame, ["predicted_positive"])
    own = pd.to_numeric(given.frame["predicted_positive"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = ~((own == 0) | (own == 1))
    if bad.any():
        ids = ", ".join(given.frame["patient_id"][bad].astype(str).head(4))
        raise OnlmError(
            f"rows: predicted_positive must be 0 or 1, it is not for {int(bad.sum())} of {given.n} labelled patients "
            f"({ids}). Pass threshold=... to decide by the risk."
        )
    return own == 1


def chosen_on_these(given: Labelled, *, threshold: float | None) -> bool:
    """Whether a threshold was chosen on some of these very patients, so that what it does to them is apparent."""
    return isinstance(threshold, ChosenThreshold) and not threshold.chosen_on.isdisjoint(_who(given))


def _who(given: Labelled) -> frozenset[tuple[str, float]]:
    return frozenset(zip(given.frame["patient_id"].astype(str), given.risk.tolist(), strict=True))


def _likelihood_ratios(n_tp: int, n_fp: int, n_tn: int, n_fn: int, *, level: float) -> tuple[Estimate, Estimate]:
    n_events, n_nonevents = n_tp + n_fn, n_fp + n_tn
    positive = _ratio(n_tp, n_events, n_fp, n_nonevents, level=level)
    return positive, _ratio(n_fn, n_events, n_tn, n_nonevents, level=level)


def _ratio(a: int, m: int, b: int, n: int, *, level: float) -> Estimate:
    """(a / m) / (b / n) with an interval on the log scale; without interval where a or b is 0."""
    method = "log"
    if m == 0 or n == 0 or (a == 0 and b == 0):
        return Estimate(math.nan, level=level, method=method, note="a class or a whole row of the table is empty")
    if b == 0:
        return Estimate(math.inf, level=level, method=method, note="no interval: no N0 patient in the cell")
    value = (a / m) / (b / n)
    if a == 0:
        return Estimate(value, level=level, method=method, note="no interval: no N+ patient in the cell")
    z, se = normal_quantile(level), math.sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    return Estimate(value, value * math.exp(-z * se), value * math.exp(z * se), level, method)
