"""What a risk of one patient is made of, and what it would be with another value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme

TERMS = "What makes this risk higher or lower than the average patient's?"
EFFECTS = "What would the model say with one other value?"
_ACROSS, _TALL, _GAP = 2, 150, 74


def plot_terms(table: pd.DataFrame, *, subtitle: str = "", mark: str = "") -> go.Figure:
    """A bar an input: by how much it moves the log odds, right (striped) up and left down.

    Args:
        table: label, contribution (log odds against the average training patient) and said (the value in words).
        subtitle: what a reader must know.
        mark: words laid across the figure.
    """
    names = [f"{theme.safe(row.label)}<br>{theme.safe(row.said)}" for row in table.itertuples()]
    moved = table["contribution"].to_numpy(float)
    bars = {
        "type": "bar", "orientation": "h", "x": moved.tolist(), "y": list(range(len(names))), "width": 0.55,
        "showlegend": False, "name": "log odds",
        "marker": {"color": [theme.STYLES[3 if v > 0 else 0].colour for v in moved],
                   "pattern": {"shape": ["/" if v > 0 else "" for v in moved], "fgcolor": "white"}},
        "customdata": [[name, f"{math.exp(v):.2f}"] for name, v in zip(names, moved, strict=True)],
        "hovertemplate": "%{customdata[0]}<br>log odds %{x:+.2f}, odds × %{customdata[1]}<extra></extra>",
    }  # fmt: skip
    layout = theme.layout_of(title=TERMS, subtitle=subtitle, height=160 + 40 * len(names), mark=mark)
    said = [
        {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "y": k, "showarrow": False,
         "text": f"odds × {math.exp(v):.2f}", "font": {"size": 11}}
        for k, v in enumerate(moved)
    ]  # fmt: skip
    reach = 1.15 * max(0.1, float(abs(moved).max()) if len(moved) else 0.1)
    layout |= {
        "annotations": [*layout.get("annotations", ()), *said], "margin": layout["margin"] | {"r": 104},
        "shapes": [theme.straight(x=0)],
        "xaxis": theme.axis_of(title="Log odds, against the average training patient", range=[-reach, reach]),
        "yaxis": theme.axis_of(tickvals=list(range(len(names))), ticktext=names, ticks="",
                               range=[len(names) - 0.5, -0.5], showgrid=False),
    }  # fmt: skip
    return go.Figure(data=[bars], layout=layout)


def plot_effects(
    curves: pd.DataFrame, *, own: Mapping[str, tuple[object, float]], labels: Mapping[str, str], subtitle: str = "",
    mark: str = "",
) -> go.Figure:  # fmt: skip
    """A small curve (numbers) or marks (words) a predictor: the risk with that value; the patient's own is a diamond.

    Args:
        curves: predictor, value (a number, or a word) and risk.
        own: predictor -> the patient's value and risk; without it where the value is not known.
        labels: predictor -> its name.
        subtitle: what a reader must know.
        mark: words laid across the figure.
    """
    names = list(dict.fromkeys(curves["predictor"]))
    n_rows = max(1, math.ceil(len(names) / _ACROSS))
    height = 110 + n_rows * (_TALL + _GAP)
    layout = theme.layout_of(title=EFFECTS, subtitle=subtitle, height=height, mark=mark)
    layout["margin"] |= {"b": 40, "t": 84}
    top = min(1.0, 1.15 * max([0.05, *curves["risk"], *(risk for _, risk in own.values())]))
    whole, traces = n_rows * (_TALL + _GAP), []
    for k, name in enumerate(names):
        row, column, end = k // _ACROSS, k % _ACROSS, "" if k == 0 else str(k + 1)
        upper = 1 - row * (_TALL + _GAP) / whole
        left = 0.0 if column == 0 else 0.56
        layout[f"xaxis{end}"] = theme.axis_of(title=theme.safe(labels[name]), domain=[left, left + 0.44],
                                              anchor=f"y{end}", nticks=5)  # fmt: skip
        layout[f"yaxis{end}"] = theme.axis_of(
            title="Risk" if column == 0 else "", tickformat=".0%", range=[0, top], nticks=4, anchor=f"x{end}",
            domain=[max(0.0, upper - _TALL / whole), upper],
        )  # fmt: skip
        traces += _curve(curves[curves["predictor"] == name], own.get(name), label=labels[name], end=end)
    return go.Figure(data=traces, layout=layout)


def _curve(
    points: pd.DataFrame, own: tuple[object, float] | None, *, label: str, end: str
) -> list[dict[str, Any]]:  # fmt: skip
    style, numbers = theme.STYLES[0], all(isinstance(v, int | float) for v in points["value"])
    shared = {"type": "scatter", "xaxis": f"x{end}", "yaxis": f"y{end}", "showlegend": False}
    said = f"{theme.safe(label)}: %{{x}}<br>risk %{{y:.1%}}<extra></extra>"
    values = [v if numbers else theme.safe(str(v)) for v in points["value"]]
    drawn = [shared | {
        "x": values, "y": points["risk"].tolist(), "mode": "lines" if numbers else "markers", "name": theme.safe(label),
        "line": {"color": style.colour, "width": 2}, "marker": {"color": style.colour, "size": 9},
        "hovertemplate": said,
    }]  # fmt: skip
    if own is not None:
        value, risk = own
        drawn.append(shared | {
            "x": [value if numbers else theme.safe(str(value))], "y": [risk], "mode": "markers",
            "name": f"{theme.safe(label)}, as typed", "hovertemplate": said,
            "marker": {"color": theme.STYLES[3].colour, "size": 12, "symbol": "diamond",
                       "line": {"color": "white", "width": 1}},
        })  # fmt: skip
    return drawn
