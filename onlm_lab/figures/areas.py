"""Areas under curves and what a wrong curve would have read: mean time lived or lost, 1 - Kaplan-Meier."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import (
    endpoint_words,
    legend_height,
    mark_day,
    name_lines,
    steps_to_draw,
    time_axis,
    top_of,
)
from onlm_lab.results import IncidenceCurves, OneMinusKm, Rmst, SurvivalCurves, TimeLost

_ROW, _AREAS = 58, 300  # pixels of a group, and of the curves above them


def plot_one_minus_km(
    fit: OneMinusKm,
    *,
    who: str = "",
    until_days: float | None = None,
    horizon_days: float | None = None,
    mark: str = "",
) -> go.Figure:
    """The cumulative incidence with its band (solid), and what 1 - Kaplan-Meier would have read (dotted), by group.

    Args:
        fit: the result.
        who: which patients, for the subtitle.
        until_days: where the time axis ends; None: at the last follow-up.
        horizon_days: a day to mark with a line; None: the longest horizon of the result.
        mark: words laid across the figure.
    """
    curve = fit.curve
    names = [str(g) for g in dict.fromkeys(curve["group"])]
    styles = theme.styles_of(names)
    last = float(curve["days"].max()) if until_days is None else float(until_days)
    words = endpoint_words(fit.endpoint) if fit.cause == 1 else f"events that compete with {fit.endpoint}"
    parts = [who, theme.counts(fit.n, fit.n_events, events="events"), "band: 95 % interval of the incidence"]
    below = legend_height([*names, *(f"{name}, 1 − Kaplan-Meier" for name in names)])
    layout = theme.layout_of(
        title=f"How much would Kaplan-Meier overstate {words}?", subtitle="; ".join(p for p in parts if p),
        height=420 + below, mark=mark,
    )  # fmt: skip
    layout["margin"] = layout["margin"] | {"b": 76 + below}
    layout["yaxis"] = layout["yaxis"] | {
        "title": {"text": "Patients with the event (%)"}, "tickformat": ".0%",
        "range": [0, top_of(curve, ["one_minus_km", "high"], until_days)],
    }  # fmt: skip
    layout["xaxis"] = time_axis(layout["xaxis"], last_days=last)
    data: list[dict[str, Any]] = []
    for name in names:
        _add_both(data, curve[curve["group"].astype(str) == name], name=name, style=styles[name], last=last)
    day = float(fit.table["horizon_days"].max()) if horizon_days is None else horizon_days
    if day <= last:
        mark_day(layout, day)
    return go.Figure(data=data, layout=layout)


def plot_rmst(
    fit: Rmst | TimeLost, *, curves: SurvivalCurves | IncidenceCurves | None = None, who: str = "", mark: str = ""
) -> go.Figure:
    """Mean days lived to tau (or lost to a cause) by group with intervals, and each group against the first.

    Args:
        fit: what rmst or time_lost returned.
        curves: the curves of the same groups, to draw the areas that the means are; None: the means alone.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    lost = isinstance(fit, TimeLost)
    column, table, differences = ("days_lost" if lost else "rmst_days"), fit.table, fit.differences
    words = endpoint_words(fit.endpoint)
    until = theme.years(fit.tau_days)
    title = f"How much of the first {until} is lost to {words}?" if lost else f"How much of the first {until} is lived?"
    if not lost and fit.endpoint != "os":
        title = f"How much of the first {until} is lived free of the event?"
    if lost and fit.cause == 2:
        title = f"How much of the first {until} is lost to events that compete with {words}?"
    parts = [who, theme.counts(fit.n, fit.n_events, events="events"), "bars: 95 % intervals"]
    layout = theme.layout_of(
        title=title, subtitle="; ".join(p for p in parts if p), mark=mark,
        height=150 + _ROW * len(table) + (_AREAS if curves is not None else 0),
    )  # fmt: skip
    both = len(differences) > 0
    names = [str(g) for g in table["group"]]
    styles = theme.styles_of(names)
    axis, rows = layout["xaxis"], {name: i for i, name in enumerate(names)}
    counts = [f"n = {n:,}, {d:,} events" for n, d in table[["n", "n_events"]].itertuples(index=False)]
    labels = [theme.safe("\n".join([*name_lines(name), said])).replace("\n", "<br>")
              for name, said in zip(names, counts, strict=True)]  # fmt: skip
    down = {"range": [len(names) - 0.4, -0.6], "ticks": "", "showgrid": False}
    layout["showlegend"] = False
    layout["xaxis"] = axis | {"domain": [0, 0.46 if both else 0.86], "nticks": 5, "tickangle": 0,
                              "title": {"text": "Days lost" if lost else "Days lived"}}  # fmt: skip
    layout["yaxis"] = axis | down | {"tickvals": list(range(len(names))), "ticktext": labels, "tickfont": {"size": 11}}
    data = [_points(table, names=names, rows=rows, value=column, styles=styles, axes=("x", "y"))]
    if both:
        layout["xaxis2"] = axis | {"domain": [0.6, 0.86], "anchor": "y2", "nticks": 4, "tickangle": 0,
                                   "title": {"text": "Days against the first"}}  # fmt: skip
        layout["yaxis2"] = axis | down | {"anchor": "x2", "showticklabels": False, "matches": "y"}
        others = [str(g) for g in differences["group"]]
        data.append(_points(differences, names=others, rows=rows, value="difference", styles=styles, axes=("x2", "y2")))
        layout["shapes"] = [{
            "type": "line", "xref": "x2", "yref": "y2 domain", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "layer": "below",
            "line": {"color": theme.QUIET, "width": 1, "dash": "dot"},
        }]  # fmt: skip
        layout["annotations"] = [*layout.get("annotations", []), *_said(differences, rows)]
        layout["margin"] = layout["margin"] | {"r": 60}
    if curves is not None:
        _add_areas(data, layout, curves, fit, styles=styles, axis=axis)
    return go.Figure(data=data, layout=layout)


def _add_both(data: list[dict[str, Any]], steps: pd.DataFrame, *, name: str, style: theme.Style, last: float) -> None:
    label, days = theme.safe(name), steps["days"].to_numpy(float)
    column = {c: steps[c].to_numpy(float) for c in ("incidence", "low", "high", "one_minus_km")}
    at = steps_to_draw(days, column["incidence"], last_days=last)
    band = at[~np.isnan(column["low"][at])]
    shared = {"type": "scatter", "mode": "lines", "legendgroup": name}
    if len(band):
        quiet = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0, "shape": "hv"}, "x": days[band]}
        data.append(shared | quiet | {"y": column["low"][band], "name": f"{label}, lower limit"})
        data.append(shared | quiet | {"y": column["high"][band], "name": f"{label}, upper limit", "fill": "tonexty",
                                      "fillcolor": theme.faint(style.colour)})  # fmt: skip
    for key, said, line in (
        ("incidence", label, {"width": 2.2, "dash": "solid"}),
        ("one_minus_km", f"{label}, 1 − Kaplan-Meier", {"width": 1.6, "dash": "dot"}),
    ):
        drawn = at if key == "incidence" else steps_to_draw(days, column[key], last_days=last)
        data.append(shared | {
            "x": days[drawn], "y": column[key][drawn], "name": said,
            "line": line | {"color": style.colour, "shape": "hv"},
            "hovertemplate": f"{said}: %{{y:.1%}} at %{{x:.0f}} days<extra></extra>",
        })  # fmt: skip


def _add_areas(
    data: list[dict[str, Any]], layout: dict[str, Any], curves: SurvivalCurves | IncidenceCurves,
    fit: Rmst | TimeLost, *, styles: dict[str, theme.Style], axis: dict[str, Any],
) -> None:  # fmt: skip
    """The curves to tau above the means, the area under each filled."""
    value = "incidence" if isinstance(fit, TimeLost) else "survival"
    curve = curves.curve
    if isinstance(fit, TimeLost):
        curve = curve[curve["cause"] == fit.cause]
    part = _ROW * len(fit.table) / (_ROW * len(fit.table) + _AREAS)
    for key in ("yaxis", "yaxis2"):
        if key in layout:
            layout[key] = layout[key] | {"domain": [0, part]}
    layout["xaxis3"] = time_axis(axis, last_days=fit.tau_days) | {"anchor": "y3", "domain": [0, 0.86]}
    top = 1.02 if value == "survival" else top_of(curve, [value], fit.tau_days)
    layout["yaxis3"] = axis | {
        "anchor": "x3", "domain": [part + 74 / (_ROW * len(fit.table) + _AREAS), 1], "tickformat": ".0%",
        "range": [0, top], "title": {"text": "Patients (%)"},
    }  # fmt: skip
    group = curve["group"].astype(str).to_numpy()
    for name, style in styles.items():
        steps = curve[(group == name) & (curve["days"].to_numpy() <= fit.tau_days)]
        days, height = np.r_[steps["days"], fit.tau_days], np.r_[steps[value], steps[value].iloc[-1:]]
        at = steps_to_draw(days, height, last_days=fit.tau_days)
        data.append({
            "type": "scatter", "mode": "lines", "x": days[at], "y": height[at], "xaxis": "x3", "yaxis": "y3",
            "name": theme.safe(name), "fill": "tozeroy", "fillcolor": theme.faint(style.colour),
            "line": {"color": style.colour, "width": 2.2, "dash": style.dash, "shape": "hv"},
            "hovertemplate": f"{theme.safe(name)}: %{{y:.1%}} at %{{x:.0f}} days<extra></extra>",
        })  # fmt: skip


def _points(
    table: pd.DataFrame, *, names: list[str], rows: dict[str, int], value: str, styles: dict[str, theme.Style],
    axes: tuple[str, str],
) -> dict[str, Any]:  # fmt: skip
    x, low, high = (table[c].to_numpy(float) for c in (value, "low", "high"))
    colours = [styles[name].colour for name in names]
    said = [f"{theme.number(a, digits=1)} ({theme.number(b, digits=1)} to {theme.number(c, digits=1)})"
            for a, b, c in zip(x, low, high, strict=True)]  # fmt: skip
    return {
        "type": "scatter", "mode": "markers+text", "x": x, "y": [rows[name] for name in names], "text": said,
        "textposition": "top center", "textfont": {"size": 11}, "name": value, "xaxis": axes[0], "yaxis": axes[1],
        "cliponaxis": False, "customdata": [theme.safe(name) for name in names],
        "marker": {"color": colours, "size": 9, "symbol": [styles[name].marker for name in names]},
        "error_x": {"type": "data", "symmetric": False, "array": high - x, "arrayminus": x - low, "width": 4,
                    "thickness": 1.5, "color": theme.QUIET},
        "hovertemplate": "%{customdata}: %{text} days<extra></extra>",
    }  # fmt: skip


def _said(differences: pd.DataFrame, rows: dict[str, int]) -> list[dict[str, Any]]:
    """The P of each difference, in the margin."""
    return [
        {"xref": "paper", "x": 0.88, "xanchor": "left", "yref": "y2", "y": rows[str(r["group"])], "showarrow": False,
         "text": theme.p_value(float(r["p_value"])), "font": {"size": 11}}
        for r in differences.to_dict("records") if not math.isnan(r["p_value"])
    ]  # fmt: skip
