"""Do risks mean what they say in every group? Calibration by level of a column."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.calibration import brier_score, observed_to_expected, recalibration_line, smooth_curve
from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.levels import levels_of
from onlm_lab.analysis.rows import Labelled, labelled, require_columns
from onlm_lab.results import CalibrationByGroup, Estimate

LINE = ("intercept", "slope", "oe_ratio")
_CURVE = ["level", "risk", "observed", "low", "high"]


def calibration_by(
    rows: pd.DataFrame,
    *,
    column: str,
    bins: Sequence[float] | None = None,
    model: str | None = None,
    min_patients: int = 10,
    level: float = 0.95,
) -> CalibrationByGroup:
    """Calibration in the large, slope, O:E, ICI, Brier score and smooth curve in each level, as `assess_calibration`.

    A level with fewer than `min_patients` N+ or N0 has NaN and says why: the slope of few patients is mostly chance,
    and a curve asks for some 200 of each (Van Calster et al. 2016, doi:10.1016/j.jclinepi.2015.12.005). The ICI grows
    as patients become fewer, however good the risks: compare it between levels of like size only.

    Args:
        rows: a row a patient: patient_id, onlm, risk and the column.
        column: what to group by: words, categories, 0/1; a column of numbers needs bins.
        bins: the rising inner edges for a column of numbers, declared before looking.
        model: which model_id; None where the table holds one only.
        min_patients: the least number of N+, and of N0, that gives a number.
        level: coverage of the intervals.

    Raises:
        OnlmError: an absent column, a column of numbers without bins, or edges that do not rise.
    """
    normal_quantile(level)
    require_columns(rows, [column])
    given = labelled(rows, model=model)
    names, code = levels_of(given.frame[column], name=column, edges=bins, call="calibration_by")
    table, curves = [], []
    for k, name in enumerate(names):
        inside = code == k
        part = given.part(inside)
        row, curve = _row(part, least=min_patients, level=level)
        table.append({"level": name} | row)
        if curve is not None:
            curves.append(curve.assign(level=name))
    return CalibrationByGroup(
        table=pd.DataFrame(table),
        curve=pd.concat(curves, ignore_index=True)[_CURVE] if curves else pd.DataFrame(columns=_CURVE),
        column=column, model_id=given.model_id, n=given.n, n_events=given.n_events, n_excluded=given.n_excluded,
        notes=given.notes,
    )  # fmt: skip


def _row(part: Labelled, *, least: int, level: float) -> tuple[dict[str, object], pd.DataFrame | None]:
    """The numbers of one group: n, n_positive, each measure with _low and _high, note; and its curve."""
    row: dict[str, object] = {"n": part.n, "n_positive": part.n_events}
    few = part.too_few(least=least)
    nothing = Estimate(math.nan, level=level, note=few)
    found = dict.fromkeys((*LINE, "brier"), nothing)
    ici, note, curve = math.nan, few, None
    if not few:
        large, _, slope, _ = recalibration_line(part, level=level)
        brier, _ = brier_score(part, level=level)
        found = {
            "intercept": large,
            "slope": slope,
            "oe_ratio": observed_to_expected(part, level=level),
            "brier": brier,
        }
        curve, distance = smooth_curve(part, level=level)
        ici = float(np.mean(distance))
        note = "; ".join(dict.fromkeys(e.note for e in found.values() if e.note))
    for name, estimate in found.items():
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row | {"ici": ici, "note": note}, curve
