"""One number a group with its interval: a point and a line, group under group."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.counted import lines


def plot_intervals(
    table: pd.DataFrame, *, of: str, value: str, title: str, axis: str, low: str = "", high: str = "",
    subtitle: str = "", scale: float = 1.0, line: float | None = None, mark: str = "",
) -> go.Figure:  # fmt: skip
    """A point a row of the table, with its interval where there is one; a row without a number keeps its place.

    Args:
        table: a row a group, in their order.
        of, value, low, high: columns with the names, the numbers and the ends of their intervals ("": none).
        title, subtitle: the question; n and what else a reader must know.
        axis: what the numbers are, with their unit.
        scale: numbers are drawn times this: 100 for percent, 1/365.25 for years.
        line: where a dotted line stands, on the axis's scale.
        mark: words laid across the figure.
    """
    names = [lines(name) for name in table[of]]
    height = 130 + len(names) * (12 + 13 * max((1 + name.count("<br>") for name in names), default=1))
    figure = theme.blank(title=title, subtitle=subtitle, height=height, mark=mark)
    x = (table[value].astype(float) * scale).tolist()
    error = None
    if low and high:
        up, down = (table[high].astype(float) * scale - x).tolist(), (x - table[low].astype(float) * scale).tolist()
        error = {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": theme.QUIET,
                 "thickness": 1.4, "width": 4}  # fmt: skip
    figure.add_scatter(
        x=x, y=list(range(len(names))), mode="markers", marker={"color": theme.STYLES[0].colour, "size": 9},
        error_x=error, name=theme.safe(axis), showlegend=False, customdata=names,
        hovertemplate="%{customdata}: %{x:.3~g}<extra></extra>",
    )  # fmt: skip
    if line is not None:
        figure.add_shape(**theme.straight(x=line))
    figure.update_xaxes(title_text=theme.safe(axis), rangemode="tozero")
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.4, -0.6], ticks="")
    return figure
