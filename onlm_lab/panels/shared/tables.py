"""Tables in which no cell and no margin shows fewer than five patients; columns that no rule names are dropped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from onlm_lab.panels.shared.counts import FEW, FEWEST, cell, is_few, share


class Share(NamedTuple):
    """A column that is a share: of how many, less how many."""

    of: str
    less: str = ""


class Rule(NamedTuple):
    """What a shared page keeps of a table.

    Attributes:
        labels: columns that stay as they are.
        counts: columns that are rounded.
        estimates: columns of numbers that are no counts -> how they are written ('.2f'): more digits would let a reader
            work back to the counts.
        shares: columns that are k / n -> of what; value, _low and _high are made anew of rounded counts.
        least: counts of a row that must be five or more, and that must leave five or more (or none) of the one before
            them, for its numbers to be shown.
        drop: rows whose counts are too small go altogether.
    """

    labels: tuple[str, ...]
    counts: tuple[str, ...] = ()
    estimates: Mapping[str, str] = {}
    shares: Mapping[str, Share] = {}
    least: tuple[str, ...] = ()
    drop: bool = False

    @property
    def needed(self) -> set[str]:
        """The columns without which the rule does not hold."""
        of = {name for s in self.shares.values() for name in (s.of, s.less) if name}
        return {*self.labels, *self.counts, *self.least, *of, *self.shares}


def safe_table(table: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """The table as its rule lets it be shown.

    Args:
        table: the numbers behind a figure.
        rule: which columns are what.

    Raises:
        KeyError: a column that the rule counts on is not there.
    """
    missing = sorted(rule.needed - set(table.columns))
    if missing:
        raise KeyError(f"columns {', '.join(missing)}")
    enough = [_is_enough(row, rule.least) for row in table.to_dict("records")]
    if rule.drop:
        table = table[enough].reset_index(drop=True)
        enough = [True] * len(table)
    kept = {}
    for name in table.columns:
        if name in rule.labels:
            kept[name] = table[name]
        elif name in rule.counts:
            kept[name] = pd.Series([cell(n) for n in table[name]], dtype=object)
        elif name in rule.estimates:
            shape = rule.estimates[name]
            kept[name] = pd.Series(
                [short(v, shape) if ok else math.nan for v, ok in zip(table[name], enough, strict=True)], dtype=float
            )
        elif name in rule.shares:
            kept |= _share_columns(table, name=name, of=rule.shares[name], enough=enough)
    return pd.DataFrame({name: pd.Series(column).reset_index(drop=True) for name, column in kept.items()})


def short(value: float, shape: str) -> float:
    """A number with the digits that may be shown."""
    return float(format(float(value), shape))


def numbers(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The safe table with its counts as whole numbers, few ones as 0, to be drawn."""
    drawn = table.copy()
    for name in columns:
        drawn[name] = [0 if n == FEW or n is None or pd.isna(n) else int(n) for n in table[name]]
    return drawn


def _is_enough(row: dict[str, float], least: tuple[str, ...]) -> bool:
    before = None
    for name in least:
        n = row[name]
        if pd.isna(n) or n < FEWEST or (before is not None and is_few(before - n)):
            return False
        before = n
    return True


def _share_columns(table: pd.DataFrame, *, name: str, of: Share, enough: list[bool]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [], f"{name}_low": [], f"{name}_high": []}
    for row, ok in zip(table.to_dict("records"), enough, strict=True):
        total = row[of.of] - (row[of.less] if of.less else 0)
        value = row[name]
        one = share(round(value * total), total) if ok and not pd.isna(value) else None
        for column, number in zip(found, (one.value, one.low, one.high) if one else [math.nan] * 3, strict=True):
            found[column].append(number)
    return found
