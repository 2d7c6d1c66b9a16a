"""What became of the patients: survival and cumulative incidence, with the numbers at risk under the curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures import theme
from onlm_lab.results import IncidenceCurves, SurvivalCurves

ENDPOINTS = {
    "os": "overall survival", "rfs": "recurrence-free survival", "recurrence": "recurrence",
    "regional": "regional (nodal) recurrence", "distant": "distant recurrence",
    "cancer_death": "death from lung cancer",
}  # fmt: skip
_ROW = 22  # pixels of a row of the at-risk table


def endpoint_words(endpoint: str) -> str:
    """An endpoint in words; its own name where it is not one of ours."""
    return ENDPOINTS.get(endpoint, endpoint.replace("_", " "))


def plot_survival(
    curves: SurvivalCurves, *, who: str = "", until_days: float | None = None, mark: str = ""
) -> go.Figure:
    """Kaplan-Meier steps with log-log bands, censoring ticks, and the numbers at risk aligned under them.

    Args:
        curves: the result.
        who: which patients, for the subtitle, such as "surgery".
        until_days: where the time axis ends; None: at the last follow-up.
        mark: words laid across the figure.
    """
    test = theme.p_value(curves.log_rank.p_value)
    figure = _steps_with_table(
        curves, curve=curves.curve, value="survival", until_days=until_days, mark=mark, start=1.0,
        title=f"How long do patients stay alive{'' if curves.endpoint == 'os' else ' and free of the event'}?",
        subtitle=_subtitle(curves, who=who, test=f"log-rank {test}" if test else ""),
    )  # fmt: skip
    figure.update_yaxes(title_text=f"{endpoint_words(curves.endpoint).capitalize()} (%)", tickformat=".0%",
                        range=[0, 1.02], row=1, col=1)  # fmt: skip
    return figure


def plot_incidence(
    curves: IncidenceCurves, *, cause: int = 1, who: str = "", until_days: float | None = None, mark: str = ""
) -> go.Figure:
    """Aalen-Johansen cumulative incidence of one cause, the others competing, with the numbers at risk under it."""
    curve = curves.curve
    curve = curve[curve["cause"] == cause]
    gray = curves.gray_test
    gray = gray[gray["cause"] == cause] if len(gray) else gray
    test = theme.p_value(float(gray["p_value"].iloc[0])) if len(gray) else ""
    words = endpoint_words(curves.endpoint) if cause == 1 else f"an event that competes with {curves.endpoint}"
    figure = _steps_with_table(
        curves, curve=curve, value="incidence", until_days=until_days, mark=mark, start=0.0,
        title=f"How many patients have {words}?",
        subtitle=_subtitle(curves, who=who, test=f"Gray {test}" if test else "") + "; other events compete",
    )  # fmt: skip
    shown = curve if until_days is None else curve[curve["days"] <= until_days]
    top = float(np.nanmax([0.05, shown["incidence"].max(), shown["high"].max()]))
    figure.update_yaxes(title_text="Cumulative incidence (%)", tickformat=".0%", range=[0, min(1.02, 1.1 * top)],
                        row=1, col=1)  # fmt: skip
    return figure


def time_ticks(last_days: float) -> list[float]:
    """Days at which the axis has its ticks and the table its columns: whole years, or halves, at most about six."""
    for step in (182.625, 365.25, 730.5, 1826.25, 3652.5):
        if last_days / step <= 7.2:
            return [step * i for i in range(int(last_days / step) + 1)]
    return [0.0, last_days]


def _steps_with_table(
    curves: SurvivalCurves | IncidenceCurves, *, curve: pd.DataFrame, value: str, title: str, subtitle: str,
    until_days: float | None, mark: str, start: float,
) -> go.Figure:  # fmt: skip
    names = [str(g) for g in curve["group"].unique()]
    styles = theme.styles_of(names)
    last = float(curve["days"].max()) if until_days is None else float(until_days)
    ticks = time_ticks(last)
    body, table = 300, _ROW * len(names) + 8
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[body, table],
                           vertical_spacing=72 / (body + table + 72))  # fmt: skip
    theme.dress(figure, title=title, subtitle=subtitle, height=body + table + 72 + 74 + 44, mark=mark)
    for name in names:
        steps = curve[curve["group"].astype(str) == name].sort_values("days")
        _add_steps(figure, steps, name=name, value=value, style=styles[name], start=start)
    at = curves.at(days=ticks)
    if "cause" in at:
        at = at[at["cause"] == curve["cause"].iloc[0]]
    _add_table(figure, at, names=names, styles=styles)
    text = [f"{d / 365.25:g}" for d in ticks]
    span = [-0.03 * last, 1.03 * last]
    figure.update_layout(margin={"b": 12})
    figure.update_xaxes(range=span, tickvals=ticks, ticktext=text, showticklabels=True, row=1, col=1,
                        title_text="Years since treatment", title_standoff=2)  # fmt: skip
    figure.update_xaxes(range=span, tickvals=ticks, showticklabels=False, showgrid=False, ticks="", showline=False,
                        row=2, col=1)  # fmt: skip
    return figure


def _add_steps(figure: go.Figure, steps: pd.DataFrame, *, name: str, value: str, style: theme.Style, start: float):
    label = theme.safe(name)
    shared = {"legendgroup": name, "mode": "lines"}
    band = steps.dropna(subset=["low", "high"])
    if len(band):
        quiet = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0, "shape": "hv"}}
        figure.add_scatter(x=band["days"], y=band["low"], name=f"{label}, lower limit", row=1, col=1, **shared, **quiet)
        figure.add_scatter(x=band["days"], y=band["high"], name=f"{label}, upper limit", row=1, col=1, fill="tonexty",
                           fillcolor=theme.faint(style.colour), **shared, **quiet)  # fmt: skip
    days, height = steps["days"].to_numpy(float), steps[value].to_numpy(float)
    if not len(days) or days[0] > 0:
        days, height = np.r_[0.0, days], np.r_[start, height]
    figure.add_scatter(
        x=days, y=height, name=label, row=1, col=1, **shared,
        line={"color": style.colour, "width": 2.2, "dash": style.dash, "shape": "hv"},
        hovertemplate=f"{label}: %{{y:.1%}} at %{{x:.0f}} days<extra></extra>",
    )  # fmt: skip
    censored = steps[steps["n_censored"] > 0] if "n_censored" in steps else steps.iloc[:0]
    if len(censored):
        figure.add_scatter(
            x=censored["days"], y=censored[value], name=f"{label}, censored", legendgroup=name, showlegend=False,
            mode="markers", hoverinfo="skip", row=1, col=1,
            marker={"symbol": "line-ns", "size": 6, "line": {"color": style.colour, "width": 1}},
        )  # fmt: skip


def _add_table(figure: go.Figure, at: pd.DataFrame, *, names: Sequence[str], styles: dict[str, theme.Style]) -> None:
    for i, name in enumerate(names):
        rows = at[at["group"].astype(str) == name]
        figure.add_scatter(
            x=rows["days"], y=[i] * len(rows), text=[f"{n:d}" for n in rows["at_risk"]], mode="text", showlegend=False,
            name=f"{theme.safe(name)}, at risk", textfont={"color": styles[name].colour, "size": 12}, row=2, col=1,
            hoverinfo="skip", cliponaxis=False,
        )  # fmt: skip
    labels = [f"<span style='color:{styles[n].colour}'>{theme.safe(n)}</span>" for n in names]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=labels, range=[len(names) - 0.5, -0.5], ticks="",
                        showgrid=False, showline=False, ticklabelstandoff=12, row=2, col=1)  # fmt: skip
    figure.add_annotation(
        text="Patients at risk", xref="paper", x=0, xanchor="left", yref="y2 domain", y=1, yanchor="bottom", yshift=2,
        showarrow=False, font={"size": 12, "color": theme.QUIET},
    )  # fmt: skip


def _subtitle(curves: SurvivalCurves | IncidenceCurves, *, who: str, test: str) -> str:
    parts = [who, theme.counts(curves.n, curves.n_events, events="events"), "band: 95 % interval", test]
    return "; ".join(p for p in parts if p)
