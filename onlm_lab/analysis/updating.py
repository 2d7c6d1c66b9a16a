"""What an update of the risks does to calibration, in patients who had no part in it: before and after, side by side.

effect = analysis.recalibration_effect(rows_of_the_place, method="test")
figures.plot_calibration([effect.before, effect.after])
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import expit

from onlm_lab.analysis.calibration import assess_calibration, log_odds
from onlm_lab.analysis.intervals import wald
from onlm_lab.analysis.recalibration import FOLD_SEED, REFUSED, cross_fitted, recalibrate
from onlm_lab.analysis.rows import Labelled, labelled
from onlm_lab.errors import OnlmError
from onlm_lab.results import Calibration, Estimate, RecalibrationEffect

_MEASURES = ("intercept", "slope", "oe_ratio", "ici", "brier", "scaled_brier")


def recalibration_effect(
    rows: pd.DataFrame,
    *,
    held_out: pd.DataFrame | None = None,
    method: str = "test",
    model: str | None = None,
    level: float = 0.95,
    n_folds: int = 10,
    generator: np.random.Generator | None = None,
) -> RecalibrationEffect:
    """Calibration before and after recalibration, `after` never on the patients who made the update.

    With `held_out`, the update is made on `rows` and both columns are of the held-out patients. Without, each patient
    of `rows` gets the risk of an update made without his fold (its choice included); both columns are of `rows`. (The
    apparent `after` of `recalibrate` is right by construction and is not shown here.) The change of the Brier score
    is paired by patient, with a normal interval that takes the update as it is.

    Args:
        rows: a row a patient of the place, none of whom taught the model: patient_id, onlm, risk.
        held_out: other patients of the place, with the same columns; None cross-fits.
        method: "none", "intercept", "both" or "test", as `recalibrate`.
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.
        n_folds: folds of the cross-fitting.
        generator: draws the folds; None is a fixed seed.

    Raises:
        OnlmError: a patient in both tables, an unknown method, or unusable rows (see `rows.labelled`).
    """
    update = recalibrate(rows, method=method, model=model, level=level, n_folds=n_folds)
    given = labelled(rows, model=model)
    judged, notes = given, list(update.notes)
    moved: np.ndarray | None = None
    if held_out is not None:
        how = "held-out patients"
        judged = _others(held_out, model=model, given=given)
        notes += [n for n in judged.notes if n not in notes]
        if update.chosen != REFUSED:
            moved = expit(update.intercept.value + update.slope.value * log_odds(judged.risk))
    else:
        how = f"cross-fitted, {update.n_folds} folds"
        if update.cross_fitted is not None:
            rng = np.random.default_rng(FOLD_SEED) if generator is None else generator
            moved, why = cross_fitted(
                log_odds(given.risk), given.onlm, method=method, n_folds=update.n_folds, generator=rng
            )
            if why:
                notes.append(f"not cross-fitted: {why}")
                moved = None
    before = _calibration(judged, judged.risk, name=judged.model_id, level=level)
    after = None
    if moved is not None:
        after = _calibration(judged, moved, name=f"{judged.model_id}, recalibrated", level=level)
    return RecalibrationEffect(
        table=_table(before, after), brier_change=_brier_change(judged, moved, level=level), before=before, after=after,
        chosen=update.chosen, how=how, model_id=judged.model_id, n=judged.n, n_events=judged.n_events,
        n_excluded=judged.n_excluded, notes=tuple(notes),
    )  # fmt: skip


def _others(held_out: pd.DataFrame, *, model: str | None, given: Labelled) -> Labelled:
    judged = labelled(held_out, model=model)
    both = int(judged.frame["patient_id"].astype(str).isin(given.frame["patient_id"].astype(str)).sum())
    if both:
        raise OnlmError(
            f"recalibration_effect: {both} of {judged.n} held-out patients are also in rows. Keep each on one side, or "
            "pass held_out=None to cross-fit."
        )
    return judged


def _calibration(given: Labelled, risk: np.ndarray, *, name: str, level: float) -> Calibration:
    rows = pd.DataFrame({
        "patient_id": given.frame["patient_id"], "onlm": given.onlm.astype(float), "risk": risk, "model_id": name,
    })  # fmt: skip
    return assess_calibration(rows, level=level)


def _table(before: Calibration, after: Calibration | None) -> pd.DataFrame:
    table = []
    for name in _MEASURES:
        row: dict[str, object] = {"measure": name}
        for when, found in (("before", before), ("after", after)):
            told = math.nan if found is None else getattr(found, name)
            estimate = told if isinstance(told, Estimate) else Estimate(told)
            row |= {when: estimate.value, f"{when}_low": estimate.low, f"{when}_high": estimate.high}
        table.append(row)
    return pd.DataFrame(table)


def _brier_change(given: Labelled, moved: np.ndarray | None, *, level: float) -> Estimate:
    method = "paired, normal"
    if moved is None:
        return Estimate(math.nan, level=level, method=method, note="no update to judge")
    change = (moved - given.onlm) ** 2 - (given.risk - given.onlm) ** 2
    if given.n < 2:
        return Estimate(float(change.mean()), level=level, method=method, note="one patient has no spread")
    return wald(float(change.mean()), float(change.std(ddof=1)) / math.sqrt(given.n), level=level, method=method)
