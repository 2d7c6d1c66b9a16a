"""Does the model err more in some patients than in others? A forest by column and level, with the largest gap."""

from __future__ import annotations

import math

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.subgroup import label_of, level_words, log_ticks
from onlm_lab.results import Estimate, Fairness

MEASURES = {
    "sensitivity": "Sensitivity (%)", "fpr": "False positives among N0 (%)", "ppv": "N+ among called positive (%)",
    "oe_ratio": "Observed : expected N+", "intercept": "Calibration in the large (log odds)",
}  # fmt: skip
_QUESTIONS = {
    "sensitivity": "Are N+ patients found alike in every group?",
    "fpr": "Are N0 patients called positive alike in every group?",
    "ppv": "Does a positive call mean the same in every group?",
    "oe_ratio": "Do risks mean the same in every group?",
    "intercept": "Do risks mean the same in every group?",
}
_RATES = ("sensitivity", "fpr", "ppv")
_NEUTRAL = {"oe_ratio": 1.0, "intercept": 0.0}


def plot_fairness(result: Fairness, *, measure: str = "sensitivity", mark: str = "") -> go.Figure:
    """A line a level of each column with N+/n and its value; beside the column's name the gap, its interval and P.

    Args:
        result: the result.
        measure: "sensitivity", "fpr", "ppv", "oe_ratio" or "intercept".
        mark: words laid across the figure.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure '{measure}' is not known; wanted one of {', '.join(MEASURES)}.")
    as_percent = measure in _RATES
    gaps = {row["column"]: row for row in result.gaps.to_dict("records") if row["measure"] == measure}
    lines, said = [], []
    for column, rows in result.table.groupby("column", sort=False):
        said.append((len(lines), _gap_words(gaps[column], as_percent=as_percent)))
        lines.append(Line(f"<b>{theme.safe(label_of(str(column)))}</b>"))
        for row in rows.to_dict("records"):
            label = f"{theme.safe(level_words(row['level']))}  {int(row['n_positive'])}/{int(row['n'])}"
            lines.append(Line(label, [_point(row, measure, as_percent=as_percent)]))
    at = "" if math.isnan(result.threshold) or not as_percent else f"; threshold {theme.percent(result.threshold)}"
    apparent = "; apparent: threshold chosen on these patients" if result.apparent and as_percent else ""
    figure = theme.blank(
        title=_QUESTIONS[measure],
        subtitle=f"{theme.safe(result.model_id)}; {theme.counts(result.n, result.n_events)}{at}; 95 % interval; "
        f"left: N+/n{apparent}",
        height=170 + 27 * max(len(lines), 2), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=["level"], right=190)
    for i, words in said:
        figure.add_annotation(x=1, xref="paper", xanchor="left", xshift=8, y=i, text=f"<i>{words}</i>",
                              showarrow=False, align="left", font={"size": 11})  # fmt: skip
    if measure in _NEUTRAL:
        figure.add_vline(x=_NEUTRAL[measure], line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text=MEASURES[measure], tickformat=".0%" if as_percent else None)
    if measure == "oe_ratio":
        limits = [1.0, *result.table["oe_ratio_low"], *result.table["oe_ratio_high"]]
        figure.update_xaxes(type="log", tickvals=log_ticks(limits))
    return figure


def _point(row: dict, measure: str, *, as_percent: bool) -> Point:
    value, low, high = (float(row[f"{measure}{end}"]) for end in ("", "_low", "_high"))
    said = theme.with_interval(Estimate(value, low, high), as_percent=as_percent)
    return Point(value, low, high, "too few" if math.isnan(value) else said)


def _gap_words(gap: dict, *, as_percent: bool) -> str:
    """'Gap 12 (-3 to 27) points, P = 0.21'; 'Ratio' for O:E."""
    if math.isnan(gap["gap"]):
        return "no gap: too few"
    name = "Ratio" if gap["scale"] == "ratio" else "Gap"
    scale, digits = (100, 0) if as_percent else (1, 2)
    value = theme.with_interval(Estimate(*(scale * gap[end] for end in ("gap", "low", "high"))), digits=digits)
    value += " points" if as_percent else ""
    p = theme.p_value(gap["p_value"])
    return f"{name} {value}{f'<br>{p}' if p else ''}"
