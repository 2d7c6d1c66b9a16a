"""What is missing where: columns against centres, with the numbers on the tiles."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import label_of, level_words

ALL = "all"
# One hue from white to dark blue: read by lightness alone, so by every reader and in print.
SCALE = ((0.0, "#ffffff"), (0.25, "#c6dbef"), (0.5, "#6baed6"), (0.75, "#2171b5"), (1.0, "#08306b"))
DARK = 0.55  # from this share on the number is white
MOST_NUMBERS = 24  # groups beside which numbers on tiles can still be read


def plot_missing(missing: pd.DataFrame, *, names: dict[str, str] | None = None, mark: str = "") -> go.Figure:
    """A map of missing values: a row a column of the table, a column a centre, each tile the percentage missing.

    Args:
        missing: column, group ("all" is the sum), n, n_missing, fraction.
        names: column -> what the figure calls it; None: its name in words.
        mark: words laid across the figure.
    """
    names = names or {}
    columns = list(dict.fromkeys(missing["column"]))
    groups = list(dict.fromkeys(missing["group"]))
    sizes = missing.groupby("group", sort=False)["n"].max()  # a column may be asked of some patients only
    fraction = missing.pivot(index="column", columns="group", values="fraction").loc[columns, groups]
    counted = missing.pivot(index="column", columns="group", values="n_missing").loc[columns, groups]
    whole = counted[ALL] if ALL in counted else counted.sum(axis=1)
    n = int(sizes[ALL] if ALL in sizes else sizes.sum())
    some = int((whole > 0).sum())
    x = [_group_words(g, int(sizes[g])) for g in groups]
    y = [theme.safe(names.get(c, label_of(str(c)))) for c in columns]
    figure = theme.blank(
        title="What is missing, and where?",
        subtitle=f"{n:,} patients; {some} of {len(columns)} characteristics are missing in some; tiles: % missing, "
        "empty: none",
        height=170 + 26 * max(len(columns), 1), mark=mark,
    )  # fmt: skip
    text = [[_tile(f, int(k)) for f, k in zip(*rows, strict=True)]
            for rows in zip(fraction.to_numpy(), counted.to_numpy(), strict=True)]  # fmt: skip
    figure.add_heatmap(
        z=fraction.to_numpy(), x=list(range(len(groups))), y=list(range(len(columns))), zmin=0, zmax=1, xgap=2, ygap=2,
        colorscale=[list(step) for step in SCALE], customdata=counted.to_numpy(), name="missing",
        hovertext=[[f"{b}, {a.replace('<br>', ' ')}" for a in x] for b in y],
        hovertemplate="%{hovertext}: %{customdata:,} missing (%{z:.1%})<extra></extra>",
        colorbar={"tickformat": ".0%", "thickness": 12, "len": 0.9, "outlinewidth": 0},
    )  # fmt: skip
    if len(groups) <= MOST_NUMBERS:
        _add_numbers(figure, text, fraction)
    figure.update_xaxes(tickvals=list(range(len(groups))), ticktext=x, side="top", showgrid=False, ticks="",
                        range=[-0.5, len(groups) - 0.5])  # fmt: skip
    figure.update_yaxes(tickvals=list(range(len(columns))), ticktext=y, showgrid=False, ticks="",
                        range=[len(columns) - 0.5, -0.5])  # fmt: skip
    figure.update_layout(margin={"t": 118, "b": 20})
    if ALL in groups and len(groups) > 1:
        figure.add_shape(type="line", x0=0.5, x1=0.5, y0=-0.5, y1=len(columns) - 0.5,
                         line={"color": theme.INK, "width": 1.5})  # fmt: skip
    return figure


def _group_words(group: object, n: int) -> str:
    name = "All" if group == ALL else theme.safe(level_words(group))
    return f"{name}<br>n = {n:,}"


def _tile(fraction: float, count: int) -> str:
    """'12' percent; '<1' where it rounds to nothing but is not; empty where nothing is missing."""
    if pd.isna(fraction):
        return "–"
    if count == 0:
        return ""
    percent = 100 * fraction
    return "<1" if percent < 0.5 else ">99" if 99.5 <= percent < 100 else f"{percent:.0f}"


def _add_numbers(figure: go.Figure, text: Sequence[Sequence[str]], fraction: pd.DataFrame) -> None:
    """Dark numbers on light tiles, white on dark ones."""
    for dark, colour in ((False, theme.INK), (True, theme.SURFACE)):
        at = [(j, i) for i, row in enumerate(text) for j, said in enumerate(row)
              if said and (fraction.iat[i, j] >= DARK) == dark]  # fmt: skip
        if at:
            figure.add_scatter(
                x=[j for j, _ in at], y=[i for _, i in at], mode="text", text=[theme.safe(text[i][j]) for j, i in at],
                textfont={"color": colour, "size": 11}, hoverinfo="skip", showlegend=False, name="percent",
            )  # fmt: skip
