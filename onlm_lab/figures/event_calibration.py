"""Do predicted risks of the event by a day mean what they say?"""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures import theme
from onlm_lab.figures.events import upper_first, within
from onlm_lab.results import EventCalibration


def plot_event_calibration(calibration: EventCalibration | Sequence[EventCalibration], *, mark: str = "") -> go.Figure:
    """Observed share with the event by the day against the predicted risk, and under it who has which risk.

    Smooth curve with its band, quantile groups with their Kaplan-Meier or Aalen-Johansen intervals, the diagonal of
    perfect calibration; O:E and slope in the legend.

    Args:
        calibration: one result, or one a model (then only the first has its groups drawn, to keep it readable).
        mark: words laid across the figure.
    """
    found = [calibration] if isinstance(calibration, EventCalibration) else list(calibration)
    styles = theme.styles_of([c.model_id for c in found])
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.84, 0.16], vertical_spacing=0.03)
    theme.dress(
        figure, title="Do predicted risks mean what they say?",
        subtitle=_subtitle(found), height=560, mark=mark,
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect calibration", hoverinfo="skip", showlegend=False,
        line={"color": theme.QUIET, "width": 1, "dash": "dot"}, row=1, col=1,
    )  # fmt: skip
    for i, one in enumerate(found):
        style = styles[one.model_id]
        _add_curve(figure, one, style=style, with_band=i < theme.MOST_BANDS)
        if i == 0 and len(one.groups):
            _add_groups(figure, one, style=style)
        _add_distribution(figure, one, style=style)
    top, right = _ends(found)
    event = within(found[0].endpoint, found[0].horizon_days) if found else "the event"
    figure.update_xaxes(range=[0, right], tickformat=".0%")
    figure.update_xaxes(showticklabels=False, ticks="", row=1, col=1)
    figure.update_xaxes(title_text=f"Predicted risk of {event} (%)", row=2, col=1)
    figure.update_yaxes(title_text="Observed by then (%)", tickformat=".0%", range=[0, top], row=1, col=1)
    figure.update_yaxes(title_text="Patients", rangemode="tozero", nticks=3, showgrid=False, row=2, col=1)
    return figure


def _subtitle(found: Sequence[EventCalibration]) -> str:
    if not found:
        return "no result"
    one = found[0]
    counted = [f"{one.n_events:,} events"]
    if one.n_competing:
        counted.append(f"{one.n_competing:,} competing")
    counted.append(f"{one.n_censored:,} censored before")
    what = upper_first(within(one.endpoint, one.horizon_days))
    return f"{what}: {one.n:,} patients;<br>{', '.join(counted)}; {theme.band_words(len(found))}"


def _ends(found: Sequence[EventCalibration]) -> tuple[float, float]:
    """Where the two axes end."""
    high, wide = [0.05], [0.05]
    for i, one in enumerate(found):
        high += one.curve["observed"].tolist()
        wide += one.distribution["risk_to"][one.distribution["n"] > 0].tolist()
        if i == 0:
            high += one.groups[["observed", "high"]].max(axis=1).dropna().tolist()
    return min(1.0, 1.05 * max(high)), min(1.0, 1.03 * max(wide))


def _add_curve(figure: go.Figure, one: EventCalibration, *, style: theme.Style, with_band: bool) -> None:
    curve, model = one.curve, theme.safe(one.model_id)
    band = curve.dropna(subset=["low", "high"])
    shared = {"legendgroup": model, "showlegend": False, "hoverinfo": "skip", "mode": "lines", "row": 1, "col": 1}
    if with_band and len(band):
        figure.add_scatter(x=band["event_risk"], y=band["low"], name=f"{model}, lower limit", line={"width": 0},
                           **shared)  # fmt: skip
        figure.add_scatter(x=band["event_risk"], y=band["high"], name=f"{model}, upper limit", fill="tonexty",
                           fillcolor=theme.faint(style.colour), line={"width": 0}, **shared)  # fmt: skip
    if len(curve):
        figure.add_scatter(
            x=curve["event_risk"], y=curve["observed"], mode="lines", name=_label(one), legendgroup=model,
            line={"color": style.colour, "width": 2.2, "dash": style.dash}, row=1, col=1,
            hovertemplate="predicted %{x:.1%}, observed %{y:.1%}<extra></extra>",
        )  # fmt: skip


def _label(one: EventCalibration) -> str:
    ratio, slope = theme.with_interval(one.oe_ratio), theme.with_interval(one.slope)
    return f"{theme.safe(one.model_id)}: O:E {ratio},<br>slope {slope}"


def _add_groups(figure: go.Figure, one: EventCalibration, *, style: theme.Style) -> None:
    groups = one.groups.dropna(subset=["observed"])
    high, low = (groups["high"] - groups["observed"]).fillna(0), (groups["observed"] - groups["low"]).fillna(0)
    model = theme.safe(one.model_id)
    figure.add_scatter(
        x=groups["mean_predicted"], y=groups["observed"], mode="markers", legendgroup=model,
        name=f"{model}, quantiles of risk" if len(one.curve) else _label(one), showlegend=not len(one.curve),
        customdata=groups[["n_events", "n"]], row=1, col=1,
        error_y={"array": high, "arrayminus": low, "color": style.colour, "thickness": 1, "width": 3},
        marker={"color": "white", "size": 8, "symbol": style.marker, "line": {"color": style.colour, "width": 1.8}},
        hovertemplate="%{customdata[1]} patients, %{customdata[0]} events seen<br>predicted %{x:.1%}, observed %{y:.1%}"
                      "<extra></extra>",
    )  # fmt: skip


def _add_distribution(figure: go.Figure, one: EventCalibration, *, style: theme.Style) -> None:
    bins, model = one.distribution, theme.safe(one.model_id)
    figure.add_scatter(
        x=[*bins["risk_from"], bins["risk_to"].iloc[-1]], y=[*bins["n"], bins["n"].iloc[-1]], mode="lines",
        name=f"{model}, distribution of risks", legendgroup=model, showlegend=False, fill="tozeroy",
        fillcolor=theme.faint(style.colour), line={"color": style.colour, "width": 1, "shape": "hv"}, row=2, col=1,
        hovertemplate="%{y} patients from %{x:.1%}<extra></extra>",
    )  # fmt: skip
