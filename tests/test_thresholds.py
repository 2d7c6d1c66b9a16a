"""Thresholds are observed risks chosen as stated; what they do to patients equals R's numbers."""

import copy
import json
import math

import pandas as pd
import pytest
from binary_reference import OPERATING, SCALE, R, number, scored

from onlm_lab.analysis import choose_threshold, operating_point
from onlm_lab.analysis.target_prevalence import predictive_values
from onlm_lab.errors import OnlmError

RULES = {
    "sens_0.90": ("sensitivity", 0.90), "sens_0.95": ("sensitivity", 0.95), "spec_0.90": ("specificity", 0.90),
    "spec_0.95": ("specificity", 0.95), "youden": ("youden", 0.95),
}  # fmt: skip
CASES = [(n, s, k) for n in ("asah", "tiny25") for s in R[n]["thresholds"] for k in RULES]


@pytest.mark.parametrize(("name", "score", "key"), CASES)
def test_thresholds_equal_the_definition_computed_in_r(name, score, key):
    rule, target = RULES[key]
    want = number(R[name]["thresholds"][score][key]) * SCALE.get(score, 1.0)
    assert choose_threshold(scored(name, score), rule=rule, target=target) == pytest.approx(want, abs=1e-14)


@pytest.mark.parametrize(("name", "key"), [(n, k) for n in ("asah", "tiny25") for k in R[n]["cross"]])
def test_operating_point_equals_r_with_wilson_and_log_intervals(name, key):
    want, score = R[name]["cross"][key], key.split("_")[0]
    scale = SCALE.get(score, 1.0)
    rows = scored(name, score)
    got = operating_point(rows, threshold=float(rows["risk"][rows["risk"] >= want["threshold"] * scale - 1e-12].min()))
    assert [got.n_tp, got.n_fp, got.n_tn, got.n_fn] == want["counts"]
    for field in ("sensitivity", "specificity", "ppv", "npv"):
        estimate = getattr(got, field)
        assert (estimate.low, estimate.high) == pytest.approx(want[field], abs=1e-12)
    for field in ("lr_positive", "lr_negative"):
        estimate = getattr(got, field)
        expected = [number(v) for v in want[field]]
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx(expected, abs=1e-10, nan_ok=True)


def test_the_threshold_reaches_its_sensitivity_and_the_next_higher_does_not():
    rows = scored("asah", "p1")
    t = choose_threshold(rows, rule="sensitivity", target=0.9)
    higher = float(rows["risk"][rows["risk"] > t].min())
    assert operating_point(rows, threshold=t).sensitivity.value >= 0.9
    assert operating_point(rows, threshold=higher).sensitivity.value < 0.9


def test_a_higher_sensitivity_wanted_never_raises_the_threshold():
    rows = scored("asah", "p1")
    chosen = [choose_threshold(rows, target=q) for q in (0.5, 0.8, 0.9, 0.95, 1.0)]
    assert chosen == sorted(chosen, reverse=True)


def test_an_exact_share_counts_as_reached():
    rows = pd.DataFrame({"patient_id": range(40), "onlm": [1] * 20 + [0] * 20, "risk": [i / 100 for i in range(40)]})
    assert choose_threshold(rows, target=0.95) == 0.01  # 19 of 20


def test_each_rows_own_decision_is_used_where_no_threshold_is_given():
    rows = scored("asah", "p1")
    rows["predicted_positive"] = (rows["risk"] < 0.3).astype(float)
    own = operating_point(rows)
    assert math.isnan(own.threshold) and own.n_tp == int(((rows["risk"] < 0.3) & (rows["onlm"] == 1)).sum())
    assert operating_point(rows, threshold=0.3).n_tp == 41 - own.n_tp


def test_missing_decisions_are_refused_with_count_and_way_out():
    rows = scored("asah", "p1")
    with pytest.raises(OnlmError, match="'predicted_positive' not found"):
        operating_point(rows)
    rows["predicted_positive"] = 1.0
    rows.loc[[0, 3], "predicted_positive"] = math.nan
    with pytest.raises(
        OnlmError, match=r"0 or 1, it is not for 2 of 113 labelled patients \(P000, P003\). Pass threshold"
    ):
        operating_point(rows)


def test_nobody_positive_gives_nan_ppv_with_a_note_and_no_crash():
    got = operating_point(scored("asah", "p1"), threshold=math.inf)
    assert got.sensitivity.value == 0 and got.specificity.value == 1
    assert math.isnan(got.ppv.value) and got.ppv.note == "no positive patients"
    assert math.isnan(got.lr_positive.value) and got.lr_negative.value == 1


def test_one_class_only_gives_nan_sensitivity_but_a_specificity():
    got = operating_point(scored("asah", "p1").assign(onlm=0), threshold=0.3)
    assert math.isnan(got.sensitivity.value) and 0 < got.specificity.value < 1


def test_bad_requests_are_one_sentence():
    rows = scored("asah", "p1")
    with pytest.raises(OnlmError, match=r"got 'sensitivty'. Did you mean 'sensitivity'"):
        choose_threshold(rows, rule="sensitivty")
    with pytest.raises(OnlmError, match=r"target must lie in \(0, 1\] \(0.95, not 95\), got 95"):
        choose_threshold(rows, target=95)
    with pytest.raises(OnlmError, match="all 113 patients are N\\+"):
        choose_threshold(rows.assign(onlm=1))
    with pytest.raises(OnlmError, match="threshold is NaN"):
        operating_point(rows, threshold=math.nan)


PREDICTIVE = OPERATING["predictive"]


@pytest.mark.parametrize("name", PREDICTIVE)
def test_predictive_values_at_a_prevalence_equal_r(name):
    n_tp, n_fp, n_tn, n_fn = PREDICTIVE[name]["counts"]
    for want in PREDICTIVE[name]["at"]:
        got = predictive_values(n_tp=n_tp, n_fp=n_fp, n_tn=n_tn, n_fn=n_fn, prevalence=want["prevalence"])
        for estimate, key in zip(got, ("ppv", "npv"), strict=True):
            assert [estimate.value, estimate.low, estimate.high] == pytest.approx(want[key], abs=1e-10), key
            assert ("adjusted" in estimate.method) == (min(PREDICTIVE[name]["counts"]) == 0)


def test_at_the_patients_own_prevalence_bayes_gives_back_the_observed_values():
    got = operating_point(scored("asah", "p1"), threshold=0.3, prevalence=41 / 113)
    assert got.ppv_at_prevalence.value == pytest.approx(got.ppv.value, abs=1e-12)
    assert got.npv_at_prevalence.value == pytest.approx(got.npv.value, abs=1e-12)
    assert got.prevalence == 41 / 113
    without = operating_point(scored("asah", "p1"), threshold=0.3)
    assert math.isnan(without.prevalence) and math.isnan(without.ppv_at_prevalence.value)


def test_where_more_patients_are_positive_a_positive_call_is_surer_and_a_negative_one_less_sure():
    points = [operating_point(scored("asah", "p1"), threshold=0.3, prevalence=p) for p in (0.05, 0.15, 0.4)]
    ppv, npv = ([getattr(p, f"{m}_at_prevalence").value for p in points] for m in ("ppv", "npv"))
    assert ppv == sorted(ppv) and npv == sorted(npv, reverse=True) and ppv[0] < ppv[2]


def test_predictive_values_without_a_class_or_without_a_call_are_nan_with_a_note():
    one = operating_point(scored("asah", "p1").assign(onlm=0), threshold=0.3, prevalence=0.2)
    assert math.isnan(one.ppv_at_prevalence.value) and "no N+ patients" in one.ppv_at_prevalence.note
    nobody = operating_point(scored("asah", "p1"), threshold=math.inf, prevalence=0.2)
    assert math.isnan(nobody.ppv_at_prevalence.value) and nobody.npv_at_prevalence.value == pytest.approx(0.8)
    with pytest.raises(OnlmError, match=r"between 0 and 1 \(0.15, not 15\), got 15"):
        operating_point(scored("asah", "p1"), threshold=0.3, prevalence=15)


def test_apparent_is_carried_to_the_result():
    assert operating_point(scored("asah", "p1"), threshold=0.3, apparent=True).apparent


def test_a_threshold_chosen_on_the_same_patients_marks_its_numbers_apparent_and_on_others_does_not():
    rows = scored("asah", "p1")
    half = rows.index < len(rows) // 2
    for rule in ("sensitivity", "specificity", "youden"):
        t = choose_threshold(rows[half], rule=rule, target=0.9)
        assert operating_point(rows[half], threshold=t).apparent and operating_point(rows, threshold=t).apparent, rule
        assert not operating_point(rows[~half], threshold=t).apparent, rule
        assert not operating_point(rows[half], threshold=float(str(t))).apparent, "a number from a file has no patients"


def test_a_chosen_threshold_is_a_plain_number_in_files_and_copies():
    t = choose_threshold(scored("asah", "p1"), target=0.9)
    assert json.loads(json.dumps(t)) == t and repr(t) == repr(float(t)) and f"{t:.3f}" == f"{float(t):.3f}"
    assert copy.deepcopy(t).chosen_on == t.chosen_on and pd.Series([t]).dtype == float
