"""Figures around hazard models draw the numbers that they are given, name no patient and survive empty results."""

from __future__ import annotations

import numpy as np
import pytest
from hazard_reference import GRADE, LUNG

from onlm_lab import analysis, figures

ROWS = GRADE.assign(risk=np.random.default_rng(1).uniform(size=len(GRADE)))
NOBODY = ROWS.assign(os_event=0)


def text_of(figure) -> str:
    return figure.to_json()


def test_the_comparison_draws_both_ratios_and_the_reference_level():
    found = analysis.univariable(ROWS, endpoint="os", covariates=["age", "ecog"])
    figure = figures.plot_hazard_comparison(found, who="surgery")
    alone, beside = figure.data
    table = found.table
    assert list(alone.x) == table["univariable_hr"].tolist()
    assert list(beside.x) == table.loc[~table["reference"], "multivariable_hr"].tolist()
    assert list(np.add(beside.x, beside.error_x.array)) == pytest.approx(table["multivariable_high"].dropna().tolist())
    assert any("(reference)" in label for label in figure.layout.yaxis.ticktext)
    assert "surgery" in figure.layout.title.subtitle.text and "events" in figure.layout.title.subtitle.text


def test_a_comparison_without_the_multivariable_model_has_one_series():
    found = analysis.univariable(ROWS, endpoint="os", covariates=["age", "ecog"], multivariable=False)
    assert len(figures.plot_hazard_comparison(found).data) == 1


def test_the_form_draws_the_curve_its_band_and_the_residuals_and_says_the_test():
    found = analysis.functional_form(ROWS, endpoint="os", covariate="age")
    figure = figures.plot_functional_form(found, mark="MADE-UP DATA")
    by = {trace.name: trace for trace in figure.data}
    assert list(by["hazard ratio"].y) == found.curve["hr"].tolist()
    assert list(by["upper limit"].y) == found.curve["high"].tolist()
    assert list(by["patients"].y) == found.residuals["residual"].tolist()
    assert "not straight: P" in figure.layout.title.subtitle.text and "MADE-UP DATA" in text_of(figure)


def test_influence_draws_every_patient_and_names_none():
    rows = LUNG.assign(patient_id=[f"SECRET{i}" for i in range(len(LUNG))])
    found = analysis.influence(rows, endpoint="os", covariates=["age", "sex"])
    figure = figures.plot_influence(found)
    drawn = sorted(np.concatenate([t.y for t in figure.data if t.yaxis == "y"]))
    assert drawn == sorted(found.table["dfbetas:age"]) and "SECRET" not in text_of(figure)
    assert "Sex: male" in text_of(figure) and "without the most influential patient" in text_of(figure)


def test_constancy_draws_curve_band_and_residuals_of_each_coefficient():
    found = analysis.proportional_hazards(ROWS, endpoint="os", covariates=["age", "ecog"])
    figure = figures.plot_proportional_hazards(found)
    lines = [t for t in figure.data if t.name == "log hazard ratio"]
    assert [list(t.y) for t in lines] == [g["log_hr"].tolist() for _, g in found.curve.groupby("covariate", sort=False)]
    assert "all constant: P" in figure.layout.title.subtitle.text and "ECOG: 1" in text_of(figure)


def test_added_value_draws_both_concordances_and_says_that_it_is_apparent():
    found = analysis.added_value(ROWS, endpoint="os", base=["ecog"])
    figure = figures.plot_added_value(found)
    assert list(figure.data[0].x) == [found.base.value, found.full.value]
    assert "apparent" in figure.layout.title.subtitle.text and "Difference in concordance" in text_of(figure)


def test_results_without_events_are_drawn_and_say_so():
    assert "not estimated" in text_of(
        figures.plot_hazard_comparison(analysis.univariable(NOBODY, endpoint="os", covariates=["age", "ecog"]))
    )
    assert figures.plot_functional_form(analysis.functional_form(NOBODY, endpoint="os", covariate="age")).data
    assert figures.plot_influence(analysis.influence(NOBODY, endpoint="os", covariates=["age"])).data
    constancy = analysis.proportional_hazards(NOBODY, endpoint="os", covariates=["age"])
    assert figures.plot_proportional_hazards(constancy).data
    added = analysis.added_value(NOBODY, endpoint="os", base=["ecog"])
    assert "too few events for a test" in text_of(figures.plot_added_value(added))


def test_text_from_the_data_is_escaped():
    rows = ROWS.assign(ecog=ROWS["ecog"].map({"0": "<b>0", "1": "<i>1", "2": "<u>2"}))
    for figure in (
        figures.plot_hazard_comparison(analysis.univariable(rows, endpoint="os", covariates=["ecog"]), who="<s>x"),
        figures.plot_influence(analysis.influence(rows, endpoint="os", covariates=["ecog"]), who="<s>x"),
        figures.plot_proportional_hazards(analysis.proportional_hazards(rows, endpoint="os", covariates=["ecog"])),
    ):
        text = text_of(figure)
        assert not any(tag in text for tag in ("<i>1", "<u>2", "<s>x", "\\u003ci\\u003e1", "\\u003cs\\u003ex"))


def test_a_large_table_is_thinned_but_keeps_its_largest_influence():
    rng = np.random.default_rng(2)
    rows = LUNG.sample(6000, replace=True, random_state=3).assign(patient_id=range(6000))
    rows["os_days"] = rows["os_days"] + rng.integers(0, 9, 6000)
    found = analysis.influence(rows, endpoint="os", covariates=["age"])
    figure = figures.plot_influence(found)
    drawn = np.concatenate([t.y for t in figure.data])
    assert len(drawn) < 3500 and np.abs(drawn).max() == found.table["dfbetas:age"].abs().max()
