"""Forests of fairness and of centres draw the numbers of their result, with n, N+, intervals and what is pooled."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import FOLDER

from onlm_lab import figures
from onlm_lab.analysis import by_centre, fairness, leave_one_out


@pytest.fixture(scope="module")
def rows():
    return pd.read_csv(FOLDER / "centres.csv")


@pytest.fixture(scope="module")
def fair(rows):
    marked = rows.assign(smoking=rows["smoking"].replace({"never": "<b>never</b>"}))
    return fairness(marked, columns=["sex", "smoking", "centre"], threshold=0.25, n_resamples=200, n_permutations=500)


def words(figure):
    layout = figure.layout
    parts = [layout.title.text, layout.title.subtitle.text, layout.xaxis.title.text, *(layout.yaxis.ticktext or ())]
    return " ".join([*parts, *(a.text for a in layout.annotations)]).replace("\xa0", " ")


def drawn(figure):
    trace = figure.data[0]
    x = np.array(trace.x, float)
    return x, x - np.array(trace.error_x.arrayminus, float), x + np.array(trace.error_x.array, float)


@pytest.mark.parametrize("measure", ["sensitivity", "fpr", "ppv", "oe_ratio", "intercept"])
def test_fairness_draws_each_level_and_says_the_gap_with_its_p(fair, measure):
    figure = figures.plot_fairness(fair, measure=measure, mark="MADE-UP DATA")
    for got, end in zip(drawn(figure), ("", "_low", "_high"), strict=True):
        np.testing.assert_allclose(got, fair.table[f"{measure}{end}"])
    text = words(figure)
    assert "742 patients, 193 N+" in text and "MADE-UP DATA" in text and "&lt;b&gt;never" in text
    assert text.count("P = ") + text.count("P < ") == 3
    assert ("Ratio " in text) == (measure == "oe_ratio") == (figure.layout.xaxis.type == "log")
    assert ("threshold 25 %" in text) == (measure in ("sensitivity", "fpr", "ppv"))
    assert "too few" in text


def test_fairness_without_a_threshold_says_that_there_is_no_gap(rows):
    result = fairness(rows, columns=["sex"], n_resamples=20, n_permutations=20)
    assert "no gap: too few" in words(figures.plot_fairness(result))
    with pytest.raises(ValueError, match="measure 'auc' is not known; wanted one of sensitivity, fpr"):
        figures.plot_fairness(result, measure="auc")


@pytest.mark.parametrize("measure", ["auc", "intercept", "slope", "oe_ratio"])
def test_centres_are_drawn_with_the_pooled_value_and_the_prediction_interval(rows, measure):
    result = by_centre(rows)
    figure = figures.plot_centres(result, measure=measure)
    low, high = ("low", "high") if measure == "auc" else (f"{measure}_low", f"{measure}_high")
    for got, name in zip(drawn(figure), (measure, low, high), strict=True):
        np.testing.assert_allclose(got, result.table[name])
    pooled = result.measures.set_index("measure").loc[measure]
    traces = {t.name: t for t in figure.data}
    assert (min(traces["pooled"].x), max(traces["pooled"].x)) == (pooled["low"], pooled["high"])
    assert tuple(traces["prediction interval"].x) == (pooled["prediction_low"], pooled["prediction_high"])
    reference = {"intercept": 0, "slope": 1, "oe_ratio": 1}.get(measure, pooled["value"])
    assert figure.layout.shapes[0].x0 == reference
    text = words(figure)
    assert f"Pooled, {pooled['n_pooled']} of 9 centres" in text and "742 patients, 193 N+" in text
    assert "C1  38/160" in text and (figure.layout.xaxis.type == "log") == (measure == "oe_ratio")


def test_the_title_says_whether_each_centre_was_left_out_of_training(rows):
    result = by_centre(rows)
    assert "a centre it was not trained on?" in figures.plot_centres(result, left_out=True).layout.title.text
    assert "training may have seen these centres" in words(figures.plot_centres(result))


def test_too_few_centres_draw_no_pooled_value(rows):
    result = by_centre(rows[rows["centre"].isin(["C1", "C2"])])
    figure = figures.plot_centres(result)
    assert len(figure.data) == 1 and "not pooled: too few centres" in words(figure) and not figure.layout.shapes


@pytest.mark.parametrize("measure", ["auc", "oe_ratio"])
def test_leaving_out_draws_a_line_a_centre_and_all_of_them(rows, measure):
    result = leave_one_out(rows, measure=measure)
    figure = figures.plot_leave_one_out(result)
    for got, name in zip(drawn(figure), ("value", "low", "high"), strict=True):
        np.testing.assert_allclose(got, result.table[name])
    text = words(figure)
    assert (
        "All centres" in text
        and f"without C1  ({result.table['n_pooled'][1]})" in text
        and "742 patients, 193 N+" in text
    )
    assert figure.layout.shapes[0].x0 == result.table["value"].iloc[0]
    few = leave_one_out(rows[rows["centre"].isin(["C1", "C2", "C3"])], measure=measure)
    assert "too few centres" in words(figures.plot_leave_one_out(few)) and math.isfinite(few.table["value"].iloc[0])


def test_an_unknown_measure_of_centres_is_refused(rows):
    with pytest.raises(ValueError, match="measure 'brier' is not known; wanted one of auc"):
        figures.plot_centres(by_centre(rows), measure="brier")
