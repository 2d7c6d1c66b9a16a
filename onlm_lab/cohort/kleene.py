"""Kleene's logic over many patients at once: true, false, or open where what is known does not suffice.

Kleene SC, Introduction to Metamathematics, 1952, pp. 332-335: "and" is false if one part is,
true if all are, else open.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from onlm_lab.cohort.conditions import All, Among, Any, Known, Node, Recorded
from onlm_lab.cohort.quantities import FALSE, OPEN, TRUE, Flags, Quantity
from onlm_lab.cohort.vocabulary import Noun


def states(
    node: Node, *, quantities: Mapping[str, Quantity], rows: NDArray[np.int64] | None = None
) -> NDArray[np.int8]:
    """FALSE, OPEN or TRUE for each patient, or for those at `rows`."""
    if isinstance(node, All | Any):
        parts = [states(part, quantities=quantities, rows=rows) for part in node.parts]
        return np.minimum.reduce(parts) if isinstance(node, All) else np.maximum.reduce(parts)
    if isinstance(node, Recorded):
        inner = states(node.condition, quantities=quantities, rows=rows)
        return _two_valued((inner == TRUE) ^ node.negated)
    quantity = quantities[node.noun.name]
    codes = quantity.codes if rows is None else quantity.codes[rows]
    if isinstance(node, Known):
        return _two_valued((quantity.known & (_point(quantity))) ^ node.negated)[codes]
    if isinstance(node, Among):
        return _among(node, quantity)[codes]
    if isinstance(node.other, Noun):
        other = quantities[node.other.name]
        there = other.codes if rows is None else other.codes[rows]
        known = quantity.known[codes] & other.known[there]
        ends = (quantity.low[codes], quantity.high[codes], other.low[there], other.high[there])
        return _compared(node.sign, *ends, known=known)
    return _compared(node.sign, quantity.low, quantity.high, node.other, node.other, known=quantity.known)[codes]


def _two_valued(yes: Flags) -> NDArray[np.int8]:
    return np.where(yes, TRUE, FALSE).astype(np.int8)


def _point(quantity: Quantity) -> Flags:
    return quantity.low == quantity.high


def _kleene(yes: Flags, no: Flags, *, known: Flags) -> NDArray[np.int8]:
    return np.select([~known, yes, no], [OPEN, TRUE, FALSE], default=OPEN).astype(np.int8)


def _compared(
    sign: str, low: NDArray, high: NDArray, first: NDArray, last: NDArray, *, known: Flags
) -> NDArray[np.int8]:
    """Whether everything in one interval stands to everything in the other as the sign says, or nothing does."""
    if sign in ("<", ">="):
        yes, no = high < first, low >= last
    elif sign in ("<=", ">"):
        yes, no = high <= first, low > last
    else:
        yes, no = (low == high) & (first == last) & (low == first), (high < first) | (low > last)
    if sign in (">=", ">", "!="):
        yes, no = no, yes
    return _kleene(yes, no, known=known)


def _among(node: Among, quantity: Quantity) -> NDArray[np.int8]:
    """Whether each distinct value is one of those named; of a grade, whether all that it may be are."""
    noun = node.noun
    if noun.scale:
        inside = np.zeros(len(noun.scale.levels), dtype=bool)
        for word in node.values:
            first, last = noun.scale.ends(word)
            inside[first : last + 1] = True
        upto = np.concatenate([[0], np.cumsum(inside)])
        low, high = quantity.low.astype(int), quantity.high.astype(int)
        n_inside = upto[high + 1] - upto[low]
        yes, no = n_inside == high - low + 1, n_inside == 0
    elif noun.kind == "word":
        yes = np.array([word in node.values for word in quantity.words], dtype=bool)
        no = ~yes
    else:
        wanted = np.array(node.values, dtype=float)
        yes = _point(quantity) & np.isin(quantity.low, wanted)
        no = ~((wanted >= quantity.low[:, None]) & (wanted <= quantity.high[:, None])).any(axis=1)
    return _kleene(no, yes, known=quantity.known) if node.negated else _kleene(yes, no, known=quantity.known)
