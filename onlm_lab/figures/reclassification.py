"""Whom does the new model move in the right direction? Secondary measures, as a forest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import Estimate, Reclassification

_MEASURES = {
    "nri": "<b>NRI, categories</b>", "nri_events": "in N+ patients", "nri_nonevents": "in N0 patients",
    "nri_continuous": "<b>NRI, any change</b>", "nri_continuous_events": "in N+ patients",
    "nri_continuous_nonevents": "in N0 patients",
    "idi": "<b>IDI</b>", "idi_events": "in N+ patients", "idi_nonevents": "in N0 patients",
}  # fmt: skip


def plot_reclassification(found: Reclassification, *, mark: str = "") -> go.Figure:
    """NRI over categories, NRI over any change, and IDI, each with its parts in N+ and N0, around no difference.

    Args:
        found: model_b against model_a; right of 0, model_b moves patients in the right direction.
        mark: words laid across the figure.
    """
    cuts = ", ".join(f"{100 * c:g}" for c in found.cuts)
    figure = theme.blank(
        title="Whom does the new model move in the right direction?",
        subtitle=f"SECONDARY · {theme.safe(found.model_b)} against {theme.safe(found.model_a)}; "
        f"{theme.counts(found.n, found.n_events)}; cut at {cuts}{theme.PERCENT}; 95 % interval",
        height=150 + 30 * len(_MEASURES), mark=mark,
    )  # fmt: skip
    draw_forest(figure, [(words, getattr(found, name)) for name, words in _MEASURES.items()], digits=3)
    figure.update_xaxes(title_text="Towards the right side: share of patients (NRI), mean change of risk (IDI)")
    return figure


def draw_forest(figure: go.Figure, lines: Sequence[tuple[str, Estimate]], *, digits: int = 2) -> None:
    """Estimates with intervals, one a line from the top, around the dotted line at 0; their values at the right.

    Args:
        figure: an empty figure.
        lines: label and estimate; labels from data must be safe already.
        digits: decimals of the values.
    """
    style, place = theme.STYLES[0], list(range(len(lines)))
    estimates = [e for _, e in lines]
    texts = [theme.with_interval(e, digits=digits) for e in estimates]
    figure.add_vline(x=0, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    figure.add_scatter(
        x=[e.value for e in estimates], y=place, mode="markers", showlegend=False, name="estimate",
        marker={"color": style.colour, "size": 9, "symbol": "square"},
        error_x={"type": "data", "symmetric": False, "color": style.colour, "thickness": 1.5, "width": 4,
                 "array": [e.high - e.value for e in estimates], "arrayminus": [e.value - e.low for e in estimates]},
        customdata=[[label, text, theme.safe(e.note)] for (label, e), text in zip(lines, texts, strict=True)],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=place, ticktext=[label for label, _ in lines], ticks="", showgrid=False,
        range=[len(lines) - 0.4, -0.6], tickfont={"size": 11},
    )  # fmt: skip
    for i, (text, estimate) in enumerate(zip(texts, estimates, strict=True)):
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", xshift=8, y=i, showarrow=False, align="left", font={"size": 11},
            text="too few" if math.isnan(estimate.value) else text,
        )  # fmt: skip
    figure.update_layout(margin={"r": 170})
