"""A condition against patients: true, false or open, and in words why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.cohort.conditions import All, Any, Leaf, Node, nouns_of
from onlm_lab.cohort.kleene import states
from onlm_lab.cohort.look_up import missing_columns, not_known
from onlm_lab.cohort.quantities import OPEN, TRUE, Quantity, alike
from onlm_lab.cohort.reasons import explain, fill


@dataclass(frozen=True, eq=False)
class Verdicts:
    """A condition's outcome for each patient (FALSE, OPEN or TRUE), what was read, why, and what is missing.

    `value` and `reason` are shared strings; `missing` has a tuple of columns where the outcome is open, else None.
    """

    states: NDArray[np.int8]
    value: NDArray[np.object_]
    reason: NDArray[np.object_]
    missing: NDArray[np.object_]


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
        missing[undecided] = missing_columns(node, quantities=quantities, patients=patients, rows=undecided)
        reasons[undecided] = not_known(node, missing[undecided], quantities=quantities, rows=undecided)
    return Verdicts(outcome.astype(np.int8), value[who], reasons, missing)


def leaves_of(node: Node) -> list[Leaf]:
    """The leaves of a condition, each once, in the order of its words."""
    if isinstance(node, All | Any):
        return list(dict.fromkeys(leaf for part in node.parts for leaf in leaves_of(part)))
    return [node]
