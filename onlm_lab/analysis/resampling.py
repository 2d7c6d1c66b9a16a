"""Bootstrap samples, drawn within N+ and N0 apart so that every sample has the events of the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onlm_lab.errors import OnlmError

_CHUNK_CELLS = 4_000_000  # row numbers drawn at a time: 16 MB as int32
_CLASS_COST = 10  # patients that are drawn and counted in the time of one class of a multinomial draw (measured)


def resampled_rows(strata: np.ndarray, *, n_resamples: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers of stratified bootstrap samples, in chunks of shape (samples, n).

    Rows are drawn with replacement within each stratum, so that each sample holds as many of each as the data
    (Efron and Tibshirani 1993, chapter 8). Column j of a chunk always belongs to the stratum of row j.

    Args:
        strata: (n,) the stratum of each row, such as onlm; one value for an unstratified bootstrap.
        n_resamples: how many samples.
        generator: the source of chance; the same state gives the same samples.
    """
    strata = np.asarray(strata)
    n = len(strata)
    _check(n, n_resamples)
    members = [np.flatnonzero(strata == value).astype(np.int32) for value in np.unique(strata)]
    step = max(1, _CHUNK_CELLS // n)
    for start in range(0, n_resamples, step):
        size = min(step, n_resamples - start)
        chunk = np.empty((size, n), dtype=np.int32)
        for rows in members:
            chunk[:, rows] = rows[generator.integers(0, len(rows), size=(size, len(rows)), dtype=np.int32)]
        yield chunk


def resampled_counts(counts: np.ndarray, *, n_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each class occurs in bootstrap samples of one stratum: (samples, classes).

    Drawing n rows with replacement and counting classes is a multinomial draw; where a statistic needs only counts
    (patients between two thresholds), this gives the same distribution as drawing rows, at a fraction of the cost.

    Args:
        counts: (classes,) how many patients of the stratum lie in each class.
        n_resamples: how many samples.
        generator: the source of chance.
    """
    counts = np.asarray(counts, dtype=np.int64)
    n = int(counts.sum())
    _check(n, n_resamples)
    return generator.multinomial(n, counts / n, size=n_resamples)


def drawn_counts(counts: np.ndarray, *, n_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """As `resampled_counts`, the same distribution, made the faster way: (samples, classes).

    Where the classes are many (distinct risks), patients are drawn and counted; where they are few, the counts.

    Args:
        counts: (classes,) how many patients of the stratum lie in each class.
        n_resamples: how many samples.
        generator: the source of chance.
    """
    counts = np.asarray(counts, dtype=np.int64)
    n, classes = int(counts.sum()), len(counts)
    occupied = np.flatnonzero(counts)
    if _CLASS_COST * len(occupied) < n:
        drawn = np.zeros((n_resamples, classes), dtype=np.int64)
        drawn[:, occupied] = resampled_counts(counts[occupied], n_resamples=n_resamples, generator=generator)
        return drawn
    _check(n, n_resamples)
    narrow = np.uint16 if n <= np.iinfo(np.uint16).max else np.uint32 if n <= np.iinfo(np.uint32).max else np.int64
    patient = generator.integers(0, n, size=(n_resamples, n), dtype=narrow)
    place = np.repeat(np.arange(classes), counts).take(patient)
    place += classes * np.arange(n_resamples)[:, None]
    return np.bincount(place.ravel(), minlength=n_resamples * classes).reshape(n_resamples, classes)


def percentile_interval(replicates: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limits over axis 0: the percentile interval (Efron 1979, doi:10.1214/aos/1176344552)."""
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(replicates, [tail, 100 - tail], axis=0)
    return low, high


def _check(n: int, n_resamples: int) -> None:
    if n < 1:
        raise OnlmError("bootstrap: there are no patients to draw from.")
    if n_resamples < 1:
        raise OnlmError(f"bootstrap: n_resamples must be at least 1, got {n_resamples}.")
