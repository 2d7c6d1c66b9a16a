"""A patient's whole CT for the viewer: a page reads no DICOM, it starts `onlm volume STUDY PATIENT` and goes on."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from onlm_lab.errors import OnlmError
from onlm_lab.processes import module_command

PATIENCE_S = 600.0
NO_STUDY = (
    "This run stands alone: the study with its CT is not beside it, so that only the saved pictures can be shown."
)
UNREADABLE = "The CT could not be read. `onlm volume STUDY PATIENT` on the study's own machine says why."
SLOW = "Reading the CT took longer than ten minutes and was given up."


def study_of(run_folder: Path) -> Path | None:
    """The folder of the study that a run lies in; None where the run stands alone."""
    folder = run_folder.resolve()
    study = folder.parents[1]
    return study if folder.parent.name == "runs" and (study / "study.toml").is_file() else None


def write_scan(study: Path | None, patient_id: str) -> Path:
    """The place of one patient's CT as an array; written now unless it is there. Takes seconds.

    Args:
        study: the folder of the study; None: there is none.
        patient_id: whose CT.

    Raises:
        OnlmError: why there is no CT to show, in a sentence.
    """
    if study is None:
        raise OnlmError(NO_STUDY)
    command = module_command("onlm_lab.cli", "volume", "--", str(study), patient_id)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
                              stdin=subprocess.DEVNULL)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise OnlmError(SLOW) from None
    lines = [line for line in done.stdout.splitlines() if line.endswith(".npy")]
    if done.returncode == 0 and lines:
        return Path(lines[0])
    said = done.stderr.strip().removeprefix("onlm volume: ")
    raise OnlmError(said if done.returncode == 2 and said and "Traceback" not in said else UNREADABLE)


def beside(work: Callable[[], Path], then: Callable[[Path | OnlmError], None]) -> threading.Thread:
    """Does `work` in a thread, so that the page answers meanwhile, and calls `then` with what came out of it.

    In a kernel `then` is called by the kernel's own loop, one thing after another with the reader's clicks.
    """
    try:
        loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
    except RuntimeError:
        loop = None

    def run() -> None:
        try:
            found: Path | OnlmError = work()
        except OnlmError as error:
            found = error
        except OSError:
            found = OnlmError(UNREADABLE)
        if loop is None:
            then(found)
        elif not loop.is_closed():
            loop.call_soon_threadsafe(then, found)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
