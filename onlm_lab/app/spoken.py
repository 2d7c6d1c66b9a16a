"""A page in the reader's language: what stands in widgets, in HTML and in figures, said by the table of texts.

The code writes English. Controls say their labels themselves; here the rest is said where it leaves for the browser.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from onlm_lab.app import texts

_MARKUP = re.compile(r"(<style.*?</style>|<[^>]*>)", re.DOTALL)
_TEXTS = {"text", "hovertemplate", "hovertext"}  # of a figure, beside names of traces
_PLACES = {"x", "y", "ticktext", "categoryarray", "tickvals", "text", "hovertext", "customdata"}  # lists of them
_BREAK = "<br>"


def speak(page: widgets.Widget, *, language: str) -> None:
    """Say a page's texts in a language, now and whenever they change; English stays as it is."""
    if language == "en":
        return
    seen: set[str] = set()

    def visit(widget: widgets.Widget) -> None:
        if widget.model_id in seen:
            return
        seen.add(widget.model_id)
        for name in _spoken_traits(widget):
            turn = html_in if isinstance(widget, widgets.HTML) and name == "value" else _each

            def changed(_: object = None, *, widget: Any = widget, name: str = name, turn: Any = turn) -> None:
                value = getattr(widget, name)
                if value and (said := turn(value, language=language)) != value:
                    setattr(widget, name, said)

            changed()
            widget.observe(changed, name)
        if hasattr(widget, "children"):
            for child in widget.children:
                visit(child)
            widget.observe(lambda change: [visit(child) for child in change["new"]], "children")

    visit(page)


def _each(value: Any, *, language: str) -> Any:
    """A text, or every text of a list or a mapping; who a patient is stays."""
    if isinstance(value, Mapping):
        return {k: v if k == "id" else _each(v, language=language) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_each(v, language=language) for v in value]
    return texts.say(value, language=language) if isinstance(value, str) else value


def _spoken_traits(widget: widgets.Widget) -> tuple[str, ...]:
    own = getattr(type(widget), "SAID", ())  # a widget of ours names them
    if own:
        return own
    if isinstance(widget, widgets.HTML | widgets.Label):
        return ("value",)
    if isinstance(widget, widgets.Button | widgets.ToggleButton | widgets.Checkbox):
        return ("description", "tooltip")
    if isinstance(widget, widgets.Text | widgets.Textarea):
        return ("description", "placeholder")
    return ("tooltip",) if hasattr(widget, "tooltip") and isinstance(widget.tooltip, str) else ()


def html_in(source: str, *, language: str) -> str:
    """HTML with its texts, and what screen readers say of it, in a language; styles and values of data stay."""
    if language == "en" or not source:
        return source
    parts = _MARKUP.split(source)
    return "".join(_tag(p, language) if i % 2 else _node(p, language) for i, p in enumerate(parts))


def _node(text: str, language: str) -> str:
    bare = text.strip()
    if not bare:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return before + html.escape(texts.say(html.unescape(bare), language=language), quote=False) + after


def _tag(tag: str, language: str) -> str:
    def said(found: re.Match[str]) -> str:
        text = texts.say(html.unescape(found[3]), language=language)
        return f"{found[1]}={found[2]}{html.escape(text, quote=True)}{found[2]}"

    return re.sub(r"(aria-label|title)=(['\"])(.*?)\2", said, tag) if not tag.startswith("<style") else tag


def figure_in(figure: Mapping[str, Any], *, language: str) -> dict[str, Any]:
    """A figure, as plotly's JSON has it, with title, axes, legend, notes and names of categories in a language."""
    if language == "en":
        return dict(figure)
    data = [_trace(trace, language) for trace in figure["data"]]
    return dict(figure) | {"data": data, "layout": _turned(figure["layout"], language)}


def _trace(trace: Mapping[str, Any], language: str) -> dict[str, Any]:
    found = _turned(trace, language)
    for name in ("name", "legendgroup"):
        if isinstance(trace.get(name), str):
            found[name] = _said(trace[name], language)
    return found


def _turned(value: Any, language: str, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {k: _turned(v, language, k) for k, v in value.items()}
    if isinstance(value, list):
        if key in _PLACES:
            return [_said(v, language) if isinstance(v, str) else _turned(v, language, key) for v in value]
        return [_turned(v, language) for v in value]
    # A note stands at a category by its name.
    return _said(value, language) if key in _TEXTS | {"x", "y"} and isinstance(value, str) else value


def _said(text: str, language: str) -> str:
    """A text of a figure: escaped for plotly, its lines broken by hand."""
    plain = html.unescape(text.replace(_BREAK, " ")) if "<" not in text.replace(_BREAK, "") else None
    if plain is not None and texts.knows(plain, language=language):
        said = html.escape(texts.say(plain, language=language), quote=False)
        return _broken(said, lines=1 + text.count(_BREAK))
    if _BREAK in text:
        return _BREAK.join(_said(line, language) for line in text.split(_BREAK))
    said = texts.say(html.unescape(text), language=language) if plain is not None else None
    return html.escape(said, quote=False) if said is not None else texts.say(text, language=language)


def _broken(text: str, *, lines: int) -> str:
    """Chinese has no spaces to break at: lines of equal length, never through a number, a word or an entity."""
    if lines == 1:
        return text
    pieces = re.findall(r"&\w+;|[\w.,%/+-]+(?<=[\x00-\x7f])|\s|.", text, flags=re.ASCII)
    room, found, line = math.ceil(len(text) / lines), [], ""
    for piece in pieces:
        if line and len(line) + len(piece) > room and len(found) < lines - 1:
            found.append(line)
            line = ""
        line += piece
    return _BREAK.join([*found, line])


def columns_in(table: str, *, language: str) -> str:
    """A table's JSON with headings and cells in a language beside the English ones; a CSV keeps English."""
    if language == "en":
        return table
    found = json.loads(table)
    found["said"] = {
        cell: said
        for row in found["rows"]
        for cell in row
        if isinstance(cell, str) and (said := texts.say(cell, language=language)) != cell
    }
    found["headings"] = [texts.say(name.replace("_", " "), language=language) for name in found["columns"]]
    return json.dumps(found, ensure_ascii=False)
