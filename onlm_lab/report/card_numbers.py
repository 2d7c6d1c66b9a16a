"""The numbers of a model card, from results.json: performance by model and testing set, and subgroups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.results import Estimate

NOT_DONE = "–"


def performance_table(results: dict[str, Any], *, models: Sequence[str]) -> pd.DataFrame:
    """A row a model and testing set, as text: n, N+, AUC, observed : expected, slope, sensitivity, specificity."""
    rows = []
    for model in models:
        said = results[model]
        main = said.get("about", {}).get("main_split", "oof")
        for split, part in {main: said, **said.get("by_split", {})}.items():
            rows.append({"Model": model, "Tested": words.SPLITS.get(split, split), **_numbers(part)})
    return pd.DataFrame(rows)


def _numbers(part: dict[str, Any]) -> dict[str, str]:
    roc, calibration, point = (part.get(name) or {} for name in ("roc", "assess_calibration", "operating_point"))
    auc = roc.get("auc_logit" if roc.get("prefer_logit") else "auc")
    counted = roc or calibration or point
    return {
        "n": f"{counted['n']:,}" if counted else NOT_DONE,
        "N+": f"{counted['n_events']:,}" if counted else NOT_DONE,
        "AUC": said_estimate(auc),
        "Observed : expected": said_estimate(calibration.get("oe_ratio")),
        "Slope": said_estimate(calibration.get("slope")),
        "Sensitivity": said_estimate(point.get("sensitivity"), as_percent=True),
        "Specificity": said_estimate(point.get("specificity"), as_percent=True),
    }


def subgroup_table(said: dict[str, Any]) -> pd.DataFrame:
    """A row a level of a subgroup, as text; a level with too few patients has no AUC."""
    rows = []
    for row in (said.get("by_subgroup") or {}).get("table", ()):
        auc = {"value": row.get("auc"), "low": row.get("auc_low"), "high": row.get("auc_high")}
        rows.append({
            "Subgroup": words.column(str(row["column"])), "Level": str(row["level"]), "n": f"{row['n']:,}",
            "N+": f"{row['n_positive']:,}", "AUC": said_estimate(auc), "Note": row.get("note") or NOT_DONE,
        })  # fmt: skip
    return pd.DataFrame(rows)


def said_estimate(plain: dict[str, Any] | None, *, as_percent: bool = False) -> str:
    """An estimate of results.json as text, '0.84 (0.79 to 0.89)', or a dash."""
    if not plain or plain.get("value") is None:
        return NOT_DONE
    low, high = (math.nan if plain.get(k) is None else float(plain[k]) for k in ("low", "high"))
    return theme.with_interval(Estimate(float(plain["value"]), low, high), as_percent=as_percent)
