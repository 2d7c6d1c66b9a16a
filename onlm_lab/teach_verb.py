"""What `onlm teach` does, and what it says."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable
from pathlib import Path

from onlm_lab import teaching
from onlm_lab.teaching.shelf import Laid

Say = Callable[[str], None]
_SAID = {
    "written": "{file}: {title}, {minutes} minutes",
    "kept": "{file}: {title}, as you left it",
    "renewed": "{file}: {title}, renewed: the lesson has a new version, and nobody had changed or run this one",
    "beside": "{file}: {title}, the lesson's new version; what you changed stays as it is beside it",
}


def add(verb: argparse.ArgumentParser, *, port: Callable[[str], int]) -> None:
    """The options of the verb.

    Args:
        verb: takes them.
        port: reads a port.
    """
    verb.add_argument("lesson", nargs="?", metavar="LESSON", help="name or number; default: all, the first is opened")
    verb.add_argument("--folder", type=Path, default="lessons", metavar="DIR", help="to work in; default: %(default)s")
    verb.add_argument("--port", type=port, default=8888, help="default: %(default)s")
    verb.add_argument("--no-browser", action="store_true", help="only say the address")
    only = verb.add_mutually_exclusive_group()
    only.add_argument("--list", action="store_true", help="list the lessons and stop")
    only.add_argument("--copy", action="store_true", help="copy the lessons into the folder and stop")
    only.add_argument("--reset", action="store_true", help="forget the answers kept in the folder and stop")


def teach(words: argparse.Namespace, say: Say) -> None:
    """`onlm teach [LESSON]`: lay the lessons out in a folder and open JupyterLab on it."""
    from onlm_lab.teaching import opening, shelf

    lessons = shelf.named(words.lesson)
    if words.list:
        for one in teaching.LESSONS:
            say(f"{one.notebook[:2].lstrip('0')}  {one.name:<12} {one.minutes} minutes  {one.title}")
        return
    if words.reset:
        found = shelf.forget(words.folder, lessons=lessons)
        say(f"Answers forgotten: {', '.join(found)}." if found else f"There are no answers in '{words.folder}'.")
        return
    laid = shelf.lay_out(words.folder, lessons=lessons)
    for one in laid:
        say(_told(one))
    if words.copy:
        return
    for name in ("SIGTERM", "SIGHUP"):  # a closed terminal or a service manager ends JupyterLab too
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    opening.open_lessons(
        words.folder, notebook=laid[0].path.name, port=words.port, browser=not words.no_browser, say=say
    )


def _told(one: Laid) -> str:
    return _SAID[one.what].format(file=one.path, title=one.lesson.title, minutes=one.lesson.minutes)
