"""How many patients are in, as one limit of the protocol moves."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.errors import OnlmError
from onlm_lab.figures import theme

_STACKS = {
    "arm": (("n_surgery", "Surgery"), ("n_sbrt", "SBRT"), ("n_no_arm", "Arm not known")),
    "label": (("n_positive", "Labelled N+"), ("n_negative", "Labelled N0"), ("n_unlabelled", "No label")),
}


def plot_what_if(
    table: pd.DataFrame, *, limit: str, current: float, stack: Literal["arm", "label"] = "arm", centre: str = "all",
    mark: str = "",
) -> go.Figure:  # fmt: skip
    """Patients eligible at each value of a limit, stacked; above each bar how many more than now.

    Args:
        table: WhatIf.table.
        limit: the limit's name.
        current: its value in the protocol as it stands.
        stack: "arm", or "label" (N+, N0, without).
        centre: one centre of a table by centre; "all": their sum.
        mark: words laid across the figure.

    Raises:
        OnlmError: the table has no such centre, or `stack` is neither.
    """
    if stack not in _STACKS:
        raise OnlmError(f"plot_what_if: stack is {stack!r}; wanted 'arm' or 'label'.")
    if "centre" in table:
        known = table["centre"].unique().tolist()
        if centre not in known:
            raise OnlmError(f"plot_what_if: no centre is called {centre!r}; the table has {', '.join(known)}.")
        table = table[table["centre"] == centre]
    elif centre != "all":
        raise OnlmError(f"plot_what_if: the table is not by centre; wanted what_if(..., by='centre') for {centre!r}.")
    rows = table.sort_values("value").assign(
        n_negative=table["n_labelled"] - table["n_positive"], n_unlabelled=table["n_eligible"] - table["n_labelled"]
    )
    words = [f"{value:.10g}" + (" (now)" if value == current else "") for value in rows["value"]]
    where = "" if centre == "all" else f", {theme.safe(centre)}"
    figure = theme.blank(
        title="How many patients would be in if this limit moved?",
        subtitle=f"{theme.safe(limit)} is {current:g} in the protocol{where}; above each bar: more or fewer than now",
        height=420, mark=mark,
    )  # fmt: skip
    for i, (column, name) in enumerate(_STACKS[stack]):
        if column == "n_no_arm" and not rows[column].any():
            continue
        figure.add_bar(x=words, y=rows[column].tolist(), name=name, marker={"color": theme.STYLES[i].colour},
                       hovertemplate=f"{name}: %{{y:,}}<extra></extra>")  # fmt: skip
    more = [f"{int(n):+,}".replace("-", "−") if n else "±0" for n in rows["n_more"]]
    figure.add_scatter(x=words, y=rows["n_eligible"].tolist(), mode="text", text=more, textposition="top center",
                       name="more", showlegend=False, hoverinfo="skip")  # fmt: skip
    figure.update_layout(barmode="stack", bargap=0.35, legend={"traceorder": "normal"})
    figure.update_xaxes(type="category", title_text=theme.safe(limit))
    figure.update_yaxes(title_text="Patients eligible", rangemode="tozero")
    return figure
