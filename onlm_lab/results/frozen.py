"""What every result has in common: an estimate with its interval; tables that nobody downstream can change."""

from __future__ import annotations

import hashlib
import html
import json
import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, dataclass_transform

import pandas as pd


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


@dataclass_transform(frozen_default=True, eq_default=False)
def result(cls: type) -> type:
    """Make a class a frozen result: tables and counts are copied on access; `digest`, `to_dict()`, escaped HTML."""
    cls = dataclass(frozen=True, eq=False)(cls)
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
    cls._repr_html_ = _html
    return cls


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


def _html(self: Any) -> str:
    rows, tables = [], []
    for f in fields(self):
        value = getattr(self, f.name)
        name = html.escape(f.name)
        if isinstance(value, pd.DataFrame):
            body = value.head(20).to_html(index=False, escape=True, float_format=lambda x: f"{x:.4g}")
            tables.append(f"<details><summary>{name} ({len(value)} rows)</summary>{body}</details>")
        elif hasattr(value, "digest"):  # a result within a result
            tables.append(f"<details><summary>{name}</summary>{_html(value)}</details>")
        elif value is not None and not (isinstance(value, (tuple, dict, str)) and not value):
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            rows.append(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>")
    return f"<b>{type(self).__name__}</b><table>{''.join(rows)}</table>{''.join(tables)}"
