"""R's numbers for decisions under observation (made by reference/make_decisions.R)."""

from __future__ import annotations

import json

import pandas as pd
from survival_reference import REFERENCE, table

IN_R = json.loads((REFERENCE / "decisions.json").read_text(encoding="utf-8"))


def lung() -> pd.DataFrame:
    """Lung without missing values, with the case weights of the script."""
    rows = table("lung").dropna(subset=["age", "sex", "ecog", "inst"]).reset_index(drop=True)
    return rows.assign(male=(rows["sex"] == "male").astype(int), w=0.2 + ((rows.index + 1) % 7) / 5)


def pbc() -> pd.DataFrame:
    """Pbc as the script compares treatments in it, with both kinds of endpoint."""
    rows = table("pbc").dropna(subset=["age", "bili", "protime", "stage"]).reset_index(drop=True)
    rows = rows.assign(regional_days=rows["os_days"], regional_state=rows["state"], stage=rows["stage"].astype(str))
    return rows.assign(skewed=((rows["bili"] > 2) | (rows["age"] > 58)).map({True: "yes", False: "no"}))


def lung_started() -> pd.DataFrame:
    """All of lung with the script's made-up treatment that starts during follow-up."""
    rows = table("lung").assign(adjuvant=IN_R["started"], adjuvant_start_days=IN_R["start"])
    return rows.assign(adjuvant_start_days=rows["adjuvant_start_days"].where(rows["adjuvant"] == 1))
