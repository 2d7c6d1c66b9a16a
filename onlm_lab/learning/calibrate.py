"""Platt's calibration, fitted on risks of patients whom the model had not seen, and carried unchanged to others.

calibrator = Platt.fit(logit, onlm)          # inner out-of-fold logits of the training rows
risk = calibrator.apply(logit)               # of test rows
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab.analysis.discrimination import area_under_curve
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import Labelled
from onlm_lab.analysis.thresholds import choose_threshold
from onlm_lab.errors import OnlmError


@dataclass(frozen=True)
class Platt:
    """risk = sigmoid(intercept + slope * logit); slope >= 0, so that a higher logit never means a lower risk.

    Platt 1999, "Probabilistic outputs for support vector machines", Advances in Large Margin Classifiers, pp. 61-74,
    with his targets, (n+ + 1) / (n+ + 2) and 1 / (n- + 2), which keep the slope finite where classes are separated.
    """

    intercept: float
    slope: float
    n: int
    n_positive: int
    note: str = ""

    @classmethod
    def fit(cls, logit: np.ndarray, onlm: np.ndarray) -> Platt:
        """The calibrator of these (inner out-of-fold) logits.

        Raises:
            OnlmError: patients of one class only, or a logit that is no number.
        """
        logit, onlm = np.asarray(logit, dtype=np.float64), np.asarray(onlm, dtype=np.float64)
        n, n_positive = len(onlm), int(onlm.sum())
        if not np.isfinite(logit).all():
            raise OnlmError(
                f"Calibration: {(~np.isfinite(logit)).sum()} of {n} logits are not numbers. Lower learning_rate."
            )
        if n_positive in (0, n):
            raise OnlmError(f"Calibration needs patients of both classes; {n_positive} of {n} are N+.")
        target = np.where(onlm == 1, (n_positive + 1) / (n_positive + 2), 1 / (n - n_positive + 2))
        centre, spread = float(logit.mean()), float(logit.std())
        if np.ptp(logit) > 0:
            z = (logit - centre) / spread
            level, rise = fit_logistic(np.column_stack([np.ones(n), z]), target).coef
            if rise > 0:
                slope = float(rise) / spread
                return cls(intercept=float(level) - slope * centre, slope=slope, n=n, n_positive=n_positive)
        mean = float(target.mean())
        note = "inner out-of-fold logits do not rise with the label: every patient gets the prevalence"
        return cls(intercept=float(np.log(mean / (1 - mean))), slope=0.0, n=n, n_positive=n_positive, note=note)

    def apply(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated risks."""
        return sigmoid(self.intercept + self.slope * np.asarray(logit, dtype=np.float64))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    logit = np.asarray(logit, dtype=np.float64)
    half = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, half) / (1.0 + half)


def auc(logit: np.ndarray, onlm: np.ndarray) -> float:
    """Area under the ROC curve, the library's own; NaN where one class is missing."""
    event = np.asarray(onlm) > 0.5
    if event.all() or not event.any():
        return math.nan
    given = Labelled(frame=pd.DataFrame(), onlm=event, risk=np.asarray(logit), model_id="", n_excluded={})
    return float(area_under_curve(given)[0])


def threshold_for(risk: np.ndarray, onlm: np.ndarray, *, sensitivity: float) -> float:
    """The highest risk whose sensitivity in these (inner out-of-fold) patients reaches the target."""
    ids = [str(i) for i in range(len(risk))]
    rows = pd.DataFrame({"patient_id": ids, "risk": risk, "onlm": np.asarray(onlm, dtype=np.float64)})
    return choose_threshold(rows, rule="sensitivity", target=sensitivity)
