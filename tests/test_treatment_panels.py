"""Panels of treatments compared: numbers of the calls, refusals in words, and the observational sentence everywhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from made_run import NASTY, write_run

from onlm_lab import analysis
from onlm_lab.analysis.treatment_pairs import COMPARED, LOBECTOMY_OR_SUBLOBAR
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels import treatments
from onlm_lab.panels.patients import of_arm
from onlm_lab.panels.phrases import COMPARED_TREATMENTS

BALANCE = ("age_years", "sex", "kps", "total_diameter_mm", "nodule_type")


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("treatments") / "run").rows()


@pytest.fixture(scope="module")
def found(rows):
    return compared(rows)


def compared(rows, **changed):
    asked = {"model": "fused", "pair": "sublobar", "endpoint": "rfs", "balance": BALANCE} | changed
    return treatments.treatment_comparison(rows, **asked)


def words_in(figure) -> str:
    return " ".join(a.text for a in figure.layout.annotations if a.name == "sentence").replace("<br>", " ")


def test_the_ratio_as_the_patients_are_is_that_of_lifelines(rows, found):
    panel = treatments.treatment_panel(found, pair="sublobar")
    own = of_arm(rows, model="fused", arm="surgery")
    data = own[["rfs_days", "rfs_event"]].assign(sublobar=(own["treatment"] != "lobectomy") * 1.0)
    theirs = CoxPHFitter().fit(data, "rfs_days", "rfs_event").summary.loc["sublobar", "exp(coef)"]
    assert found.hazard_ratio_crude.value == pytest.approx(theirs, abs=1e-5)
    assert f"hazard ratio as the patients are {theirs:.2f} (" in panel.sentence


def test_the_weighted_ratio_the_difference_and_the_interaction_are_those_of_the_call(rows, found):
    panel = treatments.treatment_panel(found, pair="sublobar")
    own = analysis.treatment_arms(of_arm(rows, model="fused", arm="surgery"), arms=LOBECTOMY_OR_SUBLOBAR)
    again = analysis.compare_treatments(
        own, endpoint="rfs", treatment=COMPARED, horizon_days=1095, covariates=list(BALANCE)
    )
    said = f"weighted for age, sex, KPS, total diameter and nodule type {theme.with_interval(again.hazard_ratio)}"
    assert said in panel.sentence
    d = again.risk_difference
    points = " to ".join(theme.number(100 * v, digits=0) for v in (d.low, d.high))
    assert f"sublobar minus lobectomy {theme.number(100 * d.value, digits=0)} ({points}) percentage" in panel.sentence
    assert f"between the predicted groups: interaction {theme.p_value(found.interaction_p)}." in panel.sentence


def test_the_observational_sentence_stands_beside_and_inside_every_figure(rows, found):
    panels = [
        treatments.treatment_panel(found, pair="sublobar"), treatments.weighted_curves_panel(found, pair="sublobar"),
        treatments.balance_panel(found, pair="sublobar"), treatments.landmark_panel(rows, model="fused"),
    ]  # fmt: skip
    for panel in panels:
        assert COMPARED_TREATMENTS in panel.sentence, panel.name
        assert words_in(panel.figure).startswith("Observational comparison: treatments were chosen"), panel.name
        assert not [n for n in panel.notes if "observational" in n.lower()], panel.name  # not a third time


def test_the_balance_tells_the_largest_difference_before_and_after_and_what_is_not_balanced(found):
    panel = treatments.balance_panel(found, pair="sublobar")
    table = found.balance.table
    assert (
        f"{table['smd_before'].abs().max():.2f} before and {table['smd_after'].abs().max():.2f} after" in panel.sentence
    )
    assert table["smd_after"].abs().max() < 1e-6 < table["smd_before"].abs().max()
    for row in found.balance.effective_n.itertuples():
        assert f"{row.arm} {row.n} patients, weighing as much as {row.effective_n:.0f}" in panel.sentence
    assert (
        "Balanced are age, sex, KPS, total diameter and nodule type; what is not among them is not." in panel.sentence
    )
    assert "part-solid" in panel.figure.to_json()  # no raw code


def test_who_lacks_a_covariate_is_left_out_and_counted_in_words(rows):
    holes = rows.copy()
    gone = rows.loc[rows["arm"] == "surgery", "patient_id"].unique()[10:17]
    holes.loc[holes["patient_id"].isin(gone), "kps"] = np.nan
    panel = treatments.treatment_panel(compared(holes), pair="sublobar")
    assert "Left out: 7 (KPS missing)" in panel.notes


def test_without_a_covariate_nothing_is_balanced_and_the_sentence_says_so(rows):
    bare = compared(rows, balance=("not_there",))
    with pytest.raises(OnlmError, match="No covariate is known for both treatments, so nothing was balanced"):
        treatments.balance_panel(bare, pair="sublobar")
    panel = treatments.treatment_panel(bare, pair="sublobar")
    assert "as they are, for nothing could be balanced" in panel.sentence and "weighted" not in panel.sentence


def test_few_events_after_a_treatment_are_named(rows):
    panel = treatments.treatment_panel(compared(rows, pair="sbrt", endpoint="regional"), pair="sbrt")
    assert "few events: 8 with SBRT" in panel.notes
    assert panel.sentence.startswith("SBRT against surgery, regional (nodal) recurrence: hazard ratio")


def test_groups_too_small_for_both_treatments_are_not_compared_apart(rows):
    few = compared(rows, threshold=0.9)
    assert len(few.by_group) == 0 and "interaction" not in treatments.treatment_panel(few, pair="sublobar").sentence


def test_a_treatment_that_nobody_or_hardly_anybody_had_is_refused(rows):
    nobody = rows.assign(treatment=rows["treatment"].replace({"segmentectomy": "lobectomy", "wedge": "lobectomy"}))
    with pytest.raises(OnlmError, match="nobody had segmentectomy or wedge"):
        compared(nobody)
    wedge = nobody["patient_id"].isin(rows.loc[rows["arm"] == "surgery", "patient_id"].unique()[:5])
    hardly = nobody.assign(treatment=nobody["treatment"].mask(wedge, "wedge"))
    with pytest.raises(OnlmError, match="235 had lobectomy, 5 had sublobar; fewer than 20 on a side"):
        compared(hardly)
    assert treatments.pairs_of(hardly, model="fused") == ("sbrt",)
    with pytest.raises(OnlmError, match="treatments are not recorded"):
        compared(rows.drop(columns="treatment"))


def test_adjuvant_treatment_is_told_from_surgery_which_is_wrong_and_from_the_middle_landmark(rows):
    panel = treatments.landmark_panel(rows, model="fused", landmark_days=(90, 180, 300))
    positive = of_arm(rows, model="fused", arm="surgery").query("onlm == 1")
    data = positive[["rfs_days", "rfs_event", "adjuvant"]]
    naive = CoxPHFitter().fit(data, "rfs_days", "rfs_event").summary.loc["adjuvant", "exp(coef)"]
    late = positive[positive["rfs_days"] > 180]
    begun = ((late["adjuvant"] == 1) & (late["adjuvant_start_days"] <= 180)) * 1.0
    data = pd.DataFrame({"days": late["rfs_days"] - 180, "event": late["rfs_event"], "begun": begun})
    honest = CoxPHFitter().fit(data, "days", "event").summary.loc["begun", "exp(coef)"]
    assert f"counted from surgery, the hazard ratio is {naive:.2f} (" in panel.sentence
    assert f"from day 180 it is {honest:.2f} (" in panel.sentence
    assert f"({int(begun.sum())} of {len(late)} had begun by then)" in panel.sentence
    assert "immortal time" in words_in(panel.figure)


def test_without_the_start_of_adjuvant_treatment_or_with_few_treated_there_is_no_landmark(rows):
    with pytest.raises(OnlmError, match="adjuvant_start_days not recorded: adjuvant treatment cannot be judged"):
        treatments.landmark_panel(rows.drop(columns="adjuvant_start_days"), model="fused")
    with pytest.raises(OnlmError, match="Of 57 patients found N\\+, 0 had adjuvant treatment and 57 had none"):
        treatments.landmark_panel(rows.assign(adjuvant=0.0), model="fused")


def test_a_value_that_is_html_is_drawn_as_text(rows):
    nasty = rows.assign(kind=np.where(rows["total_diameter_mm"] > 20, NASTY, "small"))
    found = compared(nasty, balance=("age_years", "kind"))
    for draw in (treatments.balance_panel, treatments.treatment_panel, treatments.weighted_curves_panel):
        figure = draw(found, pair="sublobar").figure
        assert "<img" not in figure.to_json().replace("\\u003c", "<"), draw.__name__
