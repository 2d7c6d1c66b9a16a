"""R's numbers for what rests on resampling (made by reference/make_resampled.R)."""

import json
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "reference"
R = json.loads((FOLDER / "resampled.json").read_text(encoding="utf-8"))


def centres():
    return pd.read_csv(FOLDER / "centres.csv", dtype={"patient_id": str})


def asah():
    """The public table itself: onlm, predictors, and p1 as the risk."""
    data = pd.read_csv(FOLDER / "asah.csv").rename(columns={"y": "onlm", "p1": "risk"})
    return data.assign(patient_id=[f"P{i:03d}" for i in range(len(data))])
