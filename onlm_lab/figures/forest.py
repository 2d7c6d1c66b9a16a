"""A forest of several series: labels at the left, points with intervals, the numbers in words at the right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import Estimate


class Point(NamedTuple):
    """One estimate; `said` is it in words, for the margin and the hover."""

    value: float
    low: float
    high: float
    said: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a forest: its label (already safe), and a point a series, None where it has none."""

    label: str
    points: Sequence[Point | None] = ()


def draw_forest(
    figure: go.Figure, lines: Sequence[Line], *, series: Sequence[str], digits: int = 2, right: int = 150
) -> None:
    """Points with intervals, the first line at the top; the series of a line stand a little apart.

    Args:
        figure: a blank one.
        lines: from the top.
        series: a name a point of each line; one name draws no legend.
        digits: decimals on hover.
        right: pixels for the numbers in words.
    """
    figure.add_traces(forest_traces(lines, series=series, digits=digits))
    settings = forest_layout(lines, right=right)
    figure.update_layout(**settings | {"annotations": [*figure.layout.annotations, *settings["annotations"]]})


def forest_traces(lines: Sequence[Line], *, series: Sequence[str], digits: int = 2) -> list[dict[str, Any]]:
    """The points of a forest, a trace a series; arguments as `draw_forest`."""
    apart, traces = 0.3 if len(series) > 1 else 0.0, []
    for k, name in enumerate(series):
        drawn = [(i, line.label, p) for i, line in enumerate(lines) if k < len(line.points) and (p := line.points[k])]
        style = theme.STYLES[k]
        traces.append({
            "type": "scatter",
            "x": [p.value for *_, p in drawn], "y": [i + apart * (k - (len(series) - 1) / 2) for i, *_ in drawn],
            "mode": "markers", "name": theme.safe(name), "showlegend": len(series) > 1,
            "customdata": [[label, p.said] for _, label, p in drawn],
            "marker": {"color": style.colour, "size": 9, "symbol": style.marker},
            "error_x": {"type": "data", "symmetric": False, "color": style.colour, "thickness": 1.5, "width": 4,
                        "array": [p.high - p.value for *_, p in drawn],
                        "arrayminus": [p.value - p.low for *_, p in drawn]},
            "hovertemplate": f"%{{customdata[0]}}: %{{x:.{digits}f}}<br>%{{customdata[1]}}<extra></extra>",
        })  # fmt: skip
    return traces


def forest_layout(lines: Sequence[Line], *, right: int) -> dict[str, Any]:
    """What a forest adds to a layout: labels at the left, numbers in words at the right."""
    said = [(i, "<br>".join(p.said for p in line.points if p and p.said)) for i, line in enumerate(lines)]
    return {
        "xaxis": {"tickangle": 0, "nticks": 6},
        "yaxis": {"tickvals": list(range(len(lines))), "ticktext": [line.label for line in lines], "ticks": "",
                  "showgrid": False, "range": [len(lines) - 0.4, -0.6], "tickfont": {"size": 11}},
        "margin": {"r": right},
        "annotations": [
            {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "y": i, "text": text, "showarrow": False,
             "align": "left", "font": {"size": 11}} for i, text in said if text
        ],
    }  # fmt: skip


def draw_differences(figure: go.Figure, lines: Sequence[tuple[str, Estimate]], *, digits: int = 2) -> None:
    """Estimates around the dotted line of no difference.

    Args:
        figure: a blank one.
        lines: label (already safe) and estimate, from the top.
        digits: decimals of the values.
    """
    drawn = []
    for label, e in lines:
        said = "too few" if math.isnan(e.value) else theme.with_interval(e, digits=digits)
        drawn.append(Line(label, [Point(e.value, e.low, e.high, said)]))
    figure.add_vline(x=0, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    draw_forest(figure, drawn, series=["estimate"], digits=digits, right=170)
