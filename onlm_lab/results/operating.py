"""What a threshold does to patients, and what one model's decisions do that another's do not."""

from __future__ import annotations

import math
from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result


@result
class OperatingTable:
    """Thresholds by several rules, and what each does.

    `table`, a row a rule: rule, target, threshold; sensitivity, specificity, ppv, npv, lr_positive, lr_negative, and
    where a prevalence was named ppv_at_prevalence and npv_at_prevalence, each with _low and _high; n_tp, n_fp, n_tn,
    n_fn; apparent (the threshold was chosen on these patients); note. `prevalence` is NaN where none was named.
    """

    table: pd.DataFrame
    model_id: str
    n: int
    n_events: int
    prevalence: float = math.nan
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class PerThousand:
    """What a threshold does to 1,000 patients.

    `table`: outcome (N+ found, N+ missed, N0 spared, N0 called positive), patients, low, high. N0 spared are spared
    invasive staging; N0 called positive have it needlessly. `prevalence`: the share of N+ among the 1,000; that of
    these patients unless `at_target`. `threshold` is NaN where each row carried its own.
    """

    table: pd.DataFrame
    threshold: float
    prevalence: float
    at_target: bool
    level: float
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class OperatingComparison:
    """Sensitivity and specificity of model_a minus those of model_b, each at its threshold, in the same patients.

    `table`, rows sensitivity (of N+ patients) and specificity (of N0): measure, n, value_a, value_b, difference, low,
    high; n_both, n_only_a, n_only_b, n_neither (patients called rightly); McNemar's chi2, p_value, chi2_corrected,
    p_corrected, p_exact, p_mid; note.
    """

    table: pd.DataFrame
    sensitivity: Estimate
    specificity: Estimate
    model_a: str
    model_b: str
    threshold_a: float
    threshold_b: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class NetBenefitDifference:
    """Net benefit of model_a minus that of model_b, in the same patients.

    `table`: threshold, difference, low, high, interventions_avoided (more than with model_b, per 100 patients, at the
    same number of N+ found), avoided_low, avoided_high, share_better (share of bootstrap samples in which model_a has
    the higher net benefit, a tie counting half; no P value).
    """

    table: pd.DataFrame
    model_a: str
    model_b: str
    level: float
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()
