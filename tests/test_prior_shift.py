"""What a re-weighted loss and another prevalence do to risks is taken back: against closed form and a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from onlm_lab.errors import OnlmError
from onlm_lab.learning.prior_shift import shift_prior, undo_loss

FINDING = np.linspace(-4, 4, 41)


def normal_world(prevalence, x=FINDING):
    """The true risk where the finding is N(1, 1) in N+ and N(0, 1) in N0: log odds = x - 1/2 + log prior odds."""
    return expit(x - 0.5 + logit(prevalence))


@pytest.mark.parametrize(("here", "there"), [(0.15, 0.06), (0.15, 0.4), (0.5, 0.01), (0.2, 0.2)])
def test_the_shifted_risk_is_the_true_risk_at_the_other_prevalence(here, there):
    ours = shift_prior(normal_world(here), from_prevalence=here, to_prevalence=there)
    np.testing.assert_allclose(ours, normal_world(there), rtol=1e-12)


def test_shifting_there_and_back_changes_nothing_and_a_rarer_disease_lowers_every_risk():
    risk = normal_world(0.15)
    down = shift_prior(risk, from_prevalence=0.15, to_prevalence=0.05)
    assert (down < risk).all()
    assert (np.diff(down) > 0).all(), "the order of patients is kept"
    np.testing.assert_allclose(shift_prior(down, from_prevalence=0.05, to_prevalence=0.15), risk, rtol=1e-12)


def test_certain_risks_stay_certain():
    np.testing.assert_array_equal(shift_prior([0.0, 1.0], from_prevalence=0.2, to_prevalence=0.9), [0, 1])


def test_shifted_risks_of_a_simulated_clinic_mean_what_they_say():
    """A model calibrated at 30 % N+, applied where 8 % are, promises twice too much; shifted it is right."""
    rng = np.random.default_rng(5)
    onlm = rng.random(200_000) < 0.08
    x = rng.normal(onlm.astype(float), 1)
    as_it_is = normal_world(0.3, x)
    shifted = shift_prior(as_it_is, from_prevalence=0.3, to_prevalence=0.08)
    assert as_it_is.sum() / onlm.sum() > 2
    assert shifted.sum() / onlm.sum() == pytest.approx(1, abs=0.02)


def test_what_is_no_prevalence_and_no_risk_is_refused():
    with pytest.raises(OnlmError, match=r"to_prevalence is 15; wanted between 0 and 1"):
        shift_prior([0.2], from_prevalence=0.2, to_prevalence=15)
    with pytest.raises(OnlmError, match=r"from_prevalence is 0.0"):
        shift_prior([0.2], from_prevalence=0.0, to_prevalence=0.1)
    with pytest.raises(OnlmError, match="2 of 3 risks lie outside"):
        shift_prior([0.2, -1, 7], from_prevalence=0.2, to_prevalence=0.1)


def fit(x, onlm, *, sample_weight):
    """Another implementation's weighted logistic regression: log odds of each row."""
    import statsmodels.api as sm

    design = sm.add_constant(x)
    found = sm.GLM(onlm, design, family=sm.families.Binomial(), freq_weights=sample_weight).fit(tol=1e-12)
    return design @ found.params


def test_log_odds_learnt_with_a_weight_come_back_to_the_unweighted_ones():
    rng = np.random.default_rng(0)
    onlm = (rng.random(40_000) < 0.12).astype(float)
    x = rng.normal(onlm, 1)
    weight = 7.5
    weighted = fit(x, onlm, sample_weight=np.where(onlm == 1, weight, 1.0))
    assert expit(weighted).mean() > 0.3, "re-weighting makes risks too high"
    ours = expit(undo_loss(weighted, loss="weighted", positive_weight=weight))
    assert ours.mean() == pytest.approx(onlm.mean(), abs=0.004)
    np.testing.assert_allclose(ours, normal_world(0.12, x), atol=0.012)


def minimum_of_focal(risk, *, gamma, weight):
    """The logit with the least expected focal loss where N+ has this probability, by brute force."""
    from scipy.optimize import minimize_scalar

    def loss(s):
        log_q, log_p = -np.logaddexp(0, -s), -np.logaddexp(0, s)  # p = 1 - q
        positive = -weight * risk * np.exp(gamma * log_p) * log_q
        return positive - (1 - risk) * np.exp(gamma * log_q) * log_p

    return minimize_scalar(loss, bounds=(-12, 12), method="bounded", options={"xatol": 1e-9}).x


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_risk_behind_the_minimum_of_the_focal_loss_is_found(gamma, weight):
    risks = [0.02, 0.1, 0.3, 0.5, 0.8, 0.95]
    learnt = np.array([minimum_of_focal(r, gamma=gamma, weight=weight) for r in risks])
    ours = undo_loss(learnt, loss="focal", positive_weight=weight, focal_gamma=gamma)
    np.testing.assert_allclose(expit(ours), risks, atol=1e-6)


def test_focal_risks_lie_too_near_one_half_and_no_shift_repairs_them():
    learnt = np.array([minimum_of_focal(r, gamma=2.0, weight=1.0) for r in (0.02, 0.3, 0.9)])
    true = logit([0.02, 0.3, 0.9])
    assert (np.abs(learnt) < np.abs(true)).all()
    assert np.ptp(true - learnt) > 1, "the gap differs from risk to risk"


def test_extreme_logits_neither_overflow_nor_change_sides():
    given = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
    ours = undo_loss(given, loss="focal", focal_gamma=2.0)
    assert np.isfinite(ours).all() and (np.diff(ours) > 0).all()
    assert ours[2] == 0
    np.testing.assert_allclose(ours, -ours[::-1])


def test_the_plain_loss_is_left_alone_and_odd_requests_are_refused():
    np.testing.assert_array_equal(undo_loss(FINDING, loss="plain"), FINDING)
    with pytest.raises(OnlmError, match="loss is 'dice'; wanted plain, weighted, focal"):
        undo_loss(FINDING, loss="dice")
    with pytest.raises(OnlmError, match=r"positive_weight is 0\.0; wanted above 0"):
        undo_loss(FINDING, loss="weighted", positive_weight=0.0)
    with pytest.raises(OnlmError, match="beside the plain loss"):
        undo_loss(FINDING, loss="plain", positive_weight=3.0)
    with pytest.raises(OnlmError, match="focal_gamma is -1"):
        undo_loss(FINDING, loss="focal", focal_gamma=-1)
