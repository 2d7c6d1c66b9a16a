"""One command takes a study from files to a report; a kill loses nothing and a second start repeats nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib

import pytest
import tomli_w

from onlm_lab import pipeline, plan, runs
from onlm_lab.errors import OnlmError
from onlm_lab.plan import STEPS
from onlm_lab.study import load_study


def linked_copy(source, target):
    """A copy of a study without its results; CT slices are linked, not copied."""
    ignore = shutil.ignore_patterns("work", "runs")
    return shutil.copytree(source, target, ignore=ignore, copy_function=os.link)


def start(study) -> subprocess.Popen:
    """`onlm run` in a process session of its own, so that a kill reaches its children."""
    command = [sys.executable, "-m", "onlm_lab.cli", "run", str(study)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def kill_at(study, step) -> list[str]:
    """Start `onlm run`, kill everything as soon as it begins the step; the lines that it had printed."""
    process, lines = start(study), []
    for line in process.stdout:
        lines.append(line)
        if f"] {step} ..." in line:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    return lines


def finish(study) -> list[str]:
    process = start(study)
    lines = process.communicate()[0].splitlines()
    assert process.returncode == 0, "\n".join(lines[-30:])
    return lines


@pytest.fixture(scope="module")
def killed(trial, tmp_path_factory):
    """The trial run again elsewhere, killed at the beginning of every step, then finished; and what each start said."""
    study = linked_copy(trial, tmp_path_factory.mktemp("killed") / "study")
    said = {step: kill_at(study, step) for step in STEPS}
    said["finish"] = finish(study)
    return study, said


def test_a_run_killed_at_every_step_ends_with_the_same_predictions(trial, killed):
    study, _ = killed
    one, two = (runs.open_run(s).folder / "predictions.csv" for s in (trial, study))
    assert one.read_bytes() == two.read_bytes()


def test_a_restart_keeps_what_was_finished_and_redoes_the_killed_step_alone(killed):
    _, said = killed
    for number, step in enumerate([*STEPS, "finish"]):
        kept = [s for s in STEPS if any(f"] {s}: nothing changed, kept" in line for line in said[step])]
        assert kept == list(STEPS[: max(number - 1, 0)]), step  # the step before was killed as it began


def test_a_finished_study_has_nothing_left_to_do(alone_with_trial):
    lines = finish(alone_with_trial)
    assert sum("nothing changed, kept" in line for line in lines) == len(STEPS)


def test_another_analysis_keeps_the_trained_model(trial, tmp_path):
    study = shutil.copytree(trial, tmp_path / "study", copy_function=os.link)
    said = tomllib.loads((study / "study.toml").read_text(encoding="utf-8"))
    said["analysis"]["horizon_days"] = 730
    (study / "study.toml").unlink()  # a link: writing through it would change the trial
    (study / "study.toml").write_text(tomli_w.dumps(said), encoding="utf-8")
    now = load_study(study)
    done = {name: plan.planned(now, name=name).done() for name in STEPS}
    assert done == {"check": True, "screen": True, "prepare": True, "train": True, "analyse": False, "report": False}


def test_a_changed_cell_redoes_what_rests_on_it(trial, tmp_path):
    study = shutil.copytree(trial, tmp_path / "study", copy_function=os.link)
    text = (study / "clinical.csv").read_text(encoding="utf-8")
    (study / "clinical.csv").unlink()
    (study / "clinical.csv").write_text(text.replace("female", "male", 1), encoding="utf-8")
    now = load_study(study)
    assert not any(plan.planned(now, name=name).done() for name in ("check", "screen"))


def test_sbrt_patients_have_a_risk_from_the_final_model_and_never_a_label(trial):
    rows = runs.open_run(trial).rows()
    sbrt = rows[rows["arm"] == "sbrt"]
    assert len(sbrt) and (sbrt["split"] == "unlabelled").all() and sbrt["fold"].isna().all()
    assert sbrt["onlm"].isna().all() and sbrt["risk"].between(0, 1).all()


def test_results_hold_every_call_for_every_model(trial):
    run = runs.open_run(trial)
    results = run.results
    assert set(results) == {*run.study.training.models, *run.study.training.baselines}
    for model in results:
        said = results[model]
        labelled = {"roc", "operating_point", "assess_calibration", "abstention"}
        assert labelled | {"net_benefit", "by_subgroup", "compare_aucs"} <= set(said), said["not_done"]
        assert said["roc"]["n"] == (run.patients["role"] == "labelled").sum()


def test_the_oracle_is_asked_about_the_same_patients_as_the_models(trial):
    answer = json.loads((trial / "work" / "oracle.json").read_text(encoding="utf-8"))
    assert 0.5 < answer["clinical"]["value"] < answer["full"]["value"] <= 1


def test_nothing_half_written_is_left_behind(killed):
    study, _ = killed
    left = [p.name for p in study.rglob("*") if p.suffix in (".half", ".tmp", ".part")]
    assert not left


def test_a_machine_that_joins_another_asks_for_its_run_and_takes_no_lock(alone_with_trial, tmp_path, monkeypatch):
    folder = shutil.copytree(
        alone_with_trial, tmp_path / "trial", ignore=shutil.ignore_patterns("ct", "runs", "cache-*")
    )
    monkeypatch.setenv("NODE_RANK", "1")
    with pytest.raises(OnlmError, match=r"This is machine 1, and machine 0 has not begun runs/run-\w+ in this folder"):
        pipeline.perform(folder, name="train", say=print)
