"""Panels of event risks: each sentence says the numbers of the calls, and few events are said once."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from made_run import NASTY, write_run

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels import event_risks
from onlm_lab.panels.patients import of_arm
from onlm_lab.results import Estimate

DAYS = (365, 730, 1095)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("event_risks") / "run").rows()


@pytest.fixture(scope="module")
def told(rows):
    return analysis.event_risk_table(rows, endpoints=("os", "rfs", "regional"), horizon_days=1095)


def test_the_auc_by_the_horizon_is_that_of_the_call_for_every_model(rows):
    panel = event_risks.auc_over_time_panel(
        rows, models=["fused", "clinical"], endpoint="rfs", arm="surgery", horizons_days=DAYS
    )
    for model in ("fused", "clinical"):
        own = of_arm(rows, model=model, arm="surgery")
        row = analysis.time_dependent_auc(own, endpoint="rfs", horizons_days=[1095]).iloc[0]
        value = theme.with_interval(Estimate(row["value"], row["low"], row["high"]))
        assert f"{model} {value}" in panel.sentence
    assert f"({int(row['n_cases'])} with the event by then)" in panel.sentence
    assert panel.table.groupby("model_id")["horizon_days"].apply(list).map(len).tolist() == [3, 3]


def test_few_events_are_said_once_with_all_their_years(rows):
    panel = event_risks.auc_over_time_panel(
        rows, models=["fused", "clinical"], endpoint="regional", arm="sbrt", horizons_days=DAYS
    )
    few = [n for n in panel.notes if "ew events" in n]
    assert few == ["Few events by 1 year, 2 years and 3 years: these intervals are too narrow."]


def test_the_brier_score_stands_beside_that_of_telling_everybody_the_same(rows, told):
    panel = event_risks.brier_panel(
        rows, event_risk=told, models=["fused"], endpoint="rfs", arm="surgery", horizons_days=[1095]
    )
    own = of_arm(rows, model="fused", arm="surgery")
    row = analysis.brier_survival(
        own, endpoint="rfs", horizons_days=[1095], event_risk=told, model="fused"
    ).iloc[0]  # fmt: skip
    assert f"fused {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) at 3 years" in panel.sentence
    assert f"telling everybody the same probability gives {row['reference']:.3f}." in panel.sentence
    assert row["value"] < row["reference"]


def test_observed_is_one_minus_lifelines_where_nothing_competes(rows, told):
    panel = event_risks.event_calibration_panel(rows, event_risk=told, model="fused", endpoint="rfs", arm="surgery")
    own = of_arm(rows, model="fused", arm="surgery")
    seen = 1 - float(KaplanMeierFitter().fit(own["rfs_days"], own["rfs_event"]).predict(1095))
    known = told.query("endpoint == 'rfs' and model_id == 'fused' and horizon_days == 1095")
    known = known[known["patient_id"].isin(own["patient_id"])]
    assert f"predicted {theme.percent(known['event_risk'].mean())} on average" in panel.sentence
    assert f"observed {theme.percent(seen)} (" in panel.sentence
    assert f"O:E {seen / known['event_risk'].mean():.2f} (" in panel.sentence


def test_who_has_an_unknown_site_is_left_out_and_counted(rows, told):
    lost = rows.assign(regional_state=rows["regional_state"].astype(float))
    gone = rows.loc[rows["arm"] == "surgery", "patient_id"].unique()[5:8]
    lost.loc[lost["patient_id"].isin(gone), "regional_state"] = np.nan
    panel = event_risks.event_calibration_panel(
        lost, event_risk=told, model="fused", endpoint="regional", arm="surgery"
    )
    assert "Left out: 3 (regional (nodal) recurrence unknown)" in panel.notes


def test_the_decision_sentence_counts_the_thresholds_at_which_the_model_is_best(rows, told):
    asked = {"endpoint": "rfs", "arm": "surgery", "thresholds": [0.2, 0.4, 0.5, 0.6], "n_bootstrap": 10}
    panel = event_risks.event_decision_panel(rows, event_risk=told, models=["fused"], **asked)
    by = panel.table.pivot(index="threshold", columns="model_id", values="net_benefit")
    better = by.index[by["fused"] > by[["treat_all", "treat_none"]].max(axis=1) + 1e-12]
    assert 0 < len(better) < 5
    own = panel.table[panel.table["model_id"] == "fused"].set_index("threshold").loc[better]
    sure = int(((own["low"] > 0) & (own["avoided_low"] > 0)).sum())
    assert f"intervals of both differences lie above 0 at {sure} of them." in panel.sentence
    assert (
        f"at {len(better)} of 4 thresholds, the lowest {theme.percent(better.min())} and the highest "
        f"{theme.percent(better.max())}; the " in panel.sentence
    )


def test_a_probability_that_is_the_same_for_all_is_worth_nothing_at_any_threshold(rows, told):
    flat = told.assign(event_risk=told.groupby(["endpoint", "horizon_days"])["event_risk"].transform("mean"))
    panel = event_risks.event_decision_panel(
        rows, event_risk=flat, models=["fused"], endpoint="rfs", arm="surgery", thresholds=[0.2, 0.6], n_bootstrap=5
    )
    assert "at no threshold is acting on the risk of fused worth more" in panel.sentence


def test_the_horizons_are_those_at_which_somebody_was_told_something(told):
    assert event_risks.told_horizons(told, endpoint="os", arm="surgery") == sorted(
        told.query("endpoint == 'os' and event_risk == event_risk")["horizon_days"].unique().astype(float)
    )
    assert event_risks.told_horizons(told, endpoint="regional", arm="sbrt") == []


def test_where_nobody_was_told_a_probability_there_is_no_score_and_no_number(rows, told):
    asked = {"event_risk": told, "models": ["fused"], "endpoint": "regional", "arm": "sbrt"}
    panel = event_risks.brier_panel(rows, horizons_days=[1095], **asked)
    assert panel.sentence.endswith("Brier score of regional (nodal) recurrence: not estimated.")
    with pytest.raises(OnlmError, match="regional"):
        event_risks.event_calibration_panel(rows, event_risk=told, model="fused", endpoint="regional", arm="sbrt")


def test_a_model_whose_name_is_html_is_drawn_as_text(rows):
    nasty = rows[rows["model_id"] == "fused"].assign(model_id=NASTY)
    told = analysis.event_risk_table(nasty, endpoints=("rfs",), horizon_days=1095)
    asked = {"endpoint": "rfs", "arm": "surgery"}
    for panel in (
        event_risks.auc_over_time_panel(nasty, models=[NASTY], horizons_days=DAYS, **asked),
        event_risks.brier_panel(nasty, event_risk=told, models=[NASTY], horizons_days=[1095], **asked),
        event_risks.event_calibration_panel(nasty, event_risk=told, model=NASTY, **asked),
        event_risks.event_decision_panel(nasty, event_risk=told, models=[NASTY], n_bootstrap=5, **asked),
    ):
        panel.figure.update_traces(legendgroup="")  # ties traces together and is never shown
        assert "<img" not in panel.figure.to_json().replace("\\u003c", "<"), panel.name
