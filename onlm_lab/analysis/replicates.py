"""A statistic in thousands of bootstrap samples at once: each sample is a row of counts at the distinct risks.

A sample drawn with replacement differs from the data only in how often each patient occurs. So risks are sorted once,
a sample is two rows of counts (N+ and N0 at each distinct risk), and a statistic is a few sums along those rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from onlm_lab.analysis.resampling import drawn_counts
from onlm_lab.analysis.tally import tabulate
from onlm_lab.errors import OnlmError

_CHUNK_CELLS = 50_000  # patients drawn at a time: what a processor keeps at hand (measured)
_CLIP = 1e-6  # as calibration: what a risk of exactly 0 or 1 is taken for under a logit
_NEWTON_STEPS = 30

Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Tally:
    """Patients by distinct risk: value (V,) rising, n_events (V,) and n_nonevents (V,)."""

    value: np.ndarray
    n_events: np.ndarray
    n_nonevents: np.ndarray

    @property
    def n(self) -> int:
        return int(self.n_events.sum() + self.n_nonevents.sum())


def tally_of(onlm: np.ndarray, risk: np.ndarray) -> Tally:
    """The tally of some patients."""
    return Tally(*tabulate(onlm, risk))


def auc(events: np.ndarray, nonevents: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each sample, ties counting half; NaN where a class is missing.

    Args:
        events, nonevents: (samples, V) how many N+ and N0 patients each sample has at each distinct risk.
        value: (V,) the distinct risks, rising.
    """
    below = np.cumsum(nonevents, axis=1)
    n, m = below[:, -1], events.sum(axis=1)
    twice = 2 * below - nonevents
    return _ratio(np.einsum("bv,bv->b", events, twice), 2.0 * m * n)


def average_precision(events: np.ndarray, nonevents: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Sum over falling thresholds of the gain in recall times the precision, ties as one step; NaN without N+."""
    found = np.cumsum(events[:, ::-1], axis=1)[:, ::-1]
    called = found + np.cumsum(nonevents[:, ::-1], axis=1)[:, ::-1]
    gained = np.einsum("bv,bv->b", events, found / np.maximum(called, 1))
    return _ratio(gained, events.sum(axis=1))


def brier(events: np.ndarray, nonevents: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Mean squared distance of risk and label in each sample."""
    squares = events @ (1 - value) ** 2 + nonevents @ value**2
    return _ratio(squares, events.sum(axis=1) + nonevents.sum(axis=1))


def oe_ratio(events: np.ndarray, nonevents: np.ndarray, value: np.ndarray) -> np.ndarray:
    """N+ patients observed over those expected in each sample; NaN where nothing is expected."""
    return _ratio(events.sum(axis=1), events @ value + nonevents @ value)


def calibration_slope(events: np.ndarray, nonevents: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Slope of the logistic recalibration of each sample; NaN where the sample has no finite one.

    Newton steps of all samples together, to a change of 1e-10; a sample in which one risk parts N+ from N0, or whose
    steps do not settle, has no slope.
    """
    events, nonevents = np.asarray(events, dtype=float), np.asarray(nonevents, dtype=float)
    x, slopes = logit(np.clip(value, _CLIP, 1 - _CLIP)), np.full(len(events), np.nan)
    open_, total = np.flatnonzero(~_parted(events, nonevents)), events + nonevents
    if not len(open_):
        return slopes
    share = events[open_].sum(axis=1) / total[open_].sum(axis=1)
    coef = np.column_stack([logit(share), np.zeros(len(open_))])
    for _ in range(_NEWTON_STEPS):
        risk = expit(coef[:, :1] + coef[:, 1:] * x)
        weight = total[open_] * risk * (1 - risk)
        apart = events[open_] - total[open_] * risk
        w, wx, wxx = weight.sum(axis=1), weight @ x, weight @ x**2
        g, gx = apart.sum(axis=1), apart @ x
        size = w * wxx - wx**2
        fits = size > 1e-14 * np.maximum(w * wxx, 1e-300)
        step = np.column_stack([wxx * g - wx * gx, w * gx - wx * g])[fits] / size[fits, None]
        open_, coef = open_[fits], coef[fits] + step
        settled = np.abs(step).max(axis=1, initial=0) < 1e-10 * (1 + np.abs(coef).max(axis=1, initial=0))
        slopes[open_[settled]] = coef[settled, 1]
        open_, coef = open_[~settled], coef[~settled]
        if not len(open_):
            break
    return slopes


STATISTICS: dict[str, Statistic] = {
    "auc": auc,
    "average_precision": average_precision,
    "brier": brier,
    "oe_ratio": oe_ratio,
    "calibration_slope": calibration_slope,
}
# What depends on the share of N+ varies with it: holding the share fixed would make the interval too narrow.
OF_ALL_PATIENTS = frozenset({"average_precision", "brier", "oe_ratio"})


def runs(counted: Tally, *, of_events: bool = True) -> Tally:
    """The same patients with neighbours of one class counted together: the ROC curve keeps its shape and its area.

    Args:
        counted: the patients by distinct risk.
        of_events: whether N+ neighbours are joined too; if not, the precision at each of them is kept as well.
    """
    event, nonevent = counted.n_events > 0, counted.n_nonevents > 0
    alone = event & nonevent if of_events else event
    starts = np.flatnonzero(np.concatenate(([True], alone[1:] | alone[:-1] | (event[1:] != event[:-1]))))
    return Tally(
        counted.value[starts],
        np.add.reduceat(counted.n_events, starts),
        np.add.reduceat(counted.n_nonevents, starts),
    )


def value_of(statistic: Statistic, counted: Tally) -> float:
    """The statistic of the data themselves."""
    return float(statistic(counted.n_events[None], counted.n_nonevents[None], counted.value)[0])


def replicate(
    statistic: Statistic, counted: Tally, *, n_resamples: int, stratified: bool, generator: np.random.Generator
) -> np.ndarray:
    """The statistic in bootstrap samples of patients: (n_resamples,), or (n_resamples, k) where it has k values.

    Args:
        statistic: (events, nonevents, value) -> one row a sample.
        counted: the data.
        n_resamples: how many samples.
        stratified: drawn within N+ and within N0, so that each sample has the events of the data; else from all.
        generator: the source of chance.
    """
    if statistic in (auc, average_precision):  # of ranks only
        counted = runs(counted, of_events=statistic is auc)
    parts = [
        statistic(*_draw(counted, size=size, stratified=stratified, generator=generator), counted.value)
        for size in chunks(n_resamples, width=counted.n)
    ]
    return np.concatenate(parts)


def replicate_clusters(
    statistic: Statistic,
    value: np.ndarray,
    events: np.ndarray,
    nonevents: np.ndarray,
    *,
    n_resamples: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """The statistic in samples of whole clusters; events and nonevents are (clusters, V) counts at each risk."""
    k, parts = len(events), []
    for size in chunks(n_resamples, width=len(value)):
        times = generator.multinomial(k, np.full(k, 1 / k), size=size).astype(float)
        parts.append(statistic(times @ events, times @ nonevents, value))
    return np.concatenate(parts)


def chunks(n_resamples: int, *, width: int) -> Iterator[int]:
    """How many samples at a time, so that their counts stay in the cache; refuses to draw none."""
    if n_resamples < 1:
        raise OnlmError(f"bootstrap: n_resamples must be at least 1, got {n_resamples}.")
    step = max(1, _CHUNK_CELLS // max(1, width))
    for start in range(0, n_resamples, step):
        yield min(step, n_resamples - start)


def _draw(
    counted: Tally, *, size: int, stratified: bool, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    classes = len(counted.value)
    if not stratified:
        both = drawn_counts(
            np.concatenate([counted.n_events, counted.n_nonevents]), n_resamples=size, generator=generator
        )
        return both[:, :classes], both[:, classes:]
    events, nonevents = (
        drawn_counts(counts, n_resamples=size, generator=generator)
        if counts.any()
        else np.zeros((size, classes), dtype=np.int64)
        for counts in (counted.n_events, counted.n_nonevents)
    )
    return events, nonevents


def _parted(events: np.ndarray, nonevents: np.ndarray) -> np.ndarray:
    """Whether one risk parts N+ from N0 in a sample, or a class is missing."""
    is_event, is_nonevent = events > 0, nonevents > 0
    last = events.shape[1] - 1
    first_event, first_nonevent = is_event.argmax(axis=1), is_nonevent.argmax(axis=1)
    last_event = last - is_event[:, ::-1].argmax(axis=1)
    last_nonevent = last - is_nonevent[:, ::-1].argmax(axis=1)
    missing = ~is_event.any(axis=1) | ~is_nonevent.any(axis=1)
    return missing | (last_nonevent <= first_event) | (last_event <= first_nonevent)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    out = np.full(len(below), np.nan)
    return np.divide(above, below, out=out, where=below > 0)
