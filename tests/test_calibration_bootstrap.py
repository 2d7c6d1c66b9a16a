"""Bootstrap intervals of the calibration distances agree with R's, and say how far the samples are off."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER, scored

from onlm_lab.analysis import assess_calibration, calibration_intervals
from onlm_lab.errors import OnlmError

R = json.loads((FOLDER / "calibration_bootstrap.json").read_text(encoding="utf-8"))


def made(n=400, seed=2):
    rng = np.random.default_rng(seed)
    risk = rng.beta(1.5, 6, n)
    onlm = (rng.uniform(size=n) < risk).astype(float)
    return pd.DataFrame({"patient_id": np.arange(n), "onlm": onlm, "risk": risk})


@pytest.mark.parametrize("score", ["p1", "p2"])
def test_limits_and_bias_agree_with_rs_bootstrap_within_chance(score):
    got = calibration_intervals(scored("asah", score), n_resamples=2000).table.set_index("measure")
    for measure, want in R[score].items():
        row, chance = got.loc[measure], want["sd"] * math.sqrt(1 / 2000 + 1 / 4000)
        assert row["value"] == pytest.approx(want["value"], abs=1e-10), measure
        assert row["value"] + row["bias"] == pytest.approx(want["mean"], abs=4 * chance), measure
        for end in ("low", "high"):  # the error of a 2.5 % quantile is about 2.7 times the mean's, more in a long tail
            assert row[end] == pytest.approx(want[end], abs=16 * chance), (measure, end)


def test_an_interval_that_its_bias_moves_above_the_value_says_so():
    table = calibration_intervals(scored("asah", "p1"), n_resamples=400).table.set_index("measure")
    ici = table.loc["ici"]
    assert ici["low"] > ici["value"] and ici["note"] == "the interval lies above the value: read it with the bias"
    assert table.loc["scaled_brier", "note"] == ""


def test_the_values_are_those_of_assess_calibration():
    rows = made()
    got = calibration_intervals(rows, n_resamples=20).table.set_index("measure")["value"]
    want = assess_calibration(rows)
    for measure in got.index:
        assert got[measure] == pytest.approx(getattr(want, measure), abs=1e-12)


def test_a_calibrated_model_has_a_bias_above_zero_that_falls_with_more_patients():
    small, large = (calibration_intervals(made(n), n_resamples=60).table.set_index("measure") for n in (200, 1500))
    assert small.loc["ici", "bias"] > large.loc["ici", "bias"] > 0


def test_a_wrong_model_has_an_interval_above_that_of_a_calibrated_one():
    rows = made(600)
    good = calibration_intervals(rows, n_resamples=100).table.set_index("measure")
    bad = calibration_intervals(rows.assign(risk=rows["risk"] ** 0.5), n_resamples=100).table.set_index("measure")
    assert bad.loc["ici", "low"] > good.loc["ici", "high"]
    assert bad.loc["scaled_brier", "high"] < good.loc["scaled_brier", "low"]


def test_one_risk_for_all_has_no_curve_and_one_class_no_scaled_brier_score():
    flat = calibration_intervals(made(50).assign(risk=0.2), n_resamples=20).table.set_index("measure")
    assert flat.loc["ici":"emax", ["value", "low", "high", "bias"]].isna().all(axis=None)
    assert (flat.loc["ici":"emax", "note"] == "the patients have no such value").all()
    assert math.isfinite(flat.loc["scaled_brier", "low"])
    none = calibration_intervals(made(50).assign(onlm=0.0), n_resamples=20)
    assert math.isnan(none.table.set_index("measure").loc["scaled_brier", "value"])
    assert "all 50 patients are N0" in none.notes[0]


def test_few_events_are_said_and_the_same_rows_give_the_same_intervals():
    rows = scored("tiny25", "score")
    got = calibration_intervals(rows, n_resamples=50)
    assert "only 4 N+ patients" in got.notes[0] and (got.table["n_used"] <= 50).all()
    assert got.digest == calibration_intervals(rows, n_resamples=50).digest
    other = calibration_intervals(rows, n_resamples=50, generator=np.random.default_rng(1))
    assert other.digest != got.digest


def test_bad_arguments_are_refused():
    with pytest.raises(OnlmError, match="level must lie between 0 and 1"):
        calibration_intervals(made(50), level=95)
    with pytest.raises(OnlmError, match="n_resamples must be at least 1, got 0"):
        calibration_intervals(made(50), n_resamples=0)
