"""The processes that a command starts end with it: by Ctrl-C, by a signal, or when it is killed outright.

A step left behind would go on writing into a study that a second `onlm run` has already taken up.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from onlm_lab import relayed_bars

GRACE_S = 15.0  # a patient's CT is read to its end before a worker stops
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # looked up here: nothing is loaded after a fork


def run_child(command: Sequence[str]) -> int:
    """Run a command to its end; its exit code, 128 + the signal's number where a signal ended it.

    The child has a process group of its own, so that Ctrl-C reaches this process alone, which then ends the child. In a
    notebook its progress bars are drawn as the notebook's own.
    """
    parent = os.getpid()
    bars = subprocess.PIPE if relayed_bars.in_notebook() else None
    child = subprocess.Popen(list(command), process_group=0, preexec_fn=lambda: _end_with(parent), stderr=bars)
    try:
        if bars is not None:
            relayed_bars.relay(child)
        code = child.wait()
    finally:  # nothing is left to do where the child has ended
        _end(child)
    return code if code >= 0 else 128 - code


def module_command(name: str, *words: str) -> list[str]:
    """The command that runs a module. What lies in the current folder is never taken for a library (-P): a user's
    `random.py` beside the study would end the step."""
    return [sys.executable, "-P", "-m", name, *words]


def begin_worker(parent: int) -> None:
    """What a process of a pool does first: leave Ctrl-C to its parent, whose number is given, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _end_with(parent)


def _end_with(parent: int) -> None:
    """Have the system kill this process when its parent is gone (Linux; elsewhere an orphan runs to its end)."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def _end(child: subprocess.Popen) -> None:
    if child.poll() is not None:
        return
    child.terminate()
    try:
        child.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
