"""How to read each panel, in a clinician's words: what is shown, how to read it, what it does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENDPOINT = r"(?:os|rfs|recurrence|regional)"

# A panel's name, or what the names of its kind look like -> the help. The first that fits holds.
HELP: Mapping[str, str] = {
    "roc": "Each curve runs over all thresholds: upwards the N+ patients found, to the right the N0 patients called "
    "positive. A curve nearer the upper left corner separates better; the diagonal is chance. It does not say whether "
    "the risks themselves are right: see calibration.",
    "calibration": "Predicted risk against the share of N+ that was seen. On the diagonal the risks mean what they "
    "say; below it they are too high, above it too low. A model can separate well and still be badly calibrated.",
    "operating_point": "What this threshold would do to 1,000 such patients, at the share of N+ of this study. Where "
    "N+ is rarer or more common the counts differ. The bars' lines are intervals for chance alone.",
    "decision_curve": "Net benefit counts N+ patients found and subtracts needless work-ups, weighed by the threshold: "
    "at 10 % one N+ found is worth nine needless work-ups. A model helps where its curve lies above working up "
    "everybody and nobody. It does not say which threshold is right for a patient.",
    "auc_differences": "The difference of AUC between two models in the same patients, with its interval. Where the "
    "interval holds 0, the data do not tell the models apart. A difference of AUC is not a difference in benefit.",
    "precision_recall": "Upwards: of those called positive, the share who are N+; to the right: the N+ found. The "
    "level of a useless model is the share of N+, so compare only within one group of patients.",
    "net_benefit_difference": "The net benefit of one model minus that of another at each threshold, in the same "
    "patients. Above 0 the first is worth more. The band holds at one threshold at a time, not for the whole curve.",
    "operating_differences": "Sensitivity and specificity of one model minus those of another, each at its own "
    "thresholds, in the same patients. A gain in one is often a loss in the other: read both.",
    "hundred_patients|hundred_alike": "Each figure stands for one of 100 such patients. It shows counts that one would "
    "expect on average, at the share of N+ of this study. It does not say who of the 100 is concerned.",
    "models": "Models beside each other in the same patients, each number with its interval. Overlapping intervals do "
    "not prove that models are alike, and the best of many models is partly lucky.",
    "subgroups": "The same measure in each group of patients; the line is its interval, the dotted line all patients. "
    "P asks whether the model works differently between the groups. Groups too small are left without a number, and "
    "no difference found is not proof of none.",
    "centres_.+": "The measure in each centre and over all of them. The prediction interval says where a new centre "
    "like these may lie. Few patients in a centre make its number uncertain; it is no ranking of hospitals.",
    "fairness": "Errors of the model in groups of patients, and the gaps between them with their intervals. A gap can "
    "come from chance, from a different share of N+, or from the model. It does not say what is fair.",
    "label_sensitivity": "The same number with only those patients whose reference standard is surer, such as those "
    "with more nodes examined. If it hardly moves, doubtful labels do not carry the result.",
    "missing_sensitivity": "The same number with and without the patients who lack a predictor. If it moves, the way "
    "missing values are filled matters for the result.",
    "mistakes": "Whom the model gets wrong at its threshold, described. It generates ideas; with few mistakes chance "
    "explains much.",
    "associations": "How the predicted risk goes with other markers, corrected for their number. An association is "
    "not a cause, and the model may have seen a related value.",
    "abstention_.+": "What happens when the model stays silent on the patients of whom it is least sure. Patients left "
    "out still need an answer from elsewhere.",
    f"{_ENDPOINT}_(?:survival|incidence|pathology|surgery|sbrt)(?:_quantiles)?": "What became of the patients of each "
    "predicted group over time; marks are patients last seen then, below are the numbers still followed. With "
    "competing events the share who had this event is drawn, which is lower than one minus Kaplan-Meier. Differences "
    "between groups are associations, and few patients on the right make the curve uncertain.",
    f"{_ENDPOINT}_(?:surgery|sbrt)_hazards?": "How much the hazard of the event rises with the predicted risk, alone "
    "and beside other things known before treatment; above 1 is worse. The unit stands in the label. It is an "
    "association, not an effect, and with few events it is uncertain.",
    f"{_ENDPOINT}_(?:surgery|sbrt)_subdistribution": "As the hazard ratio, but for the share of patients who have the "
    "event while others compete (Fine-Gray). It says who will have the event, not how fast the disease itself moves.",
    f"{_ENDPOINT}_(?:surgery|sbrt)_constancy": "Whether the hazard ratio stays the same over the years. A curve that "
    "bends and a small P say that one hazard ratio for all years misleads: read the mean time instead. A large P "
    "proves nothing when events are few.",
    f"{_ENDPOINT}_(?:surgery|sbrt)_form": "How the hazard changes along the predicted risk without forcing a straight "
    "line. Where patients are few the band is wide and the shape is not to be trusted.",
    f"{_ENDPOINT}_(?:surgery|sbrt)_mean_time": "The time lived, or lost to the event, on average up to the chosen "
    "year, in each group. It needs no constant hazard ratio. Beyond the chosen year it says nothing.",
    f"auc_{_ENDPOINT}_(?:surgery|sbrt)": "How well the risk tells who has the event by each time from who has not; "
    "0.5 is chance. Patients lost to follow-up are allowed for by weights. The risk was made for N+, not for this "
    "event.",
    f"brier_{_ENDPOINT}_(?:surgery|sbrt)": "The error of the predicted probability of the event over time; lower is "
    "better. Compare it with the line of a model that knows nothing.",
    f"calibration_{_ENDPOINT}_(?:surgery|sbrt)": "The predicted probability of the event by the chosen year against "
    "what was seen. On the diagonal it is right on average. It uses the probability of the event, never that of N+.",
    f"decision_{_ENDPOINT}_(?:surgery|sbrt)": "Net benefit of acting on the probability of the event by the chosen "
    "year, against acting for everybody and nobody. It does not say that acting helps.",
    "treatment_.+": "Two treatments compared inside each predicted group, as the patients are and weighted so that "
    "the groups resemble each other. Treatments were chosen for patients: what was not recorded is not balanced, and "
    "the ratio is not the effect of a treatment.",
    "curves_.+": "Outcome under two treatments after weighting for what was known before. What was not recorded can "
    "still differ, so the curves are no trial.",
    "balance_.+": "How far the treated groups differ before and after weighting. Near 0 is alike. It says nothing "
    "about what was not recorded.",
    "landmark_.+": "Adjuvant treatment judged from fixed days on, among patients then alive and free of the event. "
    "Counting from surgery credits the treatment with the time patients had to live to receive it. What remains is "
    "still an association.",
    "outcome_card_.+": "The groups of the model beside each other to print: of 100 such patients, how many have which "
    "outcome by the chosen year. Groups of patients, not a forecast for one of them; differences are associations.",
    "flow": "From all patients screened to those with a label, rule by rule. A patient counts once, at the first rule "
    "that fails or is left open. Undetermined means that a value is missing; it is never taken for a pass.",
    "rule_by_centre": "Who reached this rule in each centre and whom it left out. Much missing in one centre points to "
    "its records before its patients.",
    "what-if": "How many patients would be in if one limit of the protocol were moved, all else the same. It changes "
    "nothing in the study. A limit chosen for how the results look would bias them.",
    "undetermined": "Which values would have to be looked up so that patients can be decided on, most wanted first. "
    "Missing alone means that this value would settle it.",
    "patients_left_out": "Why patients did not pass this rule: what was wanted and what was found. The listed values "
    "are those that decided.",
    "table_1": "Patients by group, as in Table 1 of a paper: counts or medians with quartiles, percentages of known "
    "values. SMD says how far groups are apart whatever their size; above 0.1 is often called a difference. It does "
    "not say why they differ.",
    "centres": "How many patients each centre gives. A model that learns mostly from one centre may fit others less.",
    "accrual": "When the patients were treated. Gaps and steps show changes of practice or of recording.",
    "missing": "The share of patients without each value, by group. Values that are missing for a reason, such as "
    "in the sicker patients, can mislead a model.",
    "follow_up": "How long patients were followed, by reverse Kaplan-Meier, in which death ends observation. Short or "
    "unequal follow-up hides late events.",
    "reference_standard": "The share of N+ among the patients with a reference standard, and how thoroughly nodes were "
    "examined. Few nodes examined can miss N+, so that a low share need not mean fewer N+ patients.",
    "no_label": "Who has no label, and what came first. Patients after SBRT have none by design: they are never "
    "counted as N0.",
    "case_risk|risk": "The predicted risk of N+ with the spread of the models. The spread is their disagreement, not "
    "an interval that holds the truth. For research, not for a decision about this patient.",
    "terms": "What of the typed values raises or lowers the odds, against the average patient whom the model learned "
    "from. The parts multiply to the whole. They are associations: changing a value would not change the patient.",
    "case_effects|effects": "What the model would say were one value different, all others kept. It explains the "
    "model, not the disease: changing the value would not change the patient.",
    "similar_patients": "What was found in the study's patients whose risk is near to this one, beside what the model "
    "told of them. On the diagonal the model is right around this risk. Few such patients make a wide interval.",
    "case_follow_up|follow_up": "What happened to this patient after treatment, in days from time zero. One course "
    "proves a prediction neither right nor wrong.",
    "readers.*": "Readers' judgement with and without the model, over the same patients. The interval allows for "
    "readers and patients both being a sample. Reading twice, practice and order can add to a difference.",
    "training_.+|runs_training": "Loss and AUC by epoch in training and held-out patients. A gap that widens is "
    "overfitting. The held-out AUC chose the epoch, so it is a little optimistic.",
    "runs_roc": "ROC curves of runs beside each other, in the same patients. Choosing the best of many runs by these "
    "numbers makes its own number optimistic.",
}  # fmt: skip
_COMPILED = [(re.compile(pattern), text) for pattern, text in HELP.items()]


def help_of(panel: str) -> str:
    """How to read a panel, by its name; empty where nothing was written for it."""
    return next((text for pattern, text in _COMPILED if pattern.fullmatch(panel)), "")
