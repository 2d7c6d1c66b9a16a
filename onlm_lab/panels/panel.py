"""What a page or a report shows as one thing: a question, its figure, its table and the sentence that says it."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures.outcomes import ENDPOINTS, endpoint_words


class Panel(NamedTuple):
    """A statistic with its figure and its table.

    Attributes:
        name: short, for file names: "roc".
        title: the clinical question.
        figure: never shown or saved here.
        table: the numbers of the figure, a row a thing; what is offered as CSV.
        sentence: what the figure says, in a clinician's words, with n and interval.
        notes: what a reader must know: too few events, apparent, left out and why.
    """

    name: str
    title: str
    figure: go.Figure
    table: pd.DataFrame
    sentence: str
    notes: tuple[str, ...] = ()


def notes_of(*results: object) -> tuple[str, ...]:
    """What the results want their reader to know, once each: notes, apparent numbers, who was left out and why."""
    found: list[str] = []
    for result in results:
        found += list(getattr(result, "notes", ()))
        if getattr(result, "apparent", False):
            found.append(
                "Apparent: computed on the patients that chose the threshold or the model; new patients do worse."
            )
        left_out = getattr(result, "n_excluded", {})
        if left_out:
            found.append("Left out: " + ", ".join(f"{n} ({_in_words(reason)})" for reason, n in left_out.items()))
    return tuple(dict.fromkeys(found))


def _in_words(reason: str) -> str:
    """'regional unknown' as 'regional (nodal) recurrence unknown'."""
    name, _, rest = reason.partition(" ")
    return f"{endpoint_words(name)} {rest}" if name in ENDPOINTS and rest else reason
