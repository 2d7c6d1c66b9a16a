"""How far could the distance between risk and observed share move with other patients?"""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class CalibrationIntervals:
    """Bootstrap intervals of the measures of calibration that have no formula.

    `table`: measure (ici, e50, e90, emax, scaled_brier), value, low, high, bias (mean of the samples less the value),
    n_used (samples that have the measure), note.
    """

    table: pd.DataFrame
    n_resamples: int
    model_id: str
    n: int
    n_events: int
    level: float = 0.95
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
