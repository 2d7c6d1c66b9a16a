"""Does the performance hold where label or predictors are in doubt, and who is predicted wrongly? Forests."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.subgroup import label_of, level_words, log_ticks
from onlm_lab.results import ConfidentMistakes, Estimate, LabelSensitivity, MissingDataSensitivity

MEASURES = {
    "auc": "AUC", "sensitivity": "Sensitivity (%)", "specificity": "Specificity (%)",
    "oe_ratio": "Observed : expected N+", "intercept": "Calibration in the large (log odds)",
}  # fmt: skip
_SAID = {"nodes_examined": "nodes", "n2_stations_examined": "mediastinal stations"}
_NEUTRAL = {"oe_ratio": 1.0, "intercept": 0.0}


def plot_label_sensitivity(sensitivity: LabelSensitivity, *, measure: str = "auc", mark: str = "") -> go.Figure:
    """A line a minimum of nodes or stations behind each N0: the measure with its interval, N+/n and who was left out.

    Args:
        sensitivity: the result.
        measure: "auc", "sensitivity", "specificity", "intercept" or "oe_ratio".
        mark: words laid across the figure.
    """
    _known(measure, MEASURES)
    lines = []
    for row in sensitivity.table.to_dict("records"):
        said = "All labelled" if not row["column"] else f"At least {int(row['minimum'])} {_SAID[row['column']]}"
        gone = row["n_left_out"] + row["n_unknown"]
        unknown = f", {row['n_unknown']} of them unknown" if row["n_unknown"] else ""
        left = f"<br>{gone} N0 left out{unknown}" if gone else ""
        lines.append(Line(f"<b>{said}</b>  {row['n_positive']}/{row['n']}{left}", [_point(row, measure)]))
    figure = theme.blank(
        title="Does the performance hold where N0 can be trusted?",
        subtitle=f"{theme.safe(sensitivity.model_id)}; {theme.counts(sensitivity.n, sensitivity.n_events)}; 95 % "
        "interval; left: N+/n; N+ patients always stay",
        height=170 + 44 * len(lines), mark=mark,
    )  # fmt: skip
    _finish(figure, lines, measure=measure, reference=sensitivity.table[measure].iloc[0],
            limits=_limits(sensitivity.table, measure))  # fmt: skip
    return figure


def plot_missing_sensitivity(
    sensitivity: MissingDataSensitivity, *, measure: str = "auc", mark: str = ""
) -> go.Figure:  # fmt: skip
    """A line a group of patients by what is missing: the measure with its interval, N+/n, and the test of the AUCs.

    Args:
        sensitivity: the result.
        measure: "auc", "sensitivity", "specificity" or "oe_ratio".
        mark: words laid across the figure.
    """
    _known(measure, {k: v for k, v in MEASURES.items() if k != "intercept"})
    tests = sensitivity.tests.set_index("grouping")
    lines = []
    for grouping, rows in sensitivity.table.groupby("grouping", sort=False):
        p = theme.p_value(float(tests.loc[grouping, "p_value"])) if grouping in tests.index and measure == "auc" else ""
        heading = f"<b>{theme.safe(label_of(str(grouping).replace(' ', '_')))}</b>{f'  <i>{p}</i>' if p else ''}"
        lines.append(Line(heading))
        lines += [Line(f"{theme.safe(level_words(r['level']))}  {r['n_positive']}/{r['n']}", [_point(r, measure)])
                  for r in rows.to_dict("records")]  # fmt: skip
    figure = theme.blank(
        title="Does the performance hold where predictors are missing?",
        subtitle=f"{theme.safe(sensitivity.model_id)}; {theme.counts(sensitivity.n, sensitivity.n_events)}; 95 % "
        "interval; left: N+/n; P: difference of the two AUCs, not adjusted",
        height=160 + 27 * len(lines), mark=mark,
    )  # fmt: skip
    _finish(figure, lines, measure=measure, reference=math.nan, limits=_limits(sensitivity.table, measure))
    return figure


def plot_mistakes(mistakes: ConfidentMistakes, *, mark: str = "") -> go.Figure:
    """How those the model gets wrong differ from those it gets right, fact by fact, in standardised differences.

    Args:
        mistakes: the result.
        mark: words laid across the figure.
    """
    compared = _telling(mistakes.compared)
    every = list(dict.fromkeys(compared["comparison"]))
    kinds = [kind for kind in every if compared.loc[compared["comparison"] == kind, "low"].notna().any()]
    few = [f"{kind}: too few to compare" for kind in every if kind not in kinds]
    few += [f"drawn: {kinds[0]}"] if len(kinds) == 1 else []
    more = f"<br>{'; '.join(few)}" if few else ""  # a line of its own: in one they are cut off at a page's width
    lines = []
    for (column, level), rows in compared.groupby(["column", "level"], sort=False):
        word = "" if level in ("", "1") else f": {level_words(level)}"
        found = [rows[rows["comparison"] == kind] for kind in kinds]
        points = [_difference(part.iloc[0]) if len(part) else None for part in found]
        lines.append(Line(theme.safe(f"{label_of(str(column))}{word}"), points))
    figure = theme.blank(
        title="Who is predicted wrongly?",
        subtitle=f"{theme.safe(mistakes.model_id)}; {mistakes.n_missed} N+ missed, {mistakes.n_found} found; "
        f"{mistakes.n_false_alarms} false alarms, {mistakes.n_spared} N0 spared; 95 % interval{more}",
        height=(210 if more else 190) + 36 * max(len(lines), 1), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=kinds or ["compared"])
    figure.add_vline(x=0, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="Standardised difference: right of 0, more in those predicted wrongly")
    figure.update_layout(margin={"b": 84, "t": 94 if more else 74})
    return figure


def _known(measure: str, known: dict[str, str]) -> None:
    if measure not in known:
        raise ValueError(f"measure '{measure}' is not known; wanted one of {', '.join(known)}.")


def _point(row: dict, measure: str) -> Point:
    value, low, high = (float(row[f"{measure}{end}"]) for end in ("", "_low", "_high"))
    as_percent = measure in ("sensitivity", "specificity")
    said = theme.with_interval(Estimate(value, low, high), as_percent=as_percent)
    return Point(value, low, high, "too few" if math.isnan(value) else said)


def _difference(row: pd.Series) -> Point:
    said = row["note"] or theme.with_interval(Estimate(row["smd"], row["low"], row["high"]))
    return Point(row["smd"], row["low"], row["high"], "too few" if math.isnan(row["smd"]) else said)


def _telling(compared: pd.DataFrame) -> pd.DataFrame:
    """Without levels of which no comparison has an interval (too few, or the same in everybody), and without the first
    of two levels, which mirrors the second."""
    told = compared["low"].notna().groupby([compared["column"], compared["level"]]).transform("any")
    shown = compared[told] if told.any() else compared[compared["note"] != "the same in everybody"]
    levels = shown.groupby("column")["level"].transform("nunique")
    first = shown["level"] == shown.groupby("column")["level"].transform("first")
    return shown[~((levels == 2) & first)]


def _limits(table: pd.DataFrame, measure: str) -> list[float]:
    return [float(v) for end in ("_low", "_high") for v in table[f"{measure}{end}"]]


def _finish(
    figure: go.Figure, lines: list[Line], *, measure: str, reference: float, limits: list[float]
) -> None:  # fmt: skip
    draw_forest(figure, lines, series=[MEASURES[measure]], digits=3)
    line = _NEUTRAL.get(measure, reference)
    if not math.isnan(line):
        figure.add_vline(x=line, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    log = measure == "oe_ratio"
    figure.update_xaxes(title_text=MEASURES[measure], type="log" if log else "linear",
                        tickformat=".0%" if measure in ("sensitivity", "specificity") else None)  # fmt: skip
    if log:
        figure.update_xaxes(tickvals=log_ticks([1.0, *limits]))
