"""Calibration equals R's numbers, goes the right way, and says why where there is none."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from binary_reference import OPERATING, R, scored

from onlm_lab.analysis import assess_calibration
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.errors import OnlmError

CASES = [("asah", "p1"), ("asah", "p2"), ("tiny25", "score"), ("tiny25", "score2")]


def wrong():
    """Risks of asah's second model, pulled together and raised: plogis(0.4 + 0.6 logit p2)."""
    rows = scored("asah", "p2")
    odds = np.log(rows["risk"] / (1 - rows["risk"]))
    return rows.assign(risk=1 / (1 + np.exp(-(0.4 + 0.6 * odds))))


def made(n=500, seed=2):
    rng = np.random.default_rng(seed)
    risk = rng.beta(1.5, 6, n)
    onlm = (rng.uniform(size=n) < risk).astype(float)
    return pd.DataFrame({"patient_id": np.arange(n), "onlm": onlm, "risk": risk})


@pytest.mark.parametrize(("name", "score"), [*CASES, ("asah", "wrong")])
def test_every_measure_equals_r(name, score):
    want = R[name]["calibration"][score]
    got = assess_calibration(wrong() if score == "wrong" else scored(name, score))
    for field in ("intercept", "intercept_joint", "slope"):
        estimate = getattr(got, field)
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx(want[field], abs=1e-7), field
    for estimate, ratio in ((got.oe_ratio, want["oe"]), (got.oe_ratio_delta, OPERATING["oe"][name][score])):
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx(ratio, abs=1e-12)
    assert [got.brier.value, got.brier.low, got.brier.high] == pytest.approx(want["brier"], abs=1e-12)
    for field in ("ici", "e50", "e90", "emax", "scaled_brier"):
        assert getattr(got, field) == pytest.approx(want[field], abs=1e-10), field
    assert got.groups["n"].tolist() == want["groups"]["n"]
    assert got.groups["n_events"].tolist() == want["groups"]["events"]
    assert (got.groups["n"] * got.groups["risk"]).tolist() == pytest.approx(want["groups"]["expected"], abs=1e-10)


def test_the_limits_by_the_delta_method_are_debrays_where_every_risk_is_the_same():
    got = assess_calibration(scored("asah", "p1").assign(risk=0.3)).oe_ratio_delta
    se = math.log(got.high / got.value) / 1.959963984540054
    assert se == pytest.approx(math.sqrt((1 - 41 / 113) / 41) * math.sqrt(113 / 112), abs=1e-12)


def test_observed_to_expected_is_surer_the_better_the_risks_tell_who_is_positive():
    rows = scored("asah", "p1")
    sharp = rows.assign(risk=0.3 + 0.4 * rows["onlm"])
    width = [math.log(r.high / r.low) for r in (assess_calibration(x).oe_ratio_delta for x in (sharp, rows))]
    assert width[0] < width[1]
    alike = assess_calibration(rows.assign(risk=rows["onlm"].clip(0, 1))).oe_ratio_delta
    assert alike.value == 1 and math.isnan(alike.low) and "do not differ" in alike.note


def test_the_curve_at_few_distinct_risks_equals_rs_exact_loess_with_its_band():
    for score in ("score", "score2"):
        rows, want = scored("tiny25", score), R["tiny25"]["calibration"][score]
        curve = assess_calibration(rows).curve
        place = np.searchsorted(curve["risk"], rows["risk"])
        np.testing.assert_allclose(curve["observed"].to_numpy()[place], want["fit"], atol=1e-10)
        half = (curve["high"] - curve["low"]).to_numpy()[place] / 2 / 1.959963984540054
        np.testing.assert_allclose(half, want["fit_se"], atol=1e-8)  # a variance of 0 is 1e-17 in one of the two


def test_many_distinct_risks_are_drawn_on_an_even_grid():
    rows = made(3000)
    curve = assess_calibration(rows).curve
    assert len(curve) == 101 and curve["risk"].iloc[0] == rows["risk"].min()
    assert (curve["low"] <= curve["observed"]).all() and (curve["observed"] <= curve["high"]).all()


def test_tight_convergence_equals_statsmodels_to_eight_digits():
    rows = made()
    x = np.log(rows["risk"] / (1 - rows["risk"])).to_numpy()
    design = np.column_stack([np.ones(len(x)), x])
    ours = fit_logistic(design, rows["onlm"].to_numpy())
    theirs = sm.GLM(rows["onlm"], design, family=sm.families.Binomial()).fit(tol=1e-15, tol_criterion="params")
    np.testing.assert_allclose(ours.coef, theirs.params, rtol=1e-9)
    np.testing.assert_allclose(ours.se, theirs.bse, rtol=1e-8)
    assert ours.log_likelihood == pytest.approx(theirs.llf, rel=1e-10)


def test_too_high_risks_have_a_negative_intercept_and_o_to_e_below_one():
    rows = made()
    high = assess_calibration(rows.assign(risk=rows["risk"] ** 0.5))
    assert high.intercept.value < 0 and high.oe_ratio.value < 1
    low = assess_calibration(rows.assign(risk=rows["risk"] ** 2))
    assert low.intercept.value > 0 and low.oe_ratio.value > 1


def test_too_extreme_risks_have_a_slope_below_one():
    rows = made()
    odds = np.log(rows["risk"] / (1 - rows["risk"]))
    assert assess_calibration(rows.assign(risk=1 / (1 + np.exp(-2 * odds)))).slope.high < 1
    assert assess_calibration(rows.assign(risk=1 - rows["risk"])).slope.value < 0


def test_a_true_risk_is_close_to_its_curve_and_a_false_one_is_far():
    rows = made(3000)
    good, bad = assess_calibration(rows), assess_calibration(rows.assign(risk=rows["risk"] ** 0.5))
    assert good.ici < 0.03 < bad.ici and good.emax >= good.e90 >= good.e50
    assert good.scaled_brier > bad.scaled_brier


def test_risks_of_exactly_zero_and_one_are_clipped_for_the_logit_only_and_counted():
    rows = made()
    rows.loc[:4, "risk"] = 0.0
    got = assess_calibration(rows)
    assert any("5 of 500 risks were exactly 0 or 1" in note for note in got.notes)
    assert math.isfinite(got.slope.value) and got.curve["risk"].iloc[0] == 0


def test_perfect_separation_has_no_slope_and_says_so():
    rows = pd.DataFrame({"patient_id": range(40), "onlm": [0.0] * 20 + [1.0] * 20, "risk": np.linspace(0.05, 0.9, 40)})
    got = assess_calibration(rows)
    assert math.isnan(got.slope.value) and "separate N+ from N0 completely" in got.slope.note
    assert math.isfinite(got.intercept.value) and math.isfinite(got.brier.value)
    touching = assess_calibration(rows.assign(risk=[0.2] * 10 + [0.5] * 20 + [0.7] * 10))  # they meet in one value
    assert math.isnan(touching.slope.value)


def test_one_class_only_gives_nan_with_a_note_and_keeps_what_is_known():
    got = assess_calibration(made().assign(onlm=0.0))
    assert math.isnan(got.intercept.value) and "all 500 patients are N0" in got.intercept.note
    assert got.oe_ratio.value == 0 and math.isnan(got.oe_ratio.high) and math.isnan(got.scaled_brier)


def test_one_risk_for_all_has_no_slope_and_no_curve():
    got = assess_calibration(made().assign(risk=0.2))
    assert got.slope.note == "every patient has the same risk" and math.isnan(got.ici)
    assert any("share one risk" in note for note in got.notes)
    assert len(got.groups) == 1 and got.groups["n"].tolist() == [500]


def test_apparent_is_carried():
    assert assess_calibration(made(), apparent=True).apparent


def test_dependent_columns_give_nan_with_a_note():
    rows = made(60)
    ones = np.ones((60, 1))
    fit = fit_logistic(np.hstack([ones, ones]), rows["onlm"].to_numpy())
    assert np.isnan(fit.coef).all() and "repeats another" in fit.note


@pytest.mark.parametrize("span", [0, 75, math.nan])
def test_a_span_that_is_no_share_is_refused(span):
    with pytest.raises(OnlmError, match=r"span must lie in \(0, 1\] .0.75, not 75., got"):
        assess_calibration(scored("asah", "p1"), span=span)
