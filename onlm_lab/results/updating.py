"""What an update of the risks does to calibration."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import Estimate, result
from onlm_lab.results.prediction import Calibration


@result
class RecalibrationEffect:
    """Calibration before and after an update of the risks, in patients who had no part in the update.

    `table`, a row a measure (intercept, slope, oe_ratio, ici, brier, scaled_brier): measure, before, before_low,
    before_high, after, after_low, after_high. `brier_change`: Brier score after minus before in the same patients,
    below 0 is better. `how` says what keeps `after` honest; `chosen`: the update that was made (none, intercept, both
    or refused). `after` is None, and its columns NaN, where there was no update.
    """

    table: pd.DataFrame
    brier_change: Estimate
    before: Calibration
    after: Calibration | None
    chosen: str
    how: str
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
