"""Parts of pages that are made from the code when the site is built, so that they cannot drift from it.

A page holds a line such as `<!-- generated: command-line -->`, which becomes Markdown:

    command-line                 every verb of `onlm`, from its argparse parser
    study-settings               every key of study.toml, from the dataclasses and the comments beside their fields
    columns                      the data dictionary, as `onlm dictionary` has it
    statistics-sources           the publications that the docstrings of onlm_lab.analysis name
    calls MODULE NAME ...        the named public calls of a module, from their docstrings
    calls MODULE others          those of its __all__ that the page has not named
"""

from __future__ import annotations

import re

from command_line_page import command_line
from public_calls import calls
from statistics_sources import statistics_sources
from study_settings import study_settings

_PART = re.compile(r"^<!-- generated: ([^\n]+?) -->$", flags=re.MULTILINE)


def columns() -> str:
    """The data dictionary as Markdown, a table of columns for each table."""
    from onlm_lab import schema

    parts = []
    for table, what in schema.TABLES.items():
        parts += [f"## {table}", "", _sentence(what), "", "| column | what it is | what it holds |", "|---|---|---|"]
        for entry in schema.dictionary_entries(table):
            words = "; ".join(f"{word}: {means}" if means else word for word, means in entry.meanings)
            source = f"From: {entry.column.source}" if entry.column.source else ""
            said = [_sentence(text) for text in (entry.column.description, entry.note) if text]
            said += [f"{text}." for text in (words, source) if text]
            what = " ".join(said)
            cells = (f"`{entry.column.name}`", what, f"{entry.range}; {entry.required}; {entry.column.timing}")
            parts.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def generated(text: str) -> str:
    """The page with its generated parts in their places."""
    asked = _PART.findall(text)

    def part(found: re.Match[str]) -> str:
        kind, *words = found[1].split()
        if kind == "calls":
            module, *names = words
            if names == ["others"]:
                named = {name for said in asked for name in said.split()[2:] if said.split()[1] == module}
                return calls(module, without=named)
            return calls(module, names=names)
        makers = {
            "command-line": command_line,
            "study-settings": study_settings,
            "columns": columns,
            "statistics-sources": statistics_sources,
        }
        return makers[kind]()

    return _PART.sub(part, text)


def _read(app: object, docname: str, source: list[str]) -> None:
    source[0] = generated(source[0])


def setup(app: object) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
