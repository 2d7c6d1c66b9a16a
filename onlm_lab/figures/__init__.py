"""Figures: a result in, a plotly Figure out, never shown and never saved here. No statistics: every number drawn is a
number of the result."""

from onlm_lab.figures.abstention import plot_abstention
from onlm_lab.figures.associations import plot_associations, plot_marker_odds
from onlm_lab.figures.calibration import plot_calibration
from onlm_lab.figures.calibration_groups import plot_calibration_by
from onlm_lab.figures.centres import plot_centres, plot_leave_one_out
from onlm_lab.figures.decision import plot_decision_curve
from onlm_lab.figures.decision_difference import plot_net_benefit_difference
from onlm_lab.figures.discrimination import (
    plot_auc_differences,
    plot_operating_point,
    plot_roc,
    preferred_auc,
)
from onlm_lab.figures.fairness import plot_fairness
from onlm_lab.figures.flow import flow_counts, of_centres, plot_flow
from onlm_lab.figures.missing import plot_missing
from onlm_lab.figures.outcomes import plot_incidence, plot_survival
from onlm_lab.figures.paired_thresholds import plot_operating_differences
from onlm_lab.figures.patch import plot_patch
from onlm_lab.figures.precision import plot_precision_recall
from onlm_lab.figures.reclassification import plot_reclassification
from onlm_lab.figures.sensitivity import plot_label_sensitivity, plot_missing_sensitivity, plot_mistakes
from onlm_lab.figures.subgroup import label_of, plot_hazard_ratios, plot_subgroups, unit_words
from onlm_lab.figures.what_if import plot_what_if

__all__ = [
    "flow_counts", "label_of", "of_centres", "plot_abstention", "plot_associations", "plot_auc_differences",
    "plot_calibration", "plot_calibration_by", "plot_centres", "plot_decision_curve", "plot_fairness", "plot_flow",
    "plot_hazard_ratios", "plot_incidence", "plot_label_sensitivity", "plot_leave_one_out", "plot_marker_odds",
    "plot_missing", "plot_missing_sensitivity", "plot_mistakes", "plot_net_benefit_difference",
    "plot_operating_differences", "plot_operating_point", "plot_patch", "plot_precision_recall",
    "plot_reclassification", "plot_roc", "plot_subgroups", "plot_survival", "plot_what_if", "preferred_auc",
    "unit_words",
]  # fmt: skip
