"""Of 1,000 patients: counts and intervals equal R's, add up, and follow the prevalence that is named."""

import math

import pytest
from binary_reference import OPERATING, scored

from onlm_lab.analysis import choose_threshold, operating_point, per_1000
from onlm_lab.errors import OnlmError
from onlm_lab.figures import plot_operating_point

ORDER = ["N+ found", "N+ missed", "N0 spared", "N0 called positive"]


@pytest.mark.parametrize(("name", "score", "threshold"), [("asah", "p1", 0.3), ("tiny25", "score", 0.2)])
def test_at_the_patients_own_prevalence_counts_and_wilson_limits_equal_r(name, score, threshold):
    got = per_1000(scored(name, score), threshold=threshold)
    assert got.table["outcome"].tolist() == ORDER
    for row, want in zip(got.table.to_dict("records"), OPERATING["thousand"][name], strict=True):
        expected = [want[0], max(0.0, want[1]), want[2]]
        assert [row["patients"], row["low"], row["high"]] == pytest.approx(expected, abs=1e-9), row["outcome"]
    assert got.table["patients"].sum() == pytest.approx(1000)
    assert not got.at_target and got.prevalence == got.n_events / got.n


def test_at_a_named_prevalence_they_are_sensitivity_and_specificity_scaled():
    rows = scored("asah", "p1")
    got, point = per_1000(rows, threshold=0.3, prevalence=0.15), operating_point(rows, threshold=0.3)
    table = got.table.set_index("outcome")
    assert table["patients"].sum() == pytest.approx(1000)
    assert table.loc["N+ found"].tolist() == pytest.approx(
        [150 * point.sensitivity.value, 150 * point.sensitivity.low, 150 * point.sensitivity.high]
    )
    assert table.loc["N0 called positive"].tolist() == pytest.approx(
        [850 * (1 - point.specificity.value), 850 * (1 - point.specificity.high), 850 * (1 - point.specificity.low)]
    )
    assert got.at_target and got.prevalence == 0.15
    assert "at 15\u00a0% N+ as named" in plot_operating_point(got).layout.title.subtitle.text


def test_a_lower_threshold_finds_more_and_spares_fewer():
    low, high = (per_1000(scored("asah", "p1"), threshold=t).table["patients"] for t in (0.2, 0.5))
    assert low[0] > high[0] and low[1] < high[1] and low[2] < high[2] and low[3] > high[3]


def test_a_threshold_chosen_on_these_patients_is_apparent():
    rows = scored("asah", "p1")
    assert per_1000(rows, threshold=choose_threshold(rows)).apparent and not per_1000(rows, threshold=0.3).apparent


def test_one_class_only_counts_what_there_is_and_cannot_be_moved_to_another_prevalence():
    rows = scored("asah", "p1").assign(onlm=0)
    got = per_1000(rows, threshold=0.3)
    assert got.table["patients"][0] == 0 and got.table["low"][0] == 0 and "all 113 patients are N0" in got.notes[0]
    moved = per_1000(rows, threshold=0.3, prevalence=0.2)
    assert math.isnan(moved.table["patients"][0]) and moved.table["patients"][2] > 0
    texts = [a.text for a in plot_operating_point(moved).layout.annotations]
    assert "not estimated" in texts


def test_a_prevalence_in_percent_is_refused():
    with pytest.raises(OnlmError, match=r"between 0 and 1 \(0.15, not 15\), got 15"):
        per_1000(scored("asah", "p1"), threshold=0.3, prevalence=15)
