"""Operating points side by side are those of the single calls; thresholds chosen on the same patients are marked."""

import math

import pytest
from binary_reference import scored, two_models

from onlm_lab.analysis import choose_threshold, operating_point, operating_points
from onlm_lab.errors import OnlmError

RULES = ["youden", ("sensitivity", 0.9), ("specificity", 0.95), 0.3]


def test_each_row_is_the_operating_point_of_its_rule():
    rows = scored("asah", "p1")
    got = operating_points(rows, rules=RULES, prevalence=0.15)
    assert got.table["rule"].tolist() == ["youden", "sensitivity", "specificity", "given"]
    for row in got.table.to_dict("records"):
        own = row["threshold"]
        if row["rule"] != "given":
            target = 0.95 if math.isnan(row["target"]) else row["target"]
            assert own == choose_threshold(rows, rule=row["rule"], target=target)
        point = operating_point(rows, threshold=own, prevalence=0.15)
        for name in ("sensitivity", "specificity", "ppv", "npv", "lr_positive", "lr_negative", "ppv_at_prevalence",
                     "npv_at_prevalence"):  # fmt: skip
            estimate = getattr(point, name)
            shown = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
            assert shown == pytest.approx([estimate.value, estimate.low, estimate.high], nan_ok=True), name
        assert [row[k] for k in ("n_tp", "n_fp", "n_tn", "n_fn")] == [point.n_tp, point.n_fp, point.n_tn, point.n_fn]
    assert got.prevalence == 0.15 and got.n == 113 and got.n_events == 41


def test_thresholds_chosen_on_these_patients_are_apparent_and_ones_own_or_anothers_are_not():
    rows = scored("asah", "p1")
    train, test = rows[rows.index % 2 == 0], rows[rows.index % 2 == 1]
    own = operating_points(train, rules=RULES)
    assert own.table["apparent"].tolist() == [True, True, True, False] and own.apparent
    assert any("apparent" in note for note in own.notes)
    other = operating_points(test, rules=RULES, chosen_on=train)
    assert not other.table["apparent"].any() and not other.apparent and other.n == len(test)
    assert other.table["threshold"].tolist() == own.table["threshold"].tolist()


def test_the_higher_the_sensitivity_asked_for_the_lower_the_specificity():
    rules = [("sensitivity", q) for q in (0.5, 0.7, 0.9, 1.0)]
    table = operating_points(scored("asah", "p2"), rules=rules).table
    assert table["sensitivity"].is_monotonic_increasing and table["specificity"].is_monotonic_decreasing
    assert (table["sensitivity"] >= table["target"]).all()


def test_no_column_of_a_prevalence_stands_where_none_was_named():
    table = operating_points(scored("asah", "p1")).table
    assert len(table) == 5 and not [c for c in table.columns if "prevalence" in c]


def test_patients_of_one_class_give_nan_with_a_note_for_rules_and_numbers_for_a_threshold():
    table = operating_points(scored("asah", "p1").assign(onlm=0), rules=["youden", 0.3]).table
    assert math.isnan(table["threshold"][0]) and "all 113 patients are N0" in table["note"][0]
    assert math.isnan(table["sensitivity"][1]) and 0 < table["specificity"][1] < 1
    alone = operating_points(scored("asah", "p1").assign(onlm=1), rules=["youden"]).table
    assert "sensitivity_high" in alone.columns and math.isnan(alone["sensitivity"][0])


def test_one_rule_may_come_without_a_list_and_one_model_of_several_is_named():
    rows = two_models("asah", "p1", "p2")
    for rules in ("youden", ("sensitivity", 0.9), 0.2):
        assert len(operating_points(rows, rules=rules, model="p2").table) == 1


def test_wrong_rules_are_one_sentence():
    rows = scored("asah", "p1")
    with pytest.raises(OnlmError, match=r"got 'youdn'. Did you mean 'youden'"):
        operating_points(rows, rules=["youdn"])
    with pytest.raises(OnlmError, match=r"rule 'sensitivity' needs its target, such as \('sensitivity', 0.95\)"):
        operating_points(rows, rules=["sensitivity"])
    with pytest.raises(OnlmError, match="no rule was named"):
        operating_points(rows, rules=[])
    with pytest.raises(OnlmError, match="a threshold is NaN"):
        operating_points(rows, rules=[math.nan])
    with pytest.raises(OnlmError, match=r"target must lie in \(0, 1\] \(0.95, not 95\)"):
        operating_points(rows, rules=[("sensitivity", 95)])
    with pytest.raises(OnlmError, match="prevalence is the share of N\\+ patients"):
        operating_points(rows, rules=[0.2], prevalence=0)
