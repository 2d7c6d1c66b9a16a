"""The lowess calibration curve equals R's, ties and all, and its distances rms::val.prob's within its delta."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER, scored

from onlm_lab.analysis import assess_calibration
from onlm_lab.analysis.smoothing import Tabulated, lowess_at_values
from onlm_lab.errors import OnlmError
from onlm_lab.figures import plot_calibration

R = json.loads((FOLDER / "lowess.json").read_text(encoding="utf-8"))
CASES = [("asah", "p1"), ("asah", "p2"), ("tiny25", "score"), ("tiny25", "score2"), ("centres", None)]


def at_patients(risk, onlm):
    value, place, count = np.unique(risk, return_inverse=True, return_counts=True)
    return lowess_at_values(Tabulated(value, count, np.bincount(place, weights=onlm)))[place]


def case(name, score):
    return (pd.read_csv(FOLDER / "centres.csv"), R[name]) if score is None else (scored(name, score), R[name][score])


@pytest.mark.parametrize(("name", "score"), CASES)
def test_curve_and_distances_equal_rs_lowess(name, score):
    rows, want = case(name, score)
    np.testing.assert_allclose(at_patients(rows["risk"], rows["onlm"]), want["fit"], atol=1e-8)
    got = assess_calibration(rows, curve="lowess")
    for field in ("ici", "e50", "e90", "emax"):
        assert getattr(got, field) == pytest.approx(want[field], abs=1e-8), field


@pytest.mark.parametrize(("name", "score"), CASES)
def test_distances_equal_val_probs_within_what_its_delta_changes(name, score):
    rows, want = case(name, score)
    got = assess_calibration(rows, curve="lowess")
    for field, theirs in (("ici", "Eavg"), ("e90", "E90"), ("emax", "Emax")):
        assert getattr(got, field) == pytest.approx(want["val_prob"][theirs], abs=5e-4), field


@pytest.mark.parametrize("name", ["more", "exact", "one_less", "pairs", "close", "two"])
def test_shared_risks_are_smoothed_as_r_does(name):
    want = R["ties"][name]
    np.testing.assert_allclose(at_patients(np.array(want["p"]), np.array(want["y"])), want["fit"], atol=1e-8)


def test_running_sums_equal_the_plain_way(monkeypatch):
    rng = np.random.default_rng(1)
    risk = np.concatenate([rng.beta(1.2, 8, 1500), np.full(400, 0.25)])
    onlm = rng.uniform(size=len(risk)) < risk
    fast = at_patients(risk, onlm)
    monkeypatch.setattr("onlm_lab.analysis.smoothing._DIRECT", 10_000)
    np.testing.assert_allclose(fast, at_patients(risk, onlm), atol=1e-8)


def test_a_risk_that_most_patients_share_has_their_share_when_many_others_are_distinct():
    rng = np.random.default_rng(2)
    risk = np.concatenate([rng.beta(1.2, 8, 500), np.full(1500, 0.25)])
    onlm = rng.uniform(size=len(risk)) < 0.2
    assert at_patients(risk, onlm)[-1] == onlm[500:].mean()


def test_the_curve_has_no_band_and_says_so_and_is_drawn():
    got = assess_calibration(scored("asah", "p1"), curve="lowess")
    assert got.curve[["low", "high"]].isna().all(axis=None) and got.curve["observed"].notna().all()
    assert "smooth curve: lowess, 67% of the patients, without a band" in got.notes
    plain = assess_calibration(scored("asah", "p1"))
    assert got.slope == plain.slope and got.ici != plain.ici and not plain.notes
    plot_calibration(got)


def test_risks_that_are_too_high_lie_farther_from_the_curve():
    rng = np.random.default_rng(3)
    risk = rng.beta(1.5, 6, 1500)
    rows = pd.DataFrame({"patient_id": range(1500), "onlm": (rng.uniform(size=1500) < risk) * 1.0, "risk": risk})
    good = assess_calibration(rows, curve="lowess")
    bad = assess_calibration(rows.assign(risk=rows["risk"] ** 0.5), curve="lowess")
    assert good.ici < 0.03 < bad.ici


def test_one_risk_for_all_has_one_point_and_another_curve_is_refused():
    rows = scored("asah", "p1").assign(risk=0.2)
    got = assess_calibration(rows, curve="lowess")
    assert len(got.curve) == 1 and got.ici == pytest.approx(abs(rows["onlm"].mean() - 0.2))
    assert math.isnan(got.slope.value)
    with pytest.raises(OnlmError, match="curve must be 'loess' or 'lowess', got 'spline'"):
        assess_calibration(rows, curve="spline")
