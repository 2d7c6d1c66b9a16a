"""Follow-up ended at a horizon or at the last imaging."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from survival_reference import table

from onlm_lab import analysis
from onlm_lab.errors import OnlmError

ROWS = pd.DataFrame(
    {
        "patient_id": list("abcde"),
        "os_days": [50, 100, 101, 400, np.nan],
        "os_event": [1, 1, 1, 0, np.nan],
        "regional_days": [50, 100, 101, 400, 90],
        "regional_state": [2, 1, 2, 1, 0],
    }
)


def test_events_on_the_day_count_and_later_ones_competing_or_not_become_censored():
    found = analysis.censor_at(ROWS, endpoint=["os", "regional"], days=100)
    np.testing.assert_array_equal(found["os_days"], [50, 100, 100, 100, np.nan])
    np.testing.assert_array_equal(found["os_event"], [1, 1, 0, 0, np.nan])
    np.testing.assert_array_equal(found["regional_days"], [50, 100, 100, 100, 90])
    np.testing.assert_array_equal(found["regional_state"], [2, 1, 0, 0, 0])
    assert ROWS["os_days"][3] == 400 and list(found) == list(ROWS)


def test_up_to_the_horizon_the_curves_stay_as_they_were():
    lung = table("lung")
    cut = analysis.censor_at(lung, endpoint="os", days=365)
    for_year = [30, 180, 300, 364]
    whole, early = (analysis.kaplan_meier(r, by="sex").at(days=for_year) for r in (lung, cut))
    pd.testing.assert_frame_equal(whole, early)
    assert cut["os_days"].max() == 365


@pytest.mark.parametrize("days", [0, -3, np.inf, None, "365"])
def test_a_horizon_that_is_no_day_is_refused(days):
    with pytest.raises(OnlmError, match="days must be a day after time zero, above 0"):
        analysis.censor_at(ROWS, endpoint="os", days=days)


def test_an_absent_endpoint_is_named():
    with pytest.raises(OnlmError, match="endpoint 'rfs' needs the columns"):
        analysis.censor_at(ROWS, endpoint="rfs", days=10)


def test_who_is_free_of_recurrence_is_followed_to_the_last_imaging_and_events_stay():
    rows = pd.DataFrame(
        {
            "patient_id": list("abcd"),
            "rfs_days": [900, 900, 900, 900],
            "rfs_event": [0, 1, 0, 0],
            "recurrence_days": [900, 900, 900, 900],
            "recurrence_state": [0, 2, 0, 0],
            "os_days": [900] * 4,
            "os_event": [0, 1, 0, 0],
            "last_imaging_days": [700, 600, np.nan, 950],
        }
    )
    found = analysis.recurrence_at_last_imaging(rows)
    assert found["rfs_days"].tolist() == found["recurrence_days"].tolist() == [700, 900, 900, 900]
    assert found["recurrence_state"].tolist() == [0, 2, 0, 0] and found["os_days"].tolist() == [900] * 4
    assert found.attrs["recurrence_at_last_imaging"] == {"no day of imaging": 1}


def test_the_last_imaging_needs_its_column_and_an_endpoint():
    with pytest.raises(OnlmError, match="'last_imaging_days'"):
        analysis.recurrence_at_last_imaging(ROWS)
    with pytest.raises(OnlmError, match="needs one of the endpoints rfs, recurrence, regional, distant"):
        analysis.recurrence_at_last_imaging(ROWS[["patient_id"]].assign(last_imaging_days=3))
