"""Whom does the new model move in the right direction? Secondary measures, as a forest."""

from __future__ import annotations

import plotly.graph_objects as go

from onlm_lab.figures import theme
from onlm_lab.figures.forest import draw_differences
from onlm_lab.results import Reclassification

_MEASURES = {
    "nri": "<b>NRI, categories</b>", "nri_events": "in N+ patients", "nri_nonevents": "in N0 patients",
    "nri_continuous": "<b>NRI, any change</b>", "nri_continuous_events": "in N+ patients",
    "nri_continuous_nonevents": "in N0 patients",
    "idi": "<b>IDI</b>", "idi_events": "in N+ patients", "idi_nonevents": "in N0 patients",
}  # fmt: skip


def plot_reclassification(found: Reclassification, *, mark: str = "") -> go.Figure:
    """NRI over categories, NRI over any change, and IDI, each with its parts in N+ and N0, around no difference.

    Args:
        found: model_b against model_a; right of 0, model_b moves patients in the right direction.
        mark: words laid across the figure.
    """
    cuts = ", ".join(f"{100 * c:g}" for c in found.cuts)
    figure = theme.blank(
        title="Whom does the new model move in the right direction?",
        subtitle=f"SECONDARY · {theme.safe(found.model_b)} against {theme.safe(found.model_a)}; "
        f"{theme.counts(found.n, found.n_events)}; cut at {cuts}{theme.PERCENT}; 95 % interval",
        height=150 + 30 * len(_MEASURES), mark=mark,
    )  # fmt: skip
    draw_differences(figure, [(words, getattr(found, name)) for name, words in _MEASURES.items()], digits=3)
    figure.update_xaxes(title_text="Towards the right side: share of patients (NRI), mean change of risk (IDI)")
    return figure
