"""Concordance of a score with survival and its variance, in O(n log n).

A pair can be compared when the patient with the shorter time had the event; a patient censored at that very time counts
as longer. The variance is the infinitesimal jackknife of R survival's concordance().
"""

from __future__ import annotations

import numpy as np


def concordance(
    risk: np.ndarray,
    days: np.ndarray,
    event: np.ndarray,
    *,
    stratum: np.ndarray | None = None,
    cluster: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> tuple[float, float]:
    """Share of comparable pairs in which the higher risk came first (equal risks count 1/2), and its standard error.

    Args:
        risk: (n,) any score, higher is worse.
        days: (n,) times.
        event: (n,) bool.
        stratum: (n,) only pairs inside a stratum are compared; None: all.
        cluster: (n,) patients of one cluster vary together; None: each on their own.
        weight: (n,) of the pairs that a patient's event opens; None: 1 each, Harrell's concordance.
    """
    value, influence = concordance_influence(risk, days, event, stratum=stratum, weight=weight)
    if cluster is not None:
        influence = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence)
    return value, float(np.sqrt((influence**2).sum()))


def concordance_influence(
    risk: np.ndarray,
    days: np.ndarray,
    event: np.ndarray,
    *,
    stratum: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """The concordance and how much each patient pulls on it (n,): differences of two scores take both.

    Args: as `concordance`; NaN where no pair can be compared.
    """
    weight = np.ones(len(risk)) if weight is None else weight
    stratum = np.zeros(len(risk), dtype=int) if stratum is None else np.unique(stratum, return_inverse=True)[1]
    pairs, wrong, even = _pairs(risk, days, event, np.where(event, weight, 0.0), stratum)
    total = pairs.sum() / 2
    if total == 0:
        return float("nan"), np.full(len(risk), np.nan)
    right = pairs - wrong - even
    value = float((right.sum() + even.sum() / 2) / 2 / total)
    return value, (right + even / 2 - value * pairs) / total


def _pairs(
    risk: np.ndarray, days: np.ndarray, event: np.ndarray, weight: np.ndarray, stratum: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each patient, the weight of the pairs that they are part of: all, discordant, and tied in risk.

    One order stands for time: stratum, time, events first, and at a tie the higher risk first. Another stands for the
    risk: later strata first, so that no pair across strata has the earlier patient lower.
    """
    n = len(risk)
    level = np.unique(risk, return_inverse=True)[1]
    place = np.unique(days, return_inverse=True)[1]
    key = (stratum * (place.max() + 1) + place) * 2 + ~event  # comparable with an event of a lower key
    n_levels = level.max() + 1
    by_time = np.argsort(key * n_levels + (n_levels - 1 - level))
    level, key, stratum, weight = level[by_time], key[by_time], stratum[by_time], weight[by_time]
    rank = (stratum.max() - stratum) * n_levels + level
    order = np.argsort(rank * n + (n - 1 - np.arange(n)))  # rising risk; at equal risks the later patient first
    earlier, later = _apart(key, stratum, weight)
    pairs = earlier + weight * later
    back = order[::-1]  # of one level, in the order of time
    even = np.empty(n)
    even_earlier, even_later = _apart(key[back], rank[back], weight[back])
    even[back] = even_earlier + weight[back] * even_later
    lower_earlier, higher_later = _crossed(order, weight)
    out = np.empty((3, n))
    out[:, by_time] = pairs, lower_earlier + weight * higher_later, even
    return out[0], out[1], out[2]


def _apart(key: np.ndarray, group: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each element, the weight of those of its group with a lower key, and the number of those with a higher key.

    Groups stand together, and keys rise within each.
    """
    n = len(key)
    new_group = np.r_[True, group[1:] != group[:-1]]
    new_key = new_group | np.r_[True, key[1:] != key[:-1]]
    group_start, key_start = np.flatnonzero(new_group), np.flatnonzero(new_key)
    own_group, own_key = np.cumsum(new_group) - 1, np.cumsum(new_key) - 1
    running = np.r_[0.0, np.cumsum(weight)]
    group_end, key_end = np.r_[group_start[1:], n], np.r_[key_start[1:], n]
    return (
        running[key_start][own_key] - running[group_start][own_group],
        (group_end[own_group] - key_end[own_key]).astype(float),
    )


def _crossed(order: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each place in time, the weight of earlier places with a lower risk and the number of later with a higher one.

    Args:
        order: (n,) places in time, by rising risk.
        weight: (n,) of each place in time.

    The places are halved by their bits, from the highest; each half keeps the order of risk. Every block of places is
    full but the last, so that the k-th early element belongs to block k // half, and so does the k-th late one.
    """
    n = len(order)
    place, weight = order.astype(np.int32), _whole(weight)
    lower, higher = np.zeros(n, dtype=weight.dtype), np.zeros(n, dtype=np.int32)
    count = np.arange(n, dtype=np.int32)
    for bit in range(max(n - 1, 1).bit_length() - 1, -1, -1):
        half = 1 << bit
        is_late = (place & half) != 0
        at_late, at_early = np.flatnonzero(is_late), np.flatnonzero(~is_late)
        late, early = place[at_late], place[at_early]
        running = np.concatenate([np.zeros(1, dtype=weight.dtype), np.cumsum(weight[early], dtype=weight.dtype)])
        before_block = np.repeat(running[::half], half)[: len(late)]
        lower[late] += running[at_late - count[: len(late)]] - before_block
        n_late = np.minimum(np.arange(half, n + half, half, dtype=np.int32), len(late))  # up to the end of each block
        higher[early] += np.repeat(n_late, half)[: len(early)] - (at_early - count[: len(early)]).astype(np.int32)
        place = _joined(early, late, half)
    return lower.astype(float), higher.astype(float)


def _whole(weight: np.ndarray) -> np.ndarray:
    """Weights of 0 and 1 as short integers, which add up faster; others as they are."""
    return weight.astype(np.int32) if ((weight == 0) | (weight == 1)).all() else weight


def _joined(early: np.ndarray, late: np.ndarray, half: int) -> np.ndarray:
    """Early and late halves block by block; the last block may be short."""
    out = np.empty(len(early) + len(late), dtype=early.dtype)
    n_full = len(late) // half
    blocks = out[: 2 * half * n_full].reshape(n_full, 2, half)
    blocks[:, 0] = early[: n_full * half].reshape(n_full, half)
    blocks[:, 1] = late[: n_full * half].reshape(n_full, half)
    rest = early[n_full * half :]
    out[2 * half * n_full : 2 * half * n_full + len(rest)] = rest
    out[2 * half * n_full + len(rest) :] = late[n_full * half :]
    return out
