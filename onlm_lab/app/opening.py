"""Which run a page shows, and what stands on every page about it."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import pandas as pd

from onlm_lab.app import linked
from onlm_lab.app.sharing import count
from onlm_lab.errors import OnlmError
from onlm_lab.panels import patients
from onlm_lab.runs import Run, open_run
from onlm_lab.served import Served
from onlm_lab.study import Study, load_study


def page_of_run(
    run: Run | str | Path | None, *, name: str, build: Callable[[Run, str], linked.Built], language: str
) -> widgets.Widget:  # fmt: skip
    """A page that shows a run.

    Args:
        run: a run, its folder, or a study's folder (then its newest run); None: what is being served.
        name: of page_names.PAGES.
        build: the run and the language -> the page.
        language: of texts.LANGUAGES.
    """
    return linked.page(
        run, name=name, resolve=partial(named_run, page=name), serve=Served.run, build=build, language=language
    )


def named_run(run: Run | str | Path | None, *, page: str) -> Run:
    """The run of a page.

    Args:
        run: a run, its folder, or a study's folder (then its newest run).
        page: the function that shows it, for the message.

    Raises:
        OnlmError: none was named, or there is none.
    """
    if isinstance(run, Run):
        return run
    if run is None:
        raise OnlmError(
            f"No run was named: call app.{page}(\"STUDY\") with a study's or run's folder, or serve one with "
            "`onlm dashboards STUDY`."
        )
    return open_run(run)


def named_study(named: Study | Run | str | Path | None, *, page: str = "cohort") -> Study:
    """The study of a page: named itself, by its folder or its study.toml, or by a run of it.

    Args:
        named: a run reads copies, and the tables lie with its study.
        page: the function that shows it, for the message.

    Raises:
        OnlmError: none was named, or there is none.
    """
    if isinstance(named, Study):
        return named
    if named is None:
        raise OnlmError(
            f'No study was named: call app.{page}("STUDY") with a study\'s folder, or serve one with '
            "`onlm dashboards STUDY`."
        )
    folder = named.folder if isinstance(named, Run) else Path(named)
    if folder.is_dir() and folder.resolve().parent.name == "runs":
        folder = folder.resolve().parents[1]
    return load_study(folder)


def about_html(run: Run, *, rows: pd.DataFrame) -> str:
    """What a reader must know of a run, under the controls; escaped."""
    study = run.study
    counted = rows.drop_duplicates("patient_id")
    arms = "; ".join(f"{patients.ARMS[a]} {count(int((counted['arm'] == a).sum()))}" for a in patients.arms_of(counted))
    lines = [f"Run {run.id}: {count(len(counted))} patients{f' ({arms})' if arms else ''}."]
    if study.label.surrogate:
        lines.append("Surrogate label: the table has no clinical N; pathological N stands alone.")
    n_opened = len(run.openings)
    if n_opened:
        times = "once" if n_opened == 1 else f"{n_opened} times: no longer an untouched test"
        lines.append(f"Internal test: the locked test set of this study was opened {times}.")
    if study.study.licence:
        lines.append(study.study.licence)
    lines.append("For research. Not a medical device; not for decisions about a patient.")
    return "<div class='onlm-about'>" + "".join(f"<p>{html.escape(line)}</p>" for line in lines) + "</div>"
