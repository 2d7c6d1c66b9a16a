"""Patients grouped by their risk, whatever the rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis
from onlm_lab.errors import OnlmError


def rows(risk: list[float | None], **columns: list) -> pd.DataFrame:
    return pd.DataFrame({"patient_id": [f"P{i}" for i in range(len(risk))], "risk": risk, **columns})


def groups(table: pd.DataFrame, **rule: object) -> list[str]:
    return analysis.group_by_risk(table, **rule)["risk_group"].tolist()


def test_the_threshold_itself_is_high_risk_and_without_one_each_rows_own_call_decides():
    table = rows([0.1, 0.2, 0.3], predicted_positive=[1, 0, 1])
    assert groups(table, threshold=0.2) == ["low risk", "high risk", "high risk"]
    assert groups(table) == ["high risk", "low risk", "high risk"]


def test_quartiles_are_those_of_pandas_where_no_risks_are_equal():
    risk = np.random.default_rng(4).uniform(size=203)
    found = analysis.group_by_risk(rows(list(risk)), rule="quantiles")
    expected = pd.qcut(risk, 4, labels=["Q1 (lowest)", "Q2", "Q3", "Q4 (highest)"])
    assert found["risk_group"].tolist() == list(expected)
    assert found.attrs["risk_group"]["cut_points"] == pytest.approx(np.quantile(risk, [0.25, 0.5, 0.75]))


def test_ties_stay_together_and_a_group_that_they_empty_is_still_declared():
    table = analysis.group_by_risk(rows([0.1] * 6 + [0.2, 0.3]), rule="quantiles")
    counts = table["risk_group"].value_counts(sort=False)
    assert counts.to_dict() == {"Q1 (lowest)": 6, "Q2": 0, "Q3": 0, "Q4 (highest)": 2}
    curves = analysis.kaplan_meier(table.assign(os_days=range(1, 9), os_event=1), by="risk_group")
    assert curves.groups["group"].tolist() == ["Q1 (lowest)", "Q4 (highest)"]


@pytest.mark.parametrize("risk", [[0.2] * 8, [0.1] * 7 + [0.2]])
def test_risks_too_alike_for_quartiles_are_refused(risk):
    with pytest.raises(OnlmError, match="4 groups of equal size need at least 2 different cut points"):
        groups(rows(risk), rule="quantiles")
    if len(set(risk)) > 1:
        assert groups(rows([0.1, 0.1, 0.2]), rule="quantiles", n=2) == ["Q1 (lowest)"] * 2 + ["Q2 (highest)"]


def test_limits_name_their_groups_and_a_patient_at_a_limit_is_in_the_upper_one():
    table = rows([0.049, 0.05, 0.0999, 0.1, 0.9])
    names = ["<5 %", "5 to <10 %", "≥10 %"]
    assert groups(table, rule="cuts", cuts=[0.05, 0.1]) == [names[i] for i in (0, 1, 1, 2, 2)]
    column = analysis.group_by_risk(table, rule="cuts", cuts=[0.05, 0.1, 0.95])["risk_group"]
    assert list(column.cat.categories) == ["<5 %", "5 to <10 %", "10 to <95 %", "≥95 %"] and column.cat.ordered
    assert groups(rows([0.125, 0.3]), rule="cuts", cuts=[0.125])[0] == "≥12.5 %"


def test_four_groups_cross_risk_with_pathology_and_leave_out_who_has_none():
    table = rows([0.1, 0.1, 0.6, 0.6, 0.6], onlm=[0, 1, 0, 1, None])
    found = analysis.group_by_risk(table, rule="pathology", threshold=0.5)
    assert found["risk_group"].tolist() == ["low risk, N0", "low risk, N+", "high risk, N0", "high risk, N+"]
    assert found.attrs["risk_group"]["n_excluded"] == {"label missing": 1}


def test_a_patient_without_a_risk_has_no_group_and_a_curve_counts_him():
    table = analysis.group_by_risk(rows([0.1, None, 0.6], os_days=[3, 4, 5], os_event=[1, 1, 1]), threshold=0.5)
    assert table["risk_group"].isna().tolist() == [False, True, False]
    assert analysis.kaplan_meier(table, by="risk_group").n_excluded == {"risk_group missing": 1}


def test_one_model_is_taken_of_several_and_the_table_given_stays_as_it_was():
    table = pd.concat([rows([0.1, 0.6], model_id=["a"] * 2), rows([0.7, 0.2], model_id=["b"] * 2)])
    before = table.copy()
    assert groups(table, threshold=0.5, model="b") == ["high risk", "low risk"]
    pd.testing.assert_frame_equal(table, before)
    assert not table.attrs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "halves"}, "rule must be one of threshold, quantiles, cuts, pathology, got 'halves'"),
        ({"rule": "quantiles", "n": 1}, "n must be a number of groups from 2 to 10, got 1"),
        ({"rule": "cuts"}, r"cuts must be rising risks between 0 and 1, such as .0.05, 0.1., got \[\]"),
        ({"rule": "cuts", "cuts": [0.2, 0.1]}, "cuts must be rising"),
        ({"rule": "cuts", "cuts": [5, 10]}, "cuts must be rising risks between 0 and 1"),
        ({"threshold": 40}, "threshold must be a risk between 0 and 1, got 40"),
        ({}, "column 'predicted_positive' not found"),
        ({"rule": "pathology", "threshold": 0.5}, "column 'onlm' not found"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused_in_one_sentence(options, message):
    with pytest.raises(OnlmError, match=message):
        groups(rows([0.1, 0.2, 0.3]), **options)


def test_calls_that_are_neither_0_nor_1_are_refused():
    with pytest.raises(OnlmError, match="must be 0 or 1, but 1 of 2 rows hold something else and 0 hold nothing"):
        groups(rows([0.1, 0.2], predicted_positive=[0, 7]))


def test_percent_for_probabilities_are_refused():
    with pytest.raises(OnlmError, match="not percent"):
        groups(rows([10.0, 20.0]), threshold=0.5)
