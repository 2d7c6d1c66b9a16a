"""What acting on a model at one threshold is worth, with an interval."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import wald
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.analysis.thresholds import predicted_positive
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate


def net_benefit_at(
    rows: pd.DataFrame | Labelled, *, threshold: float | None = None, model: str | None = None, level: float = 0.95
) -> Estimate:
    """Net benefit of acting on a model at one threshold, per patient, beside acting on nobody.

    TP/n - FP/n * t/(1 - t), positive if risk >= t (Vickers and Elkin 2006, doi:10.1177/0272989X06295361). It is the
    mean over patients of 1 (a true positive), -t/(1 - t) (a false one) or 0, so that the interval is that of a mean;
    the share of N+ varies from study to study in it, as in the bands of `net_benefit`.

    Args:
        rows: a row a patient: patient_id, onlm, risk; predicted_positive and threshold where none is given.
        threshold: the risk from which one acts; None: each row's own, as its fold fixed it.
        model: which model_id; None where the table holds one only.
        level: coverage of the interval.

    Raises:
        OnlmError: a threshold outside (0, 1), or rows without their own.
    """
    given = labelled(rows, model=model)
    if threshold is None:
        require_columns(given, ["threshold"])
        cut = pd.to_numeric(given.frame["threshold"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    else:
        cut = np.full(given.n, float(threshold))
    wrong = int(np.count_nonzero(~((cut > 0) & (cut < 1))))
    if wrong:
        raise OnlmError(f"net_benefit_at: thresholds must lie between 0 and 1; {wrong} of {given.n} do not.")
    positive = predicted_positive(given, threshold=threshold)
    worth = np.where(given.onlm, 1.0, -cut / (1 - cut)) * positive
    if given.n < 2:
        return Estimate(math.nan, level=level, note="fewer than two patients")
    return wald(float(worth.mean()), float(worth.std(ddof=1)) / math.sqrt(given.n), level=level)
