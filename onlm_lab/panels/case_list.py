"""Which patients a reader looks at, in which order: one row a patient under one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.levels import levels_of
from onlm_lab.analysis.mistakes import FALSE_ALARM, MISSED
from onlm_lab.errors import OnlmError
from onlm_lab.figures.subgroup import level_words
from onlm_lab.panels.patients import TESTED, at_threshold, of_model

RARE = 0.95  # of ood_score: of 20 training patients at most one is as unusual by one score, of 10 by the larger of two
SPLITS = {"all": "All patients", "tested": "Tested", "unlabelled": "Without a label"}
ERRORS = {"": "Everybody", "fn": "False negative (missed N+)", "fp": "False positive (false alarm)"}
ERROR_WORDS = {"": "", "fn": MISSED, "fp": FALSE_ALARM}
ORDERS = {
    "risk": "Risk, highest first", "risk_up": "Risk, lowest first", "spread": "Model spread, widest first",
    "ood": "Least like the training patients first", "flag": "Flagged first",
}  # fmt: skip


def listed(
    rows: pd.DataFrame, *, model: str, threshold: float | None = None, flags: Mapping[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """One row a patient: everything of `rows`, and kind, spread, positive, error, flags.

    Args:
        rows: AnalysisRows of a run, every split.
        model: whose risks.
        threshold: positive if risk >= threshold; None: each row's own, fixed without it.
        flags: of `flags.open_flags`.

    Returns:
        kind: tested or unlabelled. spread: risk_high - risk_low, NaN where the model has none. error: fn or fp of
        those whom the model was tested on and whose nodes are known, else "". flags: kinds, joined by ";".

    Raises:
        OnlmError: the model is not there, or no threshold is.
    """
    own = at_threshold(of_model(rows, model=model), threshold=threshold)
    if "repeat" in own:
        own = own.sort_values("repeat", kind="stable")
    own = own.drop_duplicates("patient_id").sort_values("patient_id", ignore_index=True)
    tested = own["split"].isin(TESTED).to_numpy()
    positive, label = own["predicted_positive"].to_numpy(float), own["onlm"].to_numpy(float)
    missed, alarm = tested & (positive == 0) & (label == 1), tested & (positive == 1) & (label == 0)
    nothing = pd.Series(np.nan, index=own.index)
    known = flags or {}
    spread = own.get("risk_high", nothing) - own.get("risk_low", nothing)
    return own.assign(
        kind=np.where(tested, "tested", "unlabelled"), spread=spread,
        positive=positive, error=np.select([missed, alarm], ["fn", "fp"], ""),
        flags=[";".join(known.get(p, ())) for p in own["patient_id"]],
        ood_score=own.get("ood_score", nothing),
    )  # fmt: skip


def columns_of(rows: pd.DataFrame, *, wanted: Sequence[str], bins: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Those of the wanted columns by whose levels patients can be picked."""
    found = []
    for name in wanted:
        if name in rows and rows[name].notna().any():
            numbers = pd.api.types.is_numeric_dtype(rows[name]) and not rows[name].dropna().isin([0, 1]).all()
            if not numbers or name in bins:
                found.append(name)
    return tuple(found)


def level_options(rows: pd.DataFrame, *, column: str, bins: Mapping[str, Sequence[float]]) -> dict[str, str]:
    """What is shown -> level, of one column; empty without a column."""
    if not column:
        return {}
    levels, _ = levels_of(rows[column], name=column, edges=bins.get(column), call="cases")
    yes_no = {"0": "no", "1": "yes"} if set(levels) <= {"0", "1", "missing"} else {}
    return {yes_no.get(level, level_words(level)): level for level in levels}


def picked(
    table: pd.DataFrame, *, arm: str = "both", split: str = "all", error: str = "", column: str = "", level: str = "",
    bins: Mapping[str, Sequence[float]] | None = None, order: str = "risk",
) -> pd.DataFrame:  # fmt: skip
    """The patients that pass every filter, in order; ties by patient_id.

    Args:
        table: of `listed`.
        arm: surgery, sbrt or both.
        split: of SPLITS.
        error: of ERRORS.
        column: whose `level` is asked for; "" or no level: everybody.
        level: of `level_options`.
        bins: cuts of numeric columns.
        order: of ORDERS; who has no such value comes last.

    Raises:
        OnlmError: an order that is not there.
    """
    if order not in ORDERS:
        raise OnlmError(f"Cases are ordered by one of {', '.join(ORDERS)}.")
    keep = np.ones(len(table), dtype=bool)
    if arm != "both":
        keep &= (table["arm"] == arm).to_numpy()
    if split != "all":
        keep &= (table["kind"] == split).to_numpy()
    if error:
        keep &= (table["error"] == error).to_numpy()
    if column and level:
        levels, code = levels_of(table[column], name=column, edges=(bins or {}).get(column), call="cases")
        keep &= code == (levels.index(level) if level in levels else -1)
    found = table[keep].reset_index(drop=True)
    by = {
        "risk": -found["risk"], "risk_up": found["risk"], "spread": -found["spread"], "ood": -found["ood_score"],
        "flag": -(found["flags"] != "").astype(float),
    }[order]  # fmt: skip
    rank = pd.DataFrame({"by": by, "risk": -found["risk"], "patient_id": found["patient_id"]})
    return found.loc[rank.sort_values(["by", "risk", "patient_id"], kind="stable").index].reset_index(drop=True)
