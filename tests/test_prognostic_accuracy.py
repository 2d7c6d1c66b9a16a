"""Uno's C against R survival (tests/reference/make_survival.R), the time-dependent AUC against R timeROC and, where
events compete, riskRegression (make_event_risk.R)."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, REFERENCE, in_r, table

from onlm_lab.analysis import cumulative_incidence
from onlm_lab.analysis.prognostic_accuracy import compare_time_dependent_aucs, time_dependent_auc, uno_c
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


MGUS = table("mgus", names=COMPETING).dropna(subset=["mspike"]).reset_index(drop=True)
YEARS = table("pbc", names=COMPETING).assign(regional_days=lambda d: d["regional_days"] // 365)
FULL = table("lung").fillna({"ecog": 1})
# rows, endpoint, two scores, and how near the error is to riskRegression's (under heavy ties its term for the estimated
# censoring is an approximation; the numeric jackknife below is exact)
SCORED = {
    "score_pbc": (PBC, "os", np.log(PBC["bili"]), PBC["age"], 2e-5),
    "score_mgus": (MGUS, "regional", MGUS["mspike"], MGUS["age"], 5e-4),
    "score_ties": (FULL.assign(os_days=FULL["os_days"] // 60), "os", FULL["age"], FULL["ecog"], 5e-4),
    "score_coarse": (YEARS, "regional", YEARS["albumin"], YEARS["age"], 1e-3),
}


def half(found: pd.DataFrame) -> np.ndarray:
    return ((found["high"] - found["low"]) / 2 / Z).to_numpy()


@pytest.mark.parametrize("case", SCORED)
def test_areas_their_errors_and_their_difference_equal_those_of_risk_regression(case):
    rows, endpoint, a, b, near = SCORED[case]
    r = json.loads((REFERENCE / "event_risk.json").read_text(encoding="utf-8"))[case]
    options = {"endpoint": endpoint, "horizons_days": r["times"], "score": "score"}
    expected = pd.DataFrame(r["auc"])
    for name, score in (("a", a), ("b", b)):
        found = time_dependent_auc(rows.assign(score=score), **options)
        theirs = expected[expected["model"] == name]
        np.testing.assert_allclose(found["value"], theirs["AUC"], rtol=1e-12)
        np.testing.assert_allclose(half(found), theirs["se"], rtol=near)
    both = pd.concat([rows.assign(score=s, model_id=m) for m, s in (("a", a), ("b", b))])
    found = compare_time_dependent_aucs(both, model_a="a", model_b="b", **options)
    theirs = pd.DataFrame(r["difference"])
    np.testing.assert_allclose(found["value"], theirs["delta.AUC"], atol=1e-12)
    np.testing.assert_allclose(half(found), theirs["se"], rtol=near)
    np.testing.assert_allclose(found["p_value"], theirs["p"], rtol=0.01)
    np.testing.assert_allclose(found["value"], found["value_a"] - found["value_b"], atol=1e-12)


def test_controls_without_any_event_give_the_area_and_error_of_time_roc():
    r = json.loads((REFERENCE / "event_risk.json").read_text(encoding="utf-8"))["time_roc_mgus"]
    options = {"endpoint": "regional", "horizons_days": [r["times"]], "score": "mspike"}
    free = time_dependent_auc(MGUS, controls="event_free", **options)
    assert free["value"][0] == pytest.approx(r["auc"], rel=1e-12) and half(free)[0] == pytest.approx(r["se"], rel=1e-5)
    everybody = time_dependent_auc(MGUS, **options)
    assert everybody["n_controls"][0] > free["n_controls"][0] == 420
    assert everybody["n_cases"][0] == free["n_cases"][0] == 83


def weighted_area(days, state, score, case_weight, horizon) -> float:
    """The area of patients who count case_weight times, pair by pair."""
    free, at_horizon = np.ones(len(days)), 1.0
    for u in np.unique(days[state == 0]):
        stays = 1 - case_weight[(days == u) & (state == 0)].sum() / (
            case_weight[(days > u) | ((days == u) & (state == 0))].sum()
        )
        free[days > u] *= stays
        at_horizon *= stays if u <= horizon else 1.0
    case = case_weight * ((state == 1) & (days <= horizon)) / free
    control = case_weight * ((days > horizon) / at_horizon + ((state == 2) & (days <= horizon)) / free)
    won = (score[:, None] > score) + 0.5 * (score[:, None] == score)
    return float(case @ won @ control / (case.sum() * control.sum()))


def test_where_events_compete_the_error_is_the_infinitesimal_jackknife_with_heavy_ties():
    rows = competing_trial(60, seed=2)
    rows["regional_days"] = np.ceil(rows["regional_days"] / 250)
    rows["risk"] = rows["risk"].round(1)
    days, state, score = (rows[c].to_numpy(float) for c in ("regional_days", "regional_state", "risk"))
    found = time_dependent_auc(rows, endpoint="regional", horizons_days=[4])
    once = np.ones(60)
    assert found["value"][0] == pytest.approx(weighted_area(days, state, score, once, 4), rel=1e-12)
    step, influence = 1e-5, []
    for i in range(60):
        up, down = (weighted_area(days, state, score, once + s * step * (np.arange(60) == i), 4) for s in (1, -1))
        influence.append((up - down) / (2 * step))
    assert half(found)[0] == pytest.approx(math.sqrt(sum(v**2 for v in influence) * 60 / 59), rel=1e-6)


def competing_trial(n: int, *, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    risk = rng.uniform(size=n)
    own, other = rng.exponential(2000 * np.exp(-2 * (risk - 0.5))), rng.exponential(2500, n)
    end = rng.uniform(300, 2500, n)
    first = np.minimum(own, other)
    state = np.where(first > end, 0, np.where(own < other, 1, 2))
    columns = {"regional_days": np.minimum(first, end), "regional_state": state, "risk": risk}
    return pd.DataFrame({"patient_id": np.arange(n).astype(str), **columns})


def test_a_higher_risk_of_the_event_has_an_area_above_one_half_and_its_reverse_below():
    rows = competing_trial(500, seed=1)
    right = time_dependent_auc(rows, endpoint="regional", horizons_days=[900]).iloc[0]
    wrong = time_dependent_auc(rows.assign(risk=1 - rows["risk"]), endpoint="regional", horizons_days=[900]).iloc[0]
    assert right["low"] > 0.5 > wrong["high"] and right["value"] + wrong["value"] == pytest.approx(1)


def test_without_competing_events_the_kind_of_endpoint_does_not_matter():
    rows = trial(200, log_hr=0.1, seed=5)
    as_state = rows.assign(regional_days=rows["os_days"], regional_state=rows["os_event"])
    for controls in ("all", "event_free"):
        one = time_dependent_auc(rows, endpoint="os", horizons_days=[600], controls=controls)
        other = time_dependent_auc(as_state, endpoint="regional", horizons_days=[600], controls=controls)
        pd.testing.assert_frame_equal(one, other)


def test_the_weights_of_cases_add_up_to_the_cumulative_incidence():
    """What makes a case stand for the censored ones is what makes Aalen-Johansen's curve."""
    from onlm_lab.analysis.censoring_weights import censoring, known_weights

    days, state = MGUS["regional_days"].to_numpy(float), MGUS["regional_state"].to_numpy(int)
    weight = known_weights(censoring(days, state), horizon=120)
    assert weight.mean() == pytest.approx(1, rel=1e-12)
    curve = cumulative_incidence(MGUS, endpoint="regional").at(days=[120])
    assert weight[(state == 1) & (days <= 120)].sum() / len(MGUS) == pytest.approx(curve["incidence"].iloc[0])


def test_beyond_the_follow_up_the_competing_events_alone_are_no_controls():
    rows = competing_trial(80, seed=3)
    last = rows["regional_days"].idxmax()
    found = time_dependent_auc(rows.assign(regional_state=rows["regional_state"].where(rows.index != last, 0)),
                               endpoint="regional", horizons_days=[9999]).iloc[0]  # fmt: skip
    assert math.isnan(found["value"]) and found["note"] == "nobody is followed beyond day 9999"


@pytest.mark.parametrize(("n_cases", "note"), [
    (0, "0 cases and 60 controls"), (1, "no interval from one case or one control"),
    (2, "few: 2 cases and 58 controls; the interval is too narrow"),
])  # fmt: skip
def test_few_cases_have_no_interval_or_a_warning(n_cases, note):
    days = np.r_[np.arange(1.0, n_cases + 1), np.full(60 - n_cases, 2000.0)]
    rows = pd.DataFrame({"patient_id": np.arange(60).astype(str), "risk": np.linspace(1, 0, 60), "os_days": days,
                         "os_event": (days < 2000).astype(int)})  # fmt: skip
    found = time_dependent_auc(rows, endpoint="os", horizons_days=[900]).iloc[0]
    assert found["note"] == note and math.isnan(found["low"]) == (n_cases < 2)


def two_models(n: int = 300) -> pd.DataFrame:
    rows = competing_trial(n, seed=4)
    noise = np.random.default_rng(5).normal(size=n)
    return pd.concat([rows.assign(model_id="good"), rows.assign(model_id="weak", risk=rows["risk"] + noise)])


def compared(rows: pd.DataFrame, a: str = "good", b: str = "weak") -> pd.DataFrame:
    return compare_time_dependent_aucs(rows, model_a=a, model_b=b, endpoint="regional", horizons_days=[900])


def test_the_better_model_has_the_larger_area_and_swapping_the_models_flips_the_sign():
    one, other = compared(two_models()).iloc[0], compared(two_models(), "weak", "good").iloc[0]
    assert one["low"] > 0 and one["p_value"] < 0.05 and one["z"] > 0
    assert other["value"] == pytest.approx(-one["value"]) and other["high"] == pytest.approx(-one["low"])
    assert other["p_value"] == pytest.approx(one["p_value"])


def test_two_models_of_the_same_risks_differ_by_nothing_and_have_no_p_value():
    rows = competing_trial(100, seed=4)
    same = compared(pd.concat([rows.assign(model_id="good"), rows.assign(model_id="weak")])).iloc[0]
    assert same["value"] == 0 and math.isnan(same["p_value"])


def test_only_patients_with_both_scores_are_compared_and_the_others_are_counted():
    rows = two_models(200)
    weak = rows["model_id"] == "weak"
    fewer = rows[~(weak & rows["patient_id"].isin(["0", "1", "2"]))]
    found = compared(fewer).iloc[0]
    assert found["n"] == 197 and found["n_excluded"] == 3
    assert found["value"] == pytest.approx(compared(rows[~rows["patient_id"].isin(["0", "1", "2"])])["value"][0])


def test_models_that_cannot_be_compared_are_refused():
    rows = two_models(60)
    with pytest.raises(OnlmError, match="needs two models, got 'good' twice"):
        compared(rows, "good", "good")
    other = rows.assign(regional_days=rows["regional_days"] + (rows["model_id"] == "weak"))
    with pytest.raises(OnlmError, match="regional differs between good and weak for 60 of 60 patients"):
        compared(other)
    apart = rows.assign(patient_id=rows["patient_id"] + rows["model_id"])
    with pytest.raises(OnlmError, match="no patient has a score from both 'good' and 'weak' and a known regional"):
        compared(apart)
    with pytest.raises(OnlmError, match=r'controls must be "all" .* or "event_free" .* got \'some\''):
        time_dependent_auc(rows, endpoint="regional", horizons_days=[9], controls="some", model="good")


@pytest.mark.slow
@pytest.mark.parametrize("controls", ["all", "event_free"])
def test_where_events_compete_intervals_cover_the_truth_in_95_of_100_trials(controls):
    n, rng = 1_000_000, np.random.default_rng(0)
    risk = rng.uniform(size=n)
    own, other = rng.exponential(2000 * np.exp(-2 * (risk - 0.5))), rng.exponential(2500, n)
    case = (own <= 1000) & (own < other)
    control = ~case if controls == "all" else np.minimum(own, other) > 1000
    ranks = pd.Series(risk[case | control]).rank().to_numpy()
    n1, n0 = case.sum(), control.sum()
    truth = (ranks[case[case | control]].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)
    inside = 0
    for seed in range(600):
        rows = competing_trial(250, seed=seed)
        row = time_dependent_auc(rows, endpoint="regional", horizons_days=[1000], controls=controls).iloc[0]
        inside += row["low"] < truth < row["high"]
    assert 0.93 <= inside / 600 <= 0.97


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
