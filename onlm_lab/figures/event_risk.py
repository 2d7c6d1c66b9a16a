"""What the patients were told: the predicted probabilities of an event, beside who had it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words

MOST_LINES = 2_000  # of single patients; the boxes of more say enough
OUTCOMES = {
    "event": ("had the event by then", 3), "competing": ("had a competing event by then", 4),
    "free": ("free of it then", 0), "unknown": ("follow-up ended before", 5),
}  # fmt: skip


def plot_event_risk(
    rows: pd.DataFrame, *, event_risk: str, endpoint: str, horizon_days: float, who: str = "", mark: str = ""
) -> go.Figure:
    """How the predicted probabilities are spread among those who had the event by the horizon and those who had not.

    Patients whose follow-up ended before the horizon are drawn apart: nobody knows where they belong.

    Args:
        rows: a row a patient with {endpoint}_days, {endpoint}_event or {endpoint}_state, and the probability.
        event_risk: the column of P(event by the horizon).
        endpoint: such as "os" or "regional".
        horizon_days: the day that the probability is of.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    kind = "state" if f"{endpoint}_state" in rows.columns else "event"
    known = rows.dropna(subset=[event_risk, f"{endpoint}_days", f"{endpoint}_{kind}"])
    group = _outcome(known[f"{endpoint}_days"], known[f"{endpoint}_{kind}"], horizon_days)
    n_events = int((group == "event").sum())
    by = theme.years(horizon_days)
    left_out = len(rows) - len(known)
    single = len(known) <= MOST_LINES
    parts = [
        theme.safe(who), theme.counts(len(known), n_events, events=f"events by {by}"),
        "each line: a patient; box: middle half" if single else "box: middle half",
        f"{left_out} not told" if left_out else "",
    ]  # fmt: skip
    figure = theme.blank(
        title=f"Who had been told a high probability of {_words(endpoint)} by {by}?",
        subtitle="; ".join(p for p in parts if p), height=360, mark=mark,
    )  # fmt: skip
    labels = []
    for key, (words, number) in OUTCOMES.items():
        values = known.loc[group == key, event_risk].to_numpy(float)
        if not len(values):
            continue
        style = theme.STYLES[number]
        label = f"{words} (n = {len(values):,})"
        labels.append(label)
        figure.add_box(
            x=values, y=[label] * len(values), name=label, orientation="h", showlegend=False,
            boxpoints="all" if single else False,
            jitter=0, pointpos=-1.5, width=0.34,
            marker={"symbol": "line-ns-open", "size": 9, "color": style.colour, "opacity": 0.5},
            line={"color": style.colour, "width": 1.6}, fillcolor=theme.faint(style.colour),
            hovertemplate="%{x:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=labels[::-1], showgrid=False, ticks="")
    top = float(known[event_risk].max()) if len(known) else 1.0
    figure.update_xaxes(title_text=f"Predicted probability by {by} (%)", tickformat=".0%",
                        range=[-0.01 * max(top, 0.05), min(1.02, 1.06 * max(top, 0.05))])  # fmt: skip
    return figure


def _words(endpoint: str) -> str:
    return {"os": "death", "rfs": "recurrence or death"}.get(endpoint, theme.safe(endpoint_words(endpoint)))


def _outcome(days: pd.Series, state: pd.Series, horizon: float) -> np.ndarray:
    by_then = days.to_numpy(float) <= horizon
    states = state.to_numpy(float)
    found = np.where(by_then, "unknown", "free").astype(object)
    found[by_then & (states == 1)] = "event"
    found[by_then & (states == 2)] = "competing"
    return found
