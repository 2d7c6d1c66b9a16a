"""`doi:10...` in a page or a docstring as a link to where it leads; `make docs-links` asks whether it does."""

from __future__ import annotations

import re
from collections.abc import Iterator

from docutils import nodes

_DOI = re.compile(r"doi:\s?(10\.\d{4,9}/\S+)")


def dois(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each DOI begins and ends in a text, `doi:` included, and the DOI without the signs around it."""
    for found in _DOI.finditer(text):
        doi = found[1]
        while doi[-1] in ".,;:\"'”" or (doi[-1] in ")]" and _unopened(doi)):
            doi = doi[:-1]
        yield found.start(), found.start(1) + len(doi), doi


def _unopened(doi: str) -> bool:
    """Whether the bracket at the end was opened before the DOI: older DOIs hold brackets of their own."""
    opening = {")": "(", "]": "["}[doi[-1]]
    return doi.count(doi[-1]) > doi.count(opening)


def linked(text: str) -> list[nodes.Node]:
    """The text with each DOI as a reference; nothing where there is none."""
    found, last = [], 0
    for start, end, doi in dois(text):
        found.append(nodes.Text(text[last:start]))
        found.append(nodes.reference("", text[start:end], refuri=f"https://doi.org/{doi}"))
        last = end
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
