"""Two learners that need no network, each fitted on weighted rows at several settings at once, and how one is chosen.

models = [Ridge.fit(design, onlm, w, settings=(0.1,)) for w in balanced_weights(5, len(onlm), seed=1)]
logit = models[0].logits(other)                                      # (C,m): a row a setting
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

INVERSE_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # scikit-learn's C; the strongest penalty first
TREES = (5, 10, 20, 40, 80)
TREE_RATE = 0.1
LEVELS = 32  # that a tree sees of a number


def balanced_weights(n_models: int, n: int, *, seed: int) -> np.ndarray:
    """How much each patient weighs in each model: (S,n), mean 1 over models; one model weighs all alike.

    Exponential draws (the Bayesian bootstrap: Rubin 1981, doi:10.1214/aos/1176345338), balanced (Davison, Hinkley and
    Schechtman 1986, doi:10.1093/biomet/73.3.555): chance moves the mean of a few models less.
    """
    drawn = np.random.default_rng(seed).exponential(size=(n_models, n))
    return drawn / drawn.mean(axis=0)


class Learned(Protocol):
    """What one set of weighted rows taught, at each of C settings."""

    def logits(self, design: np.ndarray) -> np.ndarray:
        """(m,D) -> (C,m)."""


@dataclass(frozen=True, eq=False)
class Ridge:
    """Coefficients at each of C penalties."""

    coef: np.ndarray  # (C,D)
    intercept: np.ndarray  # (C,)

    @classmethod
    def fit(cls, design: np.ndarray, onlm: np.ndarray, weight: np.ndarray, *, settings: tuple[float, ...]) -> Ridge:
        """One logistic regression (scikit-learn, lbfgs) for each inverse penalty."""
        found = [
            LogisticRegression(C=c, max_iter=5000, tol=1e-6).fit(design, onlm, sample_weight=weight) for c in settings
        ]
        return cls(
            coef=np.concatenate([m.coef_ for m in found]), intercept=np.concatenate([m.intercept_ for m in found])
        )

    def logits(self, design: np.ndarray) -> np.ndarray:
        """(m,D) -> (C,m)."""
        return self.intercept[:, None] + self.coef @ design.T


@dataclass(frozen=True, eq=False)
class Boosting:
    """Trees, and what they say after each of C numbers of them."""

    edges: list[np.ndarray]  # of each column, between its levels; empty: nothing was known of it
    trees: HistGradientBoostingClassifier
    settings: tuple[int, ...]

    @classmethod
    def fit(cls, design: np.ndarray, onlm: np.ndarray, weight: np.ndarray, *, settings: tuple[int, ...]) -> Boosting:
        """Small trees (depth 3), as many as the last setting; earlier settings are the first of them.

        Numbers become levels first: scikit-learn's own weighted quantiles take most of the time here, and a column of
        which nothing is known stops it.
        """
        trees = HistGradientBoostingClassifier(
            learning_rate=TREE_RATE, max_iter=max(settings), max_depth=3, min_samples_leaf=10, l2_regularization=1.0,
            early_stopping=False, random_state=0,
        )  # fmt: skip
        found = cls(edges=[_edges(x) for x in design.T], trees=trees, settings=settings)
        trees.fit(found.levels(design), onlm, sample_weight=weight)
        return found

    def levels(self, design: np.ndarray) -> np.ndarray:
        """Which level each number has, NaN where it is missing; 0 for all in a column of which nothing was known."""
        return np.column_stack([
            np.where(np.isnan(x), np.nan, np.searchsorted(edges, x)) if len(edges) else np.zeros(len(x))
            for x, edges in zip(design.T, self.edges, strict=True)
        ])  # fmt: skip

    def logits(self, design: np.ndarray) -> np.ndarray:
        """(m,D) -> (C,m)."""
        if not len(design):
            return np.zeros((len(self.settings), 0))
        staged = enumerate(self.trees.staged_decision_function(self.levels(design)), start=1)
        found = {n: np.ravel(logit) for n, logit in staged if n in self.settings}
        return np.stack([found[n] for n in self.settings])


def _edges(x: np.ndarray) -> np.ndarray:
    """Halfway between distinct values, where they are few; else quantiles of them."""
    distinct = np.unique(x[~np.isnan(x)])
    if len(distinct) <= LEVELS:
        return distinct if len(distinct) == 1 else (distinct[1:] + distinct[:-1]) / 2
    return np.quantile(distinct, np.arange(1, LEVELS) / LEVELS)


def held_out(
    learn: Callable[..., Learned], designs: np.ndarray, *, fits: np.ndarray, onlm: np.ndarray, weight: np.ndarray,
    settings: tuple,
) -> np.ndarray:  # fmt: skip
    """Each training row's logits by models that had not seen it: (C,S,n)."""
    out = np.full((len(settings), *weight.shape), np.nan)
    for design, fit in zip(designs[:-1], fits[:-1], strict=True):
        for s, w in enumerate(weight):
            found = learn(design[fit], onlm[fit], w[fit], settings=settings)
            out[:, s, ~fit] = found.logits(design[~fit])
    return out


def choose(out: np.ndarray, *, onlm: np.ndarray) -> int:
    """The setting whose models' mean has the lowest held-out loss; of equals the first, which is the simplest."""
    return int(np.argmin(log_loss(out.mean(axis=1), onlm)))


def log_loss(logit: np.ndarray, onlm: np.ndarray, *, weight: np.ndarray | None = None) -> np.ndarray:
    """Mean binary cross-entropy over the last axis, in natural logarithms."""
    return np.average(np.logaddexp(0, logit) - onlm * logit, axis=-1, weights=weight)
