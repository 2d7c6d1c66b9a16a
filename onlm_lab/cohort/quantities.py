"""The values of what a rule speaks of, for all patients at once: each as the interval that its cells allow."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.cohort.performance_status import KPS_OF_ECOG
from onlm_lab.cohort.staging import ORDER, possible_stages, t_bounds
from onlm_lab.cohort.vocabulary import KPS_INPUTS, STAGE_INPUTS, T_INPUTS, Noun

Flags = NDArray[np.bool_]
FALSE, OPEN, TRUE = 0, 1, 2  # Kleene's three values: "and" is the least, "or" the greatest
BLANK = "?"  # what a log shows where nothing is known
_DATE = re.compile(r"\d{1,4}[-./年]\s?\d{1,2}[-./月]\s?\d{1,4}|^\d{8}$")


@dataclass(frozen=True, eq=False)
class Quantity:
    """What is known of one noun: distinct values, and which of them each patient has.

    Attributes:
        noun: what it is.
        codes: per patient, the place of the value in the arrays below.
        low, high: ends of what the value may be: a number, or a place in the scale; a word's own place.
        known: whether anything is known.
        said: the value as a log shows it, "?" where nothing is known.
        words: the words themselves, of a word.
    """

    noun: Noun
    codes: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    known: Flags
    said: NDArray[np.object_]
    words: tuple[str | None, ...] = ()


def measure(patients: pd.DataFrame, *, noun: Noun) -> Quantity:
    """What the table says of a noun."""
    if noun.inputs in _BOUNDED:
        return _BOUNDED[noun.inputs](patients, noun)
    cells = patients[noun.name]
    if noun.kind in ("number", "boolean"):
        codes, values = _distinct(cells.to_numpy(dtype=float))
        said = [_number(v, boolean=noun.kind == "boolean") for v in values]
        return Quantity(noun, codes, values, values, ~np.isnan(values), _said(said))
    codes, values = _distinct(cells.to_numpy(dtype=object))
    free = not noun.allowed and not noun.scale
    words = tuple(None if _silent(word, noun, free=free) else str(word) for word in values)
    said = _said([_shown(word, noun, given=value) for word, value in zip(words, values, strict=True)])
    known = np.array([word is not None for word in words], dtype=bool)
    if noun.scale is None:
        places = np.arange(len(words), dtype=float)
        return Quantity(noun, codes, places, places, known, said, words)
    ends = [noun.scale.ends(word) if word is not None else None for word in words]
    known &= np.array([end is not None for end in ends], dtype=bool)
    low, high = (np.array([end[i] if end else 0 for end in ends], dtype=float) for i in (0, 1))
    return Quantity(noun, codes, low, high, known, said, words)


def format_number(value: float) -> str:
    """A number as the table has it: 30, 17.9."""
    return f"{value:.10g}"


def alike(codes: list[NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row which distinct combination of codes it has, and the first row of each combination."""
    combined = codes[0].astype(np.int64)
    for more in codes[1:]:
        combined = combined * (int(more.max(initial=0)) + 1) + more
        combined = pd.factorize(combined)[0].astype(np.int64)
    _, first, places = np.unique(combined, return_index=True, return_inverse=True)
    return places, first


def _t(patients: pd.DataFrame, noun: Noun) -> Quantity:
    bounds = t_bounds(patients)
    ends = [pd.Index(ORDER).get_indexer(bounds[end]) for end in ("low", "high")]
    columns = [np.minimum(*ends), np.maximum(*ends)]  # a solid part larger than the whole bounds T from the wrong sides
    why, reasons = pd.factorize(bounds["why"])
    sizes, numbers = _distinct(_deciding_diameter(patients, why=why, reasons=reasons))
    codes, first = alike([*columns, why, sizes])
    low, high = (column[first] for column in columns)
    said = [
        (ORDER[a] if a == b else f"{ORDER[a]} to {ORDER[b]}") + f" ({_measured(reasons[c], numbers[d])})"
        for a, b, c, d in zip(low, high, why[first], sizes[first], strict=True)
    ]
    shift = noun.scale.levels.index(ORDER[0])
    return Quantity(noun, codes, low + float(shift), high + float(shift), np.ones(len(first), bool), _said(said))


def _deciding_diameter(patients: pd.DataFrame, *, why: NDArray[np.int64], reasons: pd.Index) -> NDArray[np.float64]:
    """The diameter in mm that T rests on by its reason; NaN where it rests on none."""
    solid = np.array([reason.startswith("solid diameter") for reason in reasons], dtype=bool)[why]
    total = np.array([reason.split(";")[0] in ("total diameter", "pure ground glass") for reason in reasons], bool)[why]
    columns = [patients[f"{part}_diameter_mm"].to_numpy(dtype=float) for part in ("solid", "total")]
    return np.select([solid, total], columns, default=np.nan)


def _measured(why: str, mm: float) -> str:
    """ "total diameter 22 mm; visceral pleura"."""
    first, *after = why.replace("_", " ").split("; ")
    size = "" if mm != mm else f" {format_number(mm)} mm"
    return "; ".join([f"{first.removesuffix(' of at most 5 mm')}{size}", *after])


def _stage(patients: pd.DataFrame, noun: Noun) -> Quantity:
    codes, groups = pd.factorize(possible_stages(patients))
    ends = [[noun.scale.ends(group) for group in found] for found in groups]
    low = np.array([min(first for first, _ in found) for found in ends], dtype=float)
    high = np.array([max(last for _, last in found) for found in ends], dtype=float)
    names = [(noun.scale.levels[int(a)], noun.scale.levels[int(b)]) for a, b in zip(low, high, strict=True)]
    said = [a if a == b else f"{a} to {b}" for a, b in names]
    return Quantity(noun, codes.astype(np.int64), low, high, np.ones(len(low), dtype=bool), _said(said))


def _kps(patients: pd.DataFrame, noun: Noun) -> Quantity:
    kps, ecog = (patients[name].to_numpy(dtype=float) for name in KPS_INPUTS)
    pairs = [pd.factorize(column, use_na_sentinel=False)[0] for column in (kps, np.where(np.isnan(kps), ecog, np.nan))]
    codes, first = alike(pairs)
    low, high, known, said = [], [], [], []
    for own, grade in zip(kps[first], ecog[first], strict=True):
        ends = (own, own) if own == own else KPS_OF_ECOG.get(grade)
        low.append(ends[0] if ends else np.nan)
        high.append(ends[1] if ends else np.nan)
        known.append(ends is not None)
        span = "?" if not ends else format_number(ends[0]) if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
        said.append(span if own == own or not ends else f"{span} (ECOG {format_number(grade)})")
    return Quantity(noun, codes, np.array(low, float), np.array(high, float), np.array(known, bool), _said(said))


_BOUNDED = {T_INPUTS: _t, STAGE_INPUTS: _stage, KPS_INPUTS: _kps}


def _distinct(cells: NDArray) -> tuple[NDArray[np.int64], NDArray]:
    codes, values = pd.factorize(cells, use_na_sentinel=False)
    return codes.astype(np.int64), np.asarray(values)


def _silent(word: object, noun: Noun, *, free: bool) -> bool:
    """Whether a cell says nothing: empty, or a word that says "not known"."""
    if word is None or word != word:
        return True
    return str(word).casefold() in noun.unknown if free else word in noun.unknown


def _number(value: float, *, boolean: bool) -> str:
    if value != value:
        return BLANK
    return {0.0: "no", 1.0: "yes"}.get(value, format_number(value)) if boolean else format_number(value)


def _shown(word: str | None, noun: Noun, *, given: object) -> str:
    """A word as a log shows it; free text and dates are not shown."""
    if word is None:
        return str(given) if isinstance(given, str) and given in noun.unknown else BLANK
    hidden = not noun.shown or (not noun.allowed and not noun.scale and (len(word) > 40 or _DATE.search(word)))
    return "(recorded)" if hidden else word


def _said(words: list[str]) -> NDArray[np.object_]:
    return np.array([*words, None], dtype=object)[:-1]
