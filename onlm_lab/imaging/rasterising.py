"""Polygons to pixels, and how several of them on one slice belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rasterise(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The pixels (bool, rows x columns) whose centre lies inside an odd number of closed polygons.

    Holes, islands and keyholes follow from this even-odd rule. A centre on a left or upper edge is inside, on a right
    or lower edge outside, so that neighbouring polygons share no pixel.

    Args:
        polygons: each (n, 2) vertices as row, column; pixel centres have whole numbers.
        shape: rows, columns.
    """
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    for polygon in polygons:
        start, end = np.asarray(polygon, dtype=float), np.roll(polygon, -1, axis=0)
        low = np.clip(np.ceil(np.minimum(start[:, 0], end[:, 0])), 0, shape[0]).astype(int)
        high = np.clip(np.ceil(np.maximum(start[:, 0], end[:, 0])), 0, shape[0]).astype(int)
        n_rows = high - low  # rows that each edge crosses
        edge = np.repeat(np.arange(len(start)), n_rows)
        rows = np.arange(len(edge)) - np.repeat(np.cumsum(n_rows) - n_rows, n_rows) + low[edge]
        along = (rows - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
        columns = start[edge, 1] + along * (end[edge, 1] - start[edge, 1])
        np.add.at(crossings, (rows, np.clip(np.ceil(columns), 0, shape[1]).astype(int)), 1)
    return (np.cumsum(crossings[:, :-1], axis=1) & 1).astype(bool)


def combine(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray, int, int]:
    """The pixels of the contours of one slice: holes cut, repeated contours counted once, crossing ones united.

    A contour inside another one is a hole, one inside that hole an island, and so on. Contours that cross are two
    outlines of one thing, which the even-odd rule would hollow out where they overlap.

    Args:
        polygons: each (n, 2) vertices as row, column.
        shape: rows, columns.

    Returns:
        bool (rows x columns), how many contours were repeats of another, and how many cross another.
    """
    parts = sorted((rasterise([polygon], shape) for polygon in polygons), key=lambda part: -int(part.sum()))
    mask = np.zeros(shape, dtype=bool)
    larger: list[np.ndarray] = []
    n_repeated = n_crossing = 0
    for part in parts:
        n = int(part.sum())
        shared = [int((part & other).sum()) for other in larger]
        if n and any(k == n == int(other.sum()) for k, other in zip(shared, larger, strict=True)):
            n_repeated += 1
            continue
        crosses = any(0 < k < n for k in shared)
        n_crossing += crosses
        if n_around := sum(k == n for k in shared) if n and not crosses else 0:
            mask = mask & ~part if n_around % 2 else mask | part
        else:
            mask = mask | part
        larger.append(part)
    return mask, n_repeated, n_crossing
