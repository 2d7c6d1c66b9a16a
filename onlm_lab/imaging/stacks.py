"""Several stacks under one SeriesInstanceUID: two reconstructions, two phases, two orientations; told apart by a fact.

A stack is taken apart only where one fact of the header, or two, gives parts that are sound in themselves: nothing is
guessed from the order of files.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from onlm_lab.imaging.geometry import apart, is_even, positions_mm
from onlm_lab.imaging.header import Header

FEWEST = 3  # slices of a stack
_FACTS: dict[str, Callable[[Header], object]] = {
    "acquisition": lambda h: h.acquisition,
    "phase": lambda h: h.phase,
    "stack": lambda h: h.stack,
    "kernel": lambda h: h.kernel,
    "thickness": lambda h: h.thickness_mm,
    "image type": lambda h: "\\".join(h.image_type),
    "kVp": lambda h: h.kvp,
    "contrast": lambda h: "yes" if h.contrast else "no",
}
_GEOMETRY: dict[str, Callable[[Header], object]] = {
    "orientation": lambda h: _rounded(h.orientation, 2),
    "size": lambda h: (h.rows, h.columns),
    "pixel spacing": lambda h: _rounded(h.pixel_spacing_mm, 3),
    "frame of reference": lambda h: h.frame_of_reference_uid,
}


@lru_cache(maxsize=4096)
def _rounded(values: tuple[float, ...], digits: int) -> tuple[float, ...]:
    return tuple(round(value, digits) + 0.0 for value in values)


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of a series that belong together; `name` says what sets them apart, "" where the series has one stack."""

    name: str
    headers: tuple[Header, ...]


def stacks_of(headers: Sequence[Header]) -> tuple[Stack, ...]:
    """The stacks of one series, in a fixed order; a single one where it is one, or cannot be taken apart soundly.

    Args:
        headers: slices that can each be placed in the patient.
    """
    whole = (Stack("", tuple(headers)),)
    if len({_of_geometry(header) for header in headers}) == 1 and _sound(headers):
        return whole
    by_geometry = _apart_by(headers, {name: fact for name, fact in _GEOMETRY.items() if _differs(headers, fact)})
    if by_geometry:
        return by_geometry if all(_single(stack.headers) for stack in by_geometry) else whole
    if any(_differs(headers, fact) for fact in _GEOMETRY.values()) or _sound(headers):
        return whole
    differing = {name: fact for name, fact in _FACTS.items() if _differs(headers, fact)}
    for n_facts in (1, 2):
        for names in itertools.combinations(differing, n_facts):
            found = _apart_by(headers, {name: differing[name] for name in names})
            if found and all(_sound(stack.headers) for stack in found):
                return found
    return whole


def _of_geometry(header: Header) -> tuple[object, ...]:
    return header.orientation, header.rows, header.columns, header.pixel_spacing_mm, header.frame_of_reference_uid


def _differs(headers: Sequence[Header], fact: Callable[[Header], object]) -> bool:
    return len({_key(fact(header)) for header in headers}) > 1


def _key(value: object) -> object:
    return "not recorded" if value in ("", ()) or (isinstance(value, float) and math.isnan(value)) else value


def _apart_by(headers: Sequence[Header], facts: dict[str, Callable[[Header], object]]) -> tuple[Stack, ...]:
    """Parts that share these facts, or nothing where a part is too small to be a stack."""
    parts: dict[tuple[object, ...], list[Header]] = {}
    for header in headers:
        parts.setdefault(tuple(_key(fact(header)) for fact in facts.values()), []).append(header)
    if len(parts) < 2 or min(map(len, parts.values())) < FEWEST:
        return ()
    return tuple(
        Stack(", ".join(f"{name} {_said(value)}" for name, value in zip(facts, key, strict=True)), tuple(members))
        for key, members in sorted(parts.items(), key=lambda item: _natural(str(item[0])))
    )


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return " x ".join(f"{part:g}" for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _natural(text: str) -> list[object]:
    """A key by which "2" comes before "10"."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text)]


def _single(headers: Sequence[Header]) -> bool:
    return bool(apart(np.sort(positions_mm(headers))).all())


def _sound(headers: Sequence[Header]) -> bool:
    """Whether no two slices lie at one place and all lie on an even grid."""
    along = np.sort(positions_mm(headers))
    return bool(apart(along).all()) and is_even(along)
