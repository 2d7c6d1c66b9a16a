"""Polygons to pixels."""

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
