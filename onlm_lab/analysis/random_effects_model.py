"""Several estimates of one quantity, pooled: random effects by restricted maximum likelihood."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """A pooled mean with Hartung-Knapp's standard error, plain and with the factor never below 1."""

    mean: float
    se: float
    se_conservative: float
    tau2: float
    i2: float
    k: int


def random_effects(effect: np.ndarray, variance: np.ndarray) -> RandomEffects:
    """Random-effects mean of k effects with known variances (REML, Hartung-Knapp).

    Viechtbauer 2005, doi:10.3102/10769986030003261. The restricted likelihood is searched over a grid before the
    root of its slope is refined, so that a second maximum does not catch it.
    """
    k = len(effect)
    tau2 = _reml(effect, variance)
    weight = 1 / (variance + tau2)
    total = weight.sum()
    mean = float(weight @ effect / total)
    factor = float(weight @ (effect - mean) ** 2) / (k - 1)
    fixed = 1 / variance
    typical = (k - 1) * fixed.sum() / (fixed.sum() ** 2 - (fixed**2).sum())
    return RandomEffects(
        mean=mean, se=math.sqrt(factor / total), se_conservative=math.sqrt(max(1.0, factor) / total), tau2=tau2,
        i2=float(tau2 / (tau2 + typical)), k=k,
    )  # fmt: skip


def _reml(effect: np.ndarray, variance: np.ndarray) -> float:
    def parts(tau2: float) -> tuple[np.ndarray, float, np.ndarray]:
        weight = 1 / (variance + tau2)
        return weight, float(weight.sum()), effect - weight @ effect / weight.sum()

    def likelihood(tau2: float) -> float:
        weight, total, apart = parts(tau2)
        return 0.5 * (float(np.log(weight).sum()) - math.log(total) - float(weight @ apart**2))

    def slope(tau2: float) -> float:
        weight, total, apart = parts(tau2)
        squared = weight**2
        return 0.5 * (float(squared @ apart**2) - total + float(squared.sum()) / total)

    top = 10 * (float(np.var(effect, ddof=1)) + float(variance.max()))
    grid = np.concatenate(([0.0], np.geomspace(1e-8 * top, top, 120)))
    best = int(np.argmax([likelihood(t) for t in grid]))
    low, high = grid[max(0, best - 1)], grid[min(len(grid) - 1, best + 1)]
    if slope(low) <= 0:
        return float(low) if low > 0 else 0.0
    return float(brentq(slope, low, high, xtol=1e-14, rtol=1e-14)) if slope(high) < 0 else float(high)
