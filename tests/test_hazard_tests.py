"""Tests of a whole Cox model, Uno's C and the scales of time, against R survival (reference/make_hazards.R)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hazard_reference import BASIC, BOTH, GRADE, LUNG, TIES, R
from survival_reference import TIMED, table

from onlm_lab.analysis.concordance import concordance
from onlm_lab.analysis.hazard import cox
from onlm_lab.errors import OnlmError

WHOLE = {
    "lung": (LUNG, BASIC, {"tau_days": 600}),
    "ties": (TIES, BASIC, {"tau_days": 9}),
    "strata": (BOTH, ["age", "ecog"], {"strata": ["sex", "half"]}),
    "cluster": (LUNG, BASIC, {"cluster": "inst"}),
}


@pytest.mark.parametrize("case", WHOLE)
def test_the_tests_of_the_whole_model_and_its_criterion_equal_those_of_r(case):
    rows, covariates, options = WHOLE[case]
    fit, expected = cox(rows, endpoint="os", covariates=covariates, **options), R[f"whole_{case}"]
    assert fit.log_likelihood == pytest.approx(expected["loglik"][-1], rel=1e-9)
    assert fit.table["coef"].tolist() == pytest.approx(expected["coef"], rel=1e-7)
    assert fit.table["se"].tolist() == pytest.approx(expected["se"], rel=1e-7)
    assert fit.aic == pytest.approx(expected["aic"], rel=1e-9)
    for ours, theirs in (("likelihood_ratio", "lr"), ("wald", "wald"), ("score", "score")):
        found = getattr(fit, ours)
        assert found.chi2 == pytest.approx(expected[theirs][0], rel=1e-7) and found.df == expected[theirs][1]
    assert fit.likelihood_ratio.p_value == pytest.approx(expected["lr"][2], rel=1e-6)


@pytest.mark.parametrize("case", ["lung", "ties"])
def test_unos_c_of_the_linear_predictor_equals_that_of_r(case):
    rows, covariates, options = WHOLE[case]
    uno, expected = cox(rows, endpoint="os", covariates=covariates, **options).uno, R[f"whole_{case}"]
    assert uno.value == pytest.approx(expected["uno"], rel=1e-9)
    assert (uno.high - uno.low) / 2 / 1.959963984540054 == pytest.approx(expected["uno_se"], rel=1e-7)
    assert f"up to day {options['tau_days']}" in uno.note


ZPH = {
    "lung": (LUNG, BASIC, {}),
    "ties": (TIES, BASIC, {}),
    "strata": (BOTH, ["age", "ecog"], {"strata": ["sex", "half"]}),
    "factor": (GRADE, ["age", "ecog"], {}),
}


@pytest.mark.parametrize("case", ZPH)
def test_the_test_of_proportional_hazards_equals_that_of_r_on_every_scale_of_time(case):
    rows, covariates, options = ZPH[case]
    for transform, expected in R[f"zph_{case}"].items():
        found = cox(rows, endpoint="os", covariates=covariates, transform=transform, **options).ph_test
        assert found["covariate"].tolist() == expected["name"]
        assert found["chi2"].tolist() == pytest.approx(expected["chi2"], rel=1e-7)
        assert found["df"].tolist() == expected["df"]
        assert found["p_value"].tolist() == pytest.approx(expected["p"], rel=1e-7)


def test_a_death_on_day_zero_has_no_logarithm():
    rows = LUNG.assign(os_days=LUNG["os_days"] - LUNG["os_days"].min())
    assert cox(rows, endpoint="os", covariates=["age"], transform="log").ph_test["chi2"].isna().all()


def test_uno_is_left_out_where_events_compete_or_strata_are_apart_and_says_why():
    pbc = table("pbc", names=TIMED | {"state": "regional_state"}).assign(regional_days=lambda d: d["os_days"])
    assert "other events compete" in cox(pbc, endpoint="regional", covariates=["age"], cause=1).uno.note
    assert "stratified" in cox(LUNG, endpoint="os", covariates=["age"], strata="sex").uno.note
    assert "no event up to day 1" in cox(LUNG, endpoint="os", covariates=["age"], tau_days=1).uno.note


def test_without_a_day_there_is_no_uno():
    uno = cox(LUNG, endpoint="os", covariates=["age"]).uno
    assert math.isnan(uno.value) and "name tau_days" in uno.note


def test_several_strata_are_their_combinations():
    joined = BOTH.assign(both=BOTH["sex"] + BOTH["half"])
    one = cox(joined, endpoint="os", covariates=["age"], strata="both")
    two = cox(joined, endpoint="os", covariates=["age"], strata=["sex", "half"])
    assert one.log_likelihood == pytest.approx(two.log_likelihood, rel=1e-12)
    assert one.concordance.value == pytest.approx(two.concordance.value, rel=1e-12)
    assert two.method == "Cox, Efron's ties, stratified by sex and half"


def test_with_no_event_every_test_is_nan_and_says_why():
    fit = cox(LUNG.assign(os_event=0), endpoint="os", covariates=["age"])
    for test in (fit.likelihood_ratio, fit.wald, fit.score):
        assert math.isnan(test.chi2) and test.note == "not fitted: 0 events for 1 coefficients"
    assert math.isnan(fit.uno.value) and math.isnan(fit.aic)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": "sqrt"}, "transform must be one of km, identity, rank, log, got 'sqrt'"),
        ({"tau_days": 0}, "tau_days must be days after time zero"),
        ({"strata": ["sex", "sex"]}, "strata name a column twice: sex, sex"),
        ({"strata": 3}, "strata must be a column or a list of columns, such as 'centre', got 3"),
        ({"strata": ["sex", "age"]}, "'age' cannot be a covariate"),
        ({"penalty": "ridge"}, "penalty must be None or 'firth', got 'ridge'"),
        ({"penalty": "firth", "cluster": "inst"}, "not robust errors"),
    ],
)
def test_what_was_asked_wrongly_is_refused(options, message):
    with pytest.raises(OnlmError, match=message):
        cox(LUNG, endpoint="os", covariates=["age"], **options)


def brute_force(risk, days, event, stratum, weight):
    """Value and jackknife over all pairs, as R's concordance() defines them."""
    n = len(risk)
    first = event[:, None] & ((days[:, None] < days) | ((days[:, None] == days) & ~event))
    pair = weight[:, None] * (first & (stratum[:, None] == stratum))
    right = pair * ((risk[:, None] > risk) + 0.5 * (risk[:, None] == risk))
    value = right.sum() / pair.sum()
    pull = right - value * pair
    influence = (pull.sum(axis=0) + pull.sum(axis=1)) / pair.sum()
    assert n == len(influence)
    return value, np.sqrt((influence**2).sum())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 17, 64, 129])
def test_concordance_and_its_error_equal_all_pairs_with_ties_strata_and_weights(n):
    for seed in range(6):
        rng = np.random.default_rng([n, seed])
        risk, days, event = rng.integers(0, 7, n), rng.integers(0, 9, n), rng.uniform(size=n) < 0.6
        stratum, weight = rng.integers(0, 3, n), rng.uniform(0.5, 2, n)
        with np.errstate(invalid="ignore"):
            expected = brute_force(risk, days, event, stratum, weight)
        found = concordance(risk, days, event, stratum=stratum, weight=weight)
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


def test_a_category_with_a_level_that_nobody_has_is_fitted_without_it():
    rows = GRADE.assign(ecog=pd.Categorical(GRADE["ecog"], categories=["0", "1", "2", "3"]))
    assert cox(rows, endpoint="os", covariates=["ecog"]).table["covariate"].tolist() == ["ecog[1]", "ecog[2]"]
