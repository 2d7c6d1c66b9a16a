"""Bars of counts and points with intervals draw the numbers that they were given, and escape names."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from onlm_lab.figures import plot_counts, plot_intervals

COUNTS = pd.DataFrame({"centre": ["<b>A", "B"], "n_in": [3, 1200], "n_out": [0, 4]})
TIMES = pd.DataFrame({"group": ["<b>A", "B"], "median": [730.5, math.nan], "low": [365.25, math.nan],
                      "high": [1095.75, math.nan]})  # fmt: skip


@pytest.mark.parametrize("upright", [False, True])
def test_every_bar_is_a_count_of_the_table_and_its_end_says_the_sum(upright):
    figure = plot_counts(COUNTS, of="centre", series={"n_in": "In", "n_out": "<i>Out"}, title="Who?", upright=upright,
                         mark="MADE-UP DATA")  # fmt: skip
    bars = [list(t.y if upright else t.x) for t in figure.data if t.type == "bar"]
    assert bars == [[3, 1200], [0, 4]]
    sums = figure.data[-1]
    assert list(sums.text) == [" 3 ", " 1,204 "] and list(sums.y if upright else sums.x) == [3, 1204]
    assert [t.name for t in figure.data] == ["In", "&lt;i&gt;Out", "sum"]
    names = figure.layout.xaxis.ticktext if upright else figure.layout.yaxis.ticktext
    assert list(names) == ["&lt;b&gt;A", "B"] and figure.layout.annotations[0].text == "MADE-UP DATA"


def test_one_kind_of_count_needs_no_legend_and_an_empty_table_draws():
    assert not any(t.showlegend for t in plot_counts(COUNTS, of="centre", series={"n_in": "In"}, title="Who?").data)
    assert len(plot_counts(COUNTS.iloc[:0], of="centre", series={"n_in": "In"}, title="Who?").data) == 2


def test_a_point_and_its_interval_are_the_tables_and_what_is_not_known_keeps_its_place():
    figure = plot_intervals(TIMES, of="group", value="median", low="low", high="high", scale=1 / 365.25, axis="Years",
                            title="How long?", line=1.0)  # fmt: skip
    points = figure.data[0]
    assert points.x[0] == pytest.approx(2) and math.isnan(points.x[1]) and list(points.y) == [0, 1]
    assert points.error_x.array[0] == pytest.approx(1) and points.error_x.arrayminus[0] == pytest.approx(1)
    assert list(figure.layout.yaxis.ticktext) == ["&lt;b&gt;A", "B"] and figure.layout.shapes[0].x0 == 1
    bare = plot_intervals(TIMES, of="group", value="median", axis="Years", title="How long?")
    assert bare.data[0].error_x.array is None
