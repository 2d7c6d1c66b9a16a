"""The training page as a widget: a real run started, watched, stopped and gone on with by its buttons."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

import ipywidgets as widgets
import pandas as pd
import pytest
from made_run import write_run
from made_study import write_small_study
from page_parts import every
from test_launching import soon

from onlm_lab import app, launching, served, steps
from onlm_lab.app.pulse import GOING_MS, RESTING_MS, Pulse
from onlm_lab.app.shell import Card
from onlm_lab.errors import OnlmError
from onlm_lab.panels import training as panels
from onlm_lab.runs import Run, list_runs


def _html(page):
    return " ".join(w.value for w in every(page, widgets.HTML) if "<style>" not in w.value)


def _button(page, name):
    return next(b for b in every(page, widgets.Button) if b.description == name)


def _named(page, cls, label):
    for box in every(page, widgets.VBox):
        if box.children and isinstance(box.children[0], widgets.Label) and box.children[0].value.startswith(label):
            found = [w for w in box.children if isinstance(w, cls)]
            if found:
                return found[0]
    raise AssertionError(f"no control '{label}'")


def _ask(page):
    """What the browser does while the page is looked at."""
    every(page, Pulse)[0]._handle_custom_msg({"kind": "news"}, [])
    return _html(page)


def _figures(page):
    shown = [c.children[0] for c in every(page, Card) if c.children[0].layout.display != "none"]
    return [json.dumps(json.loads(f.figure)["data"] + json.loads(f.upon).get("data", [])) for f in shown]


@pytest.fixture
def study(tmp_path):
    folder = write_small_study(tmp_path / "study")
    yield folder
    for one in launching.launches(folder):
        launching.stop(one)


@pytest.mark.slow
@pytest.mark.waits
def test_a_run_is_started_watched_stopped_found_again_and_gone_on_with_to_its_end(study):
    text = (study / "study.toml").read_bytes()
    page = app.training(study)
    assert "No run was started" in _html(page) and _button(page, "Stop").disabled
    _named(page, widgets.BoundedIntText, "Repeats").value = 15
    _button(page, "Start").click()
    assert "Training is going on" in _html(page) and _button(page, "Start").disabled
    assert every(page, Pulse)[0].every_ms == GOING_MS
    assert "training.repeats = 15" in _html(page)
    assert soon(lambda: "fits done" in _ask(page) and _figures(page), seconds=300)
    seen = _figures(page)
    assert soon(lambda: _ask(page) and _figures(page) != seen, seconds=120), "the curves grow"
    second = app.training(study)
    assert "Training is going on" in _html(second), "a second viewer, or a reload, sees the same run"
    _button(second, "Stop").click()
    assert "was stopped" in _html(second) and "was stopped" in _ask(page)
    assert not launching.is_busy(study)
    _button(page, "Resume").click()
    assert "Training is going on" in _html(page)
    assert soon(lambda: "The run is finished" in _ask(page), seconds=400)
    (run,) = list_runs(study)
    assert run.finished and run.study.training.repeats == 15
    assert not run.history.duplicated(["model_id", "repeat", "fold", "seed", "epoch"]).any()
    assert (study / "study.toml").read_bytes() == text
    assert every(page, Pulse)[0].every_ms == RESTING_MS


@pytest.mark.waits
def test_a_crash_is_a_sentence_on_the_page_and_values_of_the_data_stay_text(study):
    (study / "clinical.csv").write_text("patient_id,<img src=x>\nP1,North\n", encoding="utf-8")
    page = app.training(study)
    _button(page, "Start").click()
    assert soon(lambda: "ended with an error" in _ask(page))
    said = _html(page)
    assert "clinical.csv" in said and "onlm-error" in said and "<img" not in said and "Traceback" not in said


def test_while_another_process_holds_the_study_the_page_says_so_and_a_wrong_setting_is_told(study):
    page = app.training(study)
    _named(page, widgets.SelectMultiple, "Models").value = ()
    _button(page, "Start").click()
    assert "models is []" in _html(page)
    with steps.locked(study):
        assert "started from a terminal" in _ask(page) and _button(page, "Start").disabled
    assert "started from a terminal" not in _ask(page) and not _button(page, "Start").disabled


def test_nothing_is_sent_again_where_nothing_changed(study):
    page = app.training(study)
    sent = []
    for widget in every(page, widgets.Widget):
        widget.observe(lambda change: sent.append(change["name"]))
    _ask(page)
    assert sent == []


def test_settings_of_the_page_differ_from_the_studys_own_only_where_they_were_moved(study):
    from onlm_lab.app.training_state import TrainingState
    from onlm_lab.study import load_study

    own = load_study(study)
    state = TrainingState()
    state.take(own)
    assert state.changes(own) == {}
    state.layout, state.models = "slab", ("clinical", "image")
    assert state.changes(own) == {"model": {"layout": "slab"}, "training": {"models": ["clinical", "image"]}}


def test_in_shared_mode_the_page_refuses_in_a_sentence(study, monkeypatch):
    monkeypatch.setenv(served.SHARED, "1")
    page = app.training(study)
    assert "shared mode" in _html(page) and not every(page, widgets.Button)


def _two(tmp_path):
    write_small_study(tmp_path / "study")
    for name, seed in (("run-a", 1), ("run-b", 1), ("run-c", 2)):
        write_run(tmp_path / "study" / "runs" / name, n_surgery=120, n_sbrt=20, seed=seed)
    path = tmp_path / "study" / "runs" / "run-b" / "study.toml"
    path.write_text(path.read_text() + '\n[model]\nlayout = "slab"\n')
    return [Run(tmp_path / "study" / "runs" / name) for name in ("run-a", "run-b", "run-c")]


def test_runs_are_compared_in_the_same_patients_or_it_is_said_that_they_are_not(tmp_path):
    a, b, c = _two(tmp_path)
    assert panels.differing([a, b])["run-b"] == {"model.layout": "slab"}
    panel = panels.compared_roc_panel([a, b])
    assert panel.table["run"].tolist() == ["run-a", "run-b"] and panel.table["auc"].nunique() == 1
    rows = c.predictions
    rows[rows["patient_id"] != rows.loc[3, "patient_id"]].to_csv(c.folder / "predictions.csv", index=False)
    with pytest.raises(OnlmError, match="not tested in the same patients"):
        panels.compared_roc_panel([a, c])
    page = app.training(tmp_path / "study")
    next(t for t in every(page, widgets.ToggleButtons) if "Compare" in str(t.options)).value = "Compare"
    assert "slab" in _html(page) and "run-c" in _html(page) and "not tested in the same patients" in _html(page)
    _named(page, widgets.SelectMultiple, "Runs in the figures").value = ("run-a", "run-b")
    assert "not tested in the same" not in _html(page)
    (roc,) = _figures(page)
    assert sum("AUC" in str(trace.get("name")) for trace in json.loads(roc)) == 2


def test_time_left_is_what_fits_of_the_same_model_took(frozen_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(frozen_run.folder, folder)
    assert panels.progress_of(Run(folder)).left_s == 0.0
    for path in folder.glob("partial/fused-*"):
        path.unlink()
    (folder / "partial" / "clinical-r0-final.safetensors").unlink()
    history = pd.read_csv(folder / "history.csv")
    history = history[history["model_id"] != "fused"]
    history.assign(seconds=1.0).to_csv(folder / "history.csv", index=False)
    found = panels.progress_of(Run(folder))
    assert found.n - found.n_done == 4
    folds = history[history["fold"] >= 0].groupby(["model_id", "fold"]).size()
    assert found.left_s > 0
    assert found.table.set_index("model").loc["fused", "folds done"] == 0
    assert folds.min() > 0


def test_curves_are_the_mean_of_the_seeds_a_line_a_fold(frozen_run):
    history = frozen_run.history
    panel = panels.curves_panel(history, model="clinical")
    assert set(panel.table["line"]) == {"fold 1", "fold 2", "final"} and len(panel.figure.data) == 9
    one = history[(history["model_id"] == "clinical") & (history["fold"] == 0) & (history["epoch"] == 0)]
    row = panel.table[(panel.table["line"] == "fold 1") & (panel.table["epoch"] == 0)].iloc[0]
    assert row["valid_loss"] == pytest.approx(one["valid_loss"].mean())
    with pytest.raises(OnlmError, match="no epoch yet"):
        panels.curves_panel(history, model="nobody")


def test_the_page_loads_no_torch_and_no_reader_of_ct(tmp_path):
    write_small_study(tmp_path / "study")
    code = ("import sys; from onlm_lab import app; app.training(sys.argv[1]); "
            "print([m for m in ('torch', 'timm', 'pydicom', 'SimpleITK') if m in sys.modules])")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "study")], capture_output=True, text=True,
                          env=os.environ, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"


class Clock:
    """Seconds that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


def _growing(study, monkeypatch):
    """A study whose run is under way, as its files say, with a clock of the test's."""
    from onlm_lab.app import training_page

    made = []

    class Kept(training_page._Page):
        def __init__(self, *words, **more):
            super().__init__(*words, **more)
            made.append(self)

    monkeypatch.setattr(training_page, "_Page", Kept)
    run = write_run(study / "runs" / "run-0123456789", n_surgery=60, n_sbrt=10)
    common = {"model_id": "clinical", "repeat": 0, "seed": 0, "train_loss": 0.6, "valid_loss": 0.61, "valid_auc": 0.7}
    rows = [common | {"fold": fold, "epoch": epoch, "seconds": 0.2} for fold in (0, 1) for epoch in range(3)]
    columns = ["model_id", "repeat", "fold", "seed", "epoch", "train_loss", "valid_loss", "valid_auc", "seconds"]
    pd.DataFrame(rows)[columns].to_csv(run.folder / "history.csv", index=False)
    page = app.training(study)
    clock = made[0].watch._clock = Clock()
    clock.now = time.monotonic() + 1000
    return page, run, clock


def _epoch(run, number):
    with (run.folder / "history.csv").open("a") as stream:
        stream.write(f"clinical,0,1,0,{number},0.5,0.6,0.71,0.2\n")


def test_a_tick_sends_the_lines_alone_where_they_grew_and_not_twice_a_second(study, monkeypatch):
    page, run, clock = _growing(study, monkeypatch)
    (figure,) = [c.children[0] for c in every(page, Card)]
    drawn, upon = [], []
    figure.observe(lambda _: drawn.append(1), "figure")
    figure.observe(lambda _: upon.append(1), "upon")
    changed = []
    for widget in every(page, widgets.Widget):
        widget.observe(lambda change: changed.append((type(change["owner"]).__name__, change["name"])))
    _ask(page)
    assert changed == [], "nothing new, nothing sent"
    _epoch(run, 3)
    clock.now += 5
    _ask(page)
    seen = {name for kind, name in changed if kind == "FigureView"}
    assert (len(drawn), len(upon)) == (0, 1) and seen <= {"upon", "table", "description"}
    assert 0.71 in json.loads(_figures(page)[0])[-1]["y"]
    _epoch(run, 4)
    clock.now += 0.4
    changed.clear()
    _ask(page)
    assert changed == [], "within the second nothing is read or drawn again"
    clock.now += 0.7
    _ask(page)
    assert len(upon) == 2 and json.loads(_figures(page)[0])[-1]["x"][-1] == 4


def test_where_nothing_changed_no_table_is_read(study, monkeypatch):
    page, _, clock = _growing(study, monkeypatch)
    _ask(page)
    clock.now += 5
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("read again"))
    monkeypatch.setattr(panels, "runs_table", lambda *_: pytest.fail("told again"))
    _ask(page)
    assert _figures(page)


def test_a_run_that_finishes_while_the_page_is_open_appears_and_comes_into_the_figures(study):
    write_run(study / "runs" / "run-a", n_surgery=120, n_sbrt=20)
    page = app.training(study)
    next(t for t in every(page, widgets.ToggleButtons) if "Compare" in str(t.options)).value = "Compare"
    box = _named(page, widgets.SelectMultiple, "Runs in the figures")
    assert box.value == ("run-a",) and "run-b" not in _html(page) and "two finished runs" in _html(page)
    write_run(study / "runs" / "run-b", n_surgery=120, n_sbrt=20)
    said = _ask(page)
    assert "run-b" in said and "two finished runs" not in said
    assert set(box.value) == {"run-a", "run-b"} == set(dict(box.options))
    box.value = ("run-b",)
    assert "run-a" in _ask(page) and box.value == ("run-b",), "what the user chose stays"


def test_a_runs_name_leads_to_its_performance_in_its_own_study_and_only_where_that_is_served(
    study, tmp_path, monkeypatch
):
    other = write_run(tmp_path / "first" / "runs" / "run-x", n_surgery=60, n_sbrt=10)
    shutil.copyfile(other.folder / "study.toml", tmp_path / "first" / "study.toml")
    for name in ("run-a", "run-b"):
        write_run(study / "runs" / name, n_surgery=120, n_sbrt=20)

    def told(folders, pages='["training", "performance"]'):
        monkeypatch.setenv(served.VARIABLE, served.variable(folders))
        monkeypatch.setenv(served.PAGES, pages)
        page = app.training(study)
        next(t for t in every(page, widgets.ToggleButtons) if "Compare" in str(t.options)).value = "Compare"
        return _html(page)

    assert "performance.ipynb#run=run-a'" in told([study])
    both = told([tmp_path / "first", study])
    assert "performance.ipynb#study=study&amp;run=run-a'" in both
    only = told([tmp_path / "first", study / "runs" / "run-b"])
    assert "run=run-b'" in only and "run=run-a'" not in only
    assert "performance.ipynb" not in told([study], pages='["training"]')


def test_learning_rates_baselines_and_the_patch_are_settings_of_a_run_that_its_command_takes(study):
    from onlm_lab.app.training_state import TrainingState
    from onlm_lab.study import change_words, load_study, parse_changes

    own, state = load_study(study), TrainingState()
    state.take(own)
    state.learning_rate, state.patience, state.baselines, state.size_mm = 3e-4, 7, ("logistic",), 48.0
    changes = state.changes(own)
    assert parse_changes(change_words(changes)[1::2]) == changes
    changed = load_study(study, changes=changes)
    assert (changed.training.learning_rate, changed.training.patience, changed.patch.size_mm) == (3e-4, 7, 48.0)
    assert changed.training.baselines == ("logistic",)
    page = app.training(study)
    assert "To train on other patients, serve their study" in _html(page)
    for label in ("Learning rate", "Simple models beside them", "Edge of the cube", "Epochs without gain"):
        assert _named(page, widgets.Widget, label)
