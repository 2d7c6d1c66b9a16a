"""What a shared page of one patient shows: limits that five training patients reach, no count of similar patients."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.figures.one_patient import plot_effects, plot_terms
from onlm_lab.learning.coefficients import ClinicalModel
from onlm_lab.learning.ranges import Range
from onlm_lab.panels.card import Card
from onlm_lab.panels.one_patient import at_risk
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.shared.counts import FEWEST, FEWEST_LEFT, rounded
from onlm_lab.panels.shared.curves import safe_calibration
from onlm_lab.panels.shared.performance import mark_of, require
from onlm_lab.panels.shared.refusing import NotShown

DIGITS = 3  # of a risk, as 0.1 %


def safe_model(model: ClinicalModel, rows: pd.DataFrame) -> ClinicalModel:
    """A clinical model whose counts are rounded, and whose limits at least five training patients reach.

    The form refuses what lies beyond its limits: with those of the file, whoever tries values would read the oldest
    patient's age. Limits have two digits, towards the middle.

    Args:
        model: as the file holds it.
        rows: its training patients.

    Raises:
        NotShown: they are too few, or a column of theirs is not there.
    """
    require(model.n_positive, model.n - model.n_positive)
    return replace(model, n=rounded(model.n), n_positive=rounded(model.n_positive),
                   ranges=tuple(_limits(known, rows) for known in model.ranges))  # fmt: skip


def _limits(known: Range, rows: pd.DataFrame) -> Range:
    if known.lowest is None:
        return replace(known, n_known=rounded(known.n_known))
    values = np.sort(rows[known.column].dropna().to_numpy(float)) if known.column in rows else np.empty(0)
    if len(values) < FEWEST_LEFT:
        raise NotShown("Too few training patients: the limits of the form would show single patients.")
    low, high = _two_digits(values[FEWEST - 1], up=True), _two_digits(values[-FEWEST], up=False)
    if low > high:  # all alike: one value, which many have
        low = high = float(np.median(values))
    return replace(known, n_known=rounded(known.n_known), lowest=low, p1=low, p99=high, highest=high)


def _two_digits(value: float, *, up: bool) -> float:
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    whole = round(value / step, 9)
    return round((math.ceil(whole) if up else math.floor(whole)) * step, 12)


def risk(card: Card) -> Card:
    """The risk, which is of coefficients and what was typed alone; the model came here with rounded counts."""
    table = card.table.assign(value=[round(v, DIGITS) if isinstance(v, float) else v for v in card.table["value"]])
    return Card(card.name, card.html, table, card.sentence)


def of_the_model(panel: Panel) -> Panel:
    """A hundred with such a risk: no patient is counted."""
    return panel


def similar(panel: Panel) -> Panel:
    """Calibration by groups of five N+ and five N0 at least, and the line of the risk; nobody near it is counted."""
    found, own = panel.source
    require(found.n_events, found.n - found.n_events)
    safe = safe_calibration(found)
    figure = figures.plot_calibration(safe, mark=mark_of(panel.figure))
    figure.update_layout(title={"text": theme.safe(panel.title)})
    if math.isfinite(own):
        figure.add_shape(at_risk(round(own, DIGITS)))
    return panel._replace(
        figure=figure, table=safe.groups,
        sentence="The red line is this risk. How many patients of similar risk were N+ is not shown on a shared page: "
        "the difference between two risks would show single patients.",
    )  # fmt: skip


def terms(panel: Panel) -> Panel:
    """What the risk is made of, with three digits."""
    table = _short(panel.table)
    figure = plot_terms(table.iloc[1:], subtitle="associations, not causes; odds × the factor at the right",
                        mark=mark_of(panel.figure))  # fmt: skip
    return panel._replace(figure=figure, table=table)


def effects(panel: Panel) -> Panel:
    """The risk with other values, with three digits."""
    own, labels = panel.source
    table = panel.table.assign(risk=panel.table["risk"].round(DIGITS))
    mine = {name: (value, round(told, DIGITS)) for name, (value, told) in own.items()}
    figure = plot_effects(table, own=mine, labels=labels, subtitle="diamond: as typed; the others stay",
                          mark=mark_of(panel.figure))  # fmt: skip
    return panel._replace(figure=figure, table=table)


def _short(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{
        c: [float(format(v, f".{DIGITS}g")) for v in table[c]] for c in table.columns if table[c].dtype == float
    })  # fmt: skip


POLICIES = {
    "risk": risk, "hundred_alike": of_the_model, "similar_patients": similar, "terms": terms, "effects": effects,
}  # fmt: skip
