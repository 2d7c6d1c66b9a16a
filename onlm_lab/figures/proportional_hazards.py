"""Does a hazard ratio stay the same over time?"""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.hazard_comparison import coefficient_words, head_notes
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import unit_words
from onlm_lab.results import ProportionalHazards

MOST_POINTS = 2000  # residuals drawn a coefficient; with more, evenly spaced ones over time


def plot_proportional_hazards(hazards: ProportionalHazards, *, who: str = "", mark: str = "") -> go.Figure:
    """The log hazard ratio of each coefficient over time with its band, and the events' residuals it is drawn through.

    Args:
        hazards: the result.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    names = hazards.coefficients["covariate"].astype(str).tolist()
    units = hazards.coefficients["unit"].tolist()
    overall = hazards.test.loc[hazards.test["covariate"] == "GLOBAL", "p_value"]
    test = theme.p_value(float(overall.iloc[0]))
    layout = theme.layout_of(
        title="Does the hazard ratio stay the same over time?",
        subtitle="; ".join(part for part in (
            endpoint_words(hazards.endpoint), theme.safe(who),
            theme.counts(hazards.n, hazards.n_events, events="events"), "band: 95 % interval",
            f"all constant: {test}" if test else "",
        ) if part),
        height=170 + 190 * len(names), mark=mark,
    )  # fmt: skip
    heads = head_notes([_title(hazards, name, unit) for name, unit in zip(names, units, strict=True)])
    layout["annotations"] = [*layout.get("annotations", []), *heads]
    layout["margin"] |= {"t": 96}
    layout |= {"shapes": [], "showlegend": False}
    data: list[dict[str, Any]] = []
    for row, name in enumerate(names, start=1):
        _draw(data, layout, hazards, name=name, row=row, n_rows=len(names))
    return go.Figure(data=data, layout=layout)


def _draw(
    data: list[dict[str, Any]], layout: dict[str, Any], hazards: ProportionalHazards, *, name: str, row: int,
    n_rows: int,
) -> None:  # fmt: skip
    residuals, curve = (t[t["covariate"] == name] for t in (hazards.residuals, hazards.curve))
    drawn = residuals.iloc[:: max(1, -(-len(residuals) // MOST_POINTS))]
    years, low, high = (curve["days"].to_numpy(float) / 365.25, *(curve[c].to_numpy(float) for c in ("low", "high")))
    style, number = theme.STYLES[0], "" if row == 1 else str(row)
    shared = {"type": "scatter", "xaxis": f"x{number}", "yaxis": f"y{number}"}
    quiet = shared | {"x": years, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    data += [
        quiet | {"y": low, "name": "lower limit"},
        quiet | {"y": high, "name": "upper limit", "fill": "tonexty", "fillcolor": theme.faint(style.colour)},
        shared | {
            "x": drawn["days"].to_numpy(float) / 365.25, "y": drawn["residual"].to_numpy(float), "mode": "markers",
            "name": "events", "hoverinfo": "skip", "marker": {"color": theme.QUIET, "size": 4, "opacity": 0.4},
        },
        shared | {
            "x": years, "y": curve["log_hr"].to_numpy(float), "customdata": curve["hr"].to_numpy(float),
            "mode": "lines", "name": "log hazard ratio", "line": {"color": style.colour, "width": 2.2},
            "hovertemplate": "hazard ratio %{customdata:.2f} at %{x:.1f} years<extra></extra>",
        },
    ]  # fmt: skip
    constant = float(hazards.coefficients.set_index("covariate")["coef"][name])
    if np.isfinite(constant):
        layout["shapes"] += [
            theme.straight(y=constant, row=row, color=theme.STYLES[3].colour, width=1.5),
            theme.straight(y=0, row=row, dash=None),
        ]
    up = {}
    if len(curve):
        shown = np.r_[low, high, np.quantile(residuals["residual"].to_numpy(float), [0.05, 0.95]), 0.0]
        room = 0.05 * np.ptp(shown)
        up = {"range": [shown.min() - room, shown.max() + room]}
    gap = 0.14 / max(n_rows - 1, 1)
    tall, last = (1 - gap * (n_rows - 1)) / n_rows, row == n_rows
    foot = (n_rows - row) * (tall + gap)
    along = {"title": "Years since treatment"} if last else {"matches": f"x{n_rows}", "showticklabels": False}
    layout[f"xaxis{number}"] = theme.axis_of(anchor=f"y{number}", domain=[0, 1], **along)
    layout[f"yaxis{number}"] = theme.axis_of(
        title="Log hazard ratio", anchor=f"x{number}", domain=[foot, foot + tall], **up
    )


def _title(hazards: ProportionalHazards, name: str, unit: str) -> str:
    """The coefficient, its ratio and the test of its covariate."""
    own = hazards.test.set_index("covariate")["p_value"]
    term = name if name in own.index else name.split("[", maxsplit=1)[0]
    p = theme.p_value(float(own[term])) if term in own.index else ""
    ratio = theme.number(float(hazards.coefficients.set_index("covariate")["hr"][name]))
    words = unit_words(unit)
    said = f"<b>{coefficient_words(name)}</b>: hazard ratio {ratio}" + (f" {theme.safe(words)}" if words else "")
    said += " (dotted)"
    return said + (f"; constant over time: {p}" if p else "")
