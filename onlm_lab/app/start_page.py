"""The start page: which studies and runs are here, how far each is, and the way to its pages."""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import ipywidgets as widgets
import pandas as pd

from onlm_lab import served
from onlm_lab.app import linked, sharing, shell, texts
from onlm_lab.app.state import Choices
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.page_names import FILE, PAGES, Page
from onlm_lab.runs import Run
from onlm_lab.served import Served

PAGE = "Studies and runs"
NOT_FINISHED = "not finished"
NOT_READ = "its predictions cannot be read"


def start(folders: str | Path | Sequence[str | Path] | None = None, *, language: str = "en") -> widgets.Widget:
    """The start page as one widget.

    Args:
        folders: of studies or runs; None: what is being served.
        language: of texts.LANGUAGES.
    """

    def named(given: str | Path | Sequence[str | Path] | None) -> list[Served]:
        if given is None:
            raise OnlmError('No study was named: call app.start("STUDY"), or serve one with `onlm dashboards STUDY`.')
        return served.named([Path(one) for one in ([given] if isinstance(given, str | Path) else given)])

    return linked.page(
        folders, name="start", resolve=named, serve=lambda *_: served.served(), build=_page, language=language
    )


def _page(studies: Sequence[Served], language: str) -> linked.Built:
    pages = json.loads(os.environ.get(served.PAGES, "[]")) if served.is_served() else []
    made_up = False
    blocks = []
    for one in studies:
        try:
            made_up = made_up or one.study.made_up
            blocks.append(_study_html(one, pages=pages, language=language, first=one == studies[0]))
        except OnlmError as error:
            blocks.append(f"<section class='onlm-study'><h2>{html.escape(one.name)}</h2>"
                          f"{shell.sentence_html(str(error))}</section>")  # fmt: skip
    said = texts.say(
        "onlm_lab asks one question: in early lung cancer, do the lymph nodes hide cancer that imaging does not show? "
        "For research. Not a medical device; not for decisions about a patient.", language=language,
    )  # fmt: skip
    intro = f"<p class='onlm-sentence'>{html.escape(said)}</p>"
    head = shell.header(name="onlm_lab", page=PAGE, made_up=made_up, language=language)
    return linked.Built(
        shell.frame(head=head, left=[], main=[widgets.HTML(intro + "".join(blocks))]), Choices(language=language)
    )


def _study_html(one: Served, *, pages: Sequence[str], language: str, first: bool) -> str:
    study, runs = one.study, one.runs
    address = {} if first else {linked.STUDY: one.name}
    if language != "en":
        address[linked.LANGUAGE] = language
    mark = f" <span class='onlm-pill onlm-made-up'>{html.escape(texts.say(theme.MADE_UP, language=language))}</span>"
    titles = [p for p in PAGES if p.name != "start" and p.name in pages and (runs or not p.needs_run)]
    links = "".join(_link_html(page, address=address, language=language) for page in titles)
    if runs:
        table = _runs_html(one, runs=runs[::-1], pages=pages, address=address, language=language)
    else:
        said = "This study has no run yet. Start one on the Training page, or with `onlm run STUDY`."
        table = f"<p class='onlm-sentence'>{html.escape(texts.say(said, language=language))}</p>"
    return (
        f"<section class='onlm-study'><h2>{html.escape(study.name)}{mark if study.made_up else ''}</h2>"
        f"<nav class='onlm-goes' aria-label='{html.escape(study.name, quote=True)}'>{links}</nav>{table}</section>"
    )


def _link_html(page: Page, *, address: dict[str, str], language: str) -> str:
    title, question = (html.escape(texts.say(text, language=language)) for text in (page.title, page.question))
    return f"<a class='onlm-go' href='{_href(page.name, address)}'><b>{title}</b><span>{question}</span></a>"


def _runs_html(
    one: Served, *, runs: Sequence[Run], pages: Sequence[str], address: dict[str, str], language: str
) -> str:  # fmt: skip
    heads = ("Run", "Finished (UTC)", "Patients", "Models", "Main model", "AUC (95 % interval)")
    rows = []
    for i, run in enumerate(runs):
        cells = [html.escape(cell) for cell in _told(run, language=language)]
        if run.finished and "performance" in pages:
            way = address if i == 0 else address | {linked.RUN: run.id}
            cells[0] = f"<a href='{_href('performance', way)}'>{cells[0]}</a>"
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th scope='col'>{html.escape(texts.say(name, language=language))}</th>" for name in heads)
    return f"<div class='onlm-runs' tabindex='0'><table><tr>{head}</tr>{''.join(rows)}</table></div>"


def _told(run: Run, *, language: str) -> list[str]:
    """A run in the cells of a row."""
    study = run.study
    if not run.finished:
        return [run.id, texts.say(NOT_FINISHED, language=language), "", ", ".join(study.training.models), "", ""]
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime((run.folder / "predictions.csv").stat().st_mtime))
    try:
        ids = pd.read_csv(run.folder / "predictions.csv", usecols=["patient_id", "model_id"], dtype=str)
    except (OSError, ValueError):  # ValueError: not of this kind, or not of this writing
        return [run.id, texts.say(NOT_READ, language=language), "", "", "", ""]
    models = ", ".join(dict.fromkeys(ids["model_id"]))
    return [run.id, when, sharing.count(ids["patient_id"].nunique()), models, study.primary_model, _auc(run)]


def _auc(run: Run) -> str:
    """The main model's AUC with its interval, as results.json has it; empty where it is not written yet."""
    try:
        found = run.results[run.study.primary_model]["roc"]["auc"]
        value, low, high = (float(found[name]) for name in ("value", "low", "high"))
    except (OnlmError, KeyError, TypeError, ValueError):
        return ""
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _href(page: str, address: dict[str, str]) -> str:
    return html.escape(FILE.format(page) + (f"#{urlencode(address)}" if address else ""), quote=True)
