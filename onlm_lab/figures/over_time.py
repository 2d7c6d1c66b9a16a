"""How well a model tells who has the event by a day, and how far its probabilities lie from it, over the horizons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words

DAYS_PER_YEAR = 365.25
MODEL = "model"  # the name of a table that came without one

Tables = pd.DataFrame | Mapping[str, pd.DataFrame]


class _Asked(NamedTuple):
    """The tables by model, and who stands behind them."""

    tables: dict[str, pd.DataFrame]
    n: int
    n_events: int


def plot_time_dependent_auc(auc: Tables, *, endpoint: str, who: str = "", mark: str = "") -> go.Figure:
    """The AUC at each horizon with its 95 % interval, several models beside each other.

    Args:
        auc: what time_dependent_auc gave, or such a table for each model.
        endpoint: whose events were told, for the words.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    asked = _asked(auc, events="n_cases")
    layout = _layout(
        asked, title=f"Does the risk tell who has {_words(endpoint)}?", who=who, mark=mark,
        more=theme.band_words(len(asked.tables)),
    )  # fmt: skip
    data: list[dict[str, Any]] = []
    for number, (name, style) in enumerate(theme.styles_of(list(asked.tables)).items()):
        _draw(data, asked.tables[name], name=name, style=style, banded=number < theme.MOST_BANDS)
    layout["shapes"] = [theme.straight(y=0.5)]
    layout["annotations"].append({
        "text": "no better than chance", "font": {"size": 11, "color": theme.QUIET}, "showarrow": False, "x": 0,
        "xref": "x domain", "xanchor": "left", "y": 0.5, "yref": "y", "yanchor": "top",
    })  # fmt: skip
    lowest = min((float(np.nanmin(t["low"])) for t in asked.tables.values() if t["low"].notna().any()), default=0.5)
    layout["yaxis"] = theme.axis_of(title="Time-dependent AUC", range=[max(0.0, min(0.4, lowest - 0.05)), 1.02])
    _note_missing(layout, asked)
    return go.Figure(data=data, layout=layout)


def plot_brier(brier: Tables, *, endpoint: str, who: str = "", mark: str = "") -> go.Figure:
    """The Brier score at each horizon with its 95 % interval, under that of telling everybody the group's incidence.

    Args:
        brier: what brier_survival gave, or such a table for each model.
        endpoint: whose events were told, for the words.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    asked = _asked(brier, events="n_events")
    layout = _layout(
        asked, title=f"How far off are the probabilities of {_words(endpoint)}?", who=who, mark=mark,
        more=theme.band_words(len(asked.tables)) + "; lower is better",
    )  # fmt: skip
    first = next(iter(asked.tables.values()))
    known = first.dropna(subset=["reference"])
    data: list[dict[str, Any]] = [{
        "type": "scatter", "x": known["horizon_days"].to_numpy(float) / DAYS_PER_YEAR,
        "y": known["reference"].to_numpy(float), "mode": "lines+markers",
        "name": "the same probability for everybody", "line": {"color": theme.QUIET, "dash": "dot", "width": 1.5},
        "marker": {"symbol": "line-ew-open", "size": 10, "color": theme.QUIET},
        "hovertemplate": "the same for everybody: %{y:.3f}<extra></extra>",
    }]  # fmt: skip
    for number, (name, style) in enumerate(theme.styles_of(list(asked.tables)).items()):
        _draw(data, asked.tables[name], name=name, style=style, banded=number < theme.MOST_BANDS, digits=3)
    layout["yaxis"] = theme.axis_of(title="Brier score (squared distance)", rangemode="tozero")
    _note_missing(layout, asked)
    return go.Figure(data=data, layout=layout)


def _words(endpoint: str) -> str:
    """What is counted, in words: OS counts deaths, and RFS recurrences or deaths."""
    return {"os": "death", "rfs": "recurrence or death"}.get(endpoint, theme.safe(endpoint_words(endpoint)))


def _asked(tables: Tables, *, events: str) -> _Asked:
    named = {MODEL: tables} if isinstance(tables, pd.DataFrame) else dict(tables)
    named = {str(name): table.sort_values("horizon_days") for name, table in named.items()}
    n = max((int(t["n"].max()) for t in named.values() if len(t)), default=0)
    return _Asked(named, n, max((int(t[events].max()) for t in named.values() if len(t)), default=0))


def _layout(asked: _Asked, *, title: str, who: str, mark: str, more: str) -> dict[str, Any]:
    last = max((float(t["horizon_days"].max()) for t in asked.tables.values() if len(t)), default=0.0)
    counted = theme.counts(asked.n, asked.n_events, events=f"events by {theme.years(last)}")
    subtitle = "; ".join(part for part in (theme.safe(who), counted, more) if part)
    layout = {"annotations": []} | theme.layout_of(title=title, subtitle=subtitle, mark=mark)
    return layout | {"xaxis": theme.axis_of(title="Years since treatment", rangemode="tozero")}


def _draw(
    data: list[dict[str, Any]], table: pd.DataFrame, *, name: str, style: theme.Style, banded: bool, digits: int = 2
) -> None:
    """A model's points, joined, and its band."""
    column = {c: table[c].to_numpy(float) for c in ("horizon_days", "value", "low", "high")}
    years, label = column["horizon_days"] / DAYS_PER_YEAR, theme.safe(name)
    band = ~np.isnan(column["low"])
    shared = {"type": "scatter", "legendgroup": name}
    if banded and band.any():
        quiet = shared | {"x": years[band], "mode": "lines", "line": {"width": 0}, "showlegend": False,
                          "hoverinfo": "skip"}  # fmt: skip
        data.append(quiet | {"y": column["low"][band], "name": f"{label}, lower limit"})
        data.append(quiet | {"y": column["high"][band], "name": f"{label}, upper limit", "fill": "tonexty",
                             "fillcolor": theme.faint(style.colour)})  # fmt: skip
    read = zip(column["value"], column["low"], column["high"], strict=True)
    data.append(shared | {
        "x": years, "y": column["value"], "name": label, "mode": "lines+markers",
        "line": {"color": style.colour, "dash": style.dash, "width": 2.2},
        "marker": {"color": style.colour, "symbol": style.marker, "size": 8},
        "customdata": [_said(*given, digits=digits) for given in read],
        "hovertemplate": f"{label}: %{{customdata}} at %{{x:.1f}} years<extra></extra>",
    })  # fmt: skip


def _said(value: float, low: float, high: float, *, digits: int) -> str:
    words = theme.number(value, digits=digits)
    if np.isnan(low):
        return words
    return f"{words} ({theme.number(low, digits=digits)} to {theme.number(high, digits=digits)})"


def _note_missing(layout: dict[str, Any], asked: _Asked) -> None:
    """A sentence where there is no number at all."""
    if any(t["value"].notna().any() for t in asked.tables.values()):
        return
    notes = [str(n) for t in asked.tables.values() for n in t["note"] if n]
    layout["annotations"].append({
        "text": theme.safe(f"Not estimated: {notes[0]}" if notes else "Not estimated"), "showarrow": False,
        "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "font": {"size": 13, "color": theme.QUIET},
    })  # fmt: skip
