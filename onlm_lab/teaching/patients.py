"""The made-up patients of the lessons: a risk for each, and whether N+ was found; the truth is known to the digit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

MODEL = "the model"
LEVEL, SPREAD = -1.85, 1.35  # of the log odds: with the seed below 200 N+ of 1,000, and an AUC of 0.80


def made_up_patients(
    n_patients: int = 1000, *, seed: int = 41, level: float = LEVEL, spread: float = SPREAD
) -> pd.DataFrame:
    """Made-up patients whose risk is honest: of those with a risk of 20 %, 20 of 100 are N+ but for chance.

    Args:
        n_patients: how many.
        seed: of chance.
        level, spread: mean and standard deviation of the log odds of N+.

    Returns:
        patient_id, model_id, risk and onlm (1: N+, 0: N0), a row a patient.
    """
    chance = np.random.default_rng(seed)
    risk = expit(level + spread * chance.normal(size=n_patients))
    return pd.DataFrame({
        "patient_id": [f"M{i:05d}" for i in range(n_patients)], "model_id": MODEL, "risk": risk,
        "onlm": (chance.uniform(size=n_patients) < risk).astype(int),
    })  # fmt: skip


def reckoned(rows: pd.DataFrame, *, shift: float = 0.0, stretch: float = 1.0) -> pd.DataFrame:
    """The same patients with every risk moved and stretched on the log-odds scale; nobody changes places.

    Args:
        rows: of made_up_patients.
        shift: added to the log odds; above 0 every risk is higher.
        stretch: of the log odds about those of the mean risk; above 1 high risks are higher and low ones lower.
    """
    risk = rows["risk"].to_numpy()
    middle = np.log(risk.mean() / (1 - risk.mean()))
    log_odds = np.log(risk / (1 - risk))
    return rows.assign(risk=expit(middle + stretch * (log_odds - middle) + shift))
