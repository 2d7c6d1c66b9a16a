"""`doi:10...` in a page or a docstring as a link to where it leads; `make docs-links` asks whether it does."""

from __future__ import annotations

import re

from docutils import nodes

_DOI = re.compile(r"doi:\s?(10\.\d{4,9}/[^\s,;]*[^\s,;.)\]])")


def linked(text: str) -> list[nodes.Node]:
    """The text with each DOI as a reference."""
    found, last = [], 0
    for doi in _DOI.finditer(text):
        found.append(nodes.Text(text[last : doi.start()]))
        found.append(nodes.reference("", doi[0], refuri=f"https://doi.org/{doi[1]}"))
        last = doi.end()
    return [*found, nodes.Text(text[last:])] if found else []


def _link(app: object, doctree: nodes.document) -> None:
    for text in list(doctree.findall(nodes.Text)):
        parents = nodes.FixedTextElement, nodes.literal, nodes.reference, nodes.raw
        if isinstance(text.parent, parents) or not (parts := linked(text.astext())):
            continue
        text.parent.replace(text, parts)


def setup(app: object) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("doctree-read", _link)
    return {"parallel_read_safe": True}
