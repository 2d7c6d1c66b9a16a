"""JupyterLab on a folder of lessons: for this machine alone, behind a token, without asking any other host."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from onlm_lab.answering import end, last_words, wait_for_answer
from onlm_lab.errors import OnlmError
from onlm_lab.serving import require_free
from onlm_lab.teaching.shelf import require_lab

HOST = "127.0.0.1"
NEWS = "@jupyterlab/apputils-extension:announcements"  # asks every new user, and another host for what is new
_START_S, _STOP_S = 120, 15


class Opened(NamedTuple):
    """A JupyterLab that answers at `url` (token included) until its process ends."""

    url: str
    token: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def opened(folder: Path, *, notebook: str, port: int, browser: bool = False) -> Iterator[Opened]:
    """JupyterLab on a folder, stopped with its kernels at the end of the block.

    Args:
        folder: what it shows; nothing above it.
        notebook: which file it opens first.
        port: on 127.0.0.1.
        browser: whether it opens the machine's browser.

    Raises:
        OnlmError: the lab extra is missing, the port is taken, or it does not start.
    """
    require_lab()
    require_free(port)
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="onlm_lessons_") as name:
        place = Path(name)
        log = place / "jupyterlab.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*_command(folder, notebook=notebook, port=port), *([] if browser else ["--no-browser"])],
                stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, cwd=folder, start_new_session=True,
                env=_environment(place, token=token),
            )  # fmt: skip
        try:
            wait_for_answer(process, url=f"http://{HOST}:{port}/api", log=log, what="JupyterLab", seconds=_START_S)
            yield Opened(f"http://{HOST}:{port}/lab/tree/{notebook}?token={token}", token, process, log)
        finally:
            end(process, patience_s=_STOP_S)


def open_lessons(folder: Path, *, notebook: str, port: int, browser: bool, say: Callable[[str], None]) -> None:
    """JupyterLab on the lessons until Ctrl-C.

    Args:
        folder, notebook, port, browser: as `opened` takes them.
        say: takes the sentences for the person at the terminal, the address among them.

    Raises:
        OnlmError: it does not start, or ends by itself.
    """
    say("Starting JupyterLab; this takes about ten seconds.")
    with opened(folder, notebook=notebook, port=port, browser=browser) as lab:
        say(f"Lessons: {lab.url}")
        say("Only this machine can reach it, and only with the token. Stop it with Ctrl-C.")
        try:
            lab.process.wait()
        except KeyboardInterrupt:
            say("JupyterLab stopped. Answers and notebooks stay in the folder.")
            return
        raise OnlmError(f"JupyterLab ended by itself: {last_words(lab.log)}")


def _command(folder: Path, *, notebook: str, port: int) -> list[str]:
    """The command that starts JupyterLab; nothing in it asks another host."""
    return [
        sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}", f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--LabApp.default_url=/lab/tree/{notebook}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]  # fmt: skip


def _environment(place: Path, *, token: str) -> dict[str, str]:
    """The token stays out of the list of processes; JupyterLab's question about news is left out of this start."""
    config = place / "config" / "labconfig" / "page_config.json"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"disabledExtensions": {NEWS: True}}), encoding="utf-8")
    paths = [str(place / "config"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    return os.environ | {
        "JUPYTER_TOKEN": token,
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_CONFIG_PATH": os.pathsep.join(path for path in paths if path),
    }
