"""One patient: his risk among the study's, what the model would say of other values, and the days of his follow-up."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme

_ROW, _STRIP = 150, 34  # pixels of a row of small figures, and of a line of the strip
_KINDS = {"before": 5, "treatment": 0, "seen": 2, "recurrence": 3, "end": 1}


def plot_risk_among(
    bins: pd.DataFrame,
    *,
    patient: str,
    risk: float,
    low: float,
    high: float,
    threshold: float,
    who: str,
    mark: str = "",
) -> go.Figure:
    """Where a patient's risk stands among those of the study.

    Args:
        bins: low, high, n: how many patients have a risk in each bin.
        patient: whose case.
        risk: the patient's.
        low, high: model spread; NaN: there is none.
        threshold: positive from here on; NaN: there is none.
        who: of whom the bins are, such as "166 out-of-fold risks".
        mark: words laid across the figure.
    """
    layout = theme.layout_of(
        title=f"{theme.safe(patient)}: how high is the risk, and where does it stand?",
        subtitle=f"Bars: {theme.safe(who)}. Orange: this patient", height=330, mark=mark,
    )  # fmt: skip
    middle = 50 * (bins["low"] + bins["high"])
    own, top = theme.STYLES[3].colour, float(max(bins["n"].max(), 1))
    traces: list[go.Bar | go.Scatter] = [
        go.Bar(x=middle.tolist(), y=bins["n"].tolist(), width=(100 * (bins["high"] - bins["low"])).tolist(),
               name="Patients", marker={"color": theme.faint(theme.STYLES[0].colour, alpha=0.5)},
               hovertemplate="around %{x:.1f} %: %{y} patients<extra></extra>")
    ]  # fmt: skip
    if low == low and high == high:
        traces.append(go.Scatter(x=[100 * low, 100 * high], y=[1.12 * top, 1.12 * top], mode="lines",
                                 name="Model spread", line={"color": own, "width": 5},
                                 hovertemplate="model spread: %{x:.1f} %<extra></extra>"))  # fmt: skip
    traces.append(go.Scatter(x=[100 * risk], y=[1.12 * top], mode="markers", name="This patient",
                             marker={"color": own, "symbol": "diamond", "size": 13},
                             hovertemplate="this patient: %{x:.1f} %<extra></extra>"))  # fmt: skip
    shapes = [theme.straight(x=100 * risk, color=own, dash="solid", width=1.5)]
    if threshold == threshold:
        shapes.append(theme.straight(x=100 * threshold, color=theme.INK, dash="dash"))
        traces.append(go.Scatter(x=[None], y=[None], mode="lines", name="Threshold",
                                 line={"color": theme.INK, "width": 1, "dash": "dash"}))  # fmt: skip
    layout["shapes"] = shapes
    layout["bargap"] = 0.05
    layout["xaxis"] = theme.axis_of(title="Risk of occult N+ (%)", rangemode="tozero")
    layout["yaxis"] = theme.axis_of(title="Patients", range=[0, 1.25 * top])
    layout["margin"] = layout["margin"] | {"b": 84}
    return go.Figure(data=traces, layout=layout)


def plot_effects(table: pd.DataFrame, *, order: Sequence[str], risk: float, mark: str = "") -> go.Figure:
    """One small figure a predictor: the risk at each of its values, the patient's own marked.

    Args:
        table: predictor, label, value (text), number (NaN for words), risk, own (bool), in the order of the values.
        order: predictors, in the order of the figures.
        risk: at the patient's own values.
        mark: words laid across the figure.

    Raises:
        OnlmError: there is no predictor.
    """
    if not order:
        raise OnlmError("plot_effects: wanted at least one predictor, got none.")
    n_rows = (len(order) + 1) // 2
    parts = dict(list(table.groupby("predictor", sort=False)))
    body = n_rows * _ROW
    layout = theme.layout_of(
        title="What would the model say, were one value another?",
        subtitle="Each: the risk (%) at each value, all else and the CT unchanged. Orange: this patient",
        height=74 + 70 + body, mark=mark,
    )  # fmt: skip
    layout["margin"] = {"l": 42, "r": 16, "t": 74, "b": 30}
    layout["annotations"] = list(layout.get("annotations", []))
    top, tall = 110 * max(float(table["risk"].max()), risk), body + 40
    traces: list[go.Scatter] = []
    for k, name in enumerate(order):
        part, row, column, n = parts[name], k // 2, k % 2, "" if k == 0 else str(k + 1)
        numeric = bool(part["number"].notna().any())
        across = [0.55 * column, 0.55 * column + 0.45]
        up = 1 - (row * _ROW + 40) / tall  # the top of this small figure, as a part of the drawing's height
        down = max(0.0, up - (_ROW - 62) / tall)
        layout[f"xaxis{n}"] = theme.axis_of(
            domain=across, anchor=f"y{n}", **({"nticks": 6} if numeric else {"type": "category"})
        )
        layout[f"yaxis{n}"] = theme.axis_of(domain=[down, up], anchor=f"x{n}", range=[0, top], nticks=4)
        layout["annotations"].append({
            "text": theme.safe(str(part["label"].iloc[0])), "x": sum(across) / 2, "y": up, "xref": "paper",
            "yref": "paper", "xanchor": "center", "yanchor": "bottom", "showarrow": False, "font": {"size": 12},
        })  # fmt: skip
        traces += _curve(part, name=name, numeric=numeric, axes={"xaxis": f"x{n}", "yaxis": f"y{n}"})
    return go.Figure(data=traces, layout=layout)


def _curve(part: pd.DataFrame, *, name: str, numeric: bool, axes: dict[str, str]) -> list[go.Scatter]:
    """The line of one predictor, and the patient's own value on it; what is not known has no place on a line."""
    blue, own = theme.STYLES[0].colour, theme.STYLES[3].colour
    points = part[part["number"].notna()].sort_values("number") if numeric else part

    def places(rows: pd.DataFrame) -> list[object]:
        return rows["number"].tolist() if numeric else [theme.safe(v) for v in rows["value"]]

    found = [go.Scatter(
        x=places(points), y=(100 * points["risk"]).tolist(), mode="lines+markers" if numeric else "markers", name=name,
        line={"color": blue, "width": 2}, marker={"size": 4 if numeric else 9, "color": blue}, showlegend=False,
        hovertemplate="%{x}: %{y:.1f} %<extra></extra>", **axes,
    )]  # fmt: skip
    mine = points[points["own"]]
    if len(mine):
        found.append(go.Scatter(
            x=places(mine), y=(100 * mine["risk"]).tolist(), mode="markers", name=f"{name}, own", showlegend=False,
            marker={"size": 11, "symbol": "diamond", "color": own},
            hovertemplate="this patient, %{x}: %{y:.1f} %<extra></extra>", **axes,
        ))  # fmt: skip
    return found


def plot_follow_up(events: pd.DataFrame, *, mark: str = "") -> go.Figure:
    """A strip of days: a line an event, from the CT to the last that is known.

    Args:
        events: day, what, kind, by day.
        mark: words laid across the figure.
    """
    names = [theme.safe(what) for what in events["what"]]
    layout = theme.layout_of(
        title="What became of this patient?", subtitle="Days from the treatment (day 0)",
        height=150 + _STRIP * len(events), mark=mark,
    )  # fmt: skip
    last = float(events["day"].max())
    traces = [go.Scatter(
        x=[float(events["day"].min()), last], y=[names[-1], names[-1]], mode="lines", showlegend=False,
        hoverinfo="skip", line={"color": theme.GRID, "width": 1},
    )]  # fmt: skip
    for day, name, kind in zip(events["day"], names, events["kind"], strict=True):
        style = theme.STYLES[_KINDS[kind]]
        traces.append(go.Scatter(
            x=[float(day)], y=[name], mode="markers+text", text=[f"day {day:,.0f}".replace("-", "−")],
            textposition="middle left" if day > 0.6 * last else "middle right", name=name, showlegend=False,
            marker={"size": 12, "color": style.colour, "symbol": style.marker}, cliponaxis=False,
            hovertemplate="%{y}: day %{x:,.0f}<extra></extra>",
        ))  # fmt: skip
    layout["shapes"] = [theme.straight(x=0.0)]
    layout["xaxis"] = theme.axis_of(title="Days from treatment", nticks=6)
    layout["yaxis"] = theme.axis_of(type="category", categoryorder="array", categoryarray=names, autorange="reversed")
    return go.Figure(data=traces, layout=layout)
