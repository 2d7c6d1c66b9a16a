"""What referring the patients in doubt would gain, in words and as a figure."""

from __future__ import annotations

import pytest
from made_run import write_run

from onlm_lab import analysis
from onlm_lab.panels import patients
from onlm_lab.panels.doubt import abstention_panel


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return patients.tested(write_run(tmp_path_factory.mktemp("study") / "run").rows())


def test_the_sentence_says_the_numbers_of_the_curve(rows):
    panel = abstention_panel(rows, model="fused", by="ood_score")
    found = analysis.abstention(rows, model="fused", by="ood_score").table
    kept = found[found["asked_fraction"] == 0.8].iloc[0]
    assert f"({kept['n_referred']:.0f} patients, {kept['n_events_referred']:.0f} N+)" in panel.sentence
    assert f"would be {kept['auc']:.2f} instead of {found['auc'].iloc[0]:.2f}" in panel.sentence
    assert "least like those of training" in panel.sentence and panel.name == "abstention_ood_score"


def test_the_mark_of_made_up_data_lies_across_the_figure(rows):
    panel = abstention_panel(rows, model="fused", mark="MADE-UP DATA")
    assert "MADE-UP DATA" in panel.figure.to_json()
