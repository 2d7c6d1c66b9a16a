"""Panels and figures of one case: every number drawn is a number of the table, and what cannot be drawn is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_run import NASTY

from onlm_lab import figures
from onlm_lab.errors import OnlmError
from onlm_lab.panels import case_follow_up, case_list, cases

EFFECTS = pd.DataFrame({
    "patient_id": "P1", "model_id": "fused",
    "predictor": ["age_years"] * 3 + ["sex"] * 2 + ["central_location"] * 2 + ["cea_ng_ml"] * 3,
    "value": ["50", "60.5", "70", "female", "male", "0", "1", None, "1.5", "9"],
    "risk": [0.1, 0.2, 0.3, 0.2, 0.15, 0.2, 0.6, 0.2, 0.21, 0.22],
})  # fmt: skip
PERSON = {"age_years": 60.5, "sex": "female", "central_location": 0.0, "cea_ng_ml": np.nan, "role": "unlabelled"}


def _traces(figure, name):
    return [t for t in figure.data if t.name == name]


def test_each_predictor_has_its_own_small_figure_the_widest_first_with_the_patients_own_value_marked():
    panel = cases.effects_panel(EFFECTS, row=PERSON, model="fused")
    order = [t.name for t in panel.figure.data if not t.name.endswith("own")]
    assert order == ["central_location", "age_years", "sex", "cea_ng_ml"]
    assert len({(t.xaxis, t.yaxis) for t in panel.figure.data}) == 4
    (age,), (own,) = _traces(panel.figure, "age_years"), _traces(panel.figure, "age_years, own")
    assert list(age.x) == [50, 60.5, 70] and list(age.y) == pytest.approx([10, 20, 30])
    assert list(own.x) == [60.5] and list(own.y) == pytest.approx([20])
    assert list(_traces(panel.figure, "central_location, own")[0].x) == ["no"]
    assert "risk is 20.0" in panel.sentence and "Central location: from 20.0" in panel.sentence
    assert "did not learn" in panel.notes[1] and "not a cause" in panel.notes[0]


def test_an_own_value_that_is_not_known_is_in_the_table_and_on_no_line():
    panel = cases.effects_panel(EFFECTS, row=PERSON, model="fused")
    cea = panel.table[panel.table["predictor"] == "cea_ng_ml"]
    assert cea.loc[cea["own"], "value"].tolist() == ["not known"]
    assert not _traces(panel.figure, "cea_ng_ml, own")


def test_small_figures_do_not_overlap():
    many = pd.concat([EFFECTS.assign(predictor=EFFECTS["predictor"] + str(k)) for k in range(4)])
    layout = cases.effects_panel(many, row={"role": "labelled"}, model="fused").figure.layout
    boxes = [(layout[f"xaxis{n}"].domain, layout[f"yaxis{n}"].domain) for n in ["", *map(str, range(2, 17))]]
    for k, (x, y) in enumerate(boxes):
        assert 0 <= y[0] < y[1] <= 1
        for u, v in boxes[k + 1 :]:
            assert x[1] < u[0] or u[1] < x[0] or y[1] < v[0] or v[1] < y[0]


def _row(**more):
    return {"treatment": "lobectomy", "ct_to_treatment_days": 12.0, "last_imaging_days": 700.0, "followup_days": 900.0,
            "died": 0.0} | more  # fmt: skip


def test_the_strip_has_a_line_an_event_from_the_ct_to_the_last_contact():
    row = _row(adjuvant=1.0, adjuvant_start_days=40.0, recorded_regional_days=300.0, recorded_distant_days=420.0)
    panel = case_follow_up.follow_up_panel(row)
    assert panel.table[["day", "what"]].values.tolist() == [
        [-12.0, "CT"], [0.0, "Treatment: lobectomy"], [40.0, "Adjuvant treatment begins"],
        [300.0, "Regional (nodal) recurrence"], [420.0, "Distant recurrence"], [700.0, "Last imaging"],
        [900.0, "Last contact, alive"],
    ]  # fmt: skip
    drawn = {t.y[0]: t.x[0] for t in panel.figure.data if t.text}
    assert drawn == dict(zip(panel.table["what"], panel.table["day"], strict=True))
    assert list(panel.figure.layout.yaxis.categoryarray) == panel.table["what"].tolist()


@pytest.mark.parametrize(("more", "words"), [
    ({}, "alive without known recurrence at 2.5 years"),
    ({"died": 1.0, "death_cause": "lung_cancer", "recorded_recurrence_days": 30.0, "recurrence_site": "local;distant"},
     "recurrence (local, distant) at 30 days; death of lung cancer at 2.5 years"),
    ({"recurred": 1.0}, "alive with recurrence, its day unknown, at 2.5 years"),
    ({"followup_days": np.nan, "os_days": 100.0, "os_event": 1.0, "died": np.nan}, "death at 3 months"),
    ({"followup_days": None}, "not known"),
])  # fmt: skip
def test_an_outcome_is_said_in_words(more, words):
    assert case_follow_up.outcome_words(_row(**more)) == words


def test_nothing_known_after_the_treatment_is_a_sentence():
    with pytest.raises(OnlmError, match="Nothing is known of this patient after"):
        case_follow_up.follow_up_panel({"arm": "sbrt"})


def test_the_risk_figure_carries_the_numbers_it_was_given_and_an_id_that_is_html_as_text():
    bins = pd.DataFrame({"low": [0, 0.1], "high": [0.1, 0.2], "n": [7, 3]})
    figure = figures.plot_risk_among(bins, patient=NASTY, risk=0.15, low=0.1, high=0.19, threshold=0.08, who="10 risks")
    by = {t.name: t for t in figure.data}
    assert list(by["Patients"].y) == [7, 3] and list(by["Patients"].x) == pytest.approx([5, 15])
    assert list(by["Model spread"].x) == pytest.approx([10, 19]) and list(by["This patient"].x) == [15]
    assert figure.layout.shapes[1].x0 == pytest.approx(8) and "<img" not in figure.layout.title.text
    nan = float("nan")
    bare = figures.plot_risk_among(bins, patient="P1", risk=0.15, low=nan, high=nan, threshold=nan, who="10 risks")
    assert {t.name for t in bare.data} == {"Patients", "This patient"}


def test_an_order_that_is_not_there_and_a_model_without_rows_are_sentences():
    rows = pd.DataFrame({"patient_id": ["a"], "model_id": ["m"], "risk": [0.1], "split": ["oof"], "onlm": [1.0],
                         "predicted_positive": [0.0], "threshold": [0.2], "arm": ["surgery"]})  # fmt: skip
    table = case_list.listed(rows, model="m")
    assert table["error"].tolist() == ["fn"] and table["spread"].isna().all()
    with pytest.raises(OnlmError, match="ordered by one of risk"):
        case_list.picked(table, order="beauty")
    with pytest.raises(OnlmError, match="no model 'x'"):
        case_list.listed(rows, model="x")
    assert case_list.listed(rows, model="m", threshold=0.05)["error"].tolist() == [""]
