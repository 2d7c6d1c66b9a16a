"""Optimism is taken off as rms::validate takes it off, and pure noise comes to one half."""

import math

import numpy as np
import pandas as pd
import pytest
from resampled_reference import R, asah
from scipy.special import expit

from onlm_lab.analysis import optimism_corrected
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.errors import OnlmError


def design(frame, columns):
    return np.column_stack([np.ones(len(frame)), frame[columns].to_numpy(dtype=float)])


def logistic(columns):
    """A way of fitting: plain logistic regression; a sample that it cannot fit is refused."""

    def fit(frame):
        found = fit_logistic(design(frame, columns), frame["onlm"].to_numpy() == 1)
        if found.note:
            raise OnlmError(found.note)
        return lambda rows: expit(design(rows, columns) @ found.coef)

    return fit


def haemorrhage():
    data = asah()
    return data.assign(male=(data["gender"] == "Male").astype(float)).drop(columns="risk")


PREDICTORS = ["age", "male", "s100b", "wfns"]


@pytest.mark.parametrize(("name", "key"), [("auc", "auc"), ("brier", "brier"), ("calibration_slope", "slope")])
def test_apparent_optimism_and_corrected_are_those_of_rms_but_for_chance(name, key):
    want = R["validate"][key]
    got = optimism_corrected(haemorrhage(), fit=logistic(PREDICTORS), statistic=name, n_resamples=400)
    error = (got.optimism.high - got.optimism.low) / 2 * math.sqrt(1 + 400 / R["validate"]["B"])
    assert got.apparent.value == pytest.approx(want.get("apparent", 1.0), abs=1e-4)
    assert abs(got.optimism.value - want["optimism"]) < 1.5 * error
    assert got.corrected.value == pytest.approx(got.apparent.value - got.optimism.value, abs=1e-12)
    assert got.n_failed + len(got.replicates) == got.n_resamples == 400


def test_optimism_flatters_and_grows_with_useless_predictors():
    data = haemorrhage()
    rng = np.random.default_rng(4)
    noise = [f"noise{i}" for i in range(8)]
    data[noise] = rng.normal(size=(len(data), 8))
    few = optimism_corrected(data, fit=logistic(PREDICTORS), n_resamples=60)
    many = optimism_corrected(data, fit=logistic(PREDICTORS + noise), n_resamples=60)
    assert few.corrected.value < few.apparent.value
    assert many.optimism.value > 2 * few.optimism.value and many.apparent.value > few.apparent.value
    slope = optimism_corrected(data, fit=logistic(PREDICTORS + noise), statistic="calibration_slope", n_resamples=60)
    assert (
        slope.corrected.value < 0.8
        and math.isnan(slope.corrected.low)
        and "same in every sample" in slope.corrected.note
    )


def test_pure_noise_comes_to_one_half():
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        data = pd.DataFrame(
            {"patient_id": np.arange(120), "onlm": rng.permutation(np.arange(120) % 4 == 0).astype(int)}
        )
        data[[f"x{i}" for i in range(5)]] = rng.normal(size=(120, 5))
        found.append(optimism_corrected(data, fit=logistic([f"x{i}" for i in range(5)]), n_resamples=40))
    assert np.mean([f.apparent.value for f in found]) > 0.6
    assert np.mean([f.corrected.value for f in found]) == pytest.approx(0.5, abs=0.05)


def test_a_statistic_of_the_rows_can_be_given():
    def spread(rows):
        return rows["risk"][rows["onlm"] == 1].mean() - rows["risk"][rows["onlm"] == 0].mean()

    got = optimism_corrected(haemorrhage(), fit=logistic(PREDICTORS), statistic=spread, n_resamples=30)
    assert got.statistic == "spread" and got.corrected.value < got.apparent.value
    assert got.corrected.low < got.corrected.value < got.corrected.high


def test_one_seed_gives_the_same_and_the_data_are_left_alone():
    data = haemorrhage()
    before = data.copy()
    a, b = (optimism_corrected(data, fit=logistic(PREDICTORS), n_resamples=10) for _ in range(2))
    assert a.digest == b.digest
    pd.testing.assert_frame_equal(data, before)


def test_resamples_that_fail_are_counted():
    tiny = pd.DataFrame({"patient_id": range(20), "onlm": [1, 1, *[0] * 18], "x": np.linspace(-1, 1, 20) ** 2})
    got = optimism_corrected(tiny, fit=logistic(["x"]), n_resamples=200, generator=np.random.default_rng(1))
    assert got.n_failed >= 200 * 0.9**20 * 0.6 and any(f"{got.n_failed} of 200 resamples" in n for n in got.notes)
    assert got.n_failed + len(got.replicates) == 200

    def whole_data_only(frame):
        if frame["patient_id"].iloc[0] != 0:
            raise OnlmError("no")
        return lambda rows: np.full(len(rows), 0.1)

    none = optimism_corrected(tiny.assign(patient_id=range(20)), fit=whole_data_only, n_resamples=5)
    assert math.isnan(none.corrected.value) and "only 0 of 5 resamples" in none.corrected.note


def test_one_class_is_not_estimated():
    got = optimism_corrected(haemorrhage().assign(onlm=0), fit=logistic(PREDICTORS))
    assert math.isnan(got.corrected.value) and "both classes are needed" in got.corrected.note


def test_wrong_arguments_are_said():
    with pytest.raises(OnlmError, match="statistic must be one of auc"):
        optimism_corrected(haemorrhage(), fit=logistic(PREDICTORS), statistic="c")
    with pytest.raises(OnlmError, match=r"one risk in \[0, 1\] for each of 113 rows, got shape \(113,\) from 2 to 2"):
        optimism_corrected(haemorrhage(), fit=lambda frame: lambda rows: np.full(len(rows), 2.0))
    with pytest.raises(OnlmError, match=r"got shape \(1,\)"):
        optimism_corrected(haemorrhage(), fit=lambda frame: lambda rows: [0.3])
