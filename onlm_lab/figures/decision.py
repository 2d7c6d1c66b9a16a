"""Would acting on the model do more good than treating all or none?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.events import upper_first, within
from onlm_lab.results import DecisionCurve

REFERENCES = {"treat_all": ("work up everybody", "dot"), "treat_none": ("work up nobody", "dash")}
BY_A_DAY = {"treat_all": ("treat everybody", "dot"), "treat_none": ("treat nobody", "dash")}


def plot_decision_curve(curve: DecisionCurve, *, threshold: float | None = None, mark: str = "") -> go.Figure:
    """Net benefit against the threshold probability, with the strategies that need no model.

    Args:
        curve: net benefit of one or several models, for N+ or for an event by a day.
        threshold: a threshold to mark with a line.
        mark: words laid across the figure.
    """
    table = curve.table
    names = [m for m in table["model_id"].unique() if m not in REFERENCES]
    styles = theme.styles_of(names)
    figure = theme.blank(
        title="Would acting on the risk do more good than harm?",
        subtitle=f"{_who(curve)}; {theme.band_words(len(names))}; "
        f"thresholds {range_words(table['threshold'])}" + (" · apparent" if curve.apparent else ""),
        height=470, mark=mark,
    )  # fmt: skip
    for i, name in enumerate(names):
        own = table[table["model_id"] == name]
        _add_model(figure, own, name=name, style=styles[name], with_band=i < theme.MOST_BANDS,
                   avoided="treatments" if curve.endpoint else "work-ups")  # fmt: skip
    for name, (label, dash) in (BY_A_DAY if curve.endpoint else REFERENCES).items():
        rows = table[table["model_id"] == name]
        if len(rows):
            add_band(figure, rows, name=label, colour=theme.QUIET, group=label)
            figure.add_scatter(
                x=rows["threshold"], y=rows["net_benefit"], mode="lines", name=label, legendgroup=label,
                line={"color": theme.QUIET, "width": 1.5, "dash": dash},
                hovertemplate=f"{label}: %{{y:.3f}} at %{{x:.0%}}<extra></extra>",
            )  # fmt: skip
    line = threshold_line(threshold)
    for shape, words in zip(line["shapes"], line["annotations"], strict=True):
        figure.add_shape(shape)
        figure.add_annotation(words)
    best = float(table.loc[table["model_id"] != "treat_all", "net_benefit"].max())
    top = max(best, float(table["net_benefit"].max()), 0.01)
    figure.update_xaxes(title_text="Threshold: act from this risk on (%)", tickformat=".0%",
                        range=[float(table["threshold"].min()), float(table["threshold"].max())])  # fmt: skip
    found = "events" if curve.endpoint else "N+"
    figure.update_yaxes(title_text=f"Net benefit ({found} found per patient)", range=[-0.3 * top, 1.15 * top])
    return figure


def threshold_line(threshold: float | None) -> dict[str, list[dict[str, Any]]]:
    """The line that marks a threshold upon a decision curve: shapes and annotations; none without a threshold."""
    if threshold is None:
        return {"shapes": [], "annotations": []}
    red = theme.STYLES[3].colour
    words = {"x": threshold, "xref": "x", "xanchor": "left", "y": 1, "yref": "y domain", "yanchor": "top",
             "showarrow": False, "text": f"{threshold:.1%}", "font": {"color": red}}  # fmt: skip
    line = theme.straight(x=threshold, color=red, width=1.5, dash="solid")
    return {"shapes": [line], "annotations": [words]}


def _who(curve: DecisionCurve) -> str:
    """How many patients and events; what an event is where it is not N+ (its share is no plain count then)."""
    if not curve.endpoint:
        return theme.counts(curve.n, curve.n_events)
    what = upper_first(within(curve.endpoint, curve.horizon_days))
    return f"{what}: {curve.n:,} patients, {curve.n_events:,} events;<br>Kaplan-Meier or Aalen-Johansen"


def _add_model(
    figure: go.Figure, rows: pd.DataFrame, *, name: str, style: theme.Style, with_band: bool, avoided: str
) -> None:
    name = theme.safe(name)
    if with_band:
        add_band(figure, rows, name=name, colour=style.colour, group=name)
    figure.add_scatter(
        x=rows["threshold"], y=rows["net_benefit"], mode="lines", name=name, legendgroup=name,
        customdata=rows["interventions_avoided"], line={"color": style.colour, "width": 2.2, "dash": style.dash},
        hovertemplate=f"{name}: %{{y:.3f}} at %{{x:.0%}}<br>%{{customdata:.0f}} {avoided} avoided per 100"
                      "<extra></extra>",
    )  # fmt: skip


def add_band(figure: go.Figure, rows: pd.DataFrame, *, name: str, colour: str, group: str) -> None:
    """The band between `low` and `high` over the thresholds; nothing where there is none."""
    band = rows.dropna(subset=["low", "high"])
    if not len(band):
        return
    shared = {"mode": "lines", "legendgroup": group, "showlegend": False, "hoverinfo": "skip", "line": {"width": 0}}
    figure.add_scatter(x=band["threshold"], y=band["low"], name=f"{name}, lower limit", **shared)
    figure.add_scatter(x=band["threshold"], y=band["high"], name=f"{name}, upper limit", fill="tonexty",
                       fillcolor=theme.faint(colour, alpha=0.10), **shared)  # fmt: skip


def range_words(thresholds: pd.Series) -> str:
    """'2 % to 40 %': the range of thresholds that is drawn, which the study states."""
    low, high = float(thresholds.min()), float(thresholds.max())
    return f"{100 * low:.3g}{theme.PERCENT} to {100 * high:.3g}{theme.PERCENT}"
