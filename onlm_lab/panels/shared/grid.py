"""The thresholds at which a shared page may stand: between two of them there are never one to four patients."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from onlm_lab.panels.patients import of_arm, splits_of, tested
from onlm_lab.panels.shared.counts import FEWEST

STEP, HIGHEST = 0.005, 0.95  # thresholds that are tried: as the slider of an open page


def threshold_grid(rows: pd.DataFrame, *, model: str, arms: Iterable[str] = ("surgery", "sbrt")) -> tuple[float, ...]:
    """The fixed thresholds at which a shared page may show one model.

    Between neighbours, below the first and from the last on there are none or at least five N+, N0 and patients of each
    arm, whatever the testing set, and five or more of some of them, so that each step is one. Else the difference
    between two positions of a slider would show single patients.

    Args:
        rows: all rows of a run.
        model: whose risks.
        arms: the arms whose patients are grouped by the threshold.

    Returns:
        Rising thresholds in (0, 1), all of them multiples of half a percent; empty where patients are too few.
    """
    groups = [np.sort(risks) for risks in _groups(rows, model=model, arms=arms)]
    if not groups:
        return ()
    tried = np.round(np.arange(STEP, HIGHEST + STEP / 2, STEP), 4)
    below = np.array([np.searchsorted(risks, tried, side="left") for risks in groups])
    sizes = np.array([len(risks) for risks in groups])[:, None]
    return tuple(float(tried[i]) for i in _longest(below, sizes=sizes))


def _longest(below: np.ndarray, *, sizes: np.ndarray) -> list[int]:
    """The longest row of positions whose neighbours are apart, and apart from both ends; of two, the one that starts
    lower.

    Args:
        below: how many of each group (row) lie below each position (column).
        sizes: of each group, as a column.
    """
    n = below.shape[1]
    length, after = np.zeros(n, dtype=int), np.full(n, -1)
    ends = _apart(sizes - below)
    for i in range(n - 1, -1, -1):
        length[i] = 1 if ends[i] else 0
        going_on = _apart(below[:, i + 1 :] - below[:, i : i + 1]) & (length[i + 1 :] > 0)
        if going_on.any():
            best = int(np.argmax(np.where(going_on, length[i + 1 :], 0)))
            if length[i + 1 + best] + 1 > length[i]:
                length[i], after[i] = length[i + 1 + best] + 1, i + 1 + best
    length[~_apart(below)] = 0  # where one may start
    found = [int(np.argmax(length))] if length.any() else []
    while found and after[found[-1]] >= 0:
        found.append(int(after[found[-1]]))
    return found


def _apart(steps: np.ndarray) -> np.ndarray:
    """Whether each step (a column) is of nobody or at least five in every group, and of five or more in one."""
    return ((steps == 0) | (steps >= FEWEST)).all(axis=0) & (steps >= FEWEST).any(axis=0)


def _groups(rows: pd.DataFrame, *, model: str, arms: Iterable[str]) -> list[np.ndarray]:
    """The risks of the patients who are counted together: N+ and N0 of each testing set, and each arm.

    A group of fewer than five is never shown, and would leave no threshold.
    """
    own = rows[rows["model_id"] == model]
    found = []
    for split in splits_of(own):
        one = tested(own, split=split)
        found += [one.loc[one["onlm"] == label, "risk"].to_numpy(float) for label in (0, 1)]
    found += [of_arm(own, model=model, arm=a)["risk"].to_numpy(float) for a in arms if (own["arm"] == a).any()]
    return [risks for risks in found if len(risks) >= FEWEST]
