"""Updating risks to a new place: the numbers of another implementation, honest afterwards, refused where few."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from onlm_lab.analysis import apply_recalibration, assess_calibration, recalibrate
from onlm_lab.analysis.recalibration import MOVED
from onlm_lab.errors import OnlmError


def made(n, *, seed, intercept=0.0, slope=1.0, prevalence_log_odds=-1.5):
    """A place whose true log odds are intercept + slope * those of the model."""
    rng = np.random.default_rng(seed)
    x = rng.normal(prevalence_log_odds, 1.0, n)
    onlm = rng.random(n) < expit(intercept + slope * x)
    return pd.DataFrame({"patient_id": [f"P{i}" for i in range(n)], "onlm": onlm.astype(float), "risk": expit(x)})


def peer(rows, *, extent):
    """statsmodels' GLM: with the log odds as offset, or as a covariate."""
    import statsmodels.api as sm

    x, ones = np.log(rows["risk"] / (1 - rows["risk"])), np.ones(len(rows))
    family = sm.families.Binomial()
    if extent == "intercept":
        return sm.GLM(rows["onlm"], ones, family=family, offset=x).fit(tol=1e-14)
    return sm.GLM(rows["onlm"], sm.add_constant(x), family=family).fit(tol=1e-14)


@pytest.fixture(scope="module")
def overpredicted():
    return made(600, seed=1, intercept=-1.0)


@pytest.fixture(scope="module")
def overconfident():
    return made(600, seed=2, intercept=-0.6, slope=0.5)


def test_the_intercept_is_that_of_a_logistic_regression_with_offset(overpredicted):
    found, expected = recalibrate(overpredicted, method="intercept"), peer(overpredicted, extent="intercept")
    assert found.intercept.value == pytest.approx(expected.params.iloc[0], abs=1e-8)
    low, high = expected.conf_int().iloc[0]
    assert (found.intercept.low, found.intercept.high) == pytest.approx((low, high), abs=1e-7)
    assert found.slope.value == 1 and found.chosen == "intercept"


def test_intercept_and_slope_are_those_of_a_logistic_regression(overconfident):
    found, expected = recalibrate(overconfident, method="both"), peer(overconfident, extent="both")
    assert [found.intercept.value, found.slope.value] == pytest.approx(list(expected.params), abs=1e-8)
    low, high = expected.conf_int().iloc[1]
    assert (found.slope.low, found.slope.high) == pytest.approx((low, high), abs=1e-7)


def test_an_update_mends_what_was_wrong_and_says_that_it_is_apparent(overpredicted, overconfident):
    level = recalibrate(overpredicted, method="intercept")
    assert level.before.oe_ratio.value < 0.65 < 0.9 < level.after.oe_ratio.value == pytest.approx(1)
    assert level.intercept.high < 0, "risks were too high, so they are lowered"
    stretch = recalibrate(overconfident, method="both")
    assert stretch.before.slope.value < 0.7
    assert stretch.after.slope.value == pytest.approx(1) and stretch.after.intercept.value == pytest.approx(0, abs=1e-9)
    for found in (level, stretch):
        assert found.after.apparent and not found.before.apparent and not found.cross_fitted.apparent
        assert found.cross_fitted.brier.value < found.before.brier.value


def test_intercept_alone_does_not_mend_a_slope(overconfident):
    found = recalibrate(overconfident, method="intercept")
    assert found.after.slope.value == pytest.approx(found.before.slope.value)


def test_the_closed_test_is_the_likelihood_ratio_of_another_implementation(overconfident):
    found = recalibrate(overconfident, method="test")
    both, intercept = peer(overconfident, extent="both"), peer(overconfident, extent="intercept")
    x = np.log(overconfident["risk"] / (1 - overconfident["risk"]))
    nothing = float(np.sum(overconfident["onlm"] * x - np.log1p(np.exp(x))))
    assert found.tests["kept"].tolist() == ["none", "intercept"] and (found.tests["against"] == "both").all()
    assert found.tests["df"].tolist() == [2, 1]
    assert found.tests["chi2"].tolist() == pytest.approx([2 * (both.llf - nothing), 2 * (both.llf - intercept.llf)])
    from scipy.stats import chi2

    assert found.tests["p_value"].tolist() == pytest.approx(chi2.sf(found.tests["chi2"], [2, 1]).tolist())
    assert found.chosen == "both"


def test_the_closed_test_chooses_no_more_than_the_place_asks_for(overpredicted):
    assert recalibrate(overpredicted, method="test").chosen == "intercept"
    chosen = [recalibrate(made(250, seed=s), method="test").chosen for s in range(60)]
    assert chosen.count("none") >= 52, "at 0.05, about 57 of 60 places without need are left alone"


def test_cross_fitting_tells_what_new_patients_of_the_place_will_see():
    """40 places of 90 patients: Brier score above that of the true risks, which only a made-up world knows.

    Apparent, the update looks better than the truth itself; cross-fitted it shows the loss that new patients will see.
    """
    truth, look = {"intercept": -0.5, "slope": 1.2}, {"prevalence_log_odds": -0.8}
    new = made(20_000, seed=999, **truth, **look)

    def true_brier(rows):
        risk = apply_recalibration(rows, **truth)["risk"]
        return float(((risk - rows["onlm"]) ** 2).mean())

    apparent, honest, later = [], [], []
    for seed in range(40):
        place = made(90, seed=seed, **truth, **look)
        found = recalibrate(place, method="both")
        moved = apply_recalibration(new, intercept=found.intercept.value, slope=found.slope.value)
        apparent.append(found.after.brier.value - true_brier(place))
        honest.append(found.cross_fitted.brier.value - true_brier(place))
        later.append(float(((moved["risk"] - moved["onlm"]) ** 2).mean()) - true_brier(new))
    assert np.mean(apparent) < 0 < np.mean(later)
    assert np.mean(honest) == pytest.approx(np.mean(later), rel=0.5)


def test_the_same_rows_give_the_same_folds_and_a_generator_draws_others(overconfident):
    first, again = (recalibrate(overconfident, method="both") for _ in range(2))
    assert first.digest == again.digest
    other = recalibrate(overconfident, method="both", generator=np.random.default_rng(3))
    assert other.cross_fitted.digest != first.cross_fitted.digest
    assert other.after.digest == first.after.digest, "the update itself knows no chance"


def with_events(n_events, n=80):
    rows = made(n, seed=4)
    rows["onlm"] = 0.0
    rows.loc[rows["risk"].sort_values(ascending=False).index[: 3 * n_events : 3], "onlm"] = 1.0
    return rows


def test_below_ten_events_the_slope_is_refused_and_the_intercept_is_not():
    rows = with_events(8)
    found = recalibrate(rows, method="both")
    assert found.chosen == "refused" and found.after is None and found.cross_fitted is None
    assert math.isnan(found.intercept.value) and math.isnan(found.slope.value)
    assert "8 patients of the rarer class; an update of the slope needs at least 10" in found.notes
    assert recalibrate(rows, method="intercept").chosen == "intercept"
    tested = recalibrate(rows, method="test")
    assert tested.chosen in ("none", "intercept") and tested.tests["against"].tolist() == ["intercept"]
    assert any("slope not tested: 8 patients" in note for note in tested.notes)


@pytest.mark.parametrize("method", ["intercept", "both", "test"])
@pytest.mark.parametrize("n_events", [0, 4])
def test_below_five_events_every_update_is_refused(method, n_events):
    found = recalibrate(with_events(n_events), method=method)
    assert found.chosen == "refused" and math.isnan(found.intercept.value)
    assert f"{n_events} patients of the rarer class; any update needs at least 5" in found.notes
    assert found.n_events == n_events and found.before.n == 80
    assert found.tests.empty and found.tests["p_value"].dtype == float
    with pytest.raises(OnlmError, match="most often too few"):
        apply_recalibration(with_events(n_events), intercept=found.intercept.value, slope=found.slope.value)


def test_few_n0_count_as_few(overpredicted):
    rows = with_events(7).assign(onlm=lambda t: 1 - t["onlm"])
    assert recalibrate(rows, method="both").chosen == "refused"


def test_risks_that_rank_backwards_are_not_turned_round(overconfident):
    backwards = overconfident.assign(risk=lambda t: 1 - t["risk"])
    found = recalibrate(backwards, method="both")
    assert found.chosen == "refused"
    assert any("a higher risk goes with fewer N+" in note for note in found.notes)
    with pytest.raises(OnlmError, match=r"slope is -1; wanted above 0"):
        apply_recalibration(backwards, intercept=0.0, slope=-1.0)


def test_where_an_update_fails_without_a_fold_the_result_says_so():
    """A risk that hardly rises: without one of the folds it falls, and there is no honest number."""
    found = recalibrate(made(90, seed=18, intercept=-0.5, slope=0.9, prevalence_log_odds=-0.8), method="both")
    assert found.chosen == "both" and found.after is not None and found.cross_fitted is None
    assert found.notes[-1].startswith("not cross-fitted: without fold 1 of 10: slope")


def test_risks_that_are_all_the_same_or_separate_the_classes_have_no_slope(overconfident):
    flat = recalibrate(overconfident.assign(risk=0.3), method="both")
    assert flat.chosen == "refused" and "every patient has the same risk" in flat.notes
    assert recalibrate(overconfident.assign(risk=0.3), method="intercept").after.oe_ratio.value == pytest.approx(1)
    apart = recalibrate(overconfident.assign(risk=lambda t: 0.1 + 0.7 * t["onlm"]), method="both")
    assert apart.chosen == "refused" and any("no finite slope" in note for note in apart.notes)


def test_doing_nothing_is_a_method_and_changes_nothing(overpredicted):
    found = recalibrate(overpredicted, method="none")
    assert found.chosen == "none" and (found.intercept.value, found.slope.value) == (0, 1)
    assert found.cross_fitted.oe_ratio.value == found.before.oe_ratio.value
    moved = apply_recalibration(overpredicted, intercept=0.0, slope=1.0)
    pd.testing.assert_frame_equal(moved, overpredicted)


def test_patients_without_label_are_counted_and_teach_nothing(overpredicted):
    more = pd.concat([overpredicted, made(50, seed=8).assign(onlm=np.nan, patient_id=[f"Q{i}" for i in range(50)])])
    found = recalibrate(more, method="intercept")
    assert found.n == 600 and found.n_excluded == {"label missing": 50}
    assert found.intercept.value == recalibrate(overpredicted, method="intercept").intercept.value


def test_other_rows_are_moved_by_the_same_two_numbers_and_nobody_changes_sides():
    rows = made(300, seed=5).assign(
        risk_low=lambda t: 0.8 * t["risk"], risk_high=lambda t: np.minimum(1, 1.2 * t["risk"]), threshold=0.17,
        predicted_positive=lambda t: (t["risk"] >= 0.17).astype(float), risk_raw=0.5,
    )  # fmt: skip
    rows.loc[0, ["risk_low", "risk_high"]] = np.nan
    rows.loc[1, "threshold"] = np.inf
    before = rows.copy()
    moved = apply_recalibration(rows, intercept=-0.7, slope=1.4)
    pd.testing.assert_frame_equal(rows, before)
    assert moved["risk"].to_numpy() == pytest.approx(expit(-0.7 + 1.4 * np.log(rows["risk"] / (1 - rows["risk"]))))
    known = moved.drop(index=[0, 1])
    assert ((known["risk"] >= known["threshold"]) == (known["predicted_positive"] == 1)).all()
    assert (known["risk_low"] <= known["risk"]).all() and (known["risk"] <= known["risk_high"]).all()
    assert np.isnan(moved.loc[0, "risk_low"]) and np.isinf(moved.loc[1, "threshold"])
    same = [c for c in rows if c not in MOVED]
    pd.testing.assert_frame_equal(moved[same], rows[same])


def test_a_new_sample_of_the_place_is_better_calibrated_after_the_update():
    new = made(4000, seed=77, intercept=-0.6, slope=0.5)
    found = recalibrate(made(3000, seed=78, intercept=-0.6, slope=0.5), method="test")
    moved = apply_recalibration(new, intercept=found.intercept.value, slope=found.slope.value)
    assert assess_calibration(moved).ici < 0.3 * assess_calibration(new).ici


def test_the_result_goes_through_json(overconfident):
    for rows in (overconfident, with_events(3)):
        said = json.loads(json.dumps(recalibrate(rows).to_dict(), allow_nan=False))
        assert {"chosen", "intercept", "slope", "before", "after", "cross_fitted", "tests"} <= set(said)


def test_what_cannot_be_asked_for_is_refused(overconfident):
    with pytest.raises(OnlmError, match=r"one of none, intercept, both, test, got 'bot'. Did you mean 'both'\?"):
        recalibrate(overconfident, method="bot")
    with pytest.raises(OnlmError, match="n_folds must be at least 2, got 1"):
        recalibrate(overconfident, n_folds=1)
    with pytest.raises(OnlmError, match="no column risk; they have patient_id"):
        apply_recalibration(overconfident[["patient_id"]], intercept=0.1, slope=1.0)
    with pytest.raises(OnlmError, match=r"risk_high must lie in \[0, 1\]"):
        apply_recalibration(overconfident.assign(risk_high=7.0), intercept=0.1, slope=1.0)
