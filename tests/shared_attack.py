"""An attacker on shared pages: moves every control, reads every number that is shown, and looks for one to four."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import ipywidgets as widgets

from onlm_lab.app.shell import Card

COUNTS = {"n", "patients", "alone", "at_risk", "n_patients", "All", "All centres", "N0", "N+", "Missing"}
SHARES = {
    "sensitivity": "n_positive", "positive_fraction": "n_labelled", "fraction": "n", "ppv": "n_called",
    "observed": "n",
}  # fmt: skip
SAID = re.compile(
    r"(?P<a>\d[\d,]*) (?:patients|events|N\+|N0|excluded|undetermined|eligible|screened|left|competing|censored|deaths|"
    r"missing)|n\s=\s(?P<b>\d[\d,]*)|(?<![\d.])(?P<c>\d[\d,]*)/(?P<d>\d[\d,]*)(?![\d.])"
    r"|(?<![\d.])(?P<e>\d[\d,]*) of (?P<f>\d[\d,]*)(?![\d.]| characteristics| centres)"
    r"|<b>(?P<g>\d[\d,]*)</b> (?:screened|left|eligible)"
)


def all_of(widget: widgets.Widget, kind: type) -> list:
    """The widgets of a kind under one."""
    found = [widget] if isinstance(widget, kind) else []
    for child in getattr(widget, "children", ()):
        found += all_of(child, kind)
    return found


def views(page: widgets.Widget, *, tabs: tuple[str, ...]) -> Iterator[dict[str, dict]]:
    """What the page shows at every position of every control, one moved at a time, in every tab."""
    chooser = next(w for w in all_of(page, widgets.ToggleButtons) if set(tabs) <= {v for _, v in w.options})
    kinds = (widgets.Dropdown, widgets.ToggleButtons, widgets.SelectionSlider, widgets.SelectMultiple)
    for tab in tabs:
        chooser.value = tab
        yield shown(page)
        for control in (c for kind in kinds for c in all_of(page, kind) if c is not chooser):
            before = control.value
            for value in _positions(control):
                control.value = value
                yield shown(page)
            control.value = before
        for own in [b for b in all_of(page, widgets.ToggleButton) if "own" in b.description]:
            own.value = not own.value
            yield shown(page)
            own.value = not own.value


def _positions(control: widgets.Widget) -> list:
    values = [v if isinstance(v, str | int | float) else v[1] for v in control.options]
    return [(v,) for v in values] if isinstance(control, widgets.SelectMultiple) else values


def shown(page: widgets.Widget) -> dict[str, dict]:
    """Each shown card by its name, and under "" what stands beside the cards."""
    found: dict[str, dict] = {}
    for card in all_of(page, Card):
        view, said = card.children
        if card.layout.display == "none":
            continue
        drawn = view.layout.display != "none"
        found[view.name if drawn else f"refused: {said.value}"] = {
            "figure": _with_upon(view) if drawn and view.figure else {},
            "upon": view.upon if drawn else "{}",
            "table": json.loads(view.table) if drawn else {"columns": [], "rows": []},
            "text": [said.value, *([view.description, view.page] if drawn else [])],
        }
    inside = {id(w) for card in all_of(page, Card) for w in all_of(card, widgets.HTML)}
    beside = [w.value for w in all_of(page, widgets.HTML) if id(w) not in inside and "<style>" not in w.value]
    found[""] = {"figure": {}, "table": {"columns": [], "rows": []}, "text": beside}
    return found


def _with_upon(view: widgets.Widget) -> dict:
    """A figure with what is laid upon it."""
    figure, upon = json.loads(view.figure), json.loads(view.upon)
    return figure | {"data": [*figure.get("data", []), *upon.get("data", [])]}


def findings(seen: list[dict[str, dict]]) -> set[str]:
    """Where the attacker reads of one to four patients, straight or by subtraction; what was found, by card."""
    found: set[str] = set()
    across: dict[tuple, set[float]] = {}
    for view in seen:
        for name, card in view.items():
            for what, values in _numbers(card):
                found |= {f"{name}: {what} {v:g}" for v in values if _is_small(v)}
                across.setdefault((name, what), set()).update(values)
            found |= {f"{name}: {what}" for what in _steps(card)}
    for (name, what), values in across.items():  # neighbouring positions, and a total less what is shown of it
        ordered = sorted(values)
        found |= {f"{name}: {what} {b:g} - {a:g}" for a, b in pairwise(ordered)
                  if 0.5 < b - a < 4.5}  # fmt: skip
    return found


def _is_small(value: float) -> bool:
    return 0.5 < value < 4.5


def _numbers(card: dict) -> Iterator[tuple[str, list[float]]]:
    """The counts that a card shows: of its table, straight and as shares of it; of its figure; of its words."""
    columns, rows = card["table"]["columns"], card["table"]["rows"]
    rows = [row for row in rows if not str(row[0]).endswith("median (quartiles)")]  # of Table 1: no counts
    for column in columns:
        at = columns.index(column)
        if column in COUNTS or column.startswith("n_") or column in ("n0", "n1", "n2", "n3"):
            yield f"column {column}", [v for row in rows for v in _counts_of(row[at])]
        if column in SHARES and SHARES[column] in columns:
            of = columns.index(SHARES[column])
            yield (
                f"share {column}",
                [row[at] * n for row in card["table"]["rows"] if row[at] is not None for n in _counts_of(row[of])],
            )
    if "outcome" in columns:  # of 1,000 or of 100, with the number of all
        n = next((float(m[1].replace(",", "")) for t in _texts(card["figure"])
                  for m in re.finditer(r"n\s=\s([\d,]+)", t)), 0.0)  # fmt: skip
        for name in {"of_1000", "patients"} & set(columns):
            values = [row[columns.index(name)] for row in rows]
            yield f"{name} of n", [v * n / 1000 for v in values if v is not None]
    if "fpr" in columns:
        at = [columns.index(c) for c in ("fpr", "n", "n_positive")]
        told = [[row[i] for i in at] for row in rows]
        yield "share fpr", [_called(*t) for t in told if all(isinstance(v, int | float) for v in t)]
    if "year" in columns:
        yield "years", [v for row in rows for cell in row[1:] for v in _counts_of(cell)]
    for row in rows:  # what a row's total leaves when the others are taken off
        counts = [v for c, cell in zip(columns, row, strict=True) if c in COUNTS or c.startswith("n_")
                  for v in _counts_of(cell)]  # fmt: skip
        yield "left in a row", [a - b for a in counts for b in counts if a > b]
    for trace in card["figure"].get("data", []):
        if trace["type"] == "bar" and trace.get("name") not in ("per 1,000", "log odds"):
            side = "x" if trace.get("orientation") == "h" else "y"
            yield "bars", [float(v) for v in _array(trace[side])]
        if trace.get("name", "").endswith(("at risk", "sum")):
            yield (
                f"text of {trace['name']}",
                [float(v.replace(",", "")) for v in trace["text"] if v.strip() not in ("", "&lt;5")],
            )
        if trace.get("name", "").endswith(("tenths of risk", "quantiles of risk")):
            yield "groups", [float(v) for pair in _array(trace["customdata"]) for v in pair]
        if trace.get("name") in ("events", "confident mistakes"):
            yield "single points", [1.0]
    texts = [*card["text"], *_texts(card["figure"])]
    yield "words", [v for text in texts for v in _said(text)]


def _called(fpr: float, n: float, n_positive: float) -> float:
    """N0 called positive: n and N+ are rounded each, so that a reader knows N0 to five alone."""
    tried = [fpr * (n - n_positive + off) for off in (0, -5, 5)]
    return next((v for v in tried if abs(v - 5 * round(v / 5)) < 0.01), tried[0])


def _said(text: str) -> list[float]:
    text = text.replace("&lt;", "<").replace("\xa0", " ")
    found = []
    for match in SAID.finditer(text):
        if match["f"] == "1,000" or match["f"] == "100":
            continue
        if match.start() and text[match.start() - 1] == "<":
            continue  # "<5": what is said of few
        found += [float(n.replace(",", "")) for n in match.groups() if n]
    return found


def _texts(figure: object) -> Iterator[str]:
    if isinstance(figure, dict):
        for key, value in figure.items():
            if key not in ("template", "bdata"):
                yield from _texts(value)
    elif isinstance(figure, list):
        for value in figure:
            yield from _texts(value)
    elif isinstance(figure, str):
        yield figure


def _counts_of(cell: object) -> list[float]:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return [float(cell)]
    head = re.match(r"^([\d,]+)(?: \(|$)", str(cell or ""))
    return [float(head[1].replace(",", ""))] if head else []


def _array(values: object) -> list:
    if isinstance(values, dict):
        import base64

        import numpy as np

        flat = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
        return flat.reshape([int(n) for n in str(values["shape"]).split(",")] if "shape" in values else -1).tolist()
    return list(values)


def _steps(card: dict) -> Iterator[str]:
    """Curves of which a step is one to four patients."""
    columns, rows = card["table"]["columns"], card["table"]["rows"]
    name_of: Callable[[dict], str] = lambda trace: trace.get("name", "").split(":")[0]  # noqa: E731
    key, size = ("model_id", "n_positive") if "auc" in columns else ("group", "n" if "n" in columns else "n_patients")
    if key not in columns or size not in columns:
        return
    sizes = {str(r[columns.index(key)]): r[columns.index(size)] for r in rows}
    for trace in card["figure"].get("data", []):
        n = sizes.get(name_of(trace))
        if trace.get("mode") != "lines" or not isinstance(n, int | float) or trace["name"].endswith("limit"):
            continue
        heights = sorted({round(float(y), 6) for y in _array(trace["y"]) if y is not None})
        small = [b - a for a, b in pairwise(heights) if 0.5 < (b - a) * n < 4.5]
        if small:
            yield f"{len(small)} steps of curve {trace['name']}"
