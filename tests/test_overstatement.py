"""1 - Kaplan-Meier beside Aalen-Johansen against R survival and cmprsk; tests/reference/make_curves.R."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from survival_reference import COMPETING, REFERENCE, table

from onlm_lab import analysis
from onlm_lab.errors import OnlmError

IN_R = json.loads((REFERENCE / "curves.json").read_text())["one_minus_km"]
MGUS, PBC = table("mgus", names=COMPETING), table("pbc", names=COMPETING)
COARSE = PBC.assign(regional_days=PBC["regional_days"] // 365)


def patients(days: list[float], state: list[int]) -> pd.DataFrame:
    ids = [f"P{i}" for i in range(len(days))]
    return pd.DataFrame({"patient_id": ids, "regional_days": days, "regional_state": state})


@pytest.mark.parametrize(
    ("case", "rows", "by", "days"),
    [("mgus", MGUS, "sex", [60, 120, 240]), ("coarse", COARSE, "trt", list(range(1, 10)))],
)
@pytest.mark.parametrize("cause", [1, 2])
def test_both_readings_equal_those_of_r(case, rows, by, days, cause):
    fit = analysis.one_minus_km(rows, endpoint="regional", by=by, horizons_days=days, cause=cause)
    for name, expected in IN_R[case].items():
        own = fit.table[fit.table["group"] == name]
        np.testing.assert_allclose(own["one_minus_km"], expected[f"km{cause}"], rtol=1e-9)
        np.testing.assert_allclose(own["incidence"], expected[f"aj{cause}"], rtol=1e-9)
        np.testing.assert_allclose(own["excess"], own["one_minus_km"] - own["incidence"])
    assert (fit.table["excess"] > -1e-12).all()
    assert fit.n_events == (rows["regional_state"] == cause).sum()


def test_the_interval_is_that_of_the_incidence_curves():
    fit = analysis.one_minus_km(MGUS, endpoint="regional", by="sex", horizons_days=[120])
    at = analysis.cumulative_incidence(MGUS, by="sex").at(days=[120]).query("cause == 1")
    for column in ("incidence", "low", "high"):
        np.testing.assert_array_equal(fit.table[column], at[column])


def test_the_curve_carries_the_same_numbers_as_the_table():
    fit = analysis.one_minus_km(MGUS, endpoint="regional", horizons_days=[120])
    row = fit.curve[fit.curve["days"] <= 120].iloc[-1]
    assert row["one_minus_km"] == fit.table["one_minus_km"][0] and row["incidence"] == fit.table["incidence"][0]


def test_without_competing_events_both_read_the_same_and_more_of_them_part_them_further():
    alone = analysis.one_minus_km(patients([1, 2, 3, 9], [1, 0, 1, 0]), endpoint="regional", horizons_days=[4])
    assert alone.table["excess"][0] == pytest.approx(0, abs=1e-15)
    few, many = (
        analysis.one_minus_km(patients([1, 2, 3, 4, 5, 9], s), endpoint="regional", horizons_days=[6])
        for s in ([1, 2, 0, 0, 1, 0], [1, 2, 2, 2, 1, 0])
    )
    assert 0 < few.table["excess"][0] < many.table["excess"][0]


def test_beyond_the_last_follow_up_nothing_is_read_and_the_note_says_so():
    fit = analysis.one_minus_km(patients([1, 2, 5], [1, 2, 0]), endpoint="regional", horizons_days=[3, 10])
    assert math.isnan(fit.table["incidence"][1]) and fit.notes == ("nobody of 'all' is followed to day 10",)
    ended = analysis.one_minus_km(patients([1, 2], [1, 2]), endpoint="regional", horizons_days=[10]).table
    assert ended["incidence"][0] == 0.5 and math.isnan(ended["one_minus_km"][0])


def test_all_censored_reads_zero():
    fit = analysis.one_minus_km(patients([1, 2, 5], [0, 0, 0]), endpoint="regional", horizons_days=[3])
    assert fit.table[["incidence", "one_minus_km", "excess"]].to_numpy().tolist() == [[0, 0, 0]]
    assert fit.n_events == 0 and math.isnan(fit.table["low"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "os"}, "no competing events .os_event is 0 or 1.: Kaplan-Meier is right"),
        ({"cause": 0}, "cause must be 1"),
        ({"horizons_days": []}, r"horizons_days is empty"),
        ({"horizons_days": [-1]}, "horizons_days must be days after time zero"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(options, message):
    rows = patients([1, 2], [1, 0]).assign(os_days=3, os_event=1)
    with pytest.raises(OnlmError, match=message):
        analysis.one_minus_km(rows, **({"endpoint": "regional", "horizons_days": [1]} | options))
