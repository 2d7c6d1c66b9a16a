"""Centres and groups held against each other on a shared page: those of five N+ and five N0, of rounded counts."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.panels.groups import MAY_CONCLUDE, MEASURE_WORDS
from onlm_lab.panels.panel import Panel
from onlm_lab.panels.shared.counts import rounded
from onlm_lab.panels.shared.performance import mark_of, require
from onlm_lab.panels.shared.tables import Rule, Share, numbers, safe_table, short
from onlm_lab.results import Estimate

_CENTRE = (("auc", ("low", "high")), *((m, (f"{m}_low", f"{m}_high")) for m in ("intercept", "slope", "oe_ratio")))
CENTRES = Rule(
    labels=("centre",), counts=("n", "n_positive"), least=("n", "n_positive"), drop=True,
    estimates={name: ".2f" for value, ends in _CENTRE for name in (value, *ends)},
)  # fmt: skip
_POOLED = ("value", "low", "high", "low_conservative", "high_conservative", "prediction_low", "prediction_high")


def centres(panel: Panel) -> Panel:
    """A forest of the centres that have five N+ and five N0; what is pooled rests on these alone."""
    found, measure, left_out = panel.source
    require(found.n_events, found.n - found.n_events)
    table = safe_table(found.table, CENTRES)
    if table.empty:
        require(0)
    measures = found.measures.assign(**{c: [short(v, ".2f") for v in found.measures[c]] for c in _POOLED})
    shown = replace(found, table=numbers(table, "n", "n_positive"), measures=measures, n=rounded(found.n),
                    n_events=rounded(found.n_events), n_excluded={}, notes=())  # fmt: skip
    figure = figures.plot_centres(shown, measure=measure, left_out=left_out, mark=mark_of(panel.figure))
    pooled = measures.set_index("measure").loc[measure]
    name = MEASURE_WORDS[measure]
    if math.isnan(pooled["value"]):
        sentence = f"The {name} is not pooled: too few centres have enough patients."
    else:
        sentence = (
            f"Over the centres the {name} is {theme.with_interval(Estimate(*pooled[['value', 'low', 'high']]))}; in a "
            f"new centre it is expected between {pooled['prediction_low']:.2f} and {pooled['prediction_high']:.2f}."
        )
    if len(found.table) > len(table):
        sentence += " Centres with fewer than five N+ or five N0 are left out."
    return panel._replace(figure=figure, table=table, sentence=sentence)


FAIRNESS = Rule(
    labels=("column", "level"), counts=("n", "n_positive", "n_called"),
    estimates={f"{m}{end}": ".2f" for m in ("oe_ratio", "intercept") for end in ("", "_low", "_high")},
    shares={"sensitivity": Share("n_positive"), "fpr": Share("n", less="n_positive"), "ppv": Share("n_called")},
    least=("n", "n_positive"), drop=True,
)  # fmt: skip


def fairness(panel: Panel) -> Panel:
    """Rates of rounded counts by group, and the gaps between what is shown, without intervals of these gaps."""
    found, measure = panel.source
    require(found.n_events, found.n - found.n_events)
    table = safe_table(found.table, FAIRNESS)
    if table.empty:
        require(0)
    gaps = found.gaps[found.gaps["column"].isin(table["column"])]
    whole = table["column"].value_counts() == found.table["column"].value_counts().reindex(table["column"].unique())
    gaps = pd.DataFrame(_shown_gap(row, table, whole=bool(whole[row["column"]])) for row in gaps.to_dict("records"))
    shown = replace(found, table=numbers(table, "n", "n_positive", "n_called"), gaps=gaps, n=rounded(found.n),
                    n_events=rounded(found.n_events), n_excluded={}, notes=())  # fmt: skip
    figure = figures.plot_fairness(shown, measure=measure, mark=mark_of(panel.figure))
    sentence = " ".join(MAY_CONCLUDE[:2])
    if len(found.table) > len(table):
        sentence += " Groups with fewer than five N+ or five N0 are left out, and P with them."
    return panel._replace(figure=figure, table=table, sentence=sentence)


def _shown_gap(row: dict, table: pd.DataFrame, *, whole: bool) -> dict:
    """The gap between the numbers that are shown; P where every group is among them."""
    values = table.loc[table["column"] == row["column"], row["measure"]]
    gap = math.nan
    if values.notna().sum() > 1:
        high, low = float(values.max()), float(values.min())
        gap = (high / low if low > 0 else math.nan) if row["scale"] == "ratio" else high - low
    told = whole and bool(values.notna().all()) and not math.isnan(gap)
    return {
        "column": row["column"], "measure": row["measure"], "scale": row["scale"], "gap": short(gap, ".2f"),
        "low": math.nan, "high": math.nan, "p_value": short(row["p_value"], ".2g") if told else math.nan,
    }  # fmt: skip


POLICIES = {"centres_(auc|intercept|slope|oe_ratio)": centres, "fairness": fairness}
