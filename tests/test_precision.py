"""Precision, recall and average precision equal scikit-learn's, and a useless model reaches the prevalence."""

import math

import numpy as np
import pandas as pd
import pytest
from binary_reference import scored
from sklearn.metrics import average_precision_score, precision_recall_curve

from onlm_lab.analysis import bootstrap, operating_point, precision_recall
from onlm_lab.errors import OnlmError

TABLES = [("asah", "s100b"), ("asah", "wfns"), ("asah", "p1"), ("tiny25", "score"), ("tiny25", "score2")]


@pytest.mark.parametrize(("name", "score"), TABLES)
def test_average_precision_and_curve_equal_scikit_learns_with_ties(name, score):
    rows = scored(name, score)
    got = precision_recall(rows, n_resamples=50)
    assert got.average_precision.value == pytest.approx(average_precision_score(rows["onlm"], rows["risk"]), abs=1e-12)
    precision, recall, threshold = precision_recall_curve(rows["onlm"], rows["risk"])
    np.testing.assert_allclose(got.curve["precision"][::-1], precision[:-1], atol=1e-12)
    np.testing.assert_allclose(got.curve["recall"][::-1], recall[:-1], atol=1e-12)
    np.testing.assert_array_equal(got.curve["threshold"][::-1], threshold)
    assert got.prevalence == rows["onlm"].mean()


def test_the_curve_holds_the_ppv_and_sensitivity_of_each_threshold():
    rows = scored("asah", "wfns")
    for row in precision_recall(rows, n_resamples=10).curve.itertuples():
        point = operating_point(rows, threshold=row.threshold)
        assert (row.precision, row.recall) == pytest.approx((point.ppv.value, point.sensitivity.value), abs=1e-12)


def test_the_interval_is_that_of_the_bootstrap_from_all_patients():
    rows = scored("asah", "p1")
    got = precision_recall(rows, n_resamples=300, generator=np.random.default_rng(1)).average_precision
    want = bootstrap(rows, statistic="average_precision", n_resamples=300, generator=np.random.default_rng(1)).estimate
    assert (got.low, got.high) == (want.low, want.high)
    assert got.low < got.value < got.high and got.method == "bootstrap, percentile"


def test_a_useless_model_reaches_the_prevalence_and_a_perfect_one_1():
    rng = np.random.default_rng(2)
    onlm = (np.arange(4000) % 5 == 0).astype(int)
    rows = pd.DataFrame({"patient_id": range(4000), "onlm": onlm, "risk": rng.uniform(size=4000)})
    got = precision_recall(rows, n_resamples=200)
    assert got.average_precision.low < got.prevalence < got.average_precision.high
    assert precision_recall(rows.assign(risk=0.5), n_resamples=10).average_precision.value == pytest.approx(0.2)
    perfect = precision_recall(rows.assign(risk=onlm * 0.5 + 0.2), n_resamples=10).average_precision
    assert perfect.value == 1 and math.isnan(perfect.low) and "same value" in perfect.note


def test_the_better_model_has_the_higher_average_precision():
    better, worse = (precision_recall(scored("asah", s), n_resamples=10).average_precision.value for s in ("p2", "p1"))
    assert better > worse


def test_too_few_events_are_said():
    one = scored("tiny25", "score")
    one["onlm"] = (one.index == 20).astype(int)
    got = precision_recall(one)
    assert 0 < got.average_precision.value <= 1 and "two N+" in got.average_precision.note
    none = precision_recall(one.assign(onlm=0))
    assert math.isnan(none.average_precision.value) and none.prevalence == 0 and none.curve["recall"].isna().all()
    assert any("only 4 N+" in n for n in precision_recall(scored("tiny25", "score")).notes)


def test_patients_without_a_label_are_counted_out_and_a_wrong_level_refused():
    rows = scored("asah", "p1").astype({"onlm": float})
    rows.loc[0, "onlm"] = np.nan
    assert precision_recall(rows, n_resamples=10).n_excluded == {"label missing": 1}
    with pytest.raises(OnlmError, match="level must lie between 0 and 1"):
        precision_recall(rows, level=95)
