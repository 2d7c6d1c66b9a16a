"""Cox's model against R survival; tests/reference/make_survival.R makes the numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import in_r, table

from onlm_lab import analysis
from onlm_lab.analysis.concordance import concordance
from onlm_lab.analysis.hazard import cox
from onlm_lab.errors import OnlmError


def patients(days: list[float], event: list[int], **columns: list) -> pd.DataFrame:
    ids = [f"P{i}" for i in range(len(days))]
    return pd.DataFrame({"patient_id": ids, "os_days": days, "os_event": event, **columns})


def at_random(n: int, *, log_hr: float = 0.0, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    risk = rng.uniform(size=n)
    days, end = rng.exponential(900 * np.exp(-log_hr * 10 * risk)), rng.uniform(100, 2000, n)
    event = (days <= end).astype(int)
    return patients(list(np.minimum(days, end)), list(event), risk=list(risk))


LUNG, TINY, PBC = table("lung"), table("tiny_survival"), table("pbc")
PBC = PBC.assign(logbili=np.log(PBC["bili"]), logprotime=np.log(PBC["protime"]))
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
KNOWN = LUNG[LUNG["ecog"] < 3].assign(ecog=lambda d: d["ecog"].astype(int).astype(str))
BASIC = ["age", "sex", "ecog"]
PBC_COLUMNS = ["age", "edema", "logbili", "logprotime", "albumin"]
CASES = {
    "cox_lung": (LUNG, BASIC, {}),
    "cox_lung_factor": (KNOWN, ["age", "ecog"], {}),
    "cox_lung_strata": (LUNG, ["age", "ecog"], {"strata": "sex"}),
    "cox_lung_cluster": (LUNG, BASIC, {"cluster": "inst"}),
    "cox_ties": (TIES, BASIC, {}),
    "cox_ties_strata": (TIES, ["age", "ecog"], {"strata": "sex"}),
    "cox_ties_cluster": (TIES, BASIC, {"cluster": "inst"}),
    "cox_pbc": (PBC, PBC_COLUMNS, {}),
    "cox_tiny": (TINY, ["score"], {}),
}
R_NAMES = {
    "sex[male]": "sexmale",
    "ecog[1]": "factor(ecog)1",
    "ecog[2]": "factor(ecog)2",
    "logbili": "log(bili)",
    "logprotime": "log(protime)",
}


def compare(fit, expected: dict[str, float], r_terms: dict[str, str]) -> None:
    found = {"loglik": fit.log_likelihood, "loglik_null": fit.log_likelihood_null, "n": fit.n, "nevent": fit.n_events}
    for row in fit.table.to_dict("records"):
        name = R_NAMES.get(row["covariate"], row["covariate"])
        found |= {f"coef:{name}": row["coef"], f"se:{name}": row["se"], f"p:{name}": row["p_value"]}
    for row in fit.ph_test.to_dict("records"):
        name = r_terms.get(row["covariate"], R_NAMES.get(row["covariate"], row["covariate"]))
        found |= {f"zph:{name}": row["chi2"], f"zph_df:{name}": row["df"], f"zph_p:{name}": row["p_value"]}
    half = 1.959963984540054 * expected["concordance_se"]
    assert fit.concordance.value == pytest.approx(expected["concordance"], rel=1e-10)
    assert fit.concordance.low == pytest.approx(expected["concordance"] - half, rel=1e-8)
    assert fit.concordance.high == pytest.approx(min(1, expected["concordance"] + half), rel=1e-8)
    for key, value in expected.items():
        if not key.startswith("concordance"):
            assert found[key] == pytest.approx(value, rel=1e-7), key


@pytest.mark.parametrize("case", CASES)
def test_coefficients_errors_likelihood_concordance_and_ph_test_equal_those_of_r(case):
    rows, covariates, options = CASES[case]
    fit = cox(rows, endpoint="os", covariates=covariates, **options)
    compare(fit, in_r(case), {"ecog": "factor(ecog)"} if case == "cox_lung_factor" else {})


def test_a_cause_specific_model_censors_the_other_cause():
    rows = PBC.rename(columns={"os_days": "regional_days", "state": "regional_state"})
    fit = cox(rows, endpoint="regional", covariates=["age", "albumin"], cause=2)
    compare(fit, in_r("cox_pbc_cause2"), {})
    assert "cause 2" in fit.method


def test_lifelines_finds_the_same_coefficients():
    lifelines = pytest.importorskip("lifelines")
    frame = TIES[["os_days", "os_event", "age"]].assign(male=(TIES["sex"] == "male").astype(int))
    other = lifelines.CoxPHFitter().fit(frame, "os_days", "os_event", fit_options={"precision": 1e-12})
    ours = cox(TIES, endpoint="os", covariates=["age", "sex"]).table
    assert np.allclose(ours["coef"], other.params_.to_numpy(), rtol=1e-6)
    assert np.allclose(ours["se"], other.standard_errors_.to_numpy(), rtol=1e-6)


def test_a_higher_risk_has_a_hazard_ratio_above_one_and_concordance_above_one_half():
    fit = cox(at_random(400, log_hr=0.2), endpoint="os", covariates=["risk"])
    assert fit.table["low"][0] > 1 and fit.concordance.low > 0.5
    assert fit.table["low"][0] < math.exp(0.2) < fit.table["high"][0]


def test_the_hazard_ratio_of_a_risk_is_per_ten_percentage_points_and_says_so():
    rows = at_random(300, log_hr=0.1)
    per_ten = cox(rows, endpoint="os", covariates=["risk"]).table.iloc[0]
    whole = cox(rows.assign(score=rows["risk"]), endpoint="os", covariates=["score"]).table.iloc[0]
    assert per_ten["unit"] == "per 10 percentage points" and whole["unit"] == "per 1"
    assert per_ten["coef"] * 10 == pytest.approx(whole["coef"], rel=1e-9)


def test_units_and_reference_levels_are_named():
    rows = at_random(80).assign(
        age_years=np.arange(80) % 37, grade=list("ab") * 40, smoker=[True, False, False, True] * 20
    )
    rows["grade"] = pd.Categorical(rows["grade"], categories=["b", "a"])
    made = cox(rows, endpoint="os", covariates=["age_years", "grade", "smoker"]).table
    assert made["covariate"].tolist() == ["age_years", "grade[a]", "smoker"]
    assert made["unit"].tolist() == ["per year", "against b", "yes against no"]


def test_moving_and_stretching_a_covariate_changes_only_its_unit():
    plain = cox(LUNG, endpoint="os", covariates=["age"])
    moved = cox(LUNG.assign(age=1e6 + 365.25 * LUNG["age"]), endpoint="os", covariates=["age"])
    assert moved.table["coef"][0] * 365.25 == pytest.approx(plain.table["coef"][0], rel=1e-6)
    assert moved.ph_test["chi2"][0] == pytest.approx(plain.ph_test["chi2"][0], rel=1e-6)


def test_a_separated_covariate_is_nan_with_a_note_and_the_others_stay_finite():
    rows = at_random(120, log_hr=0.1, seed=4)
    rows["marker"] = (rows["os_event"] == 0) & (np.arange(120) % 2 == 0)
    fit = cox(rows, endpoint="os", covariates=["risk", "marker"])
    assert fit.table["hr"].isna().tolist() == [False, True] and fit.table["se"].isna().tolist() == [False, True]
    assert "marker: no finite hazard ratio" in fit.notes[0] and fit.ph_test["chi2"].isna().all()


@pytest.mark.parametrize(("events", "n_events"), [([0] * 6, 0), ([0, 1, 0, 0, 0, 0], 1)])
def test_with_no_or_one_event_nothing_is_estimated_and_the_note_says_why(events, n_events):
    fit = cox(patients([1, 2, 3, 4, 5, 6], events, age=[5, 3, 8, 1, 2, 9]), endpoint="os", covariates=["age"])
    assert fit.table["hr"].isna().all() and math.isnan(fit.concordance.value) and fit.ph_test["p_value"].isna().all()
    assert fit.notes == (f"not fitted: {n_events} events for 1 coefficients",) and fit.n_events == n_events


def test_few_events_for_the_coefficients_and_few_clusters_are_noted():
    fit = cox(TINY, endpoint="os", covariates=["score"], cluster="centre")
    assert fit.notes[0] == "few events: 4 for 1 coefficient (at least 10 each advised)"
    assert fit.notes[1].startswith("few clusters: robust errors from 3 values of centre")


def test_deaths_on_day_zero_count():
    fit = cox(LUNG.assign(os_days=LUNG["os_days"] - LUNG["os_days"].min()), endpoint="os", covariates=["age"])
    assert fit.table["coef"][0] == pytest.approx(
        cox(LUNG, endpoint="os", covariates=["age"]).table["coef"][0], rel=1e-10
    )


def test_when_all_deaths_fall_on_one_day_no_change_over_time_can_be_tested():
    fit = cox(LUNG.assign(os_days=np.where(LUNG["os_event"] == 1, 0, 9)), endpoint="os", covariates=["age"])
    assert np.isfinite(fit.table["coef"][0]) and fit.ph_test["chi2"].isna().all()


def test_patients_with_a_missing_covariate_are_counted():
    rows = at_random(60).assign(
        age=[None, 3.0] + [1.0, 2.0, 2.0, 5.0] * 14 + [1.0, 2.0], sex=["male", None] + ["male", "female"] * 29
    )
    fit = cox(rows, endpoint="os", covariates=["age", "risk"], strata="sex")
    assert fit.n_excluded == {"age missing": 1, "sex missing": 1} and fit.n == 58


def test_the_order_of_the_rows_does_not_matter():
    mixed = TIES.sample(frac=1, random_state=2)
    for field in ("table", "ph_test"):
        a, b = (getattr(cox(t, endpoint="os", covariates=BASIC, cluster="sex"), field) for t in (TIES, mixed))
        assert np.allclose(a.select_dtypes("number"), b.select_dtypes("number"), rtol=1e-9)


def test_concordance_equals_a_count_over_all_pairs():
    rng = np.random.default_rng(8)
    risk, days, event = rng.integers(0, 9, 70), rng.integers(0, 12, 70), rng.uniform(size=70) < 0.5
    better = total = 0.0
    for i in range(70):
        for j in range(70):
            if event[i] and (days[i] < days[j] or (days[i] == days[j] and not event[j])):
                total += 1
                better += (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
    value, _ = concordance(risk, days, event)
    assert value == pytest.approx(better / total, rel=1e-12)


def test_concordance_without_a_comparable_pair_is_nan():
    nobody = np.array([False, False])
    assert math.isnan(concordance(np.array([1, 2]), np.array([3, 4]), nobody)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": ["one"]}, r"covariate 'one' is constant \(1 in all 40 patients\).*Leave it out"),
        ({"covariates": ["word"]}, r"covariate 'word' is constant \('x' in all 40 patients\)"),
        ({"covariates": ["arm"], "strata": "centre"}, "constant .the same in all patients of each stratum of centre"),
        ({"covariates": ["risk", "double"]}, "covariate 'double' follows from risk. Leave one of them out"),
        ({"covariates": ["rsk"]}, r"'rsk' .nearest present: 'risk'"),
        ({"covariates": []}, r"covariates must be a list of at least one column, such as \['risk'\]"),
        ({"covariates": "risk"}, "covariates must be a list"),
        ({"covariates": ["risk", "risk"]}, "covariates name a column twice"),
        ({"covariates": ["os_days"]}, "'os_days' cannot be a covariate: it is part of the endpoint"),
        ({"covariates": ["patient_id"]}, "covariate 'patient_id' has 40 categories in 40 patients"),
        (
            {"covariates": ["risk"], "cluster": ["centre"]},
            r"cluster must be one column, such as 'centre', got \['centre'\]",
        ),
        ({"covariates": ["risk"], "cause": 2}, "takes no cause, as os_event has one kind of event only, got cause=2"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_sentence(options, message):
    rows = at_random(40).assign(one=1, word="x", centre=["a", "b"] * 20, arm=[0, 1] * 20)
    rows["double"] = 2 * rows["risk"] + 1
    with pytest.raises(OnlmError, match=message):
        cox(rows, endpoint="os", **options)


def test_competing_events_need_a_cause():
    rows = PBC.rename(columns={"os_days": "regional_days", "state": "regional_state"})
    with pytest.raises(OnlmError, match=r"name whose hazard is wanted, cause=1 .* or use fine_gray"):
        cox(rows, endpoint="regional", covariates=["age"])
    with pytest.raises(OnlmError, match="takes cause=1 or cause=2, got cause=3"):
        cox(rows, endpoint="regional", covariates=["age"], cause=3)


@pytest.mark.slow
def test_intervals_of_the_hazard_ratio_cover_the_truth_in_95_of_100_trials():
    inside = 0
    for seed in range(600):
        row = cox(at_random(150, log_hr=0.1, seed=seed), endpoint="os", covariates=["risk"]).table.iloc[0]
        inside += row["low"] < math.exp(0.1) < row["high"]
    assert 0.93 <= inside / 600 <= 0.97


def test_a_risk_in_percent_or_in_words_is_refused():
    rows = at_random(40)
    with pytest.raises(OnlmError, match=r"'risk' must lie in \[0, 1\] .not percent or a logit., but .* of 40"):
        cox(rows.assign(risk=rows["risk"] * 100), endpoint="os", covariates=["risk"])
    with pytest.raises(OnlmError, match=r"'risk' must be a number in \[0, 1\], but the column holds"):
        cox(rows.assign(risk="high"), endpoint="os", covariates=["risk"])


def test_a_hazard_ratio_too_large_for_a_number_is_infinite_without_a_warning():
    rows = at_random(60, log_hr=0.5)
    table = cox(rows.assign(tiny=rows["risk"] * 1e-12), endpoint="os", covariates=["tiny"]).table
    assert math.isinf(table["hr"][0]) and math.isfinite(table["coef"][0])


@pytest.mark.parametrize("kind", ["cox", "fine_gray"])
def test_a_level_beside_a_reference_level_both_without_an_event_has_no_ratio(kind):
    rng = np.random.default_rng(3)
    level = np.repeat(["a", "b", "c", "d"], 60)
    days, event = rng.exponential(900, 240), (rng.random(240) < 0.5) & np.isin(level, ["b", "c"])
    rows = pd.DataFrame({"patient_id": range(240), "level": level, "age_years": rng.normal(65, 8, 240),
                         "os_days": days, "os_event": event * 1.0, "regional_days": days,
                         "regional_state": np.where(event, 1, rng.integers(0, 2, 240) * 2)})  # fmt: skip
    if kind == "cox":
        found = analysis.cox(rows, endpoint="os", covariates=["level", "age_years"])
    else:
        found = analysis.fine_gray(rows, endpoint="regional", covariates=["level", "age_years"])
    table = found.table.set_index("covariate")
    assert table.loc[["level[b]", "level[c]", "level[d]"], "hr"].isna().all()
    assert np.isfinite(table.loc["age_years", ["hr", "low", "high"]].astype(float)).all()
