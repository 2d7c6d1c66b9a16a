"""A page as it is served: under a bar with the other pages, its view kept in the address, so that a link restores it.

The view stands behind the # of the address, which a browser never sends: no server's log has what a reader looked at.
In JupyterLab a page is the same without the bar.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode

import ipywidgets as widgets

from onlm_lab import served
from onlm_lab.app import shell, spoken, texts
from onlm_lab.app.bar import Bar
from onlm_lab.app.state import Choices
from onlm_lab.errors import OnlmError
from onlm_lab.page_names import FILE, PAGES
from onlm_lab.served import Served

LONGEST = 4000  # letters of an address; a longer one is not of ours
STUDY, RUN, LANGUAGE = "study", "run", "lang"
Subject = TypeVar("Subject")


class Built(NamedTuple):
    """A page and the choices behind it; a page that can only say what is wrong has none."""

    widget: widgets.Widget
    state: Choices | None = None


def page(
    named: Any,
    *,
    name: str,
    resolve: Callable[[Any], Subject],
    serve: Callable[[Served, str], Subject],
    build: Callable[[Subject, str], Built],
    language: str = "en",
) -> widgets.Widget:
    """A page as one widget.

    Args:
        named: what the caller of the page named; None: what is being served.
        name: of PAGES.
        resolve: what was named -> what is shown.
        serve: what is served and a run's name ("" is the newest) -> what is shown.
        build: what is shown, and the language -> the page.
        language: where nothing is served; a served page's stands in its address.
    """
    if named is None and served.is_served():
        return _Linked(name=name, serve=serve, build=build).widget
    return _tried(lambda: build(resolve(named), language), name=name, language=language).widget


class _Linked:
    """A served page: the bar, what stands under it, and the address between them."""

    def __init__(
        self, *, name: str, serve: Callable[[Served, str], Subject], build: Callable[[Subject, str], Built]
    ) -> None:
        self._name, self._serve, self._build = name, serve, build
        self._asked = ("", "", "en")  # study, run and language as the address named them
        self._study, self._run, self._language = self._asked  # as they are shown
        self._bar, self._said = Bar(), widgets.HTML(layout={"display": "none"})
        self._place = widgets.VBox(layout={"min_width": "0"})
        self.widget = widgets.VBox([self._bar, self._said, self._place], layout={"min_width": "0"})
        self.widget.add_class("onlm-linked")
        self._said.add_class("onlm-lost")
        self._show()
        self._bar.on_address(self._follow)

    def _show(self) -> None:
        """Build the page of the study, run and language that were asked for."""
        study, run, self._language = self._asked

        def built() -> Built:
            return self._build(self._serve(served.opened(study), run), self._language)

        page = _tried(built, name=self._name, language=self._language)
        self._study, self._run = _here(study, run)
        self._state, self._seen = page.state, self._stamp()
        if self._state is not None:
            self._state.begin()
            self._state.observe(lambda _: self._write())
        before, self._place.children = self._place.children, (page.widget,)
        for old in before:  # nothing goes on behind a page that nobody sees
            old.close()
        self._fill_bar()
        self._write()

    def _stamp(self) -> tuple[object, ...]:
        """What tells that the files behind the page are others now."""
        found: list[object] = []
        for one in served.served():
            for run in one.runs:
                paths = (run.folder / name for name in ("predictions.csv", "results.json", "event_risk.csv"))
                found += [run.id, *(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)]
        return tuple(found)

    def _follow(self, fragment: str) -> None:
        """Show what an address says."""
        said = dict(parse_qsl(fragment[:LONGEST], keep_blank_values=True))
        wanted = said.pop(STUDY, ""), said.pop(RUN, ""), said.pop(LANGUAGE, "en")
        wanted = (*wanted[:2], wanted[2] if wanted[2] in texts.LANGUAGES else "en")
        # A kernel that waited ready has built its page some time ago: what was finished since then is shown too.
        if wanted != self._asked or self._stamp() != self._seen:
            self._asked = wanted
            self._show()
        lost = self._state.restore(said) if self._state is not None else []
        missing = "Part of this link could not be restored: this page has no such choice any more."
        self._said.value = shell.sentence_html(texts.say(missing, language=self._language)) if lost else ""
        self._said.layout.display = None if lost else "none"
        self._write()

    def _write(self) -> None:
        view = self._state.address() if self._state is not None else {}
        self._bar.fragment = self._address() + ("&" if view and self._address() else "") + urlencode(view)

    def _address(self) -> str:
        """Study, run and language, as far as they are not the first, the newest and English."""
        said = {STUDY: self._study, RUN: self._run, LANGUAGE: self._language if self._language != "en" else ""}
        return urlencode({name: value for name, value in said.items() if value})

    def _fill_bar(self) -> None:
        known, language = set(json.loads(os.environ.get(served.PAGES, "[]"))), self._language
        self._bar.links = [
            {"label": texts.say(p.title, language=language), "href": FILE.format(p.name), "here": p.name == self._name}
            for p in PAGES if p.name in known or p.name == self._name
        ]  # fmt: skip
        self._bar.common = self._address()
        self._bar.language = self._language
        self._bar.languages = [{"value": k, "label": v} for k, v in texts.LANGUAGES.items()]
        self._bar.texts = {key: texts.say(text, language=language) for key, text in Bar.TEXTS.items()}


def _here(study: str, run: str) -> tuple[str, str]:
    """Of a study and a run that an address names, what is here: neither the address nor a link keeps the rest."""
    found = [one for one in served.served() if study in ("", one.name)]
    if not found:
        return "", ""
    return study, run if run in {one.id for one in found[0].runs} else ""


def _tried(build: Callable[[], Built], *, name: str, language: str) -> Built:
    try:
        built = build()
    except OnlmError as error:
        title = next(p.title for p in PAGES if p.name == name)
        built = Built(shell.error_page(str(error), page=title, language=language))
    spoken.speak(built.widget, language=language)
    return built
