"""Would acting on the model do more good than treating all or none?"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import DecisionCurve

REFERENCES = {"treat_all": ("work up everybody", "dot"), "treat_none": ("work up nobody", "dash")}


def plot_decision_curve(curve: DecisionCurve, *, threshold: float | None = None, mark: str = "") -> go.Figure:
    """Net benefit against the threshold probability, with the strategies that need no model.

    Args:
        curve: net benefit of one or several models.
        threshold: a threshold to mark with a line.
        mark: words laid across the figure.
    """
    table = curve.table
    names = [m for m in table["model_id"].unique() if m not in REFERENCES]
    styles = theme.styles_of(names)
    figure = theme.blank(
        title="Would acting on the risk do more good than harm?",
        subtitle=f"{theme.counts(curve.n, curve.n_events)}; {theme.band_words(len(names))}; "
        f"thresholds {range_words(table['threshold'])}" + (" · apparent" if curve.apparent else ""),
        height=470, mark=mark,
    )  # fmt: skip
    for i, name in enumerate(names):
        own = table[table["model_id"] == name]
        _add_model(figure, own, name=name, style=styles[name], with_band=i < theme.MOST_BANDS)
    for name, (label, dash) in REFERENCES.items():
        rows = table[table["model_id"] == name]
        if len(rows):
            add_band(figure, rows, name=label, colour=theme.QUIET, group=label)
            figure.add_scatter(
                x=rows["threshold"], y=rows["net_benefit"], mode="lines", name=label, legendgroup=label,
                line={"color": theme.QUIET, "width": 1.5, "dash": dash},
                hovertemplate=f"{label}: %{{y:.3f}} at %{{x:.0%}}<extra></extra>",
            )  # fmt: skip
    if threshold is not None:
        red = theme.STYLES[3].colour
        figure.add_vline(x=threshold, line={"color": red, "width": 1.5},
                         annotation={"text": f"{threshold:.0%}", "font": {"color": red}})  # fmt: skip
    best = float(table.loc[table["model_id"] != "treat_all", "net_benefit"].max())
    top = max(best, float(table["net_benefit"].max()), 0.01)
    figure.update_xaxes(title_text="Threshold: act from this risk on (%)", tickformat=".0%",
                        range=[float(table["threshold"].min()), float(table["threshold"].max())])  # fmt: skip
    figure.update_yaxes(title_text="Net benefit (N+ found per patient)", range=[-0.3 * top, 1.15 * top])
    return figure


def _add_model(figure: go.Figure, rows: pd.DataFrame, *, name: str, style: theme.Style, with_band: bool) -> None:
    name = theme.safe(name)
    if with_band:
        add_band(figure, rows, name=name, colour=style.colour, group=name)
    figure.add_scatter(
        x=rows["threshold"], y=rows["net_benefit"], mode="lines", name=name, legendgroup=name,
        customdata=rows["interventions_avoided"], line={"color": style.colour, "width": 2.2, "dash": style.dash},
        hovertemplate=f"{name}: %{{y:.3f}} at %{{x:.0%}}<br>%{{customdata:.0f}} work-ups avoided per 100"
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
