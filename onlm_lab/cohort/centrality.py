"""Whether each tumour is central by the definition that the protocol names."""

from __future__ import annotations

import pandas as pd

from onlm_lab.cohort.staging import numbers
from onlm_lab.study.centrality import DEFAULT, central_definition


def central_location(patients: pd.DataFrame, *, definition: str = DEFAULT.key) -> tuple[pd.Series, str]:
    """Whether each tumour is central by the chosen definition, and where that was read, in words.

    The column central_<key> of the definition is read where the table has one, else central_location. Nothing is
    filled from one column into the other.

    Args:
        patients: the table.
        definition: key or text of study.CENTRAL_DEFINITIONS, or "other: ..." and own words.

    Returns:
        1.0, 0.0 or NaN on the index of `patients`; the definition, the column and the number of missing cells.

    Raises:
        StudyError: no such definition.
    """
    name = central_column(patients, definition=definition)
    values = pd.Series(numbers(patients, name), index=patients.index, name="central_location")
    chosen = central_definition(definition)
    said = definition if chosen is None else chosen.text
    return values, f"central location: {said} (column {name}; not known in {int(values.isna().sum())} of {len(values)})"


def central_column(patients: pd.DataFrame, *, definition: str = DEFAULT.key) -> str:
    """The column that says by this definition whether a tumour is central."""
    chosen = central_definition(definition)
    return chosen.column if chosen is not None and chosen.column in patients else "central_location"
