"""Tabs of cards that are built when they are first opened, each with its own controls on the left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import ipywidgets as widgets

from onlm_lab.app import controls, shell
from onlm_lab.app.state import Choices

EVERY_TAB = ""  # controls that hold for every tab


class Tabbed(NamedTuple):
    """The parts of a page with tabs: what goes to the left, and what goes into the main part."""

    left: Sequence[widgets.Widget]
    main: Sequence[widgets.Widget]


def tabbed(
    state: Choices,
    *,
    makers: Mapping[str, Callable[[], Sequence[shell.Card]]],
    sides: Sequence[tuple[Sequence[str], widgets.Widget]],
    before: Callable[[], None] | None = None,
) -> Tabbed:
    """Tabs that follow `state.tab`, and cards that are drawn again when what they depend on changes.

    Args:
        state: has `tab`, which names one of `makers`.
        makers: tab -> what makes its cards, in the order in which they flow.
        sides: controls with the tabs for which they hold; (EVERY_TAB,) for all.
        before: done first whenever something was chosen, such as drawing the tiles.
    """
    built: dict[str, widgets.Widget] = {}
    place = widgets.VBox(layout={"min_width": "0"})
    place.add_class("onlm-place")

    def redraw(_: object = None) -> None:
        tab = state.tab
        if before is not None:
            before()
        if tab not in built:
            cards = list(makers[tab]())
            for card in cards:
                card.language = state.language
            built[tab] = shell.grid(cards, css_class="onlm-cards")
        for card in built[tab].children:
            card.refresh()
        if place.children != (built[tab],):
            place.children = (built[tab],)
        for names, box in sides:
            box.layout.display = None if tab in names or EVERY_TAB in names else "none"

    tabs = controls.buttons(state, name="tab", options={tab: tab for tab in makers})
    tabs.add_class("onlm-tabs")
    redraw()
    state.observe(redraw)
    return Tabbed([box for _, box in sides], [tabs, place])
