"""In whom does the model work, and by how much does a hazard differ? Forest plots."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.outcomes import endpoint_words
from onlm_lab.results import Estimate, HazardModel, SubgroupTable

MEASURES = {
    "auc": "AUC", "sensitivity": "Sensitivity (%)", "specificity": "Specificity (%)",
    "oe_ratio": "Observed : expected N+",
}  # fmt: skip
LEVELS = {"part_solid": "part-solid", "pure_ggo": "pure ground glass", "other_nsclc": "other NSCLC"}
_LONGEST = 18  # letters of a level's name
_QUESTIONS = {
    "auc": "In whom does the risk separate N+ from N0?",
    "sensitivity": "In whom are N+ patients found?",
    "specificity": "In whom are N0 patients spared?",
    "oe_ratio": "In whom is the risk too low or too high?",
}


_LABELS = {
    "cea_ng_ml": "CEA (ng/mL)", "suv_max": "SUVmax", "ctr": "Consolidation-to-tumour ratio", "pack_years": "Pack-years",
    "pet_ct_done": "PET/CT done", "onlm": "Occult nodal metastasis", "risk_in_sd": "Risk (per SD)",
}  # fmt: skip
_UNITS = {"_mm": "mm", "_years": "years", "_ng_ml": "ng/mL", "_ml": "mL", "_hu": "HU", "_days": "days"}
_CAPITALS = ("kps", "ecog", "nsclc", "ct", "pet", "lvi", "egfr", "kras", "alk", "os", "rfs", "t", "n", "m", "n2")
_SHORT = {word: word.upper() for word in _CAPITALS} | {"followup": "follow-up"}


def label_of(column: str) -> str:
    """A column's name as a reader would say it: 'total_diameter_mm' -> 'Total diameter (mm)'."""
    if column in _LABELS:
        return _LABELS[column]
    unit = next((suffix for suffix in _UNITS if column.endswith(suffix)), "")
    said = " ".join(_SHORT.get(word, word) for word in column.removesuffix(unit).split("_"))
    return said[:1].upper() + said[1:] + (f" ({_UNITS[unit]})" if unit else "")


def unit_words(unit: object) -> str:
    """'per 10 percentage points', 'yes against no'; empty where the unit is 1 or none."""
    text = "" if unit is None else str(unit)
    return "" if text in ("", "1", "per 1") else text


def level_words(level: object) -> str:
    """A level as a reader would say it, short enough to stand beside a forest."""
    if str(level) in LEVELS:
        return LEVELS[str(level)]
    text = re.sub(r"(>=|<)(?=\d)", lambda m: "≥ " if m[0] == ">=" else "< ", str(level)).replace("_", " ")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def plot_subgroups(
    subgroups: SubgroupTable, *, measure: str = "auc", reference: Estimate | None = None, mark: str = ""
) -> go.Figure:
    """A forest: one line a level of each column, with N+/n, the estimate and the interaction test of the column.

    Args:
        subgroups: the result.
        measure: "auc", "sensitivity", "specificity" or "oe_ratio".
        reference: the value in all patients, drawn as a line.
        mark: words laid across the figure.
    """
    if measure not in MEASURES:
        raise ValueError(f"measure '{measure}' is not known; wanted one of {', '.join(MEASURES)}.")
    table, tests = subgroups.table, subgroups.interaction
    as_percent = measure in ("sensitivity", "specificity")
    lines: list[dict[str, object]] = []
    for column, rows in table.groupby("column", sort=False):
        test = tests[tests["column"] == column] if len(tests) else tests
        p = theme.p_value(float(test["p_value"].iloc[0])) if len(test) else ""
        lines.append({"label": f"<b>{theme.safe(label_of(str(column)))}</b>", "text": f"<i>{p}</i>" if p else ""})
        lines += [_line(row, measure=measure, as_percent=as_percent) for row in rows.to_dict("records")]
    line = 1.0 if measure == "oe_ratio" else None if reference is None else reference.value
    dotted = "; dotted: all patients" if line is not None and measure != "oe_ratio" and not math.isnan(line) else ""
    figure = theme.blank(
        title=_QUESTIONS[measure],
        subtitle=f"{theme.safe(subgroups.model_id)}; {theme.counts(subgroups.n, subgroups.n_events)}; 95 % interval; "
        f"left: N+/n; P: interaction{dotted}",
        height=150 + 27 * max(len(lines), 2), mark=mark,
    )  # fmt: skip
    _draw(figure, lines, percent=as_percent)
    if line is not None and not math.isnan(line):
        figure.add_vline(x=line, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text=MEASURES[measure], tickformat=".0%" if as_percent else None,
                        type="log" if measure == "oe_ratio" else "linear")  # fmt: skip
    if measure == "oe_ratio":
        figure.update_xaxes(tickvals=log_ticks([1.0, *table["oe_ratio_low"], *table["oe_ratio_high"]]))
    return figure


def plot_hazard_ratios(model: HazardModel, *, who: str = "", mark: str = "") -> go.Figure:
    """A forest of hazard ratios on a log axis.

    Args:
        model: the result.
        who: which patients and whose risk, for the subtitle.
        mark: words laid across the figure.
    """
    lines = []
    for row in model.table.to_dict("records"):
        unit = "".join(f"<br>{part}" for part in textwrap.wrap(unit_words(row.get("unit")), 18))
        value = Estimate(row["hr"], row["low"], row["high"])
        lines.append({
            "label": f"{theme.safe(label_of(str(row['covariate'])))}{unit}", "x": row["hr"], "low": row["low"],
            "high": row["high"], "text": f"{theme.with_interval(value)}<br>{theme.p_value(row['p_value'])}",
        })  # fmt: skip
    figure = theme.blank(
        title="By how much does the hazard differ?",
        subtitle=f"{endpoint_words(model.endpoint)}; {f'{theme.safe(who)}; ' if who else ''}"
        f"{theme.counts(model.n, model.n_events, events='events')}; 95 % interval; {model.method}; observational",
        height=170 + 48 * max(len(lines), 1), mark=mark,
    )  # fmt: skip
    _draw(figure, lines, percent=False)
    figure.add_vline(x=1, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    limits = [row[k] for row in model.table.to_dict("records") for k in ("low", "high")]
    figure.update_xaxes(title_text="Hazard ratio (log scale)", type="log", tickvals=log_ticks([1.0, *limits]))
    return figure


def log_ticks(values: Sequence[float]) -> list[float]:
    """Ticks for a log axis that are numbers a reader knows, at most five, 1 among them where it is inside."""
    known = [v for v in values if v > 0 and math.isfinite(v)]
    if not known:
        return [1.0]
    for steps in ((0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2), (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5),
                  (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50), (0.01, 0.1, 1, 10, 100, 1000)):  # fmt: skip
        inside = [float(s) for s in steps if min(known) <= s <= max(known)]
        if steps[0] <= min(known) and max(known) <= steps[-1] and len(inside) <= 5:
            return inside
    return [float(10**e) for e in range(math.floor(math.log10(min(known))), math.ceil(math.log10(max(known))) + 1)]


def _line(row: dict[str, object], *, measure: str, as_percent: bool) -> dict[str, object]:
    value, low, high = row[measure], row[f"{measure}_low"], row[f"{measure}_high"]
    text = theme.with_interval(Estimate(value, low, high), as_percent=as_percent)
    return {
        "label": f"{theme.safe(level_words(row['level']))}  {int(row['n_positive'])}/{int(row['n'])}",
        "x": value, "low": low, "high": high,
        "text": "too few" if pd.isna(value) else text, "note": theme.safe(str(row.get("note") or "")),
    }  # fmt: skip


def _draw(figure: go.Figure, lines: list[dict[str, object]], *, percent: bool) -> None:
    """Points with intervals at rows 0, 1, ... from the top; labels at the left, estimates at the right."""
    drawn = [(i, line) for i, line in enumerate(lines) if "x" in line]
    style = theme.STYLES[0]
    shape = ":.1%" if percent else ":.3f"
    figure.add_scatter(
        x=[line["x"] for _, line in drawn], y=[i for i, _ in drawn], mode="markers", showlegend=False,
        name="estimate", customdata=[[line["label"], line["text"], line.get("note", "")] for _, line in drawn],
        marker={"color": style.colour, "size": 9, "symbol": "square"},
        error_x={"type": "data", "symmetric": False, "color": style.colour, "thickness": 1.5, "width": 4,
                 "array": [line["high"] - line["x"] for _, line in drawn],
                 "arrayminus": [line["x"] - line["low"] for _, line in drawn]},
        hovertemplate=f"%{{customdata[0]}}: %{{x{shape}}}<br>%{{customdata[1]}}<br>%{{customdata[2]}}<extra></extra>",
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(lines))), ticktext=[line["label"] for line in lines], ticks="", showgrid=False,
        range=[len(lines) - 0.4, -0.6],
    )  # fmt: skip
    figure.update_yaxes(tickfont={"size": 11})
    figure.update_xaxes(tickangle=0, nticks=4)
    for i, line in enumerate(lines):
        if line.get("text"):
            figure.add_annotation(x=1, xref="paper", xanchor="left", xshift=8, y=i, text=line["text"], showarrow=False,
                                  align="left", font={"size": 11})  # fmt: skip
    figure.update_layout(margin={"r": 132})
