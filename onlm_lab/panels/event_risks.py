"""How well does the predicted risk of N+ tell what becomes of the patients? Judged on probabilities of the event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab import analysis, figures
from onlm_lab.figures import theme
from onlm_lab.figures.events import event_words, within
from onlm_lab.panels.followed import Followed
from onlm_lab.panels.panel import Panel, notes_of
from onlm_lab.panels.patients import ARMS, arm_words, of_arm
from onlm_lab.panels.phrases import listed
from onlm_lab.results import Estimate

TOLD = (
    "A risk of N+ is no probability of an event by a day. The probabilities here come from a model of the outcome on "
    "the risk, fitted each time without the patients whom it tells."
)


def auc_over_time_panel(
    rows: pd.DataFrame | Followed, *, models: Sequence[str], endpoint: str, arm: str, horizons_days: Sequence[float],
    horizon_days: float = 1095, mark: str = "",
) -> Panel:  # fmt: skip
    """How well each model's risk tells who has the event by each horizon.

    Args:
        rows: all rows of a run, or what is known of them.
        models: whose risks, the first one in the sentence.
        endpoint: such as "os" or "regional".
        arm: "surgery" or "sbrt".
        horizons_days: days after treatment; those beyond the follow-up have no value, with a note.
        horizon_days: the day of the sentence.
        mark: words laid across the figure.
    """
    days = sorted({*map(float, horizons_days), float(horizon_days)})
    known = Followed.of(rows)
    found = {m: known.auc(model=m, arm=arm, endpoint=endpoint, days=days) for m in models}
    figure = figures.plot_time_dependent_auc(found, endpoint=endpoint, who=_who(arm), mark=mark)
    said = [f"{m} {_at(table, horizon_days)}" for m, table in found.items()]
    row = _row(found[models[0]], horizon_days)
    sentence = (
        f"{arm_words(arm)}, AUC for {within(endpoint, horizon_days)}: {'; '.join(said)} "
        f"({int(row['n_cases'])} with the event by then)."
    )
    table = pd.concat([t.assign(model_id=m) for m, t in found.items()], ignore_index=True)
    return Panel(f"auc_{endpoint}_{arm}", figure.layout.title.text, figure, table, sentence, _said(table),
                 source=(endpoint, _who(arm)))  # fmt: skip


def brier_panel(
    rows: pd.DataFrame, *, event_risk: pd.DataFrame, models: Sequence[str], endpoint: str, arm: str,
    horizons_days: Sequence[float], mark: str = "",
) -> Panel:  # fmt: skip
    """How far the probabilities lie from what happened, beside telling everybody the same."""
    found = {
        m: analysis.brier_survival(
            of_arm(rows, model=m, arm=arm), endpoint=endpoint, horizons_days=list(horizons_days), event_risk=event_risk,
            model=m,
        )
        for m in models
    }  # fmt: skip
    figure = figures.plot_brier(found, endpoint=endpoint, who=_who(arm), mark=mark)
    last = found[models[0]].dropna(subset=["value"])
    sentence = f"{arm_words(arm)}, Brier score of {event_words(endpoint)}: "
    if last.empty:
        sentence += "not estimated."
    else:
        row = last.iloc[-1]
        sentence += (
            f"{models[0]} {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}) at "
            f"{theme.years(row['horizon_days'])}; telling everybody the same probability gives {row['reference']:.3f}."
        )
    table = pd.concat([t.assign(model_id=m) for m, t in found.items()], ignore_index=True)
    return Panel(f"brier_{endpoint}_{arm}", figure.layout.title.text, figure, table, sentence, _said(table))


def event_calibration_panel(
    rows: pd.DataFrame, *, event_risk: pd.DataFrame, model: str, endpoint: str, arm: str, horizon_days: float = 1095,
    mark: str = "",
) -> Panel:  # fmt: skip
    """Do the probabilities of the event by the horizon mean what they say?"""
    found = analysis.calibrate_event_risk(
        of_arm(rows, model=model, arm=arm), endpoint=endpoint, horizon_days=horizon_days, event_risk=event_risk,
        model=model,
    )  # fmt: skip
    figure = figures.plot_event_calibration(found, mark=mark)
    sentence = (
        f"{arm_words(arm)}, {within(endpoint, horizon_days)}: predicted {theme.percent(found.mean_predicted)} "
        f"on average, observed {theme.with_interval(found.observed, as_percent=True)}; O:E "
        f"{theme.with_interval(found.oe_ratio)}, slope {theme.with_interval(found.slope)}."
    )
    return Panel(f"calibration_{endpoint}_{arm}", figure.layout.title.text, figure, found.groups, sentence,
                 notes_of(found), source=found)  # fmt: skip


def event_decision_panel(
    rows: pd.DataFrame, *, event_risk: pd.DataFrame, models: Sequence[str], endpoint: str, arm: str,
    horizon_days: float = 1095, thresholds: Sequence[float] | None = None, n_bootstrap: int = 500, seed: int = 0,
    mark: str = "",
) -> Panel:  # fmt: skip
    """Would acting on the probability of the event do more good than harm?"""
    patients = pd.concat([of_arm(rows, model=m, arm=arm) for m in models], ignore_index=True)
    found = analysis.survival_net_benefit(
        patients, endpoint=endpoint, horizon_days=horizon_days, event_risk=event_risk, thresholds=thresholds,
        n_bootstrap=n_bootstrap, generator=np.random.default_rng(seed),
    )  # fmt: skip
    figure = figures.plot_decision_curve(found, mark=mark)
    sentence = _benefit(found.table, model=models[0], what=f"{arm_words(arm)}, {within(endpoint, horizon_days)}")
    return Panel(f"decision_{endpoint}_{arm}", figure.layout.title.text, figure, found.table, sentence, notes_of(found))


def _benefit(table: pd.DataFrame, *, model: str, what: str) -> str:
    """Over which thresholds a model is worth more than acting on everybody and on nobody."""
    by = table.pivot_table(index="threshold", columns="model_id", values="net_benefit", dropna=False)
    if by[model].isna().all():
        return f"{what}: net benefit not estimated."
    others = by[["treat_all", "treat_none"]].max(axis=1)
    better = by.index[by[model] > others + 1e-12]
    own = table[table["model_id"] == model].set_index("threshold").loc[better]
    sure = int(((own["low"] > 0) & (own["avoided_low"] > 0)).sum())
    if not len(better):
        return (
            f"{what}: at no threshold is acting on the risk of {model} worth more than acting on everybody or on "
            "nobody."
        )
    return (
        f"{what}: acting on the risk of {model} is worth more than acting on everybody and on nobody at "
        f"{len(better)} of {len(by)} thresholds, the lowest {theme.percent(better.min())} and the highest "
        f"{theme.percent(better.max())}; the {theme.percent(0.95)} intervals of both differences lie above 0 at {sure} "
        "of them."
    )


def _who(arm: str) -> str:
    return f"{ARMS.get(arm, arm)} arm"


def _row(table: pd.DataFrame, horizon: float) -> pd.Series:
    return table[np.isclose(table["horizon_days"], horizon)].iloc[0]


def _at(table: pd.DataFrame, horizon: float) -> str:
    row = _row(table, horizon)
    return theme.with_interval(Estimate(row["value"], row["low"], row["high"]))


def told_horizons(event_risk: pd.DataFrame, *, endpoint: str, arm: str) -> list[float]:
    """The horizons at which somebody of the arm was told a probability of the event."""
    own = event_risk[(event_risk["endpoint"] == endpoint) & event_risk["event_risk"].notna()]
    if "arm" in own.columns:
        own = own[own["arm"] == arm]
    return sorted(float(day) for day in own["horizon_days"].unique())


def _said(table: pd.DataFrame) -> tuple[str, ...]:
    """What the rows want their reader to know: horizons with few events in one sentence, the rest as it is."""
    told = table[table["note"].astype(str) != ""]
    few = told["note"].str.startswith("few")
    days = sorted(told.loc[few, "horizon_days"].unique())
    notes = [f"Few events by {listed([theme.years(d) for d in days])}: these intervals are too narrow."] if days else []
    rest = told[~few]
    notes += [f"{theme.years(d)}: {n}." for d, n in zip(rest["horizon_days"], rest["note"], strict=True)]
    return tuple(dict.fromkeys(notes))
