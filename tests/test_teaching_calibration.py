"""Lesson 2 says what is so: honest risks come true, raised ones lie too low, few patients make bold models."""

from __future__ import annotations

import re

import pytest
from sklearn.metrics import roc_auc_score
from test_notebooks import drawn, executed, said

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.teaching import calibration as about
from onlm_lab.teaching import judge, read_questions


def slope(rows) -> float:
    return analysis.assess_calibration(rows).slope.value


@pytest.mark.parametrize("risk", [0.05, 0.2, 0.4, 0.6])
def test_an_honest_model_keeps_its_word_and_one_with_high_risks_does_not(risk):
    honest, high = (about.patients_given(risk, model=m)["onlm"].mean() for m in ("honest", "high"))
    assert honest == pytest.approx(risk, abs=0.03) and high < risk - 0.02
    assert about.patients_given(risk)["risk"].between(risk - 0.02, risk + 0.02).all()


def test_a_model_too_sure_of_itself_is_wrong_in_both_directions():
    low, high = (about.patients_given(p, model="extreme")["onlm"].mean() for p in (0.05, 0.6))
    assert low > 0.08 and high < 0.45
    explorer = about.explore_one_risk()
    assert "It keeps its word" in explorer.sentence
    explorer.move("model", "extreme")
    assert "It does not keep its word" in explorer.move("risk", 0.6)


def test_the_two_sliders_move_oe_and_the_slope_and_neither_moves_the_auc():
    explorer = about.explore_shift_and_stretch()

    def numbers() -> tuple[float, float, str]:
        oe, slope_of, auc = re.search(r"O:E (\S+) .*Slope (\S+) .*AUC (\S+),", explorer.sentence).groups()
        return float(oe), float(slope_of), auc

    first = numbers()
    explorer.move("shift", 0.8)
    raised = numbers()
    assert raised[0] < 0.7 < 0.95 < first[0] and raised[1] == pytest.approx(first[1], abs=0.02)
    explorer.move("shift", 0.0)
    explorer.move("stretch", 2.0)
    wide = numbers()
    assert wide[1] == pytest.approx(first[1] / 2, abs=0.02) and first[2] == raised[2] == wide[2]


def test_raised_risks_lie_below_the_diagonal():
    curve = analysis.assess_calibration(about.reckoned(about.made_up_patients(), shift=0.8)).curve
    assert (curve["observed"] < curve["risk"]).mean() > 0.95


def test_a_model_taught_on_few_patients_is_bold_in_new_ones_and_perfect_at_home():
    slopes = {n: [slope(rows) for rows in about.taught_on(n)] for n in (20, 50, 400)}
    assert all(home == pytest.approx(1, abs=1e-6) for home, _ in slopes.values())
    assert slopes[20][1] < 0.65 < slopes[50][1] < 0.8 < 0.9 < slopes[400][1] < 1.1
    own, new = about.taught_on(20)
    assert roc_auc_score(own["onlm"], own["risk"]) > roc_auc_score(new["onlm"], new["risk"]) + 0.05
    assert not set(own["patient_id"]) & set(new["patient_id"])
    bold = new[new["risk"].between(0.5, 0.7)]
    assert len(bold) > 50 and bold["onlm"].mean() < bold["risk"].mean() - 0.05


def test_too_few_patients_to_fit_anything_are_a_sentence():
    with pytest.raises(OnlmError, match="With 2 N\\+ patients nothing can be fitted"):
        about.taught_on(2)


def test_balancing_doubles_the_risks_keeps_the_auc_and_an_update_mends_it():
    even, all_of_them = about.balanced(1.0), about.balanced(4.0)
    assert even["risk"].mean() > 0.4 and all_of_them["risk"].mean() == pytest.approx(0.2, abs=0.02)
    areas = [roc_auc_score(rows["onlm"], rows["risk"]) for rows in (even, all_of_them)]
    assert areas[0] == pytest.approx(areas[1], abs=0.003)
    mended = about.recalibrated(even)
    assert mended["risk"].mean() == pytest.approx(mended["onlm"].mean(), abs=0.02)
    later = even.tail(len(mended))
    assert (mended["risk"].rank().to_numpy() == later["risk"].rank().to_numpy()).all()
    explorer = about.explore_balancing()
    assert "Predicted on average 44" in explorer.sentence
    assert "Predicted on average 20" in explorer.move("after", "recalibrated")


def test_the_number_questions_have_the_answers_that_they_explain():
    questions = read_questions("calibration")
    assert judge(questions["oe"], 90 / (0.30 * 500)).right
    assert "expected over observed" in judge(questions["oe"], 150 / 90).why
    assert judge(questions["promise"], 0.2, truth=0.181).right and not judge(questions["promise"], 0.8, truth=0.2).right
    told = judge(questions["balanced"], 0.50, truth=about.balanced(1.0)["risk"].mean())
    assert not told.right and "Nearly" in told.why


@pytest.mark.slow
def test_the_lesson_runs_from_top_to_bottom_and_what_it_prints_is_what_it_teaches(tmp_path):
    cells = executed("teaching/02_calibration.py", folder=tmp_path)
    text = said(cells)
    own, new = (
        float(x)
        for x in re.search(r"own 100 patients: slope (\S+), .*\n2,000 new patients: slope (\S+),", text).groups()
    )
    assert own == 1.0 and new < 0.65
    assert re.search(r"Predicted on average 31%, found 20%: O:E 0\.6", text)
    assert re.search(r"Predicted on average 43%; found 20%; AUC 0\.79", text)
    assert text.count("You made no prediction this time") == 4
    for figure in drawn(cells):
        assert any("MADE-UP DATA" in a["text"] for a in figure["layout"]["annotations"])
