"""How unlike the training patients' CTs a new CT is, by the facts of its quality: a second part of `ood_score`.

    quality = unlikeness_of_quality(facts.iloc[learn], facts.iloc[apply])
    ood = combine_unlikeness(ood_of_features, quality)

A network's features may look usual although the CT is of a kind that it never saw, and a strange CT is a reason for
doubt that a reader can name. Each score is the share of training patients that are less unusual; the combined score is
the larger of the two. (Of two independent scores the larger is above 0.95 in 10 % of patients like those of training,
not in 5 %: it is an order of doubt, no probability.)
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError

# What differs by less than this does not count as different; it also keeps the distance finite where all training CTs
# are alike (a centre that makes nothing but 1 mm slices).
RESOLUTION = {"noise_hu": 2.0, "spacing_mm": 0.1, "thickness_mm": 0.1}
KINDS = ("kernel_class",)
FEWEST = 10  # training patients


def unlikeness_of_quality(facts_train: pd.DataFrame, facts_new: pd.DataFrame) -> np.ndarray:
    """For each new patient the share of training patients whose CT is less unusual than his: (m,), 0 to 1.

    Unusual is the Mahalanobis distance (1936) to the training CTs over noise_hu, spacing_mm, thickness_mm and, as 0/1,
    each kernel_class and what is not known. Training patients are measured without themselves, as a new one is. Within
    a distance of 1 (one spread, or what the facts resolve) nobody is more unusual than another. A patient of whom
    nothing is known (no CT) is NaN. Columns that either table lacks, or that no training CT tells, are left out.

    Args:
        facts_train: a row a training patient, as the cache of patches holds them; NaN where not known.
        facts_new: the same columns of other patients.

    Raises:
        OnlmError: none of the columns is in both tables, or fewer than 10 training patients have a CT.
    """
    both = [c for c in (*RESOLUTION, *KINDS) if c in facts_train and c in facts_new]
    columns = [c for c in both if facts_train[c].notna().any()]
    if not columns:
        raise OnlmError(
            f"Of the training patients' CTs none of {', '.join((*RESOLUTION, *KINDS))} is known in both tables; wanted "
            "at least one. Run `onlm prepare STUDY` again."
        )
    facts_train = facts_train[facts_train[columns].notna().any(axis=1)]
    if len(facts_train) < FEWEST:
        raise OnlmError(
            f"Quality facts are known of {len(facts_train)} training patients; wanted at least {FEWEST}. "
            "Run `onlm prepare STUDY` again."
        )
    levels = {c: sorted(facts_train[c].dropna().astype(str).unique()) for c in columns if c in KINDS}
    fit, floor = _as_numbers(facts_train, columns=columns, levels=levels)
    new, _ = _as_numbers(facts_new, columns=columns, levels=levels)
    middle = np.nanmean(fit, axis=0)
    fit, new = (np.where(np.isnan(x), middle, x) for x in (fit, new))
    distance = np.maximum(distance_to(new, fit=fit, floor=floor), 1)
    usual = np.maximum(_without_itself(fit, floor=floor), 1)
    share = (usual[None] < distance[:, None] * (1 - 1e-9)).mean(axis=1)
    return np.where(facts_new[columns].notna().any(axis=1), share, np.nan)


def with_quality(ood: np.ndarray, facts_train: pd.DataFrame | None, facts_new: pd.DataFrame) -> np.ndarray:
    """A score of unlikeness with the CT's quality beside it; as it was where the training CTs tell too little.

    Args:
        ood: (m,).
        facts_train: a row a training patient; None: nothing is known.
        facts_new: a row a new patient, aligned with `ood`.
    """
    if facts_train is None or not len(ood):
        return ood
    told = [name for name in (*RESOLUTION, *KINDS) if name in facts_train and name in facts_new]
    if facts_train[told].notna().any(axis=1).sum() < FEWEST:
        return ood
    return combine_unlikeness(ood, unlikeness_of_quality(facts_train, facts_new))


def combine_unlikeness(features: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """The larger of two scores of each patient; the known one where the other is NaN."""
    return np.fmax(np.asarray(features, dtype=np.float64), np.asarray(quality, dtype=np.float64))


def distance_to(points: np.ndarray, *, fit: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Mahalanobis distance of each point (m,k) to the mean of `fit` (n,k), `floor` (k,) squared added to variances."""
    apart = points - fit.mean(axis=0)
    covariance = np.cov(fit, rowvar=False).reshape(fit.shape[1], -1) + np.diag(floor**2)
    return np.sqrt(np.einsum("mk,mk->m", apart, np.linalg.solve(covariance, apart.T).T))


def _without_itself(fit: np.ndarray, *, floor: np.ndarray) -> np.ndarray:
    """Each row's distance to all the others, by taking the row out of mean and covariance: (n,)."""
    n = len(fit)
    apart = fit - fit.mean(axis=0)
    scatter = apart.T @ apart
    own = apart[:, :, None] * apart[:, None, :]  # (n,k,k)
    covariance = (scatter - n / (n - 1) * own) / (n - 2) + np.diag(floor**2)
    apart = apart * n / (n - 1)
    solved = np.linalg.solve(covariance, apart[:, :, None])[:, :, 0]
    return np.sqrt(np.maximum((apart * solved).sum(axis=1), 0))


def _as_numbers(
    facts: pd.DataFrame, *, columns: list[str], levels: dict[str, list[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (n,k), NaN where a number is not known, and the floor of each column.

    A 0/1 column has 1 / sqrt(n) as floor: what no training CT had lies sqrt(n) away.
    """
    parts, floor = [], []
    one = 1 / np.sqrt(max(len(facts), 1))
    for name in columns:
        known = facts[name].notna().to_numpy()
        if name in KINDS:
            words = facts[name].astype(object).map(str, na_action="ignore").to_numpy()
            parts += [(words == level).astype(float) for level in levels[name]]
            parts.append((known & ~np.isin(words.astype(str), levels[name])).astype(float))  # a kind never seen
            floor += [one] * (len(levels[name]) + 1)
        else:
            parts.append(pd.to_numeric(facts[name]).to_numpy(dtype=np.float64, na_value=np.nan))
            floor.append(RESOLUTION[name])
        parts.append((~known).astype(float))
        floor.append(one)
    return np.column_stack(parts), np.array(floor)
