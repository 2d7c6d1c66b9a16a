"""Referring patients in doubt: the numbers of the kept, whole groups of ties, and the figure."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from onlm_lab import figures
from onlm_lab.analysis import abstention, operating_point, roc
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme

N = 600


@pytest.fixture(scope="module")
def rows():
    """The wider the spread, the less the risk has to do with the label."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-1, 1.5, N)
    onlm = (rng.random(N) < expit(truth)).astype(float)
    doubt = rng.uniform(0, 1, N)
    risk = expit(truth * (1 - doubt) + rng.normal(0, 1.5, N) * doubt - doubt)
    return pd.DataFrame({
        "patient_id": [f"P{i}" for i in range(N)], "model_id": "fused", "onlm": onlm, "risk": risk,
        "risk_low": risk - 0.2 * doubt, "risk_high": risk + 0.2 * doubt, "ood_score": doubt,
        "threshold": 0.2, "predicted_positive": (risk >= 0.2).astype(float),
    })  # fmt: skip


def test_auc_rises_as_those_in_doubt_are_referred(rows):
    table = abstention(rows).table
    assert table["kept_fraction"].is_monotonic_decreasing and table["asked_fraction"].iloc[0] == 1
    assert table["auc"].iloc[-1] > table["auc"].iloc[0] + 0.05
    assert np.corrcoef(table["kept_fraction"], table["auc"])[0, 1] < -0.9


def test_doubt_that_says_nothing_gains_nothing_and_doubt_upside_down_loses(rows):
    rng = np.random.default_rng(1)
    blind = abstention(rows.assign(ood_score=rng.permutation(N)), by="ood_score").table
    assert abs(blind["auc"].iloc[-1] - blind["auc"].iloc[0]) < 0.03
    upside_down = abstention(rows.assign(ood_score=lambda t: 1 - t["ood_score"]), by="ood_score").table
    assert upside_down["auc"].iloc[-1] < upside_down["auc"].iloc[0] - 0.03


def test_the_numbers_are_those_of_the_kept_rows_alone(rows):
    from sklearn.metrics import roc_auc_score

    found = abstention(rows, fractions=[1.0, 0.8, 0.55], by="spread")
    spread = rows["risk_high"] - rows["risk_low"]
    for row in found.table.itertuples():
        kept = rows[spread <= row.limit]
        assert row.n == len(kept) and row.n_events == kept["onlm"].sum()
        assert row.n_referred == N - len(kept) and row.n_events_referred == rows["onlm"].sum() - kept["onlm"].sum()
        assert row.auc == pytest.approx(roc_auc_score(kept["onlm"], kept["risk"]), abs=1e-12)
        point, curve = operating_point(kept), roc(kept)
        assert (row.sensitivity, row.specificity) == (point.sensitivity.value, point.specificity.value)
        assert (row.npv, row.npv_low, row.npv_high) == (point.npv.value, point.npv.low, point.npv.high)
        shown = figures.preferred_auc(curve)
        assert (row.auc_low, row.auc_high) == (shown.low, shown.high)
        assert row.oe_ratio == pytest.approx(kept["onlm"].sum() / kept["risk"].sum())
    assert found.table["kept_fraction"].tolist() == pytest.approx([1.0, 0.8, 0.55])


def test_both_kinds_of_doubt_order_the_patients(rows):
    spread, strange = (abstention(rows, by=by).table for by in ("spread", "ood_score"))
    pd.testing.assert_frame_equal(spread.drop(columns="limit"), strange.drop(columns="limit"))


def test_the_spread_of_risks_follows_the_risk_and_that_of_log_odds_does_not():
    """Models whose log odds differ alike in all patients: the plain spread refers those at high risk, and says so."""
    rng = np.random.default_rng(2)
    x = rng.normal(-2.5, 1, 400)
    apart = rng.uniform(0.5, 1.5, 400)
    rows = pd.DataFrame({
        "patient_id": [f"P{i}" for i in range(400)], "onlm": (rng.random(400) < expit(x)).astype(float),
        "risk": expit(x), "risk_low": expit(x - apart), "risk_high": expit(x + apart),
    })  # fmt: skip
    plain, on_log_odds = (abstention(rows, by=by) for by in ("spread", "log_odds_spread"))
    assert any("doubt follows the risk (rank correlation 0.9" in note for note in plain.notes)
    assert not any("follows the risk" in note for note in on_log_odds.notes)
    np.testing.assert_allclose(on_log_odds.table["limit"].iloc[0], 2 * apart.max())
    half_plain, half_log = plain.table.iloc[-1], on_log_odds.table.iloc[-1]
    assert half_plain.n_events_referred > 0.8 * plain.n_events
    assert half_log.n_events_referred == pytest.approx(plain.n_events / 2, rel=0.25)


def test_patients_in_equal_doubt_stay_or_go_together_whatever_the_order_of_rows(rows):
    tied = rows.assign(ood_score=lambda t: (4 * t["ood_score"]).round() / 4)
    found = abstention(tied, by="ood_score")
    shuffled = abstention(tied.sample(frac=1, random_state=3), by="ood_score")
    pd.testing.assert_frame_equal(found.table, shuffled.table)
    assert (found.table["kept_fraction"] >= found.table["asked_fraction"]).all()
    assert found.table["n"].isin(tied["ood_score"].value_counts().sort_index().cumsum()).all()
    assert any("equal doubt are kept together" in note for note in found.notes)


def test_all_in_equal_doubt_are_all_kept(rows):
    found = abstention(rows.assign(ood_score=0.5), by="ood_score", fractions=[1, 0.5])
    assert found.table["n"].tolist() == [N, N]


def test_too_few_of_a_class_is_no_number_and_a_note(rows):
    few = rows.assign(onlm=0.0)
    certain = few["ood_score"].sort_values().index
    few.loc[[*certain[:3], *certain[-9:]], "onlm"] = 1.0
    table = abstention(few, by="ood_score", fractions=[1.0, 0.5]).table
    assert not np.isnan(table["auc"].iloc[0]) and np.isnan(table["auc"].iloc[1])
    assert np.isnan(table["sensitivity"].iloc[1]) and np.isnan(table["oe_ratio"].iloc[1])
    assert table["specificity"].notna().all()
    assert table["note"].iloc[1].startswith("3 N+, wanted at least 5")


def test_a_threshold_may_be_given_and_without_one_there_is_no_sensitivity(rows):
    bare = rows.drop(columns=["threshold", "predicted_positive"])
    found = abstention(bare, fractions=[0.9])
    assert found.table["sensitivity"].isna().all() and found.table["auc"].notna().all()
    assert "no threshold and no predicted_positive" in found.notes[-1]
    given = abstention(bare, fractions=[0.9], threshold=0.2).table
    pd.testing.assert_frame_equal(given, abstention(rows, fractions=[0.9]).table)


def test_patients_whose_doubt_is_not_known_are_counted(rows):
    blank = rows.copy()
    blank.loc[:99, "risk_low"] = np.nan
    blank.loc[100:104, "onlm"] = np.nan
    found = abstention(blank)
    assert found.n == N - 105 and found.n_excluded == {"label missing": 5, "no spread": 100}
    with pytest.raises(OnlmError, match=r"missing for all 600 patients. Train with seeds_per_fold = 5"):
        abstention(rows.assign(risk_low=np.nan))


def test_what_cannot_be_asked_for_is_refused(rows):
    with pytest.raises(
        OnlmError, match=r"one of spread, log_odds_spread, ood_score, got 'spred'. Did you mean 'spread'\?"
    ):
        abstention(rows, by="spred")
    with pytest.raises(OnlmError, match=r"fractions must lie in \(0, 1\]"):
        abstention(rows, fractions=[80])
    with pytest.raises(OnlmError, match="'ood_score' not found"):
        abstention(rows.drop(columns="ood_score"), by="ood_score")
    with pytest.raises(OnlmError, match="risk_high is below risk_low for 600 patients"):
        abstention(rows.rename(columns={"risk_low": "risk_high", "risk_high": "risk_low"}))


def trace(figure, name):
    return next(t for t in figure.data if t.name == name)


@pytest.mark.parametrize("measure", ["auc", "sensitivity", "specificity", "npv", "oe_ratio"])
def test_the_figure_draws_the_numbers_with_their_interval(rows, measure):
    found = abstention(rows)
    figure = figures.plot_abstention(found, measure=measure)
    line = trace(figure, "fused")
    assert list(line.y) == found.table[measure].tolist()
    assert list(line.x) == pytest.approx((1 - found.table["kept_fraction"]).tolist())
    assert list(trace(figure, "fused, lower limit").y) == found.table[f"{measure}_low"].tolist()
    assert list(trace(figure, "fused, upper limit").y) == found.table[f"{measure}_high"].tolist()
    assert figure.layout.title.text.endswith("?")
    assert "600 patients" in figure.layout.title.subtitle.text and "95 % interval" in figure.layout.title.subtitle.text
    first, last = found.table.iloc[0], found.table.iloc[-1]
    assert figure.layout.xaxis.ticktext[0].endswith(f"{int(first.n)} / {int(first.n_events)}")
    assert figure.layout.xaxis.ticktext[-1].endswith(f"{int(last.n)} / {int(last.n_events)}")
    assert figure.layout.yaxis.title.text and figure.layout.xaxis.title.text.endswith("among them")
    other = abstention(rows.assign(model_id="clinical"))
    assert figures.plot_abstention([found, other]).layout.xaxis.title.text.endswith("among them (fused)")


def test_the_figure_escapes_names_bears_its_mark_and_refuses_other_measures(rows):
    found = abstention(rows.assign(model_id="<img src=x>"))
    figure = figures.plot_abstention([found], mark=theme.MADE_UP)
    said = json.dumps(json.loads(figure.to_json()))
    assert "<img" not in said and "&lt;img" in said
    assert [a.text for a in figure.layout.annotations if a.name == "mark"] == ["MADE-UP DATA"]
    with pytest.raises(OnlmError, match="'ppv' is not known; wanted one of auc"):
        figures.plot_abstention(found, measure="ppv")
    with pytest.raises(OnlmError, match="at least one curve"):
        figures.plot_abstention([])
