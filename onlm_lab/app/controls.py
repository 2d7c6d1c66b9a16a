"""The controls of a page, each linked to one thing that ViewState holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets
from traitlets import dlink, link

from onlm_lab.app.state import Choices, ViewState
from onlm_lab.figures import theme
from onlm_lab.panels import patients

HORIZONS = {"1 year": 365, "2 years": 730, "3 years": 1095, "5 years": 1826}
THRESHOLD = "Threshold: positive from a risk of (%)"
NOWHERE = -1.0  # where a slider without positions stands
_FULL = {"width": "100%", "min_width": "0"}


def choice(state: Choices, *, name: str, label: str, options: Mapping[str, object]) -> widgets.Widget:
    """A drop-down for one trait; `options` maps what is shown to what is chosen."""
    state.offer(name, options.values())
    box = widgets.Dropdown(options=_said(state, options), value=getattr(state, name), layout=_FULL)
    link((state, name), (box, "value"))
    return labelled(state.say(label), box)


def several(state: Choices, *, name: str, label: str, options: Mapping[str, object], rows: int) -> widgets.Widget:
    """A list from which several are chosen."""
    state.offer(name, options.values())
    box = widgets.SelectMultiple(
        options=_said(state, options), value=getattr(state, name), rows=rows, layout=_FULL | {"height": "auto"}
    )
    link((state, name), (box, "value"))
    return labelled(state.say(label), box, hint=state.say("Ctrl or Shift for several"))


def buttons(state: Choices, *, name: str, options: Mapping[str, str], label: str = "") -> widgets.Widget:
    """One button an option, the chosen one pressed."""
    state.offer(name, options.values())
    box = widgets.ToggleButtons(options=_said(state, options), value=getattr(state, name), layout=_FULL)
    box.style.button_width = "auto"
    link((state, name), (box, "value"))
    box.add_class("onlm-buttons")
    return labelled(state.say(label), box) if label else box


def threshold_slider(
    state: ViewState, *, own_fraction: float, top_fraction: float, grid: Callable[[], Sequence[float]] | None = None
) -> widgets.Widget:
    """A slider in percent of risk, and the way back to the study's own thresholds.

    Args:
        state: its `threshold` is moved; None means the study's own.
        own_fraction: where the slider stands while the study's own thresholds hold.
        top_fraction: the slider's right end.
        grid: gives the only positions for the chosen model, on a shared page; None: steps of half a percent.
    """
    if grid is not None:
        return _threshold_steps(state, own_fraction=own_fraction, grid=grid)
    own = round(100 * own_fraction, 1)
    slider = widgets.FloatSlider(
        value=own, min=0.5, max=round(100 * top_fraction, 1), step=0.5,
        continuous_update=False, readout_format=".1f", layout=_FULL,
    )  # fmt: skip
    slider.add_class("onlm-threshold")
    back = _own_button(state)

    state.offer("threshold", lambda value: value is None or 0 < value < 1)

    def moved(change: Mapping[str, object]) -> None:
        state.threshold = float(change["new"]) / 100

    def pressed(change: Mapping[str, object]) -> None:
        if change["new"] != (state.threshold is None):  # else nobody pressed it: it follows, such as a link
            state.threshold = None if change["new"] else slider.value / 100

    def follow(change: Mapping[str, object]) -> None:
        # Without it the slider would go on naming a threshold that no longer holds, or not the one that a link named.
        slider.unobserve(moved, "value")
        slider.value = own if change["new"] is None else round(100 * change["new"], 1)
        slider.observe(moved, "value")

    slider.observe(moved, "value")
    state.observe(follow, "threshold")
    back.observe(pressed, "value")
    return labelled(state.say(THRESHOLD), slider, back)


def _own_button(state: ViewState) -> widgets.ToggleButton:
    back = widgets.ToggleButton(
        description=state.say("Study's own thresholds"), value=state.threshold is None, layout=_FULL
    )
    back.add_class("onlm-own")
    dlink((state, "threshold"), (back, "value"), lambda t: t is None)
    return back


def _threshold_steps(
    state: ViewState, *, own_fraction: float, grid: Callable[[], Sequence[float]]
) -> widgets.Widget:  # fmt: skip
    """The slider of a shared page: it, and whatever else sets the threshold, stands at the model's grid alone."""
    slider = widgets.SelectionSlider(options=[("–", NOWHERE)], continuous_update=False, layout=_FULL)
    slider.add_class("onlm-threshold")
    back = _own_button(state)
    state.offer("threshold", lambda value: value is None or 0 < value < 1)  # it settles on the nearest position

    def moved(change: Mapping[str, object]) -> None:
        state.threshold = None if change["new"] == NOWHERE else change["new"]

    def pressed(change: Mapping[str, object]) -> None:
        if change["new"] != (state.threshold is None):  # else it follows, as above
            state.threshold = None if change["new"] or slider.value == NOWHERE else slider.value

    def settle(_: object = None) -> None:
        positions = tuple(grid())
        wanted = own_fraction if state.threshold is None else state.threshold
        nearest = min(positions, key=lambda t: abs(t - wanted), default=None)
        if state.threshold is not None:
            state.threshold = nearest
        slider.unobserve(moved, "value")
        options = tuple((f"{100 * t:.1f}", t) for t in positions) or (("too few patients", NOWHERE),)
        if slider.options != options:
            slider.options = options
        slider.value = NOWHERE if nearest is None else nearest
        slider.disabled = back.disabled = not positions
        slider.observe(moved, "value")

    slider.observe(moved, "value")
    settle()
    state.observe(settle, ["model", "threshold"])
    back.observe(pressed, "value")
    return labelled(state.say(THRESHOLD), slider, back)


def _said(state: Choices, options: Mapping[str, object]) -> list[tuple[str, object]]:
    return [(state.say(label), value) for label, value in options.items()]


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


def stack(controls: Sequence[widgets.Widget]) -> widgets.Widget:
    """Controls under each other."""
    return widgets.VBox(list(controls), layout={"min_width": "0", "grid_gap": "14px", "overflow": "visible"})


def horizon_options(own_days: int) -> dict[str, int]:
    """Days at which outcomes are read: whole years, and the study's own."""
    return HORIZONS | ({} if own_days in HORIZONS.values() else {theme.years(own_days): own_days})


def arm_options(arms: Sequence[str]) -> dict[str, str]:
    """Arms as a button names them."""
    return {f"{patients.ARMS[a][:1].upper()}{patients.ARMS[a][1:]}": a for a in arms}
