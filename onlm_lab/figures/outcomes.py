"""What became of the patients: survival and cumulative incidence, with the numbers at risk under the curves."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import IncidenceCurves, SurvivalCurves

ENDPOINTS = {
    "os": "overall survival", "rfs": "recurrence-free survival", "recurrence": "recurrence",
    "regional": "regional (nodal) recurrence", "distant": "distant recurrence",
    "cancer_death": "death from lung cancer",
}  # fmt: skip
MOST_POINTS, MOST_TICKS = 600, 150  # of a curve; more cannot be told apart on a screen
_BODY, _GAP = 300, 72  # pixels: curves, and what lies between them and the at-risk table
_ROW, _LINE = (22, 36, 50), 26  # pixels of a row of the table by the lines of its name; letters of a line


def endpoint_words(endpoint: str) -> str:
    """An endpoint in words; its own name where it is not one of ours."""
    return ENDPOINTS.get(endpoint, endpoint.replace("_", " "))


def plot_survival(
    curves: SurvivalCurves,
    *,
    who: str = "",
    until_days: float | None = None,
    horizon_days: float | None = None,
    mark: str = "",
) -> go.Figure:
    """Kaplan-Meier steps with log-log bands, censoring ticks, and the numbers at risk aligned under them.

    Args:
        curves: the result.
        who: which patients, for the subtitle, such as "surgery".
        until_days: where the time axis ends; None: at the last follow-up.
        horizon_days: a day to mark with a line; None: none.
        mark: words laid across the figure.
    """
    test = theme.p_value(curves.log_rank.p_value)
    return _steps_with_table(
        curves, curve=curves.curve, value="survival", until_days=until_days, horizon_days=horizon_days, mark=mark,
        start=1.0,
        title=f"How long do patients stay alive{'' if curves.endpoint == 'os' else ' and free of the event'}?",
        subtitle=_subtitle(curves, who=who, test=f"log-rank {test}" if test else ""),
        yaxis={"title": {"text": f"{endpoint_words(curves.endpoint).capitalize()} (%)"}, "range": [0, 1.02]},
    )  # fmt: skip


def plot_incidence(
    curves: IncidenceCurves,
    *,
    cause: int = 1,
    who: str = "",
    until_days: float | None = None,
    horizon_days: float | None = None,
    mark: str = "",
) -> go.Figure:
    """Aalen-Johansen cumulative incidence of one cause, the others competing, with the numbers at risk under it.

    Args:
        curves: the result.
        cause: 1 the event, 2 the competing event.
        who: which patients, for the subtitle.
        until_days: where the time axis ends; None: at the last follow-up.
        horizon_days: a day to mark with a line; None: none.
        mark: words laid across the figure.
    """
    curve = curves.curve
    curve = curve[curve["cause"] == cause]
    gray = curves.gray_test
    gray = gray[gray["cause"] == cause] if len(gray) else gray
    test = theme.p_value(float(gray["p_value"].iloc[0])) if len(gray) else ""
    words = endpoint_words(curves.endpoint) if cause == 1 else f"an event that competes with {curves.endpoint}"
    return _steps_with_table(
        curves, curve=curve, value="incidence", until_days=until_days, horizon_days=horizon_days, mark=mark, start=0.0,
        title=f"How many patients have {words}?",
        subtitle=_subtitle(curves, who=who, test=f"Gray {test}" if test else "") + "; other events compete",
        yaxis={"title": {"text": "Cumulative incidence (%)"},
               "range": [0, top_of(curve, ["incidence", "high"], until_days)]},
    )  # fmt: skip


def time_ticks(last_days: float) -> list[float]:
    """Days at which the axis has its ticks and the table its columns: whole years, or halves, at most about six."""
    for step in (182.625, 365.25, 730.5, 1826.25, 3652.5):
        if last_days / step <= 7.2:
            return [step * i for i in range(int(last_days / step) + 1)]
    return [0.0, last_days]


def top_of(curve: pd.DataFrame, columns: Sequence[str], until_days: float | None) -> float:
    """Where an axis of incidences ends: a little above the highest that is shown, not above 100 %."""
    shown = curve if until_days is None else curve[curve["days"] <= until_days]
    return min(1.02, 1.1 * float(np.nanmax([0.05, *(shown[column].max() for column in columns)])))


def time_axis(axis: dict[str, Any], *, last_days: float) -> dict[str, Any]:
    """An axis of time in years, from treatment to the last day shown."""
    ticks = time_ticks(last_days)
    return axis | {
        "range": [-0.03 * last_days, 1.03 * last_days], "tickvals": ticks, "showticklabels": True,
        "ticktext": [f"{d / 365.25:g}" for d in ticks],
        "title": {"text": "Years since treatment", "font": {"size": 13}, "standoff": 2},
    }  # fmt: skip


def steps_to_draw(days: np.ndarray, height: np.ndarray, *, last_days: float) -> np.ndarray:
    """Which steps of a curve to draw: all, or so many that the eye sees the same curve through steps of its own."""
    if len(days) <= MOST_POINTS:
        return np.arange(len(days))
    shown = int(np.searchsorted(days, last_days, side="right")) + 1  # one beyond: the line goes to the edge
    moved = np.r_[True, np.diff(height[:shown]) != 0]
    moved[-1:] = True
    at = np.flatnonzero(moved)
    if len(at) <= MOST_POINTS:
        return at
    tall = float(np.ptp(height[at])) or 1.0
    path = days[at] / last_days + np.abs(height[at] - height[at[0]]) / tall  # along the curve, in axes
    part = (path / path[-1] * (MOST_POINTS - 2)).astype(int)
    keep = np.r_[part[1:] != part[:-1], True]  # the last of each part
    keep[0] = True
    return at[keep]


def draw_steps(
    data: list[dict[str, Any]],
    steps: pd.DataFrame,
    *,
    name: str,
    value: str,
    style: theme.Style,
    start: float,
    last_days: float,
) -> None:
    """Add the traces of one group: its band, its steps, its censored patients."""
    label, column = theme.safe(name), {c: steps[c].to_numpy() for c in steps.columns if c != "group"}
    days, height = column["days"].astype(float), column[value].astype(float)
    at = steps_to_draw(days, height, last_days=last_days)
    shared = {"type": "scatter", "legendgroup": name, "mode": "lines"}
    band = at[~np.isnan(column["low"][at]) & ~np.isnan(column["high"][at])]
    if len(band):
        quiet = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0, "shape": "hv"}, "x": days[band]}
        data.append(shared | quiet | {"y": column["low"][band], "name": f"{label}, lower limit"})
        data.append(shared | quiet | {"y": column["high"][band], "name": f"{label}, upper limit", "fill": "tonexty",
                                      "fillcolor": theme.faint(style.colour)})  # fmt: skip
    early = not len(days) or days[0] > 0
    data.append(shared | {
        "x": np.r_[0.0, days[at]] if early else days[at], "y": np.r_[start, height[at]] if early else height[at],
        "name": label, "line": {"color": style.colour, "width": 2.2, "dash": style.dash, "shape": "hv"},
        "hovertemplate": f"{label}: %{{y:.1%}} at %{{x:.0f}} days<extra></extra>",
    })  # fmt: skip
    if "n_censored" not in column:
        return
    lost = np.flatnonzero((column["n_censored"] > 0) & (days <= last_days))
    if len(lost) > MOST_TICKS:
        lost = lost[np.unique((days[lost] / last_days * (MOST_TICKS - 1)).astype(int), return_index=True)[1]]
    if len(lost):
        data.append({
            "type": "scatter", "x": days[lost], "y": height[lost], "name": f"{label}, censored", "legendgroup": name,
            "showlegend": False, "mode": "markers", "hoverinfo": "skip",
            "marker": {"symbol": "line-ns", "size": 6, "line": {"color": style.colour, "width": 1}},
        })  # fmt: skip


def mark_day(layout: dict[str, Any], days: float) -> None:
    """A line at a day, with the day in words above it."""
    layout.setdefault("shapes", []).append({
        "type": "line", "xref": "x", "yref": "y domain", "x0": days, "x1": days, "y0": 0, "y1": 1, "layer": "below",
        "line": {"color": theme.QUIET, "width": 1, "dash": "dot"}, "name": "horizon",
    })  # fmt: skip
    layout.setdefault("annotations", []).append({
        "text": theme.years(days), "xref": "x", "x": days, "yref": "y domain", "y": 1, "yanchor": "bottom",
        "showarrow": False, "font": {"size": 11, "color": theme.QUIET}, "name": "horizon",
    })  # fmt: skip


def legend_height(names: Sequence[str]) -> int:
    """Pixels that a legend of these names needs beyond its first line, on a page 700 pixels wide."""
    lines, left = 1, 0
    for name in names:
        width = 48 + 7 * len(name)
        lines, left = (lines + 1, width) if left and left + width > 700 else (lines, left + width)
    return 20 * (lines - 1)


def _steps_with_table(
    curves: SurvivalCurves | IncidenceCurves, *, curve: pd.DataFrame, value: str, title: str, subtitle: str,
    until_days: float | None, horizon_days: float | None, mark: str, start: float, yaxis: dict[str, Any],
) -> go.Figure:  # fmt: skip
    group = curve["group"].astype(str).to_numpy()
    names = list(dict.fromkeys(group.tolist()))
    styles = theme.styles_of(names)
    last = float(curve["days"].max()) if until_days is None else float(until_days)
    table = _ROW[max(len(name_lines(name)) for name in names) - 1] * len(names) + 8
    inner, below = _BODY + _GAP + table, legend_height(names)
    # at once: traces and axes added one by one take ten times longer
    layout = theme.layout_of(title=title, subtitle=subtitle, height=inner + 74 + 44 + below, mark=mark)
    axis = layout["xaxis"]
    layout["margin"] = layout["margin"] | {"b": 12 + below}
    layout["xaxis"] = time_axis(axis, last_days=last) | {"anchor": "y", "matches": "x2"}
    layout["yaxis"] = axis | {"anchor": "x", "domain": [(table + _GAP) / inner, 1], "tickformat": ".0%"} | yaxis
    layout["xaxis2"] = time_axis(axis, last_days=last) | {
        "anchor": "y2", "showticklabels": False, "showgrid": False, "ticks": "", "showline": False, "title": None,
    }  # fmt: skip
    data: list[dict[str, Any]] = []
    for name in names:
        steps = curve[group == name].sort_values("days", kind="stable")
        draw_steps(data, steps, name=name, value=value, style=styles[name], start=start, last_days=last)
    at = curves.at(days=time_ticks(last))
    if "cause" in at:
        at = at[at["cause"] == curve["cause"].iloc[0]]
    _add_table(data, layout, at, names=names, styles=styles, axis=axis | {"domain": [0, table / inner]})
    if horizon_days is not None and horizon_days <= last:
        mark_day(layout, horizon_days)
    return go.Figure(data=data, layout=layout)


def _add_table(
    data: list[dict[str, Any]], layout: dict[str, Any], at: pd.DataFrame, *, names: Sequence[str],
    styles: dict[str, theme.Style], axis: dict[str, Any],
) -> None:  # fmt: skip
    group = at["group"].astype(str).to_numpy()
    days, n = at["days"].to_numpy(), at["at_risk"].to_numpy()
    for i, name in enumerate(names):
        own = group == name
        data.append({
            "type": "scatter", "x": days[own], "y": [i] * int(own.sum()), "text": [f"{k:d}" for k in n[own]],
            "mode": "text", "showlegend": False, "name": f"{theme.safe(name)}, at risk", "hoverinfo": "skip",
            "textfont": {"color": styles[name].colour, "size": 12}, "cliponaxis": False, "xaxis": "x2", "yaxis": "y2",
        })  # fmt: skip
    lines = ["<br>".join(theme.safe(line) for line in name_lines(name)) for name in names]
    labels = [f"<span style='color:{styles[n].colour}'>{line}</span>" for n, line in zip(names, lines, strict=True)]
    layout["yaxis2"] = axis | {
        "anchor": "x2", "tickvals": list(range(len(names))), "ticktext": labels, "range": [len(names) - 0.5, -0.5],
        "ticks": "", "showgrid": False, "showline": False, "ticklabelstandoff": 12,
    }  # fmt: skip
    layout["annotations"] = [*layout.get("annotations", []), {
        "text": "Patients at risk", "xref": "paper", "x": 0, "xanchor": "left", "yref": "y2 domain", "y": 1,
        "yanchor": "bottom", "yshift": 2, "showarrow": False, "font": {"size": 12, "color": theme.QUIET},
    }]  # fmt: skip


def name_lines(name: str) -> list[str]:
    """A group's name in up to three lines."""
    return textwrap.wrap(name, _LINE, max_lines=len(_ROW), placeholder=" …") or [name]


def _subtitle(curves: SurvivalCurves | IncidenceCurves, *, who: str, test: str) -> str:
    parts = [who, theme.counts(curves.n, curves.n_events, events="events"), "band: 95 % interval", test]
    return "; ".join(p for p in parts if p)
