"""With which markers does the risk go? A forest of effects, unadjusted and adjusted."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.subgroup import label_of, log_ticks
from onlm_lab.results import Associations, Estimate

EFFECT = "Difference in risk (SD of its log odds)"


def plot_associations(associations: Associations, *, names: dict[str, str] | None = None, mark: str = "") -> go.Figure:
    """A line a marker (a level of a category): the effect with its interval, n, and the P adjusted over the markers.

    Args:
        associations: the result.
        names: marker -> what the figure calls it; None: its name in words.
        mark: words laid across the figure.
    """
    names = names or {}
    both = bool(associations.adjusted_for)
    effects, tests = associations.effects, associations.tests
    lines: list[Line] = []
    told: set[object] = set()  # of a category with several levels there is one P, told once
    for (marker, _), rows in effects.groupby(["marker", "contrast"], sort=False):
        test = tests[tests["marker"] == marker].set_index("adjusted")
        points = [_point(rows[rows["adjusted"] == which], math.nan if marker in told else test.loc[which, "p_bh"])
                  for which in (False, True)[: 1 + both]]  # fmt: skip
        told.add(marker)
        label = f"<b>{theme.safe(names.get(str(marker), label_of(str(marker))))}</b><br>{_counts(rows.iloc[0])}"
        lines.append(Line(label, points))
    figure = theme.blank(
        title="With which markers does the predicted risk go?",
        subtitle=f"{theme.safe(associations.model_id)}; {theme.counts(associations.n, associations.n_events)}; "
        f"{_percent(associations.level)} interval, HC3; P: Benjamini-Hochberg<br>"
        f"{_adjusted(associations)}association, not mechanism",
        height=210 + 44 * max(len(lines), 1), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=("unadjusted", "adjusted")[: 1 + both], right=210)
    figure.add_vline(x=0, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text=EFFECT)
    figure.update_layout(margin={"t": 92, "b": 84})
    return figure


def plot_marker_odds(associations: Associations, *, names: dict[str, str] | None = None, mark: str = "") -> go.Figure:
    """Odds ratio of each yes-or-no marker per SD of the log odds of risk, on a log axis.

    Args:
        associations: the result.
        names: marker -> what the figure calls it; None: its name in words.
        mark: words laid across the figure.
    """
    names, binary = names or {}, associations.binary
    both = bool(associations.adjusted_for)
    lines = []
    for marker, rows in binary.groupby("marker", sort=False):
        first = rows.iloc[0]
        points = [_ratio(rows[rows["adjusted"] == which]) for which in (False, True)[: 1 + both]]
        label = f"<b>{theme.safe(names.get(str(marker), label_of(str(marker))))}</b>"
        lines.append(Line(f"{label}<br>{int(first['n_positive'])} of {int(first['n'])}", points))
    firth = sum(str(m).startswith("Firth") for m in binary["method"]) if len(binary) else 0
    figure = theme.blank(
        title="Which markers are more frequent where the risk is high?",
        subtitle=f"{theme.safe(associations.model_id)}; {theme.counts(associations.n, associations.n_events)}; "
        f"{_percent(associations.level)} interval; {firth} of {len(binary)} by Firth's penalty<br>"
        f"{_adjusted(associations)}association, not mechanism",
        height=210 + 44 * max(len(lines), 1), mark=mark,
    )  # fmt: skip
    draw_forest(figure, lines, series=("unadjusted", "adjusted")[: 1 + both])
    figure.add_vline(x=1, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    limits = [float(v) for c in ("low", "high") if c in binary for v in binary[c]]
    figure.update_xaxes(title_text="Odds ratio per SD of the log odds of risk (log scale)", type="log",
                        tickvals=log_ticks([1.0, *limits]))  # fmt: skip
    figure.update_layout(margin={"t": 92, "b": 84})
    return figure


def _percent(level: float) -> str:
    return f"{100 * level:g}{theme.PERCENT}"


def _adjusted(associations: Associations) -> str:
    said = ", ".join(theme.safe(label_of(c)) for c in associations.adjusted_for)
    return f"adjusted for {said}; " if said else ""


def _counts(row: pd.Series) -> str:
    """'yes against no, 19 : 70' and who is missing."""
    sides = "" if pd.isna(row["n_level"]) else f", {int(row['n_level'])} : {int(row['n_reference'])}"
    missing = f", {int(row['n_missing'])} missing" if row["n_missing"] else ""
    return f"{theme.safe(str(row['contrast']) or 'one level')}{sides or ', n = ' + str(int(row['n']))}{missing}"


def _point(rows: pd.DataFrame, p_value: float) -> Point | None:
    if not len(rows):  # a level that only the other model has
        return None
    row = rows.iloc[0]
    if math.isnan(row["effect"]):
        return Point(math.nan, math.nan, math.nan, "too few" if "fewer" in row["note"] else "not estimated")
    said = theme.with_interval(Estimate(row["effect"], row["low"], row["high"]))
    p = theme.p_value(float(p_value))
    return Point(row["effect"], row["low"], row["high"], f"{said}{', ' + p if p else ''}")


def _ratio(rows: pd.DataFrame) -> Point | None:
    if not len(rows):
        return None
    row = rows.iloc[0]
    said = theme.with_interval(Estimate(row["odds_ratio"], row["low"], row["high"]))
    few = "too few" if "fewer" in row["note"] else said
    return Point(row["odds_ratio"], row["low"], row["high"], few if math.isnan(row["odds_ratio"]) else said)
