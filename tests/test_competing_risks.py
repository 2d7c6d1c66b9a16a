"""Cumulative incidence and Gray's test against R cmprsk; tests/reference/make_survival.R makes the numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, in_r, table

from onlm_lab.analysis.competing_risks import cumulative_incidence
from onlm_lab.analysis.survival import kaplan_meier
from onlm_lab.errors import OnlmError


def patients(days: list[float], state: list[int], **columns: list) -> pd.DataFrame:
    ids = [f"P{i}" for i in range(len(days))]
    return pd.DataFrame({"patient_id": ids, "regional_days": days, "regional_state": state, **columns})


MGUS, PBC, TINY = table("mgus", names=COMPETING), table("pbc", names=COMPETING), table("tiny_survival", names=COMPETING)
CASES = {
    "aj_mgus": (MGUS, None),
    "aj_mgus_sex": (MGUS, "sex"),
    "aj_pbc_stage": (PBC, "stage"),
    "aj_pbc_trt": (PBC, "trt"),
    "aj_ties_stage": (PBC.assign(regional_days=PBC["regional_days"] // 365), "stage"),
    "aj_tiny": (TINY, "group"),
}


@pytest.mark.parametrize("case", CASES)
def test_incidence_its_interval_and_gray_test_equal_those_of_cmprsk(case):
    rows, by = CASES[case]
    fit, expected = cumulative_incidence(rows, by=by), in_r(case)
    tests = fit.gray_test.set_index("cause")
    n_compared = 0
    for key, value in expected.items():
        what, *rest = key.split(":")
        if what in ("chi2", "df", "p"):
            found = tests.loc[int(rest[0]), "p_value" if what == "p" else what]
            assert found == pytest.approx(value, rel=1e-8), key
        elif what == "est" and not math.isnan(value):
            name, cause, day = rest
            at = fit.at(days=[float(day)]).set_index(["group", "cause"]).loc[(name, int(cause))]
            assert at["incidence"] == pytest.approx(value, rel=1e-9, abs=1e-12), key
            low, high = log_log(value, expected[":".join(["var", *rest])])
            assert at["low"] == pytest.approx(low, rel=1e-8, nan_ok=True), key
            assert at["high"] == pytest.approx(high, rel=1e-8, nan_ok=True), key
            n_compared += 1
    assert n_compared >= 8


def log_log(f: float, variance: float) -> tuple[float, float]:
    if f == 0 or variance == 0:
        return math.nan, math.nan
    half = 1.959963984540054 * math.sqrt(variance) / (f * math.log(f))
    return f ** math.exp(-half), f ** math.exp(half)


def test_without_competing_events_the_incidence_is_one_minus_kaplan_meier():
    alone = PBC.assign(regional_state=(PBC["regional_state"] == 1).astype(int))
    fit = cumulative_incidence(alone).curve.query("cause == 1")
    km = kaplan_meier(alone.assign(os_days=alone["regional_days"], os_event=alone["regional_state"])).curve
    assert np.allclose(fit["incidence"], 1 - km["survival"], rtol=0, atol=1e-12)


def test_competing_deaths_lower_the_incidence_below_one_minus_kaplan_meier():
    fit = cumulative_incidence(MGUS).at(days=[240]).set_index("cause")["incidence"]
    naive = MGUS.assign(os_days=MGUS["regional_days"], os_event=(MGUS["regional_state"] == 1).astype(int))
    assert fit[1] < 1 - kaplan_meier(naive).at(days=[240])["survival"][0] - 0.05


def test_the_incidences_of_both_causes_and_survival_without_either_add_to_one():
    fit = cumulative_incidence(MGUS)
    total = fit.at(days=[120])["incidence"].sum()
    free = MGUS.assign(os_days=MGUS["regional_days"], os_event=(MGUS["regional_state"] > 0).astype(int))
    assert total + kaplan_meier(free).at(days=[120])["survival"][0] == pytest.approx(1, abs=1e-12)


def test_the_group_with_more_events_has_the_higher_incidence():
    rng = np.random.default_rng(5)
    high = np.arange(400) % 2 == 1
    own, death = rng.exponential(np.where(high, 800, 3000)), rng.exponential(2000, 400)
    days = np.minimum(np.minimum(own, death), 1500)
    state = np.where(days == 1500, 0, np.where(own < death, 1, 2))
    fit = cumulative_incidence(patients(list(days), list(state), high=list(high)), by="high")
    at = fit.at(days=[1000]).query("cause == 1").set_index("group")
    assert at.loc["True", "low"] > at.loc["False", "high"] and fit.gray_test["p_value"][0] < 1e-4


def test_a_curve_starts_at_zero_incidence_even_with_an_event_on_day_zero():
    curve = cumulative_incidence(patients([0, 0, 4, 9], [1, 2, 1, 0])).curve.query("cause == 1")
    assert curve.iloc[0][["days", "incidence", "at_risk"]].tolist() == [0, 0, 4]
    assert curve.iloc[1][["days", "incidence", "at_risk", "n_events"]].tolist() == [0, 0.25, 4, 1]


def test_without_any_event_incidence_is_zero_and_the_tests_are_nan_with_a_note():
    fit = cumulative_incidence(patients([3, 5, 9], [0, 0, 0], arm=list("aba")), by="arm")
    assert (fit.curve["incidence"] == 0).all() and fit.curve["low"].isna().all()
    assert fit.gray_test["p_value"].isna().all() and fit.notes[0] == "Gray's test of cause 1: too few events"


def test_one_event_gives_a_curve_and_a_finite_test():
    fit = cumulative_incidence(patients([3, 5, 9, 12], [0, 1, 0, 2], arm=list("aabb")), by="arm")
    assert fit.n_events == 1 and fit.gray_test["chi2"].iloc[0] >= 0


def test_one_group_has_no_gray_test_and_an_empty_category_is_named():
    arm = pd.Categorical(["a", "a", "a"], categories=["a", "b"])
    fit = cumulative_incidence(patients([3, 5, 9], [1, 2, 0]).assign(arm=arm), by="arm")
    assert fit.gray_test["chi2"].isna().all() and "no patient with arm = b" in fit.notes
    assert "Gray's test of cause 1: one group" in fit.notes


def test_groups_count_events_competing_events_and_follow_up():
    fit = cumulative_incidence(patients([3, 5, 9, 12, None], [1, 2, 0, 0, 1]))
    assert fit.groups.loc[0].tolist() == ["all", 4, 1, 1, 10.5]
    assert fit.n_excluded == {"regional unknown": 1}


def test_an_endpoint_without_competing_events_is_sent_to_kaplan_meier():
    rows = patients([3, 5], [1, 0]).rename(columns={"regional_days": "os_days", "regional_state": "os_event"})
    with pytest.raises(OnlmError, match=r'no competing events .* Use kaplan_meier\(rows, endpoint="os"\)'):
        cumulative_incidence(rows, endpoint="os")


def test_a_state_that_does_not_exist_is_refused():
    with pytest.raises(OnlmError, match=r"regional_state must be 0 or 1 or 2, but 1 of 2 rows are not: P1"):
        cumulative_incidence(patients([3, 5], [1, 3]))


def test_an_incidence_that_reaches_one_has_no_limits_there_and_stays_one():
    days = list(range(1, 31))  # thirty steps of 1/30 add to 1 but for rounding
    fit = cumulative_incidence(patients(days, [1] * 30))
    last = fit.curve.query("cause == 1").iloc[-1]
    assert last["incidence"] == pytest.approx(1) and math.isnan(last["low"]) and math.isnan(last["high"])
    assert fit.at(days=[100]).set_index("cause")["incidence"].tolist() == pytest.approx([1, 0])
