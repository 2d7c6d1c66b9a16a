"""A figure that follows what a student moves, with a sentence that says what is seen."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ipywidgets as widgets
import pandas as pd
import plotly.graph_objects as go

from onlm_lab.app.figure_view import FigureView, table_json
from onlm_lab.errors import OnlmError
from onlm_lab.teaching.sliders import Menu, Slider, Sliders


class Drawn(NamedTuple):
    """What one place of the sliders shows: the figure, the sentence below it, and the table behind it (None: where the
    sliders stand, and the sentence)."""

    figure: go.Figure
    sentence: str
    table: pd.DataFrame | None = None


class Explorer(widgets.VBox):
    """Sliders above a figure above a sentence. `move` moves one as a student does; `sentence` is what is said now."""

    def __init__(self, draw: Callable[..., Drawn], *, controls: Sequence[Slider | Menu], name: str) -> None:
        """An explorer, drawn at once.

        Args:
            draw: called with each control's value under its name; a second at the most.
            controls: what is moved.
            name: stem of downloaded files.
        """
        self._draw, self._figure, self._said, self.sentence = draw, FigureView(), widgets.HTML(), ""
        self._figure.name = name
        self._sliders = Sliders(controls, moved=self._show)
        super().__init__([self._sliders, self._figure, self._said], layout={"min_width": "0"})
        self.add_class("onlm-explorer")
        self._show(self._sliders.values)

    def move(self, name: str, value: Any) -> str:
        """Move a slider or choose of a menu; returns the sentence that is said then."""
        self._sliders.move(name, value)
        return self.sentence

    @property
    def figure(self) -> dict[str, Any]:
        """The figure as it stands now, in plotly's words."""
        return json.loads(self._figure.figure)

    def _show(self, values: Mapping[str, Any]) -> None:
        try:
            drawn = self._draw(**values)
        except OnlmError as error:
            self._say(str(error))
            return
        with self._figure.hold_sync():
            self._figure.figure = drawn.figure.to_json()
            self._figure.description = drawn.sentence
            said = pd.DataFrame([{**values, "what_is_seen": drawn.sentence}])
            self._figure.table = table_json(said if drawn.table is None else drawn.table)
        self._say(drawn.sentence)

    def _say(self, sentence: str) -> None:
        self.sentence = sentence
        self._said.value = f"<p class='onlm-told' role='status'>{html.escape(sentence)}</p>"
