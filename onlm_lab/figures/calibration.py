"""Do predicted risks mean what they say?"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.results import Calibration


def plot_calibration(calibration: Calibration | Sequence[Calibration], *, mark: str = "") -> go.Figure:
    """Observed share of N+ against predicted risk: smooth curve with its band, tenths of risk as points.

    Args:
        calibration: one result, or one a model (then only the first has its points drawn, to keep it readable).
        mark: words laid across the figure.
    """
    found = [calibration] if isinstance(calibration, Calibration) else list(calibration)
    styles = theme.styles_of([c.model_id for c in found])
    apparent = " · apparent" if any(c.apparent for c in found) else ""
    who = theme.counts(found[0].n, found[0].n_events) if found else ""
    figure = theme.blank(
        title="Do predicted risks mean what they say?",
        subtitle=f"{who}; {theme.band_words(len(found))}{apparent}", height=470, mark=mark,
    )  # fmt: skip
    top = max([0.05, *(float(c.curve[["risk", "observed"]].max().max()) for c in found if len(c.curve))])
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect calibration", hoverinfo="skip", showlegend=False,
        line={"color": theme.QUIET, "width": 1, "dash": "dot"},
    )  # fmt: skip
    for i, one in enumerate(found):
        with_band = i < theme.MOST_BANDS
        _add_model(figure, one, style=styles[one.model_id], with_groups=i == 0, with_band=with_band)
        if len(one.groups) and i == 0:
            top = max(top, float(one.groups["observed"].max()), float(one.groups["risk"].max()))
    top = min(1.0, 1.08 * top)
    figure.update_xaxes(title_text="Predicted risk of N+ (%)", tickformat=".0%", range=[0, top])
    figure.update_yaxes(title_text="Observed share of N+ (%)", tickformat=".0%", range=[0, top])
    return figure


def _add_model(figure: go.Figure, one: Calibration, *, style: theme.Style, with_groups: bool, with_band: bool) -> None:
    curve, model = one.curve, theme.safe(one.model_id)
    band = curve.dropna(subset=["low", "high"])
    shared = {"legendgroup": model, "showlegend": False, "hoverinfo": "skip", "mode": "lines"}
    if with_band and len(band):
        figure.add_scatter(x=band["risk"], y=band["low"], name=f"{model}, lower limit", line={"width": 0},
                           **shared)  # fmt: skip
        figure.add_scatter(x=band["risk"], y=band["high"], name=f"{model}, upper limit", fill="tonexty",
                           fillcolor=theme.faint(style.colour, alpha=0.10), line={"width": 0}, **shared)  # fmt: skip
    slope, ratio = theme.with_interval(one.slope), theme.with_interval(one.oe_ratio)
    label = f"{model}: slope {slope},<br>O:E {ratio}"
    figure.add_scatter(
        x=curve["risk"], y=curve["observed"], mode="lines", name=label, legendgroup=model,
        line={"color": style.colour, "width": 2.2, "dash": style.dash},
        hovertemplate="predicted %{x:.1%}, observed %{y:.1%}<extra></extra>",
    )  # fmt: skip
    if with_groups and len(one.groups):
        groups = one.groups
        figure.add_scatter(
            x=groups["risk"], y=groups["observed"], mode="markers", showlegend=False, legendgroup=model,
            name=f"{model}, tenths of risk", customdata=groups[["n_events", "n"]],
            marker={"color": "white", "size": 9, "symbol": style.marker, "line": {"color": style.colour, "width": 1.8}},
            hovertemplate="%{customdata[0]} of %{customdata[1]} N+<br>predicted %{x:.1%}, observed %{y:.1%}"
                          "<extra></extra>",
        )  # fmt: skip
