"""What the entries in JupyterLab's Launcher show: the pages of the studies in a folder, and the lessons.

    from onlm_lab import lab
    lab.dashboards()      # every study here or one folder below, every page, one at a time
    lab.lessons()         # the lessons, laid out here as notebooks

The entries themselves are in labextension/; each opens a notebook with one of these cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from onlm_lab.page_names import PAGES, Page
from onlm_lab.runs import list_runs

if TYPE_CHECKING:
    import ipywidgets as widgets

LESSONS_FOLDER = "lessons"  # as `onlm teach` has it
FIRST = "performance"  # the page that stands there at first
NO_STUDY = (
    "There is no study in this folder or one below it. Make a made-up one in a terminal with `onlm demo`, or start "
    "your own with `onlm init my_study`; then run this cell again."
)


def dashboards(folder: str | Path = ".") -> widgets.Widget:
    """Every page of every study in a folder as one widget: choose a study and a page, and it stands below.

    Args:
        folder: a study's folder, or one that holds studies.

    Returns:
        A widget for JupyterLab. Where no study is, it says how to make one.
    """
    import ipywidgets as widgets

    from onlm_lab.app import shell

    studies = studies_in(Path(folder))
    if not studies:
        return widgets.HTML(shell.sentence_html(NO_STUDY))
    choice = widgets.Dropdown(options=[(path.resolve().name, path) for path in studies], description="Study")
    choice.layout.display = None if len(studies) > 1 else "none"
    return _chosen(choice, show=_pages)


def _pages(study: Path) -> widgets.Widget:
    """A study's pages: buttons, and the chosen page below them."""
    import ipywidgets as widgets

    from onlm_lab import app

    pages = pages_of(study)
    choice = widgets.ToggleButtons(
        options=[(page.title, page.name) for page in pages], tooltips=[page.question for page in pages],
        value=next((page.name for page in pages if page.name == FIRST), pages[0].name),
    )  # fmt: skip
    return _chosen(choice, show=lambda name: getattr(app, name)(study))


def _chosen(choice: widgets.Widget, *, show: Callable[[Any], widgets.Widget]) -> widgets.Widget:
    """A choice, and under it what `show` makes of it; what stood there before is closed."""
    import ipywidgets as widgets

    place = widgets.VBox([show(choice.value)], layout={"min_width": "0"})

    def anew(change: dict[str, Any]) -> None:
        before, place.children = place.children, (show(change["new"]),)
        for old in before:
            old.close()

    choice.observe(anew, names="value")
    return widgets.VBox([choice, place], layout={"min_width": "0"})


def studies_in(folder: Path) -> list[Path]:
    """The studies that a folder is or holds, by name."""
    if (folder / "study.toml").is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/study.toml"))


def pages_of(study: Path) -> Sequence[Page]:
    """The pages that have something to show of a study: without a run, fewer."""
    has_run = bool(list_runs(study))
    return [p for p in PAGES if p.name != "start" and not p.alone and (has_run or not p.needs_run)]


class Lessons:
    """The lessons as they lie in a folder; in a cell, a list of links that open them."""

    def __init__(self, links: Sequence[tuple[str, int, str]]) -> None:
        self.links = tuple(links)

    def __repr__(self) -> str:
        return f"{len(self.links)} lessons"

    def _repr_markdown_(self) -> str:
        lines = [f"{i}. [{title}]({path}), {minutes} minutes" for i, (title, minutes, path) in enumerate(self.links, 1)]
        return "\n".join(["Open a lesson. What you answer stays in its folder.", "", *lines])


def lessons(folder: str | Path = ".") -> Lessons:
    """Lays the lessons out in a folder of their own as notebooks, and lists them; what is there already is kept.

    Args:
        folder: in which the lessons' folder is made.

    Raises:
        OnlmError: what opens lessons is not installed, or the folder's name belongs to a file.
    """
    from onlm_lab.teaching import shelf

    home = Path(folder) / LESSONS_FOLDER
    laid = shelf.lay_out(home)
    return Lessons([(one.lesson.title, one.lesson.minutes, quote(f"{LESSONS_FOLDER}/{one.path.name}")) for one in laid])
