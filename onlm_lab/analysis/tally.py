"""Patients counted by their risk: all that a statistic of ranks and squares needs to know of them."""

from __future__ import annotations

import numpy as np


def tabulate(onlm: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct risks in rising order, with the number of N+ and of N0 patients at each.

    The label rides along in the last bit of the risk's own bits, whose order is that of the risks: values are sorted
    instead of places, which takes a third of the time. Numbers below 0 (log odds) have no such order, and are sorted
    plainly.

    Args:
        onlm: (n,) bool, True where the nodes held cancer.
        risk: (n,) float, none missing; a risk, or any score.
    """
    if len(risk) and np.signbit(risk).any():
        return _plainly(np.asarray(onlm, dtype=bool), np.asarray(risk, dtype=np.float64))
    bits = np.ascontiguousarray(risk, dtype=np.float64).view(np.int64)
    keys = (bits << 1) | np.asarray(onlm, dtype=bool)  # the sign, 0 for a risk, makes room
    keys.sort()
    ordered, event = (keys >> 1).view(np.float64), keys & 1
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    if len(starts) == len(ordered):
        return ordered, event, 1 - event
    n_events = np.add.reduceat(event, starts)
    return ordered[starts], n_events, np.diff(np.append(starts, len(ordered))) - n_events


def _plainly(onlm: np.ndarray, risk: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(risk)
    ordered, event = risk[order], onlm[order].astype(np.int64)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    n_events = np.add.reduceat(event, starts)
    return ordered[starts], n_events, np.diff(np.append(starts, len(ordered))) - n_events
