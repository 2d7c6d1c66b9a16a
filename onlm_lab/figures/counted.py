"""How many patients: bars, stacked by what they are, with the numbers on them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme

WIDTH = 26  # letters a line of a bar's name


def plot_counts(
    table: pd.DataFrame, *, of: str, series: Mapping[str, str], title: str, subtitle: str = "", upright: bool = False,
    axis: str = "", mark: str = "",
) -> go.Figure:  # fmt: skip
    """A bar a row of the table, stacked by some of its columns; each bar's sum stands at its end.

    Args:
        table: a row a bar, in their order.
        of: the column that names the bars.
        series: columns of counts -> their names in the legend.
        title, subtitle: the question; n and what else a reader must know.
        upright: bars stand (few and short names, such as years), else lie.
        axis: what the bars are, where that is not plain.
        mark: words laid across the figure.
    """
    names = [theme.safe(str(name)) if upright else lines(name) for name in table[of]]
    height = (
        380 if upright else 150 + len(names) * (16 + 14 * max((1 + name.count("<br>") for name in names), default=1))
    )
    figure = theme.blank(title=title, subtitle=subtitle, height=height, mark=mark)
    at = list(range(len(names)))
    for (column, words), style in zip(series.items(), _styles(len(series)), strict=True):
        counts = table[column].astype(int).tolist()
        figure.add_bar(
            x=at if upright else counts, y=counts if upright else at, orientation="v" if upright else "h",
            name=theme.safe(words), marker={"color": style.colour}, customdata=names,
            hovertemplate=f"%{{customdata}}<br>{theme.safe(words)}: %{{{'y' if upright else 'x'}:,}}<extra></extra>",
            showlegend=len(series) > 1,
        )  # fmt: skip
    sums = table[list(series)].sum(axis=1).astype(int).tolist()
    figure.add_scatter(
        x=at if upright else sums, y=sums if upright else at, mode="text", text=[f" {n:,} " for n in sums], name="sum",
        textposition="top center" if upright else "middle right", hoverinfo="skip", showlegend=False, cliponaxis=False,
    )  # fmt: skip
    ticks = {"tickvals": at, "ticktext": names, "title_text": theme.safe(axis), "showgrid": False}
    counted = {"title_text": "Patients", "range": [0, 1.16 * max([1, *sums])]}
    figure.update_xaxes(**(ticks if upright else counted))
    figure.update_yaxes(**(counted if upright else ticks | {"range": [len(at) - 0.4, -0.6], "ticks": ""}))
    bottom = 92 if len(series) > 1 else 56
    figure.update_layout(barmode="stack", bargap=0.3, legend={"traceorder": "normal"}, margin={"b": bottom})
    if len(series) > 1:
        figure.update_layout(height=height + 24)
    return figure


def lines(name: object) -> str:
    """A name from data in short lines, escaped."""
    return "<br>".join(theme.safe(line) for line in textwrap.wrap(str(name), WIDTH)) or "–"


def _styles(n: int) -> list[theme.Style]:
    return [theme.STYLES[i % len(theme.STYLES)] for i in range(n)]
