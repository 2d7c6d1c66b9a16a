"""How many parameters the candidate predictors ask for: what a sample size must carry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.baseline import kind_of
from onlm_lab.errors import OnlmError

NOTE = (
    "A number or a yes-or-no takes one parameter, a category of k levels that occur k - 1, and a predictor with "
    "missing values one more for the sign that it is missing. Curves and interactions, if planned, come on top."
)


def candidate_parameters(
    patients: pd.DataFrame, *, predictors: Sequence[str], extra_columns: Iterable[schema.Column] = ()
) -> pd.DataFrame:
    """Predictor parameters that a model of these patients would estimate, the intercept not counted.

    Args:
        patients: those whom the model would be fitted on.
        predictors: columns.
        extra_columns: the study's own columns.

    Returns:
        predictor, kind, n_levels (of a category), n_missing, n_parameters. `attrs["notes"]` says how it is counted.

    Raises:
        OnlmError: a predictor is no column; the nearest is named.
    """
    extra = tuple(extra_columns)
    rows = []
    for name in predictors:
        if name not in patients:
            near = schema.nearest(name, map(str, patients.columns))
            raise OnlmError(f"Predictors: there is no column '{name}'{f'; did you mean {near!r}?' if near else '.'}")
        kind = kind_of(patients[name], spec=schema.column(name, extra_columns=extra))
        n_levels, n_missing = int(patients[name].nunique()), int(patients[name].isna().sum())
        own = max(n_levels - 1, 0) if kind == "category" else int(n_levels > 1)
        rows.append((name, kind, n_levels if kind == "category" else 0, n_missing,
                     own + (own > 0 and n_missing > 0)))  # fmt: skip
    table = pd.DataFrame(rows, columns=["predictor", "kind", "n_levels", "n_missing", "n_parameters"])
    table.attrs["notes"] = (NOTE,)
    return table
