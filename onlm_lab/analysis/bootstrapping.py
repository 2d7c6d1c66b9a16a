"""How far would a statistic move with other patients? The bootstrap, of patients or of whole centres."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from onlm_lab.analysis.confidence import acceleration_of, bca, few_notes, percentile, unused_note
from onlm_lab.analysis.discrimination import placements
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.replicates import (
    OF_ALL_PATIENTS,
    STATISTICS,
    Statistic,
    Tally,
    chunks,
    replicate,
    replicate_clusters,
    tally_of,
    value_of,
)
from onlm_lab.analysis.resampling import resampled_rows
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.errors import OnlmError
from onlm_lab.results import Bootstrap, Estimate

FEW_CLUSTERS = 20
_SEED = 20250101  # where no generator is given, the same rows give the same interval
OfFrame = Callable[[pd.DataFrame], float]


def bootstrap(
    rows: pd.DataFrame,
    *,
    statistic: str | OfFrame = "auc",
    model: str | None = None,
    n_resamples: int = 2000,
    by_cluster: str | None = None,
    stratified: bool | None = None,
    interval: Literal["percentile", "bca"] = "percentile",
    level: float = 0.95,
    generator: np.random.Generator | None = None,
) -> Bootstrap:
    """A statistic with its bootstrap interval, for any statistic of the rows.

    Named statistics are computed in all samples at once. Percentile interval: Efron 1979, doi:10.1214/aos/1176344552;
    BCa, corrected for bias and skewness by the jackknife: Efron 1987, doi:10.1080/01621459.1987.10478410 (for the AUC
    the jackknife is exact and O(n log n), from DeLong's placements). Samples without a number, such as those of one
    class, are left out and counted in the notes.

    Args:
        rows: a row a patient: patient_id, onlm, risk.
        statistic: "auc", "average_precision", "brier", "oe_ratio", "calibration_slope", or a call that takes the rows
            of a sample and gives a number; a patient drawn twice is two rows there, each with an id of its own.
        model: which model_id; None where the table holds one only.
        n_resamples: bootstrap samples.
        by_cluster: a column, such as "centre", whose groups of patients are drawn whole; None draws patients.
        stratified: whether patients are drawn within N+ and within N0. None: yes, but for average precision, Brier
            score and O:E, which hang on the share of N+ that this would hold fixed. Clusters are never stratified.
        interval: "percentile" or "bca".
        level: coverage of the interval.
        generator: the source of chance; None is a fixed seed, so that the same rows give the same interval.

    Raises:
        OnlmError: an unknown statistic or interval, patients without a cluster, a statistic that is no number, more
            than one row a patient, or an unusable label or risk.
    """
    normal_quantile(level)
    _refuse(statistic, interval, by_cluster, stratified)
    given = labelled(rows, model=model, risk=not callable(statistic))
    chance = np.random.default_rng(_SEED) if generator is None else generator
    within = (statistic not in OF_ALL_PATIENTS if stratified is None else stratified) and by_cluster is None
    cluster, n_clusters, notes = None, 0, list(given.notes)
    drawn = "patients within N+ and within N0" if within else "patients"
    if by_cluster is not None:
        cluster, n_clusters = _clusters(given, by_cluster)
        drawn = f"whole clusters of {by_cluster}"
        if n_clusters < FEW_CLUSTERS:
            notes.append(
                f"only {n_clusters} clusters of {by_cluster}: an interval from fewer than {FEW_CLUSTERS} is rough"
            )
    name = statistic if isinstance(statistic, str) else getattr(statistic, "__name__", "statistic")
    source = (
        _Named(given, STATISTICS[statistic], tally_of(given.onlm, given.risk))
        if isinstance(statistic, str)
        else _Called(given, statistic, name)
    )
    value = source.value()
    why = _too_few(given, value, within=within, n_clusters=n_clusters if by_cluster else None)
    notes += few_notes(given.n_events, given.n)
    found, z0, a = np.empty(0), math.nan, math.nan
    if why:
        method = "bootstrap, BCa" if interval == "bca" else "bootstrap, percentile"
        estimate = Estimate(value, level=level, method=method, note=why)
    else:
        found = source.replicates(n_resamples, cluster=cluster, stratified=within, generator=chance)
        notes += unused_note(found, what=name)
        if interval == "bca":
            a = acceleration_of(source.without_one(cluster=cluster, stratified=within))
            estimate, z0 = bca(value, found, acceleration=a, level=level)
        else:
            estimate = percentile(value, found, level=level)
    used = np.isfinite(found)
    return Bootstrap(
        estimate=estimate, replicates=pd.DataFrame({"resample": np.flatnonzero(used) + 1, "value": found[used]}),
        statistic=name, drawn=drawn, se=float(found[used].std(ddof=1)) if used.sum() > 1 else math.nan,
        bias_correction=z0, acceleration=a, n_resamples=n_resamples, n_used=int(used.sum()), model_id=given.model_id,
        n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, notes=tuple(notes),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Named:
    """A statistic of counts at the distinct risks: all samples at once."""

    given: Labelled
    statistic: Statistic
    counted: Tally

    def value(self) -> float:
        return value_of(self.statistic, self.counted)

    def replicates(
        self, n_resamples: int, *, cluster: np.ndarray | None, stratified: bool, generator: np.random.Generator
    ) -> np.ndarray:
        if cluster is None:
            return replicate(
                self.statistic, self.counted, n_resamples=n_resamples, stratified=stratified, generator=generator
            )
        return replicate_clusters(
            self.statistic, self.counted.value, *self._by_cluster(cluster), n_resamples=n_resamples, generator=generator
        )

    def without_one(self, *, cluster: np.ndarray | None, stratified: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        """The statistic without each patient (or cluster) in turn, and how many patients give that value."""
        if cluster is not None:
            events, nonevents = self._by_cluster(cluster)
            left = self.statistic(events.sum(axis=0) - events, nonevents.sum(axis=0) - nonevents, self.counted.value)
            return [(left, np.ones(len(left)))]
        groups = _area_without_one(self.given) if self.statistic is STATISTICS["auc"] else _without_one(self)
        if stratified:
            return groups
        return [tuple(np.concatenate(part) for part in zip(*groups, strict=True))]

    def _by_cluster(self, cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        width, k = len(self.counted.value), int(cluster.max()) + 1
        cell = cluster * width + np.searchsorted(self.counted.value, self.given.risk)
        return tuple(
            np.bincount(cell[members], minlength=k * width).reshape(k, width).astype(float)
            for members in (self.given.onlm, ~self.given.onlm)
        )


@dataclass(frozen=True, eq=False)
class _Called:
    """A statistic of the rows themselves: one sample after the other."""

    given: Labelled
    statistic: OfFrame
    name: str

    def value(self) -> float:
        return _number(self.statistic(self.given.frame), of=self.name)

    def replicates(
        self, n_resamples: int, *, cluster: np.ndarray | None, stratified: bool, generator: np.random.Generator
    ) -> np.ndarray:
        drawn = (
            _drawn_patients(self.given, n_resamples, stratified=stratified, generator=generator)
            if cluster is None
            else _drawn_clusters(cluster, n_resamples, generator=generator)
        )
        return np.array([self._of(places) for places in drawn])

    def without_one(self, *, cluster: np.ndarray | None, stratified: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        unit = np.arange(self.given.n) if cluster is None else cluster
        left = np.array([self._of(np.flatnonzero(unit != u)) for u in range(int(unit.max()) + 1)])
        if not stratified:
            return [(left, np.ones(len(left)))]
        return [(left[m], np.ones(np.count_nonzero(m))) for m in (self.given.onlm, ~self.given.onlm)]

    def _of(self, places: np.ndarray) -> float:
        """The statistic of some rows; NaN where it refuses them, which is counted."""
        frame = self.given.frame.iloc[places].reset_index(drop=True)
        frame["patient_id"] = np.arange(len(frame)).astype(str)
        try:
            return _number(self.statistic(frame), of=self.name)
        except OnlmError:
            return math.nan


def _area_without_one(given: Labelled) -> list[tuple[np.ndarray, np.ndarray]]:
    """AUC without each patient, by class: without one N+, (m A - placement) / (m - 1); likewise for N0."""
    groups = []
    for placed in placements(given):
        n = len(placed)
        without = (n * placed.mean() - placed) / (n - 1) if n > 1 else np.full(n, math.nan)
        groups.append((without, np.ones(n)))
    return groups


def _without_one(of: _Named) -> list[tuple[np.ndarray, np.ndarray]]:
    counted, groups = of.counted, []
    for is_event in (True, False):
        counts = counted.n_events if is_event else counted.n_nonevents
        places, values = np.flatnonzero(counts), []
        if not len(places):
            continue
        for size, start in _pieces(len(places), width=len(counts)):
            events, nonevents = (np.repeat(c[None], size, axis=0) for c in (counted.n_events, counted.n_nonevents))
            (events if is_event else nonevents)[np.arange(size), places[start : start + size]] -= 1
            values.append(of.statistic(events, nonevents, counted.value))
        groups.append((np.concatenate(values), counts[places].astype(float)))
    return groups


def _pieces(total: int, *, width: int) -> Iterator[tuple[int, int]]:
    start = 0
    for size in chunks(total, width=width):
        yield size, start
        start += size


def _drawn_patients(
    given: Labelled, n_resamples: int, *, stratified: bool, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    strata = given.onlm if stratified else np.zeros(given.n)
    for chunk in resampled_rows(strata, n_resamples=n_resamples, generator=generator):
        yield from chunk


def _drawn_clusters(cluster: np.ndarray, n_resamples: int, *, generator: np.random.Generator) -> Iterator[np.ndarray]:
    members = [np.flatnonzero(cluster == k) for k in range(int(cluster.max()) + 1)]
    for size in chunks(n_resamples, width=len(cluster)):
        for drawn in generator.integers(0, len(members), size=(size, len(members))):
            yield np.concatenate([members[k] for k in drawn])


def _clusters(given: Labelled, column: str) -> tuple[np.ndarray, int]:
    require_columns(given.frame, [column])
    without = given.frame[column].isna()
    if without.any():
        ids = ", ".join(given.frame["patient_id"][without].astype(str).head(4))
        raise OnlmError(
            f"bootstrap: {column} is missing for {int(without.sum())} of {given.n} patients ({ids}). Fill it, or leave "
            "by_cluster out."
        )
    code, names = pd.factorize(given.frame[column].astype(str), sort=True)
    return code.astype(np.int64), len(names)


def _too_few(given: Labelled, value: float, *, within: bool, n_clusters: int | None) -> str:
    if given.one_class and not math.isfinite(value):
        return given.one_class
    if n_clusters is not None and n_clusters < 2:
        return "no interval: one cluster only"
    if within and min(given.n_events, given.n - given.n_events) < 2:
        return "no interval: it needs at least two N+ and two N0 patients"
    return "" if math.isfinite(value) else "the patients have no such value"


def _refuse(statistic: object, interval: str, by_cluster: str | None, stratified: bool | None) -> None:
    if not callable(statistic) and (not isinstance(statistic, str) or statistic not in STATISTICS):
        raise OnlmError(
            f"bootstrap: statistic must be one of {', '.join(STATISTICS)}, or a call that takes rows, got "
            f"{statistic!r}."
        )
    if interval not in ("percentile", "bca"):
        raise OnlmError(f"bootstrap: interval must be 'percentile' or 'bca', got {interval!r}.")
    if by_cluster is not None and stratified:
        raise OnlmError(
            "bootstrap: whole clusters cannot be drawn within N+ and N0; pass by_cluster or stratified=True."
        )


def _number(value: object, *, of: str) -> float:
    if isinstance(value, Estimate) or not np.isscalar(value) or isinstance(value, str):
        raise OnlmError(
            f"bootstrap: {of} must give a number, got {type(value).__name__}; of a result take a field, such as "
            "roc(rows).auc.value."
        )
    return float(value)
