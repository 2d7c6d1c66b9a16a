"""The reading page alone: no other page beside it, and no risk in its kernel before the estimate is on the disk."""

from __future__ import annotations

import json
import shutil

import ipywidgets as widgets
import pytest
from made_run import write_run
from made_volume import write_volume
from page_parts import every
from test_reading_tab import _begin, _save, _seen

from onlm_lab import app, cli, page_server, reading_plan, served, serving
from onlm_lab.app import reading_place, sharing
from onlm_lab.app import reading_words as words
from onlm_lab.app.bar import Bar
from onlm_lab.app.figure_view import FigureView
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.page_names import PAGES
from onlm_lab.readings import read_readings
from onlm_lab.runs import Run


@pytest.fixture
def study(tmp_path):
    """Two runs; the older one has a reader study."""
    folder = tmp_path / "trial"
    for name in ("run-a", "run-b"):
        run = write_run(folder / "runs" / name, n_surgery=120, n_sbrt=20)
    shutil.copyfile(run.folder / "study.toml", folder / "study.toml")
    reading_plan.plan_reading(Run(folder / "runs" / "run-a"), readers=["R01", "R02"], n_positive=3, n_negative=3)
    return folder


def test_the_page_reads_no_prediction_before_the_estimate_is_saved_and_then_shows_the_risk(
    study, tmp_path, monkeypatch
):  # fmt: skip
    run = Run(study / "runs" / "run-a")
    plan = reading_plan.read_plan(run)
    shown = reading_plan.risks(run, plan=plan)[plan.orders["R01"][0]]
    monkeypatch.setattr(reading_place, "write_scan", lambda _, patient: write_volume(tmp_path / "ct", name=patient))
    asked, before = [], Run.predictions.fget
    monkeypatch.setattr(Run, "predictions", property(lambda self: asked.append(self.id) or before(self)))
    monkeypatch.setattr(Run, "rows", lambda *_, **__: pytest.fail("a page for readers has no use for the run's rows"))
    page = app.reading(study)
    _begin(page)
    assert "Case 1 of 6" in _seen(page) and asked == [] and not every(page, FigureView)
    values = json.dumps([w.value for w in every(page, widgets.HTML)])
    assert theme.percent(shown.risk) not in values and plan.orders["R01"][0] not in values
    _save(page, 37)
    assert asked == ["run-a"] and f"<strong>{theme.percent(shown.risk)}<" in _seen(page)
    assert read_readings(run.folder).table["patient_id"].tolist() == [plan.orders["R01"][0]]
    assert not every(page, widgets.ToggleButtons), "no tab leads to the cases"


def test_a_study_opens_the_newest_run_that_is_planned_and_a_named_run_itself(study, monkeypatch):
    assert words.BEGIN in [b.description for b in every(app.reading(study), widgets.Button)]
    assert "No reader study is planned for run run-b" in _seen(app.reading(study / "runs" / "run-b"))
    monkeypatch.setenv(served.VARIABLE, served.variable([study]))
    monkeypatch.setenv(served.PAGES, json.dumps(["reading"]))
    page = app.reading()
    assert words.BEGIN in [b.description for b in every(page, widgets.Button)]
    bar = every(page, Bar)[0]
    assert [link["label"] for link in bar.links] == ["Reading"], "nothing leads to another page"


def test_on_a_shared_page_readers_are_let_in_only_where_the_study_lists_patients(study, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    assert sharing.is_shared() and "study.toml does not let shared pages" in _seen(app.reading(study))
    path = study / "runs" / "run-a" / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("[study]", "[study]\npatient_pages = true"), "utf-8")
    assert "study.toml does not" not in _seen(app.reading(study))


def test_it_is_served_by_itself_and_left_out_beside_other_pages(study):
    assert serving.pages_for([study], shared=False, page="reading") == ("reading",)
    for page in ("start", "performance", "cases"):
        pages = serving.pages_for([study], shared=False, page=page)
        assert "reading" not in pages and page in pages and len(pages) == len(PAGES) - 1
    assert "reading" not in serving.pages_for([study], shared=True, page="reading")
    with pytest.raises(OnlmError, match=r"called 'reading' in shared mode: study\.toml lets no page show single"):
        serving.serve(study, page="reading", token="x" * 20, sharing=serving.Sharing(shared=True))


@pytest.mark.parametrize(("pages", "first"), [(["reading"], "reading"), (["start", "cohort"], "start")])
def test_the_bare_address_leads_to_the_page_that_is_there(monkeypatch, pages, first):
    monkeypatch.setenv(page_server.PAGES, json.dumps(pages))
    assert page_server.first_page() == first


def test_a_reader_study_is_planned_from_the_command_line_and_a_reader_added(study, capsys):
    run = Run(study / "runs" / "run-b")
    words_ = [
        "plan-reading",
        str(study),
        "--readers",
        "R01",
        "R02",
        "--positive",
        "4",
        "--negative",
        "5",
        "--no-second",
    ]
    assert cli.main(words_) == 0
    said, plan = capsys.readouterr().out, reading_plan.read_plan(run)
    assert "9 patients (4 N+, 5 N0)" in said and "without a second estimate" in said and "--page reading" in said
    assert plan.model_id in said and not any(patient in said for patient in plan.orders["R01"])
    assert cli.main(["plan-reading", str(study), "--add", "R06"]) == 0
    assert "R01, R02, R06" in capsys.readouterr().out
    assert sorted(reading_plan.read_plan(run).orders["R06"]) == sorted(plan.orders["R01"])
    assert cli.main(words_) == 2 and "planned once" in capsys.readouterr().err
    assert cli.main(["plan-reading", str(study), "--add", "R06"]) == 2
    assert cli.main(["plan-reading", str(study), "--add", "R07", "--model", "fused"]) == 2
    assert "were fixed when the study was planned" in capsys.readouterr().err
    assert "R07" not in reading_plan.read_plan(run).orders


def test_a_reader_is_added_to_the_run_that_is_planned_though_a_newer_one_is_there(study, capsys):
    assert cli.main(["plan-reading", str(study), "--add", "R06"]) == 0
    assert "R06" in reading_plan.read_plan(Run(study / "runs" / "run-a")).orders
    assert not (study / "runs" / "run-b" / reading_plan.FILE).exists()
