"""The lessons as a student gets them: copied into a folder as notebooks, never over what somebody changed."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.installed import shipped_folder
from onlm_lab.teaching import LESSONS, Listed

NEEDED = ("jupyterlab", "jupytext", "ipykernel")
MARK = "onlm_lesson"  # in a notebook's metadata: of which version of which lesson it is a copy


class Laid(NamedTuple):
    """A lesson in the folder: its notebook, and whether it was written, kept, renewed, or put beside a changed one."""

    lesson: Listed
    path: Path
    what: str


def lessons_folder() -> Path:
    """Where the lessons' sources lie: in the checkout, else where the wheel put them.

    Raises:
        OnlmError: they are not installed.
    """
    return shipped_folder("notebooks/teaching", holding=f"{LESSONS[0].notebook}.py")


def require_lab() -> None:
    """Raise, and say what to install, where JupyterLab or what turns lessons into notebooks is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise OnlmError(
            f'Lessons open in JupyterLab, and {", ".join(missing)} is missing. Install it: pip install "onlm_lab[lab]" '
            "(no torch is needed)."
        )


def named(said: str | None) -> Sequence[Listed]:
    """The lessons that somebody asked for: by name, by number, by the file's name, or all.

    Raises:
        OnlmError: there is no such lesson.
    """
    if said is None:
        return LESSONS
    asked = Path(said).stem.lower()
    found = [
        one for one in LESSONS if asked in (one.name, one.notebook, one.notebook[:2], one.notebook[:2].lstrip("0"))
    ]
    if not found:
        known = ", ".join(f"{one.notebook[:2].lstrip('0')} {one.name}" for one in LESSONS)
        raise OnlmError(f"There is no lesson '{said}'. There are: {known}.")
    return found


def lay_out(folder: Path, *, lessons: Sequence[Listed] = LESSONS) -> list[Laid]:
    """Copy lessons into a folder as notebooks.

    A notebook that nobody changed or ran is renewed when the lesson has a new version; beside one that somebody did,
    the new version gets a name of its own.

    Args:
        folder: made where it is not there.
        lessons: which.

    Raises:
        OnlmError: the lab extra is missing, or the folder's name belongs to a file.
    """
    require_lab()
    if folder.exists() and not folder.is_dir():
        raise OnlmError(f"'{folder.name}' is a file; wanted a folder for the lessons (--folder).")
    folder.mkdir(parents=True, exist_ok=True)
    return [_lay(one, folder) for one in lessons]


def forget(folder: Path, *, lessons: Sequence[Listed] = LESSONS) -> list[str]:
    """Remove the answers to lessons kept in a folder; the names of those that had any."""
    found = []
    for one in lessons:
        path = folder / "answers" / f"{one.name}.json"
        if path.is_file():
            path.unlink()
            found.append(one.name)
    return found


def _lay(lesson: Listed, folder: Path) -> Laid:
    import jupytext

    source = (lessons_folder() / f"{lesson.notebook}.py").read_text(encoding="utf-8")
    version, notebook = hashlib.sha256(source.encode()).hexdigest(), jupytext.reads(source, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for k, cell in enumerate(notebook.cells):  # the same lesson is the same file, byte for byte
        cell["id"] = f"{lesson.notebook.replace('_', '-')}-{k:03d}"
    notebook.metadata[MARK] = {"name": lesson.name, "version": version, "cells": _cells_digest(notebook)}
    k = 1
    while True:
        path = folder / (f"{lesson.notebook}.ipynb" if k == 1 else f"{lesson.notebook}_{k}.ipynb")
        there = _read(path) if path.is_file() else None
        if not path.exists() or (there is not None and _untouched(there) and _version(there) != version):
            steps.write_text(path, jupytext.writes(notebook, fmt="ipynb"))
            return Laid(lesson, path, "renewed" if there is not None else "beside" if k > 1 else "written")
        if there is not None and _version(there) == version:
            return Laid(lesson, path, "kept")
        k += 1


def _read(path: Path) -> Any:
    """A notebook, or None where the file is none."""
    import jupytext

    try:
        return jupytext.read(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _version(notebook: Any) -> str:
    return notebook.metadata.get(MARK, {}).get("version", "")


def _untouched(notebook: Any) -> bool:
    """Whether a notebook still is what was written: not a cell changed, none run."""
    ran = any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    return not ran and notebook.metadata.get(MARK, {}).get("cells") == _cells_digest(notebook)


def _cells_digest(notebook: Any) -> str:
    seal = hashlib.sha256()
    for cell in notebook.cells:
        seal.update(f"{cell.cell_type}\0{cell.source}\0".encode())
    return seal.hexdigest()
