"""Figures of a run as files: drawn, marked, with their numbers and captions; what is missing is a sentence."""

from __future__ import annotations

import shutil
import sys

import pandas as pd
import pytest
from made_run import NASTY, write_run

from onlm_lab import figure_files
from onlm_lab.errors import OnlmError
from onlm_lab.outcome_figure_files import outcome_panels_of
from onlm_lab.panels import treatments
from onlm_lab.panels.performance import roc_panel

CHROMIUM = next(filter(None, map(shutil.which, figure_files.BROWSERS)), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="NO CHROMIUM here: figure files were NOT tested")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("files") / "run", n_surgery=160, n_sbrt=60)


@pytest.fixture
def few(monkeypatch):
    """Only some of the figures: a browser is slow."""
    every = figure_files.panels_of

    def chosen(run):
        return ((name, build) for name, build in every(run) if name in ("roc", "mistakes", "fairness_fpr"))

    monkeypatch.setattr(figure_files, "panels_of", chosen)


@needs_chromium
def test_each_figure_is_drawn_with_its_mark_its_numbers_and_its_caption(run, few, tmp_path):
    written = figure_files.write_figures(run, tmp_path / "out")
    names = {path.name for path in written}
    assert names == {f"{n}.{kind}" for n in ("roc", "mistakes", "fairness_fpr") for kind in ("svg", "png", "csv")} | {
        "captions.md"
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == names  # nothing half done is left
    drawing = (tmp_path / "out" / "roc.svg").read_text(encoding="utf-8")
    assert "MADE-UP DATA" in drawing and "fused: AUC" in drawing
    assert (tmp_path / "out" / "roc.png").read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(tmp_path / "out" / "roc.csv")
    panel = dict(figure_files.panels_of(run))["roc"]()
    assert table["auc"].tolist() == pytest.approx(panel.table["auc"].tolist(), abs=1e-15)
    captions = (tmp_path / "out" / "captions.md").read_text(encoding="utf-8")
    assert "**MADE-UP DATA**" in captions and panel.sentence in captions
    assert not [path for path in written if path.suffix in (".csv", ".md") and "P0001" in path.read_text("utf-8")]


@needs_chromium
def test_a_name_that_is_html_is_drawn_as_text(run, tmp_path, monkeypatch):
    rows = run.rows(split="oof")
    nasty = rows[rows["model_id"] == "fused"].assign(model_id=NASTY)
    monkeypatch.setattr(figure_files, "panels_of", lambda run: iter([("roc", lambda: roc_panel(nasty))]))
    figure_files.write_figures(run, tmp_path, formats=["svg"])
    assert "<img" not in (tmp_path / "roc.svg").read_text(encoding="utf-8")


def test_every_panel_of_a_run_has_a_figure_a_table_and_a_name_for_a_file(run):
    made = {name: build for name, build in figure_files.panels_of(run)}
    assert {
        "roc", "precision_recall", "calibration", "decision_curve", "net_benefit_against_clinical", "centres_slope",
        "fairness_oe_ratio", "subgroups_sensitivity", "regional_sbrt", "os_surgery_hazard",
        "rfs_pathology", "os_surgery_quantiles", "regional_sbrt_mean_time", "os_sbrt_hazards", "rfs_surgery_constancy",
        "rfs_surgery_form", "auc_regional_sbrt", "brier_os_surgery", "event_calibration_os_surgery",
        "event_decision_os_surgery", "balance_sublobar", "treatment_sublobar", "weighted_sbrt", "landmark_rfs",
    } <= set(made)  # fmt: skip
    assert len(made) == len(list(figure_files.panels_of(run)))  # no name twice
    assert all(name.replace("_", "").isalnum() for name in made)
    panel = made["centres_auc"]()
    assert len(panel.figure.data) and len(panel.table)


def test_every_figure_of_outcomes_is_drawn_with_its_numbers_or_refused_with_the_reason(run):
    drawn, refused = {}, {}
    for name, build in outcome_panels_of(run):
        try:
            panel = build()
        except OnlmError as refusal:
            refused[name] = str(refusal)
        else:
            drawn[name] = panel
            assert panel.sentence and len(panel.table) and len(panel.figure.data), name
            assert "MADE-UP DATA" in [a.text for a in panel.figure.layout.annotations], name
    assert {
        "rfs_surgery_quantiles", "rfs_surgery_mean_time", "rfs_surgery_hazards", "rfs_surgery_constancy",
        "rfs_surgery_form", "auc_regional_sbrt", "brier_os_surgery", "event_calibration_os_surgery",
        "event_decision_os_surgery", "balance_sublobar", "treatment_sublobar", "weighted_sublobar", "balance_sbrt",
        "treatment_sbrt", "weighted_sbrt", "landmark_rfs",
    } <= set(drawn)  # fmt: skip
    assert "Groups of fewer than 10 are not drawn" in refused["rfs_pathology"]
    for what in ("brier", "event_calibration", "event_decision"):
        assert refused[f"{what}_regional_sbrt"].startswith("too few events, or too short a follow-up, to tell")
    assert not [said for said in (*refused.values(), *(p.sentence for p in drawn.values())) if NASTY in said]


def test_what_was_computed_for_one_figure_of_treatments_is_not_computed_again(run, monkeypatch):
    made, real = [], treatments.treatment_comparison
    monkeypatch.setattr(treatments, "treatment_comparison", lambda *a, **k: made.append(k["pair"]) or real(*a, **k))
    built = dict(outcome_panels_of(run))
    panels = [built[f"{name}_sublobar"]() for name in ("balance", "treatment", "weighted")]
    assert made == ["sublobar"] and len({p.name for p in panels}) == 3


def test_what_cannot_be_drawn_is_told_and_the_rest_goes_on(run, tmp_path, monkeypatch):
    def refused():
        raise OnlmError("too few of everything.")

    drawn = []
    monkeypatch.setattr(figure_files, "panels_of", lambda run: iter([("roc", refused)]))
    monkeypatch.setattr(figure_files, "_draw", lambda kaleido, made, **options: drawn.extend(made) or [])
    told = []
    figure_files.write_figures(run, tmp_path, say=told.append)
    assert drawn == [] and told == ["roc: not drawn: too few of everything."]
    assert "Not drawn: too few of everything." in (tmp_path / "captions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("formats", "said"), [(["pdf"], "format is 'pdf'; wanted svg or png"), ([], "'none'")])
def test_an_unknown_format_is_refused_with_those_there_are(run, tmp_path, formats, said):
    with pytest.raises(OnlmError, match=said):
        figure_files.write_figures(run, tmp_path, formats=formats)


def test_without_kaleido_the_extra_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(OnlmError, match=r"needs the extra `export`: pip install 'onlm_lab\[export\]'"):
        figure_files.write_figures(run, tmp_path)


def test_without_a_browser_what_to_install_is_said(run, few, tmp_path, monkeypatch):
    import kaleido

    def none(*_, **__):
        raise kaleido.errors.ChromeNotFoundError

    monkeypatch.setattr(kaleido, "write_fig_from_object_sync", none)
    with pytest.raises(OnlmError, match="no Chromium or Chrome on this machine"):
        figure_files.write_figures(run, tmp_path / "out")
