"""Restricted mean survival against R survival; tests/reference/make_survival.R makes the numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from survival_reference import in_r, table

from onlm_lab.analysis.restricted_mean import rmst
from onlm_lab.errors import OnlmError

LUNG = table("lung")
TIES = LUNG.assign(os_days=LUNG["os_days"] // 60)
Z = 1.959963984540054


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
        ({"endpoint": "os", "tau_days": -1}, "tau_days must be a day after time zero, above 0, got -1"),
        ({"endpoint": "regional", "tau_days": 100}, "'regional' has competing events"),
    ],
)
def test_what_has_no_mean_is_refused_in_one_sentence(options, message):
    with pytest.raises(OnlmError, match=message):
        rmst(LUNG.assign(regional_days=3, regional_state=1), by="sex", **options)
