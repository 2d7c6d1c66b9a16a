"""Do readers do better with the model? Each reader's AUC without it and with it, the average, and the model alone."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.results import Estimate, ReaderComparison

SERIES = ("without the model", "with the model", "the model alone")


def plot_readers(result: ReaderComparison, *, mark: str = "") -> go.Figure:
    """A line a reader: AUC without the model and with it, joined; below them their average and the model alone.

    Args:
        result: the result of `compare_readers`.
        mark: words laid across the figure.
    """
    second = not math.isnan(result.auc_with_model.value)
    lines = [
        Line(theme.safe(row["reader_id"]), [_point(row, "auc_alone"), *([_point(row, "auc_with_model")] * second)])
        for row in result.readers.to_dict("records")
    ]
    n_readers = len(lines)
    averages = [_of(result.auc_alone), *([_of(result.auc_with_model)] * second)]
    lines.append(Line(f"<b>Average of {result.n_readers}</b>", averages))
    model = _of(result.auc_model)
    beside = not math.isnan(model.value)
    if beside:
        lines.append(Line("Model alone", [None, None, model]))
    kind = "readers like these" if result.random_readers else "these readers"
    level = 100 * result.auc_alone.level
    figure = theme.blank(
        title="Do readers tell N+ from N0 better with the model?" if second else "How well do readers tell N+ from N0?",
        subtitle=f"{theme.counts(result.n, result.n_events)}; {result.n_readers} readers; {level:.0f}{theme.PERCENT} "
        f"interval; average: {kind}",
        height=200 + 38 * len(lines), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=SERIES[: 1 + second], right=150)
    if second:
        _join(figure, lines[: n_readers + 1])
    if beside:
        _alone(figure, model, y=len(lines) - 1)
    figure.update_xaxes(title_text="AUC")
    figure.add_vline(x=0.5, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    return figure


def _point(row: dict, name: str) -> Point:
    return _of(Estimate(row[name], row[f"{name}_low"], row[f"{name}_high"]))


def _of(estimate: Estimate) -> Point:
    return Point(estimate.value, estimate.low, estimate.high, theme.with_interval(estimate))


def _join(figure: go.Figure, lines: list[Line]) -> None:
    """A thin line from each first point to its second."""
    x: list[float | None] = []
    y: list[float | None] = []
    for i, line in enumerate(lines):
        x += [line.points[0].value, line.points[1].value, None]
        y += [i - 0.15, i + 0.15, None]  # where draw_forest puts two series
    figure.add_scatter(
        x=x, y=y, mode="lines", line={"color": theme.QUIET, "width": 1}, showlegend=False, hoverinfo="skip",
        name="from without to with",
    )  # fmt: skip


def _alone(figure: go.Figure, model: Point, *, y: int) -> None:
    """The model's own point, on its line."""
    style = theme.STYLES[2]
    figure.add_scatter(
        x=[model.value], y=[y], mode="markers", name=SERIES[2], showlegend=True,
        marker={"color": style.colour, "size": 9, "symbol": style.marker},
        error_x={"type": "data", "symmetric": False, "array": [model.high - model.value],
                 "arrayminus": [model.value - model.low], "color": style.colour, "thickness": 1.5, "width": 4},
        hovertemplate=f"{SERIES[2]}: {model.said}<extra></extra>",
    )  # fmt: skip
