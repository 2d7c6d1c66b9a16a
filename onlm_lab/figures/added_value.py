"""Does the risk tell more than what is known already?"""

from __future__ import annotations

import math

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import label_of
from onlm_lab.results import AddedValue, Estimate


def plot_added_value(value: AddedValue, *, who: str = "", mark: str = "") -> go.Figure:
    """Concordance of the base model and with what is added, and the test of the difference in likelihood.

    Args:
        value: the result.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    base, added = (
        ", ".join(label_of(c) for c in columns) for columns in (value.base_covariates, value.added_covariates)
    )
    lines = [_line(theme.safe(base), value.base), _line(f"{theme.safe(base)}<br>and {theme.safe(added)}", value.full)]
    test, p = value.likelihood_ratio, theme.p_value(value.likelihood_ratio.p_value)
    gain = theme.with_interval(value.difference, digits=3)
    words = f"χ² = {theme.number(test.chi2, digits=1)}, df {test.df}, {p}" if p else "too few events for a test"
    figure = theme.blank(
        title=f"Does {theme.safe(added[:1].lower() + added[1:])} tell more than what is known already?",
        subtitle="; ".join(part for part in (
            endpoint_words(value.endpoint), theme.safe(who), theme.counts(value.n, value.n_events, events="events"),
            "95 % interval", "apparent: same patients",
        ) if part),
        height=300, mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=["concordance"], digits=3, right=170)
    new = "" if math.isnan(value.adequacy) else f"; new information: {theme.percent(1 - value.adequacy)}"
    figure.add_annotation(
        text=f"Likelihood ratio of what is added: {words}{new}<br>Difference in concordance: {gain}", xref="paper", x=0,
        xanchor="left", yref="paper", y=-0.42, yanchor="top", showarrow=False, align="left", font={"size": 12},
    )  # fmt: skip
    figure.update_xaxes(title_text="Concordance (Harrell)")
    figure.update_layout(margin={"b": 110})
    return figure


def _line(label: str, estimate: Estimate) -> Line:
    return Line(label, [Point(estimate.value, estimate.low, estimate.high, theme.with_interval(estimate, digits=3))])
