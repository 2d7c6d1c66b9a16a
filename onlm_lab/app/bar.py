"""The bar over a served page: the other pages, a link to this view, print, language."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

_HERE = Path(__file__).parent


class Bar(anywidget.AnyWidget):
    """Links and the address. The browser tells by message what its address says; `fragment` is what it shall say.

    Attributes:
        links: {"label", "href", "here"} of every page.
        common: what every link carries behind its #: study, run, language.
        fragment: what stands behind the # of this page's address.
        heard: number of the newest address that `fragment` answers; the browser writes no answer to an older one.
        language, languages: the present one, and {"value", "label"} of each.
        texts: what its buttons say.
    """

    TEXTS: ClassVar[dict[str, str]] = {
        "pages": "Pages", "copy": "Copy link to this view", "copied": "Link copied", "print": "Print",
        "language": "Language",
    }  # fmt: skip
    _esm = _HERE / "bar.js"
    _css = _HERE / "bar.css"
    links = traitlets.List().tag(sync=True)
    common = traitlets.Unicode("").tag(sync=True)
    fragment = traitlets.Unicode("").tag(sync=True)
    heard = traitlets.Int(0).tag(sync=True)
    language = traitlets.Unicode("en").tag(sync=True)
    languages = traitlets.List().tag(sync=True)
    texts = traitlets.Dict(TEXTS).tag(sync=True)

    def on_address(self, follow: Callable[[str], None]) -> None:
        """Call `follow` with what the browser's address says behind its #: at first, and when somebody changes it."""

        def heard(_: Any, content: Any, __: Any) -> None:
            if not isinstance(content, dict) or not isinstance(content.get("address"), str):
                return
            number = content.get("number")
            with self.hold_sync():  # the answer and its number in one message
                follow(content["address"])
                if isinstance(number, int):
                    self.heard = number

        self.on_msg(heard)
