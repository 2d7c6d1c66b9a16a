"""What a time-to-event call was asked is read once, and what makes no sense is refused in one sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from onlm_lab import analysis
from onlm_lab.errors import OnlmError


def patients(n: int = 60) -> pd.DataFrame:
    chance = np.random.default_rng(1)
    risk = chance.uniform(size=n)
    days = chance.exponential(900 * np.exp(-risk)).round() + 1
    return pd.DataFrame({
        "patient_id": [f"Z{i}" for i in range(n)], "risk": risk, "p": risk, "onlm": (risk > 0.5) * 1,
        "os_days": days, "os_event": chance.integers(0, 2, n), "regional_days": days,
        "regional_state": chance.integers(0, 3, n), "group": np.where(risk > 0.5, "high", "low"),
        "treatment": chance.choice(["lobectomy", "wedge"], n), "centre": chance.choice(["A", "B"], n),
        "adjuvant": 0, "adjuvant_start_days": np.nan,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("call", "options", "said"),
    [
        ("rmst", {"endpoint": "os", "by": "group", "tau_days": "a year"}, "tau_days must be days after time zero"),
        ("rmst", {"endpoint": "os", "by": "group", "tau_days": None}, "tau_days must be days after time zero"),
        ("rmst", {"endpoint": "os", "tau_days": True}, "tau_days must be days after time zero"),
        ("time_lost", {"endpoint": "regional", "tau_days": [365]}, "tau_days must be days after time zero"),
        ("cox", {"endpoint": "os", "covariates": ["risk"], "tau_days": "long"}, "tau_days must be days"),
        ("cox", {"endpoint": "os", "covariates": None}, "covariates must be a list of at least one column"),
        ("cox", {"endpoint": "os", "covariates": [3, 3]}, "covariates must be a list of at least one column"),
        ("cox", {"endpoint": "os", "covariates": ["risk"], "strata": "os_days"}, "'os_days' can be neither strata"),
        ("cox", {"endpoint": "os", "covariates": ["risk"], "cluster": "os_event"}, "'os_event' can be neither strata"),
        ("functional_form", {"endpoint": "os", "covariate": ["risk"]}, "covariate must be the name of one column"),
        ("fine_gray", {"endpoint": "regional", "covariates": ["regional_days"]}, "it is the outcome"),
        ("fine_gray", {"endpoint": "regional", "covariates": 3}, "covariates must be a list"),
        ("baseline_hazard", {"endpoint": "os", "covariates": []}, "covariates must be a list of at least one column"),
        ("baseline_hazard", {"endpoint": "os", "covariates": ["os_days"]}, "it is the outcome"),
        ("baseline_hazard", {"endpoint": "os", "covariates": ["risk"], "cause": 0}, "cause must be 1 .the event."),
        ("baseline_hazard", {"endpoint": "os", "covariates": ["risk"], "strata": ["centre"]}, "strata must be"),
        ("event_risk", {"endpoint": "os", "horizons_days": [365], "by": ["group"]}, "by must be the name of one"),
        ("event_risk", {"endpoint": "os", "horizons_days": [365], "generator": 1}, "generator must be numpy.random"),
        ("event_risk_table", {"endpoints": None, "horizon_days": 365}, "endpoints must be a list of columns"),
        ("event_risk_table", {"endpoints": ["os"], "horizon_days": "x"}, "horizon_days must be days after time zero"),
        ("brier_survival", {"endpoint": "os", "horizons_days": [365], "event_risk": None}, "event_risk must be"),
        ("brier_survival", {"endpoint": "os", "horizons_days": [365], "event_risk": "onlm"}, "which is the label"),
        ("pseudo_values", {"endpoint": "os", "horizons_days": "late"}, "horizons_days must be days after time zero"),
        ("pseudo_values", {"endpoint": "regional", "horizons_days": [99], "cause": True}, "cause must be 1"),
        ("one_minus_km", {"endpoint": "regional", "horizons_days": "late"}, "horizons_days must be days"),
        ("log_rank", {"endpoint": "os", "by": "group", "rho": "1"}, "rho must be 0"),
        ("log_rank", {"endpoint": "os", "by": "group", "strata": 3}, "strata must be a column or a list of columns"),
        ("gray", {"endpoint": "regional", "by": "group", "cause": 3}, "cause must be 1"),
        ("censor_at", {"endpoint": None, "days": 365}, "endpoint must be a list of at least one column"),
        ("landmark", {"day": "late", "endpoints": ["os"]}, "day must be days after time zero, 0 or more, got 'late'"),
        ("compare_landmarks", {"endpoint": "os", "days": 90}, "days must be a list of landmarks"),
        ("outcome_card", {"by": "group", "horizon_days": "x"}, "horizon_days must be days after time zero"),
        ("outcome_card", {"by": "group", "endpoints": "os"}, r"endpoints must be a list of at least one column"),
        ("treatment_arms", {"arms": ["lobectomy", "wedge"]}, "arms must name two arms"),
        ("interaction", {"endpoint": "os", "treatment": ["treatment"], "group": "group"}, "treatment must be the name"),
        ("overlap_weights", {"treatment": "treatment", "covariates": 3}, "covariates must be a list of columns"),
        ("survival_net_benefit",
         {"endpoint": "os", "horizon_days": 365, "event_risk": "p", "n_bootstrap": 0}, "n_bootstrap must be a whole"),
        ("calibrate_event_risk",
         {"endpoint": "os", "horizon_days": 365, "event_risk": "p", "min_events": "x"}, "min_events must be a whole"),
        ("follow_up", {"planned_days": [365]}, "planned_days must be days after time zero"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_sentence(call, options, said):
    with pytest.raises(OnlmError, match=said) as refused:
        getattr(analysis, call)(patients(), **options)
    assert "Z0" not in str(refused.value)


def test_a_table_that_is_none_is_refused():
    with pytest.raises(OnlmError, match="rows must be a pandas DataFrame with a row a patient, got dict"):
        analysis.cox(patients().to_dict("list"), endpoint="os", covariates=["risk"])


def test_dates_and_spans_are_not_taken_for_days():
    rows = patients()
    rows["os_days"] = pd.to_timedelta(rows["os_days"], unit="D")
    with pytest.raises(OnlmError, match=r"os_days holds dates or spans \(timedelta64\[ns\]\)"):
        analysis.kaplan_meier(rows)


def test_numbers_written_as_words_are_numbers_of_days():
    rows = patients()
    assert analysis.uno_c(rows, endpoint="os", tau_days="365") == analysis.uno_c(rows, endpoint="os", tau_days=365)


def test_a_single_endpoint_may_stand_for_a_list():
    rows = patients(300)
    one = analysis.event_risk_table(rows, endpoints="os", horizon_days=365)
    assert len(one) and one.equals(analysis.event_risk_table(rows, endpoints=["os"], horizon_days=365))


def test_a_coefficient_that_runs_off_warns_nobody():
    rows = pd.DataFrame({"patient_id": list("abcde"), "regional_days": [689, 130, 569, 137, 99], "marker": [
        0.47040302973622594, 0.8564080527668231, 0.14686045919327767, 0.8548115134807747, 0.2944116777692272],
        "regional_state": [1, 1, 0, 1, 2]})  # fmt: skip
    for found in (
        analysis.cox(rows, endpoint="regional", covariates=["marker"], cause=1),
        analysis.fine_gray(rows, endpoint="regional", covariates=["marker"]),
    ):
        assert found.table["hr"].isna().all() and found.notes
    with pytest.raises(OnlmError, match="no finite hazard ratio of marker"):
        analysis.baseline_hazard(rows, endpoint="regional", covariates=["marker"])


def test_the_page_of_a_penalised_model_can_be_shown():
    found = analysis.cox(patients(), endpoint="os", covariates=["risk"], penalty="firth")
    assert "log_likelihood" in found._repr_html_()
    json.dumps(found.to_dict(), allow_nan=False)
