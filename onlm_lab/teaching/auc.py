"""What moves in lesson 1: how far N+ and N0 lie apart, what a risk is called, how common N+ is, and who is tested."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit

from onlm_lab import analysis
from onlm_lab.figures import plot_roc, theme
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.patients import made_up_patients, reckoned
from onlm_lab.teaching.pictures import hundred, plot_two_groups
from onlm_lab.teaching.sliders import Slider

THRESHOLD = 0.20
N_POOL, N_TESTED = 20_000, 4000
EASY_RISK = 0.003  # of N+ in a small nodule that is hardly solid


def share_of_pairs(rows: pd.DataFrame, *, n_pairs: int = 2000, seed: int = 1) -> float:
    """Of pairs drawn by chance, one N+ and one N0 patient: the share in which the N+ patient has the higher risk."""
    chance = np.random.default_rng(seed)
    positive, negative = (chance.choice(rows.loc[rows["onlm"] == k, "risk"], n_pairs) for k in (1, 0))
    return float(np.mean(positive > negative) + np.mean(positive == negative) / 2)


def explore_distance() -> Explorer:
    """Move N+ and N0 apart, and test on few patients or many: what becomes of the AUC and of its interval?"""

    def draw(apart: float, n_positive: float) -> Drawn:
        rows = _two_groups(apart=apart, n_positive=int(n_positive))
        auc = analysis.roc(rows).auc_logit
        figure = plot_two_groups(
            rows, title="How far apart are N+ and N0?", subtitle=f"AUC {theme.with_interval(auc)}; 95 % interval"
        )
        return Drawn(
            figure,
            f"AUC {auc.value:.2f}: in {100 * auc.value:.0f} of 100 pairs of an N+ and an N0 patient the N+ patient has "
            f"the higher risk. With {int(n_positive)} N+ patients its 95 % interval reaches from {auc.low:.2f} to "
            f"{auc.high:.2f}.",
        )

    return Explorer(draw, name="distance", controls=(
        Slider("apart", "How far apart N+ and N0 lie", 0.0, 3.0, 0.1, 1.2, digits=1),
        Slider("n_positive", "How many N+ patients the model is tested on (and four N0 for each)", 5, 200, 5, 200),
    ))  # fmt: skip


def explore_same_order() -> Explorer:
    """Say every risk louder or softer without anybody changing places: the AUC stays, what a risk means does not."""
    patients = made_up_patients()

    def draw(shift: float, stretch: float) -> Drawn:
        rows = reckoned(patients, shift=shift, stretch=stretch)
        auc, found, said = analysis.roc(rows).auc.value, rows["onlm"].mean(), rows["risk"].mean()
        figure = plot_two_groups(
            rows, title="Same order, other risks: what stays?", subtitle=f"AUC {auc:.3f}; the order is as it was"
        )
        return Drawn(
            figure,
            f"AUC {auc:.3f}, as before: nobody changed places. The risks now average {theme.percent(said)}, "
            f"and {theme.percent(found)} of these patients are N+.",
        )

    return Explorer(draw, name="same_order", controls=(
        Slider("shift", "All risks lower or higher (log odds)", -2.0, 2.0, 0.1, 0.0, digits=1),
        Slider("stretch", "Closer together or further apart (log odds, times)", 0.4, 3.0, 0.1, 1.0, digits=1),
    ))  # fmt: skip


def patients_at(prevalence: float) -> pd.DataFrame:
    """Four thousand patients of the same kinds, of whom another share is N+: each group drawn as it comes.

    Args:
        prevalence: the share of N+.
    """
    pool = _pool()
    n_positive = round(N_TESTED * prevalence)
    chosen = [pool[pool["onlm"] == 1].head(n_positive), pool[pool["onlm"] == 0].head(N_TESTED - n_positive)]
    return pd.concat(chosen, ignore_index=True)


def explore_prevalence() -> Explorer:
    """Take the same model where N+ is rarer or more common: the AUC stays, the predictive values do not."""

    def draw(prevalence: float) -> Drawn:
        rows = patients_at(prevalence)
        auc, point = analysis.roc(rows).auc, analysis.operating_point(rows, threshold=THRESHOLD)
        found, missed = (n / len(rows) for n in (point.n_tp, point.n_fn))
        figure, _ = hundred(
            {"N+ called positive": found, "N+ missed": missed, "N0 called positive": point.n_fp / len(rows),
             "N0 left alone": point.n_tn / len(rows)},
            title="A hundred patients of such a hospital, called positive at a risk of 20 % or more",
            subtitle=f"{theme.percent(prevalence)} N+; AUC {theme.with_interval(auc)}",
        )  # fmt: skip
        return Drawn(
            figure,
            f"AUC {theme.with_interval(auc)}, sensitivity {theme.percent(point.sensitivity.value)}: the same but for "
            f"chance. But of 100 patients called positive, {100 * point.ppv.value:.0f} are N+ (positive predictive "
            f"value), and of 100 called negative {100 * point.npv.value:.0f} are N0.",
        )

    return Explorer(draw, name="prevalence", controls=(
        Slider("prevalence", "Share of N+ in the hospital", 0.03, 0.50, 0.01, 0.20, unit="%"),
    ))  # fmt: skip


def with_easy_patients(n_easy: int) -> pd.DataFrame:
    """The lesson's patients, and others whom anybody would call N0: small nodules that hardly ever have spread."""
    chance = np.random.default_rng(5)
    log_odds = np.log(EASY_RISK / (1 - EASY_RISK)) + 0.4 * chance.normal(size=2000)
    easy = pd.DataFrame({"patient_id": [f"E{i:05d}" for i in range(2000)], "risk": expit(log_odds)})
    easy["onlm"] = (chance.uniform(size=2000) < easy["risk"]).astype(int)
    return pd.concat([made_up_patients(), easy.head(n_easy)], ignore_index=True).assign(model_id="all patients")


def explore_easy_patients() -> Explorer:
    """Test the same model on more patients who are easy: the AUC rises, and the model is the same."""
    first = analysis.roc(made_up_patients().assign(model_id="the first 1,000 alone"))

    def draw(n_easy: float) -> Drawn:
        roc = analysis.roc(with_easy_patients(int(n_easy)))
        return Drawn(
            plot_roc([roc, first], mark=theme.MADE_UP),
            f"With {int(n_easy):,} easy patients among {roc.n:,} the AUC is {roc.auc.value:.3f}. In the first 1,000 "
            f"alone it still is {first.auc.value:.3f}: the model has learnt nothing.",
        )

    return Explorer(draw, name="easy_patients", controls=(
        Slider("n_easy", "Easy N0 patients added to the test", 0, 2000, 100, 0),
    ))  # fmt: skip


@cache
def _pool() -> pd.DataFrame:
    return made_up_patients(N_POOL, seed=40)


def _two_groups(*, apart: float, n_positive: int) -> pd.DataFrame:
    """N+ and N0 patients whose scores lie a number of standard deviations apart; the same patients at every place."""
    chance = np.random.default_rng(2)
    positive, negative = chance.normal(size=200), chance.normal(size=800)
    score = np.concatenate([positive[:n_positive] + apart, negative[: 4 * n_positive]])
    onlm = np.repeat([1, 0], [n_positive, 4 * n_positive])
    return pd.DataFrame({"patient_id": np.arange(len(score)).astype(str), "risk": expit(score - 1), "onlm": onlm})
