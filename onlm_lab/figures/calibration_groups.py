"""In whom do predicted risks mean what they say? The smooth curve of each level of a column."""

from __future__ import annotations

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.subgroup import label_of, level_words
from onlm_lab.results import CalibrationByGroup, Estimate

MOST = 6  # levels that colours and dashes tell apart


def plot_calibration_by(result: CalibrationByGroup, *, mark: str = "") -> go.Figure:
    """Observed share of N+ against predicted risk in each level; slope and O:E in the legend, bands for the first.

    The six levels with most patients are drawn; the others, and those with too few patients, are counted in the
    subtitle.

    Args:
        result: the result of `calibration_by`.
        mark: words laid across the figure.
    """
    drawn = [name for name in result.table["level"] if (result.curve["level"] == name).any()]
    kept = result.table[result.table["level"].isin(drawn)].nlargest(MOST, "n")["level"].tolist()
    names = [name for name in drawn if name in kept]
    left_out = len(result.table) - len(names)
    others = f"; {left_out} of {len(result.table)} levels not drawn" if left_out else ""
    column = theme.safe(label_of(result.column))
    figure = theme.blank(
        title=f"{column}: in whom do predicted risks mean what they say?",
        subtitle=f"{theme.safe(result.model_id)}; {theme.counts(result.n, result.n_events)}; "
        f"{theme.band_words(len(names)).replace('models', 'levels')}{others}",
        height=510, mark=mark,
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="perfect calibration", hoverinfo="skip", showlegend=False,
        line={"color": theme.QUIET, "width": 1, "dash": "dot"},
    )  # fmt: skip
    table = result.table.set_index("level")
    for i, name in enumerate(names):
        curve = result.curve[result.curve["level"] == name]
        _add_level(figure, curve, table.loc[name], name=theme.safe(level_words(name)), style=theme.STYLES[i],
                   with_band=i < theme.MOST_BANDS)  # fmt: skip
    shown = result.curve[result.curve["level"].isin(names)][["risk", "observed"]]
    top = min(1.0, 1.08 * max(0.05, float(shown.max().max()))) if len(shown.dropna()) else 1.0
    figure.update_xaxes(title_text="Predicted risk of N+ (%)", tickformat=".0%", range=[0, top])
    figure.update_yaxes(title_text="Observed share of N+ (%)", tickformat=".0%", range=[0, top])
    return figure


def _add_level(
    figure: go.Figure, curve: object, row: object, *, name: str, style: theme.Style, with_band: bool
) -> None:
    shared = {"legendgroup": name, "hoverinfo": "skip", "mode": "lines", "showlegend": False, "line": {"width": 0}}
    band = curve.dropna(subset=["low", "high"])
    if with_band and len(band):
        figure.add_scatter(x=band["risk"], y=band["low"], name=f"{name}, lower limit", **shared)
        figure.add_scatter(x=band["risk"], y=band["high"], name=f"{name}, upper limit", fill="tonexty",
                           fillcolor=theme.faint(style.colour, alpha=0.08), **shared)  # fmt: skip
    slope, ratio = (
        theme.with_interval(Estimate(row[m], row[f"{m}_low"], row[f"{m}_high"])) for m in ("slope", "oe_ratio")
    )
    figure.add_scatter(
        x=curve["risk"], y=curve["observed"], mode="lines", legendgroup=name,
        name=f"{name} ({int(row['n_positive'])}/{int(row['n'])}): slope {slope},<br>O:E {ratio}",
        line={"color": style.colour, "width": 2.2, "dash": style.dash},
        hovertemplate=f"{name}: predicted %{{x:.1%}}, observed %{{y:.1%}}<extra></extra>",
    )  # fmt: skip
