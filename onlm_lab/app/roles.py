"""What a screen reader and a printed sheet need of a page: landmarks, tabs, names, what changed, what was chosen."""

from __future__ import annotations

from pathlib import Path

import anywidget


class Roles(anywidget.AnyWidget):
    """Stands unseen in a page and gives the page's parts their roles, in JupyterLab and in Voilà.

    ipywidgets has no tabs of buttons, no names for sliders, no landmarks: they are set in the browser, from what stands
    on the page in the reader's language. A line for screen readers says the sentences that changed after a control was
    moved; a line that only paper shows says what was chosen.
    """

    _esm = Path(__file__).parent / "roles.js"
