"""Calibration and threshold: right against another implementation, and never upside down."""

from __future__ import annotations

import json

import numpy as np
import pytest

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import (
    Platt,
    Temperature,
    auc,
    calibrator_from_dict,
    fit_calibrator,
    sigmoid,
    threshold_for,
)


@pytest.fixture
def overconfident():
    """Logits three times too far from the middle, of a rare event."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-1.5, 1.0, size=2000)
    onlm = (rng.random(2000) < sigmoid(truth)).astype(float)
    return 3 * truth + 2, onlm


def test_platt_finds_what_statsmodels_finds(overconfident):
    import statsmodels.api as sm

    logit, onlm = overconfident
    n, k = len(onlm), onlm.sum()
    target = np.where(onlm == 1, (k + 1) / (k + 2), 1 / (n - k + 2))
    fit = sm.GLM(target, sm.add_constant(logit), family=sm.families.Binomial()).fit(tol=1e-12)
    ours = Platt.fit(logit, onlm)
    np.testing.assert_allclose([ours.intercept, ours.slope], fit.params, rtol=1e-7)


def test_calibration_undoes_overconfidence(overconfident):
    logit, onlm = overconfident
    ours = Platt.fit(logit, onlm)
    assert ours.slope == pytest.approx(1 / 3, rel=0.15)
    assert ours.apply(logit).mean() == pytest.approx(onlm.mean(), abs=0.002)
    before = np.mean((sigmoid(logit) - onlm) ** 2)
    assert np.mean((ours.apply(logit) - onlm) ** 2) < before - 0.01


def test_temperature_is_the_minimum_that_scipy_finds(overconfident):
    from scipy.optimize import minimize_scalar

    logit, onlm = overconfident
    n, k = len(onlm), onlm.sum()
    target = np.where(onlm == 1, (k + 1) / (k + 2), 1 / (n - k + 2))

    def loss(log_temperature):
        z = logit / np.exp(log_temperature)
        return float(np.sum(np.logaddexp(0, z) - target * z))

    found = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    ours = Temperature.fit(logit, onlm)
    assert 1 / ours.slope == pytest.approx(np.exp(found.x), rel=1e-6)
    assert ours.intercept == 0
    np.testing.assert_array_equal(ours.apply(logit), sigmoid(logit * ours.slope))


def test_temperature_cools_what_is_too_sure_and_cannot_move_a_wrong_level():
    rng = np.random.default_rng(3)
    truth = rng.normal(0, 1.5, size=4000)
    onlm = (rng.random(4000) < sigmoid(truth)).astype(float)
    assert Temperature.fit(4 * truth, onlm).slope == pytest.approx(1 / 4, rel=0.1)
    assert Temperature.fit(truth / 2, onlm).slope == pytest.approx(2, rel=0.1)
    shifted = Temperature.fit(truth + 3, onlm).apply(truth + 3).mean() - onlm.mean()
    assert shifted > 0.05
    assert abs(Platt.fit(truth + 3, onlm).apply(truth + 3).mean() - onlm.mean()) < 0.002


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_classes_that_do_not_overlap_leave_the_slope_finite(kind):
    ours = fit_calibrator(kind, np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert 0 < ours.slope < 50


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_logits_that_are_all_the_same_give_everybody_the_prevalence(kind):
    ours = fit_calibrator(kind, np.zeros(40), np.repeat([1.0, 0.0], [8, 32]))
    assert ours.slope == 0 and "prevalence" in ours.note
    np.testing.assert_allclose(ours.apply(np.array([-5.0, 5.0])), 0.2, atol=0.02)


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_a_calibrator_survives_json(kind, overconfident):
    logit, onlm = overconfident
    ours = fit_calibrator(kind, logit, onlm)
    plain = json.loads(json.dumps(ours.to_dict()))
    assert plain["kind"] == kind
    assert plain["n"] == 2000 and plain["n_positive"] == int(onlm.sum())
    assert calibrator_from_dict(plain) == ours
    assert type(calibrator_from_dict(plain)) is type(ours)


def test_a_run_of_an_earlier_version_names_no_kind_and_had_platt_s():
    plain = {"intercept": -1.0, "slope": 0.5, "n": 10, "n_positive": 3, "note": ""}
    assert calibrator_from_dict(plain) == Platt(intercept=-1.0, slope=0.5, n=10, n_positive=3)


def test_a_kind_that_is_not_known_is_refused_with_the_known_ones(overconfident):
    with pytest.raises(OnlmError, match=r"calibration is 'isotonic'; wanted platt or temperature"):
        fit_calibrator("isotonic", *overconfident)
    with pytest.raises(OnlmError, match="'spline'"):
        calibrator_from_dict({"kind": "spline"})


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_a_model_that_ranks_backwards_is_not_turned_round(kind, overconfident):
    logit, onlm = overconfident
    ours = fit_calibrator(kind, -logit, onlm)
    assert ours.slope == 0
    assert "do not rise" in ours.note
    np.testing.assert_allclose(ours.apply(logit), onlm.mean(), atol=0.002)


@pytest.mark.parametrize("kind", ["platt", "temperature"])
def test_one_class_and_broken_logits_are_refused(kind):
    with pytest.raises(OnlmError, match="both classes; 0 of 3 are N"):
        fit_calibrator(kind, np.zeros(3), np.zeros(3))
    with pytest.raises(OnlmError, match="1 of 2 logits are not numbers"):
        fit_calibrator(kind, np.array([0.0, np.nan]), np.array([0.0, 1.0]))


def test_the_threshold_is_the_highest_that_reaches_the_sensitivity():
    risk = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    onlm = np.array([0, 1, 0, 1, 1, 1])
    assert threshold_for(risk, onlm, sensitivity=0.95) == 0.2
    assert threshold_for(risk, onlm, sensitivity=0.75) == 0.4


def test_sigmoid_does_not_overflow():
    np.testing.assert_allclose(sigmoid(np.array([-1e4, 0.0, 1e4])), [0.0, 0.5, 1.0])


def test_auc_is_scikit_learn_s(overconfident):
    from sklearn.metrics import roc_auc_score

    logit, onlm = overconfident
    assert auc(logit, onlm) == pytest.approx(roc_auc_score(onlm, logit), abs=1e-12)
    assert np.isnan(auc(logit, np.zeros_like(onlm)))
