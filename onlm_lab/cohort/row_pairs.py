"""Which pairs of rows are compared at all: of a large table only those that share some cells (blocking)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

ALL_PAIRS_UP_TO = 1500  # patients; above, only pairs that share two or three cells are compared
STRONGEST = 8  # columns, by their bits, whose combinations are looked at
PAIRS_A_BLOCK = 2  # at most that many pairs a patient from one combination of columns


def key(pairs: np.ndarray, *, n: int) -> np.ndarray:
    """One number a pair of rows, of a table of n."""
    return pairs[:, 0] * n + pairs[:, 1]


def unique(pairs: np.ndarray, *, n: int) -> np.ndarray:
    """Each pair once, in order."""
    keys = np.sort(key(pairs, n=n))  # np.unique hashes, which is far slower on millions
    keys = keys[np.diff(keys, prepend=-1) > 0]
    return np.column_stack([keys // n, keys % n])


def candidates(values: Mapping[str, np.ndarray], *, bits: Mapping[str, float], n: int) -> np.ndarray:
    """Pairs (i < j) that may be one person: all of a small table; of a large one those that share two or three cells.

    Of each combination of columns the rarer shared values are taken, up to PAIRS_A_BLOCK pairs a patient.

    Args:
        values: by column, a number a row (n,); NaN: unknown.
        bits: by column, how much an agreement says on the mean; the strongest columns are combined.
        n: rows.
    """
    if n <= ALL_PAIRS_UP_TO:
        return np.column_stack(np.triu_indices(n, k=1)).astype(np.int64)
    codes = {name: np.where(np.isnan(v), -1, np.unique(v, return_inverse=True)[1]) for name, v in values.items()}
    strong = sorted(values, key=lambda name: -bits[name])[:STRONGEST]
    found, whole = [np.empty((0, 2), dtype=np.int64)], set()
    for names in [*combinations(strong, 2), *combinations(strong, 3)]:
        if any(pair in whole for pair in combinations(names, 2)):
            continue
        pairs, all_of_them = _block([codes[name] for name in names], limit=PAIRS_A_BLOCK * n)
        found.append(pairs)
        if all_of_them:
            whole.add(names)
    return unique(np.concatenate(found), n=n)


def _block(codes: list[np.ndarray], *, limit: int) -> tuple[np.ndarray, bool]:
    """Pairs of rows that share these cells, the rarest combinations first up to a limit; and whether these are all."""
    known = np.flatnonzero(np.all([c >= 0 for c in codes], axis=0))
    key = np.zeros(len(known), dtype=np.int64)
    for c in codes:
        key = key * (int(c.max(initial=0)) + 1) + c[known].astype(np.int64)
    order = np.argsort(key, kind="stable")
    rows, key = known[order], key[order]
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]]) if len(key) else np.empty(0, dtype=np.int64)
    sizes = np.diff(np.r_[starts, len(key)])
    by_size = np.bincount(sizes) if len(sizes) else np.zeros(1, dtype=np.int64)
    n_pairs = np.cumsum(by_size * (np.arange(len(by_size)) * (np.arange(len(by_size)) - 1) // 2))
    largest = int(np.searchsorted(n_pairs, limit, side="right")) - 1
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for size in np.unique(sizes[(sizes >= 2) & (sizes <= largest)]):
        members = rows[starts[sizes == size][:, None] + np.arange(size)]  # (groups, size)
        i, j = np.triu_indices(size, k=1)
        pairs.append(np.column_stack([members[:, i].ravel(), members[:, j].ravel()]))
    return np.sort(np.concatenate(pairs), axis=1), largest >= len(by_size) - 1
