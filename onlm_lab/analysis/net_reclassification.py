"""Whom does one model move compared with another? Net reclassification and integrated discrimination: secondary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import normal_quantile, wald
from onlm_lab.analysis.rows import paired
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, Reclassification

SECONDARY = "secondary measures: a miscalibrated model can improve them; read calibration and net benefit first"


def reclassification(
    rows: pd.DataFrame, *, model_a: str, model_b: str, cuts: Sequence[float], level: float = 0.95
) -> Reclassification:
    """How model_b changes the risks of model_a in the same patients: up in N+ and down in N0 is better.

    NRI over categories and over any change (Pencina et al. 2008, doi:10.1002/sim.2929; 2011, doi:10.1002/sim.4085),
    its parts in N+ and N0 apart. Standard errors are multinomial: (up + down - (up - down)^2) / n in each class, as
    Hmisc's improveProb; Pencina's own leave out the square and differ by up to 28 %. IDI with the spread of the
    change within each class.

    Args:
        rows: predictions of both models: patient_id, model_id, onlm, risk.
        model_a: the old model.
        model_b: the new one.
        cuts: rising limits between categories of risk, each in (0, 1); a risk at a limit lies in the upper category.
        level: coverage of the intervals.

    Raises:
        OnlmError: cuts that do not rise within (0, 1), an unknown model, or no common patient.
    """
    limits = np.atleast_1d(np.asarray(cuts, dtype=float))
    if not len(limits) or not np.all((limits > 0) & (limits < 1)) or not np.all(np.diff(limits) > 0):
        raise OnlmError(f"reclassification: cuts must rise within (0, 1), such as [0.1, 0.2], got {limits.tolist()}.")
    normal_quantile(level)
    (a, b), n_excluded = paired(rows, models=[model_a, model_b])
    category_a, category_b = (np.searchsorted(limits, one.risk, side="right") for one in (a, b))
    change = b.risk - a.risk
    nri, nri_events, nri_nonevents = _nri(category_b - category_a, a.onlm, level=level)
    free, free_events, free_nonevents = _nri(np.sign(change), a.onlm, level=level)
    idi, idi_events, idi_nonevents = _idi(change, a.onlm, level=level)
    notes = (*a.notes, SECONDARY)
    if a.one_class:
        notes = (*notes, a.one_class)
    return Reclassification(
        nri=nri, nri_events=nri_events, nri_nonevents=nri_nonevents, nri_continuous=free,
        nri_continuous_events=free_events, nri_continuous_nonevents=free_nonevents, idi=idi, idi_events=idi_events,
        idi_nonevents=idi_nonevents, table=_table(category_a, category_b, a.onlm, limits), cuts=tuple(limits.tolist()),
        model_a=model_a, model_b=model_b, n=a.n, n_events=a.n_events, n_excluded=n_excluded, notes=notes,
    )  # fmt: skip


def _nri(move: np.ndarray, onlm: np.ndarray, *, level: float) -> tuple[Estimate, Estimate, Estimate]:
    parts = []
    for members, sign in ((onlm, 1), (~onlm, -1)):
        n = int(members.sum())
        if n == 0:
            parts.append((math.nan, math.nan))
            continue
        up, down = float(np.mean(move[members] > 0)), float(np.mean(move[members] < 0))
        parts.append((sign * (up - down), (up + down - (up - down) ** 2) / n))
    return _total_and_parts(parts, level=level, method="multinomial")


def _idi(change: np.ndarray, onlm: np.ndarray, *, level: float) -> tuple[Estimate, Estimate, Estimate]:
    parts = []
    for members, sign in ((onlm, 1), (~onlm, -1)):
        own = change[members]
        mean = sign * float(own.mean()) if len(own) else math.nan
        parts.append((mean, float(own.var(ddof=1)) / len(own) if len(own) > 1 else math.nan))
    return _total_and_parts(parts, level=level, method="spread within classes")


def _total_and_parts(
    parts: list[tuple[float, float]], *, level: float, method: str
) -> tuple[Estimate, Estimate, Estimate]:
    both = (parts[0][0] + parts[1][0], parts[0][1] + parts[1][1])
    total, events, nonevents = (
        _estimate(value, variance, level=level, method=method) for value, variance in (both, *parts)
    )
    return total, events, nonevents


def _estimate(value: float, variance: float, *, level: float, method: str) -> Estimate:
    if math.isnan(value) or math.isnan(variance):
        return Estimate(value, level=level, method=method, note="a class has too few patients")
    if variance == 0:
        return Estimate(value, level=level, method=method, note="no interval: nobody moved, or all moved alike")
    return wald(value, math.sqrt(variance), level=level, method=method)


def _table(category_a: np.ndarray, category_b: np.ndarray, onlm: np.ndarray, limits: np.ndarray) -> pd.DataFrame:
    inner = [f"{low:g} to <{high:g}" for low, high in pairwise(limits)]
    names = [f"<{limits[0]:g}", *inner, f">={limits[-1]:g}"]
    k = len(names)
    cell = np.bincount((onlm.astype(int) * k + category_a) * k + category_b, minlength=2 * k * k)
    index = pd.MultiIndex.from_product([[0, 1], names, names], names=["onlm", "category_a", "category_b"])
    return pd.DataFrame({"n": cell}, index=index).reset_index()
