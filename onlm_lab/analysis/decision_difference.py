"""Is acting on one model worth more than acting on another, in the same patients?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.decision import SEED, checked_thresholds, drawn_classes, reached_by
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.resampling import percentile_interval
from onlm_lab.analysis.rows import paired
from onlm_lab.results import NetBenefitDifference

_TIE = 1e-12  # net benefits closer than this are equal


def compare_net_benefit(
    rows: pd.DataFrame,
    *,
    model_a: str,
    model_b: str,
    thresholds: Sequence[float] | None = None,
    n_bootstrap: int = 1000,
    level: float = 0.95,
    hold_prevalence: bool = False,
    generator: np.random.Generator | None = None,
    apparent: bool = False,
) -> NetBenefitDifference:
    """Net benefit of model_a minus net benefit of model_b at each threshold, with a paired bootstrap band.

    A bootstrap sample draws patients, each with both risks, so that what the models share cancels; the band is the
    percentile interval at each threshold apart (Vickers et al. 2008, doi:10.1186/1472-6947-8-53). There is no P
    value: net benefit is for deciding, and the share of samples in which model_a is worth more says how sure.

    Args:
        rows: predictions of both models: patient_id, model_id, onlm, risk.
        model_a, model_b: two model_ids; a positive difference says that acting on model_a is worth more.
        thresholds: risks from which one would act, each in (0, 1); None is 0.01 to 0.50 by 0.01.
        n_bootstrap: bootstrap samples.
        level: coverage of the band.
        hold_prevalence: True where the numbers of N+ and of N0 were fixed by design (see `net_benefit`).
        generator: the source of chance; None is a fixed seed, so that the same rows give the same band.
        apparent: True where a model was fitted on these very patients.

    Raises:
        OnlmError: a threshold outside (0, 1), an unknown model, or no common patient.
    """
    grid = checked_thresholds(thresholds, call="compare_net_benefit")
    normal_quantile(level)
    (a, b), n_excluded = paired(rows, models=[model_a, model_b])
    odds = grid / (1 - grid)
    pairs, place = _classes(reached_by(a, grid), reached_by(b, grid), n_thresholds=len(grid))
    change = _changes(pairs, n_thresholds=len(grid))
    drawn = drawn_classes(
        a.onlm, place, n_classes=len(pairs), n_resamples=n_bootstrap,
        generator=np.random.default_rng(SEED) if generator is None else generator, hold_prevalence=hold_prevalence,
    )  # fmt: skip
    seen = [np.bincount(place[members], minlength=len(pairs))[None, :] for members in (a.onlm, ~a.onlm)]
    value = _difference(*seen, change=change, odds=odds, n=a.n)[0]
    samples = _difference(*drawn, change=change, odds=odds, n=a.n)
    low, high = percentile_interval(samples, level=level)
    better = np.mean((samples > _TIE) + 0.5 * (np.abs(samples) <= _TIE), axis=0)
    table = pd.DataFrame(
        {
            "threshold": grid, "difference": value, "low": low, "high": high,
            "interventions_avoided": 100 * value / odds, "avoided_low": 100 * low / odds,
            "avoided_high": 100 * high / odds, "share_better": better,
        }
    )  # fmt: skip
    notes = (*a.notes, a.one_class) if a.one_class else a.notes
    return NetBenefitDifference(
        table=table, model_a=model_a, model_b=model_b, level=level, n=a.n, n_events=a.n_events,
        n_excluded=n_excluded, apparent=apparent, notes=notes,
    )  # fmt: skip


def _classes(above_a: np.ndarray, above_b: np.ndarray, *, n_thresholds: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct pairs (thresholds reached under a, under b), (classes, 2), and each patient's class.

    All whom both models treat alike at every threshold are one class: they change no difference.
    """
    code = np.where(above_a == above_b, 0, above_a * (n_thresholds + 1) + above_b)
    known, place = np.unique(code, return_inverse=True)
    return np.column_stack(np.divmod(known, n_thresholds + 1)), place


def _changes(pairs: np.ndarray, *, n_thresholds: int) -> np.ndarray:
    """(classes, thresholds): 1 where only a calls the class positive, -1 where only b does, else 0."""
    step = np.arange(n_thresholds)
    return (pairs[:, :1] > step).astype(float) - (pairs[:, 1:] > step)


def _difference(
    events: np.ndarray, nonevents: np.ndarray, *, change: np.ndarray, odds: np.ndarray, n: int
) -> np.ndarray:
    return (events @ change - (nonevents @ change) * odds) / n
