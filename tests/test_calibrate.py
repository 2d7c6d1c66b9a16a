"""Calibration and threshold: right against another implementation, and never upside down."""

from __future__ import annotations

import numpy as np
import pytest

from onlm_lab.errors import OnlmError
from onlm_lab.learning.calibrate import Platt, auc, sigmoid, threshold_for


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


def test_classes_that_do_not_overlap_leave_the_slope_finite():
    ours = Platt.fit(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert 0 < ours.slope < 50


def test_a_model_that_ranks_backwards_is_not_turned_round(overconfident):
    logit, onlm = overconfident
    ours = Platt.fit(-logit, onlm)
    assert ours.slope == 0
    assert "do not rise" in ours.note
    np.testing.assert_allclose(ours.apply(logit), onlm.mean(), atol=0.002)


def test_one_class_and_broken_logits_are_refused():
    with pytest.raises(OnlmError, match="both classes; 0 of 3 are N"):
        Platt.fit(np.zeros(3), np.zeros(3))
    with pytest.raises(OnlmError, match="1 of 2 logits are not numbers"):
        Platt.fit(np.array([0.0, np.nan]), np.array([0.0, 1.0]))


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
