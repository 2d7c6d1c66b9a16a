"""What a page or a report shows as one thing: a question, its figure, its table and the sentence that says it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures.outcomes import ENDPOINTS, endpoint_words
from onlm_lab.panels.phrases import named
from onlm_lab.showing import Said, shows_itself


@shows_itself
class Panel(NamedTuple):
    """A statistic with its figure and its table.

    Attributes:
        name: short, for file names: "roc".
        title: the clinical question.
        figure: never shown or saved here.
        table: the numbers of the figure, a row a thing; what is offered as CSV.
        sentence: what the figure says, in a clinician's words, with n and interval.
        notes: what a reader must know: too few events, apparent, left out and why.
        source: the results that the figure draws, for panels.shared, which draws them anew with less; never shown.
    """

    name: str
    title: str
    figure: go.Figure
    table: pd.DataFrame
    sentence: str
    notes: tuple[str, ...] = ()
    source: object = None

    def _said(self) -> Said:
        line = f"{self.title} {self.sentence}"
        return Said(line, {"its figure": ".figure"}, {"table": self.table}, self.notes)


class Moved(NamedTuple):
    """What of a panel follows a threshold: laid upon its figure, which stays as it is.

    Attributes:
        sentence: in the place of the panel's; empty: that stays.
        table: likewise; None: that stays.
        data: traces upon those of the figure.
        shapes: of the layout, beside those of the figure.
        annotations: likewise.
    """

    sentence: str = ""
    table: pd.DataFrame | None = None
    data: tuple[dict[str, Any], ...] = ()
    shapes: tuple[dict[str, Any], ...] = ()
    annotations: tuple[dict[str, Any], ...] = ()


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
    """'regional unknown' as 'regional (nodal) recurrence unknown', 'kps missing' as 'KPS missing'."""
    name, _, rest = reason.partition(" ")
    if rest == "missing":
        return f"{named([name])} {rest}"
    return f"{endpoint_words(name)} {rest}" if name in ENDPOINTS and rest else reason
