"""Panels of outcomes: each sentence says the numbers of the calls, and what cannot be drawn is refused in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from made_run import write_run
from statsmodels.duration.survfunc import survdiff

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels import outcomes, patients

MONTH = 365.25 / 12


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("outcomes") / "run").rows()


@pytest.fixture(scope="module")
def halved(rows):
    """High and low risk on both sides of pathological N: the cut is the median among N0 and among N+."""
    middles = rows.groupby(["model_id", "onlm"])["risk"].transform("median")
    return rows.assign(predicted_positive=(rows["risk"] > middles) * 1.0)


def grouped(rows: pd.DataFrame, arm: str) -> pd.DataFrame:
    return patients.with_predicted_group(patients.of_arm(rows, model="fused", arm=arm))


def said(at: pd.DataFrame, value: str) -> list[str]:
    return [
        f"{100 * r[value]:.0f}\u00a0% ({100 * r['low']:.0f} to {100 * r['high']:.0f})" for r in at.to_dict("records")
    ]


def test_survival_by_predicted_group_is_that_of_lifelines(rows):
    panel = outcomes.outcome_panel(rows, model="fused", endpoint="os", arm="surgery", horizon_days=1095)
    shares = []
    for name in patients.GROUPS:
        own = grouped(rows, "surgery").query(f"predicted_group == '{name}'")
        km = KaplanMeierFitter().fit(own["os_days"], own["os_event"])
        shares.append(float(km.predict(1095)))
        assert f"{name} {100 * shares[-1]:.0f}\u00a0% (" in panel.sentence and f"(n = {len(own)})" in panel.sentence
    np.testing.assert_allclose(panel.table["survival"], shares, atol=1e-12)


def test_what_one_minus_kaplan_meier_would_have_read_too_high_is_told_with_both_numbers(rows):
    panel = outcomes.outcome_panel(rows, model="fused", endpoint="regional", arm="surgery", horizon_days=1095)
    wrong = analysis.one_minus_km(
        grouped(rows, "surgery"), endpoint="regional", by=patients.GROUP, horizons_days=[1095]
    ).table
    assert (wrong["excess"] > 0).all()
    note = next(n for n in panel.notes if n.startswith("1 - Kaplan-Meier would have read"))
    for row in wrong[wrong["excess"] >= outcomes.VISIBLE_EXCESS].to_dict("records"):
        assert (
            f"{theme.percent(row['one_minus_km'])} instead of {theme.percent(row['incidence'])} ({row['group']})"
            in note
        )
    apart = rows.assign(regional_state=rows["regional_state"].replace(2, 0))  # nothing competes: nothing to tell
    panel = outcomes.outcome_panel(apart, model="fused", endpoint="regional", arm="surgery", horizon_days=1095)
    assert not [n for n in panel.notes if "Kaplan-Meier" in n]


def test_the_groups_inside_pathological_n_are_tested_within_n0_and_n_plus(halved):
    panel = outcomes.pathology_panel(halved, model="fused", endpoint="os")
    own = grouped(halved, "surgery")
    high = own[patients.GROUP] == "high risk"
    expected = analysis.log_rank(
        own.assign(predicted=high.map({False: "low", True: "high"})), endpoint="os", by="predicted", strata="onlm"
    )
    assert panel.table["stratified_p"].unique().tolist() == pytest.approx([expected.p_value], abs=1e-12)
    assert f"compared within N0 and within N+ (stratified test): {theme.p_value(expected.p_value)}." in panel.sentence
    chi2, theirs = survdiff(own["os_days"], own["os_event"], own[patients.GROUP].astype(str), strata=own["onlm"])
    assert (expected.chi2, expected.p_value) == pytest.approx((chi2, theirs), abs=1e-10)
    assert "adjuvant therapy" in panel.sentence and "Observational" in panel.sentence


def test_inside_pathological_n_competing_events_bring_grays_stratified_test(halved):
    panel = outcomes.pathology_panel(halved, model="fused", endpoint="regional")
    own = grouped(halved, "surgery")
    expected = analysis.gray(own, endpoint="regional", by=patients.GROUP, strata="onlm")
    assert panel.table["stratified_p"].iloc[0] == pytest.approx(expected.p_value, abs=1e-12)
    assert "Incidence of regional (nodal) recurrence" in panel.sentence


def test_a_group_inside_pathological_n_of_fewer_than_ten_is_refused_with_its_size(rows):
    with pytest.raises(OnlmError, match=r"for only 1 of 240 patients are 'low risk, N\+'"):
        outcomes.pathology_panel(rows, model="fused", endpoint="os")


def test_quarters_of_the_risk_tell_their_cuts_and_the_trend(rows):
    panel = outcomes.quantile_panel(rows, model="fused", endpoint="rfs", arm="surgery")
    own = analysis.group_by_risk(patients.of_arm(rows, model="fused", arm="surgery"), rule="quantiles", n=4)
    trend = analysis.log_rank(own, endpoint="rfs", by="risk_group", trend=True).trend
    assert f"Trend over the groups: {theme.p_value(trend.p_value)}." in panel.sentence
    cuts = own["risk"].quantile([0.25, 0.5, 0.75])
    assert (
        f"Groups cut at {', '.join(theme.percent(c, digits=1) for c in cuts)} in these very patients" in panel.sentence
    )
    assert panel.table["n_patients"].sum() == 240 and len(panel.table) == 4
    at = analysis.kaplan_meier(own, endpoint="rfs", by="risk_group").at(days=[1095])
    assert all(words in panel.sentence for words in said(at, "survival"))
    assert at["survival"].iloc[0] > at["survival"].iloc[-1]


def test_quarters_with_competing_events_have_grays_test_and_no_trend(rows):
    panel = outcomes.quantile_panel(rows, model="fused", endpoint="recurrence", arm="sbrt", n=2)
    assert "Gray P" in panel.sentence and "Trend" not in panel.sentence and "Observational" in panel.sentence


def test_risks_that_are_all_the_same_have_no_quarters(rows):
    with pytest.raises(OnlmError, match="risk"):
        outcomes.quantile_panel(rows.assign(risk=0.2), model="fused", endpoint="os", arm="surgery")


def test_the_mean_time_is_the_area_under_lifelines_curve_in_months(rows):
    panel = outcomes.mean_time_panel(rows, model="fused", endpoint="os", arm="surgery", horizon_days=1095)
    areas = []
    for name in patients.GROUPS:
        own = grouped(rows, "surgery").query(f"predicted_group == '{name}'")
        curve = KaplanMeierFitter().fit(own["os_days"], own["os_event"]).survival_function_.iloc[:, 0]
        days = np.r_[curve.index[curve.index < 1095], 1095.0]
        areas.append(float((curve.to_numpy()[: len(days) - 1] * np.diff(days)).sum()) / MONTH)
        assert f"{name} {areas[-1]:.1f} (" in panel.sentence
    assert f"difference {theme.number(areas[1] - areas[0], digits=1)} (" in panel.sentence
    np.testing.assert_allclose(panel.table["rmst_days"] / MONTH, areas, atol=1e-9)
    assert "mean months of overall survival within 3 years" in panel.sentence


def test_where_events_compete_the_months_are_those_lost_to_the_event(rows):
    panel = outcomes.mean_time_panel(rows, model="fused", endpoint="regional", arm="surgery", horizon_days=1095)
    found = analysis.time_lost(grouped(rows, "surgery"), endpoint="regional", by=patients.GROUP, tau_days=1095)
    assert "mean months lost to regional (nodal) recurrence within 3 years" in panel.sentence
    for row in found.table.to_dict("records"):
        assert f"{row['group']} {row['days_lost'] / MONTH:.1f} (" in panel.sentence


def test_the_day_of_the_mean_time_comes_forward_where_a_group_was_not_followed_so_long(rows):
    low = (rows["arm"] == "surgery") & (rows["predicted_positive"] == 0)
    cut = rows.assign(os_event=rows["os_event"].mask(low & (rows["os_days"] > 700), 0),
                      os_days=rows["os_days"].mask(low, rows["os_days"].clip(upper=700)))  # fmt: skip
    panel = outcomes.mean_time_panel(cut, model="fused", endpoint="os", arm="surgery", horizon_days=1095)
    assert "within 1.9 years" in panel.sentence


def test_a_group_of_fewer_than_ten_has_no_mean_time(rows):
    cut = patients.of_arm(rows, model="fused", arm="sbrt")["risk"].nlargest(4).min()
    with pytest.raises(OnlmError, match=r"4 of 80 patients are high risk\. Groups of fewer than 10 are not drawn"):
        outcomes.mean_time_panel(rows, model="fused", endpoint="os", arm="sbrt", threshold=cut)
