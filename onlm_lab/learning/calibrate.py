"""From logits to calibrated risks, fitted on patients whom the model had not seen, and carried unchanged to others.

    calibrator = fit_calibrator(study.training.calibration, logit, onlm)    # inner out-of-fold logits of training rows
    risk = calibrator.apply(logit)                                          # of test rows
    again = calibrator_from_dict(calibrator.to_dict())                      # through calibration.json

Both calibrators are one straight line in the log odds. Platt's moves and stretches: it repairs a prevalence that is off
as well. Temperature only stretches: one number, less noise where patients are few, and nothing against a wrong level.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from onlm_lab.analysis.discrimination import area_under_curve
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import Labelled
from onlm_lab.analysis.thresholds import choose_threshold
from onlm_lab.errors import OnlmError
from onlm_lab.showing import shows_itself

FLAT = "inner out-of-fold logits do not rise with the label: every patient gets the prevalence"


@shows_itself
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
    kind: ClassVar[str] = "platt"

    @classmethod
    def fit(cls, logit: np.ndarray, onlm: np.ndarray) -> Platt:
        """The calibrator of these (inner out-of-fold) logits.

        Raises:
            OnlmError: patients of one class only, or a logit that is no number.
        """
        logit, target, said = _given(logit, onlm)
        if np.ptp(logit) > 0:
            centre, spread = float(logit.mean()), float(logit.std())
            z = (logit - centre) / spread
            level, rise = fit_logistic(np.column_stack([np.ones(len(z)), z]), target).coef
            if rise > 0:
                slope = float(rise) / spread
                return cls(intercept=float(level) - slope * centre, slope=slope, **said)
        return cls(intercept=_log_odds(target.mean()), slope=0.0, note=FLAT, **said)

    def apply(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated risks."""
        return sigmoid(self.intercept + self.slope * np.asarray(logit, dtype=np.float64))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"kind": self.kind, **asdict(self)}


@shows_itself
@dataclass(frozen=True)
class Temperature:
    """risk = sigmoid(logit / T), T > 0: `slope` is 1 / T, `intercept` 0.

    Guo et al. 2017, "On calibration of modern neural networks", PMLR 70:1321-1330; with Platt's targets (see `Platt`),
    which keep 1 / T finite where the sign of the logit parts the classes. Where no T > 0 fits, the slope is 0 and the
    intercept that of the prevalence, as Platt's: the note says so.
    """

    slope: float
    n: int
    n_positive: int
    note: str = ""
    intercept: float = 0.0
    kind: ClassVar[str] = "temperature"

    @classmethod
    def fit(cls, logit: np.ndarray, onlm: np.ndarray) -> Temperature:
        """The calibrator of these (inner out-of-fold) logits.

        Raises:
            OnlmError: patients of one class only, or a logit that is no number.
        """
        logit, target, said = _given(logit, onlm)
        size = float(np.sqrt(np.mean(logit**2)))
        if size > 0:
            slope = float(fit_logistic(logit[:, None] / size, target).coef[0]) / size
            if slope > 0:
                return cls(slope=slope, **said)
        return cls(slope=0.0, intercept=_log_odds(target.mean()), note=FLAT, **said)

    def apply(self, logit: np.ndarray) -> np.ndarray:
        """Calibrated risks."""
        return sigmoid(self.intercept + self.slope * np.asarray(logit, dtype=np.float64))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"kind": self.kind, **asdict(self)}


Calibrator = Platt | Temperature
KINDS: dict[str, type[Calibrator]] = {found.kind: found for found in (Platt, Temperature)}


def fit_calibrator(kind: str, logit: np.ndarray, onlm: np.ndarray) -> Calibrator:
    """The calibrator that [training] calibration names, of these (inner out-of-fold) logits.

    Raises:
        OnlmError: an unknown kind, patients of one class only, or a logit that is no number.
    """
    return _class_of(kind).fit(logit, onlm)


def calibrator_from_dict(plain: Mapping[str, Any]) -> Calibrator:
    """A calibrator as calibration.json holds it; without `kind` (runs of an earlier version) it is Platt's."""
    said = dict(plain)
    found = _class_of(said.pop("kind", Platt.kind))
    return found(**said)


def _class_of(kind: str) -> type[Calibrator]:
    if kind not in KINDS:
        raise OnlmError(f"[training] calibration is '{kind}'; wanted {' or '.join(KINDS)}.")
    return KINDS[kind]


def _given(logit: np.ndarray, onlm: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Logits, Platt's targets, and how many patients they rest on."""
    logit, onlm = np.asarray(logit, dtype=np.float64), np.asarray(onlm, dtype=np.float64)
    n, n_positive = len(onlm), int(onlm.sum())
    if not np.isfinite(logit).all():
        raise OnlmError(
            f"Calibration: {(~np.isfinite(logit)).sum()} of {n} logits are not numbers. Lower learning_rate."
        )
    if n_positive in (0, n):
        raise OnlmError(f"Calibration needs patients of both classes; {n_positive} of {n} are N+.")
    target = np.where(onlm == 1, (n_positive + 1) / (n_positive + 2), 1 / (n - n_positive + 2))
    return logit, target, {"n": n, "n_positive": n_positive}


def _log_odds(share: float) -> float:
    return float(np.log(share / (1 - share)))


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
