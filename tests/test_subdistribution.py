"""Fine and Gray's model against R cmprsk::crr; tests/reference/make_survival.R makes the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, in_r, table

from onlm_lab.analysis.hazard import cox
from onlm_lab.analysis.subdistribution import fine_gray
from onlm_lab.errors import OnlmError


def trial(n: int, *, log_ratio: float, seed: int) -> pd.DataFrame:
    """Patients in whom the risk multiplies the subdistribution hazard by exp(log_ratio) per 10 points (the design of
    Fine and Gray 1999, section 5: F1(t) = 1 - (1 - p (1 - exp(-t)))^exp(x beta))."""
    rng = np.random.default_rng(seed)
    risk = rng.uniform(size=n)
    power = np.exp(log_ratio * 10 * (risk - 0.5))
    share = 1 - (1 - 0.4) ** power
    own = rng.uniform(size=n) < share
    u = rng.uniform(size=n)
    first = -np.log(1 - (1 - (1 - u * share) ** (1 / power)) / 0.4)
    days = 1000 * np.where(own, first, rng.exponential(size=n))
    end = rng.uniform(200, 3000, n)
    state = np.where(days > end, 0, np.where(own, 1, 2))
    columns = {"risk": risk, "regional_days": np.minimum(days, end), "regional_state": state}
    return pd.DataFrame({"patient_id": np.arange(n).astype(str), **columns})


MGUS, PBC, TINY = table("mgus", names=COMPETING), table("pbc", names=COMPETING), table("tiny_survival", names=COMPETING)
TIES = PBC.assign(regional_days=PBC["regional_days"] // 365)
CASES = {
    "fg_mgus": (MGUS, ["age", "sex", "hgb"], 1),
    "fg_mgus_cause2": (MGUS, ["age", "sex", "hgb"], 2),
    "fg_pbc": (PBC, ["age", "albumin"], 1),
    "fg_ties": (TIES, ["age", "albumin"], 1),
    "fg_ties_cause2": (TIES, ["age", "albumin"], 2),
    "fg_tiny": (TINY, ["score"], 1),
}


@pytest.mark.parametrize("case", CASES)
def test_coefficients_errors_and_likelihood_equal_those_of_crr(case):
    rows, covariates, cause = CASES[case]
    fit, expected = fine_gray(rows, endpoint="regional", covariates=covariates, cause=cause), in_r(case)
    found = {"loglik": fit.log_likelihood, "loglik_null": fit.log_likelihood_null}
    for row in fit.table.to_dict("records"):
        name = row["covariate"].replace("sex[male]", "male")
        found |= {f"coef:{name}": row["coef"], f"se:{name}": row["se"]}
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-6), key


def test_a_risk_that_raises_the_incidence_has_a_ratio_above_one():
    row = fine_gray(trial(800, log_ratio=0.2, seed=1), endpoint="regional", covariates=["risk"]).table.iloc[0]
    assert 1 < row["low"] < np.exp(0.2) < row["high"] and row["unit"] == "per 10 percentage points"


def test_without_competing_events_and_ties_it_is_cox_with_robust_errors():
    rows = trial(300, log_ratio=0.2, seed=2)
    rows["regional_state"] = (rows["regional_state"] == 1).astype(int)
    ours = fine_gray(rows, endpoint="regional", covariates=["risk"]).table.iloc[0]
    other = cox(rows, endpoint="regional", covariates=["risk"], cause=1, cluster="patient_id").table.iloc[0]
    assert ours["coef"] == pytest.approx(other["coef"], rel=1e-9) and ours["se"] == pytest.approx(other["se"], rel=1e-9)


def test_without_enough_events_nothing_is_estimated():
    rows = TINY.assign(regional_state=np.where(TINY["regional_state"] == 1, 0, TINY["regional_state"]))
    fit = fine_gray(rows, endpoint="regional", covariates=["score"])
    assert fit.table["hr"].isna().all() and fit.notes == ("not fitted: 0 events for 1 coefficients",)


@pytest.mark.parametrize("n_events", [0, 1])
def test_all_censored_and_one_event_are_said_and_not_estimated(n_events):
    rows = trial(60, log_ratio=0.1, seed=4).assign(regional_state=(np.arange(60) < n_events).astype(int))
    fit = fine_gray(rows, endpoint="regional", covariates=["risk"])
    assert fit.table[["hr", "se", "p_value"]].isna().all().all()
    assert fit.notes == (f"not fitted: {n_events} events for 1 coefficients",)


def test_all_on_one_day_is_fitted_without_a_warning():
    rows = trial(200, log_ratio=0.2, seed=4).assign(regional_days=30)
    assert np.isfinite(fine_gray(rows, endpoint="regional", covariates=["risk"]).table["coef"][0])


def test_ten_thousand_patients_are_fitted_in_less_time_than_it_takes_to_notice():
    import time

    rows = trial(10_000, log_ratio=0.1, seed=6).assign(other=np.random.default_rng(1).normal(size=10_000))
    began = time.process_time()
    fine_gray(rows, endpoint="regional", covariates=["risk", "other"])
    assert time.process_time() - began < 2, "cmprsk needs minutes: its cost rises with the square of the patients"


def test_a_separated_covariate_is_nan_with_a_note():
    rows = trial(150, log_ratio=0.1, seed=3)
    rows["marker"] = (rows["regional_state"] != 1) & (np.arange(150) % 2 == 0)
    fit = fine_gray(rows, endpoint="regional", covariates=["risk", "marker"])
    assert fit.table["hr"].isna().tolist() == [False, True] and fit.table["se"].isna().tolist() == [False, True]
    assert fit.notes == ("marker: no finite hazard ratio",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "os", "covariates": ["risk"]}, r"'os' has no competing events. Use cox\(rows, endpoint=\"os\""),
        ({"endpoint": "regional", "covariates": ["risk"], "cause": 0}, "cause must be 1 .the event. or 2 .* got 0"),
        ({"endpoint": "regional", "covariates": []}, "covariates must be a list of at least one column"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_sentence(options, message):
    rows = trial(30, log_ratio=0.1, seed=1).assign(os_days=1, os_event=0)
    with pytest.raises(OnlmError, match=message):
        fine_gray(rows, **options)


@pytest.mark.slow
def test_intervals_of_the_ratio_cover_the_truth_in_95_of_100_trials():
    inside = 0
    for seed in range(500):
        rows = trial(200, log_ratio=0.1, seed=seed)
        row = fine_gray(rows, endpoint="regional", covariates=["risk"]).table.iloc[0]
        inside += row["low"] < np.exp(0.1) < row["high"]
    assert 0.93 <= inside / 500 <= 0.97
