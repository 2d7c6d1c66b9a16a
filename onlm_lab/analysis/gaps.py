"""The gap between groups of patients, in bootstrap samples and where groups differ by chance only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from onlm_lab.analysis.replicates import replicate, tally_of

SCALES = {
    "sensitivity": "difference", "fpr": "difference", "ppv": "difference", "oe_ratio": "ratio",
    "intercept": "difference",
}  # fmt: skip
_WITHIN = "levels permuted within N+ and N0"
_DRAWN = "labels drawn from the risks, shifted alike"
_CALLED = "levels permuted within those called positive"
PERMUTED = {
    "sensitivity": _WITHIN, "fpr": _WITHIN, "ppv": _CALLED, "oe_ratio": _DRAWN, "intercept": _DRAWN,
}  # fmt: skip
_CLIP = 1e-6  # as calibration: what a risk of exactly 0 or 1 is taken for under a logit
_STEPS = 50


@dataclass(frozen=True, eq=False)
class Group:
    """Some patients: onlm (n,) bool, risk (n,), called (n,) bool, None where there is no threshold."""

    onlm: np.ndarray
    risk: np.ndarray
    called: np.ndarray | None = None

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """N+, N0, and how many of each are called positive."""
        n_events = int(self.onlm.sum())
        if self.called is None:
            return n_events, len(self.onlm) - n_events, 0, 0
        return n_events, len(self.onlm) - n_events, int((self.called & self.onlm).sum()), int(
            (self.called & ~self.onlm).sum()
        )  # fmt: skip


def gap_of(values: np.ndarray, measure: str) -> np.ndarray:
    """The largest value less (O:E: over) the smallest along the first axis, groups without a value left out.

    Args:
        values: (groups, ...) a measure of each group.
        measure: which one.
    """
    values = np.asarray(values, dtype=float)
    top, bottom = np.fmax.reduce(values), np.fmin.reduce(values)
    if SCALES[measure] == "ratio":
        with np.errstate(divide="ignore", invalid="ignore"):
            return top / bottom
    return top - bottom


def intercepts(totals: np.ndarray, n_events: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Calibration in the large of several samples: the shift of the logit at which as many N+ are expected as observed.

    Newton steps of all samples together, each step at most 2, to a change of 1e-10; -inf or inf where nobody or
    everybody is N+.

    Args:
        totals: (samples, V) how many patients each sample has at each risk; one row where all samples have the same.
        n_events: (samples,) their N+.
        value: (V,) the distinct risks.
    """
    events, size = np.asarray(n_events, dtype=float), totals.sum(axis=1)
    size = np.broadcast_to(size, events.shape)
    clipped = np.clip(value, _CLIP, 1 - _CLIP)
    against = (1 - clipped) / clipped
    shift = np.where(events <= 0, -np.inf, np.where(events >= size, np.inf, 0.0))
    open_ = np.flatnonzero(np.isfinite(shift))
    for _ in range(_STEPS):
        if not len(open_):
            break
        risk = 1 / (1 + np.exp(-shift[open_])[:, None] * against)
        count = totals if len(totals) == 1 else totals[open_]
        expected = np.einsum("bv,bv->b", np.broadcast_to(count, risk.shape), risk)
        slope = expected - np.einsum("bv,bv,bv->b", np.broadcast_to(count, risk.shape), risk, risk)
        step = np.clip((events[open_] - expected) / np.maximum(slope, 1e-12), -2, 2)
        shift[open_] += step
        open_ = open_[np.abs(step) > 1e-10]
    shift[open_] = np.nan
    return shift


def drawn_groups(group: Group, *, n_resamples: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Each measure in bootstrap samples of one group: measure -> (n_resamples,), NaN where a sample has none.

    Sensitivity and fpr from samples within N+ and within N0; PPV, O:E and intercept from samples of all its patients,
    whose number of N+ varies (held fixed it would make their intervals too narrow).
    """
    nothing = np.full(n_resamples, np.nan)
    n_events, n_nonevents, n_tp, n_fp = group.counts
    drawn = dict.fromkeys(SCALES, nothing)
    if not n_events + n_nonevents:
        return drawn
    if group.called is not None:
        if n_events:
            drawn["sensitivity"] = generator.binomial(n_events, n_tp / n_events, size=n_resamples) / n_events
        if n_nonevents:
            drawn["fpr"] = generator.binomial(n_nonevents, n_fp / n_nonevents, size=n_resamples) / n_nonevents
        n = n_events + n_nonevents
        found, wrong, _ = generator.multinomial(n, [n_tp / n, n_fp / n, 1 - (n_tp + n_fp) / n], size=n_resamples).T
        drawn["ppv"] = _share(found, found + wrong)
    both = replicate(
        _calibration, tally_of(group.onlm, group.risk), n_resamples=n_resamples, stratified=False, generator=generator
    )
    return drawn | {"oe_ratio": both[:, 0], "intercept": both[:, 1]}


def null_gaps(
    groups: list[Group], measure: str, *, n_permutations: int, generator: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """The largest gap of a measure where the groups differ by chance only: (n_permutations,).

    The patients' groups are permuted within N+ for sensitivity, within N0 for fpr, within those called positive for
    PPV; only a number a group matters, which is multivariate hypergeometric. (Permuting within N+ and within N0 would
    take a gap of PPV that comes from unlike prevalence for chance.) O:E and intercept: labels are drawn from the risks
    after the one shift of their logit that fits all groups together.
    """
    if measure in ("oe_ratio", "intercept"):
        return _gaps_of_drawn_labels(groups, measure, n_permutations=n_permutations, generator=generator)
    n_events, n_nonevents, n_tp, n_fp = (np.array(c) for c in zip(*(g.counts for g in groups), strict=True))
    among, hits = {
        "sensitivity": (n_events, n_tp), "fpr": (n_nonevents, n_fp), "ppv": (n_tp + n_fp, n_tp),
    }[measure]  # fmt: skip
    dealt = generator.multivariate_hypergeometric(among, int(hits.sum()), size=n_permutations, method="marginals")
    return gap_of(_share(dealt.T, among[:, None]), measure)


def _gaps_of_drawn_labels(
    groups: list[Group], measure: str, *, n_permutations: int, generator: np.random.Generator
) -> np.ndarray:  # fmt: skip
    everyone = tally_of(np.concatenate([g.onlm for g in groups]), np.concatenate([g.risk for g in groups]))
    total = (everyone.n_events + everyone.n_nonevents)[None]
    shift = intercepts(total, np.array([everyone.n_events.sum()]), everyone.value)[0]
    values = np.empty((len(groups), n_permutations))
    for k, group in enumerate(groups):
        clipped = np.clip(group.risk, _CLIP, 1 - _CLIP)
        risk = expit(np.log(clipped / (1 - clipped)) + shift)
        chances = np.cumsum(number_of_events(risk))
        observed = np.searchsorted(chances, generator.random(n_permutations) * chances[-1], side="right")
        if measure == "oe_ratio":
            values[k] = observed / group.risk.sum()
        else:
            counted = tally_of(group.onlm, group.risk)
            number, place = np.unique(observed, return_inverse=True)
            total = (counted.n_events + counted.n_nonevents)[None]
            values[k] = intercepts(total, number, counted.value)[place]
    return gap_of(values, measure)


def number_of_events(risk: np.ndarray) -> np.ndarray:
    """The chance of 0, 1, ..., n N+ among n patients of these risks (Poisson binomial): (n + 1,), rounding 1e-15.

    The product of the polynomials (1 - risk) + risk z, in pairs, by Fourier transform.
    """
    n = len(risk)
    spare = (1 << (n - 1).bit_length()) - n
    chances = np.stack([np.append(1 - risk, np.ones(spare)), np.append(risk, np.zeros(spare))], axis=1)
    while len(chances) > 1:
        length = 2 * chances.shape[1] - 1
        waves = np.fft.rfft(chances, n=length)
        chances = np.fft.irfft(waves[::2] * waves[1::2], n=length)
    chances = np.clip(chances[0, : n + 1], 0, None)
    return chances / chances.sum()


def _calibration(events: np.ndarray, nonevents: np.ndarray, value: np.ndarray) -> np.ndarray:
    """O:E and calibration in the large of each sample: (samples, 2)."""
    observed, total = events.sum(axis=1), events + nonevents
    shift = intercepts(total, observed, value)
    return np.column_stack([_share(observed, total @ value), np.where(np.isfinite(shift), shift, np.nan)])


def _share(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    above, below = np.broadcast_arrays(np.asarray(above, dtype=float), np.asarray(below, dtype=float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
