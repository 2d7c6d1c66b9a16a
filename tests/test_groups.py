"""Calibration by group, and of the centres pooled: R's glm, loess and metafor."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER

from onlm_lab.analysis import assess_calibration, by_centre, calibration_by, leave_one_out
from onlm_lab.errors import OnlmError

R = json.loads((FOLDER / "groups.json").read_text(encoding="utf-8"))
Z = 1.959963984540054


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(FOLDER / "centres.csv")


def _same_line(row, want):
    """One group against R."""
    for name in ("intercept", "slope"):
        value, se = want[name], want[f"{name}_se"]
        assert row[name] == pytest.approx(value, abs=1e-8)
        got = [row[f"{name}_low"], row[f"{name}_high"]]  # glm's standard errors are those of its last step but one
        assert got == pytest.approx([value - Z * se, value + Z * se], abs=1e-6)
    ratio, se = want["oe"], want["log_oe_se"]
    got = [row["oe_ratio"], row["oe_ratio_low"], row["oe_ratio_high"]]
    assert got == pytest.approx([ratio, ratio * math.exp(-Z * se), ratio * math.exp(Z * se)], abs=1e-12)


def test_every_age_group_has_rs_intercept_slope_ratio_distance_and_brier_score(rows):
    found = calibration_by(rows, column="age_years", bins=[60, 70])
    assert found.table["level"].tolist() == ["<60", "60 to <70", ">=70"] and found.n == 742
    for row in found.table.to_dict("records"):
        want = R["age"][row["level"]]
        assert (row["n"], row["n_positive"]) == (want["n"], want["n_positive"])
        _same_line(row, want)
        assert row["ici"] == pytest.approx(want["ici"], abs=1e-8)
        assert row["brier"] == pytest.approx(want["brier"], abs=1e-12)
        assert row["brier_high"] - row["brier"] == pytest.approx(Z * want["brier_se"], abs=1e-12)


def test_one_group_of_all_is_the_calibration_of_all(rows):
    one = calibration_by(rows.assign(all="everybody"), column="all").table.iloc[0]
    whole = assess_calibration(rows)
    assert one["ici"] == whole.ici and one["slope"] == whole.slope.value and one["brier_low"] == whole.brier.low


def test_a_group_with_few_events_has_no_number_and_says_why(rows):
    table = calibration_by(rows, column="centre").table.set_index("level")
    assert math.isnan(table.loc["C8", "slope"]) and table.loc["C8", "note"] == "fewer than 10 N+"
    lonely = rows.assign(sex=rows["sex"].where(rows.index > 2))
    assert calibration_by(lonely, column="sex").table["level"].tolist() == ["female", "male", "missing"]


def test_a_group_whose_risks_separate_has_an_intercept_and_a_note_in_place_of_a_slope(rows):
    row = calibration_by(rows, column="centre", min_patients=5).table.set_index("level").loc["C9"]
    assert math.isnan(row["slope"]) and "separate N+ from N0 completely" in row["note"]
    assert row["intercept"] == pytest.approx(R["centre"]["C9"]["intercept"], abs=1e-8)


def test_risks_that_are_too_high_in_one_group_are_found_there(rows):
    odds = rows["risk"] / (1 - rows["risk"]) * np.where(rows["sex"] == "male", 2.0, 1.0)
    table = calibration_by(rows.assign(risk=odds / (1 + odds)), column="sex").table.set_index("level")
    before = calibration_by(rows, column="sex").table.set_index("level")
    assert table.loc["male", "intercept"] == pytest.approx(before.loc["male", "intercept"] - math.log(2), abs=1e-6)
    assert table.loc["female", "intercept"] == pytest.approx(before.loc["female", "intercept"], abs=1e-12)
    assert table.loc["male", "oe_ratio"] < before.loc["male", "oe_ratio"]


def test_numbers_need_declared_edges(rows):
    with pytest.raises(OnlmError, match=r"calibration_by: column 'age_years' holds numbers .* bins="):
        calibration_by(rows, column="age_years")


def test_each_centre_has_rs_calibration_beside_its_area(rows):
    table = by_centre(rows).table.set_index("centre")
    for name in ("C1", "C2", "C5", "C7"):
        _same_line(table.loc[name], R["centre"][name])
    assert math.isnan(table.loc["C8", "slope"]) and math.isnan(table.loc["C9", "slope"])


@pytest.mark.parametrize("measure", ["intercept", "slope", "oe_ratio"])
def test_calibration_of_the_centres_is_pooled_as_metafor_does(rows, measure):
    line, want = by_centre(rows).measures.set_index("measure").loc[measure], R[measure]
    assert line["n_pooled"] == want["k"]
    assert [line["value"], line["low"], line["high"]] == pytest.approx(want["pooled"], abs=1e-6)
    assert [line["low_conservative"], line["high_conservative"]] == pytest.approx(want["guarded"], abs=1e-6)
    assert [line["prediction_low"], line["prediction_high"]] == pytest.approx(want["prediction"], abs=1e-6)
    assert line["tau2"] == pytest.approx(want["tau2"], abs=1e-6) and line["i2"] == pytest.approx(want["i2"], abs=1e-6)


def test_the_area_among_the_measures_is_the_pooled_area(rows):
    found = by_centre(rows)
    line = found.measures.set_index("measure").loc["auc"]
    assert [line["value"], line["low"], line["prediction_high"], line["tau2"]] == [
        found.pooled.value, found.pooled.low, found.prediction_interval.high, found.tau2
    ]  # fmt: skip


def test_two_centres_pool_nothing_and_say_so(rows):
    found = by_centre(rows[rows["centre"].isin(["C1", "C2"])])
    assert found.measures["value"].isna().all() and (found.measures["n_pooled"] == 2).all()
    assert found.measures["note"].str.contains("2 centres with enough patients; pooling needs 3").all()


def test_each_centre_left_out_gives_metafors_pooled_slope(rows):
    table = leave_one_out(rows, measure="slope").table.set_index("left_out")
    whole = by_centre(rows).measures.set_index("measure").loc["slope"]
    assert table.loc["", "value"] == whole["value"] and table.loc["", "n_pooled"] == whole["n_pooled"]
    for name, want in R["slope_without"].items():
        row = table.loc[name]
        assert [row["value"], row["low"], row["high"]] == pytest.approx(want["pooled"], abs=1e-6)
        assert [row["prediction_low"], row["prediction_high"]] == pytest.approx(want["prediction"], abs=1e-6)


def test_without_the_worst_centre_the_pooled_area_is_higher(rows):
    worst = by_centre(rows).table.query("is_pooled").sort_values("auc").iloc[0]["centre"]
    table = leave_one_out(rows).table.set_index("left_out")
    assert table["value"].idxmax() == worst


def test_an_unknown_measure_is_refused_with_those_there_are(rows):
    with pytest.raises(OnlmError, match="wanted one of auc, intercept, slope, oe_ratio"):
        leave_one_out(rows, measure="brier")
