"""Firth's logistic regression equals brglm2, and its intervals the profile of the penalised likelihood in R."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import firth
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.penalised import fit_firth, penalised_ratio_test, profile_interval
from onlm_lab.errors import OnlmError

FOLDER = Path(__file__).parent / "reference"
R = json.loads((FOLDER / "mechanisms.json").read_text(encoding="utf-8"))


def table(name):
    if name in ("separated", "quasi"):
        rows = pd.DataFrame(R["firth"][name]["data"])
    else:
        rows = pd.read_csv(FOLDER / f"{name}.csv")
    if name == "asah":
        rows["female"] = (rows["gender"] == "Female").astype(float)
    return rows.rename(columns={"y": "onlm"}).assign(patient_id=[f"P{i:03d}" for i in range(len(rows))])


COVARIATES = {
    "asah": ["age", "s100b", "female"], "tiny25": ["score", "score2"], "separated": ["x", "z"], "quasi": ["x", "age"],
}  # fmt: skip


@pytest.mark.parametrize("name", COVARIATES)
def test_coefficients_standard_errors_profiles_and_p_values_equal_r(name):
    want = R["firth"]["tiny" if name == "tiny25" else name]["fit"]
    got = firth(table(name), covariates=COVARIATES[name])
    np.testing.assert_allclose(got.table["coef"], want["coef"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(got.table["se"], want["se"], rtol=1e-6)
    assert got.log_likelihood == pytest.approx(want["loglik"], abs=1e-8)
    np.testing.assert_allclose(np.log(got.table["low"]), want["low"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.log(got.table["high"]), want["high"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.table["chi2"], want["chi2"], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(got.table["p_value"], want["p"], rtol=1e-6, atol=1e-9)


def test_separation_gives_a_finite_ratio_where_maximum_likelihood_gives_none():
    rows = table("separated")
    design = np.column_stack([np.ones(len(rows)), rows["x"]])
    assert fit_logistic(design, rows["onlm"].to_numpy()).note
    got = firth(rows, covariates=["x"]).table.iloc[1]
    assert 1 < got["low"] < got["odds_ratio"] < got["high"] < math.inf
    assert got["p_value"] < 0.05


def test_the_penalised_score_is_solved_to_1e10():
    rows = table("separated")
    design = np.column_stack([np.ones(len(rows)), rows["x"], rows["z"]])
    coef = fit_firth(design, rows["onlm"].to_numpy()).coef
    risk = 1 / (1 + np.exp(-design @ coef))
    weighted = design * np.sqrt(risk * (1 - risk))[:, None]
    hat = np.diag(weighted @ np.linalg.solve(weighted.T @ weighted, weighted.T))
    score = design.T @ (rows["onlm"] - risk + hat * (0.5 - risk))
    assert np.max(np.abs(score)) < 1e-9  # columns up to 9 times the scaled ones


def test_with_one_covariate_of_two_levels_it_adds_half_a_patient_to_each_cell():
    rows = pd.DataFrame(
        {"patient_id": range(20), "onlm": [0] * 8 + [1] * 2 + [0] * 3 + [1] * 7, "x": [0] * 10 + [1] * 10}
    )
    got = firth(rows, covariates=["x"]).table.iloc[1]
    assert got["odds_ratio"] == pytest.approx((7.5 * 8.5) / (3.5 * 2.5), rel=1e-9)


def test_turning_the_outcome_over_turns_the_ratio_over():
    rows = table("asah")
    one = firth(rows, covariates=["age", "s100b"]).table
    other = firth(rows.assign(onlm=1 - rows["onlm"]), covariates=["age", "s100b"]).table
    np.testing.assert_allclose(one["coef"], -other["coef"], atol=1e-9)
    np.testing.assert_allclose(one["low"], 1 / other["high"], rtol=1e-7)


def test_with_many_patients_it_is_maximum_likelihood():
    rng = np.random.default_rng(2)
    x = rng.normal(size=20_000)
    event = rng.uniform(size=20_000) < 1 / (1 + np.exp(1 - 0.7 * x))
    design = np.column_stack([np.ones(len(x)), x])
    fit = fit_firth(design, event)
    assert fit.coef == pytest.approx(fit_logistic(design, event).coef, abs=1e-3)
    low, high = profile_interval(design, event, column=1, fit=fit)
    assert (low, high) == pytest.approx(tuple(fit.coef[1] + np.array([-1.96, 1.96]) * fit.se[1]), abs=1e-3)
    assert penalised_ratio_test(design, event, column=1, fit=fit)[1] < 1e-10


def test_one_class_dependent_columns_and_constants_are_said_not_guessed():
    rows = table("asah")
    got = firth(rows.assign(onlm=0), covariates=["age"])
    assert got.table["odds_ratio"].isna().all() and "both classes are needed" in got.notes[0]
    got = firth(rows.assign(again=rows["age"] * 2), covariates=["age", "again"])
    assert got.table["coef"].isna().all() and "repeats others" in got.notes[0]
    got = firth(rows.assign(same=1.0), covariates=["age", "same"])
    assert got.notes == ("'same' has one value only and was left out",) and len(got.table) == 2


def test_missing_covariates_are_counted_and_words_are_compared_with_the_first():
    rows = table("asah")
    rows.loc[:4, "age"] = np.nan
    rows.loc[10, "onlm"] = np.nan
    got = firth(rows, covariates=["age", "gender"])
    assert got.n == len(rows) - 6 and got.n_excluded == {"label missing": 1, "a covariate missing": 5}
    assert got.table["covariate"].tolist() == ["(intercept)", "age", "gender[Male]"]
    assert got.table["unit"].tolist() == ["", "per 1", "against Female"]


def test_an_outcome_of_ones_own_is_taken_and_one_that_is_no_yes_or_no_is_refused():
    rows = table("asah")
    got = firth(rows, covariates=["age"], outcome="female")
    assert got.outcome == "female" and got.n_events == int(rows["female"].sum())
    with pytest.raises(OnlmError, match="outcome 'age' must be 1, 0 or missing; it is not for 113 of 113"):
        firth(rows, covariates=["s100b"], outcome="age")
    with pytest.raises(OnlmError, match="cannot be a covariate too"):
        firth(rows, covariates=["onlm"])
    with pytest.raises(OnlmError, match="no covariate was named"):
        firth(rows, covariates=[])
