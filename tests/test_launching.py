"""A run in a process of its own: started, stopped, gone on with, and found again by what is on the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from made_study import write_small_study

from onlm_lab import launching, steps
from onlm_lab.errors import OnlmError, StudyError
from onlm_lab.launching import Launch

pytestmark = pytest.mark.waits
LONG = {"training": {"repeats": 40, "seeds_per_fold": 10}}  # nobody waits for its end


def soon(true, *, seconds=120.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def study(tmp_path):
    folder = write_small_study(tmp_path / "study")
    yield folder
    for one in launching.launches(folder):
        launching.stop(one)


def test_a_run_lives_on_when_its_starter_ends_and_is_stopped_at_once(study):
    code = ("import sys; from pathlib import Path; from onlm_lab import launching; "
            f"launching.start(Path(sys.argv[1]), changes={LONG!r})")  # fmt: skip
    subprocess.run([sys.executable, "-c", code, str(study)], check=True)
    (launch,) = launching.launches(study)
    assert launch.going and launch.settings == LONG and launch.ended == ""
    pid = json.loads((launch.folder / "process.json").read_text())["pid"]
    assert os.getsid(pid) == pid != os.getsid(0)
    assert soon(lambda: launch.stage[2] != "")
    with pytest.raises(OnlmError, match="Another onlm command is at work"):
        launching.start(study, changes={})
    children = launching._of_session(pid)
    assert children
    began = time.monotonic()
    launching.stop(launch)
    assert time.monotonic() - began < launching.STOP_S + 20, "not when it is done: that takes minutes"
    assert not launch.going and launch.ended == "stopped"
    assert soon(lambda: not any(launching._born(child) for child in children))
    assert not launching.is_busy(study)


def test_what_fails_is_told_in_the_commands_own_sentence_without_its_path(study):
    (study / "clinical.csv").write_text("patient_id,centre\nP1,North\n", encoding="utf-8")
    launch = launching.start(study, changes={})
    assert soon(lambda: not launch.going)
    assert launch.ended == "failed"
    assert "clinical.csv" in launch.said_last and str(study) not in "\n".join(launch.lines)


def test_a_wrong_setting_is_refused_before_anything_starts(study):
    with pytest.raises(StudyError, match="did you mean 'folds'"):
        launching.start(study, changes={"training": {"fold": 3}})
    assert launching.launches(study) == []


def test_nothing_starts_while_another_process_holds_the_study(study):
    assert not launching.is_busy(study)
    with steps.locked(study):
        assert launching.is_busy(study)
        with pytest.raises(OnlmError, match="Another onlm command is at work"):
            launching.start(study, changes={})


def test_a_number_that_another_process_has_by_now_is_not_taken_for_the_run(tmp_path):
    launch = Launch(tmp_path / "work" / "launches" / "launch-0")
    said = {"pid": os.getpid(), "born": launching._born(os.getpid()), "begun_s": 1.0}
    launch.folder.mkdir(parents=True)
    (launch.folder / "process.json").write_text(json.dumps(said))
    assert launch.going and launch.ended == ""
    (launch.folder / "process.json").write_text(json.dumps(said | {"born": "another start 17"}))
    assert not launch.going and launch.ended == "lost"
    launching.stop(launch)  # must not end the process that has the number now: this one


def test_the_log_shows_the_present_start_and_of_a_bar_its_last_state(tmp_path):
    launch = Launch(tmp_path / "work" / "launches" / "launch-0")
    launch.folder.mkdir(parents=True)
    (launch.folder / "log.txt").write_text(
        f"{launching.BEGUN} 2026\n[1/6] check ...\nold\n{launching.BEGUN} 2026\n[4/6] train ...\n"
        "  runs/run-0123456789: 10 labelled patients\ntraining:   0%|\rtraining:  50%|##\r"
    )
    assert launch.lines[-1] == "training:  50%|##" and "old" not in launch.lines
    assert launch.stage == (4, 6, "train") and launch.run_id == "run-0123456789"
