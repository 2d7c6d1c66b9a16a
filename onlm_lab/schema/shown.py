"""How cells are shown in a message: never a date, never free text, never a control character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from onlm_lab.schema.texts import DATE, ERROR, FORMULA, ROUNDED, TIME, TOLD

_MARKS = {DATE: "(a date)", TIME: "(a time)", FORMULA: "(a formula without its result)"}
_MONTH = r"(jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[czc])[a-z]*"
DATE_LIKE = re.compile(
    r"\d{1,4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,4}\s*日?([ T].*)?"  # 2020-01-31, 31.1.20, 2020年1月31日
    r"|(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"
    rf"|\d{{1,2}}[-. ]*{_MONTH}[-. ,]*\d{{2,4}}|{_MONTH}[-. ]+\d{{1,2}},?[-. ]+\d{{2,4}}"
    rf"|(19|20)\d{{2}}\s*[-/年]\s*(0?[1-9]|1[0-2])\s*月?|{_MONTH}[-. ,]*(19|20)\d{{2}}",  # 2020-01, March 2020
    re.IGNORECASE | re.ASCII,
)
_YEAR, _BETWEEN = r"(19|20)\d{2}", r"\s*[-/.,_\\‐–—年月\s]\s*"
_MONTH_NAMES = (  # in the languages of western Europe, at the beginning of a word
    r"\b(jan|janv|ene|gen|feb|fév|fev|mar|mär|apr|avr|abr|mai|may|mag|jun|juin|giu|jul|juil|lug|aug|août|aout|ago|sep|set"
    r"|oct|okt|ott|out|nov|dec|dez|déc|dic)[^\W\d]*\b"
)
_DATE_INSIDE = re.compile(
    rf"(?<!\d)({_YEAR}{_BETWEEN}\d{{1,2}}{_BETWEEN}\d{{1,2}}|\d{{1,2}}{_BETWEEN}\d{{1,2}}{_BETWEEN}{_YEAR}"
    rf"|\d{{1,2}}([-/.])\d{{1,2}}[-/.]\d{{2}}|\d{{1,2}}/{_YEAR}|(0[1-9]|1[0-2])\.{_YEAR}"
    rf"|{_YEAR}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\d{{4}}|\d{{6}})?)(?!\d)"
    rf"|{_MONTH_NAMES}\W.{{0,12}}(?<!\d){_YEAR}(?!\d)|(昭和|平成|令和)\s*\d{{1,2}}\s*年",
    re.IGNORECASE,
)


def shown(value: object) -> str:
    """A cell's text fit to be shown: dates as '(a date)', long or free text as its length."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else f"{value:g}" if isinstance(value, int | float) else str(value)
    for mark, said in _MARKS.items():
        if text.startswith(mark):
            return said
    if text.startswith((ERROR, ROUNDED, TOLD)):
        text = text[2:]
    text = "".join(c if c.isprintable() else " " for c in text)
    narrow = unicodedata.normalize("NFKC", text).strip()
    if DATE_LIKE.fullmatch(narrow):
        return "(a date)"
    if _DATE_INSIDE.search(narrow):
        return "(a text with a date)"
    if len(text) > 40 or len(text.split()) > 5:
        return f"(a text of {len(text)} characters)"
    return text


def quoted(value: object) -> str:
    """The same between quotation marks, where it is the cell's own text."""
    text = shown(value)
    return text if text.startswith("(a ") else f"'{text}'"


def few(numbers: Sequence[object]) -> str:
    """The first five, and how many more there are."""
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return ", ".join(str(n) for n in numbers[:5]) + more


def counted(count: int, noun: str) -> str:
    """'1 row', '2 rows'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
