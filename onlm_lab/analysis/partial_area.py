"""How well does the risk separate where it would be used? Area under part of the ROC curve."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from onlm_lab.analysis.confidence import few_notes, percentile
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.replicates import Tally, replicate, runs, tally_of
from onlm_lab.analysis.rows import labelled
from onlm_lab.analysis.segments import area_from
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, PartialAuc

_SEED = 20250101  # where no generator is given, the same rows give the same interval
_METHOD = "bootstrap, percentile"


def partial_auc(
    rows: pd.DataFrame,
    *,
    specificity: tuple[float, float] = (0.9, 1.0),
    model: str | None = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    generator: np.random.Generator | None = None,
    apparent: bool = False,
) -> PartialAuc:
    """Area under the ROC curve between two specificities, as it is and corrected to run from 0.5 to 1.

    The correction is McClish's (1989, doi:10.1177/0272989X8900900307): (1 + (area - chance) / (width - chance)) / 2.
    Where the area lies below that of chance it has no meaning and is NaN, with the reason. Intervals: percentiles of
    bootstrap samples drawn within N+ and within N0.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        specificity: the two ends of the range, in [0, 1].
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.
        n_resamples: bootstrap samples.
        generator: the source of chance; None is a fixed seed.
        apparent: True where the model was fitted on these very patients.

    Raises:
        OnlmError: no such range, more than one row a patient, or an unusable label or risk.
    """
    normal_quantile(level)
    low, high = _range(specificity)
    given = labelled(rows, model=model)
    notes = list(given.notes)
    if given.one_class:
        area = corrected = Estimate(math.nan, level=level, method=_METHOD, note=given.one_class)
        notes.append(given.one_class)
    else:
        chance = np.random.default_rng(_SEED) if generator is None else generator
        counted = runs(tally_of(given.onlm, given.risk))
        area = _area(counted, low=low, high=high, level=level, n_resamples=n_resamples, generator=chance)
        corrected = _corrected(area, low=low, high=high)
        notes += few_notes(given.n_events, given.n)
    return PartialAuc(
        area=area, corrected=corrected, specificity_low=low, specificity_high=high, model_id=given.model_id, n=given.n,
        n_events=given.n_events, n_excluded=given.n_excluded, apparent=apparent, notes=tuple(notes),
    )  # fmt: skip


def _range(specificity: tuple[float, float]) -> tuple[float, float]:
    ends = np.asarray(specificity, dtype=float).ravel()
    if len(ends) != 2 or not ((ends >= 0) & (ends <= 1)).all() or ends[0] == ends[1]:
        raise OnlmError(
            f"partial_auc: specificity must be two different ends in [0, 1], such as (0.9, 1.0), got {specificity!r}."
        )
    return float(ends.min()), float(ends.max())


def _area(
    counted: Tally, *, low: float, high: float, level: float, n_resamples: int, generator: np.random.Generator
) -> Estimate:
    def area(events: np.ndarray, nonevents: np.ndarray, _: np.ndarray) -> np.ndarray:
        ends = area_from(events, nonevents, np.array([low, high]))
        return ends[:, 0] - ends[:, 1]

    value = float(area(counted.n_events[None], counted.n_nonevents[None], counted.value)[0])
    if min(counted.n_events.sum(), counted.n_nonevents.sum()) < 2:
        note = "no interval: it needs at least two N+ and two N0 patients"
        return Estimate(value, level=level, method=_METHOD, note=note)
    found = replicate(area, counted, n_resamples=n_resamples, stratified=True, generator=generator)
    return percentile(value, found, level=level, method=_METHOD)


def _corrected(area: Estimate, *, low: float, high: float) -> Estimate:
    width, chance = high - low, ((1 - low) ** 2 - (1 - high) ** 2) / 2
    method = f"McClish; {area.method}"
    if area.value < chance - 1e-12:
        note = f"no corrected area: {area.value:.3g} lies below that of chance, {chance:.3g}"
        return Estimate(math.nan, level=area.level, method=method, note=note)
    value, lower, upper = ((1 + (a - chance) / (width - chance)) / 2 for a in (area.value, area.low, area.high))
    note = area.note or ("the interval reaches below chance, 0.5" if lower < 0.5 else "")
    return Estimate(value, lower, upper, area.level, method, note)
