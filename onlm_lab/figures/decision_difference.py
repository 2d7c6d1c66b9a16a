"""Is acting on one model worth more than acting on another?"""

from __future__ import annotations

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.decision import add_band, range_words
from onlm_lab.results import NetBenefitDifference


def plot_net_benefit_difference(
    comparison: NetBenefitDifference, *, threshold: float | None = None, mark: str = ""
) -> go.Figure:
    """Difference of net benefit against the threshold probability, with its paired band and the line of no difference.

    Args:
        comparison: model_a minus model_b; above 0, acting on model_a is worth more.
        threshold: a threshold to mark with a line.
        mark: words laid across the figure.
    """
    table, style = comparison.table, theme.STYLES[0]
    name = theme.safe(f"{comparison.model_a} − {comparison.model_b}")
    figure = theme.blank(
        title="Is acting on one model worth more than acting on the other?",
        subtitle=f"{name}; {theme.counts(comparison.n, comparison.n_events)}; band: {100 * comparison.level:.0f} % "
        f"interval, same patients; thresholds {range_words(table['threshold'])}"
        + (" · apparent" if comparison.apparent else ""),
        height=420, mark=mark,
    )  # fmt: skip
    figure.add_hline(y=0, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    add_band(figure, table, name=name, colour=style.colour, group=name)
    figure.add_scatter(
        x=table["threshold"], y=table["difference"], mode="lines", name=name, legendgroup=name, showlegend=False,
        customdata=table[["low", "high", "interventions_avoided", "share_better"]],
        line={"color": style.colour, "width": 2.2, "dash": style.dash},
        hovertemplate=f"{name}: %{{y:.4f}} (%{{customdata[0]:.4f}} to %{{customdata[1]:.4f}}) at %{{x:.0%}}<br>"
                      "%{customdata[2]:.1f} more work-ups avoided per 100<br>"
                      "worth more in %{customdata[3]:.0%} of the samples<extra></extra>",
    )  # fmt: skip
    if threshold is not None:
        red = theme.STYLES[3].colour
        figure.add_vline(x=threshold, line={"color": red, "width": 1.5},
                         annotation={"text": f"{threshold:.0%}", "font": {"color": red}})  # fmt: skip
    figure.update_xaxes(title_text="Threshold: act from this risk on (%)", tickformat=".0%")
    figure.update_yaxes(title_text="Difference (N+ found per patient)")
    return figure
