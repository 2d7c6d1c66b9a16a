"""Reclassification equals its definition in R, in the right direction, and says that it is secondary."""

import math

import pytest
from binary_reference import OPERATING, R, number, two_models

from onlm_lab.analysis import reclassification
from onlm_lab.errors import OnlmError
from onlm_lab.figures import plot_reclassification


@pytest.mark.parametrize(("name", "a", "b"), [("asah", "p1", "p2"), ("tiny25", "score", "score2")])
def test_nri_and_idi_equal_r_with_multinomial_errors(name, a, b):
    want = R[name]["reclassification"]
    got = reclassification(two_models(name, a, b), model_a=a, model_b=b, cuts=want["cuts"])
    kinds = {"nri": want["categorical"], "nri_continuous": want["continuous"]}
    for field, parts in kinds.items():
        for suffix, key in (("", "total"), ("_events", "events"), ("_nonevents", "nonevents")):
            estimate = getattr(got, field + suffix)
            assert [estimate.value, estimate.low, estimate.high] == pytest.approx(parts[key], abs=1e-12), field + suffix
    assert [got.idi.value, got.idi.low, got.idi.high] == pytest.approx(want["idi"], abs=1e-12)
    assert got.idi_events.value + got.idi_nonevents.value == pytest.approx(got.idi.value)


@pytest.mark.parametrize(("name", "a", "b"), [("asah", "p1", "p2"), ("tiny25", "score", "score2")])
def test_nri_and_idi_equal_hmisc(name, a, b):
    want = OPERATING["improve"][name]
    got = reclassification(two_models(name, a, b), model_a=a, model_b=b, cuts=want["cuts"])
    for field, parts in {"nri": want["categorical"], "nri_continuous": want["continuous"]}.items():
        for suffix, key in (("", "total"), ("_events", "events"), ("_nonevents", "nonevents")):
            estimate = getattr(got, field + suffix)
            expected = [number(v) for v in parts[key]]
            if expected[1] == expected[2]:  # nobody moved: Hmisc gives an interval of no width, we give none
                assert estimate.value == pytest.approx(expected[0]) and math.isnan(estimate.low), field + suffix
                continue
            assert [estimate.value, estimate.low, estimate.high] == pytest.approx(expected, abs=1e-12), field + suffix
    assert [got.idi.value, got.idi.low, got.idi.high] == pytest.approx(want["idi"], abs=1e-12)
    assert got.idi_events.value == pytest.approx(want["idi_events"], abs=1e-12)
    assert got.idi_nonevents.value == pytest.approx(want["idi_nonevents"], abs=1e-12)


def test_the_forest_draws_every_measure_and_says_that_it_is_secondary():
    rows = two_models("asah", "p1", "p2")
    found = reclassification(rows.replace({"model_id": {"p1": "<b>old</b>"}}), model_a="<b>old</b>", model_b="p2",
                             cuts=[0.2, 0.5])  # fmt: skip
    figure = plot_reclassification(found, mark="MADE-UP DATA")
    drawn, under = figure.data[0], figure.layout.title.subtitle.text
    wanted = [found.nri, found.nri_events, found.nri_nonevents, found.nri_continuous, found.nri_continuous_events,
              found.nri_continuous_nonevents, found.idi, found.idi_events, found.idi_nonevents]  # fmt: skip
    assert list(drawn.x) == [e.value for e in wanted]
    assert list(drawn.error_x.array) == pytest.approx([e.high - e.value for e in wanted])
    assert under.startswith("SECONDARY · p2 against &lt;b&gt;old&lt;/b&gt;; 113 patients, 41 N+")
    assert figure.layout.title.text.endswith("?") and figure.layout.xaxis.title.text
    assert [a.text for a in figure.layout.annotations if a.name == "mark"] == ["MADE-UP DATA"]


def test_the_table_holds_every_patient_and_swapping_models_turns_the_sign():
    rows = two_models("asah", "p1", "p2")
    forth = reclassification(rows, model_a="p1", model_b="p2", cuts=[0.2, 0.5])
    back = reclassification(rows, model_a="p2", model_b="p1", cuts=[0.2, 0.5])
    assert back.nri.value == pytest.approx(-forth.nri.value) and forth.idi.value > 0
    assert forth.table["n"].sum() == 113 and len(forth.table) == 18
    cell = forth.table.query("onlm == 1 and category_a == '<0.2' and category_b == '0.2 to <0.5'")["n"].item()
    assert cell == 3  # R's table
    assert any("secondary" in note for note in forth.notes)


def test_a_model_that_moves_nobody_has_no_interval():
    rows = two_models("asah", "p1", "p2")
    rows["risk"] = 0.3
    got = reclassification(rows, model_a="p1", model_b="p2", cuts=[0.2])
    assert got.nri.value == 0 and math.isnan(got.nri.low) and "nobody moved" in got.nri.note


def test_one_class_only_is_nan_with_a_note():
    got = reclassification(two_models("asah", "p1", "p2").assign(onlm=1), model_a="p1", model_b="p2", cuts=[0.2])
    assert math.isnan(got.nri.value) and not math.isnan(got.nri_events.value)
    assert "all 113 patients are N+" in got.notes[-1]


def test_cuts_must_rise_within_zero_and_one():
    with pytest.raises(OnlmError, match=r"cuts must rise within \(0, 1\), such as \[0.1, 0.2\], got \[0.5, 0.2\]"):
        reclassification(two_models("asah", "p1", "p2"), model_a="p1", model_b="p2", cuts=[0.5, 0.2])


def test_one_cut_may_come_without_a_list():
    rows = two_models("asah", "p1", "p2")
    one = reclassification(rows, model_a="p1", model_b="p2", cuts=0.3)
    assert one.cuts == (0.3,) and one.digest == reclassification(rows, model_a="p1", model_b="p2", cuts=[0.3]).digest
