"""What to look up where a condition is open: the columns that could settle it, and what is said of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.cohort.conditions import All, Any, Leaf, Node, nouns_of
from onlm_lab.cohort.kleene import states
from onlm_lab.cohort.quantities import OPEN, TRUE, Flags, Quantity, alike, measure
from onlm_lab.cohort.vocabulary import LABELS, STAGE_INPUTS, T_INPUTS, Noun

# One diameter in each class of size, and on each side of 5 and of 30 mm.
_DIAMETERS = (0.5, 3.0, 7.0, 15.0, 25.0, 35.0, 45.0, 60.0, 80.0, 250.0)
_EDGES = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 70.0, np.inf)  # each class closed on the right; missing last
_POSSIBLE = {
    "nodule_type": ("solid", "part_solid", "pure_ggo"), "total_diameter_mm": _DIAMETERS,
    "solid_diameter_mm": _DIAMETERS, "t_descriptor": ("none", "main_bronchus", "satellite", "other_t4"),
    "clinical_n": ("N0", "N1", "N2", "N3"), "clinical_m": ("M0", "M1a", "M1c"),
}  # fmt: skip


def missing_columns(
    node: Node, *, quantities: Mapping[str, Quantity], patients: pd.DataFrame, rows: NDArray[np.int64]
) -> NDArray[np.object_]:
    """The columns that could settle a condition, for patients for whom it is open: a tuple each, shared.

    Args:
        node: the condition.
        quantities: what is known of everything that it speaks of.
        patients: the table.
        rows: the places of those patients.
    """
    found, opened = [set() for _ in rows], []
    for leaf, open_here in _open_leaves(node, quantities=quantities, rows=rows):
        at = np.flatnonzero(open_here)
        nouns = nouns_of(leaf).values()
        for noun in nouns:
            here = patients.iloc[rows[at]][list(noun.inputs)]
            if len(nouns) == 1 and noun.inputs in (T_INPUTS, STAGE_INPUTS):
                told = _settling(here, leaf=leaf, noun=noun)
            else:
                told = _not_known(here, quantity=quantities[noun.name], rows=rows[at])
            for i, names in zip(at, told, strict=True):
                found[i].update(names)
            opened.append((at, noun))
    wide = np.array([not names for names in found], dtype=bool)  # the bounds alone are too wide to tell
    for at, noun in opened:
        at = at[wide[at]]
        for i, gone in zip(at, _empty(patients.iloc[rows[at]][list(noun.inputs)]), strict=True):
            found[i].update(itertools.compress(noun.inputs, gone))
    order = {name: i for i, name in enumerate(dict.fromkeys(c for n in nouns_of(node).values() for c in n.inputs))}
    shared: dict[frozenset[str], tuple[str, ...]] = {}
    for names in map(frozenset, found):
        if names not in shared:
            shared[names] = tuple(sorted(names, key=order.__getitem__))
    return _tuples([shared[frozenset(names)] for names in found])


def not_known(
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
        partly = (quantity.known & (quantity.low != quantity.high))[codes]
        partly &= np.array([not names or bool(set(names) & set(noun.inputs)) for names in missing], dtype=bool)
        said = np.array([f"; so far {noun.label} {word}" for word in quantity.said] + [None], dtype=object)[:-1]
        told[partly] = told[partly] + said[codes[partly]]
    return told


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


def _empty(cells: pd.DataFrame) -> Flags:
    """Patients x columns: where nothing is known; NX and MX say nothing."""
    return (cells.isna() | cells.isin(["NX", "MX"])).to_numpy()


def _not_known(cells: pd.DataFrame, *, quantity: Quantity, rows: NDArray[np.int64]) -> list[tuple[str, ...]]:
    """The inputs of one noun that leave it open; of a noun of several columns, the empty ones."""
    settled = (quantity.known & (quantity.low == quantity.high))[quantity.codes[rows]]
    gone = np.ones((len(rows), 1), dtype=bool) if len(quantity.noun.inputs) == 1 else _empty(cells)
    return [tuple(itertools.compress(quantity.noun.inputs, row)) for row in gone & ~settled[:, None]]


def _settling(cells: pd.DataFrame, *, leaf: Leaf, noun: Noun) -> NDArray[np.object_]:
    """Of the empty inputs of clinical T or stage those that could change the answer; patients alike are tried once.

    None where every completion gives the same answer and only the bounds are too wide to tell.
    """
    empty = _empty(cells)
    found = _tuples([()] * len(cells))
    which, first = alike(list(empty.T.astype(np.int64)))
    for mask, gone in enumerate(empty[first]):
        at = np.flatnonzero(which == mask)
        inputs = cells.iloc[at].reset_index(drop=True)
        codes, one = _rows_alike(inputs)
        names = tuple(itertools.compress(noun.inputs, gone))
        found[at] = _that_matter(inputs.iloc[one].reset_index(drop=True), absent=names, leaf=leaf, noun=noun)[codes]
    return found


def _that_matter(inputs: pd.DataFrame, *, absent: tuple[str, ...], leaf: Leaf, noun: Noun) -> NDArray[np.object_]:
    """Tries every completion of the absent inputs: one matters where the answer changes with it, the others equal."""
    if not absent:
        return _tuples([()] * len(inputs))
    choices = list(itertools.product(*(_POSSIBLE[name] for name in absent)))
    trial = inputs.loc[inputs.index.repeat(len(choices))].reset_index(drop=True)
    for j, name in enumerate(absent):
        kind = float if trial[name].dtype == float else object
        trial[name] = np.array([choice[j] for choice in choices] * len(inputs), dtype=kind)
    quantity = measure(trial, noun=noun)
    each = replace(quantity, codes=np.arange(len(quantity.known)))
    shape = (len(inputs), *(len(_POSSIBLE[name]) for name in absent))
    answer = (states(leaf, quantities={noun.name: each}) == TRUE)[quantity.codes].reshape(shape)
    # The solid part is no larger than the whole; by class, as diameters of one class stand for each other here.
    solid, total = (
        np.searchsorted(_EDGES, trial[f"{part}_diameter_mm"].to_numpy(float)) for part in ("solid", "total")
    )
    possible = solid <= total
    if "solid_diameter_mm" not in absent and "nodule_type" in absent:  # a solid part: no pure ground glass
        possible &= ~((trial["nodule_type"] == "pure_ggo") & (trial["solid_diameter_mm"] > 0)).to_numpy()
    possible = possible.reshape(shape)
    said = np.zeros((len(inputs), len(absent)), dtype=bool)
    for axis in range(1, len(shape)):
        yes, no = (possible & answer).any(axis=axis), (possible & ~answer).any(axis=axis)
        said[:, axis - 1] = (yes & no).reshape(len(inputs), -1).any(axis=1)
    return _tuples([tuple(itertools.compress(absent, row)) for row in said])


def _rows_alike(table: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row which distinct row it is, and where each stands first; diameters of one class of size are alike."""
    codes = [
        np.searchsorted(_EDGES, table[name].to_numpy(dtype=float), side="left")
        if table[name].dtype == float
        else pd.factorize(table[name], use_na_sentinel=False)[0]
        for name in table
    ]
    return alike(codes)


def _tuples(rows: list[tuple[str, ...]]) -> NDArray[np.object_]:
    """An array of tuples; numpy would make a matrix of them."""
    found = np.empty(len(rows), dtype=object)
    found[:] = rows
    return found
