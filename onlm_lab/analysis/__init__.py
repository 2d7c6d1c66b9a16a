"""Statistics of a prediction: each call takes rows, one a patient, and returns a frozen result.

Nothing is imported until it is asked for: `import onlm_lab.analysis` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onlm_lab.analysis.absolute_risk import baseline_hazard as baseline_hazard
    from onlm_lab.analysis.absolute_risk import predict_event as predict_event
    from onlm_lab.analysis.abstaining import abstention as abstention
    from onlm_lab.analysis.acting import net_benefit_at as net_benefit_at
    from onlm_lab.analysis.bands import roc_band as roc_band
    from onlm_lab.analysis.bootstrapping import bootstrap as bootstrap
    from onlm_lab.analysis.brier_over_time import brier_survival as brier_survival
    from onlm_lab.analysis.brier_over_time import integrated_brier as integrated_brier
    from onlm_lab.analysis.calibration import assess_calibration as assess_calibration
    from onlm_lab.analysis.calibration_bootstrap import calibration_intervals as calibration_intervals
    from onlm_lab.analysis.calibration_groups import calibration_by as calibration_by
    from onlm_lab.analysis.centres import by_centre as by_centre
    from onlm_lab.analysis.centres import leave_one_out as leave_one_out
    from onlm_lab.analysis.competing_risks import cumulative_incidence as cumulative_incidence
    from onlm_lab.analysis.continuous_sample_size import sample_size_continuous as sample_size_continuous
    from onlm_lab.analysis.cross_fitted_risk import event_risk as event_risk
    from onlm_lab.analysis.cross_fitted_risk import event_risk_table as event_risk_table
    from onlm_lab.analysis.decision import net_benefit as net_benefit
    from onlm_lab.analysis.decision_difference import compare_net_benefit as compare_net_benefit
    from onlm_lab.analysis.discrimination import compare_aucs as compare_aucs
    from onlm_lab.analysis.discrimination import roc as roc
    from onlm_lab.analysis.effect_modification import interaction as interaction
    from onlm_lab.analysis.endpoint_faults import check_endpoints as check_endpoints
    from onlm_lab.analysis.event_calibration import calibrate_event_risk as calibrate_event_risk
    from onlm_lab.analysis.fairness_view import fairness as fairness
    from onlm_lab.analysis.firth_regression import firth as firth
    from onlm_lab.analysis.group_tests import gray as gray
    from onlm_lab.analysis.group_tests import log_rank as log_rank
    from onlm_lab.analysis.hazard import cox as cox
    from onlm_lab.analysis.hazard_comparing import univariable as univariable
    from onlm_lab.analysis.hazard_constancy import proportional_hazards as proportional_hazards
    from onlm_lab.analysis.hazard_form import functional_form as functional_form
    from onlm_lab.analysis.horizons import censor_at as censor_at
    from onlm_lab.analysis.horizons import recurrence_at_last_imaging as recurrence_at_last_imaging
    from onlm_lab.analysis.hundred_patients import outcome_card as outcome_card
    from onlm_lab.analysis.influential_patients import influence as influence
    from onlm_lab.analysis.label_quality import label_sensitivity as label_sensitivity
    from onlm_lab.analysis.landmark_effect import compare_landmarks as compare_landmarks
    from onlm_lab.analysis.landmarking import landmark as landmark
    from onlm_lab.analysis.leakage import suspicion as suspicion
    from onlm_lab.analysis.marker_associations import associations as associations
    from onlm_lab.analysis.missing_predictors import missing_data_sensitivity as missing_data_sensitivity
    from onlm_lab.analysis.mistakes import confident_mistakes as confident_mistakes
    from onlm_lab.analysis.net_reclassification import reclassification as reclassification
    from onlm_lab.analysis.operating_table import operating_points as operating_points
    from onlm_lab.analysis.optimism import optimism_corrected as optimism_corrected
    from onlm_lab.analysis.overstatement import one_minus_km as one_minus_km
    from onlm_lab.analysis.paired_thresholds import compare_operating_points as compare_operating_points
    from onlm_lab.analysis.partial_area import partial_auc as partial_auc
    from onlm_lab.analysis.precision import precision_recall as precision_recall
    from onlm_lab.analysis.prognostic_accuracy import compare_time_dependent_aucs as compare_time_dependent_aucs
    from onlm_lab.analysis.prognostic_accuracy import time_dependent_auc as time_dependent_auc
    from onlm_lab.analysis.prognostic_accuracy import uno_c as uno_c
    from onlm_lab.analysis.prognostic_gain import added_value as added_value
    from onlm_lab.analysis.propensity import overlap_weights as overlap_weights
    from onlm_lab.analysis.pseudo_observations import pseudo_values as pseudo_values
    from onlm_lab.analysis.readers import compare_readers as compare_readers
    from onlm_lab.analysis.recalibration import apply_recalibration as apply_recalibration
    from onlm_lab.analysis.recalibration import recalibrate as recalibrate
    from onlm_lab.analysis.restricted_mean import rmst as rmst
    from onlm_lab.analysis.restricted_mean import time_lost as time_lost
    from onlm_lab.analysis.reverse_product_limit import follow_up as follow_up
    from onlm_lab.analysis.risk_groups import group_by_risk as group_by_risk
    from onlm_lab.analysis.rows import labelled as labelled
    from onlm_lab.analysis.sample_size import sample_size_binary as sample_size_binary
    from onlm_lab.analysis.sample_size import sample_size_survival as sample_size_survival
    from onlm_lab.analysis.subdistribution import fine_gray as fine_gray
    from onlm_lab.analysis.subgroup import by_subgroup as by_subgroup
    from onlm_lab.analysis.survival import kaplan_meier as kaplan_meier
    from onlm_lab.analysis.survival_decision import survival_net_benefit as survival_net_benefit
    from onlm_lab.analysis.testing_sample_size import sample_size_external as sample_size_external
    from onlm_lab.analysis.thousand_patients import per_1000 as per_1000
    from onlm_lab.analysis.thresholds import choose_threshold as choose_threshold
    from onlm_lab.analysis.thresholds import operating_point as operating_point
    from onlm_lab.analysis.treatment_comparison import compare_treatments as compare_treatments
    from onlm_lab.analysis.treatment_pairs import treatment_arms as treatment_arms
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
    "compare_readers": "readers",
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
    "net_benefit_at": "acting",
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
    "proportional_hazards": "hazard_constancy",
    "influence": "influential_patients",
    "functional_form": "hazard_form",
    "added_value": "prognostic_gain",
    "univariable": "hazard_comparing",
    "cumulative_incidence": "competing_risks",
    "fine_gray": "subdistribution",
    "interaction": "effect_modification",
    "rmst": "restricted_mean",
    "uno_c": "prognostic_accuracy",
    "compare_time_dependent_aucs": "prognostic_accuracy",
    "brier_survival": "brier_over_time",
    "integrated_brier": "brier_over_time",
    "predict_event": "absolute_risk",
    "baseline_hazard": "absolute_risk",
    "event_risk": "cross_fitted_risk",
    "event_risk_table": "cross_fitted_risk",
    "time_dependent_auc": "prognostic_accuracy",
    "pseudo_values": "pseudo_observations",
    "calibrate_event_risk": "event_calibration",
    "survival_net_benefit": "survival_decision",
    "follow_up": "reverse_product_limit",
    "outcome_card": "hundred_patients",
    "group_by_risk": "risk_groups",
    "log_rank": "group_tests",
    "gray": "group_tests",
    "censor_at": "horizons",
    "recurrence_at_last_imaging": "horizons",
    "check_endpoints": "endpoint_faults",
    "one_minus_km": "overstatement",
    "time_lost": "restricted_mean",
    "sample_size_binary": "sample_size",
    "sample_size_survival": "sample_size",
    "sample_size_continuous": "continuous_sample_size",
    "sample_size_external": "testing_sample_size",
    "missing_data_sensitivity": "missing_predictors",
    "label_sensitivity": "label_quality",
    "firth": "firth_regression",
    "confident_mistakes": "mistakes",
    "associations": "marker_associations",
    "treatment_arms": "treatment_pairs",
    "compare_treatments": "treatment_comparison",
    "overlap_weights": "propensity",
    "compare_landmarks": "landmark_effect",
    "landmark": "landmarking",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
