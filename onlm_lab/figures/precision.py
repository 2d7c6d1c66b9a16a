"""Of the patients called positive, how many are N+?"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import PrecisionRecall


def plot_precision_recall(results: PrecisionRecall | Sequence[PrecisionRecall], *, mark: str = "") -> go.Figure:
    """Precision against recall of one or several models, with the line that a useless model keeps to.

    Drawn as the steps whose area is the average precision.

    Args:
        results: one result, or one a model.
        mark: words laid across the figure.
    """
    found = [results] if isinstance(results, PrecisionRecall) else list(results)
    styles = theme.styles_of([r.model_id for r in found])
    figure = theme.blank(
        title="Of the patients called positive, how many are N+?", subtitle=_who(found), height=470, mark=mark
    )  # fmt: skip
    for prevalence in sorted({r.prevalence for r in found}):
        figure.add_scatter(
            x=[0, 1], y=[prevalence, prevalence], mode="lines", hoverinfo="skip",
            name=f"a useless model: {theme.percent(prevalence)}",
            line={"color": theme.QUIET, "width": 1, "dash": "dot"},
        )  # fmt: skip
    for one in found:
        curve, style, name = one.curve, styles[one.model_id], theme.safe(one.model_id)
        figure.add_scatter(
            x=[0.0, *curve["recall"]], y=[*curve["precision"].head(1), *curve["precision"]],
            customdata=[*curve["threshold"].head(1), *curve["threshold"]], mode="lines",
            name=f"{name}: average precision {theme.with_interval(one.average_precision)}", legendgroup=name,
            line={"color": style.colour, "width": 2.2, "dash": style.dash, "shape": "vh"},
            hovertemplate="at risk ≥ %{customdata:.3f}<br>precision %{y:.1%}, recall %{x:.1%}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="Recall (sensitivity): N+ patients found (%)", range=[-0.01, 1.01],
                        tickformat=".0%", constrain="domain")  # fmt: skip
    figure.update_yaxes(title_text="Precision (PPV): called who are N+ (%)", range=[-0.01, 1.02],
                        tickformat=".0%")  # fmt: skip
    return figure


def _who(found: Sequence[PrecisionRecall]) -> str:
    if not found:
        return ""
    text = theme.counts(found[0].n, found[0].n_events)
    if len({(r.n, r.n_events) for r in found}) > 1:
        text = "; ".join(f"{theme.safe(r.model_id)} {theme.counts(r.n, r.n_events)}" for r in found)
    level = theme.percent(found[0].average_precision.level)
    return f"{text}; {level} interval" + (" · apparent" if any(r.apparent for r in found) else "")
