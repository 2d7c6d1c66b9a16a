"""How many patients a study needs."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.frozen import result


@result
class SampleSize:
    """How many patients are needed, and what the study at hand would achieve.

    `criteria`: criterion, means (in words), n, n_events and what it stands for; `drives` marks the one that asks for
    most. `n`, `n_events`: of the study at hand, 0 where none was named; `n_more`: patients still wanting;
    `shrinkage_at_n`, `margin_at_n`: what it would reach (NaN: not asked). `shrinkage`: what is reached at n_required.
    """

    outcome: str
    criteria: pd.DataFrame
    n_required: int
    n_events_required: float
    driven_by: str
    sentence: str
    n_parameters: int
    shrinkage: float
    r2: float
    r2_max: float
    r2_nagelkerke: float
    shrinkage_at_n: float
    margin_at_n: float
    n_more: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class TestingSampleSize:
    """How many patients are needed to test a model. `criteria`: criterion, means (in words), n, n_events, target_width,
    width_at_n (what the study at hand would reach; NaN: not asked), drives. The rest as in SampleSize."""

    __test__ = False  # no test of pytest's

    criteria: pd.DataFrame
    n_required: int
    n_events_required: float
    driven_by: str
    sentence: str
    prevalence: float
    c_statistic: float
    sensitivity: float
    specificity: float
    n_more: int
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
