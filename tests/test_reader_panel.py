"""The figure and the panel of a reader study: what they draw and say are the numbers of the result."""

import math

import numpy as np
import pandas as pd
import pytest
from made_run import NASTY

from benchmarks.reader_coverage import Scenario, covered, study, true_auc
from onlm_lab.analysis import compare_readers
from onlm_lab.figures import plot_readers, theme
from onlm_lab.panels.readers import SEQUENTIAL, readers_panel


@pytest.fixture(scope="module")
def rows():
    drawn = study(Scenario(4, 30, 50, with_model=2.0), generator=np.random.default_rng(3))
    first = drawn[drawn["reader_id"] == "R0"].set_index("patient_id")["estimate_with_model"]
    return drawn.assign(risk=drawn["patient_id"].map(first), seconds_alone=50.0, seconds_with_model=9.0)


@pytest.fixture(scope="module")
def found(rows):
    return compare_readers(rows, threshold=0.3)


def _traces(figure):
    return {t.name: t for t in figure.data}


def test_every_point_and_interval_drawn_is_a_number_of_the_result(found):
    drawn = _traces(plot_readers(found))
    for name, kind in (("without the model", "alone"), ("with the model", "with_model")):
        trace, average = drawn[name], getattr(found, f"auc_{kind}")
        assert list(trace.x) == [*found.readers[f"auc_{kind}"], average.value]
        ups = [*found.readers[f"auc_{kind}_high"], average.high]
        downs = [*found.readers[f"auc_{kind}_low"], average.low]
        assert np.add(trace.x, trace.error_x.array) == pytest.approx(ups)
        assert np.subtract(trace.x, trace.error_x.arrayminus) == pytest.approx(downs)
    model = drawn["the model alone"]
    ends = [model.x[0] - model.error_x.arrayminus[0], model.x[0], model.x[0] + model.error_x.array[0]]
    assert ends == pytest.approx([found.auc_model.low, found.auc_model.value, found.auc_model.high])
    joined = drawn["from without to with"].x
    assert joined[0::3] == drawn["without the model"].x and joined[1::3] == drawn["with the model"].x


def test_the_figure_asks_the_question_and_bears_n_events_and_the_mark(found):
    figure = plot_readers(found, mark=theme.MADE_UP)
    assert figure.layout.title.text == "Do readers tell N+ from N0 better with the model?"
    assert (
        "80 patients, 30 N+" in figure.layout.title.subtitle.text and "4 readers" in figure.layout.title.subtitle.text
    )
    assert theme.MADE_UP in [a.text for a in figure.layout.annotations]
    assert list(figure.layout.yaxis.ticktext)[-2:] == ["<b>Average of 4</b>", "Model alone"]


def test_without_second_estimates_one_series_is_drawn_and_another_question_asked(rows):
    figure = plot_readers(compare_readers(rows.drop(columns=["estimate_with_model", "risk"])))
    assert [t.name for t in figure.data] == ["without the model"]
    assert figure.layout.title.text == "How well do readers tell N+ from N0?"
    panel = readers_panel(rows.drop(columns=["estimate_with_model", "risk"]))
    assert "second estimates" not in panel.sentence and SEQUENTIAL not in panel.notes


def test_the_sentence_and_the_table_say_what_the_result_says(rows, found):
    panel = readers_panel(rows, threshold=0.3, told=("line 7 was cut off",), mark=theme.MADE_UP)
    for estimate in (found.auc_alone, found.auc_with_model, found.difference, found.auc_model):
        assert theme.with_interval(estimate) in panel.sentence
    moved = found.readers[["n_toward", "n_away", "n_unmoved"]].sum()
    assert f"Of {moved.sum()} second estimates {moved['n_toward']} moved towards the truth" in panel.sentence
    assert "A case took 50 seconds" in panel.sentence
    assert {"line 7 was cut off", SEQUENTIAL} <= set(panel.notes)
    table = panel.table.set_index("reader_id")
    assert list(table.index) == ["R0", "R1", "R2", "R3", "average", "model alone"]
    assert table.loc["average", "auc_difference"] == found.difference.value
    assert table.loc["model alone", "auc_alone"] == found.auc_model.value
    averages = found.averages.set_index(["measure", "kind"])["value"]
    assert table.loc["average", "sensitivity_with_model"] == averages["sensitivity", "with_model"]


def test_corrections_are_told(rows):
    corrected = rows.assign(n_corrections=[1, 1, *([0] * (len(rows) - 2))])
    assert any(note.startswith("2 estimates were corrected") for note in readers_panel(corrected).notes)
    assert not any("corrected" in note for note in readers_panel(rows.assign(n_corrections=0)).notes)


def test_a_code_from_a_table_is_escaped_in_the_figure(rows):
    figure = plot_readers(compare_readers(rows.assign(reader_id=rows["reader_id"].replace("R0", NASTY))))
    assert not any("<img" in text for text in figure.layout.yaxis.ticktext)


def test_a_real_gain_is_found_and_the_interval_covers_the_truth_as_often_as_it_says(found):
    scenario = Scenario(5, 40, 40)
    assert found.difference.value > 0
    assert true_auc(1.2, scenario) == pytest.approx(0.795, abs=0.005)
    got = covered(scenario, runs=60, generator=np.random.default_rng(5))
    assert got["random"] >= 0.85 and got["truth"] == 0, "60 studies: of 95 % at least 85 % but for bad luck (P < 0.01)"
    assert got["rejected"] <= 0.15 and not math.isnan(got["width"])


def test_the_simulated_areas_lie_where_the_formula_says():
    scenario = Scenario(40, 150, 150, with_model=2.0, way_reader=0.01)
    rows = [study(scenario, generator=np.random.default_rng(k)) for k in range(6)]
    seen = [compare_readers(pd.DataFrame(r)) for r in rows]
    for kind, separation in (("alone", 1.2), ("with_model", 2.0)):
        mean = np.mean([getattr(s, f"auc_{kind}").value for s in seen])
        assert mean == pytest.approx(true_auc(separation, scenario), abs=0.015)
