"""Treatments compared outside a trial. Every figure here carries the sentence that the comparison is observational."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.outcomes import endpoint_words, time_ticks
from onlm_lab.figures.subgroup import label_of, level_words, log_ticks
from onlm_lab.results import Balance, Estimate, LandmarkEffect, TreatmentComparison

BALANCED = 0.1  # a standardised difference below which two groups count as alike (Austin 2009, doi:10.1002/sim.3697)
WEIGHTINGS = {"overlap": "overlap weights", "none": "adjusted in the model"}
_ROW = 22


def plot_balance(balance: Balance, *, mark: str = "") -> go.Figure:
    """How far the two treatments' patients are apart in each covariate, before and after weighting (a love plot).

    Args:
        balance: the result.
        mark: words laid across the figure.
    """
    table = balance.table
    labels = [_covariate(row) for row in table.to_dict("records")]
    first, second = (theme.safe(arm) for arm in balance.arms)
    sizes = ", ".join(f"{theme.safe(str(r.arm))} {r.n:,} (effective {theme.number(r.effective_n, digits=0)})"
                      for r in balance.effective_n.itertuples())  # fmt: skip
    figure = theme.blank(
        title="Are the patients of the two treatments alike?",
        subtitle=f"{sizes}; c statistic of the treatment {theme.number(balance.c_statistic)}",
        height=200 + 24 * max(len(labels), 2), mark=mark,
    )  # fmt: skip
    for at, width, dash in ((0, 1, "solid"), (-BALANCED, 1, "dot"), (BALANCED, 1, "dot")):
        figure.add_vline(x=at, line={"color": theme.QUIET, "width": width, "dash": dash})
    for i, (column, name) in enumerate((("smd_before", "as treated"), ("smd_after", "overlap weights"))):
        style = theme.STYLES[i]
        figure.add_scatter(
            x=table[column], y=list(range(len(labels))), mode="markers", name=name, customdata=labels,
            marker={"color": style.colour, "size": 10, "symbol": style.marker},
            hovertemplate=f"%{{customdata}}, {name}: %{{x:.3f}}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(tickvals=list(range(len(labels))), ticktext=labels, range=[len(labels) - 0.4, -0.6], ticks="",
                        tickfont={"size": 11})  # fmt: skip
    figure.update_xaxes(title_text=f"Standardised difference, {second} minus {first} (dotted: ±{BALANCED:g})")
    _say(figure, balance.notes[0])
    return figure


def plot_treatment_by_group(comparison: TreatmentComparison, *, who: str = "", mark: str = "") -> go.Figure:
    """Hazard ratios of the treatment in all patients and in each group, crude and weighted, with the interaction's P.

    Args:
        comparison: the result.
        who: which patients, for the subtitle, such as "surgery".
        mark: words laid across the figure.
    """
    c = comparison
    adjusted = c.weighting != "none" or bool(c.covariates)
    lines = [_ratio_line("All patients", c.n, c.n_events, c.hazard_ratio_crude, c.hazard_ratio, adjusted)]
    for row in c.by_group.to_dict("records"):
        crude = Estimate(row["hr_crude"], row["crude_low"], row["crude_high"])
        name = f"{label_of(c.group)}: {row['group']}"
        own = Estimate(row["hr"], row["low"], row["high"])
        lines.append(_ratio_line(name, row["n"], row["n_events"], crude, own, adjusted))
    series = ["as treated", WEIGHTINGS[c.weighting]] if adjusted else ["as treated"]
    test = theme.p_value(c.interaction_p)
    figure = theme.blank(
        title=f"Does it matter which treatment: {theme.safe(c.contrast)}?",
        subtitle=_subtitle(c, who, f"interaction {test}" if test else ""),
        height=210 + 56 * len(lines), mark=mark,
    )  # fmt: skip
    figure.add_vline(x=1, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    draw_forest(figure, lines, series=series, right=170)
    limits = [v for line in lines for p in line.points if p for v in (p.low, p.high)]
    figure.update_xaxes(title_text=f"Hazard ratio (log scale); above 1: worse with {theme.safe(c.arms[1])}", type="log",
                        tickvals=log_ticks([1.0, *limits]))  # fmt: skip
    _say(figure, c.notes[0])
    return figure


def plot_weighted_curves(
    comparison: TreatmentComparison, *, group: str = "all", until_days: float | None = None, mark: str = ""
) -> go.Figure:
    """Cumulative incidence of the event by treatment, weighted, with the effective numbers at risk under it.

    Args:
        comparison: the result.
        group: "all", or one of the groups of `by_group`.
        until_days: where the time axis ends; None: at the last follow-up.
        mark: words laid across the figure.
    """
    c = comparison
    curve = c.curve
    curve = curve[curve["group"] == group]
    last = float(curve["days"].max()) if until_days is None else float(until_days)
    names = [arm for arm in c.arms if (curve["arm"] == arm).any()]
    styles = theme.styles_of(names)
    body, table = 300, _ROW * max(len(names), 1) + 8
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[body, table],
                           vertical_spacing=72 / (body + table + 72))  # fmt: skip
    start = f"landmark day {c.landmark_days:g}" if c.landmark_days else "treatment"
    weights = "overlap weights" if c.weighting == "overlap" else "as treated"
    theme.dress(
        figure, title=f"How many have {_event(c.endpoint)}, by treatment?",
        subtitle=f"{_of_group(c, group)}; {weights}; difference by {theme.years(c.horizon_days)}: "
        f"{_points(_difference_of(c, group))}",
        height=body + table + 72 + 74 + 80, mark=mark,
    )  # fmt: skip
    for name in names:
        _add_curve(figure, curve[curve["arm"] == name], name=name, style=styles[name])
    ticks = time_ticks(last)
    _add_at_risk(figure, curve, names=names, styles=styles, ticks=ticks, weighted=c.weighting == "overlap")
    shown = curve[curve["days"] <= last]
    top = float(np.nanmax([0.05, shown["incidence"].max(), shown["high"].max()]))
    span = [-0.03 * last, 1.03 * last]
    figure.update_yaxes(title_text="Cumulative incidence (%)", tickformat=".0%", range=[0, min(1.02, 1.1 * top)],
                        row=1, col=1)  # fmt: skip
    figure.update_xaxes(range=span, tickvals=ticks, ticktext=[f"{d / 365.25:g}" for d in ticks], showticklabels=True,
                        title_text=f"Years since {start}", title_standoff=2, row=1, col=1)  # fmt: skip
    figure.update_xaxes(range=span, tickvals=ticks, showticklabels=False, showgrid=False, ticks="", showline=False,
                        row=2, col=1)  # fmt: skip
    _say(figure, c.notes[0], below=6)
    return figure


def plot_landmark(effect: LandmarkEffect, *, who: str = "", mark: str = "") -> go.Figure:
    """A later treatment's hazard ratio counted from time zero, which is wrong, against those from landmarks.

    Args:
        effect: the result.
        who: which patients, for the subtitle, such as "surgery, N+".
        mark: words laid across the figure.
    """
    lines = []
    for row in effect.table.to_dict("records"):
        value = Estimate(row["hr"], row["low"], row["high"])
        counts = f"{int(row['n']):,} patients, {int(row['n_exposed']):,} exposed, {int(row['n_events']):,} events"
        said = (
            "too few" if math.isnan(row["hr"]) else f"{theme.with_interval(value)}<br>{theme.p_value(row['p_value'])}"
        )
        lines.append(Line(f"{theme.safe(row['analysis'])}<br><span style='color:{theme.QUIET}'>{counts}</span>",
                          [Point(row["hr"], row["low"], row["high"], said)]))  # fmt: skip
    figure = theme.blank(
        title=f"Does {theme.safe(label_of(effect.exposure)).lower()} treatment matter, or only its waiting time?",
        subtitle="; ".join(p for p in (
            endpoint_words(effect.endpoint), theme.safe(who),
            theme.counts(effect.n, effect.n_events, events="events"), "95 % interval") if p),
        height=210 + 52 * len(lines), mark=mark,
    )  # fmt: skip
    figure.add_vline(x=1, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    draw_forest(figure, lines, series=["hazard ratio"], right=150)
    table = effect.table
    figure.update_xaxes(title_text="Hazard ratio, treated against not (log scale)", type="log",
                        tickvals=log_ticks([1.0, *table["low"], *table["high"]]))  # fmt: skip
    _say(figure, *effect.notes[:2])
    return figure


def _covariate(row: dict) -> str:
    level = str(row["level"])
    name = theme.safe(label_of(str(row["covariate"])))
    return name if level in ("mean", "1", "yes") else f"{name}: {theme.safe(level_words(level))}"


def _ratio_line(name: str, n: int, n_events: int, crude: Estimate, own: Estimate, adjusted: bool) -> Line:
    points = [Point(e.value, e.low, e.high, "too few" if math.isnan(e.value) else theme.with_interval(e))
              for e in ((crude, own) if adjusted else (crude,))]  # fmt: skip
    said = theme.counts(int(n), int(n_events), events="events")
    return Line(f"{theme.safe(name)}<br><span style='color:{theme.QUIET}'>{said}</span>", points)


def _subtitle(c: TreatmentComparison, who: str, test: str) -> str:
    parts = [endpoint_words(c.endpoint), theme.safe(who), theme.counts(c.n, c.n_events, events="events"),
             "95 % interval", test]  # fmt: skip
    return "; ".join(part for part in parts if part)


def _event(endpoint: str) -> str:
    return {"os": "died", "rfs": "relapsed or died"}.get(endpoint, endpoint_words(endpoint))


def _of_group(c: TreatmentComparison, group: str) -> str:
    if group == "all":
        return theme.counts(c.n, c.n_events, events="events")
    row = c.by_group.set_index("group").loc[group]
    counts = theme.counts(int(row["n"]), int(row["n_events"]), events="events")
    return f"{theme.safe(label_of(c.group))}: {theme.safe(group)}; {counts}"


def _difference_of(c: TreatmentComparison, group: str) -> Estimate:
    if group == "all":
        return c.risk_difference
    row = c.by_group.set_index("group").loc[group]
    return Estimate(row["risk_difference"], row["difference_low"], row["difference_high"])


def _points(difference: Estimate) -> str:
    if math.isnan(difference.value):
        return "not estimated"
    value, low, high = (theme.number(100 * v, digits=1) for v in (difference.value, difference.low, difference.high))
    return f"{value} ({low} to {high}) points"


def _add_curve(figure: go.Figure, steps: pd.DataFrame, *, name: str, style: theme.Style) -> None:
    label = theme.safe(name)
    shared = {"legendgroup": name, "mode": "lines"}
    band = steps.dropna(subset=["low", "high"])
    quiet = {"showlegend": False, "hoverinfo": "skip", "line": {"width": 0, "shape": "hv"}}
    figure.add_scatter(x=band["days"], y=band["low"], name=f"{label}, lower limit", row=1, col=1, **shared, **quiet)
    figure.add_scatter(x=band["days"], y=band["high"], name=f"{label}, upper limit", row=1, col=1, fill="tonexty",
                       fillcolor=theme.faint(style.colour), **shared, **quiet)  # fmt: skip
    figure.add_scatter(
        x=steps["days"], y=steps["incidence"], name=label, row=1, col=1, **shared,
        line={"color": style.colour, "width": 2.2, "dash": style.dash, "shape": "hv"},
        hovertemplate=f"{label}: %{{y:.1%}} at %{{x:.0f}} days<extra></extra>",
    )  # fmt: skip


def _add_at_risk(
    figure: go.Figure, curve: pd.DataFrame, *, names: list[str], styles: dict[str, theme.Style], ticks: list[float],
    weighted: bool,
) -> None:  # fmt: skip
    """Numbers at risk at the ticks, which are days of the curve; the effective ones where patients are weighted."""
    column = "effective_at_risk" if weighted else "at_risk"
    for i, name in enumerate(names):
        own = curve[(curve["arm"] == name) & curve["days"].isin(ticks)]
        figure.add_scatter(
            x=own["days"], y=[i] * len(own), text=[theme.number(n, digits=0) for n in own[column]], mode="text",
            showlegend=False, name=f"{theme.safe(name)}, at risk", hoverinfo="skip", cliponaxis=False, row=2, col=1,
            textfont={"color": styles[name].colour, "size": 12},
        )  # fmt: skip
    labels = [f"<span style='color:{styles[n].colour}'>{theme.safe(n)}</span>" for n in names]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=labels, range=[len(names) - 0.5, -0.5], ticks="",
                        showgrid=False, showline=False, ticklabelstandoff=12, row=2, col=1)  # fmt: skip
    figure.add_annotation(
        text=f"{'Effective number' if weighted else 'Patients'} at risk", xref="paper", x=0, xanchor="left",
        yref="y2 domain", y=1, yanchor="bottom", yshift=2, showarrow=False, font={"size": 12, "color": theme.QUIET},
    )  # fmt: skip


def _say(figure: go.Figure, *sentences: str, below: int = 46) -> None:
    """Sentences in the figure, under the axis and over the legend."""
    said = " ".join(f"{sentence[:1].upper()}{sentence[1:]}." for sentence in sentences)
    lines = textwrap.wrap(said, 96)
    figure.add_annotation(
        text="<br>".join(theme.safe(line) for line in lines), name="sentence", xref="paper", x=0, xanchor="left",
        yref="paper", y=0, yanchor="top", yshift=-below, align="left", showarrow=False,
        font={"size": 11, "color": theme.QUIET},
    )  # fmt: skip
    room = below + 16 * len(lines) + 34
    figure.update_layout(margin={"b": room}, height=figure.layout.height + 16 * (len(lines) - 1))
