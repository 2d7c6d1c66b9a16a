"""Patients grouped by their predicted risk, the groups named in rising order: what curves are drawn by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from onlm_lab.analysis.rows import NO_LABEL, labelled, one_row_a_patient, predicted, require_columns
from onlm_lab.errors import OnlmError

GROUP = "risk_group"
RULES = ("threshold", "quantiles", "cuts", "pathology")
TWO = ("low risk", "high risk")
FOUR = ("low risk, N0", "low risk, N+", "high risk, N0", "high risk, N+")


def group_by_risk(
    rows: pd.DataFrame,
    *,
    rule: str = "threshold",
    threshold: float | None = None,
    n: int = 4,
    cuts: Sequence[float] = (),
    model: str | None = None,
) -> pd.DataFrame:
    """The rows of one model with the column `risk_group`: an ordered category, low to high, every group declared.

    `attrs["risk_group"]` of what comes back says the rule, the cut points and who was left out. A patient without a
    risk has no group; a curve by `risk_group` leaves such patients out and counts them.

    Args:
        rows: a row a patient with risk; predicted_positive for a rule that asks it, onlm for "pathology".
        rule: "threshold": low risk and high risk. "quantiles": as many patients a group, cut in these very patients
            (in others the same limits mean something else). "cuts": limits given beforehand. "pathology": low or high
            risk, crossed with what the pathologist found; patients without onlm are left out.
        threshold: high risk if risk >= threshold ("threshold", "pathology"); None: each row's own predicted_positive.
        n: number of quantile groups, 2 to 10. A patient at a cut point is in the lower group; equal risks stay as one.
        cuts: rising limits between 0 and 1; a patient at a limit is in the upper group.
        model: which model_id; None where the table holds one only.

    Raises:
        OnlmError: an unknown rule, impossible cuts or n, risks too alike to be divided, or a missing column.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abc"), "risk": [0.02, 0.05, 0.3]})
        >>> group_by_risk(rows, rule="cuts", cuts=[0.05, 0.1])["risk_group"].tolist()
        ['<5 %', '5 to <10 %', '≥10 %']
    """
    if rule not in RULES:
        raise OnlmError(f"group_by_risk: rule must be one of {', '.join(RULES)}, got {rule!r}.")
    rows, _ = one_row_a_patient(rows, model=model)
    told: dict[str, object] = {"rule": rule}
    if rule in ("quantiles", "cuts"):
        risk = _risk(rows)
        limits = _quantiles(risk[~np.isnan(risk)], n) if rule == "quantiles" else _limits(cuts)
        names = _quantile_names(n) if rule == "quantiles" else _limit_names(limits)
        code = np.searchsorted(limits, risk, side="left" if rule == "quantiles" else "right")
        code = np.where(np.isnan(risk), -1, code)
        told["cut_points"] = limits.tolist()
        return _with_group(rows, code, names, told)
    if rule == "pathology":
        require_columns(rows, ["onlm"])
        rows, told["n_excluded"] = _labelled_only(rows)
    code = _high(rows, threshold)
    told |= {} if threshold is None else {"cut_points": [float(threshold)]}
    if rule == "threshold":
        return _with_group(rows, code, TWO, told)
    positive = pd.to_numeric(rows["onlm"]).to_numpy(dtype=float) == 1
    return _with_group(rows, np.where(code < 0, -1, 2 * code + positive), FOUR, told)


def _with_group(rows: pd.DataFrame, code: np.ndarray, names: Sequence[str], told: dict[str, object]) -> pd.DataFrame:
    found = rows.assign(**{GROUP: pd.Categorical.from_codes(code.astype(int), categories=list(names), ordered=True)})
    found.attrs[GROUP] = told
    return found


def _labelled_only(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows with a known label (checked as everywhere), and how many have none."""
    labelled(rows, risk=False)
    known = pd.to_numeric(rows["onlm"], errors="coerce").notna().to_numpy()
    return rows[known], {} if known.all() else {NO_LABEL: int((~known).sum())}


def _risk(rows: pd.DataFrame) -> np.ndarray:
    """Each row's risk, checked; NaN where there is none."""
    predicted(rows)  # refuses what is no probability
    return pd.to_numeric(rows["risk"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _high(rows: pd.DataFrame, threshold: float | None) -> np.ndarray:
    """1 high risk, 0 low, -1 unknown."""
    if threshold is not None:
        if not 0 <= threshold <= 1:
            raise OnlmError(f"group_by_risk: threshold must be a risk between 0 and 1, got {threshold!r}.")
        risk = _risk(rows)
        return np.where(np.isnan(risk), -1, risk >= threshold)
    require_columns(rows, ["predicted_positive"])
    called = pd.to_numeric(rows["predicted_positive"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = (np.isnan(called) & rows["predicted_positive"].notna().to_numpy()) | ~np.isin(called, (0, 1)) & ~np.isnan(
        called
    )
    if wrong.any() or np.isnan(called).all():
        raise OnlmError(
            f"group_by_risk: predicted_positive must be 0 or 1, but {int(wrong.sum())} of {len(rows)} rows hold "
            f"something else and {int(rows['predicted_positive'].isna().sum())} hold nothing. Pass threshold=."
        )
    return np.where(np.isnan(called), -1, called == 1)


def _quantiles(risk: np.ndarray, n: int) -> np.ndarray:
    if not (isinstance(n, int | np.integer) and 2 <= n <= 10):
        raise OnlmError(f"group_by_risk: n must be a number of groups from 2 to 10, got {n!r}.")
    limits = np.quantile(risk, np.arange(1, n) / n)
    different = len(np.unique(limits[limits < risk.max()]))  # a cut at the highest risk leaves nobody above it
    if different < min(2, n - 1):
        raise OnlmError(
            f"group_by_risk: {n} groups of equal size need at least {min(2, n - 1)} different cut points, but these "
            f"{len(risk)} patients have {len(np.unique(risk))} different risks, which give {different}. Use "
            'rule="threshold", or rule="cuts" with limits.'
        )
    return limits


def _quantile_names(n: int) -> list[str]:
    names = [f"Q{i + 1}" for i in range(n)]
    return [f"{names[0]} (lowest)", *names[1:-1], f"{names[-1]} (highest)"]


def _limits(cuts: Sequence[float]) -> np.ndarray:
    limits = np.asarray(list(cuts), dtype=float)
    if not len(limits) or not ((limits > 0) & (limits < 1)).all() or not (np.diff(limits) > 0).all():
        raise OnlmError(
            f"group_by_risk: cuts must be rising risks between 0 and 1, such as [0.05, 0.1], got {list(cuts)}."
        )
    return limits


def _limit_names(limits: np.ndarray) -> list[str]:
    said = [f"{100 * c:.6g}" for c in limits]
    return [f"<{said[0]} %", *(f"{a} to <{b} %" for a, b in pairwise(said)), f"≥{said[-1]} %"]
