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
    stratum = np.zeros(len(risk), dtype=int) if stratum is None else stratum
    weight = np.ones(len(risk)) if weight is None else weight
    right, wrong, even = np.zeros(len(risk)), np.zeros(len(risk)), np.zeros(len(risk))
    for value in np.unique(stratum):
        inside = np.flatnonzero(stratum == value)
        right[inside], wrong[inside], even[inside] = _pairs(risk[inside], days[inside], event[inside], weight[inside])
    pairs = (right + wrong + even).sum() / 2
    if pairs == 0:
        return float("nan"), float("nan")
    value = (right.sum() + even.sum() / 2) / 2 / pairs
    influence = (right + even / 2 - value * (right + wrong + even)) / pairs
    if cluster is not None:
        influence = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence)
    return float(value), float(np.sqrt((influence**2).sum()))


def _pairs(
    risk: np.ndarray, days: np.ndarray, event: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each patient, the weight of the pairs that they are part of: concordant, discordant, tied in risk."""
    n = len(risk)
    place = np.unique(days, return_inverse=True)[1]
    as_later = 2 * place + ~event  # comparable with an event at 2 * place' when this is larger
    level = np.unique(risk, return_inverse=True)[1]
    died = np.flatnonzero(event)
    lower, even, higher = _earlier(2 * place[died], level[died], weight[died], as_later, level)
    right, wrong = higher, lower  # the earlier event had the higher risk: right
    lower, equal, higher = _earlier(-as_later, level, np.ones(n), -2 * place[died], level[died])
    right[died] += weight[died] * lower
    wrong[died] += weight[died] * higher
    even[died] += weight[died] * equal
    return right, wrong, even


def _earlier(
    source_key: np.ndarray, source_level: np.ndarray, source_weight: np.ndarray, key: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each query, the weight of the sources with a smaller key and a lower, equal and higher level."""
    n_sources = len(source_key)
    weight = np.r_[source_weight, np.zeros(len(key))]
    is_source = np.arange(len(weight)) < n_sources
    keys, levels = np.r_[source_key, key], np.r_[source_level, level]
    order = np.lexsort((is_source, keys))  # at equal keys the query comes first and does not see the source
    below, up_to, seen = np.empty(len(keys)), np.empty(len(keys)), np.empty(len(keys))
    below[order] = _weight_before(levels[order], weight[order], ties=False)
    up_to[order] = _weight_before(levels[order], weight[order], ties=True)
    seen[order] = np.cumsum(weight[order])
    lower, at_most = below[n_sources:], up_to[n_sources:]
    return lower, at_most - lower, seen[n_sources:] - at_most


def _weight_before(levels: np.ndarray, weight: np.ndarray, *, ties: bool) -> np.ndarray:
    """For each element, the weight of those that stand before it with a lower (with ties: or equal) level.

    Bottom-up merging: at width w each element of a right half adds up the weights of its left half.
    """
    n = len(levels)
    position = np.arange(n)
    n_levels = int(levels.max()) + 1
    total = np.zeros(n)
    width = 1
    while width < n:
        right = (position // width) % 2 == 1
        second = right if ties else ~right  # at equal levels, the left half first when ties count
        order = np.argsort((position // (2 * width) * n_levels + levels) * 2 + second)
        left = np.where(right, 0.0, weight)[order]
        running = np.cumsum(left)
        start = position - position % (2 * width)  # blocks keep their places when sorted inside
        base = (running - left)[start]
        take = right[order]
        total[order[take]] += (running - base)[take]
        width *= 2
    return total
