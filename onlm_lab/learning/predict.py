"""From what the tasks left to predictions.csv: the one place where a logit becomes a risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from onlm_lab.learning.calibrate import Calibrator, sigmoid
from onlm_lab.learning.validate import FINAL, Task

MIN_SPREAD = 5  # models wanted before their spread is shown
COLUMNS = (
    "patient_id", "model_id", "split", "repeat", "fold", "risk", "risk_raw", "risk_low", "risk_high", "threshold",
    "predicted_positive", "ood_score",
)  # fmt: skip


def risk_rows(
    logit: np.ndarray, *, task: Task, ids: Sequence[str], calibrator: Calibrator, threshold: float, ood: np.ndarray,
    splits: Sequence[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """A row for each patient that the task was applied to.

    `risk` is the calibrated mean of the seeds' logits; `risk_low` and `risk_high` are the 5th and 95th percentile of
    the seeds' calibrated risks (model spread, no confidence interval), opened where needed to hold `risk`, and missing
    where fewer than five models were trained.

    Args:
        logit: (S, n_apply).
        task: what was fitted.
        ids: patient_id of every row number.
        calibrator: of the task's inner out-of-fold logits.
        threshold: likewise.
        ood: (n_apply,).
        splits: of every row number, what the final model's row is: unlabelled, external or test; None: unlabelled.
    """
    mean = logit.mean(axis=0)
    risk = calibrator.apply(mean)
    low = high = np.full(len(risk), np.nan)
    if len(logit) >= MIN_SPREAD:
        low, high = np.percentile(calibrator.apply(logit), [5, 95], axis=0)
        low, high = np.minimum(low, risk), np.maximum(high, risk)
    final = task.fold == FINAL
    return pd.DataFrame({
        "patient_id": [ids[k] for k in task.apply],
        "model_id": task.model,
        "split": [splits[k] if splits else "unlabelled" for k in task.apply] if final else "oof",
        "repeat": task.repeat,
        "fold": np.nan if final else float(task.fold),
        "risk": risk,
        "risk_raw": sigmoid(mean),
        "risk_low": low,
        "risk_high": high,
        "threshold": threshold,
        "predicted_positive": (risk >= threshold).astype(float),
        "ood_score": ood,
    })  # fmt: skip


def assemble(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """All rows in one order, whatever order they were made in."""
    table = pd.concat([parts[name] for name in sorted(parts)], ignore_index=True)
    return table.sort_values(["model_id", "split", "repeat", "patient_id"], ignore_index=True)[list(COLUMNS)]
