"""What results.json says of the outcomes: the calls' own numbers, by endpoint and arm, and nobody's row."""

import json

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis
from onlm_lab.analysis import battery
from onlm_lab.analysis.covariates import usable_covariates
from onlm_lab.analysis.outcome_battery import horizons
from onlm_lab.study import Analysis
from tests.made_run import write_run

PLAN = Analysis(endpoints=("os", "rfs", "regional"), bootstrap=20, adjust=("age_years", "sex"))


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> pd.DataFrame:
    found = write_run(tmp_path_factory.mktemp("run") / "run").rows()
    found = found[found["model_id"] == "fused"].reset_index(drop=True)
    rng = np.random.default_rng(5)
    surgery = found["arm"] == "surgery"
    treated = np.where(rng.random(len(found)) < 0.3, "segmentectomy", "lobectomy")
    adjuvant = np.where(surgery & (rng.random(len(found)) < 0.5), 1.0, 0.0)
    return found.assign(
        treatment=np.where(surgery, treated, "sbrt"), adjuvant=adjuvant,
        adjuvant_start_days=np.where(adjuvant == 1, rng.integers(20, 200, len(found)), np.nan),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(rows) -> dict:
    return battery.analyse(rows, plan=PLAN)["fused"]


def of_arm(rows: pd.DataFrame, arm: str) -> pd.DataFrame:
    return battery.with_group(rows[rows["arm"] == arm])


def test_every_call_stands_under_its_endpoint_and_arm_and_none_is_refused(found):
    few = {f"{call}/regional/sbrt" for call in ("calibrate_event_risk", "survival_net_benefit")}
    assert set(found["not_done"]) == few and all("none of 80 patients" in why for why in found["not_done"].values())
    for call in ("cox", "univariable", "added_value", "time_dependent_auc", "brier_survival", "calibrate_event_risk",
                 "survival_net_benefit"):  # fmt: skip
        assert set(found[call]) == {"os", "rfs", "regional"}, call
        assert set(found[call]["os"]) == {"surgery", "sbrt"} and "surgery" in found[call]["regional"], call
    for call in ("kaplan_meier", "uno_c", "rmst"):
        assert set(found[call]) == {"os", "rfs"}, call
    for call in ("cumulative_incidence", "fine_gray", "one_minus_km", "time_lost"):
        assert set(found[call]) == {"regional"}, call
    assert set(found["outcome_card"]) == {"surgery", "sbrt"}
    assert set(found["compare_treatments"]["rfs"]) == {"sublobar"}
    assert set(found["compare_treatments"]["regional"]) == {"sbrt"} and "adjuvant" in found["compare_landmarks"]["rfs"]


@pytest.mark.parametrize("arm", ["surgery", "sbrt"])
def test_the_numbers_are_those_of_the_calls(found, rows, arm):
    patients = of_arm(rows, arm)
    ratio = analysis.fine_gray(patients, endpoint="regional", covariates=["risk"]).table["hr"][0]
    assert found["fine_gray"]["regional"][arm]["table"][0]["hr"] == ratio
    area = analysis.time_dependent_auc(patients, endpoint="os", horizons_days=[1095])["value"][0]
    told = {row["horizon_days"]: row["value"] for row in found["time_dependent_auc"]["os"][arm]}
    assert told[1095.0] == pytest.approx(area, abs=1e-12)
    gain = analysis.added_value(patients, endpoint="os", base=["age_years", "sex"])
    assert found["added_value"]["os"][arm]["likelihood_ratio"]["chi2"] == pytest.approx(gain.likelihood_ratio.chi2)


def test_event_risks_that_are_given_are_the_ones_that_are_judged(rows, found):
    told = analysis.event_risk_table(rows, endpoints=PLAN.endpoints, horizon_days=PLAN.horizon_days)
    given = battery.analyse(rows, plan=PLAN, event_risk=told)["fused"]
    assert given["brier_survival"] == found["brier_survival"]
    worse = battery.analyse(rows, plan=PLAN, event_risk=told.assign(event_risk=0.99))["fused"]
    values = [r["brier_survival"]["os"]["surgery"][0]["value"] for r in (found, worse)]
    assert values[0] < values[1]


def test_nobody_s_row_is_in_the_results(found, rows):
    text = json.dumps(found, allow_nan=False)
    assert not [p for p in rows["patient_id"] if p.startswith("P0") and f'"{p}"' in text]
    assert "weights" not in found["compare_treatments"]["regional"]["sbrt"]["balance"]


def test_predictions_without_arm_treatment_or_groups_are_analysed_all_the_same(rows):
    plain = rows[["patient_id", "model_id", "risk", "os_days", "os_event", "regional_days", "regional_state"]]
    found = battery.analyse(plain, plan=PLAN)["fused"]
    assert set(found["cox"]["os"]) == {"all"} and "compare_treatments" not in found and "rmst" not in found
    assert found["brier_survival"]["regional"]["all"][0]["n"] > 0


def test_an_endpoint_with_too_few_events_is_refused_or_empty_but_stops_nothing(rows):
    quiet = rows.assign(regional_state=0.0)
    found = battery.analyse(quiet, plan=PLAN)["fused"]
    assert found["cox"]["os"]["surgery"]["n"] > 0
    assert found["fine_gray"]["regional"]["surgery"]["table"][0]["hr"] is None
    assert "brier_survival/regional/surgery" in found["not_done"] or (
        found["brier_survival"]["regional"]["surgery"][0]["value"] is None
    )


def test_horizons_end_with_the_follow_up_and_covariates_must_be_known_and_vary():
    rows = pd.DataFrame({"os_days": [100.0, 900.0], "age_years": [60.0, 70.0], "sex": ["male", "male"],
                         "kps": [np.nan, 90.0]})  # fmt: skip
    assert horizons(rows, endpoint="os", plan=PLAN) == [365.0, 730.0]
    assert usable_covariates(rows, wanted=["age_years", "sex", "kps", "absent"]) == ["age_years"]
