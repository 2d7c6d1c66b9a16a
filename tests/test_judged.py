"""What was computed of tested patients is kept, and a new threshold asks only for what it changes."""

from __future__ import annotations

import pandas as pd
import pytest
from made_run import write_run

from onlm_lab import analysis
from onlm_lab.errors import OnlmError
from onlm_lab.panels import patients, performance, subgroups
from onlm_lab.panels.judged import Judged


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return patients.tested(write_run(tmp_path_factory.mktemp("tested") / "run", n_surgery=160, n_sbrt=20).rows())


def test_labelled_patients_give_what_their_rows_give(rows):
    given = analysis.labelled(rows, model="fused")
    one = rows[rows["model_id"] == "fused"]
    assert analysis.roc(given).digest == analysis.roc(one).digest
    assert analysis.operating_point(given, threshold=0.2).digest == analysis.operating_point(one, threshold=0.2).digest
    assert analysis.operating_point(given).digest == analysis.operating_point(one).digest
    assert analysis.assess_calibration(given).digest == analysis.assess_calibration(one).digest
    columns = ["sex", "centre"]
    assert analysis.by_subgroup(given, columns=columns).digest == analysis.by_subgroup(one, columns=columns).digest
    assert analysis.by_centre(given).digest == analysis.by_centre(one).digest


def test_labelled_patients_of_one_model_are_not_those_of_another(rows):
    given = analysis.labelled(rows, model="fused")
    assert analysis.labelled(given, model="fused") is given
    with pytest.raises(OnlmError, match=r"patients of model 'fused'; 'image' was asked for"):
        analysis.roc(given, model="image")


def test_patients_without_a_checked_risk_are_refused_where_the_risk_is_needed(rows):
    blind = rows[rows["model_id"] == "fused"].assign(risk=float("nan"))
    given = analysis.labelled(blind, risk=False)
    with pytest.raises(OnlmError, match="risk is missing or no number for 160 of 160"):
        analysis.roc(given)


def test_what_does_not_hang_on_the_threshold_is_computed_once(rows, monkeypatch):
    tested = Judged(rows)
    assert Judged.of(tested) is tested and Judged.of(rows) is not tested
    models, grid = ["fused", "clinical"], [0.1, 0.2, 0.3]

    def page(threshold):
        return [
            performance.roc_panel(tested, models=models, threshold=threshold),
            performance.calibration_panel(tested, models=models),
            performance.operating_panel(tested, model="fused", threshold=threshold),
            performance.decision_panel(tested, models=models, thresholds=grid, threshold=threshold, n_bootstrap=20),
            performance.comparison_panel(tested, model="fused", others=models),
        ]

    first = page(0.1)
    for name in ("roc", "assess_calibration", "compare_aucs", "net_benefit", "labelled"):
        monkeypatch.setitem(analysis.__dict__, name, lambda *_, **__: pytest.fail("computed again"))
    second = page(0.3)
    assert second[0].table["sensitivity"].iloc[0] < first[0].table["sensitivity"].iloc[0]
    assert second[3].table.equals(first[3].table)


def test_a_page_says_the_same_with_and_without_keeping(rows):
    tested = Judged(rows)
    for threshold in (None, 0.15):
        kept = performance.roc_panel(tested, threshold=threshold)
        anew = performance.roc_panel(rows, threshold=threshold)
        pd.testing.assert_frame_equal(kept.table, anew.table)
        assert kept.sentence == anew.sentence
        forest = {"model": "fused", "columns": ["sex"], "measure": "sensitivity", "threshold": threshold}
        kept, anew = (subgroups.subgroup_panel(r, **forest) for r in (tested, rows))
        pd.testing.assert_frame_equal(kept.table, anew.table)
        assert kept.figure == anew.figure
