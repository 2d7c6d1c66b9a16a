"""Curves on which at least five patients of each class, or five events, lie between two points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from onlm_lab.panels.shared.counts import FEWEST, rounded, share
from onlm_lab.panels.shared.tables import short
from onlm_lab.results import (
    Calibration,
    Estimate,
    EventCalibration,
    IncidenceCurves,
    OperatingPoint,
    Roc,
    SurvivalCurves,
)

QUARTER_DAYS = 365.25 / 4  # curves of outcomes are read at quarters of a year, never at the day of a patient's event
FINE = np.round(np.arange(0.005, 0.9951, 0.005), 4)  # thresholds at which a ROC curve is read, never a patient's risk
POINTS = 21  # of a smooth curve
Z = 1.959964


def spaced(*counts: Sequence[int], totals: Sequence[int]) -> list[int]:
    """Which points of some rising counts may be shown: five or more of each between neighbours and at both ends.

    Args:
        counts: of each class, how many lie below each point.
        totals: how many there are of each.
    """
    found: list[int] = []
    last = [0] * len(counts)
    for i, now in enumerate(zip(*counts, strict=True)):
        if all(n - before >= FEWEST for n, before in zip(now, last, strict=True)) and all(
            total - n >= FEWEST for n, total in zip(now, totals, strict=True)
        ):
            found.append(i)
            last = list(now)
    return found


def called(roc: Roc, thresholds: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """How many N+ and N0 have a risk of at least each threshold."""
    curve = roc.curve.sort_values("threshold", ascending=False, kind="stable")
    at = np.searchsorted(-curve["threshold"].to_numpy(float), -np.asarray(thresholds, float), side="right") - 1
    tp = np.rint(curve["sensitivity"].to_numpy(float)[at] * roc.n_events).astype(int)
    fp = np.rint((1 - curve["specificity"].to_numpy(float)[at]) * (roc.n - roc.n_events)).astype(int)
    return tp, fp


def safe_roc(roc: Roc) -> Roc:
    """A ROC curve at thresholds between which five N+ and five N0 lie, of rounded counts."""
    n_negative = roc.n - roc.n_events
    tp, fp = called(roc, FINE)
    kept = spaced(roc.n_events - tp, n_negative - fp, totals=(roc.n_events, n_negative))
    sensitivity = [share(tp[i], roc.n_events).value for i in kept]
    specificity = [share(n_negative - fp[i], n_negative).value for i in kept]
    curve = pd.DataFrame({
        "threshold": [math.inf, *FINE[kept][::-1], 0.0], "sensitivity": [0.0, *sensitivity[::-1], 1.0],
        "specificity": [1.0, *specificity[::-1], 0.0],
    })  # fmt: skip
    return replace(
        roc, curve=curve, auc=safe_estimate(roc.auc), auc_logit=safe_estimate(roc.auc_logit), n=rounded(roc.n),
        n_events=rounded(roc.n_events), n_excluded={}, notes=(),
    )  # fmt: skip


def safe_point(point: OperatingPoint) -> OperatingPoint:
    """An operating point of rounded counts."""
    n_positive, n_negative = point.n_tp + point.n_fn, point.n_tn + point.n_fp
    return replace(
        point, sensitivity=share(point.n_tp, n_positive), specificity=share(point.n_tn, n_negative),
        ppv=share(point.n_tp, point.n_tp + point.n_fp), npv=share(point.n_tn, point.n_tn + point.n_fn),
        n_tp=rounded(point.n_tp), n_fp=rounded(point.n_fp), n_tn=rounded(point.n_tn), n_fn=rounded(point.n_fn),
        n=rounded(point.n), n_events=rounded(point.n_events), n_excluded={}, notes=(),
    )  # fmt: skip


def safe_estimate(estimate: Estimate, shape: str = ".2f") -> Estimate:
    """An estimate with the digits that may be shown."""
    value, low, high = (short(v, shape) for v in (estimate.value, estimate.low, estimate.high))
    return replace(estimate, value=value, low=low, high=high)


def merged(groups: pd.DataFrame) -> list[pd.DataFrame]:
    """Neighbouring rows put together until each part has five with and five without the event; one part at least.

    Args:
        groups: n, n_events, in their order.
    """
    parts: list[list[int]] = [[]]
    for i in range(len(groups)):
        parts[-1].append(i)
        if _has_enough(groups.iloc[parts[-1]]):
            parts.append([])
    rest = parts.pop()
    if rest and parts:
        parts[-1] += rest
    elif rest:
        parts = [rest]
    return [groups.iloc[part] for part in parts]


def _has_enough(part: pd.DataFrame) -> bool:
    n, events = int(part["n"].sum()), int(part["n_events"].sum())
    return events >= FEWEST and n - events >= FEWEST


def weighted(part: pd.DataFrame, column: str) -> float:
    """The mean of a column over the patients of some groups."""
    return float((part[column] * part["n"]).sum() / part["n"].sum())


def safe_calibration(one: Calibration) -> Calibration:
    """A calibration whose groups hold five N+ and five N0 each; its smooth curve between the outermost of them."""
    parts = [part for part in merged(one.groups) if _has_enough(part)]
    groups = pd.DataFrame({
        "n": [rounded(part["n"].sum()) for part in parts], "n_events": [rounded(p["n_events"].sum()) for p in parts],
        "risk": [short(weighted(part, "risk"), ".3f") for part in parts],
        "observed": [share(part["n_events"].sum(), part["n"].sum()).value for part in parts],
    })  # fmt: skip
    curve = safe_curve(one.curve, of="risk", between=groups["risk"])
    kept = {name: safe_estimate(getattr(one, name)) for name in
            ("intercept", "intercept_joint", "slope", "oe_ratio", "oe_ratio_delta", "brier")}  # fmt: skip
    return replace(one, curve=curve, groups=groups, n=rounded(one.n), n_events=rounded(one.n_events), n_excluded={},
                   notes=(), **kept)  # fmt: skip


def safe_event_calibration(one: EventCalibration) -> EventCalibration:
    """The same for an event by a day, observed to the nearest five patients; where single risks lie is not drawn."""
    parts = [part for part in merged(one.groups) if _has_enough(part)]
    groups = pd.DataFrame({
        "group": range(1, len(parts) + 1), "n": [rounded(part["n"].sum()) for part in parts],
        "n_events": [rounded(part["n_events"].sum()) for part in parts],
        "mean_predicted": [short(weighted(part, "mean_predicted"), ".2f") for part in parts],
        "observed": [in_fives(weighted(part, "observed"), part["n"].sum()) for part in parts],
        "low": math.nan, "high": math.nan,
    })  # fmt: skip
    kept = {name: safe_estimate(getattr(one, name)) for name in
            ("intercept", "intercept_joint", "slope", "oe_ratio", "oe_ratio_delta", "observed")}  # fmt: skip
    counts = {n: rounded(getattr(one, n)) for n in ("n", "n_events", "n_competing", "n_censored")}
    return replace(one, curve=safe_curve(one.curve, of="event_risk", between=groups["mean_predicted"]), groups=groups,
                   distribution=one.distribution.iloc[:0], mean_predicted=short(one.mean_predicted, ".2f"),
                   n_excluded={}, notes=(), **kept, **counts)  # fmt: skip


def safe_curve(curve: pd.DataFrame, *, of: str, between: pd.Series) -> pd.DataFrame:
    """A smooth curve read at even steps between two risks that no single patient sets; empty where there is one."""
    if len(between) < 2 or curve.empty:
        return curve.iloc[:0]
    at = np.linspace(float(between.min()), float(between.max()), POINTS)
    x = curve[of].to_numpy(float)
    read = {name: np.round(np.interp(at, x, curve[name].to_numpy(float)), 2) for name in ("observed", "low", "high")}
    return pd.DataFrame({of: np.round(at, 4), **read})


def safe_steps(curves: SurvivalCurves | IncidenceCurves) -> SurvivalCurves | IncidenceCurves:
    """Curves of outcomes at quarters of a year between which five events or more lie, while five or more are at risk.

    Heights are to the nearest five patients of the group. A group without five events has its start alone. Intervals
    are made anew of what is shown, by Peto's formula (1977, doi:10.1038/bjc.1977.1): wide where events compete.
    """
    value = "survival" if isinstance(curves, SurvivalCurves) else "incidence"
    curve = curves.curve if value == "survival" else curves.curve[curves.curve["cause"] == 1]
    sizes = {str(g): (int(n), int(e)) for g, n, e in curves.groups[["group", "n", "n_events"]].itertuples(index=False)}
    shown = []
    for name, own in curve.groupby("group", sort=False, observed=True):
        if sizes[str(name)][0] >= FEWEST:
            shown.append(_steps(own, name=str(name), value=value, n=sizes[str(name)][0]))
    groups = curves.groups[curves.groups["n"] >= FEWEST]
    groups = groups.assign(n=groups["n"].map(rounded), n_events=groups["n_events"].map(rounded),
                           followup_days=groups["followup_days"].map(lambda d: short(d / 30, ".0f") * 30))  # fmt: skip
    found = pd.concat(shown, ignore_index=True) if shown else _steps(curve.iloc[:0], name="", value=value, n=FEWEST)
    kept = {"median": curves.median.iloc[:0]} if value == "survival" else {}
    return replace(curves, curve=found if value == "survival" else found.assign(cause=1), groups=groups,
                   n=rounded(curves.n), n_events=rounded(curves.n_events), n_excluded={}, notes=(), **kept)  # fmt: skip


def _steps(own: pd.DataFrame, *, name: str, value: str, n: int) -> pd.DataFrame:
    """One group's curve: its start, and each quarter of a year by which five more events have happened."""
    own = own.sort_values("days", kind="stable")
    days, events = own["days"].to_numpy(float), np.cumsum(own["n_events"].to_numpy(int))
    at_risk, height = own["at_risk"].to_numpy(int), own[value].to_numpy(float)
    start, falls = (1.0, True) if value == "survival" else (0.0, False)
    rows = [(name, 0.0, start, math.nan, math.nan, rounded(n), 0, 0)]
    counted = 0
    for day in np.arange(QUARTER_DAYS, (days[-1] if len(days) else 0.0) + QUARTER_DAYS, QUARTER_DAYS):
        ahead, reached = np.searchsorted(days, day, side="left"), np.searchsorted(days, day, side="right") - 1
        left = int(at_risk[ahead]) if ahead < len(days) else 0
        if left < FEWEST:
            break
        happened = int(events[reached]) if reached >= 0 else 0
        if happened - counted >= FEWEST:
            counted, shown = happened, in_fives(height[reached], n)
            rows.append((name, day, shown, *peto(shown, left=rounded(left), falls=falls), rounded(left), 0, 0))
    columns = ["group", "days", value, "low", "high", "at_risk", "n_events", "n_censored"]
    table = pd.DataFrame(rows, columns=columns)
    table.loc[table.index[-1:], "n_censored"] = 1  # what comes after the last day is not known
    return table


def in_fives(fraction: float, n: float) -> float:
    """A share of n patients to the nearest five of them."""
    step = FEWEST / rounded(n)
    return float(min(1.0, max(0.0, step * round(fraction / step))))


def peto(value: float, *, left: int, falls: bool) -> tuple[float, float]:
    """S -+ 1.96 S sqrt((1 - S) / at risk), inside 0 and 1; of an incidence, that of what is free of the event."""
    free = value if falls else 1 - value
    half = Z * free * math.sqrt(max(0.0, 1 - free) / left)
    return max(0.0, value - half), min(1.0, value + half)
