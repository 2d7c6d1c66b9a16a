"""What is gained by not predicting the patients of whom the model is least sure?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme
from onlm_lab.results import AbstentionCurve

MEASURES = {
    "auc": "AUC among those predicted",
    "sensitivity": "Sensitivity among those predicted (%)",
    "specificity": "Specificity among those predicted (%)",
    "npv": "NPV among those predicted (%)",
    "oe_ratio": "Observed : expected N+ among those predicted",
}
DOUBTS = {
    "spread": "the models' risks spread most", "log_odds_spread": "the models' log odds spread most",
    "ood_score": "the patient is least like those of training",
}  # fmt: skip
MAX_TICKS = 6


def plot_abstention(
    abstention: AbstentionCurve | Sequence[AbstentionCurve], *, measure: str = "auc", mark: str = ""
) -> go.Figure:
    """A measure of the patients kept against the share referred, with its interval; kept patients under the axis.

    Args:
        abstention: one result, or one a model, of the same patients and by the same doubt.
        measure: auc, sensitivity, specificity, npv or oe_ratio.
        mark: words laid across the figure.
    """
    found = [abstention] if isinstance(abstention, AbstentionCurve) else list(abstention)
    if measure not in MEASURES:
        raise OnlmError(f"plot_abstention: '{measure}' is not known; wanted one of {', '.join(MEASURES)}.")
    if not found:
        raise OnlmError("plot_abstention: wanted at least one curve, got none.")
    styles = theme.styles_of([c.model_id for c in found])
    first = found[0]
    figure = theme.blank(
        title="What is gained by referring the patients of whom the model is least sure?",
        subtitle=f"{theme.counts(first.n, first.n_events)}; referred first where {DOUBTS[first.by]}; "
                 "band: 95 % interval",
        height=440, mark=mark,
    )  # fmt: skip
    for one in found:
        _add_model(figure, one, measure=measure, style=styles[one.model_id])
    shares = measure in ("sensitivity", "specificity", "npv")
    ticks = _ticks(first.table)
    whose = f" ({theme.safe(first.model_id)})" if len(found) > 1 else ""
    figure.update_xaxes(
        title_text=f"Referred (%), and below: predicted patients / N+ among them{whose}",
        tickvals=1 - ticks["kept_fraction"],
        ticktext=[f"{100 * (1 - r.kept_fraction):.0f}{theme.PERCENT}<br>{r.n} / {r.n_events}"
                  for r in ticks.itertuples()],
    )  # fmt: skip
    figure.update_yaxes(title_text=MEASURES[measure], tickformat=".0%" if shares else None)
    return figure


def _add_model(figure: go.Figure, one: AbstentionCurve, *, measure: str, style: theme.Style) -> None:
    table, model = one.table, theme.safe(one.model_id)
    x = 1 - table["kept_fraction"]
    band = table[[f"{measure}_low", f"{measure}_high"]].notna().all(axis=1)
    shared = {"legendgroup": model, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
    if band.any():
        low, high = table.loc[band, f"{measure}_low"], table.loc[band, f"{measure}_high"]
        figure.add_scatter(x=x[band], y=low, name=f"{model}, lower limit", line={"width": 0}, **shared)
        figure.add_scatter(x=x[band], y=high, name=f"{model}, upper limit", fill="tonexty", line={"width": 0},
                           fillcolor=theme.faint(style.colour), **shared)  # fmt: skip
    figure.add_scatter(
        x=x, y=table[measure], mode="lines+markers", name=model, legendgroup=model, connectgaps=False,
        showlegend=True, line={"color": style.colour, "width": 2.2, "dash": style.dash},
        marker={"color": style.colour, "symbol": style.marker, "size": 7},
        customdata=table[["n", "n_events", "n_referred", "n_events_referred"]],
        hovertemplate=f"{model}: %{{y:.3f}}<br>predicted: %{{customdata[0]}}, %{{customdata[1]}} N+<br>"
                      "referred: %{customdata[2]}, %{customdata[3]} N+<extra></extra>",
    )  # fmt: skip


def _ticks(table: pd.DataFrame) -> pd.DataFrame:
    """A few of the rows, evenly, from nobody referred on."""
    rows = table.drop_duplicates("kept_fraction")
    step = -(-(len(rows) - 1) // (MAX_TICKS - 1)) or 1
    return rows.iloc[::step]
