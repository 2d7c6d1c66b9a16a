"""What every page wears: header with permanent marks, left panel, cards, and errors as sentences. All text escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets

from onlm_lab.app.figure_view import FigureView, table_json
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels.panel import Panel

RESEARCH = "Research use only"
_CSS = Path(__file__).parent / "page.css"
_FLEX = {"min_width": "0"}


class Card(widgets.VBox):
    """A panel on a page. `build` makes the panel from what the user chose; None hides the card.

    The card is drawn again only when its `key` changes.
    """

    def __init__(self, build: Callable[[], Panel | None], *, key: Callable[[], object], wide: bool = False) -> None:
        self._build, self._key, self._drawn = build, key, object()
        self._figure, self._said = FigureView(), widgets.HTML()
        super().__init__([self._figure, self._said], layout=_FLEX)
        self.add_class("onlm-card")
        if wide:
            self.add_class("onlm-wide")

    def refresh(self) -> None:
        """Draw the panel again if what it depends on has changed."""
        key = self._key()
        if key == self._drawn:
            return
        text, shown = sentence_html("This figure could not be computed; the server's log says why."), False
        try:
            panel = self._build()
            if panel is not None:
                show(self._figure, panel)
                text, shown = said_html(panel), True
            self.layout.display = "none" if panel is None else None
            self._drawn = key
        except OnlmError as error:
            text, self._drawn = sentence_html(str(error)), key
            self.layout.display = None
        finally:
            self._said.value = text
            self._figure.layout.display = None if shown else "none"


def show(view: FigureView, panel: Panel) -> None:
    """Put a whole panel into a figure view; the page repaints once."""
    with view.hold_sync():
        view.name = panel.name
        view.table = table_json(panel.table)
        view.description = f"{panel.title} {panel.sentence}"
        view.figure = panel.figure.to_json()


def said_html(panel: Panel) -> str:
    """The panel's sentence and notes as escaped HTML."""
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in panel.notes)
    listed = f"<ul class='onlm-notes'>{notes}</ul>" if notes else ""
    return f"<p class='onlm-sentence'>{html.escape(panel.sentence)}</p>{listed}"


def sentence_html(message: str) -> str:
    """A message to the user as escaped HTML."""
    lines = "<br>".join(html.escape(line) for line in message.splitlines())
    return f"<p class='onlm-error' role='alert'>{lines}</p>"


def header(*, name: str, page: str, made_up: bool) -> widgets.Widget:
    """Study name, page, and the marks that never go away."""
    pills = [f"<span class='onlm-pill'>{RESEARCH}</span>"]
    if made_up:
        pills.insert(0, f"<span class='onlm-pill onlm-made-up'>{theme.MADE_UP}</span>")
    return widgets.HTML(
        f"<header class='onlm-header'><div><h1>{html.escape(name)}</h1>"
        f"<span class='onlm-where'>{html.escape(page)}</span></div><div class='onlm-pills'>{''.join(pills)}</div>"
        "</header>"
    )


def frame(*, head: widgets.Widget, left: Sequence[widgets.Widget], main: Sequence[widgets.Widget]) -> widgets.Widget:
    """A whole page: header, left panel, main part. Styles hold only inside it."""
    style = widgets.HTML(f"<style>{_CSS.read_text(encoding='utf-8')}</style>")
    style.add_class("onlm-style")
    side = widgets.VBox(list(left), layout=_FLEX)
    side.add_class("onlm-left")
    body = widgets.VBox(list(main), layout=_FLEX)
    body.add_class("onlm-main")
    both = widgets.Box([side, body], layout=_FLEX)
    both.add_class("onlm-body")
    page = widgets.VBox([style, head, both], layout=_FLEX)
    page.add_class("onlm")
    return page


def error_page(message: str, *, page: str) -> widgets.Widget:
    """A page that can only say what is wrong."""
    said = widgets.HTML(sentence_html(message))
    return frame(head=header(name="onlm_lab", page=page, made_up=False), left=[], main=[said])


def grid(cards: Sequence[widgets.Widget], *, css_class: str) -> widgets.Widget:
    """Cards that flow into as many columns as fit."""
    box = widgets.Box(list(cards), layout=_FLEX)
    box.add_class(css_class)
    return box
