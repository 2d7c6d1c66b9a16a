"""Tables and R's numbers for the binary-outcome tests (made by reference/make_binary.R and make_operating.R)."""

import json
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "reference"
OPERATING = json.loads((FOLDER / "operating.json").read_text(encoding="utf-8"))
R = json.loads((FOLDER / "binary.json").read_text(encoding="utf-8"))
SCALE = {"s100b": 0.1, "wfns": 0.1}  # scores above 1 brought into [0, 1]; areas do not change


def number(value):
    """R's NaN, NA and Inf come as words."""
    return float({"NA": "nan"}.get(value, value.replace("Inf", "inf"))) if isinstance(value, str) else float(value)


def scored(name, score, *, model=None):
    """One public table with one of its scores as the risk."""
    data = pd.read_csv(FOLDER / f"{name}.csv")
    risk = data[score] * SCALE.get(score, 1.0)
    rows = pd.DataFrame({"patient_id": [f"P{i:03d}" for i in range(len(data))], "onlm": data["y"], "risk": risk})
    return rows if model is None else rows.assign(model_id=model)


def two_models(name, first, second):
    return pd.concat([scored(name, first, model=first), scored(name, second, model=second)], ignore_index=True)
