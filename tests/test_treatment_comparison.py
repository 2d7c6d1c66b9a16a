"""Treatments compared with overlap weights against R survival and survey; tests/reference/make_decisions.R."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from decisions_reference import IN_R, lung_started, pbc
from survival_reference import in_r

from onlm_lab.analysis import compare_treatments, interaction, landmark, treatment_arms
from onlm_lab.analysis.effect_modification import OBSERVATIONAL
from onlm_lab.analysis.treatment_pairs import LOBECTOMY_OR_SUBLOBAR, SURGERY_OR_SBRT
from onlm_lab.analysis.weighted_incidence import risk_by, standard_errors, weighted_steps
from onlm_lab.errors import OnlmError

PBC = pbc()
Z95 = 1.959963984540054
ARMS = {"trial": ("trt", ["age", "bili", "protime", "stage", "sex"]),
        "skewed": ("skewed", ["age", "protime", "stage", "sex"])}  # fmt: skip


def logs(estimate) -> tuple[float, float]:
    """Coefficient and standard error of a hazard ratio."""
    return np.log(estimate.value), np.log(estimate.high / estimate.low) / (2 * Z95)


def of_case(case: str, **options):
    treatment, covariates = ARMS[case]
    given = {"endpoint": "os", "horizon_days": 2000, **options}
    return compare_treatments(PBC, treatment=treatment, covariates=covariates, **given)


def confounded(n: int, *, seed: int, log_hr: float = 0.0) -> pd.DataFrame:
    """Older patients get SBRT and die sooner of it all; the treatment itself changes the hazard by log_hr."""
    rng = np.random.default_rng(seed)
    age = rng.normal(70, 8, n)
    sbrt = rng.uniform(size=n) < 1 / (1 + np.exp(-(age - 70) / 6))
    days = rng.exponential(1500 * np.exp(-0.07 * (age - 70) - log_hr * sbrt)) + 1
    end = rng.uniform(500, 2500, n)
    columns = {"os_days": np.minimum(days, end).round(), "os_event": (days <= end).astype(int), "age_years": age}
    arm = np.where(sbrt, "sbrt", "lobectomy")
    return pd.DataFrame({"patient_id": np.arange(n), **columns, "treatment": arm, "high": rng.integers(0, 2, n)})


@pytest.mark.parametrize("case", ["trial", "skewed"])
def test_weighted_and_crude_hazard_ratios_equal_robust_coxph_and_svycoxph(case):
    found, r = of_case(case), IN_R[case]
    coef, se = logs(found.hazard_ratio)
    assert coef == pytest.approx(r["cox"]["coef"][0], rel=1e-8) and se == pytest.approx(
        r["cox"]["robust_se"][0], rel=1e-8
    )
    assert coef == pytest.approx(r["survey_coef"], rel=1e-6)
    assert se == pytest.approx(r["survey_se"], rel=0.005)  # survey counts n / (n - 1)
    crude, crude_se = logs(found.hazard_ratio_crude)
    assert crude == pytest.approx(r["crude"]["coef"][0], rel=1e-8)
    assert crude_se == pytest.approx(r["crude"]["robust_se"][0], rel=1e-8)
    assert found.n_events == r["cox"]["n_events"] and found.notes[0] == OBSERVATIONAL


@pytest.mark.parametrize("case", ["trial", "skewed"])
def test_the_weighted_cause_specific_hazard_ratio_equals_that_of_r(case):
    found = of_case(case, endpoint="regional", cause=2)
    assert logs(found.hazard_ratio) == pytest.approx(
        (IN_R[case]["cause_2"]["coef"][0], IN_R[case]["cause_2"]["robust_se"][0]), rel=1e-8
    )


@pytest.mark.parametrize("case", ["trial", "skewed"])
def test_weighted_survival_and_its_robust_error_equal_survfit(case):
    r = IN_R[case]
    weight, arm = (
        of_case(case).balance.weights["weight"].to_numpy(),
        (PBC[ARMS[case][0]].isin(["placebo", "yes"])).to_numpy(),
    )
    for day, k, surv, se in zip(*(r["km"][name] for name in ("time", "arm", "surv", "se")), strict=True):
        own = arm == k
        steps = weighted_steps(PBC["os_days"].to_numpy(float)[own], PBC["os_event"].to_numpy()[own], weight[own])
        risk, derivative = risk_by(steps, day)
        assert 1 - risk == pytest.approx(surv, rel=1e-9)
        assert np.sqrt(((weight[own] * derivative) ** 2).sum()) == pytest.approx(se, rel=1e-8)


@pytest.mark.parametrize("case", ["trial", "skewed"])
@pytest.mark.parametrize("cause", [1, 2])
def test_weighted_incidence_and_its_robust_error_equal_the_multistate_survfit(case, cause):
    r = IN_R[case]["aj"]
    weight, arm = (
        of_case(case).balance.weights["weight"].to_numpy(),
        (PBC[ARMS[case][0]].isin(["placebo", "yes"])).to_numpy(),
    )
    for day, k, incidence, se in zip(*(r[name] for name in ("time", "arm", f"f{cause}", f"se{cause}")), strict=True):
        own = arm == k
        steps = weighted_steps(
            PBC["os_days"].to_numpy(float)[own], PBC["state"].to_numpy()[own], weight[own], cause=cause
        )
        risk, derivative = risk_by(steps, day)
        assert risk == pytest.approx(incidence, abs=1e-10)
        assert np.sqrt(((weight[own] * derivative) ** 2).sum()) == pytest.approx(se, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("cause", [1, 2])
def test_the_errors_of_a_whole_curve_are_those_of_each_day(cause):
    days, state = PBC["os_days"].to_numpy(float) // 300, PBC["state"].to_numpy()
    steps = weighted_steps(days, state, np.linspace(0.1, 2, len(days)), cause=cause)
    each = [np.sqrt(((steps.weight * risk_by(steps, day)[1]) ** 2).sum()) for day in steps.days]
    assert standard_errors(steps) == pytest.approx(np.array(each), rel=1e-9, abs=1e-12)
    last = weighted_steps(np.array([1.0, 2, 2, 3]), np.array([1, 2, 1, 1]), np.array([1.0, 0.5, 2, 1]))
    each = [np.sqrt(((last.weight * risk_by(last, day)[1]) ** 2).sum()) for day in last.days]
    assert last.incidence[-1] < 1 and standard_errors(last) == pytest.approx(np.array(each), abs=1e-12)


def test_the_risk_difference_is_that_of_the_two_weighted_curves():
    found = of_case("skewed")
    risks = found.risks.set_index("arm")
    surv = {(t, a): s for t, a, s in zip(*(IN_R["skewed"]["km"][k] for k in ("time", "arm", "surv")), strict=True)}
    assert risks.loc["yes", "risk"] - risks.loc["no", "risk"] == pytest.approx(found.risk_difference.value, rel=1e-12)
    assert found.risk_difference.value == pytest.approx(surv[2000, 0] - surv[2000, 1], rel=1e-9)
    at = found.curve[(found.curve["arm"] == "yes") & (found.curve["days"] <= 2000)]["incidence"].iloc[-1]
    assert at <= risks.loc["yes", "risk"] + 1e-12
    start = found.curve[found.curve["days"] == 0].set_index("arm")
    assert start["effective_at_risk"].tolist() == pytest.approx(IN_R["skewed"]["effective_n"], rel=1e-9)
    assert start["at_risk"].sum() == found.n


def test_confounding_by_indication_vanishes_when_the_confounder_is_weighted():
    found = compare_treatments(
        confounded(4000, seed=1), endpoint="os", treatment="treatment", covariates=["age_years"], horizon_days=1000
    )
    assert found.contrast == "sbrt against lobectomy"
    assert found.hazard_ratio_crude.low > 1.3 and found.risk_difference_crude.low > 0.05
    assert found.hazard_ratio.low < 1 < found.hazard_ratio.high
    assert found.risk_difference.low < 0 < found.risk_difference.high
    harm = compare_treatments(confounded(4000, seed=1, log_hr=0.6), endpoint="os", treatment="treatment",
                              covariates=["age_years"], horizon_days=1000)  # fmt: skip
    assert harm.hazard_ratio.low > 1.3 and harm.risk_difference.low > 0.05


def test_swapped_arms_give_the_inverse_ratio_and_the_opposite_difference():
    turned = PBC.assign(trt=PBC["trt"].map({"Dpen": "z", "placebo": "a"}))
    options = {"endpoint": "os", "treatment": "trt", "covariates": ["age", "bili"], "horizon_days": 2000}
    there, back = compare_treatments(PBC, **options), compare_treatments(turned, **options)
    assert there.hazard_ratio.value == pytest.approx(1 / back.hazard_ratio.value, rel=1e-9)
    assert there.risk_difference.low == pytest.approx(-back.risk_difference.high, rel=1e-9)
    assert there.p_value == pytest.approx(back.p_value, rel=1e-8)


def test_groups_have_the_numbers_of_the_group_alone_and_one_test_between_them():
    rows = confounded(1500, seed=2)
    options = {"endpoint": "os", "treatment": "treatment", "covariates": ["age_years"], "horizon_days": 1000}
    found = compare_treatments(rows, group="high", **options)
    for name in (0, 1):
        alone = compare_treatments(rows[rows["high"] == name], **options)
        line = found.by_group.set_index("group").loc[str(name)]
        assert line["hr"] == pytest.approx(alone.hazard_ratio.value, rel=1e-9)
        assert line["difference_low"] == pytest.approx(alone.risk_difference.low, rel=1e-9)
        assert line["hr_crude"] == pytest.approx(alone.hazard_ratio_crude.value, rel=1e-9)
        curve = found.curve[found.curve["group"] == str(name)].drop(columns="group").reset_index(drop=True)
        pd.testing.assert_frame_equal(curve, alone.curve.drop(columns="group"))
    logs_of = [logs(compare_treatments(rows[rows["high"] == k], **options).hazard_ratio) for k in (0, 1)]
    z = (logs_of[1][0] - logs_of[0][0]) / np.hypot(logs_of[0][1], logs_of[1][1])
    from scipy.stats import norm

    assert found.interaction_p == pytest.approx(2 * norm.sf(abs(z)), rel=1e-9)
    crude = interaction(rows, endpoint="os", treatment="treatment", group="high")
    assert found.interaction_p_crude == pytest.approx(crude.p_value, rel=1e-12)


def test_without_weights_the_ratio_is_adjusted_in_the_model_and_the_risks_are_not():
    adjusted = of_case("skewed", weighting="none")
    r = IN_R["skewed"]
    assert adjusted.balance is None and adjusted.hazard_ratio.value != adjusted.hazard_ratio_crude.value
    assert np.log(adjusted.hazard_ratio_crude.value) == pytest.approx(r["crude"]["coef"][0], rel=1e-8)
    assert adjusted.risk_difference == adjusted.risk_difference_crude
    assert any("the risks are not adjusted" in note for note in adjusted.notes)
    crude = compare_treatments(PBC, endpoint="os", treatment="skewed", horizon_days=2000)
    assert crude.weighting == "none" and crude.hazard_ratio == crude.hazard_ratio_crude
    assert any("nothing is balanced" in note for note in crude.notes)


def test_lobectomy_against_sublobar_and_surgery_against_radiotherapy():
    rng = np.random.default_rng(1)
    treatment = rng.choice(["lobectomy", "segmentectomy", "wedge", "pneumonectomy", "sbrt"], 500)
    rows = pd.DataFrame({"patient_id": range(500), "treatment": treatment, "os_days": rng.exponential(900, 500) + 1,
                         "os_event": 1})  # fmt: skip
    extent = treatment_arms(rows, arms=LOBECTOMY_OR_SUBLOBAR)
    assert len(extent) == np.isin(treatment, ["lobectomy", "segmentectomy", "wedge"]).sum()
    found = compare_treatments(extent, endpoint="os", treatment="treatment_compared", horizon_days=730)
    assert found.contrast == "sublobar against lobectomy"
    both = treatment_arms(rows, arms=SURGERY_OR_SBRT)
    assert compare_treatments(both, endpoint="os", treatment="treatment_compared", horizon_days=730).n == 500
    with pytest.raises(OnlmError, match="nobody had proton"):
        treatment_arms(rows, arms={"surgery": ["lobectomy"], "proton": ["proton"]})
    with pytest.raises(OnlmError, match="'wedge' belongs to both arms"):
        treatment_arms(rows, arms={"a": ["wedge"], "b": ["wedge"]})
    with pytest.raises(OnlmError, match="arms must name two arms"):
        treatment_arms(rows, arms={"a": ["wedge"]})


def test_adjuvant_treatment_is_refused_until_the_rows_are_landmarked():
    rows = lung_started()
    with pytest.raises(OnlmError, match="immortal time"):
        compare_treatments(rows, endpoint="os", treatment="adjuvant", horizon_days=365)
    late = landmark(rows, day=90, endpoints=["os"]).rows
    found = compare_treatments(late, endpoint="os", treatment="adjuvant", horizon_days=365)
    assert np.log(found.hazard_ratio.value) == pytest.approx(IN_R["landmark"][1]["coef"], rel=1e-8)


def test_no_event_one_event_one_side_and_one_treatment_in_a_group_are_nan_with_a_note():
    rows = confounded(200, seed=3)
    options = {"endpoint": "os", "treatment": "treatment", "covariates": ["age_years"], "horizon_days": 300}
    none = compare_treatments(rows.assign(os_event=0), **options)
    assert np.isnan(none.hazard_ratio.value) and none.hazard_ratio.note == "too few events: 0 for a model of size 1"
    assert none.risk_difference.value == 0 and np.isnan(none.risks["low"]).all()
    one = compare_treatments(rows.assign(os_event=(rows.index == 7).astype(int)), **options)
    assert np.isnan(one.hazard_ratio.value)
    side = compare_treatments(rows.assign(os_event=(rows["treatment"] == "sbrt") * rows["os_event"]), **options)
    assert np.isnan(side.hazard_ratio.value) and "one treatment only" in side.hazard_ratio.note
    rows.loc[rows["high"] == 1, "treatment"] = "sbrt"
    lone = compare_treatments(rows, group="high", **options)
    assert lone.by_group["hr"].isna().tolist() == [False, True] and np.isnan(lone.interaction_p)
    assert "1: one treatment only, nothing to compare" in lone.notes


def test_a_horizon_beyond_the_follow_up_of_an_arm_has_no_risk_but_a_note():
    found = compare_treatments(confounded(300, seed=3), endpoint="os", treatment="treatment", horizon_days=9000)
    assert np.isnan(found.risk_difference.value) and "before day 9000" in found.risk_difference.note
    assert any("before the horizon of 9000 days" in note for note in found.notes)


def test_covariates_that_tell_the_treatments_apart_leave_the_crude_numbers_only():
    rows = PBC.assign(apart=(PBC["age"] > 50).map({True: "old", False: "young"}))
    found = compare_treatments(rows, endpoint="os", treatment="apart", covariates=["age"], horizon_days=2000)
    assert np.isnan(found.hazard_ratio.value) and not np.isnan(found.hazard_ratio_crude.value)
    assert np.isnan(found.risk_difference.value) and found.risks["risk"].isna().all()
    assert any("no patient could have had either" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatment": "stage"}, "needs two levels, it has 4"),
        ({"weighting": "iptw"}, "weighting must be one of overlap, none, got 'iptw'"),
        ({"horizon_days": 0}, "horizon_days must be days after time zero"),
        ({"group": "trt"}, "'trt' is the group and cannot be treatment or covariate too"),
        ({"group": "same"}, "the group 'same' needs at least two levels"),
        ({"endpoint": "regional"}, "'regional' has competing events: name cause=1"),
        ({"cause": 2}, "'os' has one kind of event only"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(options, message):
    given = {"endpoint": "os", "treatment": "trt", "horizon_days": 2000, "covariates": ["age"], **options}
    with pytest.raises(OnlmError, match=message):
        compare_treatments(PBC.assign(same="x"), **given)


def test_the_kaplan_meier_of_weights_of_one_is_r_s_plain_one():
    r = in_r("km_lung")
    rows = lung_started()
    steps = weighted_steps(rows["os_days"].to_numpy(float), rows["os_event"].to_numpy(), np.ones(len(rows)))
    for day in (90, 180, 365, 730):
        assert 1 - risk_by(steps, day)[0] == pytest.approx(r[f"surv:all:{day}"], rel=1e-10)
