"""Would acting on the risk do more good than harm? Net benefit against treating everybody and nobody."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.resampling import percentile_interval, resampled_counts
from onlm_lab.analysis.rows import Labelled, labelled, models_in, paired
from onlm_lab.errors import OnlmError
from onlm_lab.results import DecisionCurve

TREAT_ALL, TREAT_NONE = "treat_all", "treat_none"
_DEFAULT_THRESHOLDS = tuple(round(0.01 * i, 2) for i in range(1, 51))
_SEED = 20250101  # where no generator is given, the same rows give the same band


def net_benefit(
    rows: pd.DataFrame,
    *,
    thresholds: Sequence[float] | None = None,
    model: str | Sequence[str] | None = None,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    generator: np.random.Generator | None = None,
    apparent: bool = False,
) -> DecisionCurve:
    """Net benefit of acting on each model, on everybody and on nobody, over a range of thresholds.

    Net benefit = TP/n - FP/n * t/(1 - t), positive if risk >= t (Vickers and Elkin 2006,
    doi:10.1177/0272989X06295361); interventions avoided per 100 patients = 100 * (net benefit - that of treating
    all) / (t/(1 - t)), at the same number of N+ found. The band is the percentile interval of bootstrap samples drawn
    within N+ and within N0; treating all has none, the share of N+ being held.

    Args:
        rows: a row a patient and model: patient_id, onlm, risk, model_id where there are several.
        thresholds: risks from which one would act, each in (0, 1); None is 0.01 to 0.50 by 0.01.
        model: one model_id, several, or None for all; only patients with a risk from every one of them count.
        level: coverage of the band.
        n_bootstrap: bootstrap samples.
        generator: the source of chance; None is a fixed seed, so that the same rows give the same band.
        apparent: True where the models were fitted on these very patients.

    Raises:
        OnlmError: a threshold outside (0, 1), more than one row a patient and model, or unusable labels or risks.
    """
    grid = _grid(thresholds)
    normal_quantile(level)
    names = models_in(rows) if model is None else [model] if isinstance(model, str) else list(model)
    if not names:
        raise OnlmError("net_benefit: no model was named, or the table has no rows; pass model=None for all models.")
    clash = [m for m in names if m in (TREAT_ALL, TREAT_NONE)]
    if clash:
        raise OnlmError(f"net_benefit: model_id '{clash[0]}' is the name of a strategy; rename the model.")
    if len(names) == 1:
        sets = [labelled(rows, model=names[0] if "model_id" in rows.columns else None)]
        n_excluded = sets[0].n_excluded
    else:
        sets, n_excluded = paired(rows, models=names)
    chance = np.random.default_rng(_SEED) if generator is None else generator
    odds, first = grid / (1 - grid), sets[0]
    share = first.n_events / first.n
    treat_all = share - (1 - share) * odds
    tables = [
        _model_table(one, grid, odds, treat_all, level=level, n_resamples=n_bootstrap, generator=chance) for one in sets
    ]
    tables.append(_strategy(TREAT_ALL, grid, treat_all, np.zeros_like(grid)))
    tables.append(_strategy(TREAT_NONE, grid, np.zeros_like(grid), -100 * treat_all / odds))
    notes = first.notes
    if first.one_class:
        notes = (*notes, first.one_class)
    return DecisionCurve(
        table=pd.concat(tables, ignore_index=True),
        n=first.n,
        n_events=first.n_events,
        n_excluded=n_excluded,
        apparent=apparent,
        notes=notes,
    )


def _grid(thresholds: Sequence[float] | None) -> np.ndarray:
    grid = np.asarray(_DEFAULT_THRESHOLDS if thresholds is None else thresholds, dtype=float).ravel()
    wrong = grid[~((grid > 0) & (grid < 1))]
    if not len(grid) or len(wrong):
        got = "none" if not len(grid) else ", ".join(f"{t:g}" for t in wrong[:4])
        raise OnlmError(f"net_benefit: thresholds must lie between 0 and 1 (0.1, not 10), got {got}.")
    return np.unique(grid)


def _model_table(
    given: Labelled,
    grid: np.ndarray,
    odds: np.ndarray,
    treat_all: np.ndarray,
    *,
    level: float,
    n_resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    between = np.searchsorted(grid, given.risk, side="right")  # how many thresholds a patient reaches
    classes = len(grid) + 1
    positives = []
    for members in (given.onlm, ~given.onlm):
        counts = np.bincount(between[members], minlength=classes)
        drawn = (
            resampled_counts(counts, n_resamples=n_resamples, generator=generator)
            if counts.sum()
            else np.zeros((n_resamples, classes))
        )
        positives.append((_reached(counts), _reached(drawn)))
    (n_tp, drawn_tp), (n_fp, drawn_fp) = positives
    benefit = (n_tp - n_fp * odds) / given.n
    low_high = percentile_interval((drawn_tp - drawn_fp * odds) / given.n, level=level)
    return pd.DataFrame(
        {
            "model_id": given.model_id,
            "threshold": grid,
            "net_benefit": benefit,
            "low": low_high[0],
            "high": low_high[1],
            "interventions_avoided": 100 * (benefit - treat_all) / odds,
        }
    )


def _reached(counts: np.ndarray) -> np.ndarray:
    """Patients at or above each threshold, from patients between thresholds (last axis)."""
    return np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1][..., 1:]


def _strategy(name: str, grid: np.ndarray, benefit: np.ndarray, avoided: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model_id": name,
            "threshold": grid,
            "net_benefit": benefit,
            "low": math.nan,
            "high": math.nan,
            "interventions_avoided": avoided,
        }
    )
