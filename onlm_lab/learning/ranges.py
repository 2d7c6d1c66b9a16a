"""What the training patients' values were, column by column: beyond them a model has learned nothing. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.learning.clinical import ClinicalEncoder


@dataclass(frozen=True)
class Range:
    """What the training patients' values of a column were. Numbers have low to highest, words have levels."""

    column: str
    n_known: int
    n_missing: int
    unit: str = ""
    description: str = ""
    lowest: float | None = None
    p1: float | None = None  # 1st percentile
    p99: float | None = None
    highest: float | None = None
    levels: tuple[str, ...] = ()

    def beyond(self, values: pd.Series) -> np.ndarray:
        """Which values lie below the lowest or above the highest, or are no level that was seen; no missing one is."""
        if self.lowest is None:
            return (values.notna() & ~values.isin(self.levels)).to_numpy()
        return ((values < self.lowest) | (values > self.highest)).to_numpy()

    @property
    def wanted(self) -> str:
        """In words, what the model knows."""
        if self.lowest is None:
            return "one of " + ", ".join(self.levels)
        return f"from {self.lowest:g} to {self.highest:g}{' ' if self.unit else ''}{self.unit}"


def training_ranges(
    encoder: ClinicalEncoder, patients: pd.DataFrame, *, units: Mapping[str, str] | None = None
) -> tuple[Range, ...]:  # fmt: skip
    """What these (training) rows' values were, of each column that the encoder reads.

    Args:
        encoder: fitted on the rows.
        patients: the rows.
        units: of the study's own columns; of all others the dictionary knows them.
    """
    found = []
    for name in dict.fromkeys(item.column for item in encoder.inputs):
        values, spec = patients[name], schema.column(name)
        known = values.dropna()
        said = {
            "column": name, "n_known": len(known), "n_missing": int(values.isna().sum()),
            "unit": (units or {}).get(name) or (spec.unit if spec else ""),
            "description": spec.description if spec else "",
        }  # fmt: skip
        levels = next(item.levels for item in encoder.inputs if item.column == name)
        if levels:
            found.append(Range(**said, levels=levels))
        else:
            lowest, p1, p99, highest = np.percentile(known.to_numpy(dtype=np.float64), [0, 1, 99, 100]).tolist()
            found.append(Range(**said, lowest=lowest, p1=p1, p99=p99, highest=highest))
    return tuple(found)
