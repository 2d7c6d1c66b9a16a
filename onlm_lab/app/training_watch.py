"""What the files say of a study's runs, read again only where they changed, and at most once a second while they grow.

A page asks two or three times a second: where nothing changed that costs a few looks at the times of files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import launching
from onlm_lab.errors import OnlmError
from onlm_lab.launching import Launch
from onlm_lab.panels import training as panels
from onlm_lab.panels.training import Progress
from onlm_lab.runs import Run, list_runs

AGAIN_S = 1.0  # from one reading of what grows to the next
RESULTS = ("study.toml", "predictions.csv", "results.json")
_LEFT_OUT = re.compile(r"left out: The baseline (\w+)")


class Watch:
    """A study's folder under watch; `look` brings it up to date.

    Attributes:
        launch: the run that is going, else the one started last; None: none was started from a page.
        going: whether it is at work.
        busy: whether a command from elsewhere is at work on the study.
        lines: what the command says.
        run: the run that is worked on, as soon as its split is dealt; without a launch the newest.
        runs: every run of the study, finished ones last.
        history: of `run`, an epoch a row.
        progress: of `run`; None where there is no launch, or a sentence of what is wrong.
        seen: stands for `history` and what was drawn of it.
        runs_seen: stands for what the runs have finished.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._clock, self._read_s = folder, clock, -AGAIN_S
        self._kept: dict[object, tuple[object, Any]] = {}
        self.launch: Launch | None = None
        self.going = self.busy = False
        self.lines: list[str] = []
        self.run: Run | None = None
        self.runs: list[Run] = []
        self.history = pd.DataFrame()
        self.progress: Progress | str | None = None
        self.seen = self.runs_seen = ""

    def look(self) -> None:
        """Read what has changed."""
        before = (self.going, self.launch.folder if self.launch else None)
        found = launching.launches(self.folder)
        going = next((one for one in found if one.going), None)
        self.launch, self.going = going or (found[-1] if found else None), going is not None
        self.busy = not self.going and launching.is_busy(self.folder)
        launch = self.launch
        log = launch.folder / "log.txt" if launch else None
        self.lines = self._once("lines", (log, _stamp(log)), lambda: launch.lines if launch else [])
        self.runs = list_runs(self.folder)
        self.runs_seen = str([(run.id, *(_stamp(run.folder / name) for name in RESULTS)) for run in self.runs])
        now, turned = self._clock(), before != (self.going, self.launch.folder if self.launch else None)
        if not turned and now - self._read_s < AGAIN_S:
            return
        self.run = self._present()
        if self._grown():
            self._read_s = now

    def _present(self) -> Run | None:
        if self.launch is None:
            return self.runs[-1] if self.runs else None
        name = launching.run_of(self.lines)
        run = Run(self.folder / "runs" / name) if name else None
        return run if run is not None and (run.folder / "split.csv").is_file() else None

    def _grown(self) -> bool:
        """Read the history and how far the training is; whether anything was read anew."""
        run = self.run
        if run is None:
            self.history, self.progress, self.seen = pd.DataFrame(), None, ""
            return False
        said, made = _stamp(run.folder / "history.csv"), _stamp(run.folder / "partial")
        left_out = tuple(_LEFT_OUT.findall("\n".join(self.lines))) if self.launch else ()
        key = (run.folder, said, made, left_out, self.launch is None)
        if self._kept.get("grown", ("",))[0] == key:
            return False
        self.history = self.history_of(run)
        self.progress = self._progress(run, left_out=left_out) if self.launch is not None else None
        self.seen = f"{run.id} {said}"
        self._kept["grown"] = (key, None)
        return True

    def _progress(self, run: Run, *, left_out: tuple[str, ...]) -> Progress | str:
        try:
            fits = self._once(
                "fits", (run.folder, left_out, _stamp(run.folder / "split.csv")),
                lambda: panels.fits_of(run, left_out=left_out),
            )  # fmt: skip
            return panels.progress_of(run, fits=fits, history=self.history)
        except OnlmError as error:
            return str(error)

    def history_of(self, run: Run) -> pd.DataFrame:
        """The history of a run, kept while its file stays as it is."""
        stamp = _stamp(run.folder / "history.csv")
        return self._once(("history", run.folder), stamp, lambda: run.history)

    def main_history(self, run: Run) -> pd.DataFrame:
        """The rows of a run's main model; of the run under watch as it was read last."""
        mine = self.run is not None and run.folder == self.run.folder
        key = self.seen if mine else (_stamp(run.folder / "history.csv"), _stamp(run.folder / "study.toml"))

        def make() -> pd.DataFrame:
            history = self.history if mine else self.history_of(run)
            return history[history["model_id"] == run.study.primary_model] if len(history) else history

        return self._once(("main", run.folder), key, make)

    def _once(self, name: object, key: object, make: Callable[[], Any]) -> Any:
        there = self._kept.get(name)
        if there is None or there[0] != key:
            there = self._kept[name] = (key, make())
        return there[1]


def _stamp(path: Path | None) -> tuple[int, int]:
    """Time and size of a file or folder; zeros where it is not there."""
    try:
        found = path.stat() if path is not None else None
    except FileNotFoundError:
        found = None
    return (found.st_mtime_ns, found.st_size) if found else (0, 0)
