"""Does a hazard ratio hang on a few patients?"""

from __future__ import annotations

import math

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from onlm_lab.figures import theme
from onlm_lab.figures.hazard_comparison import coefficient_words, heads_of_rows
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.results import Influence

MOST_POINTS = 2000  # patients drawn a coefficient: the largest, and evenly spaced others
LARGE = 0.2  # of a standard error: only lines to measure by


def plot_influence(influence: Influence, *, who: str = "", mark: str = "") -> go.Figure:
    """How far each patient moves each coefficient, in standard errors; no patient is named.

    Args:
        influence: the result.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    names = influence.coefficients["covariate"].astype(str).tolist()
    figure = make_subplots(rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.14 / max(len(names) - 1, 1))
    theme.dress(
        figure, title="Does a hazard ratio hang on a few patients?",
        subtitle="; ".join(part for part in (
            endpoint_words(influence.endpoint), theme.safe(who),
            theme.counts(influence.n, influence.n_events, events="events"), "a point a patient",
        ) if part),
        height=180 + 165 * len(names), mark=mark,
    )  # fmt: skip
    heads_of_rows(figure, [_title(influence, name) for name in names])
    table = influence.table.sort_values("days")
    for row, name in enumerate(names, start=1):
        own = table.dropna(subset=[f"dfbetas:{name}"])
        if len(own) > MOST_POINTS:
            size = own[f"dfbetas:{name}"].abs()
            keep = size.rank(ascending=False) <= MOST_POINTS / 2
            keep.iloc[:: -(-2 * len(own) // MOST_POINTS)] = True
            own = own[keep]
        for happened, style in ((True, theme.STYLES[3]), (False, theme.STYLES[0])):
            part = own[own["happened"] == happened]
            figure.add_scatter(
                x=part["days"] / 365.25, y=part[f"dfbetas:{name}"], mode="markers", row=row, col=1,
                name="with the event" if happened else "censored", legendgroup=str(happened), showlegend=row == 1,
                marker={"color": style.colour, "symbol": style.marker, "size": 6, "opacity": 0.7},
                hovertemplate="%{y:.2f} standard errors<extra></extra>",
            )  # fmt: skip
        for at in (0, -LARGE, LARGE):
            dash = "dot" if at else "solid"
            figure.add_hline(y=at, line={"color": theme.QUIET, "width": 1, "dash": dash}, row=row, col=1)
        figure.update_yaxes(title_text="Change (SE)", row=row, col=1)
    figure.update_xaxes(title_text="Years to the event or last contact", row=len(names), col=1)
    return figure


def _title(influence: Influence, name: str) -> str:
    """The coefficient with its ratio, and the ratio without the patient who moves it most."""
    text = f"<b>{coefficient_words(name)}</b>"
    most = influence.most
    most = most[most["covariate"] == name]
    if most.empty:
        ratio = influence.coefficients.set_index("covariate")["hr"][name]
        return f"{text}: hazard ratio {theme.number(float(ratio))}"
    first = most.iloc[0]
    without = float(first["hr_without"])
    said = "not estimated" if math.isnan(without) else theme.number(without)
    return f"{text}: hazard ratio {theme.number(float(first['hr']))}, without the most influential patient {said}"
