"""A figure or a printed card on a page: our own small widget around plotly.js.

plotly's FigureWidget brings 5 MB a figure over the websocket, is blank when it is changed before it is shown inside a
box in Voilà, and its import compiles grammars for seconds. Here the whole figure is built first and sent as JSON;
plotly.js is loaded once a page, from the server's static file where ONLM_PLOTLY names one, else from the kernel.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

BUNDLE_VARIABLE = "ONLM_PLOTLY"  # path of the served plotly.js below the base URL
TEXTS = {
    "table": "Table", "help": "How to read this", "svg": "Download this figure as SVG",
    "png": "Download this figure as PNG", "html": "Download this card as a page to print",
    "csv": "Download the table of this figure as CSV",
}  # fmt: skip
_HERE = Path(__file__).parent


class FigureView(anywidget.AnyWidget):
    """A figure with its table and downloads (SVG, PNG, CSV).

    Attributes:
        figure: the figure as plotly's JSON.
        upon: what is laid upon the figure and moves alone: {"data": [...], "shapes": [...], "annotations": [...]}.
        page: HTML in the figure's place, self-contained and escaped by whoever made it; its styles hold only inside.
        table: {"columns": [...], "rows": [[...]]} as JSON.
        name: stem of downloaded files.
        description: what a screen reader says.
        help: how to read it; empty: no such fold-out.
        language: of the page that it is saved as.
        texts: what its buttons say.
        opened: whether the table is open from the start.
        bundle: path of plotly.js below the server's base URL; empty: the kernel sends it.
    """

    _esm = _HERE / "figure_view.js"
    _css = _HERE / "figure_view.css"
    figure = traitlets.Unicode("").tag(sync=True)
    upon = traitlets.Unicode("{}").tag(sync=True)
    page = traitlets.Unicode("").tag(sync=True)
    table = traitlets.Unicode('{"columns": [], "rows": []}').tag(sync=True)
    name = traitlets.Unicode("figure").tag(sync=True)
    description = traitlets.Unicode("").tag(sync=True)
    help = traitlets.Unicode("").tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    texts = traitlets.Dict(TEXTS).tag(sync=True)
    opened = traitlets.Bool(False).tag(sync=True)
    bundle = traitlets.Unicode("").tag(sync=True)

    def __init__(self) -> None:
        super().__init__(bundle=os.environ.get(BUNDLE_VARIABLE, ""))
        self.on_msg(_answer)

    def on_click(self, chosen: Callable[[Any], None]) -> None:
        """Call `chosen` with the customdata of a mark that was clicked on."""

        def heard(_: Any, content: Any, __: Any) -> None:
            if isinstance(content, dict) and "clicked" in content:
                chosen(content["clicked"])

        self.on_msg(heard)


def plotly_bundle() -> Path:
    """plotly.js as it came with the plotly package."""
    import plotly

    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def table_json(table: pd.DataFrame) -> str:
    """A table as JSON; what is not a number or a text becomes text, what is missing null."""
    rows = [[_plain(v) for v in row] for row in table.itertuples(index=False, name=None)]
    return json.dumps({"columns": [str(c) for c in table.columns], "rows": rows}, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None if not (isinstance(value, float) and math.isinf(value)) else str(value)
    return value if isinstance(value, int | float | str | bool) else str(value)


def _answer(view: FigureView, content: dict[str, Any], buffers: list[Any]) -> None:
    if content.get("kind") == "plotly":
        view.send({"kind": "plotly"}, buffers=[plotly_bundle().read_bytes()])
