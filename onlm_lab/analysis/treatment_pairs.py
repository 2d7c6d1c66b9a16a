"""Two treatments out of several, some of them joined: lobectomy against sublobar resection, surgery against SBRT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from onlm_lab.analysis.arguments import one_column
from onlm_lab.analysis.rows import require_columns
from onlm_lab.errors import OnlmError

LOBECTOMY_OR_SUBLOBAR = {"lobectomy": ("lobectomy",), "sublobar": ("segmentectomy", "wedge")}
SURGERY_OR_SBRT = {"surgery": ("lobectomy", "segmentectomy", "wedge", "pneumonectomy"), "SBRT": ("sbrt",)}
PAIRS = {"sublobar": LOBECTOMY_OR_SUBLOBAR, "sbrt": SURGERY_OR_SBRT}
ASKED_OF = {"sublobar": "rfs", "sbrt": "regional"}  # the endpoint that a pair is first compared by
COMPARED = "treatment_compared"


def treatment_arms(
    rows: pd.DataFrame, *, arms: Mapping[str, Sequence[str]], column: str = "treatment", name: str = COMPARED
) -> pd.DataFrame:
    """The patients who had one of two treatments, with a column that says which; the first arm is the reference.

    Args:
        rows: one row a patient with `column`.
        arms: the two arms, each with the values of `column` that belong to it, such as LOBECTOMY_OR_SUBLOBAR or
            SURGERY_OR_SBRT of onlm_lab.analysis.treatment_pairs.
        column: where the treatments stand.
        name: the new column, a category; its first level is the first arm.

    Raises:
        OnlmError: other than two arms, a value in both, or an arm without a patient.

    Example:
        >>> rows = pd.DataFrame({"patient_id": list("abc"), "treatment": ["wedge", "lobectomy", "sbrt"]})
        >>> treatment_arms(rows, arms=LOBECTOMY_OR_SUBLOBAR)["treatment_compared"].tolist()
        ['sublobar', 'lobectomy']
    """
    require_columns(rows, [column])
    one_column(name, word="name", needed=True)
    several = isinstance(arms, Mapping) and all(
        isinstance(v, Iterable) and not isinstance(v, str) for v in arms.values()
    )
    if not several or len(arms) != 2:
        raise OnlmError(
            "arms must name two arms with their treatments, such as {'lobectomy': ['lobectomy'], 'sublobar': "
            f"['segmentectomy', 'wedge']}}, got {arms!r}."
        )
    belongs: dict[str, str] = {}
    for arm, values in arms.items():
        for value in values:
            if value in belongs:
                raise OnlmError(f"'{value}' belongs to both arms. Name it in one.")
            belongs[value] = arm
    arm = rows[column].map(belongs)
    for wanted, values in arms.items():
        if not (arm == wanted).any():
            there = ", ".join(sorted(str(v) for v in rows[column].dropna().unique())[:6])
            raise OnlmError(f"nobody had {' or '.join(values)}; '{column}' holds {there or 'nothing'}.")
    chosen = pd.Categorical(arm, categories=list(arms), ordered=True)
    return rows.assign(**{name: chosen})[arm.notna().to_numpy()].reset_index(drop=True)
