"""Words of a column as values, and for a word that is none what to try."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from onlm_lab.schema.dictionary import NUMERIC, Column, nearest
from onlm_lab.schema.shown import DATE_LIKE
from onlm_lab.schema.texts import CONTROL, DATE, ERROR, FORMULA, MARK, ROUNDED, TIME, TOLD

Decimal = Literal[".", ","]
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MISSING_LIKE = frozenset(
    "na n/a n.a. nan null none nil nul - -- --- . .. ? ?? / \\ unknown unk ukn missing nd n.d. nk n.k. k.a. ka "
    "unbekannt inconnu inconnue desconocido desconhecido okänd ukendt ukjent tuntematon 未知 不详 不明 无 缺失 未查 "
    "#n/a #null! keine none/unknown".split()
) | {"keine angabe", "not known", "not available", "not done", "not applicable"}
_CODES = re.compile(r"-?(9{2,5}|8{2,5}|7{3,5})|-[189]", re.ASCII)  # what stands for "not known" in many tables
_YES = {"yes": "1", "y": "1", "true": "1", "ja": "1", "j": "1", "oui": "1", "si": "1", "sí": "1", "sim": "1",
        "是": "1", "有": "1", "checked": "1", "no": "0", "n": "0", "false": "0", "nein": "0", "non": "0", "não": "0",
        "否": "0", "无": "0", "unchecked": "0"}  # fmt: skip
_EXCEL_FAULTS = (ERROR, FORMULA, ROUNDED)


@dataclass(frozen=True)
class Parsed:
    """The words of a column as values. `bad`: cannot be read; `broken`: what Excel left in place of a value, or ""."""

    values: list[Any]
    bad: list[bool]
    broken: list[str]


def parse_words(words: Sequence[str], *, spec: Column, decimal: Decimal = ".", factor: float = 1.0) -> Parsed:
    """Each word as the value that its column wants; the empty word is missing."""
    missing = float("nan") if spec.type in NUMERIC else None
    values, bad, broken = [], [], []
    for word in words:
        fault = excel_fault(word, spec=spec)
        value = missing if not word or fault or word.startswith(TOLD) else _value(word, spec=spec, decimal=decimal)
        bad.append(value is _BAD)
        broken.append(fault)
        if value is _BAD:
            value = missing
        elif factor != 1.0 and word and isinstance(value, float):
            value = float(f"{value * factor:.12g}")
        values.append(value)
    return Parsed(values, bad, broken)


_BAD = object()


def _value(word: str, *, spec: Column, decimal: Decimal) -> Any:
    if spec.type in NUMERIC:
        plain = as_number(word, decimal=decimal)
        if plain is None:
            return _BAD
        if spec.type == "integer" and not plain.is_integer():
            return _BAD
        return plain if spec.type != "boolean" or plain in (0.0, 1.0) else _BAD
    return _BAD if CONTROL.search(word) else word


def as_number(word: str, *, decimal: Decimal = ".") -> float | None:
    """A plain number as such; anything else is None."""
    if word.startswith(ROUNDED):
        word = word[len(ROUNDED) :]
    if decimal == ",":
        word = word.replace(".", "x").replace(",", ".")
    return float(word) + 0.0 if _NUMBER.fullmatch(word) else None  # -0 is 0


def excel_fault(word: str, *, spec: Column) -> str:
    """What Excel left instead of a value; "" where there is nothing to say."""
    if not word.startswith(MARK) and "E+" not in word:
        return ""
    if word.startswith(ERROR):
        return f"the error {word[len(ERROR) :]}"
    if word.startswith(FORMULA):
        return "a formula without its result (open the workbook in Excel, let it calculate, and save it)"
    if spec.type not in NUMERIC and word.startswith(ROUNDED):
        return "a number of more than 15 digits, of which Excel keeps 15 (format the column as text and type it anew)"
    if spec.timing == "id" and spec.type == "text" and re.fullmatch(r"\d[.,]\d+E\+\d+", word):
        return "a long number in Excel's short form, its last digits lost (format the column as text and type it anew)"
    return ""


def decimal_of(words: Collection[str], *, named: str, separator: str) -> Decimal | Literal["both"]:
    """The decimal sign of a number column; "both" where it has both."""
    if named in (".", ","):
        return named
    if separator != ";":
        return "."
    commas = any(re.fullmatch(r"[+-]?\d*,\d+", w, re.ASCII) for w in words)
    points = any(re.fullmatch(r"[+-]?\d*\.\d+", w, re.ASCII) for w in words)
    return "both" if commas and points else "," if commas else "."


def hint(word: Any, *, spec: Column, decimal: Decimal = ".", column: str = "") -> str:
    """What to try with a wrong cell; "" where nothing suggests itself."""
    if not isinstance(word, str):
        return ""
    if word.startswith((DATE, TIME)):
        words = spec.type in ("text", "category")
        return "Excel took it for a date; format the column as text and type it anew" if words else ""
    if spec.type == "text":
        return "a line break or another control character inside it" if CONTROL.search(word) else ""
    near, plain = nearest(word, spec.allowed), word.lower()
    if near and (plain not in _MISSING_LIKE or plain == near.lower()):
        return f"did you mean '{near}'?"
    if spec.type == "boolean" and plain in _YES:
        return f"did you mean '{_YES[plain]}'? Or recode it under [mapping.values.{spec.name}]"
    if plain in _MISSING_LIKE or (spec.type in NUMERIC and _CODES.fullmatch(word)):
        return 'if it means "not known", declare it in study.toml under [data] missing_words'
    if spec.type in ("number", "integer"):
        return _number_hint(word, spec=spec, decimal=decimal)
    if not word.isprintable():
        return "a line break or another control character inside it"
    return ""


def _number_hint(word: str, *, spec: Column, decimal: Decimal) -> str:
    """What a text in a number column may have meant; nothing where the number itself is out of range."""
    plain = next((n for n in (as_number(word), as_number(word, decimal=",")) if n is not None), None)
    low, high = (-math.inf if spec.low is None else spec.low), (math.inf if spec.high is None else spec.high)
    if plain is not None and not low <= plain <= high:
        return ""
    narrow = unicodedata.normalize("NFKC", word)
    if narrow != word and as_number(narrow) is not None:
        return f"did you mean '{narrow}'?"
    if DATE_LIKE.fullmatch(word):
        return ""
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+|[+-]?\d{1,3}(\.\d{3}){2,}", word):
        return (
            f"write it without signs between the thousands: '{_in(word.replace('.', '').replace(',', '.'), decimal)}'"
        )
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+|[+-]?\d{1,3}(,\d{3}){2,}", word):
        return f"write it without signs between the thousands: '{_in(word.replace(',', ''), decimal)}'"
    if re.fullmatch(r"[+-]?\d{1,3}([ '’\u00a0\u2009\u202f]\d{3})+([.,]\d+)?", word):
        return "write it without signs between the thousands"
    if re.fullmatch(r"[+-]?\d*,\d+", word) and decimal == ".":
        return f"did you mean '{word.replace(',', '.')}'? Or set decimal = \",\" under [data]"
    if re.fullmatch(r"[+-]?\d*\.\d+", word) and decimal == ",":
        return f"did you mean '{word.replace('.', ',')}'? [data] decimal is ','"
    if re.match(r"[<>≤≥＜＞]|(under|over|below|above|unter|über|bis)\b", word, re.IGNORECASE):
        return "a limit is no number: write the number that the study takes for it, or leave the cell empty"
    if word.endswith("%"):
        return "write the number without %"
    if re.match(r"(ca|circa|approx|about|etwa|env|约|~|≈|±)", word, re.IGNORECASE):
        return "write the number alone"
    found = re.fullmatch(r"([+-]?\d+(?:[.,]\d+)?)\s*[^\W\d][^\s\d]*[²³]?", word)
    if found:
        return f"write the number alone, without its unit: '{found[1]}'"
    if re.fullmatch(r"\d+(?:[.,]\d+)?\s*([-–—xX×*/]|to|bis|à)\s*\d+(?:[.,]\d+)?.*", word):
        return "wanted one number; it looks like several"
    return ""


def _in(word: str, decimal: Decimal) -> str:
    return word.replace(".", ",") if decimal == "," else word
