"""What a hidden value could be: the values of the training patients who are most alike in what is known.

    fills = find_fills(patients, table=training, encoder=encoder, image=codes, train_image=train_codes)
    fills.table            # every patient of whom something is missing, 20 times, each time filled by another donor
    fills.image_donor      # whose image stands in, a row number of the training patients; -1 where the patient has one

A risk with a hidden value is a mixture of the risks with what it could be. Its variance is the mean of the variances
with a known value plus the variance of their means (law of total variance, as between and within imputations in Rubin,
Multiple Imputation for Nonresponse in Surveys, 1987, ISBN 0-471-08705-X), so that the spread over networks x donors is
the wider one. Donors are taken whole where 20 know all that is missing: what hangs together in them stays together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.learning.clinical import ClinicalEncoder

N_DONORS = 20
IMAGE = "image"  # beside the columns of the table, as one more


@dataclass(frozen=True, eq=False)
class Fills:
    """Patients of whom something is missing, filled.

    Attributes:
        rows: which patients of the table that was given, (m,).
        table: each of them N_DONORS times in a row, missing cells filled: (m*N_DONORS rows).
        image_donor: (m*N_DONORS,) training patient whose image stands in; -1: the patient's own.
    """

    rows: np.ndarray
    table: pd.DataFrame
    image_donor: np.ndarray


def find_fills(
    patients: pd.DataFrame, *, table: pd.DataFrame, encoder: ClinicalEncoder | None,
    image: np.ndarray | None = None, train_image: np.ndarray | None = None, seed: int = 0,
) -> Fills:  # fmt: skip
    """Donors of every patient of whom a cell or the image is missing.

    Alike is a small mean, over what is known of both, of squared differences; each column, and the image as one, is
    divided by its mean over pairs of training patients, so that none counts more than another.

    Args:
        patients: new ones.
        table: training patients.
        encoder: names the columns, and scales them; None for a model without a table.
        image: what is seen of each new patient's image (n,D), NaN where there is none; None: images do not matter.
        train_image: the same of the training patients (N,D).
        seed: breaks ties.
    """
    parts = _differences(patients, table=table, encoder=encoder)
    hidden = {name: ~_readable(patients[name], encoder=encoder) for name in parts}
    knows = {name: _readable(table[name], encoder=encoder) for name in parts}
    if image is not None and train_image is not None:
        parts[IMAGE] = _image_differences(image, train=train_image)
        hidden[IMAGE], knows[IMAGE] = np.isnan(image).any(axis=1), ~np.isnan(train_image).any(axis=1)
    names = [name for name in parts if knows[name].any()]
    lacking = np.zeros(len(patients), dtype=bool)
    for name in names:
        lacking |= hidden[name]
    rows = np.flatnonzero(lacking)
    order = np.random.default_rng(seed).permutation(len(table))
    filled = patients.iloc[np.repeat(rows, N_DONORS)].reset_index(drop=True)
    image_donor = np.full(len(filled), -1)
    values: dict[str, list] = {name: filled[name].tolist() for name in names if name != IMAGE}
    for place, row in enumerate(rows):
        missing = [name for name in names if hidden[name][row]]
        distance = _distance([parts[name][row] for name in names if not hidden[name][row]], n=len(table))
        ranked = np.lexsort((order, distance))
        at = slice(place * N_DONORS, (place + 1) * N_DONORS)
        for name, donors in _choose(ranked, missing=missing, knows=knows).items():
            if name == IMAGE:
                image_donor[at] = donors
            else:
                values[name][at] = table[name].iloc[donors].tolist()
    return Fills(rows, filled.assign(**values), image_donor)


def _choose(ranked: np.ndarray, *, missing: list[str], knows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Of each missing thing the nearest donors: the same for all where enough know all, else each thing's own."""
    together = ranked[np.logical_and.reduce([knows[name][ranked] for name in missing])]
    if len(together) >= N_DONORS:
        return dict.fromkeys(missing, together[:N_DONORS])
    return {name: np.resize(ranked[knows[name][ranked]][:N_DONORS], N_DONORS) for name in missing}


def _distance(parts: list[np.ndarray], *, n: int) -> np.ndarray:
    """Mean over what is known of both: (N,); infinite where nothing is, 0 for everybody where nothing is known of the
    patient at all."""
    if not parts:
        return np.zeros(n)
    stacked = np.stack(parts)
    count = (~np.isnan(stacked)).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.inf)


def _differences(
    patients: pd.DataFrame, *, table: pd.DataFrame, encoder: ClinicalEncoder | None
) -> dict[str, np.ndarray]:
    """Of each column the squared differences (m,N) of new and training patients, 1 on the mean; NaN where unknown."""
    if encoder is None:
        return {}
    values, train = encoder.transform(patients)[0], encoder.transform(table)[0]
    found = {}
    for k, item in enumerate(encoder.inputs):
        if item.column in found:
            continue
        if item.level is None:
            apart = (values[:, k, None].astype(np.float64) - train[:, k]) ** 2 / 2  # z of training: variance 1
        else:
            words, own = patients[item.column].to_numpy(dtype=object), table[item.column].to_numpy(dtype=object)
            shares = table[item.column].value_counts(normalize=True).to_numpy()
            apart = (words[:, None] != own[None]) / max(1 - (shares**2).sum(), 1e-9)
        known = _readable(patients[item.column], encoder=encoder)[:, None] & _readable(
            table[item.column], encoder=encoder
        )
        found[item.column] = np.where(known, apart, np.nan)
    return found


def _readable(values: pd.Series, *, encoder: ClinicalEncoder) -> np.ndarray:
    """Which cells tell the model something: known, and no level that no training patient had."""
    levels = next(item.levels for item in encoder.inputs if item.column == values.name)
    return (values.isin(levels) if levels else values.notna()).to_numpy()


def _image_differences(image: np.ndarray, *, train: np.ndarray) -> np.ndarray:
    """Squared distances (m,N) of what is seen, 1 on the mean over pairs of training patients."""
    image, train = image.astype(np.float64), train.astype(np.float64)
    square = (image**2).sum(axis=1)[:, None] + (train**2).sum(axis=1)[None] - 2 * image @ train.T
    return np.maximum(square, 0) / max(2 * np.nanvar(train, axis=0, ddof=1).sum(), 1e-12)
