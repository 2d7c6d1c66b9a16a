"""A table's head and cells as people read them: columns by what they are, numbers with decimals that can be used."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from onlm_lab import schema

NOTHING = "–"
WORDS = {
    "variable": "Characteristic", "level": "", "overall": "All", "n_missing": "Missing", "smd": "SMD", "p_value": "P",
    "test": "Test", "n_in": "Entered", "n_excluded": "Excluded", "n_undetermined": "Undetermined", "n_left": "Left",
    "n_events": "Events", "n_deaths": "Deaths", "n_parameters": "Parameters", "column": "Characteristic",
    "rule": "Rule", "text": "What it asks", "centre": "Centre", "group": "Group", "pattern": "Missing", "n": "n",
    "fraction": "Share", "endpoint": "Endpoint", "predictor": "Predictor", "criterion": "Criterion", "means": "Meaning",
    "shrinkage": "Shrinkage", "drives": "Decides", "treatment": "Treatment", "reason": "Reason", "kind": "Kind",
    "change": "Change", "patient_id": "Patient", "before": "Before", "after": "After", "median_days": "Median (days)",
    "low": "Low", "high": "High",
}  # fmt: skip
NAMES = ("variable", "column", "predictor")  # columns that hold names of columns


def worded(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Head and cells as people read them; a name that repeats the line above is left blank."""
    percent = table.attrs.get("percent", ())
    heads = table.attrs.get("heads", {})
    head = [_head(str(c), heads) for c in table.columns]
    columns = []
    for j, name in enumerate(table.columns):
        smd = name == "smd" or str(name).startswith("smd: ")
        cells = [_words(v, percent=name in percent, p=name == "p_value", smd=smd) for v in table.iloc[:, j].tolist()]
        if name in NAMES:
            cells = [column_words(c) for c in cells]
        if name == "pattern":
            cells = [" + ".join(column_words(part) for part in c.split(" + ")) for c in cells]
        columns.append(cells)
    if "variable" in table:
        names = table["variable"].astype(str).tolist()
        again = [i > 0 and name == names[i - 1] for i, name in enumerate(names)]
        first = [name == "patients" for name in names]
        alone = table["variable"].map(table["variable"].value_counts()).eq(1).tolist()
        for j, name in enumerate(table.columns):
            if name == "level":  # of a yes-or-no there is one line, "1"
                columns[j] = ["yes" if c == "1" and a else c for c, a in zip(columns[j], alone, strict=True)]
        own = {c for c in table.columns if c in ("variable", "p_value", "test", "smd", "n_missing")
               or str(c).startswith(("smd: ", "n_missing: "))}  # fmt: skip
        for j, name in enumerate(table.columns):
            if name in own:
                blank = again if name == "variable" else [a or f for a, f in zip(again, first, strict=True)]
                columns[j] = ["" if b else c for b, c in zip(blank, columns[j], strict=True)]
    return head, [list(row) for row in zip(*columns, strict=True)] if columns else []


def _head(name: str, heads: Mapping[str, str]) -> str:
    """The head of a column in words; `heads` says what groups are called."""
    for prefix, said in (("n_missing: ", "Missing in "), ("smd: ", "SMD ")):
        if name.startswith(prefix):
            return said + " | ".join(heads.get(g, g) for g in name.removeprefix(prefix).split(" | "))
    return heads.get(name) or WORDS.get(name, name.replace("_", " ") if name.islower() else name)


def column_words(name: str) -> str:
    """What a column is, in the dictionary's words with its unit; the name itself where nobody declared it."""
    spec = schema.column(name)
    if spec is None or not spec.description:
        return name[:1].upper() + name[1:].replace("_", " ") if name else name
    said = re.split(r"[;(]", spec.description)[0].strip()
    return f"{said} ({spec.unit})" if spec.unit else said


def _words(value: object, *, percent: bool, p: bool, smd: bool) -> str:
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        if percent:
            return f"{100 * value:.1f} %"
        if p:
            return "< 0.001" if value < 0.001 else f"{value:.3f}"
        if smd:
            return f"{value:.3f}"
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        if value == round(value):
            return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.4g}"
        return (
            f"{value:.3f}" if 1e-3 <= abs(value) < 10 else f"{value:.1f}" if 10 <= abs(value) < 1e7 else f"{value:.3g}"
        )
    return str(value)


def plain_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula; an apostrophe tells it that this is text."""
    risky = text[:1] in ("=", "@", "\t", "\r") or (
        len(text) > 1 and text[0] in "+-" and not re.fullmatch(r"[+-]\d+(\.\d+)?", text)
    )
    return f"'{text}" if risky else text
