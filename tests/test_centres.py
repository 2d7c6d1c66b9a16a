"""Centres: areas equal pROC's, the pooled area and both kinds of interval equal metafor's."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER, R

from onlm_lab.analysis import by_centre
from onlm_lab.analysis.random_effects_model import random_effects
from onlm_lab.errors import OnlmError

WANT = R["centres"]


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(FOLDER / "centres.csv")


def test_pooled_area_and_intervals_equal_metafor(rows):
    got = by_centre(rows)
    for estimate, key in ((got.pooled, "knha"), (got.pooled_conservative, "adhoc")):
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx(WANT[key]["pooled"], abs=1e-8)
    prediction = got.prediction_interval
    assert [prediction.low, prediction.high] == pytest.approx(WANT["knha"]["prediction"], abs=1e-8)
    assert got.tau2 == pytest.approx(WANT["knha"]["tau2"], abs=1e-8)
    assert got.i2 == pytest.approx(WANT["knha"]["i2"], abs=1e-8)
    assert got.prediction_interval.low < got.pooled.low


def test_each_centre_equals_proc_and_the_poor_ones_are_shown_but_not_pooled(rows):
    got = by_centre(rows)
    table = got.table.set_index("centre")
    for name in WANT["kept"]:
        want = WANT["area"][name]
        assert table.loc[name, "auc"] == pytest.approx(want["auc"], abs=1e-12)
        assert [table.loc[name, "low"], table.loc[name, "high"]] == pytest.approx(want["logit_ci"], abs=1e-10)
    assert table.index[table["is_pooled"]].tolist() == WANT["kept"]
    assert (got.n_centres, got.n_pooled) == (9, 7)
    assert "fewer than 5 N+" in table.loc["C8", "note"] and math.isnan(table.loc["C8", "auc"])
    assert table.loc["C9", "auc"] == 1 and "not pooled: AUC 1" in table.loc["C9", "note"]
    assert got.notes[0].startswith("2 of 9 centres not pooled")


def test_centres_that_agree_have_tau2_zero_and_a_plain_interval_narrower_than_the_guarded_one():
    effect, variance = np.array([0.9, 0.95, 1.0, 0.92]), np.array([0.04, 0.05, 0.03, 0.06])
    got, want = random_effects(effect, variance), R["homogeneous"]
    assert got.tau2 == 0 == want["tau2"] and got.i2 == 0
    t = 3.182446305284263  # 0.975 quantile of t with 3 degrees of freedom
    for se, key in ((got.se, "knha"), (got.se_conservative, "adhoc")):
        assert [got.mean, got.mean - t * se, got.mean + t * se] == pytest.approx(want[key], abs=1e-10)
    assert got.se < got.se_conservative


def test_fewer_than_three_centres_are_not_pooled(rows):
    got = by_centre(rows[rows["centre"].isin(["C1", "C2", "C8"])])
    assert math.isnan(got.pooled.value) and "2 centres with enough patients; pooling needs 3" in got.pooled.note
    assert math.isnan(got.tau2) and got.table["auc"].notna().sum() == 2


def test_reversing_the_risk_turns_the_pooled_area_over(rows):
    forth, back = by_centre(rows), by_centre(rows.assign(risk=1 - rows["risk"]))
    assert forth.pooled.value > 0.7
    assert back.pooled.value == pytest.approx(1 - forth.pooled.value, abs=1e-9)


def test_a_missing_centre_is_refused_and_another_column_can_name_it(rows):
    with pytest.raises(OnlmError, match=r"centre is missing for 2 of 742 patients \(P001, P002\). Fill it"):
        by_centre(rows.assign(centre=rows["centre"].where(rows.index > 1)))
    with pytest.raises(OnlmError, match=r"'center' \(nearest present: 'centre'\)"):
        by_centre(rows, column="center")
    assert by_centre(rows, column="smoking").n_centres == 3


def test_a_centre_in_which_all_risks_are_equal_is_shown_but_not_pooled(rows):
    got = by_centre(rows.assign(risk=0.3))
    assert (got.table["auc"].dropna() == 0.5).all() and not got.table["is_pooled"].any()
    assert got.n_pooled == 0 and "DeLong's variance is 0" in " ".join(got.table["note"])
