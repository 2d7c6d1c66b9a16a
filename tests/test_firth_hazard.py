"""Cox's model with Firth's penalty against a numerical maximum in R (reference/make_firth_hazard.R)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hazard_reference import BASIC, FIRTH, LUNG, TIES

from onlm_lab.analysis.firth_hazard import _point, fit_firth_cox
from onlm_lab.analysis.hazard import cox
from onlm_lab.analysis.partial_likelihood import risk_sets

SEPARATED = pd.DataFrame(FIRTH["separated"]).rename(columns={"days": "os_days", "event": "os_event"})
SEPARATED["patient_id"] = SEPARATED.index.astype(str)
CASES = {
    "separated": (SEPARATED, ["age", "marker"], None),
    "one": (SEPARATED, ["marker"], None),
    "lung": (LUNG, BASIC, None),
    "ties": (TIES, ["age", "ecog"], "sex"),
}


@pytest.mark.parametrize("case", CASES)
def test_coefficients_errors_profile_limits_and_p_equal_a_numerical_maximum_in_r(case):
    rows, covariates, strata = CASES[case]
    fit, expected = (
        cox(rows, endpoint="os", covariates=covariates, strata=strata, penalty="firth"),
        FIRTH[f"firth_{case}"],
    )
    found = fit.table.assign(low=np.log(fit.table["low"]), high=np.log(fit.table["high"]))
    for ours, theirs in (("coef", "coef"), ("se", "se"), ("low", "low"), ("high", "high"), ("p_value", "p")):
        assert found[ours].tolist() == pytest.approx(np.atleast_1d(expected[theirs]).tolist(), rel=2e-6), ours
    assert fit.likelihood_ratio.chi2 == pytest.approx(expected["lr"], rel=1e-8)
    assert "Firth's penalty" in fit.method and "profile of the penalised likelihood" in fit.notes[0]


def test_a_separated_covariate_is_infinite_without_the_penalty_and_finite_with_it():
    plain = cox(SEPARATED, endpoint="os", covariates=["marker"])
    firth = cox(SEPARATED, endpoint="os", covariates=["marker"], penalty="firth")
    assert plain.table["hr"].isna().all()
    row = firth.table.iloc[0]
    assert row["low"] < row["hr"] < row["high"] < 1 and row["p_value"] < 0.05
    assert not any("no finite" in note for note in firth.notes) and firth.ph_test["chi2"].notna().all()


def test_the_modified_score_is_the_slope_of_the_penalised_likelihood_with_ties_and_strata():
    rng = np.random.default_rng(3)
    x, days, event = rng.normal(size=(50, 3)), rng.integers(1, 9, 50).astype(float), rng.uniform(size=50) < 0.6
    sets = risk_sets(x, days, event, rng.integers(0, 2, 50))
    at, h = np.array([0.4, -0.3, 0.1]), 1e-5
    slope = [(_point(sets, at + h * e).value - _point(sets, at - h * e).value) / (2 * h) for e in np.eye(3)]
    assert _point(sets, at).score.tolist() == pytest.approx(slope, rel=1e-6)


def test_limits_lie_where_the_profile_has_fallen_by_half_the_quantile_and_the_score_is_solved():
    x = LUNG[["age", "ecog"]].to_numpy(float)
    days, event = LUNG["os_days"].to_numpy(float), LUNG["os_event"].to_numpy() == 1
    fit = fit_firth_cox(x, days, event, stratum=np.zeros(len(x), dtype=int))
    assert np.abs(_point(fit.cox.sets, fit.cox.coef * fit.cox.scale).score).max() < 1e-7
    assert (fit.low < fit.cox.coef).all() and (fit.cox.coef < fit.high).all()


def test_with_many_events_the_penalty_changes_little_and_shrinks():
    rng = np.random.default_rng(5)
    risk = rng.uniform(size=2000)
    rows = pd.DataFrame({"patient_id": range(2000), "risk": risk, "os_event": 1})
    rows["os_days"] = rng.exponential(900 * np.exp(-2 * risk))
    plain, firth = (cox(rows, endpoint="os", covariates=["risk"], penalty=p) for p in (None, "firth"))
    a, b = plain.table.iloc[0], firth.table.iloc[0]
    assert 0 < b["coef"] < a["coef"] and b["coef"] == pytest.approx(a["coef"], rel=2e-3)
    assert b["low"] == pytest.approx(a["low"], rel=5e-3) and b["high"] == pytest.approx(a["high"], rel=5e-3)
    assert firth.ph_test["chi2"][0] == pytest.approx(plain.ph_test["chi2"][0], rel=0.05)


def test_the_other_direction_turns_the_sign():
    a, b = (cox(SEPARATED.assign(marker=m), endpoint="os", covariates=["marker"], penalty="firth").table.iloc[0]
            for m in (SEPARATED["marker"], 1 - SEPARATED["marker"]))  # fmt: skip
    assert a["coef"] == pytest.approx(-b["coef"], rel=1e-8) and a["low"] == pytest.approx(1 / b["high"], rel=1e-7)


@pytest.mark.parametrize("n_events", [0, 1])
def test_no_or_one_event_is_no_estimate(n_events):
    event = [1] * n_events + [0] * (len(SEPARATED) - n_events)
    fit = cox(SEPARATED.assign(os_event=event), endpoint="os", covariates=["age"], penalty="firth")
    assert fit.table[["hr", "low", "high", "p_value"]].isna().all(axis=None) and "not fitted" in fit.notes[0]


def test_a_covariate_that_is_the_same_at_every_event_is_nan_and_the_others_are_as_without_it():
    rows = SEPARATED.assign(late=(SEPARATED["os_days"] < 3).astype(int))
    rows.loc[len(rows)] = {"os_days": 1, "os_event": 0, "age": 60, "marker": 0, "patient_id": "x", "late": 1}
    fit = cox(rows, endpoint="os", covariates=["age", "late"], penalty="firth")
    alone = cox(rows, endpoint="os", covariates=["age"], penalty="firth")
    assert math.isnan(fit.table["hr"][1]) and any(note.startswith("late: no finite") for note in fit.notes)
    assert fit.table["coef"][0] == pytest.approx(alone.table["coef"][0], rel=1e-8)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_separated_estimate_limits_and_p_are_finite_and_agree(seed):
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(20, 60)), int(rng.integers(1, 4))
    x = np.column_stack([rng.permutation(n) % 2 if j % 2 else rng.normal(size=n) for j in range(p)]).astype(float)
    event = np.zeros(n, dtype=bool)
    event[np.argsort(-x[:, 0])[: p + 2]] = True  # the events have the highest values
    fit = fit_firth_cox(x, rng.integers(1, 12, n).astype(float), event, stratum=np.zeros(n, dtype=int))
    assert np.isfinite([fit.cox.coef, fit.low, fit.high, fit.p_value]).all()
    assert (fit.low < fit.cox.coef).all() and (fit.cox.coef < fit.high).all() and fit.cox.coef[0] > 0
    assert (((fit.low > 0) | (fit.high < 0)) == (fit.p_value < 0.05)).all()
    assert np.abs(_point(fit.cox.sets, fit.cox.coef * fit.cox.scale).score).max() < 1e-8
