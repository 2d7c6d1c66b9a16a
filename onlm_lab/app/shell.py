"""What every page wears: header with permanent marks, left panel, cards, and errors as sentences. All text escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets

from onlm_lab.app import sharing, spoken, texts
from onlm_lab.app.figure_view import TEXTS, FigureView, table_json
from onlm_lab.app.help import help_of
from onlm_lab.app.roles import Roles
from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.panels.card import Card as PrintedCard
from onlm_lab.panels.panel import Moved, Panel

RESEARCH = "Research use only"
_CSS = Path(__file__).parent / "page.css"
_FLEX = {"min_width": "0"}


class Card(widgets.VBox):
    """A panel, or a printed card, on a page. `build` makes it from what the user chose; None hides the card.

    The card is drawn again only when its `key` changes; where `moved` says what of it follows a threshold, that alone
    is laid upon the figure anew when `moved_key` changes (a shared page draws the card whole). `opened`: its table is
    open from the start. `chosen` takes what a mark that was clicked on stands for. `single_patients`: it shows them
    one by one, and its page has asked whether the study allows that; every other card passes what a shared page lets
    through. `language`: in which it speaks.
    """

    language = "en"

    def __init__(
        self,
        build: Callable[[], Panel | PrintedCard | None],
        *,
        key: Callable[[], object],
        wide: bool = False,
        opened: bool = False,
        chosen: Callable[[object], None] | None = None,
        single_patients: bool = False,
        moved: Callable[[], Moved] | None = None,
        moved_key: Callable[[], object] | None = None,
    ) -> None:
        if moved_key is not None and sharing.is_shared() and not single_patients:
            whole, at = key, moved_key
            moved, moved_key, key = None, None, lambda: (whole(), at())
        self._build, self._key, self._drawn = build, key, object()
        self._moved, self._moved_key, self._at = moved, moved_key or (lambda: None), object()
        self._panel: Panel | None = None  # whole on the page, so that what moves upon it can move alone
        self._figure, self._said = FigureView(), widgets.HTML()
        self._figure.opened, self._single = opened, single_patients
        if chosen is not None:
            self._figure.on_click(chosen)
        super().__init__([self._figure, self._said], layout=_FLEX)
        self.add_class("onlm-card")
        if wide:
            self.add_class("onlm-wide")

    def look(self) -> None:
        """Bring this card before the reader's eyes."""
        self._figure.send({"kind": "look"})

    def refresh(self) -> None:
        """Draw the panel, or what moves upon it, again if what it depends on has changed."""
        key, at = self._key(), self._moved_key()
        if key == self._drawn and at == self._at:
            return
        failed = texts.say("This figure could not be computed; the server's log says why.", language=self.language)
        text, shown = sentence_html(failed), False
        try:
            kept = self._panel if key == self._drawn else None
            panel, self._panel = kept or (self._build() if self._single else sharing.shown(self._build)), None
            if panel is not None:
                text, shown = self._shown(panel, whole=kept is None), True
            self.layout.display = "none" if panel is None else None
            self._drawn, self._at = key, at
        except OnlmError as error:
            said = sentence_html(texts.say(str(error), language=self.language))
            text, self._drawn, self._at = said, key, at
            self.layout.display = None
        finally:
            self._said.value = text
            self._figure.layout.display = None if shown else "none"

    def _shown(self, panel: Panel | PrintedCard, *, whole: bool) -> str:
        """Put a panel or a printed card on the page; its sentences as HTML."""
        if isinstance(panel, PrintedCard):
            show_printed(self._figure, panel, language=self.language)
            return ""
        moved = self._moved() if self._moved is not None else None
        show(self._figure, panel, moved=moved, whole=whole, language=self.language)
        self._panel = panel if moved is not None else None
        said = panel._replace(sentence=moved.sentence) if moved and moved.sentence else panel
        return said_html(said, language=self.language)


def show(
    view: FigureView, panel: Panel, *, moved: Moved | None = None, whole: bool = True, language: str = "en"
) -> None:
    """Put a panel into a figure view; the page repaints once.

    Args:
        view: of the page.
        panel: the figure, its table and sentence.
        moved: what is laid upon it.
        whole: False: the figure itself is there already, only what lies upon it is another.
        language: of the page.
    """
    sentence = (moved.sentence if moved else "") or panel.sentence
    with view.hold_sync():
        table = panel.table if moved is None or moved.table is None else moved.table
        if whole or (moved is not None and moved.table is not None):
            view.table = spoken.columns_in(table_json(table), language=language)
        view.description = " ".join(texts.say(text, language=language) for text in (panel.title, sentence))
        view.upon = "{}" if moved is None else _upon_json(moved, language=language)
        if whole:
            _name(view, panel.name, language=language)
            figure = panel.figure.to_json()
            if language != "en":
                figure = json.dumps(spoken.figure_in(json.loads(figure), language=language), ensure_ascii=False)
            view.figure = figure


def _upon_json(moved: Moved, *, language: str) -> str:
    upon = {"data": list(moved.data), "shapes": list(moved.shapes), "annotations": list(moved.annotations)}
    if language != "en":
        said = spoken.figure_in(
            {"data": upon["data"], "layout": {"annotations": upon["annotations"]}}, language=language
        )
        upon |= {"data": said["data"], "annotations": said["layout"]["annotations"]}
    return json.dumps(upon, ensure_ascii=False)


def show_printed(view: FigureView, card: PrintedCard, *, language: str = "en") -> None:
    """Put a printed card, which says its own sentences, into a figure view."""
    with view.hold_sync():
        _name(view, card.name, language=language)
        view.table = spoken.columns_in(table_json(card.table), language=language)
        view.description = texts.say(card.sentence, language=language)
        view.page = spoken.html_in(card.html, language=language)


def _name(view: FigureView, name: str, *, language: str) -> None:
    view.name, view.language = name, language
    view.help = texts.say(help_of(name), language=language)
    view.texts = {key: texts.say(text, language=language) for key, text in TEXTS.items()}


def said_html(panel: Panel, *, language: str = "en") -> str:
    """The panel's sentence and notes as escaped HTML."""

    def said(text: str) -> str:
        return html.escape(texts.say(text, language=language))

    notes = "".join(f"<li>{said(note)}</li>" for note in panel.notes)
    listed = f"<ul class='onlm-notes'>{notes}</ul>" if notes else ""
    return f"<p class='onlm-sentence'>{said(panel.sentence)}</p>{listed}"


def sentence_html(message: str) -> str:
    """A message to the user as escaped HTML."""
    lines = "<br>".join(html.escape(line) for line in sharing.message(message).splitlines())
    return f"<p class='onlm-error' role='alert'>{lines}</p>"


def header(*, name: str, page: str, made_up: bool, language: str = "en") -> widgets.Widget:
    """Study name, page, and the marks that never go away."""
    pills = [f"<span class='onlm-pill'>{html.escape(texts.say(RESEARCH, language=language))}</span>"]
    if made_up:
        mark = html.escape(texts.say(theme.MADE_UP, language=language))
        pills.insert(0, f"<span class='onlm-pill onlm-made-up'>{mark}</span>")
    where = html.escape(texts.say(page, language=language))
    return widgets.HTML(
        f"<header class='onlm-header'><div><h1>{html.escape(name)}</h1>"
        f"<h2 class='onlm-where'>{where}</h2></div><div class='onlm-pills'>{''.join(pills)}</div></header>"
    )


def frame(*, head: widgets.Widget, left: Sequence[widgets.Widget], main: Sequence[widgets.Widget]) -> widgets.Widget:
    """A whole page: header, left panel, main part. Styles hold only inside it."""
    style = widgets.HTML(f"<style>{_CSS.read_text(encoding='utf-8')}</style>")
    style.add_class("onlm-style")
    body = widgets.VBox(list(main), layout=_FLEX)
    body.add_class("onlm-main")
    parts = [body]
    if left:
        side = widgets.VBox(list(left), layout=_FLEX)
        side.add_class("onlm-left")
        parts.insert(0, side)
    both = widgets.Box(parts, layout=_FLEX)
    both.add_class("onlm-body")
    page = widgets.VBox([style, head, Roles(), both], layout=_FLEX)
    page.add_class("onlm")
    return page


def error_page(message: str, *, page: str, language: str = "en") -> widgets.Widget:
    """A page that can only say what is wrong."""
    said = widgets.HTML(sentence_html(texts.say(message, language=language)))
    head = header(name="onlm_lab", page=page, made_up=False, language=language)
    return frame(head=head, left=[], main=[said])


def grid(cards: Sequence[widgets.Widget], *, css_class: str) -> widgets.Widget:
    """Cards that flow into as many columns as fit."""
    box = widgets.Box(list(cards), layout=_FLEX)
    box.add_class(css_class)
    return box
