"""Patients whose outcomes are told, with what was computed of them: a moved threshold or horizon asks only for what it
changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pandas as pd

from onlm_lab import analysis
from onlm_lab.analysis.rows import Patients, checked_patients
from onlm_lab.panels.patients import of_arm, with_predicted_group
from onlm_lab.results import AddedValue, HazardComparison, ProportionalHazards

MOST_THRESHOLDS = 4  # of an arm whose groups are kept: thresholds are many, and curves are long


class Followed:
    """The rows of a run. Its patients are checked once, and every statistic of theirs is computed once and kept as long
    as this object; curves by predicted group, as long as their threshold is among the last few.

    The rows are taken as they are when this is made; whoever changes them makes a new one.

    Args:
        rows: all rows of a run, of one or several models and arms.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows
        self._known: dict[Hashable, Any] = {}
        self._grouped: dict[Hashable, Patients] = {}

    @classmethod
    def of(cls, rows: pd.DataFrame | Followed) -> Followed:
        """Rows as such an object; one that is so already stays itself, with all that it knows."""
        return rows if isinstance(rows, Followed) else cls(rows)

    @property
    def columns(self) -> pd.Index:
        return self.rows.columns

    def patients(self, *, model: str, arm: str) -> Patients:
        """The patients of one arm with one model's risk, checked."""
        return self._once(("patients", model, arm), lambda: checked_patients(of_arm(self.rows, model=model, arm=arm)))

    def grouped(self, *, model: str, arm: str, threshold: float | None) -> Patients:
        """The same with their predicted group; None: by each row's own threshold."""
        return self._divided(
            self.patients(model=model, arm=arm), (arm, threshold),
            lambda rows: with_predicted_group(rows, threshold=threshold),
        )  # fmt: skip

    def by_quantile(self, *, model: str, arm: str, n: int) -> Patients:
        """The same with `risk_group`: as many patients a group, by their risk."""
        return self._divided(
            self.patients(model=model, arm=arm), (arm, "quantiles", n),
            lambda rows: analysis.group_by_risk(rows, rule="quantiles", n=n),
        )  # fmt: skip

    def by_pathology(self, *, model: str, threshold: float | None) -> Patients:
        """Those with a pathological N, with `risk_group`: predicted group and pathological N."""
        return self._divided(
            self.patients(model=model, arm="surgery"), ("pathology", threshold),
            lambda rows: analysis.group_by_risk(rows[rows["onlm"].notna()], rule="pathology", threshold=threshold),
        )  # fmt: skip

    def hazards(
        self, patients: Patients, *, endpoint: str, risk: str, others: Sequence[str], cause: int | None,
        method: str = "cox",
    ) -> HazardComparison:  # fmt: skip
        """Hazard ratios of the risk and other covariates, alone and together."""
        return patients.once(
            ("hazards", endpoint, risk, tuple(others), cause, method),
            lambda: analysis.univariable(
                patients, endpoint=endpoint, covariates=[risk, *others], multivariable=bool(others), cause=cause,
                method=method,
            ),
        )  # fmt: skip

    def gain(
        self, patients: Patients, *, endpoint: str, risk: str, others: Sequence[str], cause: int | None
    ) -> AddedValue:
        """What the risk adds to other covariates."""
        return patients.once(
            ("gain", endpoint, risk, tuple(others), cause),
            lambda: analysis.added_value(patients, endpoint=endpoint, base=list(others), added=[risk], cause=cause),
        )

    def constancy(self, patients: Patients, *, endpoint: str, risk: str, cause: int | None) -> ProportionalHazards:
        """Whether the risk's hazard ratio stays the same over time."""
        return patients.once(
            ("constancy", endpoint, risk, cause),
            lambda: analysis.proportional_hazards(patients, endpoint=endpoint, covariates=[risk], cause=cause),
        )

    def auc(self, *, model: str, arm: str, endpoint: str, days: Sequence[float]) -> pd.DataFrame:
        """How well a model's risk tells who has the event by each of some days; a new day alone is computed."""
        patients = self.patients(model=model, arm=arm)
        known: dict[float, pd.DataFrame] = patients.once(("auc", endpoint), dict)
        new = [float(day) for day in dict.fromkeys(days) if float(day) not in known]
        if new:
            found = analysis.time_dependent_auc(patients, endpoint=endpoint, horizons_days=new)
            known.update({day: found.iloc[i : i + 1] for i, day in enumerate(new)})
        return pd.concat([known[float(day)] for day in days], ignore_index=True)

    def _divided(
        self, patients: Patients, how: tuple[Hashable, ...], divide: Callable[[pd.DataFrame], pd.DataFrame]
    ) -> Patients:
        key = (patients.model_id, *how)
        if key not in self._grouped:
            self._grouped[key] = Patients(divide(patients.frame).reset_index(drop=True), patients.model_id)
            while len(self._grouped) > MOST_THRESHOLDS:
                del self._grouped[next(iter(self._grouped))]
        return self._grouped[key]

    def _once(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]
