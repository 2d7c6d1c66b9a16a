"""The ROC curve as it is drawn, straight between observed points: read at a specificity, or its area up to one."""

from __future__ import annotations

import numpy as np


def sensitivity_at(events: np.ndarray, nonevents: np.ndarray, specificities: np.ndarray) -> np.ndarray:
    """Sensitivity of each sample at each specificity, (samples, S): the upper end where the curve rises upright there.

    Args:
        events, nonevents: (samples, V) counts at the distinct risks, rising.
        specificities: (S,) in [0, 1].
    """
    found, false, at, before = _steps(events, nonevents, specificities)
    m = found[:, -1:]
    y0, x0 = _take(found, before), _take(false, before)
    after = np.minimum(before + 1, found.shape[1] - 1)
    y1, x1 = _take(found, after), _take(false, after)
    run = np.maximum(x1 - x0, 1)
    return (y0 + np.clip(at - x0, 0, run) * (y1 - y0) / run) / np.where(m > 0, m, np.nan)


def area_from(events: np.ndarray, nonevents: np.ndarray, specificities: np.ndarray) -> np.ndarray:
    """Area under each sample's curve from specificity 1 down to each specificity, (samples, S)."""
    found, false, at, before = _steps(events, nonevents, specificities)
    m, n = found[:, -1:], false[:, -1:]
    width = np.diff(false, axis=1)
    upto = np.zeros(found.shape)
    np.cumsum(width * (found[:, 1:] + found[:, :-1]) / 2, axis=1, out=upto[:, 1:])
    height = sensitivity_at(events, nonevents, specificities) * m
    rest = (at - _take(false, before)) * (_take(found, before) + height) / 2
    return (_take(upto, before) + rest) / np.where(m * n > 0, m * n, np.nan)


def _steps(
    events: np.ndarray, nonevents: np.ndarray, specificities: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """N+ and N0 called positive from the highest threshold down, the N0 allowed, and the last point within them."""
    start = np.zeros((len(events), 1), dtype=np.int64)
    found, false = (
        np.concatenate([start, np.cumsum(c[:, ::-1], axis=1)], axis=1).astype(np.int64) for c in (events, nonevents)
    )
    n = int(false[0, -1])  # every sample has as many N0 patients
    at = np.round((1 - np.asarray(specificities)) * n, 9)  # 0.1 * 10 is meant to be 1
    lifted = false + (n + 1) * np.arange(len(false))[:, None]  # rows one after the other, still rising
    wanted = np.floor(at)[None, :] + (n + 1) * np.arange(len(false))[:, None]
    last = np.searchsorted(lifted.ravel(), wanted.ravel(), side="right").reshape(wanted.shape) - 1
    return found, false, np.broadcast_to(at, wanted.shape), last - found.shape[1] * np.arange(len(false))[:, None]


def _take(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.take_along_axis(table, places, axis=1)
