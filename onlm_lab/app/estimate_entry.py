"""Where a reader gives a probability: blank until it is touched, so that no default draws the estimate to itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

_HERE = Path(__file__).parent


class EstimateEntry(anywidget.AnyWidget):
    """A number box and a scale from 0 to 100 percent that move together, a clock, and the button that saves.

    What is saved comes in one message with the number of the case that was on the screen. Values sent one by one while
    they are typed could still be on their way when the button is pressed, and the kernel would save the one before;
    a second press, meant for this case, could be taken for the next.

    Attributes:
        label: what is asked.
        action: the words of the button.
        closed: nothing can be saved.
        case: set to another number, the clock begins at 0 anew and the box is blank again.
        answered: how many messages were dealt with; the page says so when none comes back.
    """

    _esm = _HERE / "estimate_entry.js"
    _css = _HERE / "estimate_entry.css"
    SAID: ClassVar[tuple[str, ...]] = ("label", "action")  # in the reader's language
    label = traitlets.Unicode("").tag(sync=True)
    action = traitlets.Unicode("").tag(sync=True)
    closed = traitlets.Bool(False).tag(sync=True)
    case = traitlets.Int(0).tag(sync=True)
    answered = traitlets.Int(0).tag(sync=True)

    def on_save(self, act: Callable[[float], None]) -> None:
        """Call `act` with the probability, 0 to 1, whenever the reader saves one for the case on the screen."""

        def heard(_: object, content: Mapping[str, Any], __: object) -> None:
            percent = content.get("value")
            known = isinstance(percent, int | float) and not isinstance(percent, bool) and math.isfinite(percent)
            if content.get("kind") != "save" or content.get("case") != self.case or self.closed:
                return
            if known and 0 <= percent <= 100:
                act(percent / 100)
            self.answered += 1

        self.on_msg(heard)
