"""Uno's C against R survival (tests/reference/make_survival.R) and the time-dependent AUC against R timeROC."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import in_r, table

from onlm_lab.analysis.prognostic_accuracy import time_dependent_auc, uno_c
from onlm_lab.errors import OnlmError

# timeROC 0.4.1 (CRAN): timeROC(T = pbc$time / 365.25, delta = pbc$status == 2, marker = log(pbc$bili), cause = 1,
# times = c(2, 5, 8), iid = TRUE) gives $AUC and $inference$vect_sd_1; horizon in years: (AUC, standard error)
TIME_ROC = {
    2: (0.7748267865462567, 0.03556956257047716),
    5: (0.8622844359750945, 0.021490002736456335),
    8: (0.8011828655983859, 0.031238859205225348),
}
Z = 1.959963984540054


def trial(n: int, *, log_hr: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    risk = rng.uniform(size=n)
    days, end = rng.exponential(900 * np.exp(-log_hr * 10 * (risk - 0.5))), rng.uniform(100, 2500, n)
    columns = {"os_days": np.minimum(days, end), "os_event": (days <= end).astype(int), "risk": risk}
    return pd.DataFrame({"patient_id": np.arange(n).astype(str), **columns})


LUNG, PBC, ALL_PBC = table("lung"), table("pbc"), table("pbc_bili")


@pytest.mark.parametrize(
    ("case", "rows", "score", "tau"),
    [
        ("uno_pbc", PBC.assign(score=np.log(PBC["bili"])), "score", 3000),
        ("uno_ties", LUNG.assign(os_days=LUNG["os_days"] // 60), "age", 9),
    ],
)
def test_uno_c_and_its_error_equal_those_of_r(case, rows, score, tau):
    expected = in_r(case)
    fit = uno_c(rows, endpoint="os", tau_days=tau, score=score)
    assert fit.value == pytest.approx(expected["c"], rel=1e-9)
    assert (fit.high - fit.low) / 2 == pytest.approx(Z * expected["se"], rel=1e-7)


@pytest.mark.parametrize("years", TIME_ROC)
def test_the_time_dependent_auc_and_its_error_equal_those_of_time_roc(years):
    value, se = TIME_ROC[years]
    rows = ALL_PBC.assign(score=np.log(ALL_PBC["bili"]))
    row = time_dependent_auc(rows, endpoint="os", horizons_days=[years * 365.25], score="score").iloc[0]
    assert row["value"] == pytest.approx(value, rel=1e-10)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(Z * se, rel=1e-6)


def test_a_score_that_orders_the_deaths_has_auc_and_c_one_and_its_reverse_zero():
    days = np.arange(1, 11)
    rows = pd.DataFrame({"patient_id": days.astype(str), "os_days": days, "os_event": 1, "risk": 1 / days})
    assert uno_c(rows, endpoint="os", tau_days=8).value == pytest.approx(1)
    assert time_dependent_auc(rows, endpoint="os", horizons_days=[5])["value"][0] == pytest.approx(1)
    worse = rows.assign(risk=-rows["risk"])
    assert uno_c(worse, endpoint="os", tau_days=8).value == pytest.approx(0)
    assert time_dependent_auc(worse, endpoint="os", horizons_days=[5])["value"][0] == pytest.approx(0)


def test_without_censoring_the_time_dependent_auc_is_the_plain_auc_of_dead_by_then():
    rows = trial(150, log_hr=0.1, seed=2).assign(os_event=1)
    dead = rows["os_days"] <= 600
    pairs = rows.loc[dead, "risk"].to_numpy()[:, None] > rows.loc[~dead, "risk"].to_numpy()
    assert time_dependent_auc(rows, endpoint="os", horizons_days=[600])["value"][0] == pytest.approx(pairs.mean())


def test_an_event_exactly_at_the_horizon_is_a_case():
    rows = trial(40, log_hr=0.1, seed=3).assign(os_event=1, os_days=np.arange(1, 41))
    assert time_dependent_auc(rows, endpoint="os", horizons_days=[10])["n_cases"][0] == 10


def test_horizons_before_the_first_event_or_after_the_last_follow_up_are_nan_with_the_counts():
    out = time_dependent_auc(LUNG, endpoint="os", horizons_days=[1, 5000], score="age")
    assert out[["value", "low", "high"]].isna().all().all()
    assert out["note"].tolist() == ["0 cases and 228 controls", "165 cases and 0 controls"]


def test_uno_c_without_an_event_before_tau_is_nan_and_says_so():
    fit = uno_c(LUNG, endpoint="os", tau_days=1, score="age")
    assert math.isnan(fit.value) and fit.note == "no event up to day 1 in 228 patients"


def test_patients_without_a_score_are_counted():
    rows = LUNG.assign(risk=LUNG["age"] / 100).astype({"risk": float})
    rows.loc[:4, "risk"] = np.nan
    assert time_dependent_auc(rows, endpoint="os", horizons_days=[365])["n_excluded"][0] == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "regional", "tau_days": 9}, "'regional' has competing events .* cause=1.*concordance"),
        ({"endpoint": "os", "tau_days": 0}, "tau_days must be days after time zero, above 0, got 0"),
        ({"endpoint": "os", "tau_days": 9, "score": "sex"}, r"the score 'sex' must be a number .higher is worse"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(options, message):
    rows = LUNG.assign(risk=0.5, regional_days=3, regional_state=2)
    with pytest.raises(OnlmError, match=message):
        uno_c(rows, **options)


@pytest.mark.slow
def test_intervals_of_the_time_dependent_auc_cover_the_truth_in_95_of_100_trials():
    big = trial(400_000, log_hr=0.1, seed=0)
    dead = np.random.default_rng(1).exponential(900 * np.exp(-(big["risk"] - 0.5))) <= 700
    ranks = big["risk"].rank()
    n1, n0 = dead.sum(), (~dead).sum()
    truth = (ranks[dead].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    inside = 0
    for seed in range(600):
        row = time_dependent_auc(trial(200, log_hr=0.1, seed=seed), endpoint="os", horizons_days=[700]).iloc[0]
        inside += row["low"] < truth < row["high"]
    assert 0.93 <= inside / 600 <= 0.97


def test_a_column_of_python_numbers_is_a_score():
    rows = trial(60, log_hr=0.1, seed=4)
    assert uno_c(rows.astype({"risk": object}), endpoint="os", tau_days=600) == uno_c(rows, endpoint="os", tau_days=600)


def test_one_horizon_may_come_without_a_list():
    one = time_dependent_auc(LUNG, endpoint="os", horizons_days=365, score="age")
    assert one.equals(time_dependent_auc(LUNG, endpoint="os", horizons_days=[365], score="age")) and len(one) == 1
