"""A slider for each limit of a protocol; the chosen limit's is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import ipywidgets as widgets
from traitlets import dlink

from onlm_lab.app.cohort_state import CohortState
from onlm_lab.app.controls import labelled
from onlm_lab.panels.cohort import LIMITS

RANGES = {"min_age_years": (0.0, 90.0, 1.0), "min_kps": (0.0, 100.0, 10.0), "imaging_trigger_mm": (0.0, 60.0, 1.0)}
MOST_TRIED = 6


class Range(NamedTuple):
    """From where to where a limit is moved, and how finely."""

    low: float
    high: float
    step: float


def range_of(limit: str, *, current: float) -> Range:
    """Where a limit can be moved: known for the registration's; of others from 0 to twice what it is."""
    low, high, step = RANGES.get(limit, (0.0, 2 * abs(current) or 1.0, _step(current)))
    if limit not in RANGES and current < 0:
        low, high = -high, 0.0
    return Range(min(low, current), max(high, current), step)


def _step(current: float) -> float:
    """A tenth of the power of ten below: 0.1 for 3, 1 for 20."""
    return 10.0 ** (math.floor(math.log10(abs(current))) - 1) if current else 0.1


def values_to_try(value: float, *, current: float, span: Range) -> list[float]:
    """The values that the what-if is drawn at: from the protocol's to the chosen one, rising; both among them."""
    if value == current:
        around = [current + k * span.step for k in range(-2, 3)]
        return [v for v in around if span.low <= v <= span.high]
    steps = max(1, round(abs(value - current) / span.step))
    n = min(MOST_TRIED - 1, steps)
    between = [current + round(k * steps / n) * span.step * math.copysign(1, value - current) for k in range(n)]
    return sorted({*(round(v, 10) for v in between), current, value})


def limit_sliders(state: CohortState, *, limits: Mapping[str, float]) -> Sequence[widgets.Widget]:
    """One slider a limit, each linked to its place in `limit_values`.

    Args:
        state: its `limit_values` are moved; only the slider of its `limit` is shown.
        limits: name -> the protocol's value.
    """
    found: list[widgets.Widget] = []
    spans = {name: range_of(name, current=current) for name, current in limits.items()}
    state.offer(
        "limit_values",
        lambda tried: (
            tried.keys() == spans.keys() and all(spans[n].low <= v <= spans[n].high for n, v in tried.items())
        ),
    )
    for name, current in limits.items():
        span = spans[name]
        slider = widgets.FloatSlider(
            value=current, min=span.low, max=span.high, step=span.step, continuous_update=False,
            readout_format=".0f" if span.step >= 1 else ".3~g", layout={"width": "100%", "min_width": "0"},
        )  # fmt: skip
        slider.add_class("onlm-threshold")

        def moved(change: Mapping[str, object], name: str = name) -> None:
            state.limit_values = state.limit_values | {name: float(change["new"])}

        slider.observe(moved, "value")
        dlink((state, "limit_values"), (slider, "value"), lambda tried, name=name: tried[name])
        box = labelled(f"{LIMITS.get(name, name)}: {current:g} in the protocol", slider)
        dlink((state, "limit"), (box.layout, "display"), lambda chosen, name=name: None if chosen == name else "none")
        found.append(box)
    return found
