"""The performance page beside scikit-learn's bare numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score, roc_curve

from onlm_lab.panels import performance
from onlm_lab.panels.judged import Judged

Race = tuple[str, str, Callable[[], object], Callable[[], object]]
N_PATIENTS = 20_000
MODELS = {"fused": 0.3, "image": 0.6, "clinical": 1.0}  # how much noise blurs what each sees
THRESHOLDS = np.linspace(0.02, 0.40, 39)


def made_rows() -> pd.DataFrame:
    """Out-of-fold risks of three models in the same patients, about 20 % of them N+."""
    chance = np.random.default_rng(0)
    sign = chance.normal(size=N_PATIENTS)
    onlm = chance.binomial(1, 1 / (1 + np.exp(2 - 1.2 * sign))).astype(float)
    parts = []
    for model, noise in MODELS.items():
        risk = 1 / (1 + np.exp(2 - 1.2 * (sign + noise * chance.normal(size=N_PATIENTS))))
        parts.append(pd.DataFrame({
            "patient_id": np.arange(N_PATIENTS).astype(str), "model_id": model, "onlm": onlm, "risk": risk,
            "threshold": 0.1, "predicted_positive": (risk >= 0.1).astype(float),
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work."""
    rows = made_rows()
    judged, moved = Judged(rows), itertools.count(1)
    onlm = rows.loc[rows["model_id"] == "fused", "onlm"].to_numpy()
    risks = [rows.loc[rows["model_id"] == model, "risk"].to_numpy() for model in MODELS]

    def page(kept: Judged, threshold: float) -> list[object]:
        models = list(MODELS)
        panels = [
            performance.roc_panel(kept, models=models, threshold=threshold),
            performance.operating_panel(kept, model="fused", threshold=threshold),
            performance.decision_panel(kept, models=models, thresholds=THRESHOLDS, threshold=threshold),
        ]
        return [performance.tiles(kept, model="fused", threshold=threshold), *(p.figure.to_json() for p in panels)]

    def all_of_it() -> None:
        kept = Judged(rows)
        page(kept, 0.1)
        performance.calibration_panel(kept, models=list(MODELS)).figure.to_json()
        performance.comparison_panel(kept, model="fused", others=list(MODELS)).figure.to_json()

    def bare() -> None:
        for risk in risks:
            roc_auc_score(onlm, risk), roc_curve(onlm, risk), brier_score_loss(onlm, risk)
            for threshold in THRESHOLDS:
                confusion_matrix(onlm, risk >= threshold)

    page(judged, 0.1)
    yield (
        f"page at a new threshold: tiles, 3 figures, n = {N_PATIENTS:,}",
        "scikit-learn, the numbers alone",
        lambda: page(judged, 0.1 + 0.001 * (next(moved) % 100)),
        bare,
    )
    yield f"the whole page anew, n = {N_PATIENTS:,}", "scikit-learn, the numbers alone", all_of_it, bare
