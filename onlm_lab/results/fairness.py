"""Does a model treat every group alike: rates by level, and the largest gap between levels."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class Fairness:
    """Does the model err more in some patients than in others?

    `table`: column, level, n, n_positive, n_called (positive by the threshold) and sensitivity, fpr (1 - specificity),
    ppv, oe_ratio, intercept (calibration in the large), each with _low and _high; note (why there is no number).
    `gaps`: column, measure, scale ("difference"; "ratio" for O:E), n_levels, level_high, level_low, gap (the largest
    less, or over, the smallest), low, high, p_value, p_holm, p_bh, test, note.
    """

    table: pd.DataFrame
    gaps: pd.DataFrame
    threshold: float
    n_resamples: int
    n_permutations: int
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    apparent: bool = False
    notes: tuple[str, ...] = ()
