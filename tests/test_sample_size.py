"""Sample sizes are those of pmsampsize and pmvalsampsize, move the right way and refuse what makes no sense."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from onlm_lab.analysis.anticipated_fit import r2_of_c_statistic, simulated_r2_of_c_statistic
from onlm_lab.analysis.continuous_sample_size import sample_size_continuous
from onlm_lab.analysis.sample_size import expected_shrinkage, sample_size_binary, sample_size_survival
from onlm_lab.analysis.testing_sample_size import sample_size_external
from onlm_lab.errors import OnlmError

IN_R = json.loads((Path(__file__).parent / "reference" / "sample_size.json").read_text())
DEVELOPED = {
    "c_statistic": lambda: sample_size_binary(n_parameters=24, prevalence=0.174, c_statistic=0.75),
    "r2_large": lambda: sample_size_binary(n_parameters=24, prevalence=0.174, r2_cox_snell=0.288),
    "r2": lambda: sample_size_binary(n_parameters=10, prevalence=0.18, r2_cox_snell=0.12),
    "survival": lambda: sample_size_survival(
        n_parameters=30, rate_per_year=0.065, horizon_years=2, mean_followup_years=2.07, r2_cox_snell=0.051
    ),
    "continuous": lambda: sample_size_continuous(n_parameters=25, r2=0.2, mean=26.7, sd=8.7),
}


@pytest.mark.parametrize("case", list(DEVELOPED))
def test_development_needs_what_pmsampsize_says(case):
    found, wanted = DEVELOPED[case](), IN_R[case]
    assert found.n_required == wanted["sample_size"] and found.r2 == pytest.approx(wanted["r2"])
    if case == "continuous":
        assert round(found.shrinkage, 3) == wanted["final_shrinkage"]  # pmsampsize rounds this one
        assert round(found.criteria["patients_per_parameter"].max(), 2) == wanted["SPP"]
        assert "known as 26.2 to 27.2" in found.notes[0]
        return
    assert found.shrinkage == pytest.approx(wanted["final_shrinkage"], rel=1e-12)
    assert found.n_events_required == pytest.approx(wanted["events"], rel=1e-12)
    assert found.r2_max == pytest.approx(wanted["max_r2a"], rel=1e-12)
    assert found.r2_nagelkerke == pytest.approx(wanted["nag_r2"], rel=1e-12)
    row = found.criteria[found.criteria["drives"]].iloc[0]
    assert round(row["events_per_parameter"], 2) == wanted["EPP"] and row["n"] == wanted["sample_size"]
    if case == "survival":
        assert "is 0.122 (0.113 to 0.130)" in found.notes[-1]


@pytest.mark.parametrize("case", IN_R["survival_tests"])
def test_a_time_to_event_needs_what_pmsampsize_tests_say(case):
    found = sample_size_survival(
        n_parameters=case["parameters"], rate_per_year=case["rate"], horizon_years=case["timepoint"],
        mean_followup_years=case["meanfup"], r2_cox_snell=case["r2"],
    )  # fmt: skip
    assert found.n_required == case["n"]


def test_the_r2_of_a_c_statistic_is_the_one_that_pmsampsize_draws_and_lies_beside_the_exact_one():
    drawn, exact = simulated_r2_of_c_statistic(0.75, prevalence=0.174), r2_of_c_statistic(0.75, prevalence=0.174)
    assert drawn == 0.1142
    rng = np.random.default_rng(3)  # another draw, fitted by another library, says what the integral says
    events = rng.random(400_000) < 0.174
    x = rng.normal(size=len(events)) + events * 2**0.5 * 0.6744897501960817
    fit = sm.Logit(events.astype(float), sm.add_constant(x)).fit(disp=0)
    assert 1 - math.exp(2 * (fit.llnull - fit.llf) / len(x)) == pytest.approx(exact, abs=0.003)
    assert exact == pytest.approx(drawn, abs=0.001)
    assert r2_of_c_statistic(0.6, prevalence=0.174) < exact < r2_of_c_statistic(0.9, prevalence=0.174)


def test_more_parameters_a_weaker_model_and_less_shrinkage_need_more_patients():
    def needed(**changed):
        return sample_size_binary(**({"n_parameters": 10, "prevalence": 0.2, "r2_cox_snell": 0.1} | changed)).n_required

    base = needed()
    assert needed(n_parameters=20) > base > needed(r2_cox_snell=0.15)
    assert needed(shrinkage=0.95) > base > needed(shrinkage=0.8)


def test_the_study_at_hand_is_told_what_it_would_reach_and_how_many_are_wanting():
    found = sample_size_binary(n_parameters=24, prevalence=0.174, c_statistic=0.75, n=1769, n_events=300)
    assert found.n_more == 0 and found.sentence.endswith("The study has 1,769: enough.")
    assert 0.9 <= found.shrinkage_at_n < 0.9001  # 1,769 is the least number that reaches 0.9
    assert expected_shrinkage(1768, n_parameters=24, r2=found.r2) < 0.9
    short = sample_size_binary(n_parameters=24, prevalence=0.174, c_statistic=0.75, n=300, n_events=52)
    assert short.n_more == 1469 and "not enough, 1,469 more are needed" in short.sentence
    assert short.margin_at_n == pytest.approx(1.96 * math.sqrt(0.174 * 0.826 / 300))
    assert short.shrinkage_at_n < found.shrinkage_at_n
    assert "<script>" not in short._repr_html_() and "300" in short._repr_html_()


def test_nothing_about_the_models_worth_is_assumed():
    with pytest.raises(OnlmError, match=r"name exactly one of c_statistic, r2_cox_snell, r2_nagelkerke .* got none"):
        sample_size_binary(n_parameters=5, prevalence=0.2)
    with pytest.raises(OnlmError, match="got c_statistic and r2_cox_snell"):
        sample_size_binary(n_parameters=5, prevalence=0.2, c_statistic=0.7, r2_cox_snell=0.1)
    with pytest.raises(OnlmError, match="name exactly one of r2_cox_snell, r2_nagelkerke"):
        sample_size_survival(n_parameters=5, rate_per_year=0.1, horizon_years=3, mean_followup_years=2)


def test_every_argument_out_of_range_is_told_at_once():
    with pytest.raises(OnlmError) as told:
        sample_size_binary(n_parameters=0, prevalence=1.2, c_statistic=0.4, shrinkage=1, n=2.5)
    for word in ("n_parameters", "prevalence", "c_statistic", "shrinkage", "n must be a count"):
        assert word in str(told.value)
    with pytest.raises(OnlmError, match=r"R2 of 0\.8 was named, but with this outcome it lies between 0 and 0\.6324"):
        sample_size_binary(n_parameters=5, prevalence=0.2, r2_cox_snell=0.8)
    with pytest.raises(OnlmError, match="too few of a million patients"):
        sample_size_binary(n_parameters=5, prevalence=1e-6, c_statistic=0.8)
    with pytest.raises(OnlmError, match=r"margin must be above 1.*mean must be a number other than 0"):
        sample_size_continuous(n_parameters=5, r2=0.3, mean=0, sd=1, margin=0.9)


@pytest.mark.parametrize("k", [math.inf, math.nan, "24", 0.5, None])
def test_what_is_no_count_is_refused_in_words_and_not_by_a_crash(k):
    with pytest.raises(OnlmError, match="n_parameters must be a whole number of at least 1, got"):
        sample_size_binary(n_parameters=k, prevalence=0.2, r2_cox_snell=0.1)
    with pytest.raises(OnlmError, match="n_parameters must be a whole number of at least 3, got"):
        sample_size_continuous(n_parameters=k, r2=0.3, mean=1, sd=1)
    if k is not None:
        with pytest.raises(OnlmError, match="n must be a count of patients, got"):
            sample_size_external(prevalence=0.2, c_statistic=0.8, n=k)


def test_texts_and_events_without_patients_are_refused():
    with pytest.raises(OnlmError, match=r"prevalence must lie between 0 and 1, got '0\.2'"):
        sample_size_binary(n_parameters=5, prevalence="0.2", r2_cox_snell=0.1)
    for n in (None, 5):
        with pytest.raises(OnlmError, match=f"n_events are the events of n patients, got 9 of {n}"):
            sample_size_binary(n_parameters=5, prevalence=0.2, r2_cox_snell=0.1, n=n, n_events=9)
    with pytest.raises(OnlmError, match=r"got 3, 1 of them not"):
        sample_size_external(prevalence=0.2, c_statistic=0.8, risks=[0.1, "a", 0.3])


@pytest.mark.parametrize("n_parameters", [1, 24, 100])
@pytest.mark.parametrize("prevalence", [0.01, 0.174, 0.5, 0.9])
@pytest.mark.parametrize("r2", [0.01, 0.05, 0.3])
def test_each_criterion_is_its_closed_form(n_parameters, prevalence, r2):
    most = 1 - (prevalence**prevalence * (1 - prevalence) ** (1 - prevalence)) ** 2
    if r2 >= most:
        with pytest.raises(OnlmError, match="it lies between 0 and"):
            sample_size_binary(n_parameters=n_parameters, prevalence=prevalence, r2_cox_snell=r2)
        return
    small = r2 / (r2 + 0.05 * most)
    wanted = [
        *(math.ceil(round(n_parameters / ((s - 1) * math.log(1 - r2 / s)), 8)) for s in (0.9, small)),
        math.ceil(round((1.96 / 0.05) ** 2 * prevalence * (1 - prevalence), 8)),
    ]
    found = sample_size_binary(n_parameters=n_parameters, prevalence=prevalence, r2_cox_snell=r2)
    assert found.criteria["n"].tolist() == wanted and found.n_required == max(wanted)
    assert found.criteria.loc[found.criteria["drives"], "n"].tolist() == [max(wanted)]


def test_a_c_statistic_near_its_ends_is_told_as_such():
    assert r2_of_c_statistic(0.9999, prevalence=0.174) == pytest.approx(0.6, abs=0.01)  # all but its maximum, 0.6032
    with pytest.raises(OnlmError, match=r"R2 of 0 was named by the C statistic 0\.501, but"):
        sample_size_binary(n_parameters=5, prevalence=0.174, c_statistic=0.501)


def test_testing_elsewhere_needs_what_pmvalsampsize_says():
    wanted = IN_R["testing"]

    def sizes(**spread):
        found = sample_size_external(prevalence=0.018, c_statistic=0.8, oe_width=1, **spread)
        return found.criteria.set_index("criterion")["n"]

    normal, from_beta, from_c = sizes(lp_normal=(-5, 2.5)), sizes(risk_beta=(0.5, 0.5)), sizes()
    assert normal["oe_ratio"] == wanted["oe_ratio"] and normal["c_statistic"] == wanted["c_statistic"]
    # pmvalsampsize drew 1,000 patients (10,000 for the last) and matched the prevalence to 0.0005; ours is integrated
    assert normal["slope"] == pytest.approx(wanted["slope_lp_normal_-5_2.5"], rel=0.05)
    assert from_beta["slope"] == pytest.approx(wanted["slope_beta_0.5_0.5"], rel=0.01)
    assert from_c["slope"] == pytest.approx(wanted["slope_from_c"], rel=0.1)


def test_a_testing_set_of_the_size_needed_has_the_width_asked_for():
    rng = np.random.default_rng(11)
    found = sample_size_external(prevalence=0.2, c_statistic=0.75)
    size = int(found.criteria.set_index("criterion").loc["slope", "n"])
    apart = 2 * 0.6744897501960817**2
    events = rng.random(size) < 0.2
    predictor = rng.normal(np.log(0.25) - apart / 2 + apart * events, apart**0.5)
    fit = sm.Logit(events.astype(float), sm.add_constant(predictor)).fit(disp=0)
    assert 2 * 1.96 * fit.bse[1] == pytest.approx(0.2, rel=0.06)
    at = sample_size_external(prevalence=0.2, c_statistic=0.75, n=size).criteria.set_index("criterion")
    assert at.loc["slope", "width_at_n"] == pytest.approx(0.2, rel=1e-3)


def test_net_benefit_by_given_and_by_derived_accuracy():
    found = sample_size_external(prevalence=0.2, c_statistic=0.75, threshold=0.1)
    given = sample_size_external(
        prevalence=0.2, c_statistic=0.75, threshold=0.1, sensitivity=found.sensitivity, specificity=found.specificity
    )
    assert 0.5 < found.sensitivity < 1 and given.n_required == found.n_required
    # by hand: se 0.051, odds 4/9, sensitivity 0.9, specificity 0.5
    hand = sample_size_external(prevalence=0.2, c_statistic=0.75, threshold=0.1, sensitivity=0.9, specificity=0.5)
    odds = 4 / 9
    spread = 0.09 / 0.2 + odds**2 * 0.25 / 0.8 + odds**2 * 0.25 / 0.16
    assert hand.criteria.set_index("criterion").loc["net_benefit", "n"] == math.ceil(spread / 0.051**2)


def test_narrower_intervals_and_rarer_events_need_a_larger_testing_set():
    def needed(**changed):
        return sample_size_external(**({"prevalence": 0.2, "c_statistic": 0.75} | changed)).n_required

    assert needed(slope_width=0.1) > needed() > needed(slope_width=0.4, oe_width=0.4)
    assert needed(prevalence=0.1) > needed()


def test_risks_that_contradict_the_prevalence_are_told_and_equal_ones_refused():
    found = sample_size_external(prevalence=0.018, c_statistic=0.8, lp_normal=(-5, 2.5))
    assert any("stands for a prevalence of 0.0523, but 0.018 was named" in note for note in found.notes)
    risks = np.random.default_rng(1).beta(2, 8, size=500)
    assert len(sample_size_external(prevalence=float(risks.mean()), c_statistic=0.7, risks=risks).notes) == 1
    with pytest.raises(OnlmError, match="all risks are the same"):
        sample_size_external(prevalence=0.2, c_statistic=0.7, risks=[0.2] * 10)
    with pytest.raises(OnlmError, match=r"in one way, got risks and lp_normal.*at least two numbers between 0 and 1"):
        sample_size_external(prevalence=0.2, c_statistic=0.7, risks=[0.0], lp_normal=(0, 1))
    with pytest.raises(OnlmError, match="belong to a threshold"):
        sample_size_external(prevalence=0.2, c_statistic=0.7, sensitivity=0.9, specificity=0.5)
