"""Harrell's concordance with its variance, in O(n log n).

A pair can be compared when the patient with the shorter time had the event; a patient censored at that very time counts
as longer. The variance is the infinitesimal jackknife of R survival's concordance().
"""

from __future__ import annotations

import numpy as np


def harrell(
    risk: np.ndarray, days: np.ndarray, event: np.ndarray, *, stratum: np.ndarray, cluster: np.ndarray | None = None
) -> tuple[float, float]:
    """Share of comparable pairs in which the higher risk came first (equal risks count 1/2), and its standard error.

    Args:
        risk: (n,) any score, higher is worse.
        days: (n,) times.
        event: (n,) bool.
        stratum: (n,) only pairs inside a stratum are compared.
        cluster: (n,) patients of one cluster vary together; None: each on their own.
    """
    right, wrong, even = np.zeros(len(risk)), np.zeros(len(risk)), np.zeros(len(risk))
    for value in np.unique(stratum):
        inside = np.flatnonzero(stratum == value)
        right[inside], wrong[inside], even[inside] = _pairs(risk[inside], days[inside], event[inside])
    pairs = (right + wrong + even).sum() / 2
    if pairs == 0:
        return float("nan"), float("nan")
    value = (right.sum() + even.sum() / 2) / 2 / pairs
    influence = (right + even / 2 - value * (right + wrong + even)) / pairs
    if cluster is not None:
        influence = np.bincount(np.unique(cluster, return_inverse=True)[1], weights=influence)
    return float(value), float(np.sqrt((influence**2).sum()))


def _pairs(risk: np.ndarray, days: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each patient, the comparable pairs that they are part of: concordant, discordant, tied in risk."""
    n = len(risk)
    place = np.unique(days, return_inverse=True)[1]
    as_later = 2 * place + ~event  # comparable with an event at 2 * place' when this is larger
    level = np.unique(risk, return_inverse=True)[1]
    died = np.flatnonzero(event)
    right, wrong, even = np.zeros(n), np.zeros(n), np.zeros(n)

    lower, equal, higher = _earlier(2 * place[died], level[died], as_later, level)
    right, wrong, even = right + higher, wrong + lower, even + equal  # the earlier event had the higher risk: right
    lower, equal, higher = _earlier(-as_later, level, -2 * place[died], level[died])
    right[died] += lower
    wrong[died] += higher
    even[died] += equal
    return right, wrong, even


def _earlier(
    source_key: np.ndarray, source_level: np.ndarray, key: np.ndarray, level: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each query, how many sources with a smaller key have a lower, equal and higher level."""
    n_sources = len(source_key)
    is_source = np.r_[np.ones(n_sources, dtype=bool), np.zeros(len(key), dtype=bool)]
    keys, levels = np.r_[source_key, key], np.r_[source_level, level]
    order = np.lexsort((is_source, keys))  # at equal keys the query comes first and does not see the source
    below = np.zeros(len(keys))
    below[order] = _count_before(levels[order], is_source[order], ties=False)
    up_to = np.zeros(len(keys))
    up_to[order] = _count_before(levels[order], is_source[order], ties=True)
    seen = np.zeros(len(keys))
    seen[order] = np.cumsum(is_source[order])
    lower, at_most, all_seen = below[n_sources:], up_to[n_sources:], seen[n_sources:]
    return lower, at_most - lower, all_seen - at_most


def _count_before(levels: np.ndarray, is_source: np.ndarray, *, ties: bool) -> np.ndarray:
    """For each element, how many sources stand before it with a lower (with ties: or equal) level.

    Bottom-up merging: at width w each element of a right half counts the sources of its left half.
    """
    n = len(levels)
    position = np.arange(n)
    n_levels = int(levels.max()) + 1
    count = np.zeros(n)
    width = 1
    while width < n:
        right = (position // width) % 2 == 1
        second = right if ties else ~right  # at equal levels, the left half first when ties count
        order = np.argsort((position // (2 * width) * n_levels + levels) * 2 + second)
        left_source = (is_source & ~right)[order]
        running = np.cumsum(left_source)
        start = position - position % (2 * width)  # blocks keep their places when sorted inside
        base = (running - left_source)[start]
        take = right[order]
        count[order[take]] += (running - base)[take]
        width *= 2
    return count
