"""Endpoints that contradict themselves are found; those of the made-up trial do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis
from onlm_lab.cohort.endpoints import endpoints
from onlm_lab.errors import OnlmError
from onlm_lab.virtual import draw_trial

SOUND = {
    "os_days": 900.0, "os_event": 1.0, "rfs_days": 400.0, "rfs_event": 1.0, "recurrence_days": 400.0,
    "recurrence_state": 1.0, "regional_days": 400.0, "regional_state": 1.0, "distant_days": 400.0,
    "distant_state": 2.0, "cancer_death_days": 900.0, "cancer_death_state": 1.0,
}  # fmt: skip
NAN = float("nan")


def faults(**changed: object) -> list[tuple[str, str]]:
    rows = pd.DataFrame([{"patient_id": "sound"} | SOUND, {"patient_id": "odd"} | SOUND | changed])
    found = analysis.check_endpoints(rows)
    assert all(ids == ["odd"] for ids in found["patient_ids"]) and (found["n"] == 1).all()
    assert (found["advice"].str.len() > 10).all()
    return list(zip(found["endpoint"], found["what"], strict=True))


def test_the_made_up_trial_contradicts_itself_nowhere_after_surgery_and_after_radiotherapy():
    trial = draw_trial(n_patients=4_000, n_centres=4, seed=11)
    rows = trial.followup[["patient_id"]].join(endpoints(trial.followup))
    assert rows["os_days"].notna().sum() > 3_000
    found = analysis.check_endpoints(rows)
    assert found.empty and list(found) == ["endpoint", "n", "what", "advice", "patient_ids"]


@pytest.mark.parametrize(
    ("changed", "endpoint", "what"),
    [
        ({"os_days": NAN}, "os", "event without a time"),
        ({"regional_state": NAN}, "regional", "time without state"),
        ({"os_days": -4.0}, "os", "time is negative or infinite"),
        ({"distant_state": 3.0}, "distant", "state is not 0 or 1 or 2"),
        ({"os_event": 2.0}, "os", "event is not 0 or 1"),
        ({"rfs_days": 950.0}, "rfs", "recurrence or death later than the last day alive"),
        ({"rfs_event": 0.0}, "rfs", "dead, but free of recurrence or death"),
        ({"recurrence_days": 901.0}, "recurrence", "recurrence time later than the last day alive"),
        ({"regional_days": 380.0}, "regional", "time differs from that of any recurrence"),
        ({"recurrence_state": 0.0}, "regional", "regional recurrence, but no recurrence"),
        ({"recurrence_state": 2.0}, "regional", "regional recurrence, but no recurrence"),
        ({"recurrence_state": 0.0}, "recurrence", "dead without recurrence, but not counted as competing"),
        ({"os_event": 0.0}, "cancer_death", "died of lung cancer, but alive in overall survival"),
        (
            {"os_event": 0.0, "cancer_death_state": 2.0},
            "cancer_death",
            "died of another cause, but alive in overall survival",
        ),
        ({"cancer_death_state": 0.0}, "cancer_death", "alive, but dead in overall survival"),
        ({"os_event": 0.0, "recurrence_state": 2.0}, "recurrence", "death competes, but the patient is alive"),
        ({"distant_state": 1.0}, "regional", "first recurrence both regional and distant"),
        ({"distant_state": 0.0}, "distant", "recurred or died, but not counted as competing"),
        ({"rfs_days": 390.0}, "rfs", "time differs from that of recurrence"),
        ({"cancer_death_days": 800.0}, "cancer_death", "time differs from overall survival"),
        ({"recurrence_days": NAN, "recurrence_state": NAN, "distant_days": 300.0}, "distant",
         "time differs from that of regional recurrence"),
    ],
)  # fmt: skip
def test_each_contradiction_is_named_with_who_has_it(changed, endpoint, what):
    assert (endpoint, what) in faults(**changed)


def test_a_sound_table_and_one_with_unknown_outcomes_have_no_fault():
    assert faults() == []
    assert faults(**dict.fromkeys(SOUND, NAN)) == []


def test_words_in_the_place_of_days_are_found():
    rows = pd.DataFrame({"patient_id": ["a", "b"], "os_days": ["12", "soon"], "os_event": [1, 0]})
    found = analysis.check_endpoints(rows)
    assert found["what"].tolist()[0] == "os_days is no number" and found["patient_ids"].tolist()[0] == ["b"]


def test_a_column_without_its_partner_is_a_fault_of_all_patients():
    rows = pd.DataFrame({"patient_id": ["a", "b"], "os_days": [1, 2]})
    assert analysis.check_endpoints(rows)[["what", "n"]].to_numpy().tolist() == [["no column os_event", 2]]


def test_rows_of_several_models_count_each_patient_once_unless_they_disagree():
    rows = pd.DataFrame({"patient_id": ["a", "a"], "model_id": ["x", "y"], "os_days": [5, 5], "os_event": [1, 1]})
    assert analysis.check_endpoints(rows).empty
    found = analysis.check_endpoints(rows.assign(os_days=[5, 6]))
    assert found[["endpoint", "n", "what"]].to_numpy().tolist() == [
        ["all", 1, "follow-up differs between rows of one patient"]
    ]


def test_a_table_without_endpoints_is_refused():
    with pytest.raises(OnlmError, match="no column of an endpoint is in the table, such as os_days, os_event"):
        analysis.check_endpoints(pd.DataFrame({"patient_id": ["a"], "risk": [0.1]}))


def test_no_day_of_a_patient_is_written_into_the_table_of_faults():
    rows = pd.DataFrame([{"patient_id": "odd"} | SOUND | {"rfs_days": 987.0}])
    said = analysis.check_endpoints(rows).drop(columns="patient_ids").to_csv()
    assert "987" not in said and np.all(["400" not in said, "900" not in said])
