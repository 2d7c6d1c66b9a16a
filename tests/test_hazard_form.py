"""The form of a covariate's effect against coxph with Hmisc's restricted cubic splines (reference/make_hazards.R)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hazard_reference import LUNG, PBC, TIES, R

from onlm_lab.analysis.hazard_form import functional_form
from onlm_lab.analysis.restricted_spline import harrell_knots, spline_basis
from onlm_lab.errors import OnlmError

CASES = {
    "lung": (LUNG, "age", 4, []),
    "ties": (TIES, "age", 3, ["sex", "ecog"]),
    "pbc": (PBC, "bili", 5, ["age"]),
}


@pytest.mark.parametrize("case", CASES)
def test_knots_tests_and_martingale_residuals_equal_those_of_r(case):
    rows, name, knots, others = CASES[case]
    found, expected = (
        functional_form(rows, endpoint="os", covariate=name, knots=knots, others=others),
        R[f"form_{case}"],
    )
    assert found.knots == pytest.approx(expected["knots"], rel=1e-12)
    full, line, without = expected["loglik"]
    assert found.nonlinearity.chi2 == pytest.approx(2 * (full - line), rel=1e-6, abs=1e-8)
    assert found.association.chi2 == pytest.approx(2 * (full - without), rel=1e-6)
    assert (found.nonlinearity.df, found.association.df) == (knots - 2, knots - 1)
    order = np.argsort(rows[name].to_numpy(), kind="stable")
    assert np.allclose(found.residuals["residual"], np.array(expected["martingale"])[order], rtol=1e-7, atol=1e-10)
    assert np.allclose(found.residuals["smooth"], expected["smooth"]["y"], rtol=1e-7, atol=1e-9)
    assert np.allclose(found.residuals["value"], expected["smooth"]["x"])


@pytest.mark.parametrize("case", CASES)
def test_the_curve_and_its_limits_equal_those_of_r(case, monkeypatch):
    rows, name, knots, others = CASES[case]
    expected = R[f"form_{case}"]
    monkeypatch.setattr(
        "onlm_lab.analysis.hazard_form.np.linspace", lambda *_: np.array(expected["grid"]), raising=True
    )
    monkeypatch.setattr("onlm_lab.analysis.hazard_form.harrell_knots", lambda *_, n_knots: np.array(expected["knots"]))
    found = functional_form(rows, endpoint="os", covariate=name, knots=knots, others=others)
    curve, half = found.curve, 1.959963984540054 * np.array(expected["se"])
    assert found.reference == np.median(rows[name])
    assert curve["log_hr"].tolist() == pytest.approx(expected["log_hr"], rel=1e-6, abs=1e-8)
    assert np.log(curve["high"]).tolist() == pytest.approx(
        (np.array(expected["log_hr"]) + half).tolist(), rel=1e-6, abs=1e-8
    )
    assert np.log(curve["low"]).tolist() == pytest.approx(
        (np.array(expected["log_hr"]) - half).tolist(), rel=1e-6, abs=1e-8
    )


def made(n: int, shape) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    risk = rng.uniform(size=n)
    days, end = rng.exponential(900 * np.exp(-shape(risk))), rng.uniform(100, 2500, n)
    ids = [f"P{i}" for i in range(n)]
    return pd.DataFrame(
        {"patient_id": ids, "risk": risk, "os_days": np.minimum(days, end), "os_event": (days <= end) * 1}
    )


def test_a_straight_effect_is_not_called_bent_and_a_bent_one_is():
    straight, bent = (
        functional_form(made(1500, f), endpoint="os") for f in (lambda r: 2 * r, lambda r: 8 * (r - 0.5) ** 2)
    )
    assert straight.nonlinearity.p_value > 0.05 and straight.curve["hr"].is_monotonic_increasing
    assert bent.nonlinearity.p_value < 1e-6
    ends, middle = bent.curve["hr"].iloc[[0, -1]], bent.curve["hr"].iloc[50]
    assert (ends > 2 * middle).all()


def test_the_ratio_is_one_at_the_reference_and_the_risk_is_on_its_own_scale():
    found = functional_form(made(400, lambda r: 2 * r), endpoint="os")
    near = found.curve.iloc[(found.curve["value"] - found.reference).abs().argmin()]
    assert near["hr"] == pytest.approx(1, abs=0.05) and found.curve["value"].between(0, 1).all()
    assert found.method == "Cox, Efron's ties; restricted cubic spline with 4 knots"


def test_the_spline_is_straight_beyond_its_outer_knots():
    knots = harrell_knots(np.arange(200.0), n_knots=5)
    basis = spline_basis(np.array([-40.0, -30, -20, 210, 220, 230]), knots)
    bend = np.diff(basis.reshape(2, 3, -1), n=2, axis=1)
    assert np.allclose(bend, 0, atol=1e-8)


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (LUNG.assign(os_event=0), "not fitted: 0 events for 3 coefficients"),
        (LUNG.assign(os_event=np.r_[1, np.zeros(len(LUNG) - 1, dtype=int)]), "not fitted: 1 events"),
    ],
)
def test_with_no_or_one_event_there_is_no_curve(rows, note):
    found = functional_form(rows, endpoint="os", covariate="age")
    assert found.curve["hr"].isna().all() and found.notes[0].startswith(note) and np.isnan(found.nonlinearity.p_value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariate": "sex"}, "functional_form needs a number, but 'sex' holds"),
        ({"covariate": "ecog"}, "4 knots need more distinct values: they fall on 0, "),
        ({"covariate": "age", "knots": 9}, "knots must be a whole number from 3 to 7, got 9"),
        ({"covariate": "age", "others": ["age"]}, "covariates name a column twice"),
        ({"covariate": "agee"}, "nearest present: 'age'"),
    ],
)
def test_what_cannot_be_bent_is_refused(options, message):
    with pytest.raises(OnlmError, match=message):
        functional_form(LUNG, endpoint="os", **options)
