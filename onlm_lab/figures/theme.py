"""How every figure looks: colours that colour-blind readers tell apart, a second code beside colour, words for numbers.

Okabe-Ito palette: Okabe M, Ito K. Color Universal Design, 2008. Each colour comes with a dash and a marker, so that a
figure survives a black-and-white printer.
"""

from __future__ import annotations

import html
import math
from typing import Any, NamedTuple

import plotly.graph_objects as go

from onlm_lab.results import Estimate

MADE_UP = "MADE-UP DATA"
INK, QUIET, GRID, SURFACE = "#1b2733", "#5b6b7a", "#e3e8ee", "#ffffff"
PERCENT = "\u00a0%"  # the sign stays on the line of its number
FONT = (
    "system-ui, -apple-system, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', "
    "'DejaVu Sans', Arial, sans-serif"
)


MOST_BANDS = 3  # of a figure's models, in their order; the table behind the figure has every interval


class Style(NamedTuple):
    """One colour with the two codes that stand in for it."""

    colour: str
    dash: str
    marker: str


STYLES = (
    Style("#0072B2", "solid", "circle"),
    Style("#E69F00", "dash", "diamond"),
    Style("#009E73", "dashdot", "square"),
    Style("#D55E00", "9px,3px", "triangle-up"),
    Style("#CC79A7", "dot", "x"),
    Style("#56B4E9", "longdashdot", "cross"),
)
# The same word keeps its colour from figure to figure, whatever else is shown beside it.
_FIXED = {
    "fused": 0, "clinical": 1, "image": 2, "oracle": 4, "low risk": 0, "high risk": 3,
}  # fmt: skip


def style_of(name: str, *, position: int = 0) -> Style:
    """The style of a model or group: fixed for the names that recur, else by its position."""
    return STYLES[_FIXED.get(name, position % len(STYLES))]


def styles_of(names: list[str]) -> dict[str, Style]:
    """A style for each name, no two alike while there are at most six."""
    taken = {_FIXED[n] for n in names if n in _FIXED}
    free = [i for i in range(len(STYLES)) if i not in taken]
    found, used = {}, 0
    for name in names:
        if name in _FIXED:
            found[name] = STYLES[_FIXED[name]]
        else:
            found[name] = STYLES[(free or list(range(len(STYLES))))[used % max(len(free), 1)]]
            used += 1
    return found


def faint(colour: str, *, alpha: float = 0.14) -> str:
    """A colour of the palette as rgba, for bands."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def blank(*, title: str, subtitle: str = "", height: int = 420, mark: str = "") -> go.Figure:
    """An empty figure in the house style.

    Args:
        title: the clinical question.
        subtitle: n and events, and what else a reader must know to read the figure.
        height: pixels.
        mark: words laid across the figure, such as "MADE-UP DATA"; nothing when empty.
    """
    return go.Figure(layout=layout_of(title=title, subtitle=subtitle, height=height, mark=mark))


def layout_of(*, title: str, subtitle: str = "", height: int = 420, mark: str = "") -> dict[str, Any]:
    """The layout of an empty figure, to be filled before the figure is made of it: updates of a figure one by one take
    20 times longer.

    Args: as `blank`.
    """
    layout = _layout(title=title, subtitle=subtitle, height=height) | {"xaxis": axis_of(), "yaxis": axis_of()}
    return layout | ({"annotations": [_mark(mark)]} if mark else {})


def axis_of(*, title: str = "", **settings: Any) -> dict[str, Any]:
    """An axis in the house style, with its title and further settings."""
    said = _AXIS["title"] | ({"text": title} if title else {})
    return _AXIS | {"title": said} | settings


def straight(*, x: float | None = None, y: float | None = None, row: int = 1, **line: Any) -> dict[str, Any]:
    """A straight line across a panel, upright at x or level at y, as a shape of a layout.

    Args:
        x: where it stands; None: it lies at y.
        y: where it lies.
        row: which panel of a figure of one column, from the top.
        line: dash, colour and width.
    """
    number = "" if row == 1 else str(row)
    line = {"color": QUIET, "width": 1, "dash": "dot"} | line
    if x is not None:
        place = {"x0": x, "x1": x, "xref": f"x{number}", "y0": 0, "y1": 1, "yref": f"y{number} domain"}
    else:
        place = {"x0": 0, "x1": 1, "xref": f"x{number} domain", "y0": y, "y1": y, "yref": f"y{number}"}
    return {"type": "line", "line": line} | place


def dress(figure: go.Figure, *, title: str, subtitle: str = "", height: int = 420, mark: str = "") -> None:
    """Give a figure that was just built its title, fonts, grid, legend and mark."""
    figure.update_layout(**_layout(title=title, subtitle=subtitle, height=height))
    figure.update_xaxes(**_AXIS)
    figure.update_yaxes(**_AXIS)
    if mark:
        figure.add_annotation(**_mark(mark))


_AXIS = {
    "gridcolor": GRID, "linecolor": QUIET, "zeroline": False, "ticks": "outside", "tickcolor": GRID,
    "automargin": True, "title": {"font": {"size": 13}, "standoff": 8},
}  # fmt: skip


def _layout(*, title: str, subtitle: str, height: int) -> dict[str, Any]:
    return {
        "template": "none",
        "height": height,
        "autosize": True,
        "font": {"family": FONT, "size": 12, "color": INK},
        "paper_bgcolor": SURFACE,
        "plot_bgcolor": SURFACE,
        "title": {
            "text": title, "x": 0, "xref": "container", "xanchor": "left", "y": 1, "yref": "container",
            "yanchor": "top", "pad": {"l": 12, "t": 12}, "font": {"size": 15, "color": INK, "weight": 600},
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": QUIET}},
        },
        "margin": {"l": 56, "r": 20, "t": 74, "b": 56},
        "legend": {
            "orientation": "h", "x": 0, "xref": "paper", "xanchor": "left", "y": 0, "yref": "container",
            "yanchor": "bottom", "font": {"size": 12}, "tracegroupgap": 0,
        },
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": FONT}},
        "dragmode": False,
    }  # fmt: skip


def _mark(mark: str) -> dict[str, Any]:
    return {
        "text": mark, "name": "mark", "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False,
        "textangle": -20, "font": {"size": 34, "color": "rgba(213,94,0,0.20)"},
    }  # fmt: skip


def band_words(n_models: int) -> str:
    """'band: 95 % interval', and of how many where there are more models than bands: more hide one another."""
    return "band: 95 % interval" + (f" (the first {MOST_BANDS} models)" if n_models > MOST_BANDS else "")


def safe(text: str) -> str:
    """Text from data as a figure may carry it: plotly reads tags in every text."""
    return html.escape(text, quote=False)


def counts(n: int, n_events: int, *, of: str = "patients", events: str = "N+") -> str:
    """'300 patients, 51 N+ (17 %)'."""
    share = f" ({100 * n_events / n:.0f}{PERCENT})" if n else ""
    return f"{n:,} {of}, {n_events:,} {events}{share}"


def number(value: float, *, digits: int = 2) -> str:
    """A number for the eye: fewer decimals from 10 and from 100 on; a dash where there is none."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    places = digits if abs(value) < 10 else min(digits, 1) if abs(value) < 100 else 0
    rounded = round(value, places) + 0.0  # no minus before a zero
    return f"{rounded:.{places}f}".replace("-", "−")


def percent(value: float, *, digits: int = 0) -> str:
    """A fraction as a percentage."""
    if value is None or math.isnan(value):
        return "–"
    rounded = round(100 * value, digits) + 0.0  # no minus before a zero
    return f"{rounded:.{digits}f}{PERCENT}".replace("-", "−")


def with_interval(estimate: Estimate, *, digits: int = 2, as_percent: bool = False) -> str:
    """'0.84 (0.79 to 0.89)' or '95 % (87 to 98)'; says 'not estimated' where there is no value."""
    if math.isnan(estimate.value):
        return "not estimated"
    scale, places = (100, 0) if as_percent else (1, digits)
    sign = PERCENT if as_percent else ""
    value = number(scale * estimate.value, digits=places) + sign
    if math.isnan(estimate.low) and math.isnan(estimate.high):
        return value
    return f"{value} ({number(scale * estimate.low, digits=places)} to {number(scale * estimate.high, digits=places)})"


def p_value(p: float) -> str:
    """'P = 0.032', 'P < 0.001'; empty where there is none."""
    if p is None or math.isnan(p):
        return ""
    return "P < 0.001" if p < 0.001 else f"P = {p:.3f}" if p < 0.1 else f"P = {p:.2f}"


def years(days: float) -> str:
    """Days in the words of a figure's axis: '3 years', '1.5 years', '90 days'."""
    if days < 365:
        return f"{days:g} days"
    number_of_years = round(days / 365.25, 1)
    return f"{number_of_years:g} year{'' if number_of_years == 1 else 's'}"
