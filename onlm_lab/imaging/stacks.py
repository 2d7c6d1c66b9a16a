"""Several stacks under one SeriesInstanceUID: two reconstructions, two phases, two orientations; told apart by a fact.

A stack is taken apart only where one fact of the header, or two, gives parts that are sound in themselves: nothing is
guessed from the order of files.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    "study": lambda h: h.study_uid,
}
SAME_COSINE, SAME_SPACING_MM = 0.01, 1e-3  # what differs by less is one orientation, one pixel spacing


def _geometry(headers: Sequence[Header]) -> dict[str, Callable[[Header], object]]:
    turned = _clusters((h.orientation for h in headers), SAME_COSINE)
    sized = _clusters((h.pixel_spacing_mm for h in headers), SAME_SPACING_MM)
    return {
        "orientation": lambda h: turned[h.orientation],
        "size": lambda h: (h.rows, h.columns),
        "pixel spacing": lambda h: sized[h.pixel_spacing_mm],
        "frame of reference": lambda h: h.frame_of_reference_uid,
    }


def _clusters(values: Iterable[tuple[float, ...]], tolerance: float) -> dict[tuple[float, ...], tuple[float, ...]]:
    """Each value with the one that stands for all that are as good as equal to it."""
    found: dict[tuple[float, ...], tuple[float, ...]] = {}
    known: list[tuple[float, ...]] = []
    for value in sorted(set(values)):
        near = (
            one
            for one in known
            if len(one) == len(value) and max(map(abs, map(float.__sub__, one, value)), default=0.0) <= tolerance
        )
        found[value] = next(near, value)
        if found[value] is value:
            known.append(value)
    return found


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
    differing = {name: fact for name, fact in _FACTS.items() if _differs(headers, fact)}
    if len({_of_geometry(header) for header in headers}) == 1 and _sound(headers):
        return _interleaved(headers, differing) or whole
    geometry = _geometry(headers)
    by_geometry = _apart_by(headers, {name: fact for name, fact in geometry.items() if _differs(headers, fact)})
    if by_geometry:
        return by_geometry if all(_single(stack.headers) for stack in by_geometry) else whole
    if any(_differs(headers, fact) for fact in geometry.values()):
        return whole
    if _sound(headers):
        return _interleaved(headers, differing) or whole
    for n_facts in (1, 2):
        for names in itertools.combinations(differing, n_facts):
            found = _apart_by(headers, {name: differing[name] for name in names})
            if found and all(_sound(stack.headers) for stack in found):
                return found
    return whole


def _interleaved(headers: Sequence[Header], facts: Mapping[str, Callable[[Header], object]]) -> tuple[Stack, ...]:
    """Two scans whose slices fall between one another's: each sound in itself, and together as even as one scan."""
    order = np.argsort(positions_mm(headers), kind="stable")
    for name, fact in facts.items():
        found = _apart_by(headers, {name: fact})
        if found and all(_sound(stack.headers) for stack in found):
            said = [_key(fact(headers[k])) for k in order]
            if sum(a != b for a, b in itertools.pairwise(said)) >= len(found):  # those that follow one another: fewer
                return found
    return ()


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
