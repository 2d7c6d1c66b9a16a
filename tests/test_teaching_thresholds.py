"""Lesson 3 says what is so: what a threshold costs, what it is worth, and when a model is worse than none."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_auc_score
from test_notebooks import drawn, executed, said

from onlm_lab import analysis
from onlm_lab.teaching import judge, read_questions
from onlm_lab.teaching import thresholds as about


def counts(threshold: float) -> tuple[int, int, int, int]:
    """n_tn, n_fp, n_fn, n_tp of the lesson's patients, counted by scikit-learn."""
    rows = about.made_up_patients()
    return tuple(confusion_matrix(rows["onlm"], rows["risk"] >= threshold).ravel())


def test_finding_95_percent_more_than_doubles_the_needless_work_ups():
    rows = about.made_up_patients()
    low = analysis.choose_threshold(rows, target=0.95)
    few, many = counts(0.20), counts(low)
    assert few[3] == 146 and many[3] == 190
    further = (many[1] - few[1]) / (many[3] - few[3])
    assert 6.5 < further < 7.5  # "about seven N0 come with each further N+"
    assert many[1] > 2.2 * few[1] and many[1] / 1000 == pytest.approx(0.53, abs=0.01)


def test_a_lower_threshold_costs_more_needless_work_ups_for_each_patient_found():
    explorer = about.explore_threshold()
    prices = []
    for threshold in (0.5, 0.3, 0.2, 0.1, 0.05):
        prices.append(float(re.search(r"found, (\d+\.\d) N0", explorer.move("threshold", threshold))[1]))
    assert prices == sorted(prices) and prices[-1] >= 4 * prices[0]
    assert "PPV 39" in explorer.move("threshold", 0.2)


def test_net_benefit_by_hand_is_that_of_the_curve_and_the_price_is_the_odds():
    rows = about.made_up_patients()
    curve = about.curve_of(rows, n_bootstrap=2).table
    for threshold in (0.05, 0.10, 0.20, 0.40):
        (at,) = curve[(curve["model_id"] == "the model") & np.isclose(curve["threshold"], threshold)]["net_benefit"]
        point = analysis.operating_point(rows, threshold=threshold)
        assert about.net_benefit_by_hand(point) == pytest.approx(at, abs=1e-12)
    assert [about.exchange(t) for t in (0.1, 0.2, 0.5)] == pytest.approx([9, 4, 1])
    assert "17.8 − 41.8 / 9.0 = 13.2. Working up everybody: 11.1" in about.explore_net_benefit().sentence


def test_wrong_risks_keep_the_auc_and_do_worse_than_everybody_or_nobody():
    honest = about.made_up_patients()
    for shift, where in ((-1.2, (0.02, 0.11)), (1.2, (0.32, 0.50))):
        moved = about.moved_risks(shift)
        assert roc_auc_score(moved["onlm"], moved["risk"]) == roc_auc_score(honest["onlm"], honest["risk"])
        worse = about.worse_than_all_or_none(about.curve_of(honest, moved, n_bootstrap=2))
        assert (min(worse), max(worse)) == where
    assert about.worse_than_all_or_none(about.curve_of(honest, about.moved_risks(0.0), n_bootstrap=2)) == []
    explorer = about.explore_wrong_risks()
    assert "from 2" in explorer.sentence and "Nowhere on this curve" in explorer.move("shift", 0.0)


def test_the_number_questions_have_the_answers_that_they_explain():
    questions = read_questions("thresholds")
    n_tn, n_fp, n_fn, n_tp = counts(0.20)
    ppv, sensitivity = n_tp / (n_tp + n_fp), n_tp / (n_tp + n_fn)
    assert round(100 * sensitivity) == 73 and round(100 * n_tn / (n_tn + n_fp)) in (71, 72)
    told = judge(questions["ppv"], 0.73, truth=ppv, mistakes={"sensitivity": sensitivity})
    assert not told.right and "starts from the N+ patients" in told.why
    assert judge(questions["ppv"], 0.39, truth=ppv).right
    by_hand = 100 * about.net_benefit_by_hand(analysis.operating_point(about.made_up_patients(), threshold=0.2))
    assert judge(questions["by_hand"], by_hand).right and by_hand == pytest.approx(8.9, abs=0.05)
    assert "as bad as a missed" in judge(questions["by_hand"], (n_tp - n_fp) / 10).why
    assert "One in ten" in judge(questions["exchange"], 10, truth=about.exchange(0.1)).why
    assert judge(questions["price"], counts(0.0661)[1] / 1000, truth=0.526).right


def test_net_benefit_falls_along_the_curve_as_the_answer_about_its_peak_says():
    table = about.curve_of(about.made_up_patients(), n_bootstrap=2).table
    own = table[table["model_id"] == "the model"].sort_values("threshold")["net_benefit"].to_numpy()
    assert own[0] == own.max() and own[-1] < 0.2 * own[0]


@pytest.mark.slow
def test_the_lesson_runs_from_top_to_bottom_and_what_it_prints_is_what_it_teaches(tmp_path):
    cells = executed("teaching/03_thresholds.py", folder=tmp_path)
    text = said(cells)
    assert "Called positive: 146 N+ and 228 N0; PPV 39%" in text
    assert "Per 100 patients: 19 found, 53 needless" in text and "Acting from 10% on: 9 needless" in text
    honest, moved, everybody = (
        float(re.search(rf"{name}: net benefit (\S+)", text)[1]) for name in ("the model", "risks moved", "treat_all")
    )
    assert moved < everybody < honest
    assert text.count("You made no prediction this time") == 4
    for figure in drawn(cells):
        assert any("MADE-UP DATA" in a["text"] for a in figure["layout"]["annotations"])
