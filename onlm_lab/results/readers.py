"""What readers saw without the model, and what they saw with it."""

from __future__ import annotations

import math
from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result


@result
class ReaderComparison:
    """Readers' estimates without and with the model, in the same patients.

    `difference`: average AUC with the model minus without it; `df`, `p_value`: of that. `auc_model`: the model alone,
    `model_minus_alone`: it minus the readers' average without it; both NaN where no risk was given, as what needs a
    second estimate is where there was none.

    `readers`, a row a reader: reader_id; auc_alone, auc_with_model, sensitivity and specificity of both, and
    auc_difference, each with _low and _high; p_value (of the difference); auc_method; seconds_alone and
    seconds_with_model (medians); n_toward, n_away, n_unmoved (second estimates, by whether they went to the truth).
    `averages`: measure (auc, sensitivity, specificity), kind (alone, with_model, difference, model, model_minus_alone),
    value, low, high, se, df, p_value, method, note. `threshold`: an estimate from here on is positive; NaN where
    none was named.
    """

    auc_alone: Estimate
    auc_with_model: Estimate
    difference: Estimate
    auc_model: Estimate
    model_minus_alone: Estimate
    df: float
    p_value: float
    readers: pd.DataFrame
    averages: pd.DataFrame
    random_readers: bool
    n_readers: int
    n: int
    n_events: int
    threshold: float = math.nan
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
