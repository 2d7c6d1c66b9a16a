"""Does the model work in every centre, and what may a new centre expect? AUC by centre, pooled by random effects."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit, stdtrit

from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.errors import OnlmError
from onlm_lab.results import CentreTable, Estimate

MIN_CENTRES = 3


@dataclass(frozen=True, eq=False)
class RandomEffects:
    """A pooled mean with Hartung-Knapp's standard error, plain and with the factor never below 1."""

    mean: float
    se: float
    se_conservative: float
    tau2: float
    i2: float
    k: int


def by_centre(
    rows: pd.DataFrame, *, model: str | None = None, column: str = "centre", min_patients: int = 5, level: float = 0.95
) -> CentreTable:
    """AUC in each centre, the pooled AUC, and the interval in which a new centre's AUC is expected.

    Logit AUCs with their delta-method variances are pooled by random effects: tau2 by restricted maximum likelihood,
    not below 0; interval by Hartung and Knapp (2001, doi:10.1002/sim.1009), beside it the one whose variance factor
    is never below 1; prediction interval with t on k - 1 degrees of freedom (Higgins et al. 2009,
    doi:10.1111/j.1467-985X.2008.00552.x). i2 follows from tau2, as metafor's. A centre whose AUC is 0 or 1, or with
    fewer than `min_patients` N+ or N0, is shown but not pooled; with fewer than three centres nothing is pooled.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the centre.
        model: which model_id; None where the table holds one only.
        column: the column that names the centre.
        min_patients: the least number of N+, and of N0, for a centre to be pooled.
        level: coverage of the intervals.

    Raises:
        OnlmError: no such column, or patients without a centre.
    """
    normal_quantile(level)
    require_columns(rows, [column])
    given = labelled(rows, model=model)
    without = given.frame[column].isna()
    if without.any():
        ids = ", ".join(given.frame["patient_id"][without].astype(str).head(4))
        raise OnlmError(
            f"by_centre: {column} is missing for {int(without.sum())} of {given.n} patients ({ids}). Fill it."
        )
    code, names = pd.factorize(given.frame[column].astype(str), sort=True)
    table, effects = [], []
    for k, name in enumerate(names):
        inside = code == k
        part = replace(given, frame=given.frame.iloc[:0], onlm=given.onlm[inside], risk=given.risk[inside])
        row, effect = _centre(part, least=min_patients, level=level)
        table.append({"centre": name} | row)
        if effect is not None:
            effects.append(effect)
    pooled, conservative, prediction, tau2, i2 = _pooled(effects, level=level)
    notes = list(given.notes)
    left_out = len(names) - len(effects)
    if left_out:
        notes.append(
            f"{left_out} of {len(names)} centres not pooled (too few N+ or N0, an AUC of 0 or 1, or equal risks)"
        )
    return CentreTable(
        table=pd.DataFrame(table), pooled=pooled, pooled_conservative=conservative, prediction_interval=prediction,
        tau2=tau2, i2=i2, n_centres=len(names), n_pooled=len(effects), model_id=given.model_id, n=given.n,
        n_events=given.n_events, n_excluded=given.n_excluded, notes=tuple(notes),
    )  # fmt: skip


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


def _centre(part: Labelled, *, least: int, level: float) -> tuple[dict[str, object], tuple[float, float] | None]:
    area, variance = area_under_curve(part)
    plain, on_logit = auc_intervals(area, variance, level=level, why=part.one_class)
    shown = on_logit if prefers_logit(part.n_events, on_logit) else plain
    n_nonevents = part.n - part.n_events
    note = shown.note
    if part.n_events < least or n_nonevents < least:
        note = f"not pooled: fewer than {least} {'N+' if part.n_events < least else 'N0'}"
        shown = Estimate(math.nan, level=level, method=shown.method, note=note)
    elif not 0 < area < 1:
        note = f"not pooled: AUC {area:g}; {note}"
    elif variance == 0:
        note = "not pooled: the risks are all equal within N+ and within N0, so DeLong's variance is 0"
    pooled = not note
    row = {
        "n": part.n, "n_positive": part.n_events, "auc": shown.value, "low": shown.low, "high": shown.high,
        "method": shown.method, "is_pooled": pooled, "note": note,
    }  # fmt: skip
    return row, (float(logit(area)), variance / (area * (1 - area)) ** 2) if pooled else None


def _pooled(effects: list[tuple[float, float]], *, level: float) -> tuple[Estimate, Estimate, Estimate, float, float]:
    method = "REML, Hartung-Knapp, logit"
    if len(effects) < MIN_CENTRES:
        note = f"{len(effects)} centres with enough patients; pooling needs {MIN_CENTRES}"
        nothing = Estimate(math.nan, level=level, method=method, note=note)
        return nothing, nothing, nothing, math.nan, math.nan
    fit = random_effects(np.array([e for e, _ in effects]), np.array([v for _, v in effects]))
    t = float(stdtrit(fit.k - 1, 0.5 + level / 2))

    def interval(se: float, name: str) -> Estimate:
        value, low, high = expit(np.array([fit.mean, fit.mean - t * se, fit.mean + t * se]))
        return Estimate(float(value), float(low), float(high), level, name)

    return (
        interval(fit.se, method),
        interval(fit.se_conservative, f"{method}, factor at least 1"),
        interval(math.sqrt(fit.se**2 + fit.tau2), f"prediction interval, t with {fit.k - 1} df"),
        fit.tau2,
        fit.i2,
    )
