"""Pages of the site whose text lies outside docs/ (CHANGELOG.md and others), so that it is written once.

The page in docs/ holds a line `<!-- page: ../CHANGELOG.md -->` and nothing else. Links are moved from where the file
lies to docs/, and every link of any page to such a file leads to its page.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

_PAGE = re.compile(r"^<!-- page: (\S+) -->$", flags=re.MULTILINE)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_ELSEWHERE = re.compile(r"[a-z]+:|#|/")


def outside_pages(docs: Path) -> dict[str, str]:
    """The file outside docs/, as a path from docs/ -> the page that shows it, likewise."""
    found = {}
    for page in sorted(docs.rglob("*.md")):
        if "_build" not in page.parts and (said := _PAGE.search(page.read_text(encoding="utf-8"))):
            found[posixpath.normpath(said[1])] = page.relative_to(docs).as_posix()
    return found


def moved_links(text: str, *, file: str, page: str, pages: dict[str, str]) -> str:
    """The text with its links as they are from another place.

    Args:
        text: Markdown.
        file: where it lies, as a path from docs/.
        page: which page shows it, as a path from docs/.
        pages: file outside docs/ -> page, see `outside_pages`.
    """

    def moved(link: re.Match[str]) -> str:
        target, _, anchor = link[2].partition("#")
        if _ELSEWHERE.match(link[2]) or not target:
            return link[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
        target = posixpath.relpath(pages.get(target, target), posixpath.dirname(page) or ".")
        return f"{link[1]}{target}{'#' + anchor if anchor else ''}{link[3]}"

    return _LINK.sub(moved, text)


def _read(app: object, docname: str, source: list[str]) -> None:
    docs, page = Path(app.srcdir), f"{docname}.md"
    pages = outside_pages(docs)
    file, text = page, source[0]
    if said := _PAGE.search(text):
        file = posixpath.normpath(said[1])
        text = (docs / file).read_text(encoding="utf-8")
        app.env.note_dependency(str(docs / file), docname=docname)
    source[0] = moved_links(text, file=file, page=page, pages=pages)


def setup(app: object) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
