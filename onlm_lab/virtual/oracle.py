"""The best that anyone could do on a made-up trial: the one reader of truth.csv, and only after predictions exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from onlm_lab.errors import StudyError

ORACLES = {"oracle_clinical": "risk_clinical", "oracle_full": "risk_full"}


def oracle_predictions(study_folder: str | Path, ids: Sequence[str]) -> pd.DataFrame:
    """The true risks of the named patients: patient_id, risk_clinical (table alone), risk_full (table and image).

    Args:
        study_folder: a made-up trial, as write_trial left it.
        ids: patient_id of those who have a prediction, in the order wanted.

    Raises:
        StudyError: not a made-up trial, or a patient that it does not know.
    """
    path = Path(study_folder) / "truth.csv"
    if not path.is_file():
        raise StudyError(
            f"'{Path(study_folder).name}' has no truth.csv: an oracle exists for made-up trials only. "
            "Make one with `onlm virtual DIR`."
        )
    columns = ["patient_id", *ORACLES.values()]
    truth = pd.read_csv(path, dtype={"patient_id": str}, keep_default_na=False, usecols=columns)
    truth = truth.set_index("patient_id")
    wanted = [str(i) for i in ids]
    unknown = [i for i in wanted if i not in truth.index]
    if unknown:
        raise StudyError(
            f"truth.csv knows nothing of {len(unknown)} of {len(wanted)} patients (such as '{unknown[0]}'). "
            "Ask for patients of this trial only."
        )
    return truth.loc[wanted].astype(float).reset_index()


def oracle_aucs(study_folder: str | Path, *, ids: Sequence[str], onlm: Sequence[float]) -> dict[str, float]:
    """AUC of the two oracles on the patients that a model was tested on.

    Args:
        study_folder: a made-up trial.
        ids: patient_id of the test rows.
        onlm: their labels, 0 or 1, in the same order.

    Returns:
        oracle_clinical and oracle_full; NaN where only one class is present.

    Raises:
        StudyError: as oracle_predictions, or labels that are not 0 and 1.
    """
    labels = np.asarray(onlm, dtype=float)
    if len(labels) != len(ids) or not np.isin(labels, (0.0, 1.0)).all():
        raise StudyError(
            f"The oracle wants one label of 0 or 1 for each of {len(ids)} patients; {len(labels)} came, "
            f"{int((~np.isin(labels, (0.0, 1.0))).sum())} of them neither 0 nor 1. Leave rows without a label out."
        )
    risks = oracle_predictions(study_folder, ids)
    return {name: _auc(risks[column].to_numpy(), labels == 1) for name, column in ORACLES.items()}


def _auc(risk: np.ndarray, positive: np.ndarray) -> float:
    """The Mann-Whitney statistic as a share, ties half (Hanley, McNeil 1982, doi:10.1148/radiology.143.1.7063747)."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(risk)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
