"""How sure is the ROC curve? Sensitivity at given specificities, with a pointwise bootstrap band."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.confidence import few_notes
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.replicates import Tally, replicate, runs, tally_of
from onlm_lab.analysis.resampling import percentile_interval
from onlm_lab.analysis.rows import labelled
from onlm_lab.analysis.segments import sensitivity_at
from onlm_lab.errors import OnlmError
from onlm_lab.results import RocBand

_SEED = 20250101  # where no generator is given, the same rows give the same band
_DEFAULT = tuple(round(0.01 * i, 2) for i in range(101))


def roc_band(
    rows: pd.DataFrame,
    *,
    specificities: Sequence[float] | None = None,
    model: str | None = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    generator: np.random.Generator | None = None,
    apparent: bool = False,
) -> RocBand:
    """Sensitivity at each specificity, with the percentiles of bootstrap samples drawn within N+ and within N0.

    The curve is read as it is drawn, straight between observed points, and at its upper end where it rises upright:
    the band belongs to that line and equals pROC's ci.se but for chance (Robin et al. 2011,
    doi:10.1186/1471-2105-12-77). A threshold for the clinic is an observed risk: that is `choose_threshold`. The band
    is pointwise: the whole curve lies within it less often than `level`.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        specificities: each in [0, 1]; None is 0 to 1 by 0.01.
        model: which model_id; None where the table holds one only.
        level: coverage of the band at one specificity.
        n_resamples: bootstrap samples.
        generator: the source of chance; None is a fixed seed.
        apparent: True where the model was fitted on these very patients.

    Raises:
        OnlmError: a specificity outside [0, 1], more than one row a patient, or an unusable label or risk.
    """
    normal_quantile(level)
    at = np.asarray(_DEFAULT if specificities is None else specificities, dtype=float).ravel()
    wrong = at[~((at >= 0) & (at <= 1))]
    if not len(at) or len(wrong):
        got = "none" if not len(at) else ", ".join(f"{s:g}" for s in wrong[:4])
        raise OnlmError(f"roc_band: specificities must lie in [0, 1] (0.9, not 90), got {got}.")
    at, given, notes = np.unique(at), labelled(rows, model=model), []
    counted = runs(tally_of(given.onlm, given.risk))
    value = low = high = np.full(len(at), math.nan)
    if given.one_class:
        notes.append(f"no band: {given.one_class}")
    else:
        chance = np.random.default_rng(_SEED) if generator is None else generator
        value, low, high = _read(counted, at, level=level, n_resamples=n_resamples, generator=chance)
        notes += few_notes(given.n_events, given.n)
    return RocBand(
        band=pd.DataFrame({"specificity": at, "sensitivity": value, "low": low, "high": high}), level=level,
        model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, apparent=apparent,
        notes=(*given.notes, *notes),
    )  # fmt: skip


def _read(
    counted: Tally, at: np.ndarray, *, level: float, n_resamples: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    def read(events: np.ndarray, nonevents: np.ndarray, _: np.ndarray) -> np.ndarray:
        return sensitivity_at(events, nonevents, at)

    value = read(counted.n_events[None], counted.n_nonevents[None], counted.value)[0]
    if min(counted.n_events.sum(), counted.n_nonevents.sum()) < 2:
        return value, np.full(len(at), math.nan), np.full(len(at), math.nan)
    drawn = replicate(read, counted, n_resamples=n_resamples, stratified=True, generator=generator)
    return value, *percentile_interval(drawn, level=level)
