"""What moves in lesson 2: patients who were all given one risk, risks that are too high or too extreme, a model
taught on few patients, and one taught on as many N0 as N+."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import expit

from onlm_lab import analysis
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.errors import OnlmError
from onlm_lab.figures import plot_calibration, theme
from onlm_lab.figures.hundred import N_PLUS, SPARED, plot_hundred
from onlm_lab.teaching.explorer import Drawn, Explorer
from onlm_lab.teaching.patients import made_up_patients, reckoned
from onlm_lab.teaching.sliders import Menu, Slider

MODELS = {
    "honest": "an honest model",
    "high": "a model whose risks are too high",
    "extreme": "a model too sure of itself",
}
_MOVED = {"honest": (0.0, 1.0), "high": (0.8, 1.0), "extreme": (0.0, 2.2)}  # shift and stretch of the log odds
WEIGHTS = np.array([0.9, 0.7, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])  # eight measurements, five of them mere noise
LEVEL = -1.65
N_TESTED, N_ALIKE = 2000, 1000


def patients_given(risk: float, *, model: str = "honest") -> pd.DataFrame:
    """The thousand patients of a large pool whose predicted risk is nearest to a risk.

    Args:
        risk: in [0, 1].
        model: of MODELS: whose predictions.
    """
    shift, stretch = _MOVED[model]
    pool = reckoned(_pool(), shift=shift, stretch=stretch)
    near = (pool["risk"] - risk).abs().sort_values(kind="stable").index[:N_ALIKE]
    return pool.loc[near].reset_index(drop=True)


def explore_one_risk() -> Explorer:
    """Patients who were all given about the same risk: how many of 100 are N+?"""

    def draw(risk: float, model: str) -> Drawn:
        rows = patients_given(risk, model=model)
        n_positive, in_100 = int(rows["onlm"].sum()), round(100 * rows["onlm"].mean())
        figure = plot_hundred(
            {"N+": in_100, "N0": 100 - in_100}, signs={"N+": N_PLUS, "N0": SPARED},
            title=f"A hundred patients to whom {MODELS[model]} gave about {theme.percent(risk)}",
            subtitle=f"as {n_positive} of {len(rows):,} such patients were found N+; their risks: "
            f"{theme.percent(rows['risk'].min(), digits=1)} to {theme.percent(rows['risk'].max(), digits=1)}",
            mark=theme.MADE_UP,
        )  # fmt: skip
        return Drawn(
            figure,
            f"The model said {theme.percent(risk)} to each of them; {in_100} of 100 are N+. "
            + ("It keeps its word." if abs(in_100 - 100 * risk) < 4 else "It does not keep its word."),
        )

    return Explorer(draw, name="one_risk", controls=(
        Slider("risk", "The risk that all of them were given", 0.05, 0.60, 0.05, 0.20, unit="%"),
        Menu("model", "By which model", MODELS, "honest"),
    ))  # fmt: skip


def explore_shift_and_stretch() -> Explorer:
    """Make all risks higher or lower, or more extreme, and watch curve, O:E, slope and AUC."""
    patients = made_up_patients()

    def draw(shift: float, stretch: float) -> Drawn:
        rows = reckoned(patients, shift=shift, stretch=stretch)
        found, auc = analysis.assess_calibration(rows), analysis.roc(rows).auc.value
        return Drawn(
            plot_calibration(found, mark=theme.MADE_UP),
            f"Predicted on average {theme.percent(rows['risk'].mean())}, found {theme.percent(rows['onlm'].mean())}: "
            f"O:E {found.oe_ratio.value:.2f} (1 is right). Slope {found.slope.value:.2f} (1 is right). "
            f"AUC {auc:.3f}, wherever the sliders stand.",
        )

    return Explorer(draw, name="shift_and_stretch", controls=(
        Slider("shift", "All risks lower or higher (log odds)", -1.5, 1.5, 0.1, 0.0, digits=1),
        Slider("stretch", "Less or more extreme (log odds, times)", 0.4, 2.5, 0.1, 1.0, digits=1),
    ))  # fmt: skip


def taught_on(n_positive: int, *, seed: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A model taught on few patients: its risks in these very patients, and in 2,000 new ones.

    Eight measurements of each patient go into a logistic regression; three of them say something of N+.

    Args:
        n_positive: N+ patients that it is taught on, with four N0 for each.
        seed: of chance.

    Raises:
        OnlmError: the measurements separate N+ from N0 in so few patients, so nothing can be fitted.
    """
    chance = np.random.default_rng(seed)
    measured, onlm = _measured(chance, n=12_000)
    taught = np.concatenate([np.flatnonzero(onlm)[:n_positive], np.flatnonzero(~onlm)[: 4 * n_positive]])
    new = np.arange(len(onlm) - N_TESTED, len(onlm))
    fit = fit_logistic(_design(measured[taught]), onlm[taught])
    if fit.note:
        raise OnlmError(f"With {n_positive} N+ patients nothing can be fitted: {fit.note}")
    return tuple(
        pd.DataFrame({
            "patient_id": who.astype(str), "model_id": f"taught on {n_positive} N+", "onlm": onlm[who].astype(int),
            "risk": expit(_design(measured[who]) @ fit.coef),
        })
        for who in (taught, new)
    )  # fmt: skip


def explore_few_patients() -> Explorer:
    """Teach the model on fewer patients, and test it on new ones: how sure of itself is it?"""

    def draw(n_positive: float) -> Drawn:
        own, new = taught_on(int(n_positive))
        at_home, found = analysis.assess_calibration(own, apparent=True), analysis.assess_calibration(new)
        return Drawn(
            plot_calibration(found, mark=theme.MADE_UP),
            f"Taught on {int(n_positive)} N+ and {4 * int(n_positive)} N0 patients. Slope in these very patients "
            f"{at_home.slope.value:.2f}, whatever the number; in {len(new):,} new ones {found.slope.value:.2f}. "
            f"AUC {analysis.roc(own).auc.value:.2f} at home, {analysis.roc(new).auc.value:.2f} in new patients.",
        )

    return Explorer(draw, name="few_patients", controls=(
        Slider("n_positive", "N+ patients that the model is taught on", 15, 400, 5, 20),
    ))  # fmt: skip


def balanced(n0_per_n_positive: float = 1.0) -> pd.DataFrame:
    """Risks in new patients, 20 % of them N+, of a model that was taught on N+ and only some of the N0 patients.

    Args:
        n0_per_n_positive: N0 patients that were kept for each N+; 4 is how they come.
    """
    chance = np.random.default_rng(11)
    measured, onlm = _measured(chance, n=12_000)
    positive, negative = np.flatnonzero(onlm[:10_000]), np.flatnonzero(~onlm[:10_000])
    kept = np.concatenate([positive, negative[: int(n0_per_n_positive * len(positive))]])
    fit = fit_logistic(_design(measured[kept]), onlm[kept])
    new = np.arange(10_000, 12_000)
    return pd.DataFrame({
        "patient_id": new.astype(str), "model_id": f"{n0_per_n_positive:g} N0 for each N+",
        "onlm": onlm[new].astype(int), "risk": expit(_design(measured[new]) @ fit.coef),
    })  # fmt: skip


def recalibrated(rows: pd.DataFrame) -> pd.DataFrame:
    """The second half of the patients, with the intercept updated on the first half."""
    half = len(rows) // 2
    update = analysis.recalibrate(rows.iloc[:half], method="intercept")
    later = rows.iloc[half:].reset_index(drop=True)
    return analysis.apply_recalibration(later, intercept=update.intercept.value, slope=1.0)


def explore_balancing() -> Explorer:
    """Throw N0 patients away before teaching, then recalibrate or not: what do the risks say?"""

    def draw(kept: float, after: str) -> Drawn:
        rows = balanced(kept).iloc[N_TESTED // 2 :].reset_index(drop=True)
        if after == "recalibrated":
            rows = recalibrated(balanced(kept))
        found = analysis.assess_calibration(rows)
        return Drawn(
            plot_calibration(found, mark=theme.MADE_UP),
            f"Predicted on average {theme.percent(rows['risk'].mean())}, found {theme.percent(rows['onlm'].mean())}. "
            f"O:E {found.oe_ratio.value:.2f}, AUC {analysis.roc(rows).auc.value:.3f}.",
        )

    return Explorer(draw, name="balancing", controls=(
        Slider("kept", "N0 patients kept for each N+ when the model was taught", 1.0, 4.0, 0.5, 1.0, digits=1),
        Menu("after", "Afterwards", {"as_it_is": "as it is", "recalibrated": "intercept updated on other patients"},
             "as_it_is"),
    ))  # fmt: skip


@cache
def _pool() -> pd.DataFrame:
    return made_up_patients(100_000, seed=40)


def _measured(chance: np.random.Generator, *, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Eight measurements of each patient, (n, 8), and whether N+ was found, (n,) bool; about 20 % are."""
    measured = chance.normal(size=(n, len(WEIGHTS)))
    return measured, chance.uniform(size=n) < expit(LEVEL + measured @ WEIGHTS)


def _design(measured: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(len(measured)), measured])
