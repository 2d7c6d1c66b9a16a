"""Performance: a statistic, its figure and its table, a pair a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.figures.decision import REFERENCES
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.panel import Moved, Panel, notes_of
from onlm_lab.panels.patients import models_of, threshold_words
from onlm_lab.results import Estimate

_TIE = 1e-9  # net benefits closer than this are equal


class Tile(NamedTuple):
    """A number that never stands without its n and interval."""

    name: str
    value: str
    interval: str
    note: str


def tiles(rows: pd.DataFrame | Judged, *, model: str, threshold: float | None = None) -> tuple[Tile, ...]:
    """AUC, sensitivity, specificity, NPV and what happens to 1,000 patients, each with interval and n.

    Args:
        rows: tested rows of one or several models.
        model: whose numbers.
        threshold: positive if risk >= threshold; None: each row's own.
    """
    judged = Judged.of(rows)
    roc, point = judged.roc(model), judged.point(model, threshold=threshold)
    per_1000 = judged.per_1000(model, threshold=threshold).table.set_index("outcome")

    def of_1000(name: str) -> Tile:
        row = per_1000.loc[name]
        return Tile(f"{name}, of 1,000", f"{row.patients:.0f}", f"95{theme.PERCENT} CI {row.low:.0f} to {row.high:.0f}",
                    f"at {theme.percent(point.n_events / point.n)} N+ (n\u00a0=\u00a0{point.n})")  # fmt: skip

    positive, negative = point.n_tp + point.n_fn, point.n_tn + point.n_fp
    called_negative = point.n_tn + point.n_fn
    return (
        Tile("AUC", theme.number(roc.auc.value, digits=2), _interval(figures.preferred_auc(roc), digits=2),
             f"{roc.n_events} N+ of {roc.n} patients"),
        Tile("Sensitivity", theme.percent(point.sensitivity.value), _interval(point.sensitivity, as_percent=True),
             f"{point.n_tp} of {positive} N+ found"),
        Tile("Specificity", theme.percent(point.specificity.value), _interval(point.specificity, as_percent=True),
             f"{point.n_tn} of {negative} N0 spared"),
        Tile("NPV", theme.percent(point.npv.value), _interval(point.npv, as_percent=True),
             f"{point.n_tn} of {called_negative} called negative are N0"),
        of_1000("N+ found"), of_1000("N+ missed"), of_1000("N0 spared"),
    )  # fmt: skip


def roc_panel(
    rows: pd.DataFrame | Judged, *, models: Sequence[str] | None = None, threshold: float | None = None, mark: str = "",
    with_points: bool = True,
) -> Panel:  # fmt: skip
    """ROC curves of the models with their operating points; `with_points` False: they are laid upon it later."""
    judged = Judged.of(rows)
    models = list(models or models_of(judged.rows))
    rocs = [judged.roc(m) for m in models]
    moved = roc_moved(judged, models=models, threshold=threshold)
    points = [judged.point(m, threshold=threshold) for m in models]
    drawn = figures.plot_roc(rocs, points=points if with_points else (), mark=mark)
    return Panel("roc", "How well does the risk tell N+ from N0?", drawn, moved.table, moved.sentence, notes_of(*rocs),
                 source=(rocs, points))  # fmt: skip


def roc_moved(judged: Judged, *, models: Sequence[str], threshold: float | None) -> Moved:
    """What of the ROC panel follows the threshold: the operating points, table and sentence."""
    rocs = [judged.roc(m) for m in models]
    points = [judged.point(m, threshold=threshold) for m in models]
    table = pd.DataFrame(
        {
            "model_id": r.model_id, "n": r.n, "n_positive": r.n_events, "auc": r.auc.value,
            "auc_low": figures.preferred_auc(r).low, "auc_high": figures.preferred_auc(r).high,
            "interval": figures.preferred_auc(r).method,
            **_spread("sensitivity", p.sensitivity), **_spread("specificity", p.specificity),
            **_spread("ppv", p.ppv), **_spread("npv", p.npv),
        }
        for r, p in zip(rocs, points, strict=True)
    )  # fmt: skip
    first, own = rocs[0], judged.patients(models[0]).frame
    auc = figures.preferred_auc(first)
    sentence = (
        f"{first.model_id}: of a random N+ and a random N0 patient, the N+ patient has the higher risk in "
        f"{100 * auc.value:.0f} of 100 pairs (95 % interval {100 * auc.low:.0f} to {100 * auc.high:.0f}; "
        f"{first.n_events} N+ of {first.n}). The marks show {threshold_words(own, threshold=threshold)}."
    )  # fmt: skip
    return Moved(sentence, table, data=tuple(figures.roc_points(points, names=models)))


def comparison_panel(
    rows: pd.DataFrame | Judged, *, model: str, others: Sequence[str] | None = None, mark: str = ""
) -> Panel:  # fmt: skip
    """AUC of `model` minus that of each other model in the same patients (paired DeLong)."""
    judged = Judged.of(rows)
    others = [m for m in (others or models_of(judged.rows)) if m != model]
    found = [judged.comparison(model, other) for other in others]
    table = pd.DataFrame(
        {
            "model_a": c.model_a, "model_b": c.model_b, "n": c.n, "n_positive": c.n_events,
            **_spread("difference", c.difference), "z": c.z, "p_value": c.p_value,
        }
        for c in found
    )  # fmt: skip
    parts = [
        f"{c.model_a} minus {c.model_b}: {theme.with_interval(c.difference, digits=3)}"
        + (f", {theme.p_value(c.p_value)}" if not math.isnan(c.p_value) else "")
        for c in found
    ]
    sentence = "Difference of AUC in the same patients, paired DeLong: " + "; ".join(parts) + "."
    return Panel("auc_differences", "Which model separates better, in the same patients?",
                 figures.plot_auc_differences(found, mark=mark), table, sentence, notes_of(*found))  # fmt: skip


def calibration_panel(rows: pd.DataFrame | Judged, *, models: Sequence[str] | None = None, mark: str = "") -> Panel:
    """Calibration curves of the models; the first one's tenths of risk as points."""
    judged = Judged.of(rows)
    found = [judged.calibration(m) for m in (models or models_of(judged.rows))]
    table = pd.DataFrame(
        {
            "model_id": c.model_id, "n": c.n, "n_positive": c.n_events, **_spread("intercept", c.intercept),
            **_spread("slope", c.slope), **_spread("oe_ratio", c.oe_ratio), "ici": c.ici, "e50": c.e50, "e90": c.e90,
            "brier": c.brier.value, "scaled_brier": c.scaled_brier,
        }
        for c in found
    )  # fmt: skip
    c = found[0]
    sentence = (
        f"{c.model_id}: for each N+ patient that was predicted, {theme.with_interval(c.oe_ratio)} were seen "
        f"(observed : expected; 1 is right); slope {theme.with_interval(c.slope)} (below 1: high risks too high, low "
        f"risks too low); the curve is off by {100 * c.ici:.1f} percentage points on average (ICI; n = {c.n})."
    )
    return Panel("calibration", "Do predicted risks mean what they say?", figures.plot_calibration(found, mark=mark),
                 table, sentence, notes_of(*found), source=found)  # fmt: skip


def decision_panel(
    rows: pd.DataFrame | Judged, *, thresholds: Sequence[float], models: Sequence[str] | None = None,
    threshold: float | None = None, n_bootstrap: int = 500, seed: int = 0, mark: str = "",
) -> Panel:  # fmt: skip
    """Decision curves of the models with treat-all and treat-none."""
    judged = Judged.of(rows)
    models = list(models or models_of(judged.rows))
    curve = judged.decision(models, thresholds=thresholds, n_bootstrap=n_bootstrap, seed=seed)
    order = {name: i for i, name in enumerate([*models, *REFERENCES])}
    table = curve.table.sort_values("model_id", key=lambda ids: ids.map(order), kind="stable", ignore_index=True)
    curve = replace(curve, table=table)
    own, references = (_benefit(table, names=names) for names in ([models[0]], list(REFERENCES)))
    better = own.index[own > references + _TIE]
    where = (
        f"{models[0]} beats both working up everybody and nobody at {len(better)} of {len(own)} thresholds, "
        f"{_from_to(better.min(), better.max())}"
        if len(better)
        else f"{models[0]} beats working up everybody or nobody at none of {len(own)} thresholds"
    )
    sentence = (
        f"Net benefit weighs N+ patients found against needless work-ups: {where} (point estimates, n = {curve.n})."
    )
    return Panel("decision_curve", "Would acting on the risk do more good than harm?",
                 figures.plot_decision_curve(curve, threshold=threshold, mark=mark), table, sentence,
                 notes_of(curve), source=(curve, threshold, [judged.roc(m) for m in models]))  # fmt: skip


def precision_panel(rows: pd.DataFrame | Judged, *, models: Sequence[str] | None = None, mark: str = "") -> Panel:
    """Precision against recall of the models: of those called positive, how many are N+?"""
    judged = Judged.of(rows)
    found = [judged.precision(m) for m in (models or models_of(judged.rows))]
    table = pd.DataFrame(
        {
            "model_id": r.model_id, "n": r.n, "n_positive": r.n_events,
            **_spread("average_precision", r.average_precision), "prevalence": r.prevalence,
        }
        for r in found
    )  # fmt: skip
    first = found[0]
    sentence = (
        f"{first.model_id}: average precision {theme.with_interval(first.average_precision)}; a useless model has "
        f"{first.prevalence:.2f}, the share of N+ ({first.n_events} N+ of {first.n})."
    )
    return Panel("precision_recall", "Of the patients called positive, how many are N+?",
                 figures.plot_precision_recall(found, mark=mark), table, sentence, notes_of(*found))  # fmt: skip


def benefit_difference_panel(
    rows: pd.DataFrame | Judged, *, model: str, other: str, thresholds: Sequence[float], n_bootstrap: int = 500,
    seed: int = 0, mark: str = "",
) -> Panel:  # fmt: skip
    """Net benefit of `model` minus that of another, in the same patients, over a range of thresholds."""
    found = analysis.compare_net_benefit(
        Judged.of(rows).rows, model_a=model, model_b=other, thresholds=thresholds, n_bootstrap=n_bootstrap,
        generator=np.random.default_rng(seed),
    )  # fmt: skip
    table = found.table
    clear = table.loc[table["low"] > 0, "threshold"]
    where = (
        f"its interval lies above 0 at {len(clear)} of {len(table)} thresholds, {_from_to(clear.min(), clear.max())}"
        if len(clear)
        else f"its interval includes 0 or lies below it at each of {len(table)} thresholds"
    )
    sentence = f"Net benefit of {model} minus that of {other}: {where} (n = {found.n}; pointwise intervals)."
    return Panel("net_benefit_difference", "Is acting on the one model worth more than acting on the other?",
                 figures.plot_net_benefit_difference(found, mark=mark), table, sentence, notes_of(found))  # fmt: skip


def operating_differences_panel(rows: pd.DataFrame | Judged, *, model: str, other: str, mark: str = "") -> Panel:
    """Sensitivity and specificity of `model` minus those of another, each at its own thresholds; the same patients."""
    found = analysis.compare_operating_points(Judged.of(rows).rows, model_a=model, model_b=other)
    said = "; ".join(
        f"{name} {theme.with_interval(estimate, as_percent=True)}"
        + (f", mid-{theme.p_value(p)}" if not math.isnan(p) else "")
        for name, estimate, p in zip(
            ("sensitivity", "specificity"), (found.sensitivity, found.specificity), found.table["p_mid"], strict=True
        )
    )
    sentence = (
        f"{model} minus {other} in the same patients, each at its own thresholds: {said} (McNemar; n = {found.n})."
    )
    return Panel("operating_differences", "Which model decides better, in the same patients?",
                 figures.plot_operating_differences(found, mark=mark), found.table, sentence,
                 notes_of(found))  # fmt: skip


def operating_panel(
    rows: pd.DataFrame | Judged, *, model: str, threshold: float | None = None, mark: str = ""
) -> Panel:
    """What the threshold does to 1,000 patients."""
    judged = Judged.of(rows)
    one, per_1000 = judged.patients(model).frame, judged.per_1000(model, threshold=threshold)
    table = per_1000.table
    by = table.set_index("outcome")["patients"]
    sentence = (
        f"At {threshold_words(one, threshold=threshold)}, of 1,000 such patients {by['N+ found']:.0f} N+ would be "
        f"found and {by['N+ missed']:.0f} missed; {by['N0 spared']:.0f} N0 would be spared a work-up and "
        f"{by['N0 called positive']:.0f} would have one for nothing."
    )
    if threshold is not None:
        sentence += " A threshold that was picked for how these numbers look is optimistic."
    return Panel("operating_point", "What would this threshold do to 1,000 such patients?",
                 figures.plot_operating_point(per_1000, mark=mark), table, sentence, notes_of(per_1000),
                 source=judged.point(model, threshold=threshold))  # fmt: skip


def _from_to(low: float, high: float) -> str:
    """'between 2 and 40 %', or 'at 16 %'."""
    first, last = (f"{100 * v:.0f}" for v in (low, high))
    return f"at {first} %" if first == last else f"between {first} and {last} %"


def _benefit(table: pd.DataFrame, *, names: Sequence[str]) -> pd.Series:
    """The highest net benefit of some strategies at each threshold."""
    return table[table["model_id"].isin(names)].groupby("threshold")["net_benefit"].max()


def _interval(estimate: Estimate, *, digits: int = 2, as_percent: bool = False) -> str:
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        why = estimate.note.removeprefix("no interval").removeprefix(": ")
        return f"no interval: {why}" if why else "no interval"
    scale, places = (100, 0) if as_percent else (1, digits)
    low, high = (theme.number(scale * v, digits=places) for v in (estimate.low, estimate.high))
    return f"{100 * estimate.level:.0f}{theme.PERCENT} CI {low} to {high}{theme.PERCENT if as_percent else ''}"


def _spread(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
