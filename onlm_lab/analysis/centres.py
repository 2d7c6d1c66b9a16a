"""Does the model work in every centre, and what may a new centre expect? By centre, and pooled by random effects."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit, stdtrit

from onlm_lab.analysis.calibration import observed_to_expected, recalibration_line
from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.random_effects_model import random_effects
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.errors import OnlmError
from onlm_lab.results import CentreInfluence, CentreTable, Estimate

MIN_CENTRES = 3
SCALES = {"auc": "logit", "intercept": "as it is", "slope": "as it is", "oe_ratio": "log"}
_BACK: dict[str, Callable[[float], float]] = {"logit": expit, "log": np.exp, "as it is": float}


@dataclass(frozen=True, eq=False)
class _Pooled:
    """A measure over the centres that have it, on its own scale."""

    value: Estimate
    conservative: Estimate
    prediction: Estimate
    tau2: float
    i2: float
    n_pooled: int


@dataclass(frozen=True, eq=False)
class _Centres:
    """The rows of the table, and by measure the effects that are pooled: centre -> (effect, variance)."""

    given: Labelled
    table: pd.DataFrame
    effects: dict[str, dict[str, tuple[float, float]]]


def by_centre(
    rows: pd.DataFrame, *, model: str | None = None, column: str = "centre", min_patients: int = 5, level: float = 0.95
) -> CentreTable:
    """AUC and calibration in each centre, pooled, and the interval in which a new centre's is expected.

    Effects with their variances are pooled by random effects: the AUC on the logit scale (delta method), O:E on the log
    scale, calibration in the large and slope as they are; tau2 by restricted maximum likelihood, not below 0; interval
    by Hartung and Knapp (2001, doi:10.1002/sim.1009), beside it the one whose variance factor is never below 1;
    prediction interval with t on k - 1 degrees of freedom (Higgins et al. 2009, doi:10.1111/j.1467-985X.2008.00552.x).
    i2 follows from tau2, as metafor's. A centre whose AUC is 0 or 1, or with fewer than `min_patients` N+ or N0, is
    shown but not pooled; with fewer than three centres nothing is pooled.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the centre.
        model: which model_id; None where the table holds one only.
        column: the column that names the centre.
        min_patients: the least number of N+, and of N0, for a centre to be pooled.
        level: coverage of the intervals.

    Raises:
        OnlmError: no such column, or patients without a centre.
    """
    found = _centres(rows, model=model, column=column, least=min_patients, level=level, call="by_centre")
    pooled = {m: _pool(list(e.values()), scale=SCALES[m], level=level) for m, e in found.effects.items()}
    auc, given, n_centres = pooled["auc"], found.given, len(found.table)
    notes = list(given.notes)
    left_out = n_centres - auc.n_pooled
    if left_out:
        notes.append(
            f"{left_out} of {n_centres} centres not pooled (too few N+ or N0, an AUC of 0 or 1, or equal risks)"
        )
    return CentreTable(
        table=found.table, pooled=auc.value, pooled_conservative=auc.conservative,
        prediction_interval=auc.prediction, tau2=auc.tau2, i2=auc.i2, n_centres=n_centres, n_pooled=auc.n_pooled,
        model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded,
        measures=pd.DataFrame([{"measure": m} | _line(p, scale=SCALES[m]) for m, p in pooled.items()]),
        notes=tuple(notes),
    )  # fmt: skip


def leave_one_out(
    rows: pd.DataFrame, *, measure: str = "auc", model: str | None = None, column: str = "centre",
    min_patients: int = 5, level: float = 0.95,
) -> CentreInfluence:  # fmt: skip
    """Does one centre carry the pooled value? The pooled measure without each centre in turn, as metafor's leave1out.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the centre.
        measure: "auc", "intercept" (calibration in the large), "slope" or "oe_ratio".
        model: which model_id; None where the table holds one only.
        column: the column that names the centre.
        min_patients: the least number of N+, and of N0, for a centre to be pooled.
        level: coverage of the intervals.

    Raises:
        OnlmError: an unknown measure, no such column, or patients without a centre.
    """
    if measure not in SCALES:
        raise OnlmError(f"leave_one_out: measure is '{measure}'; wanted one of {', '.join(SCALES)}.")
    found = _centres(rows, model=model, column=column, least=min_patients, level=level, call="leave_one_out")
    effects = found.effects[measure]
    lines = []
    for out in ("", *effects):
        kept = [e for name, e in effects.items() if name != out]
        line = _line(_pool(kept, scale=SCALES[measure], level=level), scale=SCALES[measure])
        names = ("n_pooled", "value", "low", "high", "prediction_low", "prediction_high", "tau2", "i2")
        lines.append({"left_out": out} | {name: line[name] for name in names})
    given = found.given
    return CentreInfluence(
        table=pd.DataFrame(lines), measure=measure, model_id=given.model_id, n=given.n, n_events=given.n_events,
        n_excluded=given.n_excluded, notes=given.notes,
    )  # fmt: skip


def _centres(
    rows: pd.DataFrame, *, model: str | None, column: str, least: int, level: float, call: str
) -> _Centres:  # fmt: skip
    normal_quantile(level)
    require_columns(rows, [column])
    given = labelled(rows, model=model)
    without = given.frame[column].isna()
    if without.any():
        ids = ", ".join(given.frame["patient_id"][without].astype(str).head(4))
        raise OnlmError(f"{call}: {column} is missing for {int(without.sum())} of {given.n} patients ({ids}). Fill it.")
    code, names = pd.factorize(given.frame[column].astype(str), sort=True)
    table, effects = [], {measure: {} for measure in SCALES}
    for k, name in enumerate(names):
        inside = code == k
        part = given.part(inside)
        row, effect = _area(part, least=least, level=level)
        line, of_line = _line_of(part, least=least, level=level)
        table.append({"centre": name} | row | line)
        for measure, found in ({"auc": effect} | of_line).items():
            if found is not None:
                effects[measure][str(name)] = found
    return _Centres(given, pd.DataFrame(table), effects)


def _area(part: Labelled, *, least: int, level: float) -> tuple[dict[str, object], tuple[float, float] | None]:
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


def _line_of(
    part: Labelled, *, least: int, level: float
) -> tuple[dict[str, float], dict[str, tuple[float, float] | None]]:  # fmt: skip
    """Calibration of one centre: its cells, and what is pooled."""
    n_nonevents = part.n - part.n_events
    if min(part.n_events, n_nonevents) < least:
        nothing = Estimate(math.nan, level=level)
        found = dict.fromkeys(("intercept", "slope", "oe_ratio"), nothing)
    else:
        large, _, slope, _ = recalibration_line(part, level=level)
        found = {"intercept": large, "slope": slope, "oe_ratio": observed_to_expected(part, level=level)}
    cells: dict[str, float] = {}
    effects: dict[str, tuple[float, float] | None] = {}
    z = normal_quantile(level)
    for name, e in found.items():
        cells |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
        if math.isnan(e.low):
            effects[name] = None
        elif SCALES[name] == "log":
            effects[name] = math.log(e.value), (math.log(e.high / e.low) / (2 * z)) ** 2
        else:
            effects[name] = e.value, ((e.high - e.low) / (2 * z)) ** 2
    return cells, effects


def _pool(effects: list[tuple[float, float]], *, scale: str, level: float) -> _Pooled:
    method = "REML, Hartung-Knapp" + ("" if scale == "as it is" else f", {scale}")
    if len(effects) < MIN_CENTRES:
        note = f"{len(effects)} centres with enough patients; pooling needs {MIN_CENTRES}"
        nothing = Estimate(math.nan, level=level, method=method, note=note)
        return _Pooled(nothing, nothing, nothing, math.nan, math.nan, len(effects))
    fit = random_effects(np.array([e for e, _ in effects]), np.array([v for _, v in effects]))
    t = float(stdtrit(fit.k - 1, 0.5 + level / 2))

    def interval(se: float, name: str) -> Estimate:
        value, low, high = (float(_BACK[scale](fit.mean + sign * t * se)) for sign in (0, -1, 1))
        return Estimate(value, low, high, level, name)

    return _Pooled(
        interval(fit.se, method), interval(fit.se_conservative, f"{method}, factor at least 1"),
        interval(math.sqrt(fit.se**2 + fit.tau2), f"prediction interval, t with {fit.k - 1} df"),
        fit.tau2, fit.i2, fit.k,
    )  # fmt: skip


def _line(pooled: _Pooled, *, scale: str) -> dict[str, object]:
    """A row of `measures`."""
    return {
        "scale": scale, "n_pooled": pooled.n_pooled, "value": pooled.value.value, "low": pooled.value.low,
        "high": pooled.value.high, "low_conservative": pooled.conservative.low,
        "high_conservative": pooled.conservative.high, "prediction_low": pooled.prediction.low,
        "prediction_high": pooled.prediction.high, "tau2": pooled.tau2, "i2": pooled.i2, "note": pooled.value.note,
    }  # fmt: skip
