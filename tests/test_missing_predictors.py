"""Performance by what is missing: differences between different patients equal R's, small groups give no number."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import by_subgroup, missing_data_sensitivity
from onlm_lab.errors import OnlmError

FOLDER = Path(__file__).parent / "reference"
WANT = json.loads((FOLDER / "mechanisms.json").read_text(encoding="utf-8"))["unpaired"]


def asah():
    """p2 as the risk; a predictor that every third patient lacks, as in make_mechanisms.R."""
    rows = pd.read_csv(FOLDER / "asah.csv")
    third = np.arange(1, len(rows) + 1) % 3 == 0
    return rows.assign(patient_id=[f"P{i:03d}" for i in range(len(rows))], onlm=rows["y"], risk=rows["p2"],
                       cea_ng_ml=np.where(third, np.nan, 2.0), suv_max=4.0)  # fmt: skip


def test_areas_and_their_difference_between_different_patients_equal_proc():
    got = missing_data_sensitivity(asah(), columns=["cea_ng_ml", "suv_max"], threshold=0.3)
    test = got.tests.set_index("grouping").loc["cea_ng_ml"]
    assert [test["difference"], test["low"], test["high"]] == pytest.approx(WANT["difference"], abs=1e-10)
    assert (test["z"], test["p_value"]) == pytest.approx((WANT["z"], WANT["p"]), abs=1e-10)
    known, missing = (got.table.query("grouping == 'cea_ng_ml' and level == @w").iloc[0] for w in ("known", "missing"))
    assert (known["n"], missing["n"]) == (WANT["a"]["n"], WANT["b"]["n"])
    assert (known["auc"], missing["auc"]) == pytest.approx((WANT["a"]["auc"], WANT["b"]["auc"]), abs=1e-12)
    assert known["oe_ratio"] == pytest.approx(WANT["a"]["oe"][0], rel=1e-10)


def test_the_groups_are_number_missing_completeness_and_each_column_missing_in_some():
    rows = asah()
    rows.loc[:59, "age"] = np.nan
    rows["never"] = np.nan
    got = missing_data_sensitivity(rows, columns=["cea_ng_ml", "suv_max", "age"], most=2)
    groupings = ["number missing", "completeness", "cea_ng_ml", "age"]
    assert list(dict.fromkeys(got.table["grouping"])) == groupings
    first = got.table[got.table["grouping"] == "number missing"]
    assert first["level"].tolist() == ["0", "1", "2 or more"] and first["n"].sum() == 113
    assert got.tests["grouping"].tolist() == groupings[1:]
    assert "2 of 3 predictors are missing in some of 113 patients" in got.notes
    got = missing_data_sensitivity(rows, columns=["cea_ng_ml", "never"])
    assert "missing in all patients, so nobody is a complete case: never" in got.notes
    assert got.table.query("grouping == 'completeness'")["level"].tolist() == ["incomplete"]


def test_the_numbers_of_a_group_are_those_of_the_subgroup_table():
    rows = asah().assign(there=lambda d: d["cea_ng_ml"].notna().map({True: "a", False: "b"}))
    got = missing_data_sensitivity(rows, columns="cea_ng_ml", threshold=0.3).table
    want = by_subgroup(rows, columns=["there"], threshold=0.3).table
    part = got[got["grouping"] == "cea_ng_ml"]
    for name in ("n", "auc", "auc_low", "sensitivity", "specificity_high", "oe_ratio"):
        np.testing.assert_array_equal(part[name], want[name])


def test_a_model_that_guesses_where_the_predictor_is_missing_is_shown_worse_there():
    rng = np.random.default_rng(3)
    x = rng.normal(size=900)
    onlm = (rng.uniform(size=900) < 1 / (1 + np.exp(1 - 1.5 * x))).astype(float)
    lacking = rng.uniform(size=900) < 0.4
    risk = 1 / (1 + np.exp(1 - 1.5 * np.where(lacking, rng.normal(size=900), x)))
    rows = pd.DataFrame({"patient_id": range(900), "onlm": onlm, "risk": risk, "x": np.where(lacking, np.nan, x)})
    test = missing_data_sensitivity(rows, columns=["x"]).tests.iloc[1]
    assert test["low"] > 0.1 and test["p_value"] < 1e-6


def test_few_patients_and_nothing_missing_give_no_number_and_no_crash():
    rows = asah()
    rows["suv_max"] = np.where(np.arange(len(rows)) < 4, np.nan, 1.0)
    test = missing_data_sensitivity(rows, columns=["suv_max"]).tests.iloc[1]
    assert np.isnan(test["difference"]) and test["note"] == "fewer than 10 N+ or N0 in a group"
    got = missing_data_sensitivity(asah(), columns=["suv_max"])
    assert got.table["level"].tolist() == ["0", "complete"] and got.tests["p_value"].isna().all()


def test_bad_arguments_are_told():
    with pytest.raises(OnlmError, match="no column was named"):
        missing_data_sensitivity(asah(), columns=[])
    with pytest.raises(OnlmError, match="column 'cea' not found"):
        missing_data_sensitivity(asah(), columns=["cea", "suv_max"])
    with pytest.raises(OnlmError, match="most must be at least 1, got 0"):
        missing_data_sensitivity(asah(), columns=["suv_max"], most=0)
