"""Does the performance hold where the label or the predictors are in doubt, and who is predicted wrongly?"""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class LabelSensitivity:
    """Performance where each N0 rests on enough examined nodes or stations; N+ patients always stay.

    `table`: column, minimum (NaN in all patients), n, n_positive, n_left_out (N0 below the minimum), n_unknown (N0
    whose count is not known, left out too), then auc, sensitivity, specificity, intercept, oe_ratio, each with _low and
    _high, auc_method and note.
    """

    table: pd.DataFrame
    threshold: float
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class MissingDataSensitivity:
    """Performance by what is missing among the predictors.

    `table`: grouping ("number missing", "completeness" or a column), level, n, n_positive and auc, sensitivity,
    specificity, oe_ratio, each with _low and _high, auc_method and note. `tests`: grouping, level_a, level_b,
    difference (AUC of a minus AUC of b, different patients), low, high, z, p_value, p_holm, p_bh, note.
    """

    table: pd.DataFrame
    tests: pd.DataFrame
    columns: tuple[str, ...]
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class ConfidentMistakes:
    """Whom the model gets most wrong, with their facts, and how they differ from those it gets right.

    `table`: kind ("missed N+" or "false alarm"), rank (1 is the most confident), patient_id, risk, threshold, then
    centre, risk_low, risk_high, ood_score and the facts that are there. `compared`: comparison, column, level (empty
    for a number), n_wrong, n_right, wrong, right (mean, or share of the level), smd (wrong minus right), low, high,
    note. `facts`: the columns named.
    """

    table: pd.DataFrame
    compared: pd.DataFrame
    facts: tuple[str, ...]
    n_missed: int
    n_found: int
    n_false_alarms: int
    n_spared: int
    model_id: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
