"""Calibration of predicted event risks against R (make_event_calibration.R), and against risks known to be wrong."""

from __future__ import annotations

import math
import time

import numpy as np
import pandas as pd
import pytest
from event_calibration_reference import CASES, FITTED, R, case, simulated

from onlm_lab.analysis import calibrate_event_risk, cumulative_incidence, kaplan_meier
from onlm_lab.errors import OnlmError

Z = 1.959963984540054


def judge(name: str, **options):
    rows, asked = case(name)
    return calibrate_event_risk(rows, **asked, **options)


def bent(rows: pd.DataFrame, *, slope: float = 1.0, shift: float = 0.0) -> pd.DataFrame:
    """The same patients with the risks moved on the cloglog scale: slope above 1 makes them too extreme."""
    x = np.log(-np.log1p(-rows["p"]))
    middle = x.mean()
    return rows.assign(p=-np.expm1(-np.exp(middle + slope * (x - middle) + shift)))


@pytest.mark.parametrize("name", CASES)
def test_observed_and_predicted_and_their_ratio_equal_those_of_r(name):
    found, expected = judge(name), R[name]
    counts = ("n", "n_events", "n_competing", "n_censored")
    assert [getattr(found, c) for c in counts] == [expected[c] for c in counts]
    share = expected["observed"]
    assert [found.observed.value, found.observed.low, found.observed.high] == pytest.approx(
        [share["value"], share["low"], share["high"]], abs=1e-9
    )
    assert found.mean_predicted == pytest.approx(expected["mean_predicted"], abs=1e-12)
    ratio = share["value"] / expected["mean_predicted"]
    for estimate, se in ((found.oe_ratio, share["se"] / share["value"]), (found.oe_ratio_delta, expected["delta_se"])):
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx(
            [ratio, ratio * math.exp(-Z * se), ratio * math.exp(Z * se)], rel=1e-9
        )


@pytest.mark.parametrize("link", ["cloglog", "logit"])
@pytest.mark.parametrize("name", FITTED)
def test_intercept_and_slope_equal_those_of_geepack(name, link):
    found, expected = judge(name, link=link), R[name][link]
    for estimate, key in ((found.intercept, "intercept"), (found.intercept_joint, "joint"), (found.slope, "slope")):
        se = expected[f"{key}_se"]
        assert estimate.value == pytest.approx(expected[key], abs=1e-7)
        assert [estimate.low, estimate.high] == pytest.approx(
            [expected[key] - Z * se, expected[key] + Z * se], abs=1e-6
        )
        assert link in estimate.method


@pytest.mark.parametrize("name", FITTED)
def test_the_distances_from_the_smooth_curve_equal_those_of_the_exact_loess_in_r(name):
    found, expected = judge(name), R[name]["curve"]
    for measure in ("ici", "e50", "e90", "emax"):
        assert getattr(found, measure) == pytest.approx(expected[measure], abs=1e-8), measure


@pytest.mark.parametrize("name", FITTED)
def test_the_curve_and_its_band_equal_those_of_the_local_regression_in_r(name):
    rows, asked = case(name)
    curve, expected, risk = calibrate_event_risk(rows, **asked).curve, R[name]["curve"], rows["p"].dropna()
    assert len(curve) == min(51, risk.nunique())
    assert [curve["event_risk"].min(), curve["event_risk"].max()] == [risk.min(), risk.max()]
    for at, value, se in zip(expected["at"], expected["value"], expected["se"], strict=True):
        row = curve.iloc[(curve["event_risk"] - at).abs().argmin()]
        assert row.tolist() == pytest.approx([at, value, value - Z * se, value + Z * se], abs=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_groups_equal_the_estimator_within_quantiles_of_risk_in_r(name):
    found, expected = judge(name).groups, pd.DataFrame(R[name]["groups"])
    assert found["n"].tolist() == expected["n"].tolist()
    assert found["n_events"].tolist() == expected["n_events"].tolist()
    for ours, theirs in (("mean_predicted", "mean_predicted"), ("observed", "value"), ("low", "low"), ("high", "high")):
        assert found[ours].to_numpy() == pytest.approx(expected[theirs].to_numpy(dtype=float), abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", ["lung", "pbc"])
def test_riskregression_draws_the_same_tenths_and_a_curve_nearby(name):
    found, expected = judge(name), R[name]["riskRegression"]
    assert found.groups["mean_predicted"].to_numpy() == pytest.approx(expected["predicted"], abs=1e-9)
    assert found.groups["observed"].to_numpy() == pytest.approx(expected["observed"], abs=1e-9)
    near = pd.DataFrame(R[name]["nne"]).iloc[1:4]  # another smoother, nearest neighbours: alike where patients are many
    ours = np.interp(near["predicted"], found.curve["event_risk"], found.curve["observed"])
    assert np.abs(ours - near["observed"]).max() < 0.08


@pytest.mark.parametrize("competing", [False, True])
def test_true_risks_are_found_calibrated(competing):
    rows, asked = simulated(6000, seed=5, competing=competing)
    found = calibrate_event_risk(rows, **asked)
    assert found.oe_ratio.low < 1 < found.oe_ratio.high
    assert found.slope.low < 1 < found.slope.high
    assert found.intercept.low < 0 < found.intercept.high
    assert found.ici < 0.02


@pytest.mark.parametrize("competing", [False, True])
def test_risks_that_are_too_extreme_have_a_slope_below_one_and_too_high_ones_a_ratio_below_one(competing):
    rows, asked = simulated(3000, seed=6, competing=competing)
    extreme = calibrate_event_risk(bent(rows, slope=2.0), **asked)
    assert extreme.slope.high < 1 and extreme.slope.value == pytest.approx(0.5, abs=0.1)
    timid = calibrate_event_risk(bent(rows, slope=0.5), **asked)
    assert timid.slope.low > 1
    high = calibrate_event_risk(bent(rows, shift=0.5), **asked)
    assert high.oe_ratio.high < 1 and high.intercept.high < 0
    assert high.intercept.value == pytest.approx(-0.5, abs=0.15)
    low = calibrate_event_risk(bent(rows, shift=-0.5), **asked)
    assert low.oe_ratio.low > 1 and low.intercept.low > 0
    assert min(extreme.ici, high.ici, low.ici) > calibrate_event_risk(rows, **asked).ici


def test_observed_is_what_the_curves_of_survival_and_incidence_say():
    rows, asked = simulated(500, seed=7, competing=False)
    at = kaplan_meier(rows, endpoint="regional").at(days=[asked["horizon_days"]]).iloc[0]
    found = calibrate_event_risk(rows, **asked).observed
    assert [found.value, found.low, found.high] == pytest.approx([1 - at[c] for c in ("survival", "high", "low")])
    rows, asked = simulated(500, seed=7, competing=True)
    at = cumulative_incidence(rows).at(days=[asked["horizon_days"]]).iloc[0]
    found = calibrate_event_risk(rows, **asked).observed
    assert [found.value, found.low, found.high] == pytest.approx([at[c] for c in ("incidence", "low", "high")])


def test_few_events_have_no_slope_and_say_so():
    found = judge("tiny")
    assert math.isnan(found.slope.value) and math.isnan(found.intercept.value) and math.isnan(found.ici)
    assert "4 events by day 3, at least 10 are needed" in found.slope.note
    assert not len(found.curve) and any("at least 10" in note for note in found.notes)
    assert not math.isnan(judge("tiny", min_events=3).intercept.value)


@pytest.mark.parametrize("n_events", [0, 1])
def test_one_event_or_none_has_no_ratio_and_says_so(n_events):
    event = [1] * n_events + [0] * (30 - n_events)
    ids = [str(i) for i in range(30)]
    rows = pd.DataFrame(
        {"patient_id": ids, "os_days": range(10, 40), "os_event": event, "p": np.linspace(0.1, 0.9, 30)}
    )
    found = calibrate_event_risk(rows, endpoint="os", horizon_days=30, event_risk="p")
    assert math.isnan(found.oe_ratio.value) and f"{n_events} event" in found.oe_ratio.note
    assert found.n_events == n_events and found.n_censored == 20 - n_events
    assert math.isnan(found.observed.value) is False and math.isnan(found.observed.low) is (n_events == 0)


def test_past_the_last_follow_up_nothing_is_estimated():
    rows, asked = simulated(200, seed=8, competing=True)
    found = calibrate_event_risk(rows, **asked | {"horizon_days": 9000})
    for estimate in (found.oe_ratio, found.oe_ratio_delta, found.observed, found.intercept, found.slope):
        assert math.isnan(estimate.value) and "nobody is followed to day 9000" in estimate.note
    assert math.isnan(found.ici) and not len(found.curve) and "nobody is followed" in found.notes[-1]


def test_all_censored_is_a_result_with_a_note():
    rows, asked = simulated(60, seed=8, competing=False)
    found = calibrate_event_risk(rows.assign(regional_event=0), **asked)
    assert found.observed.value == 0 and math.isnan(found.oe_ratio.value) and found.n_events == 0
    assert found.groups["observed"].dropna().eq(0).all()


def test_one_risk_for_everybody_has_an_intercept_but_no_slope():
    rows, asked = simulated(300, seed=9, competing=False)
    found = calibrate_event_risk(rows.assign(p=0.2), **asked)
    assert math.isnan(found.slope.value) and "same risk" in found.slope.note
    assert not math.isnan(found.intercept.value) and math.isnan(found.ici) and len(found.groups) == 1
    assert any("share one risk" in note for note in found.notes)


def test_risks_of_exactly_zero_and_one_are_counted_in_a_note():
    rows, asked = simulated(300, seed=9, competing=False)
    rows.loc[0, "p"], rows.loc[1, "p"] = 0.0, 1.0
    found = calibrate_event_risk(rows, **asked)
    assert not math.isnan(found.slope.value) and any("2 of 300 risks were exactly 0 or 1" in n for n in found.notes)


def test_a_risk_of_n_positive_is_refused_and_a_table_of_event_risks_is_read():
    rows, asked = simulated(300, seed=10, competing=True)
    with pytest.raises(OnlmError, match="P\\(N\\+\\)"):
        calibrate_event_risk(rows.assign(risk=rows["p"]), **asked | {"event_risk": "risk"})
    listed = pd.DataFrame(
        {"patient_id": rows["patient_id"], "horizon_days": asked["horizon_days"], "event_risk": rows["p"]}
    )
    from_table = calibrate_event_risk(rows, **asked | {"event_risk": listed.iloc[:290]})
    assert from_table.n == 290 and from_table.n_excluded == {"no event risk": 10}
    whole = calibrate_event_risk(rows, **asked | {"event_risk": listed})
    assert whole.digest == calibrate_event_risk(rows, **asked).digest


@pytest.mark.parametrize(
    ("options", "said"), [({"link": "probit"}, "link must be"), ({"n_groups": 0}, "n_groups must")]
)
def test_options_that_make_no_sense_are_refused(options, said):
    rows, asked = simulated(50, seed=1, competing=False)
    with pytest.raises(OnlmError, match=said):
        calibrate_event_risk(rows, **asked, **options)


def test_twenty_thousand_patients_take_a_moment():
    rows, asked = simulated(20_000, seed=2, competing=True)
    start = time.perf_counter()
    calibrate_event_risk(rows, **asked)
    assert time.perf_counter() - start < 4  # 0.4 s
