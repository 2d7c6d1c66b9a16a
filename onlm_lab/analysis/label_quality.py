"""Does the performance hold in patients whose N0 can be trusted? By nodes and by mediastinal stations examined."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.calibration import log_odds, observed_to_expected
from onlm_lab.analysis.discrimination import area_under_curve, auc_intervals, prefers_logit
from onlm_lab.analysis.intervals import normal_quantile, proportion, wald
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.thresholds import predicted_positive
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, LabelSensitivity

NODES, STATIONS = "nodes_examined", "n2_stations_examined"
ONLY_N0 = (
    "N+ patients always stay, so sensitivity is the same in every row; leaving out N0 alone raises the share of N+, so "
    "O:E and the intercept rise by the choice of patients even where no label is wrong"
)


def label_sensitivity(
    rows: pd.DataFrame,
    *,
    min_nodes: int | Sequence[int] = (),
    min_stations: int | Sequence[int] = (),
    model: str | None = None,
    threshold: float | None = None,
    min_patients: int = 10,
    level: float = 0.95,
) -> LabelSensitivity:
    """Performance in all labelled patients, and where each N0 rests on at least so many nodes or stations.

    Few nodes examined leave a pN0 uncertain: what was not looked at was not found. N0 patients below a minimum, or
    whose count is not known, are left out and counted; N+ patients stay, since what was found was there. There is no
    minimum by default: none is agreed on, so the study names its own.

    Args:
        rows: a row a patient: patient_id, onlm, risk, and nodes_examined or n2_stations_examined.
        min_nodes: the least number of lymph nodes examined; one or several.
        min_stations: the least number of mediastinal stations examined; one or several.
        model: which model_id; None where the table holds one only.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive, and without that
            column sensitivity and specificity are NaN.
        min_patients: the least number of N+, and of N0, that gives a number.
        level: coverage of the intervals.

    Raises:
        OnlmError: no minimum named, one below 1, or the column of a named minimum absent.
    """
    asked = [(NODES, k) for k in _minima(min_nodes, "min_nodes")]
    asked += [(STATIONS, k) for k in _minima(min_stations, "min_stations")]
    if not asked:
        raise OnlmError(
            "label_sensitivity: no minimum was named, and none is agreed on; pass min_nodes=(6, 10) or min_stations=3."
        )
    normal_quantile(level)
    require_columns(rows, dict.fromkeys(column for column, _ in asked))
    given = labelled(rows, model=model)
    positive, notes = _called(given, threshold=threshold)
    everyone = np.ones(given.n, dtype=bool)
    table = [{"column": "", "minimum": math.nan, "n_left_out": 0, "n_unknown": 0}
             | _performance(given, positive, everyone, least=min_patients, level=level)]  # fmt: skip
    for column, minimum in asked:
        count = pd.to_numeric(given.frame[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        kept = given.onlm | (count >= minimum)
        unknown = ~given.onlm & np.isnan(count)
        left_out = {"n_left_out": int((~kept & ~unknown).sum()), "n_unknown": int(unknown.sum())}
        table.append({"column": column, "minimum": float(minimum)} | left_out
                     | _performance(given, positive, kept, least=min_patients, level=level))  # fmt: skip
    return LabelSensitivity(
        table=_in_order(table), threshold=math.nan if threshold is None else float(threshold), model_id=given.model_id,
        n=given.n, n_events=given.n_events, n_excluded=given.n_excluded, notes=(*given.notes, *notes, ONLY_N0),
    )  # fmt: skip


def _minima(given: int | Sequence[int], name: str) -> list[int]:
    minima = sorted({given} if isinstance(given, int) else set(given))
    wrong = [k for k in minima if not (isinstance(k, int | np.integer) and k >= 1)]
    if wrong:
        raise OnlmError(f"label_sensitivity: {name} must be whole numbers from 1 on, got {wrong[0]!r}.")
    return minima


def _called(given: Labelled, *, threshold: float | None) -> tuple[np.ndarray | None, list[str]]:
    own = "predicted_positive" in given.frame and given.frame["predicted_positive"].notna().any()
    if threshold is None and not own:
        return None, ["no threshold and no predicted_positive: no sensitivity and specificity"]
    return predicted_positive(given, threshold=threshold), []


def _performance(
    given: Labelled, positive: np.ndarray | None, kept: np.ndarray, *, least: int, level: float
) -> dict[str, object]:
    """n, N+ and the measures of the patients kept; NaN where a class has too few."""
    part = given.part(kept)
    n_nonevents = part.n - part.n_events
    few = [f"fewer than {least} {name}" for name, n in (("N+", part.n_events), ("N0", n_nonevents)) if n < least]
    nothing = Estimate(math.nan, level=level)
    auc = sensitivity = specificity = intercept = ratio = nothing
    if not few:
        area, variance = area_under_curve(part)
        plain, on_logit = auc_intervals(area, variance, level=level)
        auc = on_logit if prefers_logit(part.n_events, on_logit) else plain
        fit = fit_logistic(np.ones((part.n, 1)), part.onlm, offset=log_odds(part.risk))
        intercept = wald(float(fit.coef[0]), float(fit.se[0]), level=level)
        ratio = observed_to_expected(part, level=level)
    if positive is not None:
        called, event = positive[kept], part.onlm
        if part.n_events >= least:
            sensitivity = proportion(int((called & event).sum()), part.n_events, of="N+ patients", level=level)
        if n_nonevents >= least:
            specificity = proportion(int((~called & ~event).sum()), n_nonevents, of="N0 patients", level=level)
    row: dict[str, object] = {"n": part.n, "n_positive": part.n_events}
    measures = {"auc": auc, "sensitivity": sensitivity, "specificity": specificity, "intercept": intercept,
                "oe_ratio": ratio}  # fmt: skip
    for name, estimate in measures.items():
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row | {"auc_method": auc.method, "note": " and ".join(few) or auc.note}


def _in_order(table: list[dict]) -> pd.DataFrame:
    first = ["column", "minimum", "n", "n_positive", "n_left_out", "n_unknown"]
    frame = pd.DataFrame(table)
    return frame[[*first, *(c for c in frame.columns if c not in first)]]
