"""Why a condition passed or failed, in words, with each patient's values in their places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onlm_lab.cohort.conditions import OPPOSITE, Against, All, Any, Known, Leaf, Node, Recorded, nouns_of
from onlm_lab.cohort.quantities import FALSE, TRUE, format_number
from onlm_lab.cohort.vocabulary import Noun

Part = str | Noun  # of a sentence: words, or the place of a patient's value
_AT = {">=": "at least", ">": "more than", "<=": "at most", "<": "below", "==": "equal to", "!=": "other than"}


def explain(node: Node, seen: Mapping[Leaf, int], *, passed: bool) -> list[Part]:
    """The parts of a sentence: what made it pass, or what was not met.

    Args:
        node: the condition.
        seen: FALSE, OPEN or TRUE of each leaf.
        passed: which of the two it was.
    """
    return _joined(_met(node, seen), ", ") if passed else ["not met: ", *_unmet(node, seen)]


def in_words(node: Node) -> str:
    """A condition as a sentence would have it, without a patient's values."""
    if isinstance(node, All | Any):
        word = " and " if isinstance(node, All) else " or "
        return word.join(f"({in_words(p)})" if isinstance(p, All | Any) else in_words(p) for p in node.parts)
    return _wanted(node)


def _state(node: Node, seen: Mapping[Leaf, int]) -> int:
    if isinstance(node, All | Any):
        return (min if isinstance(node, All) else max)(_state(part, seen) for part in node.parts)
    return seen[node]


def _met(node: Node, seen: Mapping[Leaf, int]) -> list[list[Part]]:
    """What made it pass, fact by fact: all parts of an "and", the first that holds of an "or"."""
    if isinstance(node, All):
        return [fact for part in node.parts for fact in _met(part, seen)]
    if isinstance(node, Any):
        return _met(next(part for part in node.parts if _state(part, seen) == TRUE), seen)
    return [_fact(node)]


def _unmet(node: Node, seen: Mapping[Leaf, int], *, inside: bool = False) -> list[Part]:
    """What made it fail: the parts of an "and" that fail, all parts of an "or"."""
    if not isinstance(node, All | Any):
        return _wanted_and_found(node)
    failing = [part for part in node.parts if _state(part, seen) == FALSE]
    if isinstance(node, Any):  # what was meant for an empty cell says nothing about a filled one
        failing = [part for part in failing if not _for_empty_cells(part, seen)] or failing
    word = " and " if isinstance(node, All) else " or "
    if isinstance(node, All) and not inside:
        word = "; "
    told = _joined([_unmet(part, seen, inside=True) for part in failing], word)
    return ["(", *told, ")"] if inside and len(failing) > 1 else told


def _for_empty_cells(node: Node, seen: Mapping[Leaf, int]) -> bool:
    """Whether a branch fails because it asks for a cell to be empty."""
    parts = node.parts if isinstance(node, All) else (node,)
    return any(isinstance(part, Known) and part.negated and seen[part] == FALSE for part in parts)


def _joined(groups: list[list[Part]], word: str) -> list[Part]:
    """Groups of parts with a word between them, each group once."""
    once = [group for i, group in enumerate(groups) if group not in groups[:i]]
    return [part for i, group in enumerate(once) for part in ([word, *group] if i else group)]


def _fact(leaf: Leaf) -> list[Part]:
    """What is so: "age 61 years", "clinical N: N0"."""
    if isinstance(leaf, Recorded | Known):
        return [_wanted(leaf)]
    parts = _value(leaf.noun)
    if isinstance(leaf, Against) and isinstance(leaf.other, Noun):
        parts = [*parts, ", ", *_value(leaf.other)]
    return parts


def _value(noun: Noun) -> list[Part]:
    between = " " if noun.kind == "number" else ": "
    return [f"{noun.label}{between}", noun, f" {noun.unit}" if noun.unit else ""]


def _wanted_and_found(leaf: Leaf) -> list[Part]:
    """What was wanted and what is so: "age at least 18 years (is 17.9)"."""
    if isinstance(leaf, Known):
        return [_wanted(leaf)]
    if isinstance(leaf, Recorded):
        nouns = [[noun] for noun in nouns_of(leaf).values()]
        return [_wanted(leaf), " (is ", *_joined(nouns, ", "), ")"]
    found: list[Part] = [_wanted(leaf), " (is ", leaf.noun, ")"]
    if isinstance(leaf, Against) and isinstance(leaf.other, Noun):
        found[-1:] = [f", {leaf.other.label} ", leaf.other, ")"]
    return found


def _wanted(leaf: Leaf) -> str:
    """A leaf as a wish: "age at least 18 years", "clinical N: N0", "nodule type: not pure_ggo"."""
    if isinstance(leaf, Recorded):
        return f"{'no ' if leaf.negated else ''}record of {in_words(leaf.condition).removesuffix(': yes')}"
    noun = leaf.noun
    if isinstance(leaf, Known):
        return f"{noun.label} {'not ' if leaf.negated else ''}known"
    unit = f" {noun.unit}" if noun.unit else ""
    if isinstance(leaf, Against):
        if isinstance(leaf.other, Noun):
            return f"{noun.label} {_AT[leaf.sign]} {leaf.other.label}"
        if noun.kind == "boolean":
            yes = (leaf.other == 1.0) == (leaf.sign == "==")
            return f"{noun.label}: {'yes' if yes else 'no'}"
        return f"{noun.label} {_AT[leaf.sign]} {format_number(leaf.other)}{unit}"
    sign, _, word = leaf.sign.partition(" ")
    if sign in OPPOSITE and word:
        sign = OPPOSITE[sign] if leaf.negated else sign
        return f"{noun.label} {_AT[sign]} {word}"
    named = " or ".join(v if isinstance(v, str) else format_number(v) for v in leaf.values)
    return f"{noun.label}: {'not ' if leaf.negated else ''}{named}{unit}"


def fill(parts: list[Part], told: Mapping[str, NDArray], n: int, *, skip: int = 0) -> NDArray[np.object_]:
    """One sentence for each of n patients, their values in the places of the nouns."""
    text: NDArray | str = ""
    for part in parts:
        text = text + (told[part.name] if isinstance(part, Noun) else part)
    if isinstance(text, str):
        return np.full(n, text[skip:], dtype=object)
    return np.array([word[skip:] for word in text] + [None], dtype=object)[:-1]
