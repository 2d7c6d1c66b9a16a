"""AUC and its comparison equal pROC's, and go the right way."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import R, scored, two_models
from sklearn.metrics import roc_auc_score, roc_curve

from onlm_lab.analysis import compare_aucs, roc
from onlm_lab.errors import OnlmError

SCORES = [("asah", s) for s in R["asah"]["area"]] + [("tiny25", s) for s in R["tiny25"]["area"]]


def made(n=400, seed=1, decimals=2):
    rng = np.random.default_rng(seed)
    risk = rng.uniform(size=n).round(decimals)
    onlm = (rng.uniform(size=n) < risk * 0.6).astype(float)
    return pd.DataFrame({"patient_id": np.arange(n).astype(str), "onlm": onlm, "risk": risk})


@pytest.mark.parametrize(("name", "score"), SCORES)
def test_auc_and_both_intervals_equal_proc(name, score):
    want, got = R[name]["area"][score], roc(scored(name, score))
    assert got.auc.value == pytest.approx(want["auc"], abs=1e-12)
    assert (got.auc.low, got.auc.high) == pytest.approx(want["ci"], abs=1e-10)
    assert (got.auc_logit.low, got.auc_logit.high) == pytest.approx(want["logit_ci"], abs=1e-10)
    assert got.auc.method == "DeLong" and got.auc_logit.method == "DeLong, logit"


def test_curve_and_area_equal_scikit_learn_with_ties():
    rows = made()
    got = roc(rows)
    assert got.auc.value == pytest.approx(roc_auc_score(rows["onlm"], rows["risk"]), abs=1e-12)
    fpr, tpr, cut = roc_curve(rows["onlm"], rows["risk"], drop_intermediate=False)
    np.testing.assert_allclose(got.curve["sensitivity"], tpr, atol=1e-12)
    np.testing.assert_allclose(1 - got.curve["specificity"], fpr, atol=1e-12)
    np.testing.assert_array_equal(got.curve["threshold"], cut)


def test_reversing_the_risk_turns_the_area_over():
    rows = made()
    assert roc(rows).auc.value > 0.6
    assert roc(rows.assign(risk=1 - rows["risk"])).auc.value == pytest.approx(1 - roc(rows).auc.value, abs=1e-12)


def test_order_of_rows_and_monotone_change_of_risk_do_not_matter():
    rows = made()
    other = rows.assign(risk=rows["risk"] ** 2).sample(frac=1, random_state=3)
    assert roc(other).auc.low == pytest.approx(roc(rows).auc.low, abs=1e-12)


def test_all_risks_equal_give_one_half_without_certainty():
    rows = made().assign(risk=0.3)
    got = roc(rows)
    assert got.auc.value == 0.5 and len(got.curve) == 2


def test_one_class_only_is_nan_with_a_note():
    got = roc(made().assign(onlm=0.0))
    assert math.isnan(got.auc.value) and "all 400 patients are N0" in got.auc.note
    assert got.n == 400 and got.n_events == 0 and not got.prefer_logit


def test_complete_separation_has_no_interval_and_asks_for_leakage():
    got = roc(
        pd.DataFrame({"patient_id": list("abcdef"), "onlm": [0, 0, 0, 1, 1, 1], "risk": [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]})
    )
    assert got.auc.value == 1 and math.isnan(got.auc.low) and "separate the classes completely" in got.auc.note
    assert any("leakage" in note for note in got.notes)


def test_one_event_has_an_area_but_no_interval():
    rows = made(50)
    rows["onlm"] = (rows.index == 7).astype(float)
    got = roc(rows)
    assert 0 <= got.auc.value <= 1 and math.isnan(got.auc.high) and "at least two" in got.auc.note


def test_the_logit_interval_is_preferred_with_few_events_or_a_high_area():
    assert roc(scored("asah", "p1")).prefer_logit  # 41 events
    big = made(2000)
    assert roc(big).n_events >= 50 and not roc(big).prefer_logit


def test_a_wider_level_gives_a_wider_interval_and_a_wrong_level_is_refused():
    rows = made()
    assert roc(rows, level=0.99).auc.low < roc(rows).auc.low
    with pytest.raises(OnlmError, match="level must lie between 0 and 1"):
        roc(rows, level=95)


def test_apparent_is_carried():
    assert roc(made(), apparent=True).apparent and not roc(made()).apparent


@pytest.mark.parametrize(
    ("name", "a", "b", "key"),
    [
        ("asah", "s100b", "wfns", "s100b_wfns"),
        ("asah", "p2", "p1", "p2_p1"),
        ("tiny25", "score", "score2", "score_score2"),
    ],
)
def test_paired_comparison_equals_proc(name, a, b, key):
    want, got = R[name]["paired"][key], compare_aucs(two_models(name, a, b), model_a=a, model_b=b)
    assert got.z == pytest.approx(want["z"], abs=1e-10)
    assert got.p_value == pytest.approx(want["p"], abs=1e-10)
    assert (got.difference.low, got.difference.high) == pytest.approx(want["ci"], abs=1e-10)


def test_the_better_model_has_the_positive_difference_and_swapping_turns_the_sign():
    rows = two_models("asah", "p2", "p1")
    forth, back = compare_aucs(rows, model_a="p2", model_b="p1"), compare_aucs(rows, model_a="p1", model_b="p2")
    assert forth.difference.value > 0 and back.difference.value == pytest.approx(-forth.difference.value)
    assert back.p_value == pytest.approx(forth.p_value)


def test_a_model_against_itself_has_no_test():
    rows = two_models("asah", "p1", "p1").drop_duplicates(["patient_id"])
    rows = pd.concat([rows.assign(model_id="a"), rows.assign(model_id="b", risk=rows["risk"] / 2)])
    got = compare_aucs(rows, model_a="a", model_b="b")
    assert got.difference.value == 0 and math.isnan(got.p_value) and "order the patients alike" in got.difference.note


def test_comparison_in_one_class_is_nan_with_a_note():
    rows = two_models("asah", "p1", "p2").assign(onlm=1.0)
    got = compare_aucs(rows, model_a="p1", model_b="p2")
    assert math.isnan(got.difference.value) and "both classes are needed" in got.difference.note


def test_what_a_reader_does_to_a_result_does_not_reach_the_next_reader():
    found = roc(scored("asah", "p1"))
    digest = found.digest
    curve = found.curve
    curve["sensitivity"] = 0.0
    found.n_excluded["nobody"] = 7
    assert found.digest == digest and found.curve["sensitivity"].max() == 1 and found.n_excluded == {}
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.n = 7
