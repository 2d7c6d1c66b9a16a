"""The made-up trial's outcomes by predicted group, against the same trial seen without censoring."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis
from onlm_lab.cohort.endpoints import endpoints
from onlm_lab.virtual import Trial, draw_trial, trial
from onlm_lab.virtual.outcomes import draw_followup
from onlm_lab.virtual.world import WORLD

DAY = 1095
SEEN = {"n_patients": 12_000, "n_centres": 5, "seed": 3}


def joined(drawn: Trial) -> pd.DataFrame:
    """Everybody with endpoints and the risk that the made-up world used, in two groups."""
    rows = drawn.clinical.merge(drawn.truth[["patient_id", "risk_full", "true_onlm"]], on="patient_id", validate="1:1")
    followup = endpoints(drawn.followup).assign(patient_id=drawn.followup["patient_id"])
    rows = rows.merge(followup, on="patient_id", validate="1:1").rename(columns={"risk_full": "risk"})
    group = pd.cut(rows["risk"], [0, 0.2, 1], right=False, labels=["low risk", "high risk"])
    return rows.assign(predicted_group=group, arm=np.where(rows["treatment"] == "sbrt", "sbrt", "surgery"))


@pytest.fixture(scope="module")
def seen() -> pd.DataFrame:
    return joined(draw_trial(**SEEN))


@pytest.fixture(scope="module")
def whole() -> pd.DataFrame:
    """The same patients and the same events, none lost and none cut off."""
    known = replace(WORLD, dropout=1e-9, data_cut_year=2200.0, site_unknown_fraction=0.0)

    def to_the_end(u, rows):
        return draw_followup(u, rows | {"violates_lost_to_followup": np.zeros(len(rows["sbrt"]), dtype=bool)}, known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "draw_followup", to_the_end)
        return joined(draw_trial(**SEEN))


def share(rows: pd.DataFrame, *, group: str, endpoint: str, arm: str) -> float:
    """The share with the event by the day where everybody is followed: counted, not estimated."""
    own = rows[(rows["arm"] == arm) & (rows["predicted_group"] == group)]
    kind = "state" if f"{endpoint}_state" in own else "event"
    return float(((own[f"{endpoint}_{kind}"] == 1) & (own[f"{endpoint}_days"] <= DAY)).mean())


def test_the_two_views_are_of_the_same_patients_and_the_second_loses_nobody(seen, whole):
    assert (seen["patient_id"] == whole["patient_id"]).all() and (seen["risk"] == whole["risk"]).all()
    assert (whole["os_days"] > DAY).mean() > 0.5 and (whole["os_event"] == 1).mean() > 0.999
    assert (seen["os_event"] == 0).mean() > 0.5


@pytest.mark.parametrize("arm", ["sbrt", "surgery"])
@pytest.mark.parametrize("endpoint", ["regional", "recurrence"])
def test_the_incidence_of_each_group_is_what_would_have_been_counted_without_censoring(seen, whole, arm, endpoint):
    found = analysis.cumulative_incidence(seen[seen["arm"] == arm], endpoint=endpoint, by="predicted_group")
    for row in found.at(days=[DAY]).query("cause == 1").itertuples():
        truth = share(whole, group=row.group, endpoint=endpoint, arm=arm)
        margin = 1.35 * max(row.high - row.incidence, row.incidence - row.low)  # some 2.6 standard errors
        assert abs(row.incidence - truth) < margin, (row.group, truth)


@pytest.mark.parametrize("arm", ["sbrt", "surgery"])
@pytest.mark.parametrize("endpoint", ["os", "rfs"])
def test_the_survival_of_each_group_is_what_would_have_been_counted_without_censoring(seen, whole, arm, endpoint):
    found = analysis.kaplan_meier(seen[seen["arm"] == arm], endpoint=endpoint, by="predicted_group")
    for row in found.at(days=[DAY]).itertuples():
        truth = 1 - share(whole, group=row.group, endpoint=endpoint, arm=arm)
        assert abs(row.survival - truth) < 1.35 * max(row.high - row.survival, row.survival - row.low), row.group


def test_after_sbrt_the_high_risk_group_has_far_more_regional_recurrence_as_the_truth_says(seen, whole):
    sbrt = seen[seen["arm"] == "sbrt"]
    low, high = (share(whole, group=g, endpoint="regional", arm="sbrt") for g in ("low risk", "high risk"))
    assert high > 2.5 * low
    found = analysis.gray(sbrt, endpoint="regional", by="predicted_group")
    assert found.p_value < 1e-10
    model = analysis.fine_gray(sbrt, endpoint="regional", covariates=["predicted_group"]).table.iloc[0]
    assert model["low"] > 2


def test_one_minus_kaplan_meier_reads_above_what_was_counted(seen, whole):
    sbrt = seen[seen["arm"] == "sbrt"]
    table = analysis.one_minus_km(sbrt, endpoint="regional", horizons_days=[5 * 365], by="predicted_group").table
    assert (table["excess"] > 0.005).all()


def test_event_risks_told_to_the_patients_of_sbrt_add_up_to_what_was_counted(seen, whole):
    sbrt = seen[seen["arm"] == "sbrt"]
    told = analysis.event_risk(sbrt, endpoint="regional", horizons_days=[DAY])
    later = whole[whole["arm"] == "sbrt"].set_index("patient_id")
    truth = (later["regional_state"] == 1) & (later["regional_days"] <= DAY)
    mean = told.set_index("patient_id")["event_risk"].mean()
    assert mean == pytest.approx(truth.mean(), abs=2.6 * np.sqrt(truth.mean() / len(truth)))
    area = analysis.time_dependent_auc(sbrt, endpoint="regional", horizons_days=[DAY]).iloc[0]
    risk = later.loc[sbrt["patient_id"], "risk"].to_numpy()
    event = truth.loc[sbrt["patient_id"]].to_numpy()
    counted = (risk[event][:, None] > risk[~event]).mean() + 0.5 * (risk[event][:, None] == risk[~event]).mean()
    assert abs(area["value"] - counted) < 1.35 * (area["high"] - area["value"])
