"""Statistics of a prediction: each call takes rows, one a patient, and returns a frozen result.

Nothing is imported until it is asked for: `import onlm_lab.analysis` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onlm_lab.analysis.abstaining import abstention as abstention
    from onlm_lab.analysis.bands import roc_band as roc_band
    from onlm_lab.analysis.bootstrapping import bootstrap as bootstrap
    from onlm_lab.analysis.calibration import assess_calibration as assess_calibration
    from onlm_lab.analysis.calibration_bootstrap import calibration_intervals as calibration_intervals
    from onlm_lab.analysis.calibration_groups import calibration_by as calibration_by
    from onlm_lab.analysis.centres import by_centre as by_centre
    from onlm_lab.analysis.centres import leave_one_out as leave_one_out
    from onlm_lab.analysis.competing_risks import cumulative_incidence as cumulative_incidence
    from onlm_lab.analysis.continuous_sample_size import sample_size_continuous as sample_size_continuous
    from onlm_lab.analysis.decision import net_benefit as net_benefit
    from onlm_lab.analysis.decision_difference import compare_net_benefit as compare_net_benefit
    from onlm_lab.analysis.discrimination import compare_aucs as compare_aucs
    from onlm_lab.analysis.discrimination import roc as roc
    from onlm_lab.analysis.effect_modification import interaction as interaction
    from onlm_lab.analysis.fairness_view import fairness as fairness
    from onlm_lab.analysis.firth_regression import firth as firth
    from onlm_lab.analysis.hazard import cox as cox
    from onlm_lab.analysis.label_quality import label_sensitivity as label_sensitivity
    from onlm_lab.analysis.leakage import suspicion as suspicion
    from onlm_lab.analysis.marker_associations import associations as associations
    from onlm_lab.analysis.missing_predictors import missing_data_sensitivity as missing_data_sensitivity
    from onlm_lab.analysis.mistakes import confident_mistakes as confident_mistakes
    from onlm_lab.analysis.net_reclassification import reclassification as reclassification
    from onlm_lab.analysis.operating_table import operating_points as operating_points
    from onlm_lab.analysis.optimism import optimism_corrected as optimism_corrected
    from onlm_lab.analysis.paired_thresholds import compare_operating_points as compare_operating_points
    from onlm_lab.analysis.partial_area import partial_auc as partial_auc
    from onlm_lab.analysis.precision import precision_recall as precision_recall
    from onlm_lab.analysis.prognostic_accuracy import time_dependent_auc as time_dependent_auc
    from onlm_lab.analysis.prognostic_accuracy import uno_c as uno_c
    from onlm_lab.analysis.recalibration import apply_recalibration as apply_recalibration
    from onlm_lab.analysis.recalibration import recalibrate as recalibrate
    from onlm_lab.analysis.restricted_mean import rmst as rmst
    from onlm_lab.analysis.reverse_product_limit import follow_up as follow_up
    from onlm_lab.analysis.rows import labelled as labelled
    from onlm_lab.analysis.sample_size import sample_size_binary as sample_size_binary
    from onlm_lab.analysis.sample_size import sample_size_survival as sample_size_survival
    from onlm_lab.analysis.subdistribution import fine_gray as fine_gray
    from onlm_lab.analysis.subgroup import by_subgroup as by_subgroup
    from onlm_lab.analysis.survival import kaplan_meier as kaplan_meier
    from onlm_lab.analysis.testing_sample_size import sample_size_external as sample_size_external
    from onlm_lab.analysis.thousand_patients import per_1000 as per_1000
    from onlm_lab.analysis.thresholds import choose_threshold as choose_threshold
    from onlm_lab.analysis.thresholds import operating_point as operating_point
    from onlm_lab.analysis.unpaired import compare_aucs_between as compare_aucs_between
    from onlm_lab.analysis.updating import recalibration_effect as recalibration_effect

# A module must not bear the name of a call: importing it would put the module where the call is looked for.
_HOME = {
    "labelled": "rows",
    "roc": "discrimination",
    "compare_aucs": "discrimination",
    "bootstrap": "bootstrapping",
    "optimism_corrected": "optimism",
    "precision_recall": "precision",
    "roc_band": "bands",
    "compare_aucs_between": "unpaired",
    "partial_auc": "partial_area",
    "choose_threshold": "thresholds",
    "operating_point": "thresholds",
    "operating_points": "operating_table",
    "per_1000": "thousand_patients",
    "compare_operating_points": "paired_thresholds",
    "assess_calibration": "calibration",
    "recalibrate": "recalibration",
    "apply_recalibration": "recalibration",
    "recalibration_effect": "updating",
    "net_benefit": "decision",
    "compare_net_benefit": "decision_difference",
    "by_subgroup": "subgroup",
    "by_centre": "centres",
    "leave_one_out": "centres",
    "calibration_by": "calibration_groups",
    "calibration_intervals": "calibration_bootstrap",
    "fairness": "fairness_view",
    "reclassification": "net_reclassification",
    "abstention": "abstaining",
    "suspicion": "leakage",
    "kaplan_meier": "survival",
    "cox": "hazard",
    "cumulative_incidence": "competing_risks",
    "fine_gray": "subdistribution",
    "interaction": "effect_modification",
    "rmst": "restricted_mean",
    "uno_c": "prognostic_accuracy",
    "time_dependent_auc": "prognostic_accuracy",
    "follow_up": "reverse_product_limit",
    "sample_size_binary": "sample_size",
    "sample_size_survival": "sample_size",
    "sample_size_continuous": "continuous_sample_size",
    "sample_size_external": "testing_sample_size",
    "missing_data_sensitivity": "missing_predictors",
    "label_sensitivity": "label_quality",
    "firth": "firth_regression",
    "confident_mistakes": "mistakes",
    "associations": "marker_associations",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
