"""Paired sensitivities and specificities: Newcombe's interval and McNemar's tests equal R's, and go the right way."""

import math

import pandas as pd
import pytest
from binary_reference import OPERATING, number, scored, two_models

from onlm_lab.analysis import choose_threshold, compare_operating_points
from onlm_lab.analysis.paired_thresholds import mcnemar, paired_difference
from onlm_lab.errors import OnlmError
from onlm_lab.figures import plot_operating_differences

CASES = {"asah": ("p1", "p2", 0.3, 0.25), "tiny25": ("score", "score2", 0.3, 0.3)}
TESTS = {"chi2": "chi2", "p_value": "p", "chi2_corrected": "chi2_corrected", "p_corrected": "p_corrected",
         "p_exact": "p_exact", "p_mid": "p_mid"}  # fmt: skip
COUNTS = ("n_both", "n_only_a", "n_only_b", "n_neither")


def compared(name, *, swap=False):
    a, b, at_a, at_b = CASES[name]
    rows = two_models(name, a, b)
    if swap:
        return compare_operating_points(rows, model_a=b, model_b=a, threshold_a=at_b, threshold_b=at_a)
    return compare_operating_points(rows, model_a=a, model_b=b, threshold_a=at_a, threshold_b=at_b)


@pytest.mark.parametrize("name", CASES)
def test_differences_and_all_four_tests_equal_r(name):
    got = compared(name)
    for row in got.table.to_dict("records"):
        want = OPERATING["compared"][name][row["measure"]]
        assert [row[c] for c in COUNTS] == want["counts"]
        assert [row["difference"], row["low"], row["high"]] == pytest.approx(want["difference"], abs=1e-12)
        for ours, theirs in TESTS.items():
            assert row[ours] == pytest.approx(number(want["tests"][theirs]), abs=1e-12), ours
        estimate = getattr(got, row["measure"])
        assert estimate.value == row["difference"] == pytest.approx(row["value_a"] - row["value_b"])


@pytest.mark.parametrize("name", OPERATING["tables"])
def test_published_and_edge_tables_equal_r(name):
    want = OPERATING["tables"][name]
    counts = dict(zip(COUNTS, want["counts"], strict=True))
    got = paired_difference(**counts)
    assert [got.value, got.low, got.high] == pytest.approx([number(v) for v in want["difference"]], abs=1e-12)
    tests = mcnemar(n_only_a=counts["n_only_a"], n_only_b=counts["n_only_b"])
    for ours, theirs in TESTS.items():
        assert tests[ours] == pytest.approx(number(want["tests"][theirs]), abs=1e-12), ours


def test_the_numbers_printed_by_fagerland_for_bentur_are_ours():
    got = mcnemar(n_only_a=1, n_only_b=7)
    assert [round(got[k], 3) for k in ("p_value", "p_corrected", "p_exact", "p_mid")] == [0.034, 0.077, 0.070, 0.039]


def test_swapping_the_models_turns_the_signs_and_keeps_the_tests():
    forth, back = compared("asah"), compared("asah", swap=True)
    for measure in ("sensitivity", "specificity"):
        one, other = getattr(forth, measure), getattr(back, measure)
        assert [other.value, other.low, other.high] == pytest.approx([-one.value, -one.high, -one.low])
    assert forth.table["p_mid"].tolist() == pytest.approx(back.table["p_mid"].tolist())


def test_a_model_that_finds_more_has_the_positive_difference():
    rows = two_models("asah", "p1", "p2")
    got = compare_operating_points(rows, model_a="p1", model_b="p1", threshold_a=0.1, threshold_b=0.4)
    assert got.sensitivity.value > 0 > got.specificity.value


def test_models_that_decide_alike_have_no_chi2_and_a_p_of_one():
    got = compare_operating_points(two_models("asah", "p1", "p2").assign(risk=0.5), model_a="p1", model_b="p2",
                                   threshold_a=0.3, threshold_b=0.3)  # fmt: skip
    row = got.table.iloc[0]
    assert math.isnan(row["chi2"]) and row["p_exact"] == 1 and "decide alike in all 41 N+ patients" in row["note"]
    assert got.sensitivity.low < 0 < got.sensitivity.high


def test_one_class_only_is_nan_with_a_note():
    rows = two_models("asah", "p1", "p2").assign(onlm=0)
    got = compare_operating_points(rows, model_a="p1", model_b="p2", threshold_a=0.3, threshold_b=0.3)
    assert math.isnan(got.sensitivity.value) and got.sensitivity.note == "no N+ patients"
    assert math.isnan(got.table["p_mid"][0]) and not math.isnan(got.specificity.value)
    assert "all 113 patients are N0" in got.notes[-1]


def test_each_rows_own_decision_is_used_and_a_chosen_threshold_marks_the_result():
    rows = two_models("asah", "p1", "p2")
    rows["predicted_positive"] = (rows["risk"] >= rows["model_id"].map({"p1": 0.3, "p2": 0.25})).astype(int)
    got = compare_operating_points(rows, model_a="p1", model_b="p2")
    pd.testing.assert_frame_equal(got.table, compared("asah").table)
    assert math.isnan(got.threshold_a) and not got.apparent
    t = choose_threshold(scored("asah", "p1"))
    assert compare_operating_points(rows, model_a="p1", model_b="p2", threshold_a=t).apparent


def test_a_patient_without_both_risks_is_counted_out_and_an_unknown_model_refused():
    rows = two_models("asah", "p1", "p2").iloc[1:]
    got = compare_operating_points(rows, model_a="p1", model_b="p2", threshold_a=0.3, threshold_b=0.3)
    assert got.n == 112 and got.n_excluded == {"no risk from every model": 1}
    with pytest.raises(OnlmError, match="model 'p3' not found"):
        compare_operating_points(rows, model_a="p1", model_b="p3", threshold_a=0.3, threshold_b=0.3)


def test_the_figure_draws_both_differences_with_discordant_patients():
    got = compared("asah")
    figure = plot_operating_differences(got)
    drawn = figure.data[0]
    assert list(drawn.x) == [got.sensitivity.value, got.specificity.value]
    assert list(drawn.error_x.array) == pytest.approx([e.high - e.value for e in (got.sensitivity, got.specificity)])
    row = got.table.iloc[0]
    assert f"{row['n_only_a']} against {row['n_only_b']}" in figure.layout.yaxis.ticktext[0]
    assert "113 patients, 41 N+" in figure.layout.title.subtitle.text and figure.layout.title.text.endswith("?")
