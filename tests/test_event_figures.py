"""Figures of predicted event risks draw the numbers of their result and say whose, of what and by when."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from event_calibration_reference import case, simulated

from onlm_lab import figures
from onlm_lab.analysis import calibrate_event_risk, survival_net_benefit


@pytest.fixture(scope="module")
def made():
    rows, asked = simulated(500, seed=3, competing=True)
    return rows.assign(model_id="<b>fused</b>"), asked


@pytest.fixture(scope="module")
def calibration(made):
    rows, asked = made
    return calibrate_event_risk(rows, **asked)


def traced(figure, ending: str):
    return next(t for t in figure.data if (t.name or "").endswith(ending))


def subtitle(figure) -> str:
    return figure.layout.title.subtitle.text.replace("\xa0", " ")


def test_the_curve_its_band_the_groups_and_the_distribution_are_those_of_the_result(calibration):
    figure = figures.plot_event_calibration(calibration, mark="MADE-UP DATA")
    curve, groups, bins = calibration.curve, calibration.groups, calibration.distribution
    line = next(t for t in figure.data if "slope" in (t.name or ""))
    assert np.array_equal(line.x, curve["event_risk"]) and np.array_equal(line.y, curve["observed"])
    assert np.array_equal(traced(figure, "upper limit").y, curve["high"])
    assert np.array_equal(traced(figure, "lower limit").y, curve["low"])
    points = traced(figure, "quantiles of risk")
    assert np.array_equal(points.x, groups["mean_predicted"]) and np.array_equal(points.y, groups["observed"])
    assert np.allclose(points.y + np.array(points.error_y.array), groups["high"].fillna(groups["observed"]))
    assert np.allclose(points.y - np.array(points.error_y.arrayminus), groups["low"].fillna(groups["observed"]))
    assert list(traced(figure, "distribution of risks").y)[:-1] == bins["n"].tolist()
    assert list(traced(figure, "perfect calibration").x) == [0, 1]
    assert any(a.text == "MADE-UP DATA" for a in figure.layout.annotations)


def test_the_figure_says_the_event_the_day_and_the_counts_and_escapes_the_model(calibration):
    figure = figures.plot_event_calibration(calibration)
    said = subtitle(figure)
    assert said.startswith("Regional (nodal) recurrence within 3 years: 500 patients")
    for words in (f"{calibration.n_events} events", f"{calibration.n_competing} competing", "censored before", "95 %"):
        assert words in said
    assert "regional (nodal) recurrence within 3 years" in figure.layout.xaxis2.title.text
    assert not any("<b>fused" in (t.name or "") for t in figure.data)
    assert f"O:E {calibration.oe_ratio.value:.2f}" in next(t.name for t in figure.data if "slope" in (t.name or ""))


def test_of_several_models_the_first_has_its_groups_drawn_and_three_have_bands(calibration, made):
    rows, asked = made
    others = [calibrate_event_risk(rows.assign(model_id=f"m{k}"), **asked) for k in range(4)]
    figure = figures.plot_event_calibration([calibration, *others])
    assert sum("quantiles of risk" in (t.name or "") for t in figure.data) == 1
    assert sum("upper limit" in (t.name or "") for t in figure.data) == 3
    assert "(the first 3 models)" in subtitle(figure)


def test_too_few_events_are_drawn_as_points_without_a_curve_and_the_legend_says_no_slope():
    rows, asked = case("tiny")
    figure = figures.plot_event_calibration(calibrate_event_risk(rows, **asked))
    named = [t for t in figure.data if t.showlegend]
    assert [t.mode for t in named] == ["markers"] and "slope not estimated" in named[0].name
    assert figures.plot_event_calibration([]).layout.title.text


def test_the_decision_curve_of_an_event_names_it_and_treatment_in_place_of_n_positive(made):
    rows, asked = made
    other = rows.assign(model_id="clinical", p=rows["p"].to_numpy()[::-1])
    both = pd.concat([rows, other], ignore_index=True)
    found = survival_net_benefit(both, **asked, thresholds=[0.05, 0.1, 0.2, 0.3], n_bootstrap=50)
    figure = figures.plot_decision_curve(found, threshold=0.1)
    assert subtitle(figure).startswith("Regional (nodal) recurrence within 3 years: 500 patients")
    everything = " ".join([figure.layout.yaxis.title.text, subtitle(figure), *(t.name or "" for t in figure.data)])
    assert "N+" not in everything and "work up" not in everything
    for name, label in (("clinical", "clinical"), ("treat_all", "treat everybody"), ("treat_none", "treat nobody")):
        line = next(t for t in figure.data if t.name == label)
        assert np.array_equal(line.y, found.table.loc[found.table["model_id"] == name, "net_benefit"])
    assert "treatments avoided" in next(t for t in figure.data if t.name == "clinical").hovertemplate


def test_a_decision_curve_without_numbers_is_still_a_figure(made):
    rows, asked = made
    found = survival_net_benefit(rows, **asked | {"horizon_days": 9000}, thresholds=[0.1, 0.2], n_bootstrap=20)
    assert all(np.isfinite(v) for v in figures.plot_decision_curve(found).layout.yaxis.range)
