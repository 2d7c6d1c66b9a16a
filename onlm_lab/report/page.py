"""Sections as one self-contained page: a contents list, the chapters, and nothing that is fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from importlib.resources import files

from onlm_lab.figures import theme
from onlm_lab.report.chapters import CHAPTERS, chapter_of
from onlm_lab.report.section import Section

_BACKTICKS = re.compile(r"`([^`]*)`")
WHERE = {  # the section in which a line of the summary is told in full
    "Patients": "participants", "Testing": "performance", "Separation": "discrimination", "Calibration": "calibration",
    "Operating point": "operating-point", "SBRT arm": "outcomes-sbrt",
}  # fmt: skip


def render(
    sections: Sequence[Section], *, name: str, question: str, mark: str, run: str, licence: str,
    warnings: Sequence[str], lines: Sequence[tuple[str, str]], n_positive: str,
) -> str:  # fmt: skip
    """The page as text. Every value from data is escaped.

    Args:
        sections: in their order; by chapter where they stand in one.
        name: the heading.
        question: what is asked, under it.
        mark: words laid across, such as MADE-UP DATA; empty for real data.
        run: which run.
        licence: of the data; empty where none was stated.
        warnings: what the reader must know before any number.
        lines: (what, sentence) of the summary.
        n_positive: what N+ means here.
    """
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["commands"] = _commands
    template = environment.from_string(files("onlm_lab.report").joinpath("template.html").read_text(encoding="utf-8"))
    there = {section.id for section in sections}
    groups = _by_chapter(sections)
    return template.render(
        name=name, question=question, mark=mark, run=run, licence=licence, warnings=warnings, lines=lines,
        n_positive=n_positive, chapters=groups,
        where={what: id for what, id in WHERE.items() if id in there}, plotly=get_plotlyjs(), font=theme.FONT,
        colours={"ink": theme.INK, "quiet": theme.QUIET, "grid": theme.GRID},
    )  # fmt: skip


def _commands(text: str) -> str:
    """The text escaped, and what stands between backticks as code."""
    return _BACKTICKS.sub(r"<code>\1</code>", html.escape(text))


def _by_chapter(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    """Chapters with their sections; one without a name where not every section stands in a chapter."""
    if not all(chapter_of(section.id) for section in sections):
        return [("", list(sections))]
    found = [(name, [s for s in sections if chapter_of(s.id) == name]) for name in CHAPTERS]
    return [(name, those) for name, those in found if those]
