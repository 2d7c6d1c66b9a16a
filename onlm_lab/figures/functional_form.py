"""Does the hazard rise evenly along a covariate?"""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import label_of, log_ticks
from onlm_lab.results import FunctionalForm

MOST_POINTS = 2000  # residuals drawn; with more, evenly spaced ones along the covariate


def plot_functional_form(form: FunctionalForm, *, who: str = "", mark: str = "") -> go.Figure:
    """The hazard ratio along a covariate against its median, and below it the martingale residuals without it.

    Args:
        form: the result.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    bent = theme.p_value(form.nonlinearity.p_value)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.06)
    theme.dress(
        figure, title=f"Does the hazard rise evenly with {_words(form.covariate)}?",
        subtitle="; ".join(part for part in (
            endpoint_words(form.endpoint), theme.safe(who), theme.counts(form.n, form.n_events, events="events"),
            "band: 95 % interval", f"not straight: {bent}" if bent else "",
        ) if part),
        height=560, mark=mark,
    )  # fmt: skip
    style, curve = theme.STYLES[0], form.curve.dropna(subset=["hr"])
    quiet = {"mode": "lines", "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    figure.add_scatter(x=curve["value"], y=curve["low"], name="lower limit", row=1, col=1, **quiet)
    figure.add_scatter(x=curve["value"], y=curve["high"], name="upper limit", row=1, col=1, fill="tonexty",
                       fillcolor=theme.faint(style.colour), **quiet)  # fmt: skip
    figure.add_scatter(
        x=curve["value"], y=curve["hr"], mode="lines", name="hazard ratio", showlegend=False, row=1, col=1,
        line={"color": style.colour, "width": 2.2}, hovertemplate="%{x:.3g}: %{y:.2f}<extra></extra>",
    )  # fmt: skip
    figure.add_hline(y=1, line={"color": theme.QUIET, "width": 1, "dash": "dot"}, row=1, col=1)
    for knot in form.knots:
        figure.add_vline(x=knot, line={"color": theme.GRID, "width": 1}, row=1, col=1)
    _residuals(figure, form)
    as_percent = {"tickformat": ".0%"} if form.covariate in ("risk", "risk_raw", "event_risk") else {}
    figure.update_xaxes(**as_percent)
    figure.update_xaxes(title_text=label_of(form.covariate), row=2, col=1)
    ticks = log_ticks([1.0, *curve["low"], *curve["high"]])
    figure.update_yaxes(title_text=f"Hazard ratio against {_value(form)}", type="log", tickvals=ticks, row=1, col=1)
    return figure


def _residuals(figure: go.Figure, form: FunctionalForm) -> None:
    residuals = form.residuals
    drawn = residuals.iloc[:: max(1, -(-len(residuals) // MOST_POINTS))]
    figure.add_scatter(
        x=drawn["value"], y=drawn["residual"], mode="markers", name="patients", showlegend=False, hoverinfo="skip",
        marker={"color": theme.QUIET, "size": 4, "opacity": 0.35}, row=2, col=1,
    )  # fmt: skip
    line = residuals.dropna(subset=["smooth"]).drop_duplicates("value")
    line = line.iloc[:: max(1, len(line) // MOST_POINTS)]
    figure.add_scatter(
        x=line["value"], y=line["smooth"], mode="lines", name="smooth (lowess)", showlegend=False, hoverinfo="skip",
        line={"color": theme.STYLES[3].colour, "width": 2}, row=2, col=1,
    )  # fmt: skip
    figure.update_yaxes(title_text="Martingale residual", row=2, col=1)


def _words(covariate: str) -> str:
    return theme.safe("the risk" if covariate == "risk" else covariate.replace("_", " "))


def _value(form: FunctionalForm) -> str:
    if form.covariate in ("risk", "risk_raw", "event_risk"):
        return theme.percent(form.reference)
    return theme.number(form.reference, digits=1)
