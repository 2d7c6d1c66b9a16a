"""Figures: a result in, a plotly Figure out, never shown and never saved here. No statistics: every number drawn is a
number of the result."""

from onlm_lab.figures.abstention import plot_abstention
from onlm_lab.figures.added_value import plot_added_value
from onlm_lab.figures.areas import plot_one_minus_km, plot_rmst
from onlm_lab.figures.associations import plot_associations, plot_marker_odds
from onlm_lab.figures.calibration import plot_calibration
from onlm_lab.figures.calibration_groups import plot_calibration_by
from onlm_lab.figures.cases import plot_effects, plot_follow_up, plot_risk_among
from onlm_lab.figures.centres import plot_centres, plot_leave_one_out
from onlm_lab.figures.counted import plot_counts
from onlm_lab.figures.decision import plot_decision_curve, threshold_line
from onlm_lab.figures.decision_difference import plot_net_benefit_difference
from onlm_lab.figures.discrimination import (
    plot_auc_differences,
    plot_operating_point,
    plot_roc,
    preferred_auc,
    roc_points,
)
from onlm_lab.figures.event_calibration import plot_event_calibration
from onlm_lab.figures.event_risk import plot_event_risk
from onlm_lab.figures.fairness import plot_fairness
from onlm_lab.figures.flow import flow_counts, of_centres, plot_flow
from onlm_lab.figures.functional_form import plot_functional_form
from onlm_lab.figures.hazard_comparison import plot_hazard_comparison
from onlm_lab.figures.hundred import plot_hundred
from onlm_lab.figures.influence import plot_influence
from onlm_lab.figures.intervals import plot_intervals
from onlm_lab.figures.missing import plot_missing
from onlm_lab.figures.outcomes import plot_incidence, plot_survival
from onlm_lab.figures.over_time import plot_brier, plot_time_dependent_auc
from onlm_lab.figures.paired_thresholds import plot_operating_differences
from onlm_lab.figures.patch import plot_patch
from onlm_lab.figures.precision import plot_precision_recall
from onlm_lab.figures.proportional_hazards import plot_proportional_hazards
from onlm_lab.figures.readers import plot_readers
from onlm_lab.figures.reclassification import plot_reclassification
from onlm_lab.figures.sensitivity import plot_label_sensitivity, plot_missing_sensitivity, plot_mistakes
from onlm_lab.figures.subgroup import label_of, plot_hazard_ratios, plot_subgroups, unit_words
from onlm_lab.figures.treatments import (
    plot_balance,
    plot_landmark,
    plot_treatment_by_group,
    plot_weighted_curves,
)
from onlm_lab.figures.what_if import plot_what_if

__all__ = [
    "flow_counts", "label_of", "of_centres", "plot_abstention", "plot_added_value", "plot_associations",
    "plot_auc_differences", "plot_balance", "plot_brier", "plot_calibration", "plot_calibration_by", "plot_centres",
    "plot_counts", "plot_decision_curve", "plot_effects", "plot_event_calibration", "plot_event_risk", "plot_fairness",
    "plot_flow", "plot_follow_up", "plot_functional_form", "plot_hazard_comparison", "plot_hazard_ratios",
    "plot_hundred", "plot_incidence", "plot_influence", "plot_intervals", "plot_label_sensitivity", "plot_landmark",
    "plot_leave_one_out", "plot_marker_odds", "plot_missing", "plot_missing_sensitivity", "plot_mistakes",
    "plot_net_benefit_difference", "plot_one_minus_km", "plot_operating_differences", "plot_operating_point",
    "plot_patch", "plot_precision_recall", "plot_proportional_hazards", "plot_readers", "plot_reclassification",
    "plot_risk_among", "plot_rmst", "plot_roc", "plot_subgroups", "plot_survival", "plot_time_dependent_auc",
    "plot_treatment_by_group", "plot_weighted_curves", "plot_what_if", "preferred_auc", "roc_points", "threshold_line",
    "unit_words",
]  # fmt: skip
