"""Does a model work alike in every group: centres, levels of a column, and without each centre in turn."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class CalibrationByGroup:
    """Calibration in each level of a column.

    `table`: level, n, n_positive, intercept (in the large), slope, oe_ratio and brier, each with _low and _high; ici;
    note (why there is no number). `curve`: level, risk, observed, low, high (local regression with its band) of the
    levels that have numbers.
    """

    table: pd.DataFrame
    column: str
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    curve: pd.DataFrame = field(default_factory=pd.DataFrame)


@result
class CentreInfluence:
    """The pooled measure with each centre left out in turn.

    `table`: left_out (empty: none), n_pooled, value, low, high, prediction_low, prediction_high, tau2, i2.
    """

    table: pd.DataFrame
    measure: str
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
