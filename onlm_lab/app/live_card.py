"""A card of widgets that is filled again when what it depends on changes; what goes wrong is a sentence in it."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from onlm_lab.app import texts
from onlm_lab.app.shell import sentence_html
from onlm_lab.errors import OnlmError


class LiveCard(widgets.VBox):
    """Widgets under a heading. `draw` fills them; where it cannot, they are hidden and the card says why.

    `language`: in which it speaks.
    """

    language = "en"

    def __init__(
        self, children: Sequence[widgets.Widget], *, draw: Callable[[], None], key: Callable[[], object],
        title: str = "", wide: bool = False,
    ) -> None:  # fmt: skip
        self._draw, self._key, self._title, self._drawn = draw, key, title, object()
        self._head, self._said = widgets.HTML(), widgets.HTML()
        self._body = widgets.VBox(list(children), layout={"min_width": "0"})
        super().__init__([self._head, self._said, self._body], layout={"min_width": "0"})
        self.add_class("onlm-card")
        self.add_class("onlm-of-case")
        if wide:
            self.add_class("onlm-wide")

    def refresh(self) -> None:
        """Fill the widgets again if what they depend on has changed."""
        key = self._key()
        if key == self._drawn:
            return
        title = texts.say(self._title, language=self.language) if self._title else ""
        self._head.value = f"<h3>{html.escape(title)}</h3>" if title else ""
        said = ""
        try:
            self._draw()
        except OnlmError as error:
            said = sentence_html(str(error))
        self._said.value, self._drawn = said, key
        self._body.layout.display = "none" if said else None


def table_html(heads: Sequence[str], rows: Sequence[Sequence[str]], *, marks: Sequence[str] = ()) -> str:
    """A table of texts as escaped HTML; the first cell of a row is its name.

    Args:
        heads: of the columns.
        rows: of texts.
        marks: a CSS class for each row's second cell; "" for none.
    """
    head = "".join(f"<th scope='col'>{html.escape(one)}</th>" for one in heads)
    body = []
    for k, row in enumerate(rows):
        first, *rest = map(html.escape, row)
        mark = marks[k] if k < len(marks) else ""
        cells = "".join(
            f"<td class='{mark if i == 0 else 'among'}'>{cell}</td>" if mark or i else f"<td>{cell}</td>"
            for i, cell in enumerate(rest)
        )
        body.append(f"<tr><th scope='row'>{first}</th>{cells}</tr>")
    return (
        f"<div class='onlm-rows' tabindex='0'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )
