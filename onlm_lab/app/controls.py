"""The controls of a page, each linked to one thing that ViewState holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
from traitlets import dlink, link

from onlm_lab.app.state import ViewState

_FULL = {"width": "100%", "min_width": "0"}


def choice(state: ViewState, *, name: str, label: str, options: Mapping[str, str]) -> widgets.Widget:
    """A drop-down for one trait; `options` maps what is shown to what is chosen."""
    box = widgets.Dropdown(options=list(options.items()), value=getattr(state, name), layout=_FULL)
    link((state, name), (box, "value"))
    return labelled(label, box)


def several(state: ViewState, *, name: str, label: str, options: Mapping[str, object], rows: int) -> widgets.Widget:
    """A list from which several are chosen."""
    box = widgets.SelectMultiple(
        options=list(options.items()), value=getattr(state, name), rows=rows, layout=_FULL | {"height": "auto"}
    )
    link((state, name), (box, "value"))
    return labelled(label, box, hint="Ctrl or Shift for several")


def buttons(state: ViewState, *, name: str, options: Mapping[str, str], label: str = "") -> widgets.Widget:
    """One button an option, the chosen one pressed."""
    box = widgets.ToggleButtons(options=list(options.items()), value=getattr(state, name), layout=_FULL)
    box.style.button_width = "auto"
    link((state, name), (box, "value"))
    box.add_class("onlm-buttons")
    return labelled(label, box) if label else box


def threshold_slider(state: ViewState, *, own_fraction: float, top_fraction: float) -> widgets.Widget:
    """A slider in percent of risk, and the way back to the study's own thresholds.

    Args:
        state: its `threshold` is moved; None means the study's own.
        own_fraction: where the slider stands while the study's own thresholds hold.
        top_fraction: the slider's right end.
    """
    own = round(100 * own_fraction, 1)
    slider = widgets.FloatSlider(
        value=own, min=0.5, max=round(100 * top_fraction, 1), step=0.5,
        continuous_update=False, readout_format=".1f", layout=_FULL,
    )  # fmt: skip
    slider.add_class("onlm-threshold")
    back = widgets.ToggleButton(description="Study's own thresholds", value=state.threshold is None, layout=_FULL)
    back.add_class("onlm-own")

    def moved(change: Mapping[str, object]) -> None:
        state.threshold = float(change["new"]) / 100

    def pressed(change: Mapping[str, object]) -> None:
        state.threshold = None if change["new"] else slider.value / 100

    def rest(change: Mapping[str, object]) -> None:
        if change["new"] is None:  # else the slider would go on naming a threshold that no longer holds
            slider.unobserve(moved, "value")
            slider.value = own
            slider.observe(moved, "value")

    slider.observe(moved, "value")
    state.observe(rest, "threshold")
    back.observe(pressed, "value")
    dlink((state, "threshold"), (back, "value"), lambda t: t is None)
    return labelled("Threshold: positive from a risk of (%)", slider, back)


def labelled(label: str, *controls: widgets.Widget, hint: str = "") -> widgets.Widget:
    """Controls under their label."""
    title = widgets.Label(label)
    title.add_class("onlm-label")
    parts: Sequence[widgets.Widget] = [title, *controls]
    for control in controls:
        if hasattr(control, "tooltip"):
            control.tooltip = f"{label}. {hint}" if hint else label
    box = widgets.VBox(parts, layout=_FULL)
    box.add_class("onlm-control")
    return box
