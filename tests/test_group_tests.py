"""Log-rank and Gray with weights, strata, trend and pairs against R (tests/reference/make_curves.R)."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, REFERENCE, table

from onlm_lab import analysis
from onlm_lab.errors import OnlmError

IN_R = json.loads((REFERENCE / "curves.json").read_text())
LUNG, PBC, TINY = table("lung"), table("pbc"), table("tiny_survival")
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
MGUS, PBC_STATES = table("mgus", names=COMPETING), table("pbc", names=COMPETING)
MGUS = MGUS.assign(spike=(MGUS["mspike"] >= 1.5).where(MGUS["mspike"].notna()))
COARSE = PBC_STATES.assign(regional_days=PBC_STATES["regional_days"] // 365)
TINY_STATES = table("tiny_survival", names=COMPETING)

LOG_RANK = {
    "lung_sex": (LUNG, "sex", None, 0),
    "lung_sex_peto": (LUNG, "sex", None, 1),
    "lung_ecog": (LUNG, "ecog", None, 0),
    "lung_ecog_half": (LUNG, "ecog", None, 0.5),
    "lung_ecog_in_sex": (LUNG, "ecog", "sex", 0),
    "lung_ecog_in_sex_peto": (LUNG, "ecog", "sex", 1),
    "lung_sex_in_two": (LUNG, "sex", ["ecog", "inst"], 0),
    "ties_sex_in_ecog_peto": (TIES, "sex", "ecog", 1),
    "ties_ecog": (TIES, "ecog", None, 0),
    "pbc_stage": (PBC, "stage", None, 0),
    "pbc_stage_in_trt": (PBC, "stage", "trt", 0),
    "tiny_group": (TINY, "group", None, 0),
    "tiny_group_peto": (TINY, "group", None, 1),
}


@pytest.mark.parametrize("case", LOG_RANK)
def test_observed_expected_chi_square_and_trend_equal_those_of_survdiff(case):
    rows, by, strata, rho = LOG_RANK[case]
    fit, expected = analysis.log_rank(rows, endpoint="os", by=by, strata=strata, rho=rho, trend=True), IN_R["log_rank"]
    expected = expected[case]
    np.testing.assert_allclose(fit.table["observed"], expected["observed"], rtol=1e-10)
    np.testing.assert_allclose(fit.table["expected"], expected["expected"], rtol=1e-10)
    assert fit.table["n"].tolist() == expected["n"] and fit.n == sum(expected["n"])
    assert [fit.chi2, fit.df, fit.p_value] == pytest.approx([expected[k][0] for k in ("chi2", "df", "p")], rel=1e-8)
    assert fit.trend.chi2 == pytest.approx(expected["trend"][0], rel=1e-8)
    assert fit.trend.p_value == pytest.approx(expected["trend_p"][0], rel=1e-8)


def test_pairs_and_their_adjusted_p_equal_those_of_survdiff_and_p_adjust():
    pairs = analysis.log_rank(PBC, endpoint="os", by="stage", pairwise=True, adjust="bh").pairwise
    expected = IN_R["pairwise_pbc_stage"]
    assert list(zip(pairs["group_a"], pairs["group_b"], strict=True))[:2] == [("1", "2"), ("1", "3")]
    for column, key in (("p_value", "p"), ("p_holm", "holm"), ("p_bh", "bh"), ("p_adjusted", "bh")):
        np.testing.assert_allclose(pairs[column], expected[key], rtol=1e-8)


def test_the_values_handed_over_from_another_run_of_r_are_met():
    """shared reference, lung: survdiff(Surv(time, status) ~ sexf + strata(ph.ecog)); pbc: cuminc(..., strata=stage)."""
    assert analysis.log_rank(LUNG, endpoint="os", by="sex", strata="ecog").chi2 == pytest.approx(10.7950596334964)
    found = analysis.gray(PBC_STATES, endpoint="regional", by="trt", strata="stage")
    assert found.chi2 == pytest.approx(0.22778407344540508, rel=1e-8)


def test_kaplan_meier_and_the_plain_test_agree():
    fit, curves = analysis.log_rank(LUNG, endpoint="os", by="ecog"), analysis.kaplan_meier(LUNG, by="ecog")
    assert fit.chi2 == curves.log_rank.chi2 and fit.p_value == curves.log_rank.p_value


def test_swapping_two_groups_swaps_the_sign_and_keeps_the_test():
    mirrored = LUNG.assign(sex=LUNG["sex"].map({"male": "a", "female": "b"}))
    once, again = (analysis.log_rank(r, endpoint="os", by="sex", rho=1) for r in (LUNG, mirrored))
    assert once.chi2 == pytest.approx(again.chi2, rel=1e-12)
    gap = once.table["observed"] - once.table["expected"]
    assert gap[1] > 0 > gap[0]  # men die sooner
    assert (again.table["observed"] - again.table["expected"]).tolist() == pytest.approx(gap.tolist()[::-1])


def test_a_stratum_that_explains_all_leaves_no_difference_between_groups():
    chance = np.random.default_rng(8)
    n = 4_000
    sick = chance.uniform(size=n) < 0.5
    high = chance.uniform(size=n) < np.where(sick, 0.8, 0.2)
    days = chance.exponential(np.where(sick, 300, 1500))
    rows = pd.DataFrame({"patient_id": np.arange(n).astype(str), "os_days": days, "os_event": 1, "sick": sick,
                         "high": high})  # fmt: skip
    assert analysis.log_rank(rows, endpoint="os", by="high").p_value < 1e-20
    assert analysis.log_rank(rows, endpoint="os", by="high", strata="sick").p_value > 0.01


def test_a_rising_hazard_over_ordered_groups_is_a_trend_and_a_shuffled_order_is_less_of_one():
    chance = np.random.default_rng(2)
    group = chance.integers(0, 4, 600)
    rows = pd.DataFrame({"patient_id": np.arange(600).astype(str), "os_days": chance.exponential(900 * 0.8**group),
                         "os_event": 1, "quartile": group})  # fmt: skip
    mixed = rows.assign(quartile=rows["quartile"].map({0: 1, 1: 3, 2: 0, 3: 2}))
    ordered = analysis.log_rank(rows, endpoint="os", by="quartile", trend=True)
    assert ordered.trend.p_value < ordered.p_value
    assert analysis.log_rank(mixed, endpoint="os", by="quartile", trend=True).trend.chi2 < ordered.trend.chi2 / 2


GRAY = {
    "mgus_sex": (MGUS, "sex", None, 0),
    "mgus_sex_peto": (MGUS, "sex", None, 1),
    "mgus_sex_in_spike": (MGUS, "sex", "spike", 0),
    "mgus_sex_in_spike_peto": (MGUS, "sex", "spike", 1),
    "pbc_trt_in_stage": (PBC_STATES, "trt", "stage", 0),
    "pbc_stage_in_trt_half": (PBC_STATES, "stage", "trt", 0.5),
    "coarse_stage_in_trt_peto": (COARSE, "stage", "trt", 1),
    "coarse_stage": (COARSE, "stage", None, 0),
    "tiny_group_peto": (TINY_STATES, "group", None, 1),
}


@pytest.mark.parametrize("case", GRAY)
def test_gray_with_weights_and_strata_equals_cmprsk(case):
    rows, by, strata, rho = GRAY[case]
    expected = IN_R["gray"][case]
    for i, cause in enumerate(expected["causes"]):
        fit = analysis.gray(rows, endpoint="regional", by=by, strata=strata, rho=rho, cause=cause)
        found = [fit.chi2, fit.df, fit.p_value]
        assert found == pytest.approx([expected[k][i] for k in ("chi2", "df", "p")], rel=1e-8)


def test_pairs_of_gray_are_tests_of_those_patients_alone():
    pairs = analysis.gray(PBC_STATES, endpoint="regional", by="stage", pairwise=True).pairwise
    two = PBC_STATES[PBC_STATES["stage"].isin([2, 4])]
    alone = analysis.gray(two, endpoint="regional", by="stage")
    row = pairs.query("group_a == '2' and group_b == '4'").iloc[0]
    assert row["chi2"] == pytest.approx(alone.chi2, rel=1e-12) and (pairs["p_adjusted"] == pairs["p_holm"]).all()


def patients(state: list[int], arm: list[str]) -> pd.DataFrame:
    days = [3, 5, 9, 9][: len(state)]
    return pd.DataFrame({"patient_id": list("PQRS")[: len(state)], "os_days": days, "os_event": state, "arm": arm,
                         "regional_days": days, "regional_state": state})  # fmt: skip


def test_all_censored_or_one_group_gives_nan_with_a_note():
    nobody = patients([0, 0, 0, 0], list("abab"))
    fit = analysis.log_rank(nobody, endpoint="os", by="arm", trend=True, pairwise=True)
    assert math.isnan(fit.chi2) and math.isnan(fit.trend.p_value) and fit.pairwise["p_holm"].isna().all()
    assert fit.notes[0] == "log-rank test: no events" and "a against b" in fit.notes[1]
    assert analysis.gray(nobody, endpoint="regional", by="arm").notes == ("Gray's test of cause 1: no events",)
    one = analysis.log_rank(patients([1, 1, 0, 1], list("aaaa")), endpoint="os", by="arm", pairwise=True)
    assert math.isnan(one.p_value) and one.df == 0 and one.notes == ("log-rank test: one group",)
    assert one.pairwise.empty and list(one.pairwise)[-3:] == ["p_holm", "p_bh", "p_adjusted"]


def test_strata_that_hold_one_group_each_compare_nothing():
    rows = patients([1, 1, 0, 1], list("aabb")).assign(centre=list("xxyy"))
    for fit in (analysis.log_rank(rows, endpoint="os", by="arm", strata="centre"),
                analysis.gray(rows, endpoint="regional", by="arm", strata="centre")):  # fmt: skip
        assert math.isnan(fit.p_value) and "too few events" in fit.notes[0]


def test_an_empty_category_is_named_and_patients_without_a_stratum_are_counted():
    rows = patients([1, 1, 0, 1], list("aabb")).assign(centre=["x", "x", "x", None])
    rows["arm"] = pd.Categorical(rows["arm"], categories=["b", "c", "a"])
    fit = analysis.log_rank(rows, endpoint="os", by="arm", strata="centre")
    assert fit.table["group"].tolist() == ["b", "a"] and "no patient with arm = c" in fit.notes
    assert fit.n_excluded == {"centre missing": 1} and fit.strata == ("centre",)


@pytest.mark.parametrize(
    ("call", "options", "message"),
    [
        (analysis.log_rank, {"endpoint": "regional"}, r"Use gray\(rows, endpoint=\"regional\", by=\"arm\"\)"),
        (analysis.gray, {"endpoint": "os"}, r"Use log_rank\(rows, endpoint=\"os\", by=\"arm\"\)"),
        (analysis.log_rank, {"endpoint": "os", "rho": -1}, "rho must be 0 .log-rank. or more"),
        (analysis.log_rank, {"endpoint": "os", "adjust": "no"}, "adjust must be holm or bh, got 'no'"),
        (analysis.log_rank, {"endpoint": "os", "strata": "arm"}, "'arm' is both the groups and a stratum"),
        (analysis.log_rank, {"endpoint": "os", "strata": "center"}, "column 'center'"),
        (analysis.gray, {"endpoint": "regional", "cause": 3}, "cause must be 1 .the event. or 2"),
    ],
)
def test_what_cannot_be_tested_is_refused_in_one_sentence(call, options, message):
    with pytest.raises(OnlmError, match=message):
        call(patients([1, 1, 0, 1], list("aabb")), by="arm", **options)


def test_a_result_is_ready_for_a_report():
    plain = analysis.log_rank(LUNG, endpoint="os", by="sex", trend=True).to_dict()
    assert plain["trend"]["df"] == 1 and plain["pairwise"] == [] and plain["strata"] == []
    assert analysis.gray(MGUS, endpoint="regional", by="sex").to_dict()["pairwise"] == []
