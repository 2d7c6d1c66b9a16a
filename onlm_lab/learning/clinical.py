"""Clinical columns as numbers, fitted on training rows only: log, scale, one-hot, and what was missing.

    encoder = ClinicalEncoder.fit(patients.loc[train], predictors=study.training.predictors)
    values, missing = encoder.transform(patients)          # (n,K), (n,K)

A missing number becomes 0, the training mean, and its `missing` indicator 1; the same for a category, and for a level
of it that no training row had. Nothing is imputed from other rows, so the encoder can serve one patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import OnlmError

# Skewed, positive, and doubling is the natural step (tumour markers, uptake, diameters): log2(x + offset).
LOG_OFFSET = {"cea_ng_ml": 0.5, "suv_max": 0.5, "total_diameter_mm": 1.0, "solid_diameter_mm": 1.0, "pack_years": 1.0}


@dataclass(frozen=True)
class Input:
    """One number that the model sees: from which column, and how. `level` is set for one level of a category,
    `levels` are all that were seen of it."""

    name: str
    column: str
    level: str | None = None
    levels: tuple[str, ...] = ()
    log_offset: float | None = None
    mean: float = 0.0
    std: float = 1.0


@dataclass(frozen=True)
class ClinicalEncoder:
    """What training rows taught about the clinical columns."""

    inputs: tuple[Input, ...]

    @property
    def names(self) -> list[str]:
        return [item.name for item in self.inputs]

    @property
    def column_numbers(self) -> list[int]:
        """Of each input, the number of the column that it comes from: levels of a category share theirs."""
        columns = list(dict.fromkeys(item.column for item in self.inputs))
        return [columns.index(item.column) for item in self.inputs]

    @classmethod
    def fit(cls, patients: pd.DataFrame, *, predictors: Sequence[str]) -> ClinicalEncoder:
        """Means, spreads and levels of these (training) rows.

        A number that is the same in all training rows, or never known, is left out: it cannot teach anything.
        """
        check_predictors(patients, predictors=predictors, surrogate=True)  # train asks the study about histology
        inputs: list[Input] = []
        for name in predictors:
            values = patients[name]
            if _is_number(values):
                inputs += _number(name, values)
            else:
                inputs += _levels(name, values)
        if not inputs:
            raise OnlmError(
                f"None of the {len(predictors)} predictors varies in the {len(patients)} training rows. "
                "Name other predictors in [training]."
            )
        return cls(inputs=tuple(inputs)).refit(patients)

    def refit(self, patients: pd.DataFrame) -> ClinicalEncoder:
        """The same inputs with the means and spreads of other (fewer training) rows; a spread of 0 becomes 1."""
        inputs = []
        for item in self.inputs:
            known = patients[item.column].dropna()
            if item.level is not None:
                x = (known == item.level).to_numpy(dtype=np.float64)
            else:
                x = _scaled(known.to_numpy(dtype=np.float64), log_offset=item.log_offset)
            varies = len(x) > 0 and np.ptp(x) > 0  # the spread of equal numbers is 0 only up to rounding
            mean, std = (float(x.mean()) if len(x) else 0.0), (float(x.std()) if varies else 1.0)
            inputs.append(replace(item, mean=mean, std=std))
        return ClinicalEncoder(inputs=tuple(inputs))

    def transform(self, patients: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Values and missing indicators, each float32 (n,K), in the order of `names`."""
        columns = list(dict.fromkeys(item.column for item in self.inputs))
        lost = [c for c in columns if c not in patients]
        if lost:
            raise OnlmError(f"The model needs the column {', '.join(lost)}, and the table does not have it. Add it.")
        values = np.zeros((len(patients), len(self.inputs)), dtype=np.float64)
        missing = np.zeros_like(values)
        for k, item in enumerate(self.inputs):
            raw = patients[item.column]
            unknown = raw.isna().to_numpy()
            if item.level is not None:
                unknown |= ~raw.isin(item.levels).to_numpy()
                x = (raw == item.level).to_numpy(dtype=np.float64)
            else:
                x = _scaled(raw.to_numpy(dtype=np.float64, na_value=np.nan), log_offset=item.log_offset)
            values[:, k] = np.where(unknown, 0.0, (x - item.mean) / item.std)
            missing[:, k] = unknown
        return values.astype(np.float32), missing.astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"inputs": [asdict(item) for item in self.inputs]}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> ClinicalEncoder:
        return cls(inputs=tuple(Input(**item | {"levels": tuple(item["levels"])}) for item in plain["inputs"]))


def check_predictors(
    patients: pd.DataFrame, *, predictors: Sequence[str], post_treatment: Sequence[str] = (), surrogate: bool = False
) -> None:
    """Refuse what is not there, and what is not known before treatment.

    Args:
        patients: the table.
        predictors: columns that shall predict.
        post_treatment: the study's own columns declared post_treatment.
        surrogate: the study says that its model is partly post-operative: histology from the resection may predict.

    Raises:
        OnlmError: all such columns at once.
    """
    lost = [name for name in predictors if name not in patients]
    if lost:
        near = [schema.nearest(name, patients.columns) for name in lost]
        offer = ", ".join(f"'{a}' (did you mean '{b}'?)" if b else f"'{a}'" for a, b in zip(lost, near, strict=True))
        raise OnlmError(f"[training] predictors: the table of patients has no column {offer}.")
    late = [name for name in predictors if name in post_treatment or _known_late(name)]
    if late:
        raise OnlmError(
            f"[training] predictors: {', '.join(late)} cannot predict: not known before treatment, or no property of "
            "the patient. Take it out of the list."
        )
    if "histology" in predictors and "histology_source" in patients and not surrogate:
        known = patients.loc[patients["histology"].notna(), "histology_source"]
        n_late = int((known != "biopsy").sum())
        if n_late:
            raise OnlmError(
                f"[training] predictors: histology comes from no biopsy in {n_late} of {len(known)} patients "
                "(histology_source). Take it out of the list, or say surrogate = true in [label]."
            )


def _known_late(name: str) -> bool:
    column = schema.column(name)
    return name in ("role", "onlm_missing_reason") or (column is not None and column.timing != "pre_treatment")


def _is_number(values: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(values.dtype)


def _scaled(values: np.ndarray, *, log_offset: float | None) -> np.ndarray:
    return values if log_offset is None else np.log2(np.maximum(values, 0) + log_offset)


def _number(name: str, values: pd.Series) -> list[Input]:
    known = values.dropna().to_numpy(dtype=np.float64)
    return [Input(name=name, column=name, log_offset=LOG_OFFSET.get(name))] if len(known) and np.ptp(known) > 0 else []


def _levels(name: str, values: pd.Series) -> list[Input]:
    """One input a level, but for the commonest (ties: first in the alphabet), which is the reference."""
    counts = values.dropna().value_counts()
    levels = [level for level in sorted(counts.index) if counts[level] > 0]
    reference = max(levels, key=lambda level: counts[level], default=None)
    return [
        Input(name=f"{name}={level}", column=name, level=str(level), levels=tuple(map(str, levels)))
        for level in levels
        if level != reference
    ]
