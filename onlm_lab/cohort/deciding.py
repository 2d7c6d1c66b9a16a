"""A condition against patients: true, false or open (Kleene), and in words why.

Kleene SC, Introduction to Metamathematics, 1952, pp. 332-335: "and" is false if one part is,
true if all are, else open.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.cohort.conditions import Against, All, Among, Any, Known, Leaf, Node, Recorded, nouns_of
from onlm_lab.cohort.quantities import FALSE, OPEN, TRUE, Flags, Quantity, alike, empty_cells, missing_inputs
from onlm_lab.cohort.reasons import explain, fill
from onlm_lab.cohort.vocabulary import LABELS, Noun


@dataclass(frozen=True, eq=False)
class Verdicts:
    """A condition's outcome for each patient (FALSE, OPEN or TRUE), what was read, why, and what is missing.

    `value` and `reason` are shared strings; `missing` has a tuple of columns where the outcome is open, else None.
    """

    states: NDArray[np.int8]
    value: NDArray[np.object_]
    reason: NDArray[np.object_]
    missing: NDArray[np.object_]


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


def decide(node: Node, *, quantities: Mapping[str, Quantity], patients: pd.DataFrame) -> Verdicts:
    """The outcome for every patient with its reason; patients who read alike are judged once."""
    nouns = nouns_of(node)
    who, first = alike([quantities[name].codes for name in nouns])
    found = states(node, quantities=quantities, rows=first)
    told = {name: quantities[name].said[quantities[name].codes[first]] for name in nouns}
    value = fill([p for noun in nouns.values() for p in (f", {noun.name} ", noun)], told, len(first), skip=2)
    reason = np.full(len(first), "", dtype=object)
    leaves = leaves_of(node)
    seen = np.stack([states(leaf, quantities=quantities, rows=first) for leaf in leaves]).astype(np.int64)
    pattern, where = alike(list(seen))
    order = np.argsort(pattern, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(pattern[order])) + 1) if len(order) else []:
        if found[at[0]] != OPEN:
            seen_here = dict(zip(leaves, seen[:, where[pattern[at[0]]]], strict=True))
            parts = explain(node, seen_here, passed=found[at[0]] == TRUE)
            reason[at] = fill(parts, {name: words[at] for name, words in told.items()}, len(at))
    outcome, reasons = found[who], reason[who]
    missing = np.full(len(who), None, dtype=object)
    undecided = np.flatnonzero(outcome == OPEN)
    if len(undecided):
        missing[undecided] = _missing(node, quantities=quantities, patients=patients, rows=undecided)
        reasons[undecided] = _unknown(node, missing[undecided], quantities=quantities, rows=undecided)
    return Verdicts(outcome.astype(np.int8), value[who], reasons, missing)


def leaves_of(node: Node) -> list[Leaf]:
    """The leaves of a condition, each once, in the order of its words."""
    if isinstance(node, All | Any):
        return list(dict.fromkeys(leaf for part in node.parts for leaf in leaves_of(part)))
    return [node]


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


# --- what is missing -------------------------------------------------------------------------------------------------


def _missing(
    node: Node, *, quantities: Mapping[str, Quantity], patients: pd.DataFrame, rows: NDArray[np.int64]
) -> NDArray[np.object_]:
    """For patients whose outcome is open: the columns that could settle it."""
    found, opened = [set() for _ in rows], []
    for leaf, open_here in _open_leaves(node, quantities=quantities, rows=rows):
        at = np.flatnonzero(open_here)
        if not len(at):
            continue
        for noun in nouns_of(leaf).values():
            here = patients.iloc[rows[at]]

            def holds(quantity: Quantity, leaf: Leaf = leaf, noun: Noun = noun) -> Flags:
                every = np.arange(len(quantity.known))
                return states(leaf, quantities={noun.name: _each(quantity, every)}) == TRUE

            if len(noun.inputs) == 1 or (isinstance(leaf, Against) and isinstance(leaf.other, Noun)):
                told = _not_known(quantities[noun.name], rows[at], here)
            else:
                told = missing_inputs(here, noun=noun, holds=holds)
            for i, names in zip(at, told, strict=True):
                found[i].update(names)
            opened.append((at, noun))
    wide = np.array([not names for names in found], dtype=bool)  # the bounds alone are too wide to tell
    for at, noun in opened:
        at = at[wide[at]]
        for i, gone in zip(at, empty_cells(patients.iloc[rows[at]], names=noun.inputs), strict=True):
            found[i].update(itertools.compress(noun.inputs, gone))
    order = {name: i for i, name in enumerate(dict.fromkeys(c for n in nouns_of(node).values() for c in n.inputs))}
    shared: dict[frozenset[str], tuple[str, ...]] = {}
    told = np.empty(len(rows), dtype=object)
    for i, names in enumerate(found):
        key = frozenset(names)
        told[i] = shared.setdefault(key, tuple(sorted(names, key=order.__getitem__)))
    return told


def _each(quantity: Quantity, codes: NDArray[np.int64]) -> Quantity:
    """The same with one patient for each distinct value."""
    return Quantity(quantity.noun, codes, quantity.low, quantity.high, quantity.known, quantity.said, quantity.words)


def _not_known(quantity: Quantity, rows: NDArray[np.int64], patients: pd.DataFrame) -> list[tuple[str, ...]]:
    """The inputs of one noun that leave it open; of a noun of several columns, the empty ones."""
    codes = quantity.codes[rows]
    settled = quantity.known[codes] & (quantity.low == quantity.high)[codes]
    if len(quantity.noun.inputs) == 1:
        return [() if done else quantity.noun.inputs for done in settled]
    empty = empty_cells(patients, names=quantity.noun.inputs)
    return [
        () if done else tuple(n for n, gone in zip(quantity.noun.inputs, row, strict=True) if gone)
        for done, row in zip(settled, empty, strict=True)
    ]


def _open_leaves(
    node: Node, *, quantities: Mapping[str, Quantity], rows: NDArray[np.int64]
) -> list[tuple[Leaf, Flags]]:
    """Each leaf with the patients in whom it is open and the branches above it are open too."""
    here = states(node, quantities=quantities, rows=rows) == OPEN
    if not isinstance(node, All | Any):
        return [(node, here)]
    return [
        (leaf, flags & here)
        for part in node.parts
        for leaf, flags in _open_leaves(part, quantities=quantities, rows=rows)
    ]


def _unknown(
    node: Node, missing: NDArray[np.object_], *, quantities: Mapping[str, Quantity], rows: NDArray[np.int64]
) -> NDArray[np.object_]:
    """ "not known: PET/CT done", and how far a quantity that is partly known goes."""
    labels = LABELS | {n.name: n.label for n in nouns_of(node).values()}
    texts = {names: "not known: " + ", ".join(labels[name] for name in names) for names in set(missing)}
    texts[()] = "cannot be told, although nothing is missing"  # such as stage IIB to IVB of a Tis with N1
    told = np.array([texts[names] for names in missing] + [None], dtype=object)[:-1]
    for name, noun in nouns_of(node).items():
        if len(noun.inputs) == 1:
            continue
        quantity = quantities[name]
        codes = quantity.codes[rows]
        partly = (quantity.known & ~_point(quantity))[codes]
        partly &= np.array([not names or bool(set(names) & set(noun.inputs)) for names in missing], dtype=bool)
        said = np.array([f"; so far {noun.label} {word}" for word in quantity.said] + [None], dtype=object)[:-1]
        told[partly] = told[partly] + said[codes[partly]]
    return told
