"""How good is a way of fitting, once what it owes to its own patients is taken off? Harrell's optimism bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.replicates import STATISTICS, tally_of, value_of
from onlm_lab.analysis.resampling import percentile_interval, resampled_rows
from onlm_lab.analysis.rows import labelled
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, OptimismCorrected

_SEED = 20250101  # where no generator is given, the same patients give the same numbers
_LEAST_SHARE = 0.5  # of the resamples must have given a number
Risks = Callable[[pd.DataFrame], object]


def optimism_corrected(
    data: pd.DataFrame,
    *,
    fit: Callable[[pd.DataFrame], Risks],
    statistic: str | Callable[[pd.DataFrame], float] = "auc",
    n_resamples: int = 200,
    level: float = 0.95,
    generator: np.random.Generator | None = None,
) -> OptimismCorrected:
    """A statistic of a way of fitting, freed of its optimism by refitting in bootstrap samples.

    In each sample the whole way of fitting is repeated; its optimism is the statistic in the sample minus that of the
    same model in the data; the mean optimism is taken off the apparent statistic (Harrell, Lee and Mark 1996,
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4). The interval of the corrected statistic is
    that of the refitted models in their own samples, moved by the optimism (Noma et al. 2021, doi:10.1002/sim.9148);
    a calibration slope, which is 1 in every sample, has none. Everything that looks at the label belongs inside
    `fit`: choosing predictors, tuning, imputing.

    Args:
        data: a row a patient: patient_id, onlm and the predictors.
        fit: takes rows, gives a call that takes rows and gives their risks in [0, 1]. A patient drawn twice is two
            rows, each with an id of its own.
        statistic: "auc", "average_precision", "brier", "oe_ratio", "calibration_slope", or a call that takes rows with
            a `risk` and gives a number.
        n_resamples: bootstrap samples, drawn from all patients; a sample of one class, or one that `fit` refuses with
            an OnlmError, is counted in n_failed.
        level: coverage of the intervals.
        generator: the source of chance; None is a fixed seed.

    Raises:
        OnlmError: an unknown statistic, more than one row a patient, no label, or risks of another length or range.
    """
    z = normal_quantile(level)
    if not callable(statistic) and (not isinstance(statistic, str) or statistic not in STATISTICS):
        raise OnlmError(
            f"optimism_corrected: statistic must be one of {', '.join(STATISTICS)}, or a call that takes rows, got "
            f"{statistic!r}."
        )
    given = labelled(data, risk=False)
    name = statistic if isinstance(statistic, str) else getattr(statistic, "__name__", "statistic")
    if given.one_class:
        nothing = Estimate(math.nan, level=level, note=given.one_class)
        empty = pd.DataFrame({"resample": [], "in_resample": [], "in_data": []})
        return OptimismCorrected(
            apparent=nothing, optimism=nothing, corrected=nothing, replicates=empty, statistic=name, n_resamples=0,
            n_failed=0, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded,
            notes=(*given.notes, given.one_class),
        )  # fmt: skip
    chance = np.random.default_rng(_SEED) if generator is None else generator
    apparent = _judge(given.frame, fit(given.frame), statistic)
    found = np.full((n_resamples, 2), np.nan)
    drawn = resampled_rows(np.zeros(given.n), n_resamples=n_resamples, generator=chance)
    for i, places in enumerate(p for chunk in drawn for p in chunk):
        found[i] = _in_sample_and_data(given.frame, places, fit=fit, statistic=statistic)
    used = np.isfinite(found).all(axis=1)
    optimism, corrected = _estimates(apparent, found[used], n_resamples=n_resamples, level=level, z=z)
    n_failed = int((~used).sum())
    notes = list(given.notes)
    if n_failed:
        notes.append(f"{n_failed} of {n_resamples} resamples gave no model or no {name} and were left out")
    return OptimismCorrected(
        apparent=Estimate(apparent, level=level, method="apparent", note="" if math.isfinite(apparent) else "no value"),
        optimism=optimism, corrected=corrected,
        replicates=pd.DataFrame({
            "resample": np.flatnonzero(used) + 1, "in_resample": found[used, 0], "in_data": found[used, 1],
        }),
        statistic=name, n_resamples=n_resamples, n_failed=n_failed, n=given.n, n_events=given.n_events,
        n_excluded=given.n_excluded, notes=tuple(notes),
    )  # fmt: skip


def _in_sample_and_data(
    frame: pd.DataFrame,
    places: np.ndarray,
    *,
    fit: Callable[[pd.DataFrame], Risks],
    statistic: str | Callable[[pd.DataFrame], float],
) -> tuple[float, float]:
    sample = frame.iloc[places].reset_index(drop=True)
    sample["patient_id"] = np.arange(len(sample)).astype(str)
    if sample["onlm"].nunique() < 2:
        return math.nan, math.nan
    try:
        model = fit(sample)
        return _judge(sample, model, statistic), _judge(frame, model, statistic)
    except OnlmError:  # a refusal, which the caller counts
        return math.nan, math.nan


def _judge(frame: pd.DataFrame, model: Risks, statistic: str | Callable[[pd.DataFrame], float]) -> float:
    risk = np.asarray(model(frame), dtype=float)
    if risk.shape != (len(frame),) or np.isnan(risk).any() or ((risk < 0) | (risk > 1)).any():
        raise OnlmError(
            f"optimism_corrected: the fitted model must give one risk in [0, 1] for each of {len(frame)} rows, got "
            f"shape {risk.shape}" + (f" from {np.nanmin(risk):g} to {np.nanmax(risk):g}." if risk.size else ".")
        )
    if callable(statistic):
        return float(statistic(frame.assign(risk=risk)))
    onlm = pd.to_numeric(frame["onlm"]).to_numpy(dtype=float) == 1
    return value_of(STATISTICS[statistic], tally_of(onlm, risk))


def _estimates(
    apparent: float, found: np.ndarray, *, n_resamples: int, level: float, z: float
) -> tuple[Estimate, Estimate]:
    how, moved = "mean of the resamples, Monte Carlo", "optimism bootstrap, moved percentile"
    if len(found) < max(2, _LEAST_SHARE * n_resamples) or not math.isfinite(apparent):
        note = f"only {len(found)} of {n_resamples} resamples gave a number" if math.isfinite(apparent) else "no value"
        nothing = Estimate(math.nan, level=level, note=note)
        return nothing, nothing
    each = found[:, 0] - found[:, 1]
    mean, error = float(each.mean()), z * float(each.std(ddof=1)) / math.sqrt(len(each))
    optimism = Estimate(mean, mean - error, mean + error, level, how)
    if np.ptp(found[:, 0]) < 1e-6 * max(1.0, abs(apparent)):
        note = "no interval: the statistic is the same in every sample that fitted its model"
        return optimism, Estimate(apparent - mean, level=level, method=moved, note=note)
    low, high = percentile_interval(found[:, 0], level=level)
    return optimism, Estimate(apparent - mean, float(low) - mean, float(high) - mean, level, moved)
