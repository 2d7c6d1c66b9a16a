"""Lesson 7: a treatment that does nothing, in twenty subgroups. MADE-UP DATA; lots were drawn, the truth is known.

A subgroup is here what the last digits of a record number say, so that no biology can be behind it. With k independent
tests of nothing the chance of at least one P below 0.05 is 1 - 0.95^k: 64 % for twenty. Compare the signs of the zodiac
in ISIS-2 (Lancet 1988;332:349-360, doi:10.1016/S0140-6736(88)92833-4).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from threadpoolctl import threadpool_limits

from onlm_lab import analysis, figures
from onlm_lab.analysis.log_rank_score import chi_square, log_rank_score
from onlm_lab.analysis.partial_likelihood import fit_cox
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.subgroup import adjust_p_values
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.figures import theme
from onlm_lab.figures.forest import Line, Point, draw_forest
from onlm_lab.figures.subgroup import log_ticks
from onlm_lab.results import Estimate
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.sliders import Slider

MEDIAN_DAYS = 1000.0
ALPHA = 0.05
NEW, USUAL = "new", "usual"


def draw_trial(
    n: int = 1600, *, n_subgroups: int = 20, seed: int, ratios: Mapping[int, float] | None = None
) -> pd.DataFrame:  # fmt: skip
    """A made-up randomised trial of a treatment without effect, its patients dealt into subgroups that mean nothing.

    Args:
        n: patients.
        n_subgroups: 1 to 100 groups by the last two digits of the record number.
        seed: of the chance.
        ratios: subgroup (from 1) -> true hazard ratio of the new treatment there; None: 1 everywhere.

    Returns:
        patient_id, subgroup ("group 01" ...), treatment ("usual", "new"), os_days, os_event.
    """
    chance = np.random.default_rng([7, seed])
    new = chance.permutation(n) % 2 == 1
    digits = chance.integers(0, 100, n)
    group = digits * n_subgroups // 100 + 1
    ratio = np.array([(ratios or {}).get(int(k), 1.0) for k in group])
    return _trial(chance, group=group, new=new, ratio=np.where(new, ratio, 1.0))


def chance_of_any(n_tests: int, *, alpha: float = ALPHA) -> float:
    """The chance that at least one of so many independent tests of nothing has P < alpha."""
    return 1 - (1 - alpha) ** n_tests


def fish(rows: pd.DataFrame) -> pd.DataFrame:
    """The treatment's hazard ratio and P in each subgroup on its own, and P adjusted for their number.

    Returns:
        subgroup, n, n_events, hr, low, high, p_value, p_holm, p_bh.
    """
    days, died = rows["os_days"].to_numpy(float), rows["os_event"].to_numpy() == 1
    new, lines = rows["treatment_new"].to_numpy(float)[:, None], []
    for name, own in sorted(rows.groupby("subgroup").indices.items()):
        ratio = [np.nan] * 4
        if died[own].sum() >= 2 and 0 < new[own].sum() < len(own):
            ratio = _ratio(new[own], days[own], died[own])
        lines.append([name, len(own), int(died[own].sum()), *ratio])
    table = pd.DataFrame(lines, columns=["subgroup", "n", "n_events", "hr", "low", "high", "p_value"])
    p = table["p_value"].to_numpy(float)
    return table.assign(p_holm=adjust_p_values(p, method="holm"), p_bh=adjust_p_values(p, method="bh"))


def interaction_p(rows: pd.DataFrame) -> float:
    """One test of whether the treatment's hazard ratio differs between the subgroups at all."""
    with threadpool_limits(limits=1):  # the matrices are small, and a class shares a host
        return analysis.interaction(rows, endpoint="os", treatment="treatment", group="subgroup").p_value


def plot_fished(table: pd.DataFrame, *, p_interaction: float, truth: float = 1.0) -> go.Figure:
    """A forest of the subgroups; those with P < 0.05 are bold and bear an arrow.

    Args:
        table: what `fish` returned.
        p_interaction: what `interaction_p` returned.
        truth: the true hazard ratio, drawn as a dashed line where it is not 1.
    """
    lines = []
    for row in table.to_dict("records"):
        caught = row["p_value"] < ALPHA
        name, p = theme.safe(row["subgroup"]), theme.p_value(row["p_value"])
        said = f"{theme.with_interval(Estimate(row['hr'], row['low'], row['high']))}, {p}"
        point = Point(row["hr"], row["low"], row["high"], f"<b>{said} ←</b>" if caught else said)
        lines.append(Line(f"<b>{name}</b>" if caught else name, [point]))
    figure = theme.blank(
        title="In which subgroup does the treatment work?",
        subtitle=f"{theme.counts(int(table['n'].sum()), int(table['n_events'].sum()), events='deaths')}; "
        f"95 % interval; bold: P < 0.05; interaction {theme.p_value(p_interaction) or 'not tested'}",
        height=150 + max(22 * len(lines), 60), mark=theme.MADE_UP,
    )  # fmt: skip
    figure.add_vline(x=1, line={"color": theme.QUIET, "width": 1, "dash": "dot"})
    if truth != 1:
        figure.add_vline(x=truth, line={"color": theme.STYLES[2].colour, "width": 1.5, "dash": "dash"})
    draw_forest(figure, lines, series=["hazard ratio"], right=230)
    limits = [v for v in [*table["low"], *table["high"]] if np.isfinite(v)]
    return figure.update_xaxes(title_text=f"Hazard ratio, new against usual (log scale); truth: {truth:g}", type="log",
                               tickvals=log_ticks([1.0, *limits]))  # fmt: skip


def say_fished(table: pd.DataFrame, *, p_interaction: float) -> str:
    """What was caught, in sentences."""
    k, caught = len(table), table[table["p_value"] < ALPHA]
    first = (
        f"Of {k} subgroups {len(caught)} {'has' if len(caught) == 1 else 'have'} P < 0.05"
        + (
            f" ({', '.join(f'{r.subgroup}: hazard ratio {r.hr:.2f}' for r in caught.itertuples())})"
            if len(caught)
            else ""
        )
        + f"; chance alone gives at least one in {theme.percent(chance_of_any(k))} of such trials."
    )
    after = {m: int((table[f"p_{m}"] < ALPHA).sum()) for m in ("holm", "bh")}
    test = theme.p_value(p_interaction) or "not tested, too few deaths in a subgroup"
    return f"{first} After Holm {after['holm']}, after Benjamini-Hochberg {after['bh']}. Interaction: {test}."


def explore_subgroups() -> Explorer:
    """Sliders for the number of subgroups, the number of patients, and another trial."""

    def draw(n_subgroups: float, n: float, seed: float) -> Drawn:
        rows = draw_trial(int(n), n_subgroups=int(n_subgroups), seed=int(seed))
        table, p = fish(rows), interaction_p(rows)
        return Drawn(plot_fished(table, p_interaction=p), say_fished(table, p_interaction=p), table)

    controls = [Slider("n_subgroups", "Subgroups", 2, 30, 1, 20),
                Slider("n", "Patients in the trial", 1200, 8400, 400, 1600),
                Slider("seed", "Another trial", 1, 50, 1, 1)]  # fmt: skip
    return Explorer(draw, controls=controls, name="null_subgroups")


def long_run(n_trials: int, *, n: int = 1600, n_subgroups: int = 20, seed: int = 1) -> float:
    """The share of null trials in which at least one subgroup has P < 0.05, by log-rank tests.

    Args:
        n_trials: how many made-up trials.
        n: patients of each.
        n_subgroups: of each.
        seed: of the first; the others follow it.
    """
    any_caught = 0
    for k in range(n_trials):
        rows = draw_trial(n, n_subgroups=n_subgroups, seed=10_000 * seed + k)
        days, died = rows["os_days"].to_numpy(), rows["os_event"].to_numpy() == 1
        arm = rows["treatment_new"].to_numpy()
        for own in rows.groupby("subgroup").indices.values():
            if chi_square(log_rank_score(days[own], died[own], arm[own], n_groups=2)).p_value < ALPHA:
                any_caught += 1
                break
    return any_caught / n_trials


def two_sizes(*, ratio: float = 0.7, n_large: int = 1200, n_small: int = 200, seed: int = 1) -> pd.DataFrame:
    """A trial in which the treatment truly works alike in a large and in a small subgroup: rows as `draw_trial`."""
    chance = np.random.default_rng([77, seed])
    group = np.repeat([1, 2], [n_large, n_small])
    new = np.concatenate([chance.permutation(k) % 2 == 1 for k in (n_large, n_small)])
    rows = _trial(chance, group=group, new=new, ratio=np.where(new, ratio, 1.0))
    return rows.assign(subgroup=rows["subgroup"].map({"group 01": "large subgroup", "group 02": "small subgroup"}))


def some_real(*, n_real: int, ratio: float = 0.5, n: int = 3200, n_subgroups: int = 20, seed: int = 1) -> pd.DataFrame:
    """What plain P, Holm and Benjamini-Hochberg find where the treatment works in some subgroups and not in the others.

    Args:
        n_real: in how many of the subgroups, the first ones, it truly works.
        ratio: the true hazard ratio there.
        n: patients.
        n_subgroups: how many.
        seed: of the chance.

    Returns:
        rule ("P < 0.05", "Holm", "Benjamini-Hochberg"), n_true (real effects found), n_false (others called), n_missed.
    """
    table = fish(draw_trial(n, n_subgroups=n_subgroups, seed=seed, ratios=dict.fromkeys(range(1, n_real + 1), ratio)))
    real = np.arange(n_subgroups) < n_real
    lines = []
    for rule, column in (("P < 0.05", "p_value"), ("Holm", "p_holm"), ("Benjamini-Hochberg", "p_bh")):
        called = table[column].to_numpy() < ALPHA
        lines.append([rule, int((called & real).sum()), int((called & ~real).sum()), int((~called & real).sum())])
    return pd.DataFrame(lines, columns=["rule", "n_true", "n_false", "n_missed"])


def plot_rules(table: pd.DataFrame) -> go.Figure:
    """Which subgroups each rule calls, the real ones and the others.

    Args:
        table: what `some_real` returned.
    """
    n_real = int(table["n_true"].iloc[0] + table["n_missed"].iloc[0])
    figure = figures.plot_counts(
        table, of="rule", series={"n_true": "truly works there", "n_false": "does nothing there"},
        title="Which subgroups does each rule call?", mark=theme.MADE_UP,
        subtitle=f"the treatment works in {n_real} subgroups and does nothing in the others",
    )  # fmt: skip
    return figure.update_xaxes(title_text="Subgroups called")


def _ratio(new: np.ndarray, days: np.ndarray, died: np.ndarray) -> list[float]:
    """Cox's hazard ratio with its 95 % interval and Wald's P; NaN where deaths are on one side only."""
    fit = fit_cox(new, days, died, stratum=np.zeros(len(days), dtype=int))  # `analysis.cox` tests much more: slower
    if fit.unbounded[0]:
        return [np.nan] * 4
    coef, se = float(fit.coef[0]), float(np.sqrt(fit.covariance[0, 0]))
    return [*(float(np.exp(coef + k * Z95 * se)) for k in (0, -1, 1)), chi2_tail((coef / se) ** 2, 1)]


def _trial(chance: np.random.Generator, *, group: np.ndarray, new: np.ndarray, ratio: np.ndarray) -> pd.DataFrame:
    """Deaths of a constant hazard, seen for two to five years."""
    n = len(group)
    lives = chance.exponential(MEDIAN_DAYS / np.log(2), n) / ratio
    seen = chance.uniform(2 * 365.25, 5 * 365.25, n)
    return pd.DataFrame({
        "patient_id": [f"P{k:05d}" for k in range(1, n + 1)], "subgroup": [f"group {k:02d}" for k in group],
        "treatment": np.where(new, NEW, USUAL), "treatment_new": new.astype(int),
        "os_days": np.ceil(np.minimum(lives, seen)), "os_event": (lives <= seen).astype(int),
    })  # fmt: skip
