"""Cox models with case weights against R survival; tests/reference/make_decisions.R makes the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from decisions_reference import IN_R, lung

from onlm_lab.analysis import partial_likelihood as cox

LUNG = {"lung": lung(), "tied": lung().assign(os_days=lambda d: d["os_days"] // 60 + 1)}


def fitted(
    rows: pd.DataFrame, columns: list[str], *, strata: str | None = None, weight: str | None = "w"
) -> cox.CoxFit:
    stratum = np.zeros(len(rows), dtype=int) if strata is None else pd.factorize(rows[strata])[0]
    x, weights = rows[columns].to_numpy(dtype=float), None if weight is None else rows[weight].to_numpy()
    days, event = rows["os_days"].to_numpy(dtype=float), rows["os_event"].to_numpy() == 1
    return cox.fit_cox(x, days, event, stratum=stratum, weight=weights)


def robust(fit: cox.CoxFit, cluster: np.ndarray) -> np.ndarray:
    return np.sqrt(np.diag(cox.robust_covariance(fit, cluster=cluster)))


@pytest.mark.parametrize("case", ["lung", "tied"])
def test_weighted_coefficients_likelihood_and_robust_errors_equal_those_of_r(case):
    rows, r = LUNG[case], IN_R["cox"][case]
    fit = fitted(rows, ["age", "male", "ecog"])
    assert fit.coef == pytest.approx(r["coef"], rel=1e-9)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(r["naive_se"], rel=1e-9)
    assert [fit.log_likelihood_null, fit.log_likelihood] == pytest.approx(r["loglik"], rel=1e-10)
    assert robust(fit, np.arange(len(rows))) == pytest.approx(r["robust_se"], rel=1e-9)
    assert robust(fit, rows["inst"].to_numpy()) == pytest.approx(r["clustered_se"], rel=1e-9)
    assert cox.score_residuals(fit) == pytest.approx(np.array(r["score_residuals"]), abs=1e-9)


@pytest.mark.parametrize("case", ["lung", "tied"])
def test_weights_within_strata_equal_those_of_r(case):
    rows, r = LUNG[case], IN_R["cox"][case]["stratified"]
    fit = fitted(rows, ["age", "ecog"], strata="male")
    assert fit.coef == pytest.approx(r["coef"], rel=1e-9)
    assert robust(fit, np.arange(len(rows))) == pytest.approx(r["robust_se"], rel=1e-9)


@pytest.mark.parametrize("case", ["lung", "tied"])
def test_weights_of_one_change_nothing(case):
    rows = LUNG[case].assign(one=1.0)
    plain, ones = (fitted(rows, ["age", "male", "ecog"], weight=w) for w in (None, "one"))
    assert ones.coef == pytest.approx(plain.coef, rel=1e-12)
    assert ones.log_likelihood == pytest.approx(plain.log_likelihood, rel=1e-13)
    assert ones.covariance == pytest.approx(plain.covariance, rel=1e-11)
    assert cox.score_residuals(ones) == pytest.approx(cox.score_residuals(plain), abs=1e-11)


def test_a_patient_of_weight_two_is_two_patients_when_no_times_are_tied_with_events():
    rows = LUNG["lung"].drop_duplicates("os_days").assign(w=1.0)
    censored = rows["os_event"] == 0
    rows.loc[censored, "w"] = 2.0
    twice = pd.concat([rows, rows[censored]], ignore_index=True)
    assert fitted(rows, ["age", "ecog"]).coef == pytest.approx(
        fitted(twice, ["age", "ecog"], weight=None).coef, rel=1e-9
    )


def test_the_scale_of_the_weights_does_not_matter_to_the_robust_error():
    rows = LUNG["tied"]
    fit, larger = fitted(rows, ["age", "ecog"]), fitted(rows.assign(w=rows["w"] * 50), ["age", "ecog"])
    each = np.arange(len(rows))
    assert larger.coef == pytest.approx(fit.coef, rel=1e-9) and robust(larger, each) == pytest.approx(robust(fit, each))
