"""Forests of associations, sensitivity and mistakes draw the numbers of their result, with n, N+ and intervals."""

import numpy as np
import pandas as pd
import pytest

from onlm_lab import figures
from onlm_lab.analysis import associations, confident_mistakes, label_sensitivity, missing_data_sensitivity


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(8)
    n = 400
    age, egfr = rng.normal(65, 8, n), rng.integers(0, 2, n).astype(float)
    eta = -1.3 + 0.05 * (age - 65) + 0.8 * egfr
    onlm = (rng.uniform(size=n) < 1 / (1 + np.exp(-eta))).astype(float)
    egfr[:30] = np.nan
    return pd.DataFrame({
        "patient_id": [f"P{i}" for i in range(n)], "onlm": onlm, "risk": 1 / (1 + np.exp(-eta - rng.normal(size=n))),
        "age_years": age, "egfr_mutated": egfr, "alk_translocated": (np.arange(n) < 2).astype(float),
        "grade": rng.choice(["G1", "G2", "<b>G3</b>"], n),
        "cea_ng_ml": np.where(rng.uniform(size=n) < 0.4, np.nan, 2.0),
        "nodes_examined": rng.integers(0, 20, n),
    })  # fmt: skip


@pytest.fixture(scope="module")
def found(rows):
    return associations(rows, markers=["egfr_mutated", "alk_translocated", "grade"], adjust=["age_years"])


def words(figure):
    layout = figure.layout
    parts = [layout.title.text, layout.title.subtitle.text, layout.xaxis.title.text, *(layout.yaxis.ticktext or ())]
    return " ".join([*parts, *(a.text for a in layout.annotations)]).replace("\xa0", " ")


def drawn(figure, k=0):
    trace = figure.data[k]
    x, ends = np.array(trace.x, float), (np.array(trace.error_x.arrayminus), np.array(trace.error_x.array))
    return x, x - ends[0].astype(float), x + ends[1].astype(float)


def test_the_forest_of_associations_draws_both_models_with_n_and_says_association(found):
    figure = figures.plot_associations(found)
    assert [t.name for t in figure.data] == ["unadjusted", "adjusted"]
    for k, adjusted in enumerate((False, True)):
        want = found.effects[found.effects["adjusted"] == adjusted]
        for got, name in zip(drawn(figure, k), ("effect", "low", "high"), strict=True):
            np.testing.assert_allclose(got, want[name])
    text = words(figure)
    assert "association, not mechanism" in text and "adjusted for Age (years)" in text
    assert f"400 patients, {found.n_events} N+" in text and "EGFR mutated" in text and "30 missing" in text
    assert "too few" in text and "<b>G3" not in text and "&lt;b&gt;G3" in text
    assert text.count("P = ") + text.count("P < ") == 4, "one P a marker and model, none where there are too few"


def test_one_model_has_no_legend(rows):
    figure = figures.plot_associations(associations(rows, markers=["egfr_mutated"]))
    assert len(figure.data) == 1 and not figure.data[0].showlegend and "adjusted for" not in words(figure)


def test_odds_ratios_stand_on_a_log_axis_with_their_positives(found):
    figure = figures.plot_marker_odds(found)
    want = found.binary[~found.binary["adjusted"]]
    np.testing.assert_allclose(drawn(figure)[2], want["high"])
    assert figure.layout.xaxis.type == "log" and "by Firth's penalty" in words(figure)
    assert f"{int(want['n_positive'].iloc[0])} of 370" in words(figure)


@pytest.mark.parametrize("measure", ["auc", "sensitivity", "specificity", "intercept", "oe_ratio"])
def test_label_sensitivity_draws_each_minimum_with_who_was_left_out(rows, measure):
    result = label_sensitivity(rows, min_nodes=(6, 10), threshold=0.3)
    figure = figures.plot_label_sensitivity(result, measure=measure)
    for got, end in zip(drawn(figure), ("", "_low", "_high"), strict=True):
        np.testing.assert_allclose(got, result.table[f"{measure}{end}"])
    text = words(figure)
    assert "At least 6 nodes" in text and f"{result.table['n_left_out'][1]} N0 left out" in text
    assert (" %" in text) and ("%" in (figure.layout.xaxis.tickformat or "")) == (measure[:2] in ("se", "sp"))


def test_missing_sensitivity_draws_each_group_and_the_test(rows):
    result = missing_data_sensitivity(rows, columns=["cea_ng_ml", "egfr_mutated"], threshold=0.3)
    figure = figures.plot_missing_sensitivity(result)
    np.testing.assert_allclose(drawn(figure)[0], result.table["auc"])
    text = words(figure)
    assert "CEA (ng/mL)" in text and "Completeness" in text and "P = " in text
    with pytest.raises(ValueError, match="'f1' is not known; wanted one of auc"):
        figures.plot_missing_sensitivity(result, measure="f1")


def test_mistakes_draw_both_comparisons_with_their_counts(rows):
    result = confident_mistakes(rows, threshold=0.3, facts=["age_years", "egfr_mutated", "grade"])
    figure = figures.plot_mistakes(result)
    part = result.compared[result.compared["comparison"] == "missed N+ against found N+"]
    np.testing.assert_allclose(drawn(figure)[0], part["smd"])
    text = words(figure)
    assert f"{result.n_missed} N+ missed, {result.n_found} found" in text and "Grade: G1" in text
    assert "<b>G3" not in text and "P1" not in text


def test_levels_that_differ_in_nobody_are_not_drawn_and_of_two_levels_one(rows):
    who = rows.assign(sex=np.where(np.arange(len(rows)) % 2, "male", "female"), same="x")
    text = words(figures.plot_mistakes(confident_mistakes(who, threshold=0.3, facts=["sex", "same"])))
    assert "Sex: male" in text and "Sex: female" not in text and "Same" not in text


def test_a_mark_lies_across_every_figure(rows, found):
    made = [figures.plot_associations(found, mark="MADE-UP DATA"), figures.plot_marker_odds(found, mark="MADE-UP DATA"),
            figures.plot_label_sensitivity(label_sensitivity(rows, min_nodes=6), mark="MADE-UP DATA"),
            figures.plot_mistakes(confident_mistakes(rows, threshold=0.3), mark="MADE-UP DATA")]  # fmt: skip
    assert all("MADE-UP DATA" in words(figure) for figure in made)
