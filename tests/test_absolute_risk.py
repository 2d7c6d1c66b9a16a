"""P(event by a day) against R: survfit of coxph, cmprsk's predict.crr, riskRegression's CSC (make_event_risk.R)."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, REFERENCE, table

from onlm_lab.analysis import baseline_hazard, predict_event
from onlm_lab.errors import OnlmError

R = json.loads((REFERENCE / "event_risk.json").read_text(encoding="utf-8"))
LUNG = table("lung").fillna({"ecog": 1})
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
MGUS = table("mgus", names=COMPETING).dropna(subset=["hgb"]).reset_index(drop=True)
PBC = table("pbc", names=COMPETING)
YEARS = PBC.assign(regional_days=PBC["regional_days"] // 365)
QUARTERS = PBC.assign(regional_days=PBC["regional_days"] // 90)
CASES = {
    "cox_lung": (LUNG, "os", ["age", "sex", "ecog"], [100, 365, 800], {}),
    "cox_ties": (TIES, "os", ["age", "sex", "ecog"], [2, 6, 12], {}),
    "cox_strata": (TIES, "os", ["age", "ecog"], [2, 6, 12], {"strata": "sex"}),
    "fg_mgus": (MGUS, "regional", ["age", "sex", "hgb"], [12, 60, 240], {}),
    "fg_mgus_cause2": (MGUS, "regional", ["age", "sex", "hgb"], [12, 60, 240], {"cause": 2}),
    "fg_ties": (YEARS, "regional", ["age", "albumin"], [1, 4, 9], {}),
    "csc_mgus": (MGUS, "regional", ["age", "sex", "hgb"], [12, 60, 240], {"method": "cause_specific"}),
    "csc_ties": (QUARTERS, "regional", ["age", "albumin"], [4, 12, 30], {"method": "cause_specific"}),
}


def trial(n: int, *, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    risk = rng.uniform(0, 0.6, n)
    days, end = rng.exponential(900 * np.exp(-3 * risk)), rng.uniform(300, 2500, n)
    columns = {"os_days": np.minimum(days, end), "os_event": (days <= end).astype(int), "risk": risk}
    return pd.DataFrame({"patient_id": [f"P{i}" for i in range(n)], "grade": list("ab") * (n // 2), **columns})


def told(rows: pd.DataFrame, fitted_on: pd.DataFrame, **options) -> pd.DataFrame:
    return predict_event(rows, fitted_on=fitted_on, **({"endpoint": "os", "covariates": ["risk"]} | options))


@pytest.mark.parametrize("case", CASES)
def test_probabilities_equal_those_of_r(case):
    rows, endpoint, covariates, horizons, options = CASES[case]
    found = predict_event(
        rows[:6], fitted_on=rows, endpoint=endpoint, covariates=covariates, horizons_days=horizons, **options
    )
    expected = R[case]["risk"] if isinstance(R[case], dict) else R[case]
    np.testing.assert_allclose(found["event_risk"].to_numpy().reshape(6, -1), expected, rtol=1e-7)
    assert (found["note"] == "").all()


@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith("csc")])
def test_the_baseline_hazard_equals_basehaz_and_the_jumps_of_crr(case):
    rows, endpoint, covariates, _, options = CASES[case]
    found = baseline_hazard(rows, endpoint=endpoint, covariates=covariates, **options)
    expected = pd.DataFrame(R[case]["baseline"])
    assert set(found["stratum"]) == set(expected["stratum"])
    for stratum, steps in found.groupby("stratum"):
        theirs = expected[expected["stratum"] == stratum]
        at = np.searchsorted(theirs["days"].to_numpy(), steps["days"], side="right") - 1
        np.testing.assert_allclose(steps["cumulative_hazard"], theirs["hazard"].to_numpy()[at], rtol=1e-7)


def test_lifelines_tells_the_same_probabilities():
    lifelines = pytest.importorskip("lifelines")
    frame = LUNG[["os_days", "os_event", "age"]]
    other = lifelines.CoxPHFitter().fit(frame, "os_days", "os_event", fit_options={"precision": 1e-12})
    survival = other.predict_survival_function(frame[:5], times=[100, 500]).to_numpy().T
    ours = told(LUNG[:5], LUNG, covariates=["age"], horizons_days=[100, 500])["event_risk"].to_numpy().reshape(5, 2)
    np.testing.assert_allclose(ours, 1 - survival, atol=5e-3)  # lifelines' baseline is Breslow's


def test_scikit_survival_tells_the_same_where_no_two_die_on_one_day():
    linear_model = pytest.importorskip("sksurv.linear_model")
    rows = trial(300)
    y = np.array([(bool(e), d) for e, d in zip(rows["os_event"], rows["os_days"], strict=True)], dtype="?,f8")
    other = linear_model.CoxPHSurvivalAnalysis(ties="efron", tol=1e-12).fit(rows[["risk"]].to_numpy(), y)
    theirs = [1 - step(700.0) for step in other.predict_survival_function(rows[["risk"]].to_numpy()[:20])]
    ours = told(rows[:20], rows, horizons_days=[700])["event_risk"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_higher_risk_is_told_a_higher_probability_that_rises_with_the_days():
    rows = trial(400)
    found = told(rows, rows, horizons_days=[200, 900])
    early, late = (found[found["horizon_days"] == h]["event_risk"].to_numpy() for h in (200, 900))
    assert (late > early).all() and np.corrcoef(early, rows["risk"])[0, 1] > 0.9


def test_what_was_told_agrees_with_what_happened_on_average():
    rows = trial(4000).assign(os_days=lambda d: np.random.default_rng(5).exponential(900 * np.exp(-3 * d["risk"])))
    rows["os_event"] = 1
    found = told(rows[2000:], rows[:2000], horizons_days=[500])["event_risk"].mean()
    assert found == pytest.approx((rows[2000:]["os_days"] <= 500).mean(), abs=0.03)


def test_who_cannot_be_told_is_nan_with_the_reason():
    rows = trial(200)
    new = rows[:4].assign(risk=[0.1, None, 0.2, 0.3], grade=["a", "b", "z", None])
    found = told(new, rows, covariates=["risk", "grade"], horizons_days=[365, 9999]).set_index("horizon_days")
    assert found.loc[365.0, "event_risk"].isna().tolist() == [False, True, True, True]
    assert found.loc[365.0, "note"].tolist() == [
        "", "risk missing", "grade of a level that nobody in the fit has", "grade missing",
    ]  # fmt: skip
    assert found.loc[9999.0, "event_risk"].isna().all()
    assert found.loc[9999.0, "note"].iloc[0] == f"followed to day {rows['os_days'].max():g} only"


@pytest.mark.parametrize("n_events", [0, 1, 9])
def test_few_events_teach_nothing(n_events):
    rows = trial(200).assign(os_event=lambda d: (np.arange(200) < n_events).astype(int))
    found = told(rows[:3], rows, horizons_days=[365])
    assert found["event_risk"].isna().all() and (found["note"] == f"few events: {n_events} teach 1 coefficient").all()


def test_a_covariate_that_separates_tells_nothing():
    rows = trial(200).assign(marker=lambda d: (d["os_event"] == 0) & (np.arange(200) % 2 == 0))
    found = told(rows[:3], rows, covariates=["risk", "marker"], horizons_days=[365])
    assert found["event_risk"].isna().all() and found["note"].str.startswith("no finite hazard ratio").all()


def test_all_dead_on_one_day_and_deaths_on_day_zero_are_told_without_a_warning():
    rows = trial(200).assign(os_days=np.where(np.arange(200) % 2, 0, 50), os_event=np.arange(200) % 2)
    found = told(rows[:2], rows, horizons_days=[10])["event_risk"]
    assert found.between(0, 1).all() and found.mean() == pytest.approx(0.5, abs=0.1)


def test_categories_keep_the_reference_level_of_those_who_teach():
    rows = trial(400)
    rows["grade"] = pd.Categorical(rows["grade"], categories=["b", "a"])
    plain = told(rows[:6].astype({"grade": str}), rows, covariates=["risk", "grade"], horizons_days=[365])
    same = told(rows[:6], rows, covariates=["risk", "grade"], horizons_days=[365])
    np.testing.assert_allclose(plain["event_risk"], same["event_risk"], rtol=1e-12)


def test_many_patients_are_told_in_parts_and_none_differs(monkeypatch):
    from onlm_lab.analysis import absolute_risk

    options = {"endpoint": "regional", "covariates": ["age"], "method": "cause_specific", "horizons_days": [60]}
    whole = predict_event(MGUS[:50], fitted_on=MGUS, **options)
    monkeypatch.setattr(absolute_risk, "MOST_CELLS", 500)
    pd.testing.assert_frame_equal(whole, predict_event(MGUS[:50], fitted_on=MGUS, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fine_gray"}, "method of endpoint 'os' must be 'cox', got 'fine_gray'"),
        ({"covariates": "risk"}, r"covariates must be a list of at least one column, such as \['risk'\]"),
        ({"covariates": ["rsk"]}, "'rsk' .nearest present: 'risk'"),
        ({"horizons_days": [0]}, "horizons_days must be days after time zero, above 0, got 0"),
        ({"horizons_days": []}, "horizons_days is empty"),
        ({"cause": 2}, "predict_event by cox of 'os' takes no cause 2"),
        ({"endpoint": "regional", "strata": "grade", "method": "fine_gray"}, "fine_gray takes no strata here"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(options, message):
    rows = trial(60).assign(regional_days=5, regional_state=1)
    with pytest.raises(OnlmError, match=message):
        told(rows, rows, **({"horizons_days": [365]} | options))


def test_a_baseline_without_enough_events_is_refused():
    rows = trial(60).assign(os_event=0)
    with pytest.raises(OnlmError, match="baseline_hazard of 'os': 0 events for 1 coefficients are too few"):
        baseline_hazard(rows, endpoint="os", covariates=["risk"])
