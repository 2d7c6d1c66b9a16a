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
SEED = 20250101  # where no generator is given, the same rows give the same band


def net_benefit(
    rows: pd.DataFrame,
    *,
    thresholds: Sequence[float] | None = None,
    model: str | Sequence[str] | None = None,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    hold_prevalence: bool = False,
    generator: np.random.Generator | None = None,
    apparent: bool = False,
) -> DecisionCurve:
    """Net benefit of acting on each model, on everybody and on nobody, over a range of thresholds.

    Net benefit = TP/n - FP/n * t/(1 - t), positive if risk >= t (Vickers and Elkin 2006,
    doi:10.1177/0272989X06295361); interventions avoided per 100 patients = 100 * (net benefit - that of treating
    all) / (t/(1 - t)), at the same number of N+ found. The bands are percentile intervals of bootstrap samples of
    patients. The share of N+ varies from sample to sample, as it would from study to study, so that treating all has
    a band too; a band that held the share would cover far too seldom in a cohort (simulated: docs, coverage).

    Args:
        rows: a row a patient and model: patient_id, onlm, risk, model_id where there are several.
        thresholds: risks from which one would act, each in (0, 1); None is 0.01 to 0.50 by 0.01.
        model: one model_id, several, or None for all; only patients with a risk from every one of them count.
        level: coverage of the band.
        n_bootstrap: bootstrap samples.
        hold_prevalence: True where the numbers of N+ and of N0 were fixed by design (a case-control sample): samples
            are then drawn within each, and treating all has no band.
        generator: the source of chance; None is a fixed seed, so that the same rows give the same band.
        apparent: True where the models were fitted on these very patients.

    Raises:
        OnlmError: a threshold outside (0, 1), more than one row a patient and model, or unusable labels or risks.
    """
    grid = checked_thresholds(thresholds)
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
    chance = np.random.default_rng(SEED) if generator is None else generator
    first, drawing = sets[0], {"level": level, "n_resamples": n_bootstrap, "hold_prevalence": hold_prevalence}
    tables = [_model_table(one, grid, generator=chance, **drawing) for one in sets]
    tables.append(_strategies(first, grid, generator=chance, **drawing))
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


def checked_thresholds(thresholds: Sequence[float] | None, *, call: str = "net_benefit") -> np.ndarray:
    """The thresholds in rising order, each once; None is 0.01 to 0.50 by 0.01.

    Raises:
        OnlmError: none at all, or one outside (0, 1).
    """
    grid = np.asarray(_DEFAULT_THRESHOLDS if thresholds is None else thresholds, dtype=float).ravel()
    wrong = grid[~((grid > 0) & (grid < 1))]
    if not len(grid) or len(wrong):
        got = "none" if not len(grid) else ", ".join(f"{t:g}" for t in wrong[:4])
        raise OnlmError(f"{call}: thresholds must lie between 0 and 1 (0.1, not 10), got {got}.")
    return np.unique(grid)


def reached_by(given: Labelled, grid: np.ndarray) -> np.ndarray:
    """How many of the thresholds each patient's risk reaches: (n,) whole numbers, 0 to len(grid)."""
    return np.searchsorted(grid, given.risk, side="right")


def drawn_classes(
    onlm: np.ndarray, place: np.ndarray, *, n_classes: int, n_resamples: int, generator: np.random.Generator,
    hold_prevalence: bool,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Bootstrap samples of patients who differ only by class: N+ and N0 of each class, (samples, classes) each.

    Args:
        onlm: (n,) bool.
        place: (n,) the class of each patient, 0 to n_classes - 1.
        n_classes: how many classes.
        n_resamples: how many samples.
        generator: the source of chance.
        hold_prevalence: draw within N+ and within N0, so that their numbers stay.
    """
    counts = np.bincount(place + n_classes * ~onlm, minlength=2 * n_classes)  # N+ first
    if not hold_prevalence:
        drawn = resampled_counts(counts, n_resamples=n_resamples, generator=generator)
        return drawn[:, :n_classes], drawn[:, n_classes:]
    parts = [
        resampled_counts(own, n_resamples=n_resamples, generator=generator)
        if own.sum()
        else np.zeros((n_resamples, n_classes), dtype=np.int64)
        for own in (counts[:n_classes], counts[n_classes:])
    ]
    return parts[0], parts[1]


def _model_table(
    given: Labelled, grid: np.ndarray, *, level: float, n_resamples: int, hold_prevalence: bool,
    generator: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    between, classes, odds = reached_by(given, grid), len(grid) + 1, grid / (1 - grid)
    seen = [np.bincount(between[members], minlength=classes)[None, :] for members in (given.onlm, ~given.onlm)]
    benefit, avoided = (worth[0] for worth in _worth(*seen, odds=odds, n=given.n))
    drawn = drawn_classes(
        given.onlm, between, n_classes=classes, n_resamples=n_resamples, generator=generator,
        hold_prevalence=hold_prevalence,
    )  # fmt: skip
    bands = [percentile_interval(worth, level=level) for worth in _worth(*drawn, odds=odds, n=given.n)]
    return _columns(given.model_id, grid, benefit, *bands[0], avoided, *bands[1])


def _strategies(
    given: Labelled, grid: np.ndarray, *, level: float, n_resamples: int, hold_prevalence: bool,
    generator: np.random.Generator,
) -> pd.DataFrame:  # fmt: skip
    """Treating all and treating nobody: only the share of N+ varies, and nothing where it is held."""
    odds, share = grid / (1 - grid), given.n_events / given.n
    if hold_prevalence:
        few = many = math.nan
    else:
        few, many = percentile_interval(generator.binomial(given.n, share, size=n_resamples) / given.n, level=level)
    treat_all, low, high = (p - (1 - p) * odds for p in (share, few, many))
    none, nothing = np.zeros_like(grid), np.full(len(grid), math.nan)
    avoided = [-100 * worth / odds for worth in (treat_all, high, low)]
    return pd.concat(
        [
            _columns(TREAT_ALL, grid, treat_all, low, high, none, nothing, nothing),
            _columns(TREAT_NONE, grid, none, nothing, nothing, *avoided),
        ],
        ignore_index=True,
    )


def _columns(name: str, grid: np.ndarray, *measured: np.ndarray) -> pd.DataFrame:
    names = ("net_benefit", "low", "high", "interventions_avoided", "avoided_low", "avoided_high")
    return pd.DataFrame({"model_id": name, "threshold": grid} | dict(zip(names, measured, strict=True)))


def _worth(events: np.ndarray, nonevents: np.ndarray, *, odds: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Net benefit, and interventions avoided per 100, at each threshold, from patients between thresholds."""
    n_tp, n_fp = _reached(events), _reached(nonevents)
    n_fn, n_tn = events.sum(axis=-1, keepdims=True) - n_tp, nonevents.sum(axis=-1, keepdims=True) - n_fp
    return (n_tp - n_fp * odds) / n, 100 * (n_tn - n_fn / odds) / n


def _reached(counts: np.ndarray) -> np.ndarray:
    """Patients at or above each threshold, from patients between thresholds (last axis)."""
    return np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1][..., 1:]
