"""Pseudo-observations equal those of R: prodlim::jackknife and a loop (reference/make_event_calibration.R)."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from event_calibration_reference import CASES, R, case, simulated

from onlm_lab.analysis import cumulative_incidence, kaplan_meier, pseudo_values
from onlm_lab.errors import OnlmError


def pseudo(name: str) -> np.ndarray:
    rows, asked = case(name)
    return pseudo_values(
        rows[rows["p"].notna()], endpoint=asked["endpoint"], horizons_days=[asked["horizon_days"]]
    )["pseudo_value"].to_numpy()  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_pseudo_values_equal_those_of_prodlim_and_of_a_loop_in_r(name):
    found, expected = pseudo(name), R[name]
    assert len(found) == expected["n"]
    k = len(expected["pseudo"])
    assert np.allclose(found[:k], expected["pseudo"], atol=1e-10, rtol=0)
    assert np.allclose(found[:k], expected["prodlim"], atol=1e-10, rtol=0)
    assert found.mean() == pytest.approx(expected["pseudo_mean"], abs=1e-11)


def share(days: np.ndarray, state: np.ndarray, horizon: float, cause: int) -> float:
    """Aalen-Johansen step by step; Kaplan-Meier where nothing competes."""
    alive, had = 1.0, 0.0
    for t in np.unique(days[days <= horizon]):
        n, own, gone = (days >= t).sum(), ((days == t) & (state == cause)).sum(), ((days == t) & (state > 0)).sum()
        had, alive = had + alive * own / n, alive * (1 - gone / n)
    return had


@pytest.mark.parametrize("seed", range(12))
def test_pseudo_values_equal_a_loop_with_heavy_ties_and_few_patients(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    days, state = rng.integers(0, 7, n).astype(float), rng.integers(0, 3, n)
    days[0], state[0] = 9, 0  # somebody is followed past every horizon
    ids = [f"P{i}" for i in range(n)]
    rows = pd.DataFrame({"patient_id": ids, "regional_days": days, "regional_state": state})
    for cause in (1, 2):
        found = pseudo_values(rows, endpoint="regional", horizons_days=[1, 3, 6, 8], cause=cause)
        for horizon, part in found.groupby("horizon_days"):
            out = [share(np.delete(days, i), np.delete(state, i), horizon, cause) for i in range(n)]
            expected = n * share(days, state, horizon, cause) - (n - 1) * np.array(out)
            assert np.allclose(part["pseudo_value"], expected, atol=1e-12)


@pytest.mark.parametrize("competing", [False, True])
def test_the_mean_of_the_pseudo_values_is_close_to_the_share_with_the_event(competing):
    rows, asked = simulated(800, seed=1, competing=competing)
    found = pseudo_values(rows, endpoint="regional", horizons_days=[365, asked["horizon_days"]])
    means = found.groupby("horizon_days")["pseudo_value"].mean().to_numpy()
    if competing:
        at = cumulative_incidence(rows).at(days=[365, asked["horizon_days"]])
        expected = at[at["cause"] == 1]["incidence"].to_numpy()
    else:
        expected = (
            1 - kaplan_meier(rows, endpoint="regional").at(days=[365, asked["horizon_days"]])["survival"].to_numpy()
        )
    assert means == pytest.approx(expected, abs=1e-3)


def test_without_censoring_a_pseudo_value_is_the_event_itself():
    rows = pd.DataFrame({"patient_id": list("abcde"), "os_days": [3, 9, 4, 9, 5], "os_event": [1, 1, 1, 0, 1]})
    found = pseudo_values(rows, endpoint="os", horizons_days=[4])
    assert found["patient_id"].tolist() == list("abcde")
    assert np.allclose(found["pseudo_value"], [1, 0, 1, 0, 0], atol=1e-12)


def test_past_the_last_follow_up_there_is_no_pseudo_value_but_where_everybody_had_the_event():
    rows = pd.DataFrame({"patient_id": list("abc"), "os_days": [3, 9, 4], "os_event": [1, 0, 1]})
    assert pseudo_values(rows, endpoint="os", horizons_days=[10])["pseudo_value"].isna().all()
    ended = rows.assign(os_event=1)
    assert np.allclose(pseudo_values(ended, endpoint="os", horizons_days=[10])["pseudo_value"], 1)


def test_patients_in_whom_the_endpoint_is_unknown_have_no_row():
    rows = pd.DataFrame({"patient_id": list("abc"), "os_days": [3, None, 4], "os_event": [1, 0, 0]})
    assert pseudo_values(rows, endpoint="os", horizons_days=[2])["patient_id"].tolist() == ["a", "c"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizons_days": [0]}, "above 0"),
        ({"horizons_days": []}, "horizons_days is empty"),
        ({"horizons_days": [3], "cause": 2}, "no competing event"),
        ({"horizons_days": [3], "cause": 3}, "cause must be 1"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    rows = pd.DataFrame({"patient_id": list("abc"), "os_days": [3, 9, 4], "os_event": [1, 0, 1]})
    with pytest.raises(OnlmError, match=said):
        pseudo_values(rows, endpoint="os", **options)


def test_twenty_thousand_patients_take_a_moment():
    rows, asked = simulated(20_000, seed=2, competing=True)
    start = time.perf_counter()
    pseudo_values(rows, endpoint="regional", horizons_days=[365, 730, asked["horizon_days"]])
    assert time.perf_counter() - start < 2  # 0.1 s; a loop would take minutes
