"""What moves in lesson 3: the threshold, what it does to a hundred patients, and the price at which it is worth it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from onlm_lab import analysis
from onlm_lab.figures import plot_decision_curve, theme
from onlm_lab.results import DecisionCurve, OperatingPoint
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.patients import made_up_patients, reckoned
from onlm_lab.teaching.pictures import hundred
from onlm_lab.teaching.sliders import Slider

GRID = tuple(np.round(np.arange(0.02, 0.505, 0.01), 2))
N_BOOTSTRAP = 60  # of the band, drawn anew at every place of a slider


def plot_hundred_at(point: OperatingPoint) -> go.Figure:
    """What a threshold does to a hundred such patients: found, missed, worked up for nothing, left alone."""
    figure, _ = hundred(
        {"N+ called positive": point.n_tp / point.n, "N+ missed": point.n_fn / point.n,
         "N0 called positive": point.n_fp / point.n, "N0 left alone": point.n_tn / point.n},
        title=f"A hundred patients, called positive from a risk of {100 * point.threshold:.3g} % on",
        subtitle=f"as in {theme.counts(point.n, point.n_events)}",
    )  # fmt: skip
    return figure


def per_100(n: int, *, of: int) -> float:
    """How many of 100."""
    return 100 * n / of


def explore_threshold() -> Explorer:
    """Move the threshold: who is found, who is missed, and who is worked up for nothing?"""
    patients = made_up_patients()

    def draw(threshold: float) -> Drawn:
        point = analysis.operating_point(patients, threshold=threshold)
        return Drawn(
            plot_hundred_at(point),
            f"From {theme.percent(threshold)} on: sensitivity {theme.percent(point.sensitivity.value)} "
            f"(of the N+, found), specificity {theme.percent(point.specificity.value)} (of the N0, left alone), PPV "
            f"{theme.percent(point.ppv.value)} (of those called positive, N+). For each N+ found, "
            f"{point.n_fp / max(point.n_tp, 1):.1f} N0 patients are worked up for nothing.",
        )

    return Explorer(draw, name="threshold", controls=(
        Slider("threshold", "Call positive from this risk on", 0.02, 0.60, 0.01, 0.20, unit="%"),
    ))  # fmt: skip


def exchange(threshold: float) -> float:
    """How many needless work-ups somebody who acts from a threshold on accepts for one N+ found: (1 - t) / t."""
    return (1 - threshold) / threshold


def net_benefit_by_hand(point: OperatingPoint) -> float:
    """Net benefit of acting from a threshold on, put together from its counts: found minus needless at their price.

    Vickers and Elkin 2006, doi:10.1177/0272989X06295361.
    """
    return point.n_tp / point.n - point.n_fp / point.n / exchange(point.threshold)


def curve_of(*tables: pd.DataFrame, n_bootstrap: int = N_BOOTSTRAP) -> DecisionCurve:
    """The decision curve of one model or several, in the same patients."""
    return analysis.net_benefit(pd.concat(tables, ignore_index=True), thresholds=GRID, n_bootstrap=n_bootstrap)


def explore_net_benefit() -> Explorer:
    """Move the threshold along the decision curve, and see what its height is made of."""
    patients = made_up_patients()
    curve = curve_of(patients)

    def draw(threshold: float) -> Drawn:
        point = analysis.operating_point(patients, threshold=threshold)
        everybody = analysis.operating_point(patients.assign(risk=1.0), threshold=threshold)
        found, needless = per_100(point.n_tp, of=point.n), per_100(point.n_fp, of=point.n)
        return Drawn(
            plot_decision_curve(curve, threshold=threshold, mark=theme.MADE_UP),
            f"Who acts from {theme.percent(threshold)} on gives {exchange(threshold):.1f} needless work-ups for one N+ "
            f"found. Per 100 patients {found:.1f} are found and {needless:.1f} are worked up for nothing: "
            f"{found:.1f} − {needless:.1f} / {exchange(threshold):.1f} = {100 * net_benefit_by_hand(point):.1f}. "
            f"Working up everybody: {100 * net_benefit_by_hand(everybody):.1f}; nobody: 0.",
        )

    return Explorer(draw, name="net_benefit", controls=(
        Slider("threshold", "Act from this risk on", 0.02, 0.50, 0.01, 0.10, unit="%"),
    ))  # fmt: skip


def moved_risks(shift: float) -> pd.DataFrame:
    """The lesson's patients with every risk moved on the log-odds scale: the same order, and so the same AUC."""
    return reckoned(made_up_patients(), shift=shift).assign(model_id="risks moved")


def explore_wrong_risks() -> Explorer:
    """Make the risks too high or too low: the AUC stays, and acting on them may do worse than working up everybody."""
    honest = made_up_patients()

    def draw(shift: float) -> Drawn:
        moved = moved_risks(shift)
        curve = curve_of(honest, moved)
        auc = analysis.roc(moved).auc.value
        return Drawn(
            plot_decision_curve(curve, mark=theme.MADE_UP),
            f"AUC {auc:.3f} for both. Predicted on average {theme.percent(moved['risk'].mean())}, found "
            f"{theme.percent(moved['onlm'].mean())}. {_where_worse(curve)}",
        )

    return Explorer(draw, name="wrong_risks", controls=(
        Slider("shift", "All risks too low or too high (log odds)", -2.0, 2.0, 0.2, -1.2, digits=1),
    ))  # fmt: skip


def worse_than_all_or_none(curve: DecisionCurve, *, model: str = "risks moved") -> list[float]:
    """The thresholds at which acting on a model does worse than the better of working up everybody and nobody."""
    wide = curve.table.pivot(index="threshold", columns="model_id", values="net_benefit")
    better = wide[["treat_all", "treat_none"]].max(axis=1)
    return [float(t) for t in wide.index[wide[model] < better - 0.001]]


def _where_worse(curve: DecisionCurve) -> str:
    found = worse_than_all_or_none(curve)
    if not found:
        return "Nowhere on this curve does it do clearly worse than working up everybody or nobody."
    low, high = theme.percent(min(found)), theme.percent(max(found))
    return f"At {len(found)} thresholds, from {low} to {high}, it does worse than working up everybody or nobody."
