"""A hundred patients as a hundred signs: what a share means, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import plotly.graph_objects as go

from onlm_lab.figures import theme

ACROSS = 20  # signs of a row


class Sign(NamedTuple):
    """How a kind of patient is drawn: a colour, and a shape that a black-and-white printer keeps."""

    colour: str
    shape: str


N_PLUS, MISSED = Sign(theme.STYLES[2].colour, "circle"), Sign(theme.STYLES[3].colour, "x")
NEEDLESS, SPARED = Sign(theme.STYLES[1].colour, "square"), Sign("#7f93a6", "circle-open")


def plot_hundred(
    counts: Mapping[str, int], *, signs: Mapping[str, Sign], title: str, subtitle: str = "", mark: str = ""
) -> go.Figure:
    """A sign a patient, kind after kind, row by row; the legend counts each kind.

    Args:
        counts: kind -> how many of 100; they add up to 100.
        signs: kind -> how it is drawn.
        title, subtitle: the question, and who they are.
        mark: words laid across the figure.

    Raises:
        ValueError: they do not add up to 100.
    """
    if sum(counts.values()) != 100:
        raise ValueError(f"a hundred patients were wanted, got {sum(counts.values())}")
    traces, begun = [], 0
    for kind, count in counts.items():
        places, sign = range(begun, begun + count), signs[kind]
        begun += count
        # A kind of nobody keeps its line in the legend: that it is 0 is a finding.
        x, y = ([k % ACROSS for k in places], [k // ACROSS for k in places]) if count else ([None], [None])
        traces.append({
            "type": "scatter", "mode": "markers", "x": x, "y": y, "name": f"{theme.safe(kind)}: {count}",
            "marker": {"color": sign.colour, "symbol": sign.shape, "size": 14,
                       "line": {"color": sign.colour, "width": 2 if sign.shape.endswith("-open") else 0}},
            "hovertemplate": f"{theme.safe(kind)}<extra></extra>",
        })  # fmt: skip
    layout = theme.layout_of(title=title, subtitle=subtitle, height=310, mark=mark)
    bare = {"visible": False, "fixedrange": True}
    layout |= {
        "xaxis": bare | {"range": [-0.8, ACROSS - 0.2]}, "yaxis": bare | {"range": [100 / ACROSS - 0.3, -0.7]},
        "margin": layout["margin"] | {"l": 14, "r": 14, "b": 76},
        "legend": layout["legend"] | {"itemclick": False, "itemdoubleclick": False},
    }  # fmt: skip
    return go.Figure(data=traces, layout=layout)
