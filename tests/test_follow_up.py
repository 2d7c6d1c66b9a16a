"""Follow-up is R's, by group, and says what was seen and what was planned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from survival_reference import REFERENCE, table

from onlm_lab.analysis import follow_up
from onlm_lab.errors import OnlmError

IN_R = pd.read_csv(Path(REFERENCE) / "follow_up.csv", dtype={"group": str})


def _rows(case: str) -> pd.DataFrame:
    rows = table(case)
    if case == "mgus":
        rows = rows.rename(columns={"days": "os_days"}).assign(os_event=(rows["state"] > 0).astype(int))
    return rows


@pytest.mark.parametrize(
    ("case", "by"),
    [("lung", "sex"), ("pbc", "stage"), ("pbc_bili", None), ("mgus", "sex"), ("tiny_survival", "group")],
)
def test_median_follow_up_and_its_limits_are_those_of_r(case, by):
    found = follow_up(_rows(case), by=by).table.set_index("group")
    wanted = IN_R[IN_R["case"] == case].set_index("group")
    assert found.index.tolist() == wanted.index.tolist() and found.index[0] == "all"
    for column in ("n", "n_deaths", "median_days", "low", "high", "alive_median_days"):
        np.testing.assert_allclose(found[column].astype(float), wanted[column].astype(float), rtol=1e-12)


def test_longer_observation_is_longer_follow_up_and_deaths_do_not_shorten_it():
    rows = pd.DataFrame({"patient_id": list("abcdef"), "os_days": [100, 200, 300, 400, 500, 600.0],
                         "os_event": [0, 1, 0, 1, 0, 0]})  # fmt: skip
    base = follow_up(rows).table.iloc[0]
    later = follow_up(rows.assign(os_days=rows["os_days"] + 50)).table.iloc[0]
    assert later["median_days"] == base["median_days"] + 50
    assert base["median_days"] > rows["os_days"].median()  # the deaths were cut short


def test_completeness_is_observed_over_planned_person_time_and_a_death_ends_the_plan():
    rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [1000, 400, 250, 2000.0], "os_event": [0, 0, 1, 1],
                         "plan": [1000, 800, 1000, np.nan]})  # fmt: skip
    found = follow_up(rows, planned_days=1000).table.iloc[0]
    assert found["completeness"] == pytest.approx((1000 + 400 + 250 + 1000) / (1000 + 1000 + 250 + 1000))
    own = follow_up(rows, planned_days="plan")
    assert own.table.iloc[0]["completeness"] == pytest.approx((1000 + 400 + 250) / (1000 + 800 + 250))
    assert own.n_excluded == {"planned follow-up unknown (completeness only)": 1}
    assert np.isnan(follow_up(rows).table.iloc[0]["completeness"])


def test_patients_without_follow_up_or_group_are_counted_not_dropped_in_silence():
    rows = pd.DataFrame({"patient_id": list("abcd"), "os_days": [10, 20, np.nan, 40], "os_event": [0, 0, 0, 1],
                         "centre": ["A", None, "A", "B"]})  # fmt: skip
    found = follow_up(rows, by="centre")
    assert found.n == 3 and found.n_excluded == {"os unknown": 1}
    assert "1 patients without centre count in 'all' alone" in found.notes
    assert found.table["group"].tolist() == ["all", "A", "B"]
    dead = found.table.set_index("group").loc["B"]  # everybody died: nothing was ever censored
    assert np.isnan(dead["median_days"]) and np.isnan(dead["alive_median_days"])


def test_what_cannot_be_told_is_refused():
    rows = pd.DataFrame({"patient_id": list("ab"), "os_days": [10, 20], "os_event": [0, 1],
                         "regional_days": [5, 6], "regional_state": [1, 2]})  # fmt: skip
    with pytest.raises(OnlmError, match="take endpoint='os'"):
        follow_up(rows, endpoint="regional")
    with pytest.raises(OnlmError, match="planned_days must be days after time zero, above 0, got 0"):
        follow_up(rows, planned_days=0)
    with pytest.raises(OnlmError, match="no patient is left of 2"):
        follow_up(rows.assign(os_days=np.nan))
    with pytest.raises(OnlmError, match="'center' not found"):
        follow_up(rows, by="center")
