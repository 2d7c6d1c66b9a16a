"""Lesson 1 says what is so: an AUC counts pairs, and stays where the order stays."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_notebooks import executed, said

from onlm_lab import analysis
from onlm_lab.teaching import auc, judge, read_questions
from onlm_lab.teaching.patients import made_up_patients, reckoned
from onlm_lab.teaching.pictures import whole_hundred


def area(rows) -> float:
    return roc_auc_score(rows["onlm"], rows["risk"])


def test_the_lessons_patients_are_a_thousand_with_200_n_plus_and_an_auc_of_080():
    rows = made_up_patients()
    assert (len(rows), int(rows["onlm"].sum()), rows["patient_id"].nunique()) == (1000, 200, 1000)
    assert area(rows) == pytest.approx(0.80, abs=0.005)
    assert rows.equals(made_up_patients()) and not rows.equals(made_up_patients(seed=1))


def test_the_share_of_pairs_is_the_auc_but_for_chance():
    rows = made_up_patients()
    assert auc.share_of_pairs(rows, n_pairs=200_000) == pytest.approx(area(rows), abs=0.004)
    ties = rows.assign(risk=0.3)
    assert auc.share_of_pairs(ties) == 0.5


def test_moving_all_risks_leaves_the_order_and_halving_them_the_auc():
    rows = made_up_patients()
    for moved in (reckoned(rows, shift=1.5, stretch=0.5), rows.assign(risk=rows["risk"] / 2)):
        assert area(moved) == area(rows) and moved["risk"].mean() != pytest.approx(rows["risk"].mean(), abs=0.02)
    assert np.allclose(reckoned(rows)["risk"], rows["risk"])
    explorer = auc.explore_same_order()
    before = explorer.sentence
    assert explorer.move("shift", 1.0).split(",")[0] == before.split(",")[0] == "AUC 0.797"
    assert "average 35" in explorer.sentence and "average 20" in before


def test_rarer_n_plus_leaves_the_auc_and_lowers_the_positive_predictive_value():
    points = {share: analysis.operating_point(auc.patients_at(share), threshold=0.2) for share in (0.05, 0.2, 0.5)}
    for share in points:
        rows = auc.patients_at(share)
        assert rows["onlm"].mean() == pytest.approx(share, abs=0.001)
        assert area(rows) == pytest.approx(0.797, abs=0.01)
    assert points[0.05].ppv.value < 0.13 < 0.35 < points[0.2].ppv.value < 0.45 < 0.65 < points[0.5].ppv.value
    explorer = auc.explore_prevalence()
    low, high = (int(re.search(r"called positive, (\d+) are", explorer.move("prevalence", p))[1]) for p in (0.05, 0.5))
    assert low < 13 and high > 65


def test_easy_patients_raise_the_auc_of_the_same_model():
    areas = [area(auc.with_easy_patients(n)) for n in (0, 500, 1000, 2000)]
    assert areas == sorted(areas) and areas[0] == pytest.approx(0.797, abs=0.001) and areas[2] > 0.88
    said = auc.explore_easy_patients().move("n_easy", 1000)
    assert "0.797: the model has learnt nothing" in said


def test_fewer_n_plus_patients_widen_the_interval():
    explorer = auc.explore_distance()

    def width() -> float:
        low, high = re.search(r"from (\d\.\d+) to (\d\.\d+)\.", explorer.sentence).groups()
        return float(high) - float(low)

    wide = width()
    explorer.move("n_positive", 10)
    assert width() > 3 * wide
    explorer.move("apart", 0.0)
    assert "AUC 0.5" in explorer.sentence or "AUC 0.4" in explorer.sentence


def test_the_paper_exercise_has_the_ppv_that_its_explanation_says():
    question = read_questions("auc")["ppv"]
    ppv = 73 / (73 + 0.29 * 900)
    assert round(100 * ppv) == 22 and "22 in 100" in question.why
    assert question.truth == pytest.approx(ppv, abs=1e-4)
    assert "That is the sensitivity" in judge(question, 0.73).why
    assert "Divide by those called positive" in judge(question, 0.073).why
    assert judge(question, 0.22).right and not judge(question, 0.10).right


def test_a_hundred_patients_are_a_hundred():
    for shares in ([0.005, 0.995, 0, 0], [0.333, 0.333, 0.334, 0], [0.146, 0.054, 0.228, 0.572], [0.25] * 4):
        counts = whole_hundred(dict(zip("abcd", shares, strict=True)))
        assert sum(counts.values()) == 100
        assert all(abs(counts[k] - 100 * s) < 1 for k, s in zip("abcd", shares, strict=True))


def test_the_lesson_runs_from_top_to_bottom_and_what_it_prints_is_what_it_teaches(tmp_path):
    text = said(executed("teaching/01_auc.py", folder=tmp_path))
    before, after = re.search(r"AUC as it was: (\S+) .*\nAUC halved:    (\S+)", text).groups()
    assert before == after
    assert "1,000 patients, 200 of them N+; AUC 0.797" in text and "Mean risk: 10%; found N+: 20%" in text
    common, rare = re.findall(r"% N\+: AUC (\S+) .*; sensitivity \d+%; PPV (\d+)%", text)
    assert float(common[0]) == pytest.approx(float(rare[0]), abs=0.01) and int(rare[1]) * 3 < int(common[1])
    first, easy = re.search(r"Our 1,000 patients: AUC (\S+) .*\nWith 1,000 easy ones: AUC (\S+)", text).groups()
    assert float(easy) > float(first) + 0.08
    assert text.count("You made no prediction this time") == 4
    assert not (tmp_path / "answers").exists()
