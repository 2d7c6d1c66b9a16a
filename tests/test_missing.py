"""What is missing, where, and together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.missing import missing_by, missing_patterns, missingness
from onlm_lab.errors import OnlmError


@pytest.fixture
def rows():
    return pd.DataFrame(
        {"patient_id": list("abcdef"), "centre": ["B", "B", "A", "A", "A", None],
         "cea_ng_ml": [1, np.nan, np.nan, 2, 3, np.nan], "suv_max": [np.nan, np.nan, np.nan, 2, 3, 1],
         "sex": ["male", None, "male", "male", "male", "male"], "kps": [np.nan] * 6}
    )  # fmt: skip


def test_the_map_counts_each_column_in_each_group_and_in_all(rows):
    table = missing_by(rows, columns=["cea_ng_ml", "sex"])
    assert table[table["column"] == "cea_ng_ml"].drop(columns="column").to_numpy().tolist() == [
        ["all", 6, 3, 0.5], ["A", 3, 1, 1 / 3], ["B", 2, 1, 0.5], ["(none)", 1, 1, 1.0]
    ]  # fmt: skip
    assert table.loc[(table["column"] == "sex") & (table["group"] == "B"), "n_missing"].item() == 1


def test_the_groups_sum_to_all_on_any_table():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(rng.random((500, 4)), columns=list("wxyz")).mask(rng.random((500, 4)) < 0.3)
    rows["centre"] = rng.integers(0, 7, 500).astype(float)
    table = missing_by(rows)
    parts = table[table["group"] != "all"].groupby("column")[["n", "n_missing"]].sum()
    whole = table[table["group"] == "all"].set_index("column")[["n", "n_missing"]]
    pd.testing.assert_frame_equal(parts, whole)
    assert whole["n_missing"].to_dict() == rows[list("wxyz")].isna().sum().to_dict()
    assert table["group"].unique().tolist() == ["all", "0", "1", "2", "3", "4", "5", "6"]


def test_columns_that_nobody_has_and_the_groups_themselves_are_left_out_unless_named(rows):
    assert missing_by(rows)["column"].unique().tolist() == ["patient_id", "cea_ng_ml", "suv_max", "sex"]
    assert missing_by(rows, columns=["kps"])["fraction"].tolist() == [1.0] * 4


def test_patterns_say_what_is_missing_together_most_frequent_first(rows):
    table = missing_patterns(rows, columns=["cea_ng_ml", "suv_max", "sex"])
    assert table[["pattern", "n_columns", "n"]].to_numpy().tolist() == [
        ["", 0, 2], ["cea_ng_ml", 1, 1], ["suv_max", 1, 1], ["cea_ng_ml + suv_max", 2, 1],
        ["cea_ng_ml + suv_max + sex", 3, 1],
    ]  # fmt: skip
    assert table["n"].sum() == len(rows) and table["fraction"].sum() == pytest.approx(1)
    assert missing_patterns(rows)["n"].sum() == len(rows)


def test_patterns_are_those_of_pandas_on_many_columns():
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(rng.random((400, 11)), columns=[f"c{i}" for i in range(11)]).mask(rng.random((400, 11)) < 0.1)
    counted = rows.isna().apply(lambda r: " + ".join(rows.columns[r]), axis=1).value_counts()
    table = missing_patterns(rows).set_index("pattern")["n"]
    assert table.to_dict() == counted.to_dict()


def test_odd_tables(rows):
    nobody = missing_by(rows.iloc[:0], columns=["sex"])
    assert nobody["n"].tolist() == [0] and math.isnan(nobody["fraction"][0])
    assert len(missing_patterns(rows.iloc[:0])) == 0 and len(missing_by(rows, columns=[])) == 0
    assert missing_patterns(rows[["patient_id"]]).to_numpy().tolist() == [["", 0, 6, 1.0]]
    assert missingness(rows.iloc[:0], columns=["sex"])["n_missing"].tolist() == [0]


def test_a_centre_called_all_is_not_mixed_up_with_everybody(rows):
    table = missing_by(rows.assign(centre=["all", "(none)", "A", "A", "A", None]), columns=["sex"])
    assert table["group"].tolist() == ["all", "centre = (none)", "A", "centre = all", "(none)"]
    assert table["n"].tolist() == [6, 1, 3, 1, 1]


def test_a_column_that_is_not_there_is_refused_with_the_nearest(rows):
    with pytest.raises(OnlmError, match="no column 'cea'; did you mean 'cea_ng_ml'"):
        missing_by(rows, columns=["cea"])
    with pytest.raises(OnlmError, match="no column 'center'; did you mean 'centre'"):
        missing_by(rows, by="center")
    with pytest.raises(OnlmError, match="1200 groups; wanted at most 1000"):
        missing_by(pd.DataFrame({"centre": range(1200), "x": 1}))


def test_centres_keep_their_exact_names_and_columns_are_counted_once():
    rows = pd.DataFrame({"centre": [1_000_000.0, 1_000_001.0, 1_000_000.0], "x": [1.0, np.nan, 2.0]})
    found = missing_by(rows, columns=["x", "x"])
    assert found[["group", "n", "n_missing"]].to_numpy().tolist() == [
        ["all", 3, 1], ["1000000", 2, 0], ["1000001", 1, 1],
    ]  # fmt: skip
    with pytest.raises(OnlmError, match="'centre' holds both a number and a text that read '1'"):
        missing_by(rows.assign(centre=pd.Series([1, "1", 2], dtype=object)))
    with pytest.raises(OnlmError, match="the column 'x' is there 2 times"):
        missing_by(pd.concat([rows, rows[["x"]]], axis=1))
    with pytest.raises(OnlmError, match="wanted a list of columns, got the text 'x'"):
        missing_by(rows, columns="x")


def test_a_column_is_missing_only_in_those_of_whom_it_is_asked():
    table = pd.DataFrame({
        "patient_id": list("abcdef"), "centre": list("AAABBB"),
        "arm": ["surgery", "surgery", "sbrt", "surgery", "sbrt", None],
        "pathological_n": ["N0", None, None, "N1", None, None], "died": [1, 1, 0, 0, np.nan, 1],
        "death_cause": ["other", None, None, None, None, None], "pet_ct_done": [1, 0, 1, 1, np.nan, 1],
        "suv_max": [2.0, np.nan, np.nan, 3.0, np.nan, 4.0],
        "recurrence_site": ["regional;distant", "local", None, "unknown", None, None],
        "recorded_regional_days": [np.nan, np.nan, np.nan, np.nan, np.nan, np.nan],
        "distant_days": [300.0, np.nan, np.nan, np.nan, np.nan, np.nan], "kps": [80, np.nan, 90, 90, 90, np.nan],
        "derived_t": ["T1a", None, None, None, None, None],
    })  # fmt: skip
    named = ["pathological_n", "death_cause", "suv_max", "recorded_regional_days", "distant_days", "kps"]
    found = missing_by(table, columns=named, asked_only=True)
    whole = found[found["group"] == "all"].set_index("column")
    assert whole["n"].to_dict() == {
        "pathological_n": 3, "death_cause": 3, "suv_max": 4, "recorded_regional_days": 1, "distant_days": 1, "kps": 6
    }  # fmt: skip
    assert whole["n_missing"].tolist() == [1, 2, 1, 1, 0, 2]
    of_b = found[(found["group"] == "B") & (found["column"] == "distant_days")]
    assert of_b["n"].item() == 0 and math.isnan(of_b["fraction"].item())
    raw = missing_by(table, columns=named)
    assert raw.loc[raw["group"] == "all", "n"].eq(6).all()
    shown = missing_by(table, asked_only=True)["column"].unique().tolist()
    assert "patient_id" not in shown and "derived_t" not in shown and "kps" in shown


def test_an_endpoint_is_not_taken_for_the_recorded_day_of_its_name():
    table = pd.DataFrame({
        "patient_id": list("ab"), "centre": "A", "recurred": [1, 0], "recorded_recurrence_days": [200.0, np.nan],
        "recurrence_days": [200.0, 900.0],
    })  # fmt: skip
    shown = missing_by(table, asked_only=True)
    assert shown.loc[shown["group"] == "all", ["column", "n"]].to_numpy().tolist() == [
        ["recurred", 2], ["recorded_recurrence_days", 1]
    ]  # fmt: skip
    named = missing_by(table, columns=["recurrence_days"], asked_only=True)
    assert named["n"].tolist() == [2, 2]


def test_without_the_column_that_says_of_whom_it_is_asked_of_everybody(rows):
    plain, asked = missing_by(rows, columns=["suv_max"]), missing_by(rows, columns=["suv_max"], asked_only=True)
    pd.testing.assert_frame_equal(plain, asked)
