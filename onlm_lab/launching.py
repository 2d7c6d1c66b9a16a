"""A run in a process of its own, which lives on when whoever started it ends, and to which anybody attaches by what is
on the disk.

work/launches/<id>/
  settings.json   the settings of this run in the place of study.toml's (see study.changing); the id is their digest
  log.txt         what the command says, of every start
  process.json    who does it: number and beginning of the process, and of the machine's; written when it is there
  ended.json      its exit code, and whether it was stopped by hand; written last

    python -m onlm_lab.launching STUDY ID      starts what work/launches/ID says, and returns when it is under way
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from onlm_lab import processes, steps
from onlm_lab.errors import OnlmError
from onlm_lab.showing import Said, shows_itself
from onlm_lab.study import Changes, change_words, load_study

BEGUN = "--- started"  # a line of the log before each start
STOP_S = 3.0  # that a run is given to end by itself
_RUN = re.compile(r"\bruns/(run-[0-9a-f]{10})\b")
_STAGE = re.compile(r"^\[(\d+)/(\d+)\] (\w+)")
_TAIL_BYTES = 60_000


@shows_itself
@dataclass(frozen=True)
class Launch:
    """One run that was started, by its folder; everything is read anew."""

    folder: Path

    def _said(self) -> Said:
        lines = self.lines
        facts = {"at work": self.going, "settings": self.settings, "last said": lines[-1] if lines else ""}
        return Said(f"Launch {self.id}: {'at work' if self.going else 'not at work'}", facts)

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def study_folder(self) -> Path:
        return self.folder.parents[2]

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        return _read(self.folder / "settings.json")

    @property
    def going(self) -> bool:
        """Whether its process is at work: the very one that was started, not one that has its number by now."""
        said = _read(self.folder / "process.json")
        return bool(said) and not (self.folder / "ended.json").is_file() and _born(said["pid"]) == said["born"]

    @property
    def begun_s(self) -> float:
        """When it was started last, in seconds of the clock; 0 before."""
        return float(_read(self.folder / "process.json").get("begun_s", 0.0))

    @property
    def lines(self) -> list[str]:
        """What the present start has said, the newest last; of a progress bar its last state."""
        path = self.folder / "log.txt"
        if not path.is_file():
            return []
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
        text = text.rpartition(BEGUN)[2].partition("\n")[2] if BEGUN in text else text
        text = text.replace(f"{self.study_folder}{os.sep}", "").replace(str(self.study_folder), ".")
        kept = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
        return [line for line in kept if line]

    @property
    def stage(self) -> tuple[int, int, str]:
        """Number of the step at work, or of the last one, how many there are, and its name; (0, 0, "") before."""
        return stage_of(self.lines)

    @property
    def run_id(self) -> str:
        """Name of the run that it works on; "" before there is one."""
        return run_of(self.lines)

    @property
    def ended(self) -> str:
        """How it ended: "done", "stopped" by hand, "failed", "lost" (nobody knows: killed, or the machine went down);
        "" while it is going."""
        said = _read(self.folder / "ended.json")
        if not said:
            return "" if self.going else "lost"
        return "stopped" if said["stopped"] else "done" if said["code"] == 0 else "failed"

    @property
    def said_last(self) -> str:
        """What a run that failed said of it: the command's own lines from the first that is no progress."""
        lines = [line for line in self.lines if not _STAGE.match(line) and "%|" not in line and line[:2] != "  "]
        told = [line for line in lines if not line.startswith("onlm run: Step '")]
        return "\n".join((told or lines)[-6:])


def stage_of(lines: Sequence[str]) -> tuple[int, int, str]:
    """Number of the last step that the lines of a log begin, how many there are, and its name; (0, 0, "") before."""
    found = [match for line in lines if (match := _STAGE.match(line))]
    return (int(found[-1][1]), int(found[-1][2]), found[-1][3]) if found else (0, 0, "")


def run_of(lines: Sequence[str]) -> str:
    """Name of the run that the lines of a log tell of; "" before."""
    found = _RUN.findall("\n".join(lines))
    return found[-1] if found else ""


def launches(folder: Path) -> list[Launch]:
    """What was started of a study, the newest last."""
    found = [Launch(path.parent) for path in (folder.resolve() / "work" / "launches").glob("*/process.json")]
    return sorted(found, key=lambda one: (one.begun_s, one.id))


def start(folder: Path, *, changes: Changes) -> Launch:
    """Start `onlm run` on a study with these settings, or go on with what was stopped.

    Raises:
        OnlmError: a setting is wrong, another process is at work on the study, or the process does not start.
    """
    folder = folder.resolve()
    load_study(folder, changes=changes)  # what is wrong is said here, not in a log
    _require_free(folder)
    settings = {section: dict(values) for section, values in changes.items() if values}
    launch = Launch(folder / "work" / "launches" / f"launch-{steps.digest(settings)[:10]}")
    launch.folder.mkdir(parents=True, exist_ok=True)
    steps.write_text(launch.folder / "settings.json", json.dumps(settings, indent=1, sort_keys=True))
    command = processes.module_command("onlm_lab.launching", str(folder), launch.id)
    with (launch.folder / "log.txt").open("ab") as log:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if done.returncode:
        raise OnlmError(f"The run could not be started. {launch.said_last}")
    return launch


def stop(launch: Launch) -> None:
    """End a run: asked first, insisted upon after STOP_S. What it has finished is kept."""
    said = _read(launch.folder / "process.json")
    if not launch.going:
        return
    _tell(said["pid"], signal.SIGTERM)
    until = time.monotonic() + STOP_S
    while launch.going and time.monotonic() < until:
        time.sleep(0.02)
    if launch.going:
        for pid in (*_of_session(said["pid"]), said["pid"]):
            _tell(pid, signal.SIGKILL)
        _note_end(launch.folder, code=128 + signal.SIGKILL, stopped=True)


def _require_free(folder: Path) -> None:
    """Raise where a process is at work on the study."""
    with steps.locked(folder):
        pass
    going = [one for one in launches(folder) if one.going]
    if going:
        raise OnlmError(f"Another onlm command is at work on '{folder.name}'. Wait for it, or stop it, then try again.")


def is_busy(folder: Path) -> bool:
    """Whether some process is at work on the study, from here or from a terminal."""
    path = folder / "work" / ".lock"
    if not path.is_file():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


# --- in the process of its own ---------------------------------------------------------------------------------------


def main(words: list[str]) -> int:
    """Leave whoever called, then run the command to its end; the caller returns when process.json is written."""
    folder, name = Path(words[0]), words[1]
    place = folder / "work" / "launches" / name
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(told, 1) else 1
    os.close(told)
    os.setsid()
    (place / "ended.json").unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write(f"{BEGUN} {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC\n")
    sys.stderr.flush()
    said = {"pid": os.getpid(), "born": _born(os.getpid()), "begun_s": time.time()}
    steps.write_text(place / "process.json", json.dumps(said))
    os.write(tell, b"1")
    os.close(tell)
    changes = json.loads((place / "settings.json").read_text(encoding="utf-8"))
    command = processes.module_command("onlm_lab.cli", "run", str(folder), *change_words(changes))
    code, stopped = 1, False
    try:
        code = processes.run_child(command)
    except KeyboardInterrupt:
        code, stopped = 130, True
    finally:
        _note_end(place, code=code, stopped=stopped)
    return code


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def _note_end(place: Path, *, code: int, stopped: bool) -> None:
    steps.write_text(place / "ended.json", json.dumps({"code": code, "stopped": stopped, "ended_s": time.time()}))


def _tell(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it has ended meanwhile
        return


def _of_session(leader: int) -> list[int]:
    """The processes of a session (Linux; elsewhere none but the leader is known)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if fields[3] == str(leader) and path.parent.name != str(leader):
            found.append(int(path.parent.name))
    return found


def _born(pid: int) -> str:
    """What tells a process from another with its number: when it began, and on which start of the machine; "" where it
    runs no more."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        if Path("/proc/self/stat").is_file():
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return "" if fields[0] in "ZX" else f"{boot} {fields[19]}"
    except OSError:
        return ""
    asked = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
