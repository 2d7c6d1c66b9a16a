"""Pictures of the lessons that no other page has: two groups of patients on one scale, and a hundred patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.hundred import MISSED, N_PLUS, NEEDLESS, SPARED, plot_hundred

N_BINS = 25
SIGNS = {
    "N+ called positive": N_PLUS, "N+ missed": MISSED, "N0 called positive": NEEDLESS, "N0 left alone": SPARED,
}  # fmt: skip


def plot_two_groups(rows: pd.DataFrame, *, title: str, subtitle: str = "", threshold: float | None = None) -> go.Figure:
    """How the risks of N+ and of N0 patients lie: for each group the share of its patients in each step of risk.

    Args:
        rows: risk and onlm.
        title, subtitle: the question, and who they are.
        threshold: a line to draw.
    """
    edges = np.linspace(0, 1, N_BINS + 1)
    figure = theme.blank(title=title, subtitle=subtitle, height=350, mark=theme.MADE_UP)
    tallest = 0.0
    for onlm, name, style in ((0, "N0", theme.STYLES[0]), (1, "N+", theme.STYLES[3])):
        of_group = rows.loc[rows["onlm"] == onlm, "risk"].to_numpy()
        share = np.histogram(of_group, bins=edges)[0] / max(len(of_group), 1)
        tallest = max(tallest, float(share.max()))
        figure.add_scatter(
            x=np.repeat(edges, 2)[1:-1], y=np.repeat(share, 2), mode="lines",
            name=f"{name}: {len(of_group):,} patients", fill="tozeroy", fillcolor=theme.faint(style.colour),
            line={"color": style.colour, "dash": style.dash},
            hovertemplate=f"{name}: %{{y:.1%}} of them at this risk<extra></extra>",
        )  # fmt: skip
    if threshold is not None:
        figure.add_shape(theme.straight(x=threshold, color=theme.INK, dash="solid"))
    figure.update_xaxes(title_text="Predicted risk of N+ (%)", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title_text="Share of the group (%)", tickformat=".0%", range=[0, 1.1 * max(tallest, 0.01)])
    return figure


def hundred(shares: Mapping[str, float], *, title: str, subtitle: str = "") -> tuple[go.Figure, dict[str, int]]:
    """A hundred patients as signs, and how many of each kind.

    Args:
        shares: kind of SIGNS -> its share; they add up to 1.
        title, subtitle: the question, and who they are.
    """
    counts = whole_hundred(shares)
    return plot_hundred(counts, signs=SIGNS, title=title, subtitle=subtitle, mark=theme.MADE_UP), counts


def whole_hundred(shares: Mapping[str, float]) -> dict[str, int]:
    """Shares as whole patients of 100: rounded down, and those that lost most get the patients left over."""
    exact = {kind: 100 * share for kind, share in shares.items()}
    counts = {kind: int(value + 1e-9) for kind, value in exact.items()}
    for kind in sorted(exact, key=lambda kind: counts[kind] - exact[kind])[: 100 - sum(counts.values())]:
        counts[kind] += 1
    return counts
