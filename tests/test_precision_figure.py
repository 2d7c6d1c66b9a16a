"""The precision-recall figure and the ROC band draw the numbers that they are given."""

import numpy as np
import pandas as pd
import pytest

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.results import Estimate, PrecisionRecall, Roc, RocBand


def _found(model="fused", *, n_events=51, apparent=False):
    curve = pd.DataFrame({"threshold": [0.6, 0.3, 0.1], "recall": [0.5, 0.9, 1.0], "precision": [0.8, 0.4, 0.17]})
    return PrecisionRecall(curve=curve, average_precision=Estimate(0.55, 0.45, 0.66), prevalence=n_events / 300,
                           model_id=model, n=300, n_events=n_events, apparent=apparent)  # fmt: skip


def _roc(model="fused"):
    curve = pd.DataFrame({"threshold": [np.inf, 0.6, 0.1], "sensitivity": [0, 0.5, 1.0], "specificity": [1, 0.9, 0.0]})
    area = Estimate(0.84, 0.79, 0.89)
    return Roc(curve=curve, auc=area, auc_logit=area, prefer_logit=False, model_id=model, n=300, n_events=51)


def _band(model="fused"):
    band = pd.DataFrame({"specificity": [0, 0.5, 1], "sensitivity": [1, 0.9, 0.2], "low": [1, 0.8, 0.1],
                         "high": [1, 0.95, 0.3]})  # fmt: skip
    return RocBand(band=band, level=0.9, model_id=model, n=300, n_events=51)


def _trace(figure, start):
    return next(t for t in figure.data if t.name and t.name.startswith(start))


def test_the_steps_and_the_line_of_a_useless_model_are_those_of_the_result():
    figure = figures.plot_precision_recall(_found())
    steps = _trace(figure, "fused: average precision 0.55 (0.45 to 0.66)")
    assert list(steps.x) == [0, 0.5, 0.9, 1.0] and list(steps.y) == [0.8, 0.8, 0.4, 0.17] and steps.line.shape == "vh"
    assert list(_trace(figure, "a useless model").y) == [0.17, 0.17]
    assert figure.layout.title.text.endswith("?") and "300 patients, 51 N+" in figure.layout.title.subtitle.text
    assert figure.layout.xaxis.tickformat == figure.layout.yaxis.tickformat == ".0%"


def test_several_models_differ_by_dash_and_prevalences_are_drawn_once_each():
    figure = figures.plot_precision_recall([_found(), _found("clinical"), _found("mine", n_events=60, apparent=True)])
    assert len([t for t in figure.data if t.name.startswith("a useless model")]) == 2
    drawn = [t for t in figure.data if "average precision" in t.name]
    assert len({t.line.dash for t in drawn}) == len({t.line.color for t in drawn}) == 3
    assert "mine 300 patients, 60 N+" in figure.layout.title.subtitle.text
    assert "apparent" in figure.layout.title.subtitle.text


def test_made_up_data_are_marked_and_names_from_data_are_escaped():
    figure = figures.plot_precision_recall(_found("<b>x</b>"), mark=theme.MADE_UP)
    assert [a.text for a in figure.layout.annotations] == ["MADE-UP DATA"]
    assert all("<b>" not in t.name for t in figure.data)
    assert all("<b>" not in t.name for t in figures.plot_roc(_roc("<b>x</b>"), band=_band("<b>x</b>")).data)


def test_the_band_lies_faint_behind_the_curve_of_its_model():
    figure = figures.plot_roc([_roc("clinical"), _roc()], band=_band())
    low, high = _trace(figure, "fused, lower limit"), _trace(figure, "fused, upper limit")
    assert list(low.x) == pytest.approx([1, 0.5, 0]) and list(low.y) == [1, 0.8, 0.1] and list(high.y) == [1, 0.95, 0.3]
    assert high.fill == "tonexty" and "0.1)" in high.fillcolor
    assert figure.data.index(high) < figure.data.index(_trace(figure, "fused: AUC"))
    assert "band: 90" in figure.layout.title.subtitle.text
    assert "band" not in figures.plot_roc(_roc()).layout.title.subtitle.text


def test_a_band_without_limits_is_not_drawn():
    empty = RocBand(band=_band().band.assign(low=np.nan, high=np.nan), level=0.95, model_id="fused", n=300, n_events=1)
    assert len(figures.plot_roc(_roc(), band=empty).data) == len(figures.plot_roc(_roc()).data)
