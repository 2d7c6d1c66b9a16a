"""What would a threshold do to 1,000 patients: found, missed, spared invasive staging, sent to it needlessly?"""

from __future__ import annotations

import math

import pandas as pd

from onlm_lab.analysis.intervals import proportion
from onlm_lab.analysis.thresholds import operating_point
from onlm_lab.results import Estimate, OperatingPoint, PerThousand

THOUSAND = 1000


def per_1000(
    rows: pd.DataFrame,
    *,
    threshold: float | None = None,
    model: str | None = None,
    prevalence: float | None = None,
    level: float = 0.95,
    apparent: bool = False,
) -> PerThousand:
    """Of 1,000 patients: N+ found, N+ missed, N0 spared invasive staging, N0 sent to it needlessly.

    At these patients' own share of N+ each count is a share of all patients, with Wilson's interval (1927,
    doi:10.1080/01621459.1927.10502953), so that the share of N+, which another sample would not repeat, is part of
    the doubt. At a prevalence that is named, and taken as known, the intervals are those of sensitivity and
    specificity.

    Args:
        rows: a row a patient: patient_id, onlm, risk; predicted_positive (0/1) where no threshold is given.
        threshold: positive if risk >= threshold; None takes each row's own predicted_positive.
        model: which model_id; None where the table holds one only.
        prevalence: the share of N+ among the 1,000 patients, in (0, 1); None: that of these patients.
        level: coverage of the intervals.
        apparent: True where the threshold was chosen on these very patients; one from `choose_threshold` knows it.

    Raises:
        OnlmError: a threshold that is NaN, a prevalence outside (0, 1), or an unusable predicted_positive.
    """
    point = operating_point(
        rows, threshold=threshold, model=model, prevalence=prevalence, level=level, apparent=apparent
    )
    shares = _as_seen(point, level=level) if prevalence is None else _at_target(point, prevalence=float(prevalence))
    table = pd.DataFrame(
        [(name, THOUSAND * s.value, THOUSAND * s.low, THOUSAND * s.high) for name, s in shares.items()],
        columns=["outcome", "patients", "low", "high"],
    )
    return PerThousand(
        table=table, threshold=point.threshold,
        prevalence=point.n_events / point.n if prevalence is None else float(prevalence),
        at_target=prevalence is not None, level=level, model_id=point.model_id, n=point.n, n_events=point.n_events,
        n_excluded=point.n_excluded, apparent=point.apparent, notes=point.notes,
    )  # fmt: skip


def _as_seen(point: OperatingPoint, *, level: float) -> dict[str, Estimate]:
    cells = {
        "N+ found": point.n_tp, "N+ missed": point.n_fn, "N0 spared": point.n_tn, "N0 called positive": point.n_fp,
    }  # fmt: skip
    return {name: proportion(count, point.n, of="patients", level=level) for name, count in cells.items()}


def _at_target(point: OperatingPoint, *, prevalence: float) -> dict[str, Estimate]:
    return {
        "N+ found": _times(point.sensitivity, prevalence),
        "N+ missed": _times(_rest(point.sensitivity), prevalence),
        "N0 spared": _times(point.specificity, 1 - prevalence),
        "N0 called positive": _times(_rest(point.specificity), 1 - prevalence),
    }


def _times(share: Estimate, factor: float) -> Estimate:
    return Estimate(factor * share.value, factor * share.low, factor * share.high, share.level, share.method)


def _rest(share: Estimate) -> Estimate:
    if math.isnan(share.value):
        return share
    return Estimate(1 - share.value, 1 - share.high, 1 - share.low, share.level, share.method)
