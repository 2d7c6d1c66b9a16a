"""Which covariate tells more about the outcome, alone and beside the others?"""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, forest_layout, forest_traces
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.figures.subgroup import label_of, level_words, log_ticks, unit_words
from onlm_lab.results import Estimate, HazardComparison

SERIES = {"univariable": "alone", "multivariable": "beside the others"}
WIDEST = 1000.0  # ratios beyond 1/1000 and 1000 leave the axis; the numbers at the right keep them


def plot_hazard_comparison(comparison: HazardComparison, *, who: str = "", mark: str = "") -> go.Figure:
    """A forest: each covariate's hazard ratio alone and adjusted for the others, reference levels named.

    Args:
        comparison: the result.
        who: which patients, for the subtitle.
        mark: words laid across the figure.
    """
    table, gray = comparison.table, comparison.method.startswith("Fine-Gray")
    kinds = [kind for kind in SERIES if table.loc[~table["reference"], f"{kind}_hr"].notna().any()] or ["univariable"]
    lines = []
    for name, rows in table.groupby("covariate", sort=False):
        records = rows.to_dict("records")
        label = f"<b>{theme.safe(label_of(str(name)))}</b>"
        if records[0]["level"] == "":
            unit = unit_words(records[0]["unit"])
            lines.append(_line(records[0], label=label + (f"<br>{unit}" if unit else ""), kinds=kinds))
        else:
            lines.append(Line(label))
            lines += [_line(row, label=_level(row), kinds=kinds) for row in records]
    layout = theme.layout_of(
        title=f"By how much does the {'incidence' if gray else 'hazard'} differ, alone and beside the others?",
        subtitle="; ".join(part for part in (
            endpoint_words(comparison.endpoint), theme.safe(who),
            theme.counts(comparison.n, comparison.n_events, events="events"), "95 % interval", "left: events/n",
            "observational",
        ) if part),
        height=170 + 40 * max(len(lines), 2), mark=mark,
    )  # fmt: skip
    values = [1.0, *(v for kind in kinds for part in ("hr", "low", "high") for v in table[f"{kind}_{part}"])]
    inside = [v for v in values if 1 / WIDEST <= v <= WIDEST]
    edges = [math.log10(min(inside)) - 0.05, math.log10(max(inside)) + 0.05]
    own = forest_layout(lines, right=190)
    layout["margin"] |= own["margin"]
    layout["yaxis"] |= own["yaxis"]
    layout["xaxis"] = theme.axis_of(
        title=f"{'Subdistribution hazard' if gray else 'Hazard'} ratio (log scale)",
        type="log",
        tickvals=log_ticks(inside),
        range=edges,
        **own["xaxis"],
    )
    layout["annotations"] = [*layout.get("annotations", []), *own["annotations"]]
    layout["shapes"] = [theme.straight(x=1)]
    return go.Figure(data=forest_traces(lines, series=[SERIES[kind] for kind in kinds]), layout=layout)


def coefficient_words(name: str) -> str:
    """A coefficient as a reader would say it, safe to draw: 'sex[male]' -> 'Sex: male'."""
    covariate, _, level = name.partition("[")
    return theme.safe(label_of(covariate) + (f": {level_words(level.removesuffix(']'))}" if level else ""))


def heads_of_rows(figure: go.Figure, heads: list[str]) -> None:
    """A line of text above each row of a figure of one column."""
    figure.update_layout(annotations=[*figure.layout.annotations, *head_notes(heads)], margin={"t": 96})


def head_notes(heads: list[str]) -> list[dict[str, Any]]:
    """A line of text above each row of a figure of one column, as annotations of a layout."""
    return [
        {"text": text, "x": 0, "xref": "paper", "xanchor": "left", "y": 1,
         "yref": f"y{'' if row == 1 else row} domain", "yanchor": "bottom", "yshift": 2, "showarrow": False,
         "font": {"size": 12}} for row, text in enumerate(heads, start=1)
    ]  # fmt: skip


def _level(row: dict[str, object]) -> str:
    reference = " (reference)" if row["reference"] else ""
    return f"{theme.safe(level_words(row['level']))}{reference}  {int(row['n_events'])}/{int(row['n'])}"


def _line(row: dict[str, object], *, label: str, kinds: list[str]) -> Line:
    """A level's two points; the reference stands at 1 without an interval."""
    points: list[Point | None] = []
    for kind in kinds:
        value, low, high = (float(row[f"{kind}_{part}"]) for part in ("hr", "low", "high"))
        if row["reference"]:
            points.append(Point(1.0, 1.0, 1.0) if kind == kinds[0] else None)
        elif math.isnan(value) or math.isinf(value) or value == 0:
            points.append(Point(math.nan, math.nan, math.nan, "not estimated"))
        else:
            p = theme.p_value(float(row[f"{kind}_p_value"]))
            points.append(Point(value, low, high, f"{theme.with_interval(Estimate(value, low, high))}, {p}"))
    return Line(label, points)
