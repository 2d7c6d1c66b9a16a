"""Who is tested in which fold: by patient, before anything is fitted."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
import pandas as pd

from onlm_lab.errors import OnlmError
from onlm_lab.schema import table_text


def make_folds(
    patients: pd.DataFrame,
    *,
    n_folds: int | None = 5,
    n_repeats: int = 1,
    seed: int,
    scheme: Literal["stratified", "leave_one_centre_out"] = "stratified",
) -> pd.DataFrame:
    """The fold in which each patient is tested.

    "stratified": within each label, the patients of one centre after the other are dealt to the folds in turn, so that
    the folds differ by at most one patient in each stratum of label and centre, in each label, and in all, however
    small a stratum is. "leave_one_centre_out": one fold a centre, in the order of their names; n_folds, n_repeats and
    chance play no part.

    Args:
        patients: patient_id, centre, and onlm (missing is a stratum of its own); the order of rows does not matter.
        n_folds: at least 2, at most the number of patients.
        n_repeats: how often all patients are dealt anew.
        seed: the study's seed.

    Returns:
        patient_id, repeat, fold (both from 0), sorted by repeat and patient_id.

    Raises:
        OnlmError: a patient twice, fewer patients than folds, or a single centre to leave out.
    """
    rows = patients.sort_values("patient_id", kind="stable").reset_index(drop=True)
    doubled = rows.loc[rows["patient_id"].duplicated(), "patient_id"].unique()
    if len(doubled):
        raise OnlmError(
            f"A split is by patient: wanted one row each, but {len(doubled)} patients have more "
            f"({', '.join(doubled[:5])}). Keep one row of each."
        )
    if scheme == "leave_one_centre_out":
        centres = sorted(rows["centre"].unique())
        if len(centres) < 2:
            raise OnlmError(
                f"Leaving one centre out needs at least 2 centres; there is {len(centres)}. Use 'stratified'."
            )
        fold = rows["centre"].map({c: i for i, c in enumerate(centres)})
        return pd.DataFrame({"patient_id": rows["patient_id"], "repeat": 0, "fold": fold.astype("int64")})
    if scheme != "stratified":
        raise OnlmError(f"scheme '{scheme}' is not known; wanted 'stratified' or 'leave_one_centre_out'.")
    if n_folds is None or not 2 <= n_folds <= len(rows):
        raise OnlmError(f"n_folds is {n_folds}; wanted at least 2 and at most the {len(rows)} patients.")
    repeats = []
    for repeat in range(n_repeats):
        fold = _deal(rows, n_folds=n_folds, rng=np.random.default_rng([seed, repeat]))
        repeats.append(pd.DataFrame({"patient_id": rows["patient_id"], "repeat": repeat, "fold": fold}))
    return pd.concat(repeats, ignore_index=True)


def _deal(rows: pd.DataFrame, *, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of each row: the rows, ordered by label and centre and at random within, dealt out in turn."""
    stratum = rows["onlm"].fillna(2.0).to_numpy()
    centre = pd.factorize(rows["centre"], sort=True)[0]
    order = np.lexsort((rng.permutation(len(rows)), centre, stratum))
    fold = np.empty(len(rows), dtype=np.int64)
    fold[order] = rng.permutation(n_folds)[np.arange(len(rows)) % n_folds]
    return fold


def split_digest(folds: pd.DataFrame) -> str:
    """SHA-256 of a split: the same patients in the same folds, whatever the order of rows."""
    rows = folds[["patient_id", "repeat", "fold"]].sort_values(["repeat", "patient_id"], kind="stable")
    return hashlib.sha256(table_text(rows).encode()).hexdigest()
