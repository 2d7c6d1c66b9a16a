"""Figures of training: how loss and AUC went, epoch by epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures import theme

TITLE = "Is it still learning, and does it hold in other patients?"
KINDS = {"train_loss": "training patients", "valid_loss": "held-out patients", "valid_auc": "held-out patients"}
_DRAWN = (("train_loss", "", "dot"), ("valid_loss", "", "solid"), ("valid_auc", "2", "solid"))


def plot_training(curves: pd.DataFrame, *, subtitle: str = "", mark: str = "", empty: bool = False) -> go.Figure:
    """Loss above, AUC below, a line a fold.

    Args:
        curves: line (what a line is called), epoch, train_loss, valid_loss, valid_auc.
        subtitle: what a reader must know.
        mark: laid across the figure.
        empty: without the lines: a page lays those of `training_traces` upon it, as they grow.
    """
    n_lines = curves["line"].nunique()
    said = " · ".join(part for part in (subtitle, "dotted: training patients, else held out") if part)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.09)
    figure.update_layout(theme.layout_of(title=TITLE, subtitle=said, height=480 + 22 * n_lines, mark=mark))
    if not empty:
        figure.add_traces([go.Scatter(one) for one in training_traces(curves)])
    figure.update_xaxes(theme.axis_of(), row=1, col=1)
    figure.update_xaxes(theme.axis_of(title="Epoch"), row=2, col=1)
    figure.update_yaxes(theme.axis_of(title="Loss"), row=1, col=1)
    figure.update_yaxes(theme.axis_of(title="AUC"), row=2, col=1)
    return figure


def training_traces(curves: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """The lines of `plot_training` as plain traces of plotly."""
    found: list[dict[str, Any]] = []
    for i, (name, one) in enumerate(curves.groupby("line", sort=False)):
        style, shown, ordered = theme.STYLES[i % len(theme.STYLES)], theme.safe(str(name)), one.sort_values("epoch")
        epochs = ordered["epoch"].tolist()
        for column, axis, dash in _DRAWN:
            values = [None if value != value else round(float(value), 6) for value in ordered[column]]
            found.append({
                "type": "scatter", "x": epochs, "y": values, "xaxis": f"x{axis}", "yaxis": f"y{axis}",
                "mode": "lines" if len(epochs) > 1 else "markers",
                "name": shown, "legendgroup": shown, "showlegend": column == "valid_loss",
                "line": {"color": style.colour, "dash": dash, "width": 1.8},
                "marker": {"color": style.colour, "symbol": style.marker},
                "hovertemplate": f"{shown}, {KINDS[column]}<br>epoch %{{x}}: %{{y:.3f}}<extra></extra>",
            })  # fmt: skip
    return tuple(found)
