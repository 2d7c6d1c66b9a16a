"""What asks for news while somebody looks at a page: the browser, two or three times a second where work is going on.

A page that is closed or hidden asks nothing, so that its kernel rests and is ended in time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

GOING_MS, RESTING_MS = 400, 3000


class Pulse(anywidget.AnyWidget):
    """Calls `tell` while the page is open and seen; `every_ms`: how often."""

    _esm = Path(__file__).parent / "pulse.js"
    every_ms = traitlets.Int(RESTING_MS).tag(sync=True)

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()

        def asked(_: Any, content: Any, __: Any) -> None:
            if isinstance(content, dict) and content.get("kind") == "news":
                try:
                    tell()
                finally:
                    self.send({"kind": "told"})

        self.on_msg(asked)
