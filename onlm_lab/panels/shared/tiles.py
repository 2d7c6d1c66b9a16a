"""The tiles of a shared performance page: made of rounded counts."""

from __future__ import annotations

import math

from onlm_lab import figures
from onlm_lab.figures import theme
from onlm_lab.panels.judged import Judged
from onlm_lab.panels.performance import Tile
from onlm_lab.panels.shared.counts import FEWEST, rounded, said, share
from onlm_lab.results import Estimate

NOT_SHOWN = "not shown"


def shared_tiles(judged: Judged, *, model: str, threshold: float | None = None) -> tuple[Tile, ...]:
    """AUC, sensitivity, specificity, NPV and what happens to 1,000 patients, as panels.performance.tiles.

    Args:
        judged: the tested patients.
        model: whose numbers.
        threshold: one of threshold_grid; None: each row's own.
    """
    roc, point = judged.roc(model), judged.point(model, threshold=threshold)
    positive, negative = point.n_tp + point.n_fn, point.n_tn + point.n_fp
    spared = point.n_tn + point.n_fn
    auc = figures.preferred_auc(roc)
    enough = min(positive, negative) >= FEWEST
    return (
        Tile("AUC", theme.number(roc.auc.value) if enough else NOT_SHOWN,
             f"95{theme.PERCENT} CI {theme.number(auc.low)} to {theme.number(auc.high)}" if enough else _why(),
             f"{said(roc.n_events)} N+ of {said(roc.n)} patients"),
        _rate("Sensitivity", share(point.n_tp, positive), f"{said(point.n_tp)} of {said(positive)} N+ found"),
        _rate("Specificity", share(point.n_tn, negative), f"{said(point.n_tn)} of {said(negative)} N0 spared"),
        _rate("NPV", share(point.n_tn, spared), f"{said(point.n_tn)} of {said(spared)} called negative are N0"),
        *(_of_1000(name, share(n, point.n), n_all=point.n, n_positive=positive)
          for name, n in (("N+ found", point.n_tp), ("N+ missed", point.n_fn), ("N0 spared", point.n_tn))),
    )  # fmt: skip


def _rate(name: str, one: Estimate, note: str) -> Tile:
    if math.isnan(one.value):
        return Tile(name, NOT_SHOWN, _why(), note)
    low, high = (f"{100 * v:.0f}" for v in (one.low, one.high))
    return Tile(name, theme.percent(one.value), f"95{theme.PERCENT} CI {low} to {high}{theme.PERCENT}", note)


def _of_1000(name: str, one: Estimate, *, n_all: int, n_positive: int) -> Tile:
    note = (
        f"at {theme.percent(rounded(n_positive) / rounded(n_all)) if n_all >= FEWEST else '–'} N+ (n = {said(n_all)})"
    )
    if math.isnan(one.value):
        return Tile(f"{name}, of 1,000", NOT_SHOWN, _why(), note)
    return Tile(f"{name}, of 1,000", f"{1000 * one.value:.0f}",
                f"95{theme.PERCENT} CI {1000 * one.low:.0f} to {1000 * one.high:.0f}", note)  # fmt: skip


def _why() -> str:
    return f"fewer than {FEWEST} patients"
