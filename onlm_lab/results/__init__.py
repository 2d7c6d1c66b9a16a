"""The frozen types that a statistic hands to a figure, a report or a dashboard.

Every result says how many patients it rests on (`n`), how many had the event (`n_events`), who was left out and why
(`n_excluded`, reason -> count) and what the reader must know (`notes`). Tables inside a result are copied on access,
so that nobody downstream can change a number that somebody else reads. Two results are the same when their `digest`
is the same.
"""

from onlm_lab.results.chi_square import ChiSquareTest
from onlm_lab.results.curves import GrayTest, LogRankTest, OneMinusKm, TimeLost
from onlm_lab.results.decisions import Balance, Landmarked, LandmarkEffect, TreatmentComparison
from onlm_lab.results.distances import CalibrationIntervals
from onlm_lab.results.event_calibration import EventCalibration
from onlm_lab.results.fairness import Fairness
from onlm_lab.results.frozen import Estimate, result
from onlm_lab.results.groups import CalibrationByGroup, CentreInfluence
from onlm_lab.results.hazards import AddedValue, FunctionalForm, HazardComparison, Influence, ProportionalHazards
from onlm_lab.results.mechanisms import Associations, PenalisedModel
from onlm_lab.results.operating import NetBenefitDifference, OperatingComparison, OperatingTable, PerThousand
from onlm_lab.results.outcome_card import OutcomeCard
from onlm_lab.results.planning import SampleSize, TestingSampleSize
from onlm_lab.results.prediction import (
    AbstentionCurve,
    AucComparison,
    Calibration,
    CentreTable,
    DecisionCurve,
    OperatingPoint,
    Recalibration,
    Reclassification,
    Roc,
    SubgroupTable,
)
from onlm_lab.results.readers import ReaderComparison
from onlm_lab.results.resampled import (
    AucBetweenGroups,
    Bootstrap,
    OptimismCorrected,
    PartialAuc,
    PrecisionRecall,
    RocBand,
)
from onlm_lab.results.sensitivity import ConfidentMistakes, LabelSensitivity, MissingDataSensitivity
from onlm_lab.results.time_to_event import (
    FollowUp,
    HazardModel,
    IncidenceCurves,
    Interaction,
    LogRank,
    Rmst,
    SurvivalCurves,
)
from onlm_lab.results.updating import RecalibrationEffect

__all__ = [
    "AbstentionCurve",
    "AddedValue",
    "Associations",
    "AucBetweenGroups",
    "AucComparison",
    "Balance",
    "Bootstrap",
    "Calibration",
    "CalibrationByGroup",
    "CalibrationIntervals",
    "CentreInfluence",
    "CentreTable",
    "ChiSquareTest",
    "ConfidentMistakes",
    "DecisionCurve",
    "Estimate",
    "EventCalibration",
    "Fairness",
    "FollowUp",
    "FunctionalForm",
    "GrayTest",
    "HazardComparison",
    "HazardModel",
    "IncidenceCurves",
    "Influence",
    "Interaction",
    "LabelSensitivity",
    "LandmarkEffect",
    "Landmarked",
    "LogRank",
    "LogRankTest",
    "MissingDataSensitivity",
    "NetBenefitDifference",
    "OneMinusKm",
    "OperatingComparison",
    "OperatingPoint",
    "OperatingTable",
    "OptimismCorrected",
    "OutcomeCard",
    "PartialAuc",
    "PenalisedModel",
    "PerThousand",
    "PrecisionRecall",
    "ProportionalHazards",
    "ReaderComparison",
    "Recalibration",
    "RecalibrationEffect",
    "Reclassification",
    "Rmst",
    "Roc",
    "RocBand",
    "SampleSize",
    "SubgroupTable",
    "SurvivalCurves",
    "TestingSampleSize",
    "TimeLost",
    "TreatmentComparison",
    "result",
]
