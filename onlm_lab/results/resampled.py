"""What resampling says of a statistic of the label, and of the ROC and precision-recall curves."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result


@result
class Bootstrap:
    """A statistic with its bootstrap interval.

    `replicates`: resample (1 to n_resamples), value; only samples that have one, `n_used` of `n_resamples`.
    `se`: their standard deviation. `bias_correction` and `acceleration`: z0 and a of the BCa interval, else NaN.
    `drawn`: what was drawn with replacement, such as "patients within N+ and within N0" or "whole clusters of centre".
    """

    estimate: Estimate
    replicates: pd.DataFrame
    statistic: str
    drawn: str
    se: float
    bias_correction: float
    acceleration: float
    n_resamples: int
    n_used: int
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class OptimismCorrected:
    """A statistic of a way of fitting, freed of what comes from judging a model by the patients who made it.

    `apparent`: in the very patients who fitted the model. `optimism`: apparent minus honest, averaged over resamples;
    its interval is that average's Monte Carlo error. `corrected` = apparent - optimism. `replicates`: resample,
    in_resample, in_data. `n_failed`: resamples that gave no model or no number.
    """

    apparent: Estimate
    optimism: Estimate
    corrected: Estimate
    replicates: pd.DataFrame
    statistic: str
    n_resamples: int
    n_failed: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class PrecisionRecall:
    """Of the patients called positive, how many are N+; of the N+, how many are called.

    `curve`: threshold (falling), recall, precision; positive if risk >= threshold. `average_precision`: its step sum.
    `prevalence`: the share of N+, which is what a useless model's average precision comes to.
    """

    curve: pd.DataFrame
    average_precision: Estimate
    prevalence: float
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class RocBand:
    """Sensitivity at given specificities, with its pointwise bootstrap band.

    `band`: specificity, sensitivity, low, high, read off the ROC curve as drawn (straight between observed points).
    """

    band: pd.DataFrame
    level: float
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class PartialAuc:
    """Area under the part of the ROC curve between two specificities.

    `area`: as it is, at most the width of the range. `corrected`: brought to 0.5 for chance and 1 for a perfect model.
    """

    area: Estimate
    corrected: Estimate
    specificity_low: float
    specificity_high: float
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()


@result
class AucBetweenGroups:
    """AUC of one model in group_a minus its AUC in group_b: different patients (unpaired DeLong, z).

    `groups`: group, n, n_events, auc, low, high.
    """

    difference: Estimate
    auc_a: Estimate
    auc_b: Estimate
    z: float
    p_value: float
    by: str
    group_a: str
    group_b: str
    groups: pd.DataFrame
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
