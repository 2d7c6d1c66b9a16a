"""Sections as Markdown, every value from data escaped, so that a name with a bar or a tag breaks nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from onlm_lab.report.section import Section, Table, Text, Verbatim

_SIGNS = re.compile(r"([\\`*_\[\]|~#])")
_LIST = re.compile(r"^(\d*)([-+.]\s)")


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    plain = " ".join(str(text).split())
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    plain = _LIST.sub(r"\1\\\2", _SIGNS.sub(r"\\\1", plain))
    return re.sub(r"(https?):", r"\1&#58;", plain)  # no link that nobody meant


def to_markdown(sections: Sequence[Section], *, title: str, lead: Sequence[str] = ()) -> str:
    """A document: the title, a paragraph for each lead, and the sections with their text and tables."""
    parts = [f"# {escaped(title)}", *(f"**{escaped(line)}**" for line in lead)]
    for section in sections:
        parts.append(f"## {escaped(section.title)}")
        for block in section.blocks:
            if isinstance(block, Text):
                parts.append(f"> {escaped(block.text)}" if block.tone == "box" else escaped(block.text))
            elif isinstance(block, Table):
                parts.append(_table(block))
            elif isinstance(block, Verbatim):
                parts.append(
                    f"{escaped(block.name)}:\n\n" + "\n".join(f"    {line}" for line in block.text.splitlines())
                )
            else:
                raise TypeError(f"{type(block).__name__} cannot be written as Markdown; wanted text or a table.")
    return "\n\n".join(parts) + "\n"


def _table(block: Table) -> str:
    head = "| " + " | ".join(map(escaped, block.columns)) + " |"
    rule = "|" + "---|" * len(block.columns)
    rows = ["| " + " | ".join(map(escaped, row)) + " |" for row in block.rows]
    return "\n".join([f"{escaped(block.caption)}\n", head, rule, *rows])
