"""Where the numbers of other software lie, and the tables that they belong to: the loaders that the tests use."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

TESTS = Path(__file__).resolve().parents[1] / "tests"
FOLDER = TESTS / "reference"
sys.path.insert(0, str(TESTS))

import binary_reference as binary  # noqa: E402
import decisions_reference as decisions  # noqa: E402
import event_calibration_reference as event_calibration  # noqa: E402
import hazard_reference as hazards  # noqa: E402
import resampled_reference as resampled  # noqa: E402
import survival_reference as survival  # noqa: E402

__all__ = ["FOLDER", "binary", "decisions", "event_calibration", "hazards", "resampled", "stored", "survival"]


@cache
def stored(file: str) -> Any:
    """The numbers of one file."""
    return json.loads((FOLDER / file).read_text(encoding="utf-8"))


@cache
def centres() -> pd.DataFrame:
    """742 made-up patients of nine centres."""
    return pd.read_csv(FOLDER / "centres.csv")
