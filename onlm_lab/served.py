"""Which studies and runs a served page may open: those that `onlm dashboards` was given, by a short name each.

A link names a study and a run by these names, never by a path, and nothing else can be opened.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onlm_lab.errors import OnlmError
from onlm_lab.runs import Run, list_runs, open_run
from onlm_lab.study import Study, load_study

VARIABLE = "ONLM_SERVED"  # a JSON list of folders: studies, or runs
PAGES = "ONLM_PAGES"  # a JSON list of the pages that can be reached from here
SHARED = "ONLM_SHARED_PAGES"  # "1": what pages show goes to people who may see no single patient
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Served:
    """A study that pages may open.

    Attributes:
        name: short, of an address.
        folder: of the study; where a run alone is served and its study is not there, the run's.
        only: the runs that may be opened; empty: every run of the study.
    """

    name: str
    folder: Path
    only: tuple[str, ...] = ()

    @property
    def study(self) -> Study:
        return load_study(self.folder)

    @property
    def runs(self) -> list[Run]:
        """Its runs, the newest last; read anew each time."""
        if (self.folder / "patients.csv").is_file():  # a run's folder that stands alone
            return [open_run(self.folder)]
        return [run for run in list_runs(self.folder) if not self.only or run.id in self.only]

    def run(self, name: str) -> Run:
        """One of its runs; "" is the newest.

        Raises:
            OnlmError: there is none of that name.
        """
        found = self.runs
        if not found:
            raise OnlmError("This study has no run yet. Start one on the Training page, or with `onlm run STUDY`.")
        if not name:
            return found[-1]
        chosen = [run for run in found if run.id == name]
        if not chosen:
            raise OnlmError(f"The link names a run that is not here. There is {', '.join(run.id for run in found)}.")
        return chosen[0]


def is_served() -> bool:
    """Whether this process shows pages of `onlm dashboards`."""
    return bool(os.environ.get(VARIABLE, ""))


def variable(folders: Sequence[str | Path]) -> str:
    """What VARIABLE holds for these folders."""
    return json.dumps([str(Path(folder).resolve()) for folder in folders])


def served() -> list[Served]:
    """What may be opened, in the order in which it was given; runs of one study together."""
    return named([Path(folder) for folder in json.loads(os.environ.get(VARIABLE, "") or "[]")])


def named(folders: Sequence[Path]) -> list[Served]:
    """Folders of studies and runs, by short names; runs of one study together."""
    grouped: dict[Path, list[str]] = {}
    for folder in folders:
        study, run = _parted(folder)
        grouped.setdefault(study, []).append(run)
    found: list[Served] = []
    for folder, runs in grouped.items():
        name = plain = _UNSAFE.sub("-", folder.name).strip("-.") or "study"
        taken, number = {one.name for one in found}, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        found.append(Served(name, folder, () if "" in runs else tuple(runs)))
    return found


def _parted(folder: Path) -> tuple[Path, str]:
    """A folder as its study's and the run's name; "" where the whole study is meant."""
    study = folder.parent.parent
    if folder.parent.name == "runs" and (study / "study.toml").is_file():
        return study, folder.name
    return folder, ""


def opened(name: str) -> Served:
    """What a link names; "" is the first.

    Raises:
        OnlmError: it is not served.
    """
    found = served()
    if not found:
        raise OnlmError("No study is served here. Start one with `onlm dashboards STUDY`.")
    if not name:
        return found[0]
    chosen = [one for one in found if one.name == name]
    if not chosen:
        raise OnlmError(f"The link names a study that is not served here. There is {', '.join(s.name for s in found)}.")
    return chosen[0]


def is_shared() -> bool:
    """Whether pages go to people who may see no single patient (`onlm dashboards --shared`). Anything but 0 or nothing
    counts, so that a slip shows less and not more."""
    return os.environ.get(SHARED, "") not in ("", "0")


def lists_patients(study: Study) -> bool:
    """Whether a page may show patients one by one: always to the owner of the files, to others where study.toml says so
    ([study] patient_pages)."""
    return not is_shared() or study.study.patient_pages
