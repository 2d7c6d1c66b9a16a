"""A server that this process started: waiting until it answers, its last words where it does not, and its end."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from onlm_lab.errors import OnlmError

LAB = ("voila", "tornado", "jupyter_server", "jupyterlab_server", "jupyterlab", "nbclient")  # of the extra `lab`


def wait_for_answer(process: subprocess.Popen[bytes], *, url: str, log: Path, what: str, seconds: float) -> None:
    """Wait until a server answers; it must refuse a visitor without a token, so any answer of HTTP counts.

    Args:
        process: the server.
        url: of this machine.
        log: where it writes; its last line says why it did not start.
        what: the server's name at the head of a sentence.
        seconds: how long it may take.

    Raises:
        OnlmError: it ended, or did not answer in time.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise OnlmError(f"{what} did not start: {last_words(log)}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise OnlmError(f"{what} did not answer within {seconds:.0f} s: {last_words(log)}")


def last_words(log: Path) -> str:
    """The last line of a log without any token, or what to install where a package is missing."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    missing = next((found[1] for line in lines if (found := re.search(r"No module named '?(\w+)", line))), None)
    if missing in LAB:
        return f'{missing} is not installed. Install it with: pip install "onlm_lab[lab]"'
    return lines[-1].partition("token=")[0] if lines else "it said nothing."


def end(process: subprocess.Popen[bytes], *, patience_s: float) -> None:
    """Ask a server to end, which ends its kernels too; insist only when it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
