"""Does one model find more N+ patients, or spare more N0, than the other?"""

from __future__ import annotations

import math

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import draw_differences
from onlm_lab.results import OperatingComparison

_WORDS = {"sensitivity": ("Sensitivity", "N+ found"), "specificity": ("Specificity", "N0 spared")}


def plot_operating_differences(comparison: OperatingComparison, *, mark: str = "") -> go.Figure:
    """Differences of sensitivity and specificity with their paired intervals, discordant patients and mid-P.

    Args:
        comparison: model_a minus model_b, each at its threshold; right of 0, model_a decides better.
        mark: words laid across the figure.
    """
    lines = []
    for row in comparison.table.to_dict("records"):
        name, found = _WORDS[row["measure"]]
        p = theme.p_value(row["p_mid"])
        said = f"{found} by only one: {row['n_only_a']} against {row['n_only_b']}{f', mid-{p}' if p else ''}"
        lines.append((f"<b>{name}</b><br>{said}", getattr(comparison, row["measure"])))
    at = [
        f"{theme.safe(model)} at {'its own threshold' if math.isnan(t) else f'risk ≥ {t:.3f}'}"
        for model, t in ((comparison.model_a, comparison.threshold_a), (comparison.model_b, comparison.threshold_b))
    ]
    level = 100 * comparison.sensitivity.level
    figure = theme.blank(
        title="Does one model decide better, in the same patients?",
        subtitle=f"{at[0]} − {at[1]}; {theme.counts(comparison.n, comparison.n_events)}; {level:.0f} % interval"
        + (" · apparent" if comparison.apparent else ""),
        height=270, mark=mark,
    )  # fmt: skip
    draw_differences(figure, lines)
    figure.update_xaxes(title_text="Difference (percentage points)", tickformat=".0%")
    return figure
