"""Restricted means against R survival and survRM2 (tests/reference/make_survival.R and make_curves.R)."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, REFERENCE, in_r, table

from onlm_lab.analysis.restricted_mean import rmst, time_lost
from onlm_lab.errors import OnlmError

LUNG = table("lung")
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
PBC = table("pbc")
Z = 1.959963984540054
LOST = json.loads((REFERENCE / "curves.json").read_text())["time_lost"]
MGUS, PBC_STATES = table("mgus", names=COMPETING), table("pbc", names=COMPETING)
COARSE = PBC_STATES.assign(regional_days=PBC_STATES["regional_days"] // 365)
TINY = table("tiny_survival", names=COMPETING)


@pytest.mark.parametrize(
    ("case", "rows", "tau"), [("rmst_lung_365", LUNG, 365), ("rmst_lung_700", LUNG, 700), ("rmst_ties_6", TIES, 6)]
)
def test_the_restricted_mean_its_error_and_the_difference_equal_those_of_r(case, rows, tau):
    fit, expected = rmst(rows, endpoint="os", by="sex", tau_days=tau), in_r(case)
    for row in fit.table.to_dict("records"):
        mean, se = expected[f"rmst:{row['group']}"], expected[f"se:{row['group']}"]
        assert row["rmst_days"] == pytest.approx(mean, rel=1e-10)
        assert row["high"] == pytest.approx(mean + Z * se, rel=1e-9)
        assert row["low"] == pytest.approx(mean - Z * se, rel=1e-9)
    assert fit.difference.value == pytest.approx(expected["rmst:male"] - expected["rmst:female"], rel=1e-9)
    half = Z * math.hypot(expected["se:male"], expected["se:female"])
    assert (fit.difference.high - fit.difference.low) / 2 == pytest.approx(half, rel=1e-9)
    assert fit.difference.method.startswith("male minus female")


def test_without_censoring_it_is_the_mean_of_the_shorter_of_time_and_tau():
    rows = LUNG.assign(os_event=1)
    expected = np.minimum(rows["os_days"], 400).mean()
    assert rmst(rows, endpoint="os", tau_days=400).table["rmst_days"][0] == pytest.approx(expected, rel=1e-12)


def test_the_group_that_dies_sooner_lives_fewer_days():
    rows = LUNG.assign(os_days=LUNG["os_days"] * np.where(LUNG["sex"] == "male", 0.5, 1.0))
    assert rmst(rows, endpoint="os", by="sex", tau_days=365).difference.high < 0


def test_without_events_everybody_lives_to_tau():
    fit = rmst(LUNG.assign(os_event=0), endpoint="os", tau_days=300)
    assert fit.table.loc[0, ["rmst_days", "low", "high"]].tolist() == [300, 300, 300]


def test_three_groups_have_no_one_difference():
    fit = rmst(LUNG[LUNG["ecog"] < 3], endpoint="os", by="ecog", tau_days=300)
    assert math.isnan(fit.difference.value) and fit.difference.note == "a difference needs two groups, there are 3"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"endpoint": "os", "tau_days": 1000},
            r"tau_days=1000 lies beyond the last follow-up of group 'female' .day 965",
        ),
        ({"endpoint": "os", "tau_days": -1}, "tau_days must be days after time zero, above 0, got -1"),
        ({"endpoint": "regional", "tau_days": 100}, "'regional' has competing events"),
    ],
)
def test_what_has_no_mean_is_refused_in_one_sentence(options, message):
    with pytest.raises(OnlmError, match=message):
        rmst(LUNG.assign(regional_days=3, regional_state=1), by="sex", **options)


@pytest.mark.parametrize(
    ("rows", "by", "tau", "difference", "p_value", "ratio"),
    [
        # survRM2::rmst2(time, status, arm, tau)$unadjusted.result: est, lower, upper of the difference and of the ratio
        (LUNG, "sex", 365, (-55.97032433997978, -85.28771230262822, -26.65293637733134), 0.00018270646131116053,
         (0.8118425788462916, 0.7272007999558522, 0.9063361493384082)),
        (LUNG, "sex", 700, (-119.36253528128645, -182.4262232644909, -56.29884729808203), 0.00020751918791068406,
         (0.7211536553757517, 0.6090049002645262, 0.8539546963183958)),
        (PBC.assign(os_days=PBC["os_days"] / 365.25), "trt", 10,
         (0.1369227648694782, -0.6646735565672451, 0.9385190863062015), 0.7377860875385827,
         (1.0191594345562769, 0.91202073110483, 1.1388841477175597)),
    ],
)  # fmt: skip
def test_difference_ratio_and_p_equal_those_of_survrm2(rows, by, tau, difference, p_value, ratio):
    fit = rmst(rows, endpoint="os", by=by, tau_days=tau)
    for found, expected in ((fit.difference, difference), (fit.ratio, ratio)):
        assert (found.value, found.low, found.high) == pytest.approx(expected, rel=1e-9)
    assert fit.p_value == pytest.approx(p_value, rel=1e-8)
    line = fit.differences.iloc[0]
    assert tuple(line[["difference", "low", "high"]]) == pytest.approx(difference, rel=1e-9)
    assert tuple(line[["ratio", "ratio_low", "ratio_high"]]) == pytest.approx(ratio, rel=1e-9)
    assert fit.ratio_p_value == line["ratio_p_value"] == pytest.approx(p_value, abs=0.01)


def test_several_groups_are_each_set_against_the_first():
    rows = LUNG[LUNG["ecog"] < 3]
    fit = rmst(rows, endpoint="os", by="ecog", tau_days=300)
    assert fit.differences["group"].tolist() == ["1", "2"] and (fit.differences["difference"] < 0).all()
    pair = rmst(rows[rows["ecog"] != 1], endpoint="os", by="ecog", tau_days=300)
    assert fit.differences["difference"][1] == pytest.approx(pair.difference.value, rel=1e-12)
    assert fit.differences["p_value"][1] == pytest.approx(pair.p_value, rel=1e-9)
    assert math.isnan(fit.p_value) and "ratio needs two groups, there are 3" in fit.ratio.note


def test_one_group_or_no_events_have_no_p():
    assert rmst(LUNG, endpoint="os", tau_days=300).differences.empty
    nobody = rmst(LUNG.assign(os_event=0), endpoint="os", by="sex", tau_days=300)
    assert nobody.difference.value == 0 and math.isnan(nobody.p_value) and math.isnan(nobody.ratio_p_value)


@pytest.mark.parametrize(
    ("case", "rows", "by", "tau"),
    [
        ("mgus_120", MGUS, "sex", 120), ("mgus_240", MGUS, "sex", 240), ("mgus_all_60", MGUS, None, 60),
        ("pbc_3000", PBC_STATES, "trt", 3000), ("coarse_9", COARSE, "stage", 9), ("tiny_5", TINY, "group", 5),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cause", [1, 2])
def test_the_time_lost_and_its_error_equal_those_of_multi_state_survfit(case, rows, by, tau, cause):
    fit = time_lost(rows, endpoint="regional", by=by, tau_days=tau, cause=cause)
    assert set(fit.table["group"]) == set(LOST[case])
    for row in fit.table.to_dict("records"):
        mean, se = (LOST[case][row["group"]][key][cause - 1] for key in ("mean", "se"))
        assert row["days_lost"] == pytest.approx(mean, rel=1e-9, abs=1e-12)
        assert (row["high"] - row["low"]) / 2 == pytest.approx(Z * se, rel=1e-7, abs=1e-12)
    if by == "sex":
        own = [LOST[case][g] for g in ("female", "male")]
        gap, spread = (
            (own[1]["mean"][cause - 1] - own[0]["mean"][cause - 1]),
            math.hypot(*(g["se"][cause - 1] for g in own)),
        )
        assert fit.difference.value == pytest.approx(gap, rel=1e-8)
        assert fit.difference.high == pytest.approx(gap + Z * spread, rel=1e-7)
        assert fit.p_value == pytest.approx(math.erfc(abs(gap) / spread / math.sqrt(2)), rel=1e-6)


def test_time_lived_and_lost_to_both_causes_add_to_tau():
    whole = MGUS.assign(os_days=MGUS["regional_days"], os_event=(MGUS["regional_state"] > 0).astype(int))
    lived = rmst(whole, endpoint="os", tau_days=120).table["rmst_days"][0]
    lost = [time_lost(MGUS, endpoint="regional", tau_days=120, cause=c).table["days_lost"][0] for c in (1, 2)]
    assert lived + sum(lost) == pytest.approx(120, rel=1e-12)


def test_without_censoring_the_time_lost_is_the_mean_of_what_the_event_took_and_its_error_the_plain_one():
    rows = MGUS.assign(regional_state=np.where(MGUS["regional_state"] == 0, 2, MGUS["regional_state"]))
    taken = np.where(rows["regional_state"] == 1, np.maximum(120 - rows["regional_days"], 0), 0.0)
    row = time_lost(rows, endpoint="regional", tau_days=120).table.iloc[0]
    assert row["days_lost"] == pytest.approx(taken.mean(), rel=1e-10)
    assert (row["high"] - row["low"]) / 2 == pytest.approx(Z * taken.std() / math.sqrt(len(taken)), rel=1e-9)


def test_the_group_with_more_early_events_loses_more_days():
    late = MGUS.assign(arm="late", patient_id="l" + MGUS["patient_id"])
    early = MGUS.assign(arm="an early", patient_id="e" + MGUS["patient_id"], regional_days=MGUS["regional_days"] * 0.5)
    fit = time_lost(pd.concat([late, early]), endpoint="regional", by="arm", tau_days=120)
    assert fit.difference.high < 0 and fit.differences["group"].tolist() == ["late"]


def test_without_events_no_day_is_lost():
    fit = time_lost(MGUS.assign(regional_state=0), endpoint="regional", by="sex", tau_days=60)
    assert (fit.table[["days_lost", "low", "high"]] == 0).all(axis=None) and math.isnan(fit.p_value)


def test_time_lost_refuses_what_has_no_competing_events_and_a_cause_that_does_not_exist():
    with pytest.raises(OnlmError, match=r"no competing events: .* Use rmst\(rows, endpoint=\"os\""):
        time_lost(LUNG, endpoint="os", tau_days=100)
    with pytest.raises(OnlmError, match="cause must be 1"):
        time_lost(MGUS, endpoint="regional", tau_days=100, cause=3)
    with pytest.raises(OnlmError, match="beyond the last follow-up"):
        time_lost(MGUS, endpoint="regional", tau_days=1e4)
