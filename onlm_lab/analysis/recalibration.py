"""Updating a model's risks to the patients of a new place: intercept, or intercept and slope, or nothing.

found = analysis.recalibrate(rows_of_the_place, method="test")
rows = analysis.apply_recalibration(later_rows, intercept=found.intercept.value, slope=found.slope.value)
"""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from onlm_lab.analysis.calibration import assess_calibration, log_odds, separated
from onlm_lab.analysis.intervals import normal_quantile, wald
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import Labelled, labelled
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.errors import OnlmError
from onlm_lab.results import Calibration, Estimate, Recalibration

METHODS = ("none", "intercept", "both", "test")
REFUSED = "refused"
FEWEST = {"intercept": 5, "both": 10}  # N+, and N0, below which an update says more about chance than about the place
ALPHA = 0.05  # of the closed test
MOVED = ("risk", "risk_low", "risk_high", "threshold")
FOLD_SEED = 20250101  # where no generator is given, the same rows give the same folds
_WALD = "maximum likelihood, Wald"
_TESTS = {"kept": str, "against": str, "chi2": float, "df": int, "p_value": float}


@dataclass(frozen=True, eq=False)
class _Update:
    """What was done, or the note that says why nothing was."""

    chosen: str
    intercept: float = math.nan
    slope: float = math.nan
    se: tuple[float, float] = (math.nan, math.nan)
    tests: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


def recalibrate(
    rows: pd.DataFrame,
    *,
    method: str = "test",
    model: str | None = None,
    level: float = 0.95,
    n_folds: int = 10,
    generator: np.random.Generator | None = None,
) -> Recalibration:
    """The update of a model's risks to these patients, with calibration before, after, and honestly after.

    Logistic recalibration (Cox 1958; Steyerberg et al. 2004, doi:10.1002/sim.1844): "intercept" adds one number to
    the log odds (slope fixed at 1) and mends risks that are all too high or too low; "both" stretches them as well and
    mends risks that are too extreme. "test" chooses by the closed test of Vergouwe et al. (2017, doi:10.1002/sim.7179),
    likelihood-ratio tests at 0.05: nothing against both, then intercept against both; each step only where the one
    before asks for an update. (Their last step, new coefficients for every predictor, needs more than the risk.)

    Calibration after the update on the patients who made it is apparent: right by construction. `cross_fitted` is
    what to report: the update, its choice included, is made without each fold in turn and carried to that fold.

    With fewer than 10 N+ (or N0) "both" is refused, with fewer than 5 any update: NaN and a note, never a crash.

    Args:
        rows: a row a patient of the place, none of whom taught the model: patient_id, onlm, risk.
        method: "none", "intercept", "both" or "test".
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.
        n_folds: folds of the cross-fitting, drawn whatever the label.
        generator: draws the folds; None is a fixed seed, so that the same rows give the same folds.

    Raises:
        OnlmError: an unknown method, fewer than two folds, or unusable rows (see `rows.labelled`).
    """
    if method not in METHODS:
        near = difflib.get_close_matches(str(method), METHODS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise OnlmError(f"recalibrate: method must be one of {', '.join(METHODS)}, got '{method}'.{hint}")
    if n_folds < 2:
        raise OnlmError(f"recalibrate: n_folds must be at least 2, got {n_folds}.")
    normal_quantile(level)
    given = labelled(rows, model=model)
    x = log_odds(given.risk)
    fewest = min(given.n_events, given.n - given.n_events)
    done = _update(x, given.onlm, method=method, fewest=fewest)
    notes = [*given.notes, *done.notes]
    after = honest = None
    n_folds = min(n_folds, given.n)
    if done.chosen != REFUSED:
        after = _calibration(given, expit(done.intercept + done.slope * x), level=level, apparent=True)
        rng = np.random.default_rng(FOLD_SEED) if generator is None else generator
        held_out, why = cross_fitted(x, given.onlm, method=method, n_folds=n_folds, generator=rng)
        if why:
            notes.append(f"not cross-fitted: {why}")
        else:
            honest = _calibration(given, held_out, level=level)
    intercept, slope = _estimates(done, level=level)
    return Recalibration(
        method=method, chosen=done.chosen, intercept=intercept, slope=slope,
        tests=pd.DataFrame(list(done.tests), columns=list(_TESTS)).astype(_TESTS),
        before=_calibration(given, given.risk, level=level), after=after, cross_fitted=honest, n_folds=n_folds,
        model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, notes=tuple(notes),
    )  # fmt: skip


def apply_recalibration(rows: pd.DataFrame, *, intercept: float, slope: float) -> pd.DataFrame:
    """The rows with their risks updated as they are: nothing is fitted here.

    risk, risk_low, risk_high and threshold move together, so that order, AUC and every predicted_positive stay as they
    were: what changes is what a risk means. (To act from another risk on, choose a threshold anew.)

    Args:
        rows: predictions: risk, and risk_low, risk_high, threshold where there are such columns.
        intercept, slope: of a `Recalibration`.

    Raises:
        OnlmError: an update that was refused (NaN), or that would turn the order of the patients round.
    """
    if intercept is None or slope is None or not (math.isfinite(intercept) and math.isfinite(slope)):
        raise OnlmError(
            f"apply_recalibration: intercept {intercept}, slope {slope}; wanted two numbers. The update was refused: "
            "its notes say why, most often too few N+. Use the risks as they are, and say so."
        )
    if slope <= 0:
        raise OnlmError(f"apply_recalibration: slope is {slope:g}; wanted above 0, as a higher risk is worse.")
    if "risk" not in rows:
        raise OnlmError(
            f"apply_recalibration: rows have no column risk; they have {', '.join(map(str, rows.columns))}."
        )
    moved = rows.copy()
    for name in MOVED:
        if name not in rows:
            continue
        value = pd.to_numeric(rows[name]).to_numpy(dtype=float, na_value=np.nan, copy=True)
        if ((value < 0) | (value > 1)).any() and name != "threshold":
            raise OnlmError(f"apply_recalibration: {name} must lie in [0, 1], it runs from {np.nanmin(value):g} on.")
        inside = (value >= 0) & (value <= 1)  # a threshold of inf (nobody is positive) stays
        if intercept == 0 and slope == 1:
            continue
        value[inside] = expit(intercept + slope * log_odds(value[inside]))
        moved[name] = value
    return moved


def _update(x: np.ndarray, onlm: np.ndarray, *, method: str, fewest: int) -> _Update:
    """The update that is asked for, or chosen by test, of log odds x. `fewest`: of N+ and N0 in all patients."""
    if method == "none":
        return _Update("none", 0.0, 1.0, (0.0, 0.0))
    if fewest < FEWEST["intercept"]:
        return _Update(REFUSED, notes=(_too_few(fewest, "intercept"),))
    notes: tuple[str, ...] = ()
    why = _too_few(fewest, "both") if fewest < FEWEST["both"] else _no_slope(x, onlm)
    if method == "both" and why:
        return _Update(REFUSED, notes=(why,))
    if method == "test" and why:
        notes = (f"slope not tested: {why}",)
    if method == "test":
        widest = "intercept" if why else "both"
        chosen, tests = _closed_test(x, onlm, widest=widest)
        return _fitted(x, onlm, extent=chosen, tests=tests, notes=notes)
    return _fitted(x, onlm, extent=method, tests=(), notes=notes)


def _closed_test(x: np.ndarray, onlm: np.ndarray, *, widest: str) -> tuple[str, tuple[dict[str, object], ...]]:
    """The simplest update that the widest does not beat, simplest first."""
    extents = ["none", "intercept", "both"]
    order = extents[: extents.index(widest) + 1]
    top = _likelihood(x, onlm, extent=widest)
    tests = []
    for n_less, simpler in zip(range(len(order) - 1, 0, -1), order[:-1], strict=True):
        statistic = max(0.0, 2 * (top - _likelihood(x, onlm, extent=simpler)))
        p_value = chi2_tail(statistic, n_less)
        tests.append({"kept": simpler, "against": widest, "chi2": statistic, "df": n_less, "p_value": p_value})
        if p_value >= ALPHA:
            return simpler, tuple(tests)
    return widest, tuple(tests)


def _likelihood(x: np.ndarray, onlm: np.ndarray, *, extent: str) -> float:
    if extent == "none":
        return float(np.sum(onlm * x - np.logaddexp(0, x)))
    ones = np.ones(len(x))
    if extent == "intercept":
        return fit_logistic(ones[:, None], onlm, offset=x).log_likelihood
    return fit_logistic(np.column_stack([ones, x]), onlm).log_likelihood


def _fitted(
    x: np.ndarray, onlm: np.ndarray, *, extent: str, tests: tuple[dict[str, object], ...], notes: tuple[str, ...]
) -> _Update:
    ones = np.ones(len(x))
    if extent == "none":
        return _Update("none", 0.0, 1.0, (0.0, 0.0), tests, notes)
    if extent == "intercept":
        fit = fit_logistic(ones[:, None], onlm, offset=x)
        if fit.note:
            return _Update(REFUSED, tests=tests, notes=(*notes, fit.note))
        return _Update("intercept", float(fit.coef[0]), 1.0, (float(fit.se[0]), 0.0), tests, notes)
    fit = fit_logistic(np.column_stack([ones, x]), onlm)
    if fit.note:
        return _Update(REFUSED, tests=tests, notes=(*notes, fit.note))
    level, slope = (float(c) for c in fit.coef)
    if slope <= 0:
        why = f"slope {slope:.2f}: here a higher risk goes with fewer N+; no update can mend that"
        return _Update(REFUSED, tests=tests, notes=(*notes, why))
    return _Update("both", level, slope, (float(fit.se[0]), float(fit.se[1])), tests, notes)


def cross_fitted(
    x: np.ndarray, onlm: np.ndarray, *, method: str, n_folds: int, generator: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Risks of patients who had no part in the update, from their log odds x, and why there are none."""
    fewest = int(min(np.count_nonzero(onlm), np.count_nonzero(~onlm)))
    if method == "none":
        return expit(x), ""
    # Drawn whatever the label: folds with equal shares of N+ would hide how far the share itself is off by chance.
    fold = generator.permutation(np.arange(len(x)) % n_folds)
    risk = np.empty(len(x))
    for k in range(n_folds):
        out = fold == k
        done = _update(x[~out], onlm[~out], method=method, fewest=fewest)
        if done.chosen == REFUSED:
            return risk, f"without fold {k + 1} of {n_folds}: {done.notes[-1]}"
        risk[out] = expit(done.intercept + done.slope * x[out])
    return risk, ""


def _too_few(fewest: int, extent: str) -> str:
    what = "an update of the slope" if extent == "both" else "any update"
    return f"{fewest} patients of the rarer class; {what} needs at least {FEWEST[extent]}"


def _no_slope(x: np.ndarray, onlm: np.ndarray) -> str:
    if x.min() == x.max():
        return "every patient has the same risk"
    return "the risks separate N+ from N0 completely: no finite slope" if separated(x, onlm) else ""


def _calibration(given: Labelled, risk: np.ndarray, *, level: float, apparent: bool = False) -> Calibration:
    rows = pd.DataFrame({
        "patient_id": given.frame["patient_id"], "onlm": given.onlm.astype(float), "risk": risk,
        "model_id": given.model_id,
    })  # fmt: skip
    return assess_calibration(rows, level=level, apparent=apparent)


def _estimates(done: _Update, *, level: float) -> tuple[Estimate, Estimate]:
    if done.chosen == REFUSED:
        nothing = Estimate(math.nan, level=level, method=_WALD, note=done.notes[-1])
        return nothing, nothing
    if done.chosen == "none":
        kept = "not updated"
        return Estimate(0.0, level=level, method="fixed", note=kept), Estimate(1.0, method="fixed", note=kept)
    intercept = wald(done.intercept, done.se[0], level=level, method=_WALD)
    if done.chosen == "intercept":
        return intercept, Estimate(1.0, level=level, method="fixed", note="fixed at 1")
    return intercept, wald(done.slope, done.se[1], level=level, method=_WALD)
