"""The progress bars of a process, drawn anew in the notebook that started it: a bar of text would fill the cell.

What a bar is, is told from what tqdm writes; every other line is passed on as it is.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
from typing import Any, NamedTuple

PAUSE_S = 0.2  # between two looks at whether the process has ended
_BAR = re.compile(
    r"^(?P<what>[^|]*?): +\d+%\|[^|]*\| *(?P<done>\d+)/(?P<total>\d+) "
    r"\[[^\]]*?(?:s/(?P<slow>\w+)|[\d?](?P<fast>[A-Za-z]\w*)/s)\]$"
)
_EMPTY = re.compile(r"^[^|]*?: *0\w+ \[[^\]]*\]$")  # a bar of nothing
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Bar(NamedTuple):
    """A state of a bar, as a line of tqdm's tells it."""

    what: str
    done: int
    total: int
    unit: str


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    kernel = sys.modules.get("IPython")
    shell = kernel.get_ipython() if kernel is not None else None
    return shell is not None and hasattr(shell, "kernel")


def read_bar(line: str) -> Bar | None:
    """The bar that a line draws; None where it is another line."""
    found = _BAR.match(_COLOUR.sub("", line).rstrip())
    if found is None:
        return None
    unit = found["slow"] or found["fast"]
    return Bar(found["what"], int(found["done"]), int(found["total"]), unit)


def relay(child: subprocess.Popen[bytes]) -> None:
    """Reads what a process writes to its error stream, which must be a pipe, until it ends; draws bars, passes on the
    rest. A process of its own that it leaves behind, and that keeps the pipe open, is not waited for."""
    assert child.stderr is not None
    shown = _Shown()
    with selectors.DefaultSelector() as ready, child.stderr:
        ready.register(child.stderr, selectors.EVENT_READ)
        while True:
            ended = child.poll() is not None  # before the look, so that the last words are read
            if ready.select(0 if ended else PAUSE_S):
                said = os.read(child.stderr.fileno(), 65536)
                if not said:
                    break
                shown.take(said)
            elif ended:
                break
    shown.close()


class _Shown:
    """What was said so far: an unfinished line, and the bar that is drawn now."""

    def __init__(self) -> None:
        self._rest, self._bar, self._what = b"", None, ""

    def take(self, said: bytes) -> None:
        *lines, self._rest = re.split(rb"\r\n|\r|\n", self._rest + said)
        for line in lines:
            self._line(line.decode("utf-8", errors="replace"))
        if read_bar(self._rest.decode("utf-8", errors="replace")):  # tqdm ends no line before the next state
            self._line(self._rest.decode("utf-8", errors="replace"))
            self._rest = b""

    def close(self) -> None:
        self._line(self._rest.decode("utf-8", errors="replace"))
        self._end()

    def _line(self, line: str) -> None:
        bar = read_bar(line)
        if bar is not None:
            self._draw(bar)
        elif line.strip() and not _EMPTY.match(line.rstrip()):
            sys.stderr.write(f"{line}\n")

    def _draw(self, bar: Bar) -> None:
        from tqdm.auto import tqdm

        if bar.what != self._what or self._bar is None:
            self._end()
            self._bar: Any = tqdm(total=bar.total, desc=bar.what, unit=bar.unit)
            self._what = bar.what
        self._bar.update(bar.done - self._bar.n)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._what = None, ""
