"""Lesson 5: competing risks, and why a patient after SBRT has no label. MADE-UP DATA; the truth is known.

Constant hazards, so that the true curves are formulas: with hazards a of the event and b of the competing event the
incidence by time t is a / (a + b) * (1 - exp(-(a + b) t)), and 1 - Kaplan-Meier estimates 1 - exp(-a t) (Putter, Fiocco
and Geskus 2007, doi:10.1002/sim.2712).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy.special import expit

from onlm_lab import analysis, figures
from onlm_lab.analysis.calibration import observed_to_expected
from onlm_lab.figures import theme
from onlm_lab.results import OneMinusKm
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.sliders import Menu, Slider

YEAR = 365.25
REGIONAL_PER_YEAR = 0.06  # hazard of recurrence in the nodes
FIVE_YEARS = 5 * YEAR
REGIONAL_BY_NODES = {0: 0.015, 1: 0.20}  # per year after SBRT: nodes without and with hidden disease
FATES = {
    "recurred": "recurrence in the nodes",
    "other_first": "died or recurred elsewhere first",
    "not_yet": "neither seen",
}
ALIKE = "as often at low as at high risk"
TO_WHOM = {ALIKE: 0.0, "more often at low risk": -1.5, "more often at high risk": 1.5}  # pull on the log odds of SBRT
OTHER_PER_YEAR = 0.10  # death or another recurrence first
WAYS = {
    "surgery alone": "those whose nodes were examined",
    "SBRT counted as N0": "SBRT patients added as negatives",
    "the hidden truth": "SBRT patients with the N that nobody can see",
}


def draw_sbrt(n: int, *, death_per_year: float, seed: int) -> pd.DataFrame:
    """Made-up SBRT patients followed for three to seven years, with recurrence in the nodes and death before it.

    Args:
        n: how many.
        death_per_year: hazard of dying first; 0 and more.
        seed: of the chance.

    Returns:
        patient_id, regional_days, regional_state (0 censored, 1 recurrence in the nodes, 2 died first).
    """
    chance = np.random.default_rng([5, seed])
    recurs = chance.exponential(1, n) / REGIONAL_PER_YEAR
    dies = chance.exponential(1, n)
    dies = dies / death_per_year if death_per_year > 0 else np.full(n, np.inf)
    return _followup(recurs, dies, chance.uniform(3, 7, n))


def true_incidence(*, death_per_year: float, years: float) -> float:
    """The share who truly have a recurrence in the nodes by then, death competing."""
    total = REGIONAL_PER_YEAR + death_per_year
    return REGIONAL_PER_YEAR / total * (1 - math.exp(-total * years))


def overstated(death_per_year: float, *, n: int = 2000, seed: int = 1) -> OneMinusKm:
    """What 1 - Kaplan-Meier and the cumulative incidence read by five years."""
    rows = draw_sbrt(n, death_per_year=death_per_year, seed=seed)
    return analysis.one_minus_km(rows, endpoint="regional", horizons_days=[FIVE_YEARS])


def plot_overstated(fit: OneMinusKm) -> go.Figure:
    """Both curves on an axis that stays where it is while the slider moves."""
    figure = figures.plot_one_minus_km(
        fit, who="SBRT", until_days=FIVE_YEARS, horizon_days=FIVE_YEARS, mark=theme.MADE_UP
    )
    return figure.update_yaxes(range=[0, 0.35])


def say_overstated(fit: OneMinusKm, *, death_per_year: float) -> str:
    """The numbers at five years in a sentence, beside the truth."""
    row = fit.table.iloc[0]
    truth = true_incidence(death_per_year=death_per_year, years=5)
    return (
        f"By 5 years 1 − Kaplan-Meier reads {theme.percent(row['one_minus_km'])}, the cumulative incidence "
        f"{theme.percent(row['incidence'])}. Who truly recurs in the nodes in this made-up world: "
        f"{theme.percent(truth)}."
    )


def draw_both_arms(n: int, *, share_sbrt: float, seed: int, to_whom: str = ALIKE) -> pd.DataFrame:
    """Made-up patients treated by surgery or SBRT, a risk that is right, and the N that only this world knows.

    SBRT goes to older patients; age says nothing about the nodes here.

    Args:
        n: how many.
        share_sbrt: of all patients, 0 to below 1.
        seed: of the chance.
        to_whom: one of TO_WHOM: at which risk SBRT is chosen more often.

    Returns:
        patient_id, arm, age_years, risk, truth (0/1, of everybody), onlm (of surgery; missing after SBRT).
    """
    chance = np.random.default_rng([55, seed])
    log_odds = -2.0 + 1.25 * chance.normal(size=n)
    truth = (chance.uniform(size=n) < expit(log_odds)).astype(int)
    leaning = TO_WHOM[to_whom] * (log_odds + 2.0) + chance.logistic(size=n)
    sbrt = np.argsort(np.argsort(-leaning)) < round(share_sbrt * n)
    age = np.round(63 + 8 * chance.normal(size=n) + 12 * sbrt)
    return pd.DataFrame({
        "patient_id": [f"P{k:04d}" for k in range(1, n + 1)], "arm": np.where(sbrt, "sbrt", "surgery"),
        "age_years": age, "risk": expit(log_odds), "truth": truth, "onlm": np.where(sbrt, np.nan, truth),
    })  # fmt: skip


def counted(rows: pd.DataFrame, way: str) -> pd.DataFrame:
    """The rows as one of WAYS counts them: patient_id, onlm, risk, age_years, model_id.

    Raises:
        KeyError: no such way.
    """
    ways: dict[str, Callable[[], pd.DataFrame]] = {
        "surgery alone": lambda: rows[rows["arm"] == "surgery"],
        "SBRT counted as N0": lambda: rows.assign(onlm=rows["onlm"].fillna(0)),
        "the hidden truth": lambda: rows.assign(onlm=rows["truth"]),
    }
    return ways[way]().drop(columns=["truth"]).assign(model_id=way)


def sbrt_as_negative(
    share_sbrt: float, *, to_whom: str = ALIKE, n: int = 3000, seed: int = 1
) -> pd.DataFrame:  # fmt: skip
    """What counting SBRT patients as N0 does: a row a way of counting.

    Args:
        share_sbrt: of all patients, 0 to below 1.
        to_whom: one of TO_WHOM.
        n: patients in all.
        seed: of the chance.

    Returns:
        way, n, n_positive, found_fraction (N+ of all), expected_fraction (mean risk), auc, oe_ratio with low and high.
    """
    rows = draw_both_arms(n, share_sbrt=share_sbrt, seed=seed, to_whom=to_whom)
    lines = []
    for way in WAYS:
        own = counted(rows, way)
        oe = observed_to_expected(analysis.labelled(own), level=0.95)
        found = analysis.roc(own)
        lines.append([way, found.n, found.n_events, own["onlm"].mean(), own["risk"].mean(), found.auc.value, oe.value,
                      oe.low, oe.high])  # fmt: skip
    return pd.DataFrame(lines, columns=["way", "n", "n_positive", "found_fraction", "expected_fraction", "auc",
                                        "oe_ratio", "low", "high"])  # fmt: skip


def odds_by_age(rows: pd.DataFrame) -> pd.DataFrame:
    """What a model would learn of age in each way of counting: the odds of N+ a decade, beside the risk itself.

    Args:
        rows: of `draw_both_arms`.

    Returns:
        way, odds_ratio, low, high. In truth age says nothing: 1.
    """
    lines = []
    for way in WAYS:
        own = counted(rows, way)
        own = own.assign(log_odds=np.log(own["risk"] / (1 - own["risk"])), decades=own["age_years"] / 10)
        fit = analysis.firth(own, covariates=["log_odds", "decades"])
        row = fit.table.iloc[-1]
        lines.append([way, row["odds_ratio"], row["low"], row["high"]])
    return pd.DataFrame(lines, columns=["way", "odds_ratio", "low", "high"])


def plot_ages(table: pd.DataFrame) -> go.Figure:
    """What a model would learn of age in each way of counting: `odds_by_age` with its intervals."""
    return figures.plot_intervals(
        table, of="way", value="odds_ratio", low="low", high="high", line=1, mark=theme.MADE_UP,
        title="What does the model learn of age?", axis="Odds ratio of N+ for ten years more",
        subtitle="beside the risk itself; 95 % interval; dotted: the truth, age says nothing",
    )  # fmt: skip


def draw_by_nodes(n: int, *, seed: int) -> pd.DataFrame:
    """Made-up SBRT patients with the hidden state of their nodes, a predicted risk, and recurrence in the nodes.

    Returns:
        patient_id, risk, predicted_group, hidden_nodes ("hidden N+", "truly N0"), regional_days, regional_state.
    """
    rows = draw_both_arms(n, share_sbrt=0.0, seed=seed)
    chance = np.random.default_rng([555, seed])
    recurs = chance.exponential(1, n) / rows["truth"].map(REGIONAL_BY_NODES).to_numpy()
    followed = _followup(recurs, chance.exponential(1 / OTHER_PER_YEAR, n), chance.uniform(3, 7, n))
    group = pd.cut(rows["risk"], [0, 0.2, 1], right=False, labels=["low risk", "high risk"])
    return followed.assign(
        risk=rows["risk"], predicted_group=group, hidden_nodes=np.where(rows["truth"] == 1, "hidden N+", "truly N0")
    )


def recurrence_as_label(rows: pd.DataFrame, *, years: float) -> dict[str, float]:
    """How far recurrence in the nodes by some year stands in for the N that nobody saw.

    Args:
        rows: of `draw_by_nodes`.
        years: after SBRT.

    Returns:
        missed_fraction: of those with hidden N+, who had no recurrence in the nodes by then; false_fraction: of those
        with a recurrence in the nodes, whose nodes were truly N0 when treated.
    """
    day = years * YEAR
    seen = (rows["regional_state"] == 1) & (rows["regional_days"] <= day)
    positive = rows["hidden_nodes"] == "hidden N+"
    return {
        "missed_fraction": float((positive & ~seen).sum() / positive.sum()),
        "false_fraction": float((~positive & seen).sum() / max(1, seen.sum())),
    }


def fates(rows: pd.DataFrame, *, years: float) -> pd.DataFrame:
    """What was seen by some year, by the hidden state of the nodes: hidden_nodes, recurred, other_first, not_yet.

    Args:
        rows: of `draw_by_nodes`.
        years: after SBRT.
    """
    by = rows["regional_days"] <= years * YEAR
    what = np.select([by & (rows["regional_state"] == 1), by & (rows["regional_state"] == 2)], list(FATES)[:2],
                     list(FATES)[2])  # fmt: skip
    table = pd.crosstab(rows["hidden_nodes"], what).reindex(columns=list(FATES), fill_value=0)
    return table.rename_axis(columns=None).reset_index()


def explore_death(*, seed: int = 1) -> Explorer:
    """A slider for how many patients die first."""

    def draw(death_per_year: float) -> Drawn:
        fit = overstated(death_per_year, seed=seed)
        return Drawn(plot_overstated(fit), say_overstated(fit, death_per_year=death_per_year), fit.table)

    death = Slider("death_per_year", "Deaths a year before any recurrence (rate)", 0, 0.4, 0.02, 0, unit="%")
    return Explorer(draw, controls=[death], name="one_minus_km")


def explore_sbrt(*, seed: int = 1) -> Explorer:
    """A slider for the share of SBRT patients, and a menu for who is given SBRT."""

    def draw(share_sbrt: float, to_whom: str) -> Drawn:
        rows = draw_both_arms(3000, share_sbrt=share_sbrt, seed=seed, to_whom=to_whom)
        table = sbrt_as_negative(share_sbrt, to_whom=to_whom, seed=seed)
        wrong, truth = (table.set_index("way").loc[way] for way in ("SBRT counted as N0", "the hidden truth"))
        said = (
            f"Counted as N0: AUC {wrong['auc']:.2f}, in truth {truth['auc']:.2f}. N+ found in "
            f"{theme.percent(wrong['found_fraction'])}, in truth {theme.percent(truth['found_fraction'])}; the model, "
            f"which is right, seems to expect {1 / wrong['oe_ratio']:.1f} times as many N+ as were found."
        )
        figure = figures.plot_roc([analysis.roc(counted(rows, way)) for way in WAYS], mark=theme.MADE_UP)
        return Drawn(figure, said, table)

    controls = [Slider("share_sbrt", "Share of patients treated by SBRT", 0, 0.6, 0.05, 0, unit="%"),
                Menu("to_whom", "SBRT is given", dict(zip(TO_WHOM, TO_WHOM, strict=True)), ALIKE)]  # fmt: skip
    return Explorer(draw, controls=controls, name="sbrt_as_negative")


def explore_horizon(rows: pd.DataFrame) -> Explorer:
    """A slider for the year by which recurrence in the nodes is looked for.

    Args:
        rows: of `draw_by_nodes`.
    """

    def draw(years: float) -> Drawn:
        table, share = fates(rows, years=years), recurrence_as_label(rows, years=years)
        said = (
            f"By {years:g} years: of those with hidden N+ {theme.percent(share['missed_fraction'])} had no "
            f"recurrence in the nodes; of those who had one {theme.percent(share['false_fraction'])} were truly N0 "
            "when treated."
        )
        figure = figures.plot_counts(
            table, of="hidden_nodes", series=FATES, title=f"What was seen by {years:g} years?", mark=theme.MADE_UP,
            subtitle=f"{len(rows):,} patients after SBRT; the state of their nodes, which nobody can see",
        )  # fmt: skip
        return Drawn(figure, said, table)

    year = Slider("years", "Years after SBRT", 0.5, 6, 0.5, 2, unit="years", digits=1)
    return Explorer(draw, controls=[year], name="recurrence_as_label")


def _followup(recurs: np.ndarray, dies: np.ndarray, ends: np.ndarray) -> pd.DataFrame:
    """The first of three times in years, in whole days."""
    first = np.minimum(np.minimum(recurs, dies), ends)
    state = np.select([first == recurs, first == dies], [1, 2], 0)
    return pd.DataFrame({
        "patient_id": [f"P{k:04d}" for k in range(1, len(first) + 1)], "regional_days": np.ceil(first * YEAR),
        "regional_state": state,
    })  # fmt: skip
