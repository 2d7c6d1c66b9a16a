"""Figures over the horizons draw the numbers of their tables, with n, events and intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab import figures
from onlm_lab.analysis import brier_survival, time_dependent_auc

HORIZONS = [365, 730, 1095]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n = 300
    risk = rng.uniform(0, 0.7, n)
    own, other, end = rng.exponential(2500 * np.exp(-3 * risk)), rng.exponential(4000, n), rng.uniform(500, 2500, n)
    first = np.minimum(own, other)
    state = np.where(first > end, 0, np.where(own < other, 1, 2))
    told = {f"p{h}": 1 - np.exp(-h / 2500 * np.exp(3 * risk)) for h in HORIZONS}
    return pd.DataFrame({"patient_id": np.arange(n).astype(str), "regional_days": np.minimum(first, end),
                         "regional_state": state, "risk": risk, **told})  # fmt: skip


@pytest.fixture(scope="module")
def areas(rows):
    def of(table):
        return time_dependent_auc(table, endpoint="regional", horizons_days=HORIZONS)

    return {"fused": of(rows), "<b>old</b>": of(rows.assign(risk=rows["risk"].to_numpy()[::-1]))}


@pytest.fixture(scope="module")
def scores(rows):
    return brier_survival(rows, endpoint="regional", horizons_days=HORIZONS, event_risk=[f"p{h}" for h in HORIZONS])


def traces(figure) -> dict:
    return {t.name: t for t in figure.data}


def test_areas_and_their_bands_are_those_of_the_tables(areas):
    figure = figures.plot_time_dependent_auc(areas, endpoint="regional", who="surgery")
    drawn = traces(figure)
    for name, label in (("fused", "fused"), ("<b>old</b>", "&lt;b&gt;old&lt;/b&gt;")):
        np.testing.assert_allclose(drawn[label].y, areas[name]["value"])
        np.testing.assert_allclose(drawn[label].x, np.array(HORIZONS) / 365.25)
        np.testing.assert_allclose(drawn[f"{label}, lower limit"].y, areas[name]["low"])
        np.testing.assert_allclose(drawn[f"{label}, upper limit"].y, areas[name]["high"])
    assert drawn["fused"].line.dash != drawn["&lt;b&gt;old&lt;/b&gt;"].line.dash
    said = figure.layout.title.subtitle.text
    assert said.startswith(f"surgery; 300 patients, {areas['fused']['n_cases'].max()} events by 3 years")
    assert "band: 95 % interval" in said.replace("\xa0", " ") and figure.layout.title.text.endswith("?")
    assert "<b>" not in figure.to_json().replace("\\u003c", "<")


def test_one_table_needs_no_name(areas):
    assert traces(figures.plot_time_dependent_auc(areas["fused"], endpoint="os"))["model"].y[0] > 0.5
    assert "death" in figures.plot_time_dependent_auc(areas["fused"], endpoint="os").layout.title.text


def test_the_brier_score_is_drawn_with_that_of_the_same_probability_for_everybody(scores):
    figure = figures.plot_brier({"fused": scores}, endpoint="regional", mark="MADE-UP DATA")
    drawn = traces(figure)
    np.testing.assert_allclose(drawn["fused"].y, scores["value"])
    np.testing.assert_allclose(drawn["fused, upper limit"].y, scores["high"])
    np.testing.assert_allclose(drawn["the same probability for everybody"].y, scores["reference"])
    assert "lower is better" in figure.layout.title.subtitle.text
    assert any(a.text == "MADE-UP DATA" for a in figure.layout.annotations)


def test_where_nothing_could_be_estimated_the_figure_says_why(rows):
    late = time_dependent_auc(rows, endpoint="regional", horizons_days=[9999])
    figure = figures.plot_time_dependent_auc(late, endpoint="regional")
    assert any((a.text or "").startswith("Not estimated: ") for a in figure.layout.annotations)
    none = brier_survival(rows, endpoint="regional", horizons_days=[0.001], event_risk="p365")
    figure = figures.plot_brier(none, endpoint="regional")
    assert any("no event up to day 0.001" in (a.text or "") for a in figure.layout.annotations)


def test_told_probabilities_are_drawn_by_what_happened_to_the_patients(rows):
    figure = figures.plot_event_risk(rows, event_risk="p1095", endpoint="regional", horizon_days=1095)
    early = rows["regional_days"] <= 1095
    wanted = {
        "had the event by then": early & (rows["regional_state"] == 1),
        "had a competing event by then": early & (rows["regional_state"] == 2),
        "free of it then": ~early,
        "follow-up ended before": early & (rows["regional_state"] == 0),
    }
    assert len(figure.data) == 4
    for trace, (words, inside) in zip(figure.data, wanted.items(), strict=True):
        assert trace.name == f"{words} (n = {inside.sum():,})"
        np.testing.assert_allclose(np.sort(trace.x), np.sort(rows.loc[inside, "p1095"]))
    assert f"300 patients, {wanted['had the event by then'].sum()} events by 3 years" in (
        figure.layout.title.subtitle.text
    )


def test_patients_who_were_not_told_are_counted_and_an_endpoint_without_competitors_has_three_groups(rows):
    alone = rows.rename(columns={"regional_days": "os_days"}).assign(os_event=(rows["regional_state"] > 0).astype(int))
    alone = alone.drop(columns="regional_state").assign(p1095=alone["p1095"].where(alone.index > 9))
    figure = figures.plot_event_risk(alone, event_risk="p1095", endpoint="os", horizon_days=1095, who="<i>all</i>")
    assert len(figure.data) == 3 and "10 not told" in figure.layout.title.subtitle.text
    assert "&lt;i&gt;all" in figure.layout.title.subtitle.text and "death by 3 years" in figure.layout.title.text


def test_of_thousands_of_patients_the_boxes_alone_are_drawn(rows):
    many = pd.concat([rows] * 8).assign(patient_id=np.arange(8 * len(rows)).astype(str))
    figure = figures.plot_event_risk(many, event_risk="p1095", endpoint="regional", horizon_days=1095)
    assert not figure.data[0].boxpoints and "each line" not in figure.layout.title.subtitle.text
