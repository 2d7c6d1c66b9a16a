"""What the interface says, in the reader's language: English is written in the code, others stand in one table.

    say("Model", language="zh")  ->  "模型"
    say("At 30 there would be 12 fewer.", language="zh")  ->  "若为 30，则减少 12 例。"

The second is a template of the table, "At {1} there would be {2} fewer": holes named by a number take a number, {m}
a name, {w} a few words, {o} one word, {x} a place of plotly's, others any text of one sentence; what they take is said
in the reader's language in its turn. What the table does not have stays English.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

LANGUAGES = {"en": "English", "zh": "简体中文"}
_TABLES = {"zh": "texts_zh.toml"}
_NUMBER = r"(?:[−<>≥=-]\s?)?(?:\d[\d,.]*(?<![,.])|–|∞)"
_ANY = r"(?:(?!\. [A-Z]).)+?"  # within a sentence
_KINDS = {"m": r"[^;:,.]{1,60}?", "w": r"[^;:.]{1,60}?", "o": r"[A-Za-z]\S*", "x": r"%\{[^}]*\}%?"}
_HOLE = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[a-z]+")
_TAG = re.compile(r"(<[^>]*>)")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9<'])")
_ENDS = {".": "。", ";": "；", ":": "：", ",": "，"}
_JOINS = {"; ": "；", ": ": "：", ", ": "，", " and ": "和"}


class _Template(NamedTuple):
    order: int
    parts: tuple[str, ...]  # text, hole, text, hole, ...; compiled when a text first comes near it
    literals: tuple[str, ...]
    said: str


class _Table(NamedTuple):
    exact: Mapping[str, str]
    by_word: Mapping[str, list[_Template]]  # under the word of it that fewest others have; "": of no word


def say(english: str, *, language: str) -> str:
    """A text in a language.

    Args:
        english: as the code has it, or a finished sentence of it.
        language: one of LANGUAGES.
    """
    if language not in _TABLES or not english:
        return english
    return _said(english, language)


def knows(english: str, *, language: str) -> bool:
    """Whether a language's table has a text, or every part of it."""
    return language not in _TABLES or _whole(_plain(english), language) is not None


def table_of(language: str) -> Mapping[str, str]:
    """English -> said, as the file of a language has it."""
    text = (Path(__file__).parent / _TABLES[language]).read_text(encoding="utf-8")
    return {english: said for part in tomllib.loads(text).values() for english, said in part.items()}


@lru_cache(maxsize=8192)
def _said(english: str, language: str) -> str:
    plain = _plain(english)
    found = _whole(plain, language)
    if found is not None:
        return found
    if "\n" in plain:
        return "\n".join(_said(line, language) for line in plain.split("\n"))
    if _TAG.search(plain):
        parts = _TAG.split(plain)
        return "".join(p if i % 2 or not p.strip() else _kept(p, language) for i, p in enumerate(parts))
    parts = _SENTENCE.split(plain)
    if len(parts) > 1:
        return "".join(
            said if said[-1:] in "。？！；：" else said + " "
            for said in (_said(part, language) for part in parts)
        ).rstrip()  # fmt: skip
    if "; " in plain:  # a long sentence of independent parts
        parts = plain.split("; ")
        said = [_said(part, language) for part in parts]
        if any(a != b for a, b in zip(parts, said, strict=True)):
            return "；".join(said)
    return english


def _kept(part: str, language: str) -> str:
    """A part between tags, with the spaces around it."""
    bare = part.strip()
    return part.replace(bare, _said(bare, language))


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@lru_cache(maxsize=8192)
def _whole(text: str, language: str) -> str | None:
    """A text that the table has, as it stands or made of parts that it has; None: not all of it."""
    text = text.strip()
    end = text[-1:] if text[-1:] in _ENDS else ""
    for core, close in dict.fromkeys([(text.removesuffix(end), _ENDS.get(end, "")), (text, "")]):
        found = _table(language).exact.get(core.lower()) or _filled(core, language)
        if found is not None:
            return found + close
    if end:
        inner = _whole(text[:-1], language)
        return None if inner is None else inner + _ENDS[end]
    for separator, join in _JOINS.items():
        if separator in text:
            parts = [_part(p, language) for p in text.split(separator)]
            if None not in parts:
                return join.join(p for p in parts if p is not None)
    return None


def _part(text: str, language: str) -> str | None:
    """A part of a list: of the table, or a number or a name, which stays."""
    found = _whole(text, language)
    if found is not None:
        return found
    bare = re.sub(r"%\{[^}]*\}", "", text)
    return text if " " not in bare.strip() or not re.search(r"[A-Za-z]{3}", bare) else None


def _filled(text: str, language: str) -> str | None:
    by_word, lowered = _table(language).by_word, text.lower()
    found = {t for word in {"", *_WORD.findall(lowered)} for t in by_word.get(word, ())}
    for template in sorted(found, key=lambda t: t.order):
        if not all(literal in lowered for literal in template.literals):
            continue
        match = _compiled(template.parts).fullmatch(text)
        if match:
            holes = {
                name[1:]: value if name[1] == "m" else _said(value, language)
                for name, value in match.groupdict().items()
            }
            return "".join(holes[p] if i % 2 else p for i, p in enumerate(_HOLE.split(template.said)))
    return None


@cache
def _table(language: str) -> _Table:
    said = table_of(language)
    parts_of = {english: _HOLE.split(english) for english in said if _HOLE.search(english)}
    words_of = {english: _WORD.findall(" ".join(parts[::2]).lower()) for english, parts in parts_of.items()}
    common = Counter(word for words in words_of.values() for word in set(words))
    # The most literal first: what says more holds before what would take anything.
    ordered = sorted(parts_of, key=lambda english: (-sum(map(len, parts_of[english][::2])), english))
    by_word: dict[str, list[_Template]] = {}
    for order, english in enumerate(ordered):
        literals = tuple(p.lower() for p in parts_of[english][::2] if p.strip())
        rarest = min(words_of[english], key=lambda word: common[word], default="")
        template = _Template(order, tuple(parts_of[english]), literals, said[english])
        by_word.setdefault(rarest, []).append(template)
    # A template stands as it is where the holes are filled after it was said, by str.format or in the browser.
    return _Table({e.lower(): s for e, s in said.items()}, by_word)


@cache
def _compiled(parts: tuple[str, ...]) -> re.Pattern[str]:
    """Text, hole, text, hole, ...: a hole that comes again must hold the same."""
    pattern, seen = "", set()
    for i, part in enumerate(parts):
        if i % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P=h{part})"
        else:
            seen.add(part)
            pattern += f"(?P<h{part}>{_NUMBER if part.isdigit() else _KINDS.get(part[0], _ANY)})"
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)
