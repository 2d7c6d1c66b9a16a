"""What a command starts ends with it, and a step that was ended says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from waiting import eventually

from onlm_lab.processes import module_command, run_child

# A shell's background job hands its children a SIGINT that is ignored; this one is to hear it.
START = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from onlm_lab.processes import run_child
code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(900)"
run_child([sys.executable, "-c", code, sys.argv[1]])
"""


@pytest.mark.waits
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child whose parent was killed outright")
def test_a_child_ends_with_the_process_that_started_it(tmp_path, how):
    note = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", START, str(note)], stderr=subprocess.DEVNULL)
    eventually(lambda: note.is_file() and note.read_text(), what="the child has begun")
    child = int(note.read_text())
    os.kill(child, 0)
    parent.send_signal(how)
    parent.wait(60)
    eventually(lambda: not _alive(child), what="the child has ended")


def test_the_exit_code_is_the_childs_own_or_128_and_its_signal():
    assert run_child([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert run_child([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 137


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_users_own_file_is_never_taken_for_a_library(tmp_path, monkeypatch):
    (tmp_path / "argparse.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert run_child([sys.executable, "-m", "onlm_lab.cli", "study", "--help"]) == 9
    assert run_child(module_command("onlm_lab.cli", "study", "--help")) == 0
