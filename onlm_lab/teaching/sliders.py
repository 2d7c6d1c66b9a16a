"""What a student moves: sliders and menus. While the kernel draws, the newest place waits; older ones are skipped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import traitlets

from onlm_lab.errors import OnlmError

_HERE = Path(__file__).parent


class Slider(NamedTuple):
    """A number to move.

    Attributes:
        name: under which `draw` gets it.
        label: what stands above it.
        low, high, step, value: from where to where, how finely, and where it begins.
        unit: "%" for a fraction that is shown in percent; else words behind the number.
        digits: decimals that are shown.
    """

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    unit: str = ""
    digits: int = 0


class Menu(NamedTuple):
    """A choice to make: `options` maps the value that `draw` gets to the words that are shown."""

    name: str
    label: str
    options: Mapping[str, str]
    value: str


class Sliders(anywidget.AnyWidget):
    """Sliders and menus of the browser's own, so that keyboards and screen readers know them.

    Attributes:
        controls: what is shown of each.
        values: name -> where it stands.
        answered: number of the newest move that was drawn; the browser sends the next one then.
    """

    _esm = _HERE / "sliders.js"
    _css = _HERE / "teaching.css"
    controls = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)

    def __init__(self, controls: Sequence[Slider | Menu], *, moved: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__()
        self._known, self._moved = {one.name: one for one in controls}, moved
        self.controls = [
            {"kind": "slider", **one._asdict()}
            if isinstance(one, Slider)
            else {"kind": "menu", **one._asdict(), "options": [list(pair) for pair in one.options.items()]}
            for one in controls
        ]
        self.values = {one.name: one.value for one in controls}
        self.on_msg(self._heard)

    def move(self, name: str, value: Any) -> None:
        """Move one as a student does.

        Raises:
            OnlmError: there is no such slider, or it does not reach there.
        """
        if name not in self._known:
            raise OnlmError(f"There is no slider '{name}'; there are {', '.join(self._known)}.")
        one = self._known[name]
        if not self._reaches(one, value):
            raise OnlmError(f"'{name}' does not reach {value!r}.")
        self.values = {**self.values, name: value}
        self._moved(self.values)

    @staticmethod
    def _reaches(one: Slider | Menu, value: Any) -> bool:
        if isinstance(one, Menu):
            return value in one.options
        return isinstance(value, int | float) and one.low - 1e-9 <= value <= one.high + 1e-9

    def _heard(self, _: Any, content: Any, __: Any) -> None:
        if not isinstance(content, dict) or content.get("kind") != "moved":
            return
        values, number = content.get("values"), content.get("number")
        if isinstance(values, dict) and isinstance(number, int):
            known = {k: v for k, v in values.items() if k in self._known and self._reaches(self._known[k], v)}
            try:
                self.values = {**self.values, **known}
                self._moved(self.values)
            finally:
                self.answered = number
