"""Patients on whom models are judged, with what was computed of them: a moved threshold asks only what it changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.rows import Labelled
from onlm_lab.results import (
    AucComparison,
    Calibration,
    CentreTable,
    DecisionCurve,
    Estimate,
    Fairness,
    OperatingPoint,
    PerThousand,
    PrecisionRecall,
    Roc,
)


class Judged:
    """The rows of one testing set. Every statistic is computed once and kept as long as this object.

    The rows are taken as they are when this is made; whoever changes them makes a new one.

    Args:
        rows: tested rows of one or several models, one row a patient and model.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows
        self._known: dict[Hashable, Any] = {}

    @classmethod
    def of(cls, rows: pd.DataFrame | Judged) -> Judged:
        """Rows as such an object; one that is so already stays itself, with all that it knows."""
        return rows if isinstance(rows, Judged) else cls(rows)

    def patients(self, model: str) -> Labelled:
        """The labelled patients of a model, checked."""
        return self._once(("patients", model), lambda: analysis.labelled(self.rows, model=model))

    def roc(self, model: str) -> Roc:
        """Its ROC curve and AUC."""
        return self._once(("roc", model), lambda: analysis.roc(self.patients(model)))

    def precision(self, model: str) -> PrecisionRecall:
        """Its precision-recall curve and average precision."""
        return self._once(("precision", model), lambda: analysis.precision_recall(self.patients(model)))

    def calibration(self, model: str) -> Calibration:
        """How well its risks are calibrated."""
        return self._once(("calibration", model), lambda: analysis.assess_calibration(self.patients(model)))

    def slope(self, model: str) -> Estimate:
        """Its calibration slope alone."""
        from onlm_lab.analysis.calibration import recalibration_line

        return self._once(("slope", model), lambda: recalibration_line(self.patients(model), level=0.95)[2])

    def comparison(self, model: str, other: str) -> AucComparison:
        """AUC of a model minus that of another, in the same patients."""
        compare = analysis.compare_aucs
        return self._once(("comparison", model, other), lambda: compare(self.rows, model_a=model, model_b=other))

    def point(self, model: str, *, threshold: float | None) -> OperatingPoint:
        """What a threshold does; None: each row's own. Not kept: it is quick, and thresholds are many."""
        return analysis.operating_point(self.patients(model), threshold=threshold)

    def per_1000(self, model: str, *, threshold: float | None) -> PerThousand:
        """The same of 1,000 such patients."""
        return analysis.per_1000(self.patients(model), threshold=threshold)

    def decision(
        self, models: Sequence[str], *, thresholds: Sequence[float], n_bootstrap: int, seed: int
    ) -> DecisionCurve:
        """Net benefit of some models over a range of thresholds."""
        grid = tuple(float(t) for t in thresholds)

        def curve() -> DecisionCurve:
            return analysis.net_benefit(
                self.rows, model=list(models), thresholds=grid, n_bootstrap=n_bootstrap,
                generator=np.random.default_rng(seed),
            )  # fmt: skip

        return self._once(("decision", tuple(models), grid, n_bootstrap, seed), curve)

    def fairness(
        self, model: str, *, columns: Sequence[str], threshold: float | None, bins: Mapping[str, Sequence[float]],
        n_resamples: int, seed: int,
    ) -> Fairness:  # fmt: skip
        """Its rates by level of some columns."""
        edges = {name: tuple(cuts) for name, cuts in bins.items() if name in columns}

        def found() -> Fairness:
            return analysis.fairness(
                self.patients(model), columns=list(columns), threshold=threshold, bins=edges, n_resamples=n_resamples,
                generator=np.random.default_rng(seed),
            )  # fmt: skip

        key = ("fairness", model, tuple(columns), threshold, tuple(sorted(edges.items())), n_resamples, seed)
        return self._once(key, found)

    def centres(self, model: str) -> CentreTable:
        """Its numbers in each centre, and pooled."""
        return self._once(("centres", model), lambda: analysis.by_centre(self.patients(model)))

    def _once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]
