"""What a report is built of: sections with a stable id, and in them sentences, tables and figures."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

import pandas as pd
import plotly.graph_objects as go

_TAG = re.compile(r"<[^>]*>")
MOBILE_MARGIN = {"t": 16}


@dataclass(frozen=True)
class Text:
    """A paragraph: something said, a note in small print, or a box that the reader must not miss."""

    text: str
    tone: Literal["say", "note", "box"] = "say"
    kind: ClassVar[str] = "text"


@dataclass(frozen=True, eq=False)
class Table:
    """A table of finished text; the first column names the row. `folded`: shown when asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    folded: bool = False
    kind: ClassVar[str] = "table"


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure as compact JSON; its title and subtitle stand beside it as text, so that they wrap and can be found."""

    id: str
    title: str
    subtitle: str
    json: str
    height: int
    wide: bool = False  # has words on both sides: on a narrow screen it is moved sideways instead of squeezed
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True, eq=False)
class Verbatim:
    """Text as a program wrote it, folded under its name."""

    name: str
    text: str
    kind: ClassVar[str] = "verbatim"


@dataclass(frozen=True, eq=False)
class Markup:
    """HTML of our own making, every value from data escaped: the outcome card."""

    id: str
    html: str
    kind: ClassVar[str] = "markup"


@dataclass(frozen=True)
class EvidenceRow:
    """An item of a checklist: what is asked, its status, (anchor, title) of sections, files, and what to do."""

    number: str
    topic: str
    asked: str
    status: str
    links: tuple[tuple[str, str], ...]
    files: tuple[str, ...]
    said: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """A checklist as a table with links to the sections that answer it."""

    rows: tuple[EvidenceRow, ...]
    caption: str
    kind: ClassVar[str] = "evidence"


Block = Text | Table | Figure | Verbatim | Markup | Evidence


@dataclass(frozen=True, eq=False)
class Section:
    """One section; `id` is its anchor and never changes."""

    id: str
    title: str
    blocks: tuple[Block, ...]


def said_once(blocks: Iterable[Block]) -> list[Block]:
    """The blocks, each sentence and note at its first place only: what holds for several figures is said once."""
    seen: set[str] = set()
    kept: list[Block] = []
    for block in blocks:
        if isinstance(block, Text):
            if block.text in seen:
                continue
            seen.add(block.text)
        kept.append(block)
    return kept


def note(text: str) -> Text:
    """A remark under a figure or table, in small print, as a sentence: with a capital and a full stop."""
    return Text(f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}", tone="note")


def box(text: str) -> Text:
    """A warning that must not be overlooked."""
    return Text(text, tone="box")


def table(frame: pd.DataFrame, *, caption: str, folded: bool = False) -> Table:
    """A table from a DataFrame of text; what is missing is a dash."""
    shown = frame.astype(object).where(frame.notna(), "–")
    rows = tuple(tuple(str(cell) for cell in row) for row in shown.itertuples(index=False, name=None))
    return Table(tuple(str(c) for c in frame.columns), rows, caption, folded)


def figure(drawn: go.Figure, *, id: str, wide: bool = False) -> Figure:
    """A figure for the page: title and subtitle taken out into text, the space that they left given back."""
    title = _plain(drawn.layout.title.text)
    subtitle = _plain(drawn.layout.title.subtitle.text)
    copy = go.Figure(drawn)
    given_back = max(0, (copy.layout.margin.t or 74) - MOBILE_MARGIN["t"])
    height = int(copy.layout.height or 420) - given_back
    copy.update_layout(title=None, margin=MOBILE_MARGIN, height=height)
    # "<" would let a name from the data close the script element that carries the figure.
    return Figure(id, title, subtitle, copy.to_json().replace("<", "\\u003c"), height, wide)


def _plain(text: str | None) -> str:
    """A figure's text without plotly's tags, as the characters that it shows."""
    return html.unescape(_TAG.sub(" ", text or "")).strip()
