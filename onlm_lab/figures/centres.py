"""Does the model work in every centre, and does one centre carry the pooled value? Forests with what is pooled."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.subgroup import level_words, log_ticks
from onlm_lab.results import CentreInfluence, CentreTable, Estimate

MEASURES = {
    "auc": "AUC", "intercept": "Calibration in the large (log odds)", "slope": "Calibration slope",
    "oe_ratio": "Observed : expected N+",
}  # fmt: skip
_IDEAL = {"intercept": 0.0, "slope": 1.0, "oe_ratio": 1.0}
_SAID = {"auc": "AUC", "intercept": "calibration in the large", "slope": "calibration slope", "oe_ratio": "O:E"}


def plot_centres(
    result: CentreTable, *, measure: str = "auc", left_out: bool = False, mark: str = ""
) -> go.Figure:  # fmt: skip
    """A line a centre with N+/n and its value; below them the pooled value and where a new centre's is expected.

    Args:
        result: the result of `by_centre`.
        measure: "auc", "intercept", "slope" or "oe_ratio".
        left_out: whether each centre was left out of the training that predicted it; the title says so.
        mark: words laid across the figure.
    """
    _known(measure)
    pooled = result.measures.set_index("measure").loc[measure].to_dict()
    ends = ("low", "high") if measure == "auc" else (f"{measure}_low", f"{measure}_high")
    lines = []
    for row in result.table.to_dict("records"):
        value, low, high = float(row[measure]), float(row[ends[0]]), float(row[ends[1]])
        said = theme.with_interval(Estimate(value, low, high))
        label = f"{theme.safe(level_words(row['centre']))}  {int(row['n_positive'])}/{int(row['n'])}"
        lines.append(Line(label, [Point(value, low, high, "too few" if math.isnan(value) else said)]))
    n_lines = len(lines)
    lines += [Line(f"<b>Pooled, {int(pooled['n_pooled'])} of {result.n_centres} centres</b>"), Line("A new centre")]
    title = f"Does the model work in {'a centre it was not trained on' if left_out else 'every centre'}?"
    seen = "each centre left out of its own training" if left_out else "training may have seen these centres"
    figure = theme.blank(
        title=title,
        subtitle=f"{theme.safe(result.model_id)}; {theme.counts(result.n, result.n_events)}; {seen}; "
        "95 % interval; left: N+/n",
        height=190 + 27 * len(lines), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=["centre"], right=140)
    reference = _IDEAL.get(measure, pooled["value"])
    _line_at(figure, reference)
    if math.isnan(pooled["value"]):
        _beside(figure, n_lines, "not pooled: too few centres")
    else:
        _pooled(figure, n_lines, pooled)
        _expected(figure, n_lines + 1, pooled)
    limits = [*result.table[ends[0]], *result.table[ends[1]], pooled["prediction_low"], pooled["prediction_high"]]
    _axis(figure, measure, limits)
    return figure


def plot_leave_one_out(result: CentreInfluence, *, mark: str = "") -> go.Figure:
    """A line a centre left out: the pooled value of the others with its interval; dotted, that of all.

    Args:
        result: the result of `leave_one_out`.
        mark: words laid across the figure.
    """
    lines = []
    for row in result.table.to_dict("records"):
        value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
        label = f"without {theme.safe(level_words(row['left_out']))}" if row["left_out"] else "<b>All centres</b>"
        said = "too few centres" if math.isnan(value) else theme.with_interval(Estimate(value, low, high))
        lines.append(Line(f"{label}  ({int(row['n_pooled'])})", [Point(value, low, high, said)]))
    figure = theme.blank(
        title=f"Does one centre carry the pooled {_SAID[result.measure]}?",
        subtitle=f"{theme.safe(result.model_id)}; {theme.counts(result.n, result.n_events)}; 95 % interval; left: "
        "centres pooled",
        height=160 + 30 * len(lines), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=["pooled"], right=140)
    _line_at(figure, float(result.table["value"].iloc[0]))
    _axis(figure, result.measure, [*result.table["low"], *result.table["high"]])
    return figure


def _known(measure: str) -> None:
    if measure not in MEASURES:
        raise ValueError(f"measure '{measure}' is not known; wanted one of {', '.join(MEASURES)}.")


def _pooled(figure: go.Figure, y: int, pooled: dict) -> None:
    """A diamond from the lower to the upper limit."""
    value, low, high = pooled["value"], pooled["low"], pooled["high"]
    said = theme.with_interval(Estimate(value, low, high))
    figure.add_scatter(
        x=[low, value, high, value, low], y=[y, y - 0.28, y, y + 0.28, y], mode="lines", fill="toself",
        fillcolor=theme.STYLES[3].colour, line={"color": theme.STYLES[3].colour, "width": 1}, name="pooled",
        showlegend=False, hoverinfo="text", text=f"Pooled: {said}",
    )  # fmt: skip
    _beside(figure, y, f"<b>{said}</b>")


def _expected(figure: go.Figure, y: int, pooled: dict) -> None:
    """The prediction interval, a line with ends."""
    low, high = pooled["prediction_low"], pooled["prediction_high"]
    words = f"{theme.number(low)} to {theme.number(high)}"
    figure.add_scatter(
        x=[low, high], y=[y, y], mode="lines+markers", name="prediction interval", showlegend=False,
        line={"color": theme.STYLES[3].colour, "width": 2, "dash": "dash"},
        marker={"symbol": "line-ns-open", "size": 10, "color": theme.STYLES[3].colour},
        hoverinfo="text", text=f"Expected in a new centre: {words}",
    )  # fmt: skip
    _beside(figure, y, f"95 % expected<br>{words}")


def _beside(figure: go.Figure, y: int, text: str) -> None:
    figure.add_annotation(x=1, xref="paper", xanchor="left", xshift=8, y=y, text=text, showarrow=False, align="left",
                          font={"size": 11})  # fmt: skip


def _line_at(figure: go.Figure, x: float) -> None:
    if not math.isnan(x):
        figure.add_vline(x=x, line={"color": theme.QUIET, "width": 1, "dash": "dot"})


def _axis(figure: go.Figure, measure: str, limits: list[float]) -> None:
    figure.update_xaxes(title_text=MEASURES[measure])
    if measure == "oe_ratio":
        figure.update_xaxes(type="log", tickvals=log_ticks([1.0, *limits]))
