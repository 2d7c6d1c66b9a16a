"""What every result has in common: an estimate with its interval; tables that nobody downstream can change."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, dataclass_transform

import pandas as pd

from onlm_lab.showing import Said, in_words, shows_itself


@shows_itself
@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes:
        value: the point estimate; NaN where it cannot be computed (then `note` says why).
        low, high: limits of the interval at `level`; NaN where there is none.
        level: coverage of the interval, 0.95 unless told.
        method: how the interval was made, such as "DeLong", "Wilson".
        note: what a reader must know; empty when nothing.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    level: float = 0.95
    method: str = ""
    note: str = ""

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"not estimated ({self.note})" if self.note else "not estimated"
        if math.isnan(self.low) and math.isnan(self.high):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def _said(self) -> Said:
        level = f"{100 * self.level:g} % interval" if not math.isnan(self.low) else ""
        how = ", ".join(part for part in (level, self.method) if part)
        told = f"{self}; {how}" if how and not math.isnan(self.value) else str(self)
        return Said(told, notes=(self.note,) if self.note and not math.isnan(self.value) else ())


@dataclass_transform(frozen_default=True, eq_default=False)
def result(cls: type) -> type:
    """Make a class a frozen result: tables and counts copied on access; `digest`, `to_dict()`, HTML of `showing`."""
    cls = dataclass(frozen=True, eq=False, repr=False)(cls)
    copied = frozenset(
        f.name for f in fields(cls) if f.type in ("pd.DataFrame", pd.DataFrame, "dict[str, int]", dict[str, int])
    )
    plain = object.__getattribute__

    def read(self: Any, name: str) -> Any:
        value = plain(self, name)
        return value.copy() if name in copied and value is not None else value

    cls.__getattribute__ = read
    cls.to_dict = _to_dict
    cls.digest = property(_digest)
    cls._said = _said
    return shows_itself(cls)


def plain_values(value: Any) -> Any:
    """A value as JSON knows it: NaN and infinities become None, tables become lists of records."""
    if is_dataclass(value):
        return {f.name: plain_values(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, pd.DataFrame):
        return [{str(k): plain_values(v) for k, v in row.items()} for row in value.to_dict("records")]
    if isinstance(value, dict):
        return {str(k): plain_values(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(v) for v in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _to_dict(self: Any) -> dict[str, Any]:
    """This result as plain JSON-ready values, keyed by field name."""
    return {f.name: plain_values(getattr(self, f.name)) for f in fields(self)}


def _digest(self: Any) -> str:
    text = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


_FIRST = ("model_id", "model_a", "model_b", "endpoint", "chosen", "n", "n_events")
_TELLING = ("auc", "oe_ratio", "slope", "difference", "hazard_ratio")  # said first of the estimates
_WORDS = {"model_id": "model", "n_events": "events"}


def _said(self: Any) -> Said:
    """Every field: numbers in a table, tables and results within it folded away, notes as sentences."""
    facts: dict[str, Any] = {}
    tables: dict[str, pd.DataFrame] = {}
    notes = list(getattr(self, "notes", ()))
    for f in fields(self):
        value = getattr(self, f.name)
        if isinstance(value, pd.DataFrame):
            tables[f.name] = value
        elif f.name == "n_excluded":
            facts["left out"] = value
        elif f.name == "apparent" and value:
            notes.append("Apparent: computed on the patients that chose the threshold or the model.")
        elif f.name not in ("notes", "apparent"):
            facts[f.name] = repr(value) if is_dataclass(value) else value
    return Said(_one_line(self), facts, tables, tuple(notes))


def _one_line(self: Any) -> str:
    """What it is of, how many, and its most telling estimates: 'Roc: model clinical, n 297, events 104, auc 0.72'."""
    values = {f.name: getattr(self, f.name) for f in fields(self)}
    said = [f"{_WORDS.get(name, name)} {in_words(values[name])}" for name in _FIRST if in_words(values.get(name))]
    estimates = {name: value for name, value in values.items() if isinstance(value, Estimate)}
    said += [f"{name} {estimates[name]}" for name in [n for n in _TELLING if n in estimates] or list(estimates)[:1]]
    return f"{type(self).__name__}: {', '.join(said)}" if said else type(self).__name__
