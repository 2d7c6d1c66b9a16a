"""Landmarks against R survival, and on made-up patients whose treatment changes nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from decisions_reference import IN_R, lung_started
from survival_reference import table

from onlm_lab.analysis import compare_landmarks, cox, kaplan_meier, landmark
from onlm_lab.analysis.effect_modification import OBSERVATIONAL
from onlm_lab.errors import OnlmError

LUNG = lung_started()


def a_few() -> pd.DataFrame:
    """One patient for each fate before and after day 180."""
    fates = {
        "relapsed before": (100, 1, 900, 0, 0, None),
        "lost before": (150, 0, 150, 0, 0, None),
        "on the day": (180, 1, 700, 1, 0, None),
        "treated early": (400, 1, 700, 1, 1, 60),
        "treated on the day": (500, 0, 500, 0, 1, 180),
        "treated later": (600, 1, 650, 1, 1, 181),
        "never treated": (700, 0, 700, 0, 0, None),
        "start unknown": (800, 0, 800, 0, 1, None),
        "treatment unknown": (900, 0, 900, 0, None, None),
        "endpoint unknown": (None, None, 950, 0, 0, None),
    }
    columns = ["rfs_days", "rfs_event", "os_days", "os_event", "adjuvant", "adjuvant_start_days"]
    rows = pd.DataFrame.from_dict(fates, orient="index", columns=columns).astype(float)
    return rows.rename_axis("patient_id").reset_index()


@pytest.mark.parametrize("r", IN_R["landmark"], ids=lambda r: f"day {r['day']}")
def test_a_landmark_keeps_and_counts_whom_r_keeps_and_gives_its_hazard_ratio(r):
    found = landmark(LUNG, day=r["day"], endpoints=["os"])
    line = found.table.iloc[0]
    assert (found.n, found.n_events, found.n_exposed) == (r["n"], r["n_events"], r["n_exposed"])
    assert (line["n_event_before"], line["n_censored_before"]) == (r["event_before"], r["censored_before"])
    assert found.n_later == r["later"] and found.n + sum(found.n_excluded.values()) == len(LUNG)
    fit = cox(found.rows, endpoint="os", covariates=["adjuvant"]).table.iloc[0]
    assert fit["coef"] == pytest.approx(r["coef"], rel=1e-8) and fit["se"] == pytest.approx(r["se"], rel=1e-8)


def test_the_naive_ratio_and_the_landmarks_of_one_call_are_those_of_r():
    found = compare_landmarks(LUNG, endpoint="os", days=[60, 90, 180])
    expected = [IN_R["naive"], *IN_R["landmark"]]
    assert np.log(found.table["hr"].to_numpy()) == pytest.approx([r["coef"] for r in expected], rel=1e-8)
    low, high = (np.log(found.table[c].to_numpy()) for c in ("low", "high"))
    assert (high - low) / 2 == pytest.approx([1.959963984540054 * r["se"] for r in expected], rel=1e-8)
    assert found.table["hr"].iloc[0] < found.table["hr"].iloc[1:].min()
    assert found.notes[0] == OBSERVATIONAL and "immortal" in found.notes[1]
    assert found.table["n_left_out"].tolist() == [0, *(len(LUNG) - r["n"] for r in IN_R["landmark"])]


def test_a_landmark_without_a_treatment_is_the_reference_fit_of_lung():
    rows, r = table("lung"), IN_R["landmark_90"]
    rows = rows.assign(
        os_event=rows["os_event"].where(rows["os_days"] <= 730, 0), os_days=rows["os_days"].clip(upper=730),
        female=(rows["sex"] == "female").astype(int),
    )  # fmt: skip
    found = landmark(rows, day=90, endpoints=["os"], exposure=None)
    fit = cox(found.rows, endpoint="os", covariates=["age", "female", "ecog"])
    assert (fit.n, fit.n_events) == (r["n"], r["n_events"])
    assert fit.table["coef"].to_numpy() == pytest.approx(r["coef"], rel=1e-8)
    assert fit.table["se"].to_numpy() == pytest.approx(r["se"], rel=1e-8)


def test_each_fate_is_kept_or_counted_and_the_clock_is_reset():
    found = landmark(a_few(), day=180, endpoints=["rfs"])
    kept = found.rows.set_index("patient_id")
    assert list(kept.index) == ["treated early", "treated on the day", "treated later", "never treated"]
    assert kept["rfs_days"].tolist() == [220, 320, 420, 520] and kept["adjuvant"].tolist() == [1, 1, 0, 0]
    assert (kept["landmark_days"] == 180).all()
    assert found.n_excluded == {
        "rfs: event by day 180": 2,
        "rfs: follow-up ended by day 180": 1,
        "rfs unknown": 1,
        "adjuvant unknown": 1,
        "adjuvant: start day unknown": 1,
    }
    assert found.n_later == 1 and "1 patient started adjuvant after day 180 and count as not exposed" in found.notes
    assert not {"os_days", "os_event"} & set(kept.columns), "the clock of os still runs from time zero"


def test_several_endpoints_each_keep_their_own_patients_or_all_the_same():
    own = landmark(a_few(), day=180, endpoints=["rfs", "os"])
    assert own.table["n"].tolist() == [4, 7]
    rows = own.rows.set_index("patient_id")
    assert np.isnan(rows.loc["relapsed before", "rfs_days"]) and rows.loc["relapsed before", "os_days"] == 720
    assert kaplan_meier(own.rows, endpoint="rfs").n == 4
    same = landmark(a_few(), day=180, endpoints=["rfs", "os"], keep="event_free")
    assert same.table["n"].tolist() == [4, 4] and len(same.rows) == 4
    assert landmark(a_few(), day=180).table["endpoint"].tolist() == ["rfs", "os"]


def test_a_competing_event_before_the_landmark_is_counted_apart():
    rows = a_few().assign(regional_days=lambda d: d["os_days"], regional_state=lambda d: 2 * d["os_event"])
    rows.loc[0, ["regional_days", "regional_state"]] = [100, 2]
    found = landmark(rows, day=180, endpoints=["regional"])
    assert found.table.loc[0, "n_competing_before"] == 1 and found.rows["regional_state"].isin([0, 2]).all()


def test_without_anybody_exposed_at_the_landmark_there_is_no_ratio_but_a_note():
    found = compare_landmarks(LUNG, endpoint="os", days=[5])
    assert np.isnan(found.table["hr"].iloc[1]) and "landmark day 5: no hazard ratio" in found.notes[-1]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"day": -1}, "day must be days after time zero, 0 or more, got -1"),
        ({}, {"day": 5000}, "no patient is left of 228 after day 5000"),
        ({}, {"keep": "all"}, "keep must be one of alive, event_free"),
        ({}, {"endpoints": "os"}, "endpoints must be a list"),
        ({}, {"endpoints": ["pfs"]}, "endpoint 'pfs' needs the columns"),
        ({}, {"start": None}, "name the column with the day on which 'adjuvant' began"),
        ({}, {"exposure": "chemo"}, "'chemo'"),
        ({"adjuvant": 2}, {}, "'adjuvant' must be 0, 1 or missing, but 228 rows are not, such as '2'"),
        ({"adjuvant": 0}, {}, "'adjuvant' is 0 but 'adjuvant_start_days' is given in"),
        ({"adjuvant_start_days": -3.0}, {}, "is before time zero in 228 patients"),
        ({"landmark_days": 90.0}, {}, "landmarked already"),
    ],
)
def test_what_cannot_be_landmarked_is_refused_in_one_sentence(change, options, message):
    with pytest.raises(OnlmError, match=message):
        landmark(LUNG.assign(**change), **{"day": 90, "endpoints": ["os"], **options})
