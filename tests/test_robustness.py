"""Panels and sections on doubt in label and predictors, on mistakes, and on markers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_run import NASTY, write_run

from onlm_lab import analysis
from onlm_lab.panels import patients, performance, robustness
from onlm_lab.report import robustness as sections
from onlm_lab.report.material import gather


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose patients have nodes, a marker that goes with the nodes, and a predictor that is missing in some."""
    made = write_run(tmp_path_factory.mktemp("robustness") / "run", n_surgery=240, n_sbrt=40)
    chance = np.random.default_rng(3)
    table = pd.read_csv(made.folder / "patients.csv", dtype={"patient_id": str}, keep_default_na=False, na_values=[""])
    n_positive = (table["onlm"] == 1).to_numpy()
    table["nodes_examined"] = np.where(table["arm"] == "surgery", chance.integers(1, 30, len(table)), np.nan)
    table["egfr"] = (chance.uniform(size=len(table)) < np.where(n_positive, 0.9, 0.1)).astype(int)
    table["cea_ng_ml"] = np.where(chance.uniform(size=len(table)) < 0.3, np.nan, 3.0)
    table.to_csv(made.folder / "patients.csv", index=False)
    return made


@pytest.fixture(scope="module")
def rows(run):
    return patients.tested(run.rows())


@pytest.fixture(scope="module")
def material(run, tmp_path_factory):
    return gather(run, work=tmp_path_factory.mktemp("work"))


def _planned(material, **plan):
    study = material.study
    changed = dataclasses.replace(study, analysis=dataclasses.replace(study.analysis, **plan))
    return dataclasses.replace(material, study=changed)


def _said(section):
    return " ".join(block.text for block in section.blocks if hasattr(block, "text"))


def _figures(section):
    return [block.id for block in section.blocks if hasattr(block, "id")]


def test_label_panel_says_all_patients_and_the_strictest_minimum(rows):
    panel = robustness.label_panel(rows, model="fused", min_nodes=[6, 12])
    table = analysis.label_sensitivity(rows, model="fused", min_nodes=[6, 12]).table
    pd.testing.assert_frame_equal(panel.table, table)
    assert f"n = {table['n'].iloc[-1]}" in panel.sentence and "at least 12 examined nodes" in panel.sentence
    assert len(panel.figure.data) > 0


def test_missing_panel_says_the_auc_by_completeness(rows):
    panel = robustness.missing_panel(rows, model="fused", columns=["cea_ng_ml", "age_years"])
    assert "AUC by completeness" in panel.sentence and "complete" in panel.sentence
    assert {"completeness", "cea_ng_ml"} <= set(panel.table["grouping"])


def test_mistakes_panel_counts_them_and_shows_nobody(rows):
    panel = robustness.mistakes_panel(rows, model="fused")
    point = analysis.operating_point(rows, model="fused")
    assert f"{point.n_fn} of {point.n_fn + point.n_tp} N+ are missed" in panel.sentence
    assert f"{point.n_fp} of {point.n_fp + point.n_tn} N0 are called positive" in panel.sentence
    assert "patient_id" not in panel.table and NASTY not in panel.figure.to_json()


def test_associations_panel_finds_the_planted_marker_and_no_other(rows):
    noise = np.random.default_rng(5).integers(0, 2, len(rows))
    panel = robustness.associations_panel(
        rows.assign(noise=noise), model="fused", markers=["egfr", "noise"], adjust=["age_years"]
    )
    assert "the risk goes with 1 at a false discovery rate" in panel.sentence and "EGFR" in panel.sentence
    assert "adjusted for Age (years)" in panel.sentence


def test_precision_panel_has_the_prevalence_beside_it(rows):
    panel = performance.precision_panel(rows, models=["fused", "clinical"])
    table = panel.table.set_index("model_id")
    assert table.loc["fused", "average_precision"] > table.loc["clinical", "average_precision"]
    assert table["prevalence"].iloc[0] == pytest.approx(rows.loc[rows["model_id"] == "fused", "onlm"].mean())
    assert f"a useless model has {table['prevalence'].iloc[0]:.2f}" in panel.sentence


def test_difference_panels_have_the_numbers_of_the_library_and_turn_with_the_models(rows):
    grid = [0.05, 0.1, 0.2]
    forth, back = (
        performance.benefit_difference_panel(rows, model=a, other=b, thresholds=grid, n_bootstrap=50)
        for a, b in (("fused", "clinical"), ("clinical", "fused"))
    )
    np.testing.assert_allclose(forth.table["difference"], -back.table["difference"])
    assert "Net benefit of fused minus that of clinical" in forth.sentence
    panel = performance.operating_differences_panel(rows, model="fused", other="clinical")
    found = analysis.compare_operating_points(rows, model_a="fused", model_b="clinical")
    assert panel.table["difference"].tolist() == found.table["difference"].tolist()


def test_a_plan_without_nodes_or_markers_says_that_they_were_not_looked_at(material):
    assert "No minimum of examined nodes was named ([analysis] min_nodes)" in _said(sections.sensitivity(material))
    assert "No marker was declared ([analysis] markers)" in _said(sections.associations(material))


def test_a_plan_with_nodes_and_markers_shows_them(material):
    planned = _planned(material, min_nodes=(6, 12), markers=("egfr",), confounders=("age_years",))
    found = sections.sensitivity(planned)
    assert _figures(found) == ["fig-label-sensitivity", "fig-missing-sensitivity"]
    found = sections.associations(planned)
    assert _figures(found) == ["fig-associations"] and "association" in _said(found).lower()


def test_a_marker_that_is_not_there_is_told_and_the_report_goes_on(material):
    found = sections.associations(_planned(material, markers=("egfrr",)))
    assert "Not shown: rows: column 'egfrr' (nearest present: 'egfr')" in _said(found)


def test_the_failures_of_the_report_hold_no_patients_row(material):
    found = sections.mistakes(material)
    cells = [cell for block in found.blocks if hasattr(block, "rows") for row in block.rows for cell in row]
    assert cells and not set(cells) & set(material.tested["patient_id"])
    assert "Single patients are on the case page" in _said(found)
