"""Does the risk separate N+ from N0, and what does one threshold do to a thousand patients?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import AucComparison, Estimate, OperatingPoint, PerThousand, Roc, RocBand

MANY_POINTS, EYE = 2000, 1000  # a curve of more points is thinned to steps of 1 / EYE: less than a pixel


def preferred_auc(roc: Roc) -> Estimate:
    """The AUC to show first: on the logit scale where events are few or the AUC is high, else pROC's DeLong."""
    return roc.auc_logit if roc.prefer_logit else roc.auc


def plot_roc(
    roc: Roc | Sequence[Roc],
    *,
    points: Sequence[OperatingPoint] = (),
    band: RocBand | Sequence[RocBand] = (),
    mark: str = "",
) -> go.Figure:
    """ROC curves of one or several models, with the operating points and their intervals as crosses.

    Args:
        roc: one result, or one a model.
        points: operating points to draw on the curves, matched by model_id.
        band: pointwise bands of the sensitivity, drawn faintly behind the curves, matched by model_id.
        mark: words laid across the figure.
    """
    bands = [band] if isinstance(band, RocBand) else list(band)
    rocs = [roc] if isinstance(roc, Roc) else list(roc)
    styles = theme.styles_of([r.model_id for r in rocs])
    figure = theme.blank(
        title="How well does the risk tell N+ from N0?", height=470, mark=mark,
        subtitle=_who(rocs) + (f"; band: {theme.percent(bands[0].level)} at each specificity" if bands else ""),
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="no better than chance", hoverinfo="skip", showlegend=False,
        line={"color": theme.QUIET, "width": 1, "dash": "dot"},
    )  # fmt: skip
    for one in bands:
        _add_band(figure, one, style=styles.get(one.model_id, theme.STYLES[0]))
    for one in rocs:
        curve, style, name = _drawn(one.curve), styles[one.model_id], theme.safe(one.model_id)
        figure.add_scatter(
            x=1 - curve["specificity"], y=curve["sensitivity"], customdata=curve["threshold"], mode="lines",
            name=f"{name}: AUC {theme.with_interval(preferred_auc(one))}", legendgroup=name,
            line={"color": style.colour, "width": 2.2, "dash": style.dash},
            hovertemplate="at risk ≥ %{customdata:.3f}<br>sensitivity %{y:.1%}, 1 − specificity %{x:.1%}"
                          "<extra></extra>",
        )  # fmt: skip
    figure.add_traces([go.Scatter(trace) for trace in roc_points(points, names=list(styles))])
    figure.update_xaxes(title_text="1 − specificity: N0 patients called positive (%)", range=[-0.01, 1.01],
                        tickformat=".0%", constrain="domain")  # fmt: skip
    figure.update_yaxes(title_text="Sensitivity: N+ patients found (%)", range=[-0.01, 1.02], tickformat=".0%")
    return figure


def roc_points(points: Sequence[OperatingPoint], *, names: Sequence[str]) -> list[dict[str, Any]]:
    """Operating points with their intervals as crosses: traces that lie upon the ROC curves of the models.

    Args:
        points: matched by model_id.
        names: the models of the figure in their order, which gives each its style.
    """
    styles = theme.styles_of(list(names))
    found = []
    for point in points:
        style, name = styles.get(point.model_id, theme.STYLES[0]), theme.safe(point.model_id)
        found.append({
            "type": "scatter", "x": [1 - point.specificity.value], "y": [point.sensitivity.value], "mode": "markers",
            "showlegend": False, "name": f"{name} at the threshold", "legendgroup": name,
            "marker": {"color": style.colour, "size": 11, "symbol": style.marker,
                       "line": {"color": "white", "width": 1}},
            "error_x": _bars(1 - point.specificity.value, low=1 - point.specificity.high,
                             high=1 - point.specificity.low, colour=style.colour),
            "error_y": _bars(point.sensitivity.value, low=point.sensitivity.low, high=point.sensitivity.high,
                             colour=style.colour),
            "hovertemplate": f"{name} at the threshold<br>sensitivity %{{y:.1%}}, 1 − specificity %{{x:.1%}}"
                             "<extra></extra>",
        })  # fmt: skip
    return found


def plot_auc_differences(comparison: AucComparison | Sequence[AucComparison], *, mark: str = "") -> go.Figure:
    """Paired AUC differences with their DeLong intervals around the line of no difference."""
    found = [comparison] if isinstance(comparison, AucComparison) else list(comparison)
    labels = [theme.safe(f"{c.model_a} − {c.model_b}") for c in found]
    figure = theme.blank(
        title="Which model separates better, in the same patients?",
        subtitle=f"{theme.counts(found[0].n, found[0].n_events)}; paired DeLong, 95 % interval" if found else "",
        height=170 + 44 * len(found), mark=mark,
    )  # fmt: skip
    figure.add_vline(x=0, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    figure.add_scatter(
        x=[c.difference.value for c in found], y=labels, mode="markers", name="difference of AUC", showlegend=False,
        marker={"color": theme.STYLES[0].colour, "size": 10, "symbol": "square"},
        error_x={"type": "data", "symmetric": False, "color": theme.STYLES[0].colour,
                 "array": [c.difference.high - c.difference.value for c in found],
                 "arrayminus": [c.difference.value - c.difference.low for c in found]},
        customdata=[[theme.with_interval(c.difference, digits=3), theme.p_value(c.p_value)] for c in found],
        hovertemplate="%{y}: %{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )  # fmt: skip
    for c, label in zip(found, labels, strict=True):
        figure.add_annotation(
            x=1, xref="paper", xanchor="left", xshift=8, y=label, showarrow=False, align="left",
            text=f"{theme.with_interval(c.difference)}<br>{theme.p_value(c.p_value)}", font={"size": 11},
        )  # fmt: skip
    figure.update_layout(margin={"r": 150})
    figure.update_xaxes(title_text="Difference of AUC (right: the first is better)", tickangle=0, nticks=5)
    figure.update_yaxes(autorange="reversed", ticks="")
    return figure


def plot_operating_point(per_1000: PerThousand, *, mark: str = "") -> go.Figure:
    """Per 1,000 patients: N+ found and missed, N0 spared and called positive at the threshold, with intervals."""
    table = per_1000.table
    colours = [theme.STYLES[i].colour for i in (2, 3, 0, 1)]
    patterns = ["", "/", "", "/"]
    where = "each fold's own threshold" if pd.isna(per_1000.threshold) else f"risk ≥ {per_1000.threshold:.3f}"
    share = f"; at {theme.percent(per_1000.prevalence)} N+ as named" if per_1000.at_target else ""
    warn = " · apparent: the threshold was chosen on these patients" if per_1000.apparent else ""
    layout = theme.layout_of(
        title="What would this threshold do to 1,000 such patients?",
        subtitle=f"{theme.safe(per_1000.model_id)}, {where}; {theme.counts(per_1000.n, per_1000.n_events)}"
        f"{share}{warn}",
        height=340, mark=mark,
    )  # fmt: skip
    said = [
        {"x": 1, "xref": "paper", "xanchor": "left", "xshift": 8, "y": row.outcome, "showarrow": False, "align": "left",
         "text": "not estimated" if pd.isna(row.patients)
         else f"<b>{row.patients:.0f}</b> ({row.low:.0f} to {row.high:.0f})", "font": {"size": 12}}
        for row in table.itertuples()
    ]  # fmt: skip
    level = f"{100 * per_1000.level:.0f} % interval"
    layout |= {
        "annotations": [*layout.get("annotations", ()), *said], "margin": layout["margin"] | {"r": 120},
        "xaxis": theme.axis_of(title=f"Patients of 1,000 ({level})", range=[0, 1000]),
        "yaxis": theme.axis_of(autorange="reversed", ticks=""),
    }  # fmt: skip
    bars = {
        "type": "bar", "x": table["patients"].tolist(), "y": table["outcome"].tolist(), "orientation": "h",
        "showlegend": False, "name": "per 1,000", "width": 0.62,
        "marker": {"color": colours, "pattern": {"shape": patterns, "fgcolor": "white"}},
        "error_x": {"type": "data", "symmetric": False, "array": (table["high"] - table["patients"]).tolist(),
                    "arrayminus": (table["patients"] - table["low"]).tolist(), "color": theme.INK, "thickness": 1.3},
        "hovertemplate": "%{y}: %{x:.0f} of 1,000<extra></extra>",
    }  # fmt: skip
    return go.Figure(data=[bars], layout=layout)


def _drawn(curve: pd.DataFrame) -> pd.DataFrame:
    """The points that the eye can tell apart: of many, those a thousandth or more from the one before; all are real."""
    if len(curve) <= MANY_POINTS:
        return curve
    place = (curve[["sensitivity", "specificity"]] * EYE).round()
    kept = (place != place.shift()).any(axis=1)
    kept.iloc[-1] = True
    return curve[kept]


def _bars(value: float, *, low: float, high: float, colour: str) -> dict[str, object]:
    return {
        "type": "data", "symmetric": False, "array": [high - value], "arrayminus": [value - low], "color": colour,
        "thickness": 1.2, "width": 4,
    }  # fmt: skip


def _add_band(figure: go.Figure, one: RocBand, *, style: theme.Style) -> None:
    name, band = theme.safe(one.model_id), one.band.dropna(subset=["low", "high"])
    if not len(band):
        return
    shared = {"mode": "lines", "legendgroup": name, "showlegend": False, "hoverinfo": "skip", "line": {"width": 0}}
    figure.add_scatter(x=1 - band["specificity"], y=band["low"], name=f"{name}, lower limit", **shared)
    figure.add_scatter(x=1 - band["specificity"], y=band["high"], name=f"{name}, upper limit", fill="tonexty",
                       fillcolor=theme.faint(style.colour, alpha=0.10), **shared)  # fmt: skip


def _who(rocs: Sequence[Roc]) -> str:
    if not rocs:
        return ""
    seen = {(r.n, r.n_events) for r in rocs}
    text = theme.counts(rocs[0].n, rocs[0].n_events)
    if len(seen) > 1:
        text = "; ".join(f"{theme.safe(r.model_id)} {theme.counts(r.n, r.n_events)}" for r in rocs)
    return f"{text}; 95 % interval" + (" · apparent" if any(r.apparent for r in rocs) else "")
