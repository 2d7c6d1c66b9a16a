"""What is found on a page of widgets."""

from __future__ import annotations

import ipywidgets as widgets


def every(widget, kind):
    """The widgets of a kind, the outermost first."""
    found = [widget] if isinstance(widget, kind) else []
    for child in getattr(widget, "children", ()):
        found += every(child, kind)
    return found


def html_of(widget):
    """All HTML of a page."""
    return " ".join(w.value for w in every(widget, widgets.HTML))


def control(page, cls, label):
    """The control under a label that begins so."""
    for box in every(page, widgets.VBox):
        if box.children and isinstance(box.children[0], widgets.Label) and box.children[0].value.startswith(label):
            return next(w for w in box.children if isinstance(w, cls))
    raise AssertionError(f"no control '{label}'")
