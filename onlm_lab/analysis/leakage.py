"""An AUC that is too good to be true: what to check, and which column alone nearly tells the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from onlm_lab.analysis.discrimination import SUSPICIOUS_AUC, area_under_curve
from onlm_lab.analysis.rows import Labelled, labelled
from onlm_lab.results import Estimate

ALONE = 0.9  # AUC of one column by itself; no known predictor of occult nodal disease comes near it
PLACES = ("centre", "treatment_year")  # no predictors, but where N+ and N0 may have come from different sources
CHECKS = (
    "that every predictor was known before treatment, whatever it is called and declared: none copied from the "
    "pathology report, none filled in only after surgery, none that holds the label in other words",
    "that the CT was made before treatment (no clips, drains or post-operative change)",
    "that no patient stands in the table twice under two ids (`onlm check` lists look-alikes)",
    "that scaling, filling of missing values, calibration and thresholds saw no test patient (a model from elsewhere)",
    "that N+ and N0 patients come from the same centres, scanners and years, and were cut alike",
    "that nobody was picked by the outcome",
)


def suspicion(
    auc: Estimate | float,
    *,
    model_id: str,
    predictors: Sequence[str] = (),
    rows: pd.DataFrame | None = None,
) -> str | None:
    """What to check where an AUC of internal testing is above 0.95, and None where it is not.

    Args:
        auc: of patients who did not teach the model.
        model_id: whose.
        predictors: the columns that the model was given.
        rows: patients with onlm, their predictors and centre, one row each; each column is then tried alone (a number
            by its AUC in either direction, a category by its best level against the others, either by what is
            missing), and those above 0.9 are named, strongest first.

    Raises:
        OnlmError: rows without a usable label (see `rows.labelled`).
    """
    value = auc.value if isinstance(auc, Estimate) else float(auc)
    if not value > SUSPICIOUS_AUC:
        return None
    checks = "; ".join(f"({k}) {said}" for k, said in enumerate(CHECKS, start=1))
    text = (
        f"{model_id}: an AUC of {value:.3f} is above {SUSPICIOUS_AUC}, which is a reason to look for a leak before "
        f"believing it. Check {checks}."
    )
    if rows is None:
        return text
    found = strong_alone(rows, columns=[*predictors, *(c for c in PLACES if c not in predictors)])
    if found.empty:
        return f"{text} No single column tells N+ from N0 by itself with an AUC above {ALONE:g}."
    named = ", ".join(f"{row.column} ({row.how}: AUC {row.auc:.3f})" for row in found.itertuples())
    return f"{text} Start here, as each tells N+ from N0 nearly by itself: {named}."


def strong_alone(rows: pd.DataFrame, *, columns: Sequence[str]) -> pd.DataFrame:
    """Columns that alone tell N+ from N0 with an AUC above 0.9: column, how, auc; the strongest first.

    Args:
        rows: patients with onlm, one row each.
        columns: which; those that the table lacks are passed over.
    """
    given = labelled(rows.assign(model_id="one column") if "model_id" in rows else rows, risk=False)
    best = []
    for name in dict.fromkeys(c for c in columns if c in given.frame):
        how, area = max(_areas(given, name), key=lambda found: found[1], default=("", 0.0))
        if area > ALONE:
            best.append({"column": name, "how": how, "auc": area})
    table = pd.DataFrame(best, columns=["column", "how", "auc"])
    return table.sort_values(["auc", "column"], ascending=[False, True], ignore_index=True)


def _areas(given: Labelled, name: str) -> list[tuple[str, float]]:
    """Every simple way in which a column might tell, with its AUC in the better direction."""
    values = given.frame[name]
    missing = values.isna().to_numpy()
    found = []
    if missing.any() and not missing.all():
        found.append(("whether it is missing", _area(given, missing.astype(float), among=np.ones(given.n, bool))))
    if pd.api.types.is_numeric_dtype(values.dtype):
        number = values.to_numpy(dtype=float, na_value=np.nan)
        found.append(("its value", _area(given, number, among=~missing)))
    else:
        words = values.astype(str).to_numpy()
        levels, counts = np.unique(words[~missing], return_counts=True)
        for level in levels[counts > 1] if len(levels) > 1 else []:
            found.append((f"'{level}' or not", _area(given, (words == level).astype(float), among=~missing)))
    return found


def _area(given: Labelled, score: np.ndarray, *, among: np.ndarray) -> float:
    """AUC of a score, whichever way round is better; 0 where a class is missing or has one patient only."""
    onlm = given.onlm[among]
    if min(onlm.sum(), (~onlm).sum()) < 2:
        return 0.0
    area, _ = area_under_curve(replace(given, frame=given.frame.iloc[:0], onlm=onlm, risk=score[among]))
    return max(area, 1 - area)
