"""What a noun says of itself: one line at a prompt, a small table in a notebook's cell. Short, escaped, in any theme.

    @shows_itself
    @dataclass(frozen=True)
    class Suitability: ...        # repr and _repr_html_ from its fields

A class that has more to say than its fields defines `_said(self) -> Said`. No colours are set: the table takes those of
the notebook, light or dark.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from onlm_lab.errors import OnlmError, told

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS, MOST_COLUMNS = 20, 24  # of a table
OPEN = "table"  # the name of a table that is what its result is about: not folded away
MOST_NAMES = 8  # of a list
LONGEST = 300  # letters of a value
LONGEST_LINE = 160
MADE_UP = "MADE-UP DATA"
Class = TypeVar("Class", bound=type)


class Said(NamedTuple):
    """What a noun says of itself.

    Attributes:
        line: one line without a line break: what it is, with counts.
        facts: a row each: what, with its unit; nothing where there is nothing to say.
        tables: by name; only the first rows are shown.
        notes: sentences under the table.
        made_up: whether it is of made-up patients.
    """

    line: str
    facts: Mapping[str, object] = {}
    tables: Mapping[str, pd.DataFrame] = {}
    notes: tuple[str, ...] = ()
    made_up: bool = False


def shows_itself(cls: Class) -> Class:
    """The class with a `repr` of one line and a `_repr_html_`; from `_said`, or else from its fields."""
    cls.__repr__ = _line  # type: ignore[method-assign]
    cls._repr_html_ = _html
    return cls


def to_html(said: Said) -> str:
    """A noun as HTML: the mark of made-up data, its line, its facts, its tables folded away. Every value is escaped."""
    parts = [f"<p><b>{MADE_UP}</b></p>"] if said.made_up else []
    parts.append(f"<b>{_text(said.line)}</b>")
    rows = [(name, in_words(value)) for name, value in said.facts.items()]
    cells = "".join(f"<tr><th>{_text(name)}</th><td>{_text(words)}</td></tr>" for name, words in rows if words)
    parts += [f"<table>{cells}</table>"] if cells else []
    for name, table in said.tables.items():
        head = f"{_text(name)} ({_counted(len(table), 'row')})"
        parts.append(
            f"<details{' open' if name == OPEN else ''}><summary>{head}</summary>{table_html(table)}</details>"
        )
    parts += [f"<p>{_text(note)}</p>" for note in said.notes]
    return "".join(parts)


def table_html(table: pd.DataFrame) -> str:
    """The first rows of a table as HTML, escaped, and how many more there are."""
    shown = table.head(MOST_ROWS).to_html(
        index=False, escape=True, na_rep="", max_cols=MOST_COLUMNS, float_format=lambda x: f"{x:.4g}"
    )
    more = len(table) - MOST_ROWS
    return shown + (f"<p>and {_counted(more, 'more row')}</p>" if more > 0 else "")


def in_words(value: object) -> str:
    """A value as a reader of a table wants it; "" for nothing."""
    if hasattr(value, "dtype") and not getattr(value, "shape", ()):
        value = value.item()  # of numpy
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Path):
        return value.name
    if hasattr(value, "dtype"):
        return f"{value.dtype}, {' x '.join(map(str, value.shape))}"
    if isinstance(value, Mapping):
        return _listed([f"{name}: {_short(item)}" for name, item in value.items()])
    if isinstance(value, list | tuple | set | frozenset):
        return _listed([_short(item) for item in value])
    return _short(value)


def said_of(self: object) -> Said:
    """What a noun says: its own words, or its fields. What cannot be read is said, never raised: a cell only shows."""
    try:
        return self._said() if hasattr(type(self), "_said") else _of_fields(self)
    except (
        OSError,
        ValueError,
        KeyError,
    ) as error:  # an OnlmError is a ValueError; the text of others may name a patient
        why = str(error) if isinstance(error, OnlmError) else told(error)
        return Said(f"{type(self).__name__} that cannot be read", notes=(why,))


def _of_fields(self: object) -> Said:
    names = [f.name for f in fields(self)] if is_dataclass(self) else list(getattr(self, "_fields", ()))
    facts: dict[str, object] = {}
    tables: dict[str, pd.DataFrame] = {}
    for name in names:
        value = getattr(self, name)
        if name in ("notes", "made_up"):
            continue
        if hasattr(value, "to_html"):
            tables[name] = value
        elif isinstance(value, Mapping) and value and all(hasattr(one, "to_html") for one in value.values()):
            tables |= value
        else:
            facts[name] = value
    short = [f"{name} {words}" for name, value in facts.items() if (words := in_words(value)) and len(words) < 40]
    short += [f"{name} {_counted(len(table), 'row')}" for name, table in tables.items()]
    line = f"{type(self).__name__}: {', '.join(short)}" if short else type(self).__name__
    notes = getattr(self, "notes", ())
    return Said(line, facts, tables, tuple(notes), bool(getattr(self, "made_up", False)))


def _line(self: object) -> str:
    line = " ".join(said_of(self).line.split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 4]} ..."


def _html(self: object) -> str:
    said = said_of(self)
    if hasattr(type(self), "_said"):
        return to_html(said)
    return to_html(said._replace(line=type(self).__name__))  # the fields stand below


def _listed(items: Iterable[str]) -> str:
    named = list(items)
    more = f" and {len(named) - MOST_NAMES} more" if len(named) > MOST_NAMES else ""
    return ", ".join(named[:MOST_NAMES]) + more


def _short(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else value.name if isinstance(value, Path) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _text(value: object) -> str:
    return html.escape(str(value))


def quantity(value: Any, unit: str, *, digits: int = 3) -> str:
    """A number, or several along (z, y, x), with their unit; "" where nothing is known."""
    several = list(value) if isinstance(value, list | tuple) else [value]
    if any(one is None or one != one for one in several):
        return ""
    return f"{' x '.join(f'{one:.{digits}g}' for one in several)} {unit}"
