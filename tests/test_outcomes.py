"""What becomes of the made-up patients: it knows the true N state, and adjuvant treatment changes nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import compare_landmarks
from onlm_lab.cohort.endpoints import endpoints
from onlm_lab.virtual import Trial, draw_trial
from onlm_lab.virtual.world import WORLD


@pytest.fixture(scope="module")
def patients() -> pd.DataFrame:
    trial = draw_trial(n_patients=12_000, n_centres=5, seed=5)
    joined = trial.clinical.merge(trial.followup, on="patient_id", validate="1:1")
    return joined.merge(trial.truth[["patient_id", "true_n", "true_onlm"]], on="patient_id", validate="1:1")


def rate(rows: pd.DataFrame, event: pd.Series) -> float:
    """Events per year of follow-up."""
    return event[rows.index].sum() / (rows["followup_days"].sum() / 365.25)


def test_true_nodal_disease_raises_regional_recurrence_most_of_all_after_radiotherapy(patients):
    regional = patients["regional_days"].notna()
    ratios = {}
    for sbrt, arm in patients.groupby(patients["treatment"] == "sbrt"):
        ratios[sbrt] = rate(arm[arm["true_onlm"] == 1], regional) / rate(arm[arm["true_onlm"] == 0], regional)
    assert ratios[False] > 3
    assert ratios[True] > 6


def test_death_worsens_with_the_true_n_state(patients):
    rates = [rate(rows, patients["died"]) for _, rows in patients.groupby("true_n")]
    assert rates[0] < rates[1] < rates[2]


def test_death_of_other_causes_competes_and_grows_with_age(patients):
    other = patients["death_cause"] == "other"
    assert other.sum() > 500
    old = patients["age_years"] >= 70
    assert rate(patients[old], other) > 1.5 * rate(patients[~old], other)


def test_lung_cancer_kills_only_after_it_came_back(patients):
    assert (patients.loc[patients["death_cause"] == "lung_cancer", "recurred"] == 1).all()


def with_endpoints(trial: Trial) -> pd.DataFrame:
    """N+ patients after surgery, as the screening would hand them to a statistic."""
    rows = trial.clinical.join(endpoints(trial.followup))
    return rows[rows["pathological_n"].isin(["N1", "N2", "N3"])].reset_index(drop=True)


def test_adjuvant_treatment_has_no_effect_once_the_comparison_is_fair(patients):
    # landmark at day 300: everybody alive, free of recurrence, and their adjuvant treatment known
    rows = patients[
        (patients["treatment"] != "sbrt") & (patients["true_n"] == "N1") & (patients["followup_days"] > 300)
    ]
    rows = rows[~(rows["recurrence_days"] <= 300)]
    end = rows["recurrence_days"].fillna(rows["followup_days"]) - 300
    given = rows["adjuvant"] == 1
    events, years = rows["recurred"].groupby(given).sum(), end.groupby(given).sum() / 365.25
    log_ratio = np.log((events[True] / years[True]) / (events[False] / years[False]))
    assert abs(log_ratio) < 2.5 * np.sqrt((1 / events).sum())
    assert given.mean() > 0.6


def test_the_naive_comparison_finds_protection_in_most_trials_and_the_landmark_in_few():
    naive, fair = [], []
    for seed in range(20):
        rows = with_endpoints(draw_trial(n_patients=1200, n_centres=5, seed=seed))
        table = compare_landmarks(rows, endpoint="rfs", days=[180]).table
        assert 0.3 < table["n_exposed"][1] / table["n"][1] < 0.65 and table["n_events"][1] > 20
        naive.append(table["p_value"][0] < 0.05 and table["hr"][0] < 1)
        fair.append(table["p_value"][1] < 0.05)
    assert np.mean(naive) >= 0.75  # 0.85 in 600 trials
    assert np.sum(fair) <= 4  # 0.06 in 600 trials; more than 4 of 20 would come in 1 of 300 series


def test_among_all_operated_patients_the_treated_look_harmed_as_they_are_the_ones_with_positive_nodes():
    trial = draw_trial(n_patients=1200, n_centres=5, seed=7)
    rows = trial.clinical.join(endpoints(trial.followup))
    table = compare_landmarks(rows[rows["treatment"] != "sbrt"], endpoint="rfs", days=[180]).table
    assert (table["low"] > 1).all()


def test_adjuvant_treatment_starts_within_the_days_of_the_world_and_only_in_the_living(patients):
    start = patients["adjuvant_start_days"].dropna()
    first, last = WORLD.adjuvant_start_days
    assert (start.min(), start.max()) == (first, last) and start.median() < 180
    assert (start < patients.loc[start.index, "followup_days"]).all()
    assert not (patients.loc[start.index, "recurrence_days"] <= start).any()


def test_a_longer_wait_for_adjuvant_treatment_changes_nothing_else_of_the_trial():
    # what generator 2 drew, when adjuvant treatment began on day 20 to 90
    trial = draw_trial(n_patients=1200, n_centres=5, seed=3)
    clinical, followup = trial.clinical, trial.followup
    others = clinical.drop(columns=["adjuvant", "adjuvant_start_days"])
    sums = [clinical["age_years"].sum(), clinical["cea_ng_ml"].sum(), followup["followup_days"].sum(),
            followup["died"].sum(), followup["recurred"].sum(), followup["regional_days"].sum(),
            (clinical["pathological_n"] == "N1").sum(), trial.truth["risk_full"].sum()]  # fmt: skip
    assert sums == pytest.approx([73593, 3477.49, 1732706, 255, 333, 85228, 100, 202.109822983], rel=1e-9)
    assert others.isna().sum().sum() == 2296


def test_follow_up_contradicts_itself_nowhere(patients):
    days = patients[["local_days", "regional_days", "distant_days"]]
    known = days.notna().any(axis=1)
    assert (days.min(axis=1)[known] == patients["recurrence_days"][known]).all()
    assert (patients["recurrence_site"][~known & (patients["recurred"] == 1)] == "unknown").all()
    for column in ("last_imaging_days", "recurrence_days", *days.columns):
        assert not (patients[column] > patients["followup_days"]).any()
    assert (patients["last_imaging_days"] >= patients["recurrence_days"])[patients["recurred"] == 1].all()
    every = patients.filter(like="_days").drop(columns=["ct_to_treatment_days"]).stack()
    assert (every >= 1).all()
    assert (every % 1 == 0).all()


def test_the_lost_are_alive_when_last_seen_and_nobody_is_followed_beyond_eight_years(patients):
    assert (patients.loc[patients["lost_to_followup"] == 1, "died"] == 0).all()
    assert patients["followup_days"].max() <= 8 * 365.25 + 1
