"""Of the patients called positive, how many are N+? The precision-recall curve and its average."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.confidence import few_notes, percentile, unused_note
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.replicates import Tally, average_precision, replicate, tally_of, value_of
from onlm_lab.analysis.rows import labelled
from onlm_lab.results import Estimate, PrecisionRecall

_SEED = 20250101  # where no generator is given, the same rows give the same interval
_METHOD = "bootstrap, percentile"


def precision_recall(
    rows: pd.DataFrame,
    *,
    model: str | None = None,
    level: float = 0.95,
    n_resamples: int = 2000,
    generator: np.random.Generator | None = None,
    apparent: bool = False,
) -> PrecisionRecall:
    """Precision (PPV) against recall (sensitivity) over all thresholds, and average precision with its interval.

    Average precision is the sum over falling thresholds of the gain in recall times the precision there, patients of
    one risk as one step; never the trapezoid, which is too kind (Davis and Goadrich 2006,
    doi:10.1145/1143844.1143874). It hangs on the share of N+: read it beside `prevalence`, which a useless model
    reaches, and compare it between tables of one prevalence only. The interval is the percentile one of patients drawn
    from all, so that the share of N+ varies too.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        model: which model_id; None where the table holds one only.
        level: coverage of the interval.
        n_resamples: bootstrap samples.
        generator: the source of chance; None is a fixed seed.
        apparent: True where the model was fitted on these very patients.

    Raises:
        OnlmError: more than one row a patient, or an unusable label or risk (see `rows.labelled`).
    """
    normal_quantile(level)
    given = labelled(rows, model=model)
    counted = tally_of(given.onlm, given.risk)
    notes = list(given.notes)
    if given.one_class:
        average = Estimate(float("nan"), level=level, method=_METHOD, note=given.one_class)
        notes.append(given.one_class)
    else:
        average, said = _average(counted, level=level, n_resamples=n_resamples, generator=generator)
        notes += [*few_notes(given.n_events, given.n), *said]
    return PrecisionRecall(
        curve=_curve(counted), average_precision=average, prevalence=given.n_events / given.n, model_id=given.model_id,
        n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, apparent=apparent, notes=tuple(notes),
    )  # fmt: skip


def _average(
    counted: Tally, *, level: float, n_resamples: int, generator: np.random.Generator | None
) -> tuple[Estimate, list[str]]:
    chance = np.random.default_rng(_SEED) if generator is None else generator
    value = value_of(average_precision, counted)
    if counted.n_events.sum() < 2:
        note = "no interval: it needs at least two N+ patients"
        return Estimate(value, level=level, method=_METHOD, note=note), []
    found = replicate(average_precision, counted, n_resamples=n_resamples, stratified=False, generator=chance)
    return percentile(value, found, level=level, method=_METHOD), unused_note(found, what="average precision")


def _curve(counted: Tally) -> pd.DataFrame:
    found, called = (np.cumsum(c[::-1]) for c in (counted.n_events, counted.n_events + counted.n_nonevents))
    m = found[-1]
    return pd.DataFrame(
        {
            "threshold": counted.value[::-1],
            "recall": found / m if m else np.full(len(found), np.nan),
            "precision": found / called,
        }
    )
