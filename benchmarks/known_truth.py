"""A population whose true values are known by integration, and samples of it, for benchmarks.coverage.

One score z, standard normal, makes the risk of N+: log odds = MU + S z, 15 % N+ altogether. Model a is that risk;
model x is the same ordering, too extreme; models c and d see z through a noise of their own each, so that neither is
better than the other.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtr

PREVALENCE, S = 0.15, 1.3
SEEN = 0.8  # correlation of what c and d see with z
SHIFT, STRETCH = -0.3, 1.4  # log odds of x = SHIFT + STRETCH * log odds of a
THRESHOLD, ELSEWHERE = 0.15, 0.30  # the threshold, fixed beforehand; the prevalence of another place
ODDS = THRESHOLD / (1 - THRESHOLD)
_FAR = 9.0


def _normal(z: np.ndarray | float) -> np.ndarray | float:
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def _mean(f: object, low: float = -_FAR, high: float = _FAR) -> float:
    """The integral of f(z) over the standard normal density between two limits."""
    return quad(lambda z: f(z) * _normal(z), low, high, epsabs=1e-12, epsrel=1e-10, limit=200)[0]


MU = brentq(lambda mu: _mean(lambda z: expit(mu + S * z)) - PREVALENCE, -6, 0, xtol=1e-13)


def _true_risk(z: np.ndarray | float) -> np.ndarray | float:
    return expit(MU + S * z)


@lru_cache(maxsize=1)
def truth() -> dict[str, float]:
    """The population's value of every measure, by numerical integration."""
    cut = (logit(THRESHOLD) - MU) / S
    found = _cells(lambda z: float(z >= cut), breaks=(cut,))
    seen_cut = (logit(THRESHOLD) - MU) / (S * SEEN)
    noisy = _cells(lambda z: ndtr((SEEN * z - seen_cut) / math.sqrt(1 - SEEN**2)))
    n_tp, n_fp, n_tn, n_fn = (found[k] for k in ("tp", "fp", "tn", "fn"))
    sens, spec, p = n_tp / PREVALENCE, n_tn / (1 - PREVALENCE), ELSEWHERE
    areas = _area(0.0), _area(math.sqrt(1 - SEEN**2))
    values = {
        "auc": areas[0], "sensitivity": sens, "specificity": spec, "ppv": n_tp / (n_tp + n_fp),
        "npv": n_tn / (n_tn + n_fn), "lr_positive": sens / (1 - spec), "lr_negative": (1 - sens) / spec,
        "ppv_at_prevalence": sens * p / (sens * p + (1 - spec) * (1 - p)),
        "npv_at_prevalence": spec * (1 - p) / (spec * (1 - p) + (1 - sens) * p),
        "net_benefit": n_tp - n_fp * ODDS, "treat_all": PREVALENCE - (1 - PREVALENCE) * ODDS,
        "avoided": 100 * (n_tn - n_fn / ODDS), "found": 1000 * n_tp, "missed": 1000 * n_fn, "spared": 1000 * n_tn,
        "needless": 1000 * n_fp, "auc_difference": areas[0] - areas[1],
        "sensitivity_difference": sens - noisy["tp"] / PREVALENCE,
        "specificity_difference": spec - noisy["tn"] / (1 - PREVALENCE),
        "net_benefit_difference": n_tp - noisy["tp"] - (n_fp - noisy["fp"]) * ODDS,
    }  # fmt: skip
    return values | _calibration(0.0, 1.0, mark="") | _calibration(SHIFT, STRETCH, mark="_x")


def _cells(positive: object, *, breaks: tuple[float, ...] = ()) -> dict[str, float]:
    """Shares of all patients in the four cells, from the chance of a positive call at each z."""
    limits = [-_FAR, *breaks, _FAR]
    n_tp = sum(
        _mean(lambda z: positive(z) * _true_risk(z), a, b) for a, b in pairwise(limits)
    )  # fmt: skip
    n_positive = sum(_mean(positive, a, b) for a, b in pairwise(limits))
    n_fp = n_positive - n_tp
    return {"tp": n_tp, "fp": n_fp, "fn": PREVALENCE - n_tp, "tn": 1 - PREVALENCE - n_fp}


def _area(noise: float) -> float:
    """AUC of z seen through normal noise: the chance that an N+ patient's score is above an N0 patient's."""
    z = np.linspace(-_FAR, _FAR, 3001)
    step = z[1] - z[0]
    event, nonevent = _normal(z) * _true_risk(z) * step, _normal(z) * (1 - _true_risk(z)) * step
    event, nonevent = event / event.sum(), nonevent / nonevent.sum()
    if noise == 0:
        return float(event @ (np.cumsum(nonevent) - 0.5 * nonevent))
    gap = SEEN * (z[:, None] - z[None, :])
    return float(event @ ndtr(gap / (noise * math.sqrt(2))) @ nonevent)


def _calibration(shift: float, stretch: float, *, mark: str) -> dict[str, float]:
    """Of risks whose log odds are shift + stretch * the true ones."""

    def stated(z: np.ndarray | float) -> np.ndarray | float:
        return expit(shift + stretch * (MU + S * z))

    def off_by(alpha: float) -> float:
        return _mean(lambda z: expit(alpha + shift + stretch * (MU + S * z))) - PREVALENCE

    return {
        f"slope{mark}": 1 / stretch, f"intercept{mark}": brentq(off_by, -4, 4, xtol=1e-12),
        f"oe_ratio{mark}": PREVALENCE / _mean(stated),
        f"brier{mark}": _mean(lambda z: _true_risk(z) * (1 - _true_risk(z)) + (_true_risk(z) - stated(z)) ** 2),
    }  # fmt: skip


def sample(n: int, *, by_design: bool, generator: np.random.Generator) -> pd.DataFrame:
    """Predictions of models a, x, c and d for n patients: patient_id, model_id, onlm, risk, sex, smoking.

    Args:
        n: patients.
        by_design: exactly 15 % N+, drawn until they are there; else n patients as they come, a cohort.
        generator: the source of chance.
    """
    z, onlm = _by_design(n, generator) if by_design else _as_they_come(n, generator)
    root = math.sqrt(1 - SEEN**2)
    log_odds = MU + S * z
    risks = {"a": log_odds, "x": SHIFT + STRETCH * log_odds}
    for name in ("c", "d"):
        risks[name] = MU + S * SEEN * (SEEN * z + root * generator.normal(size=n))
    patients = {
        "patient_id": np.arange(n).astype(str), "onlm": onlm.astype(float),
        "sex": generator.choice(["female", "male"], n), "smoking": generator.choice(["current", "former", "never"], n),
    }  # fmt: skip
    many = {name: np.tile(values, len(risks)) for name, values in patients.items()}
    return pd.DataFrame(
        many | {"model_id": np.repeat(list(risks), n), "risk": expit(np.concatenate([*risks.values()]))}
    )


def _as_they_come(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    z = generator.normal(size=n)
    return z, generator.uniform(size=n) < _true_risk(z)


def _by_design(n: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n_events = round(PREVALENCE * n)
    wanted = {True: n_events, False: n - n_events}
    z, onlm = _as_they_come(2 * n, generator)
    while any(np.count_nonzero(onlm == k) < wanted[k] for k in wanted):
        more = _as_they_come(2 * n, generator)
        z, onlm = np.concatenate([z, more[0]]), np.concatenate([onlm, more[1]])
    kept = np.concatenate([np.flatnonzero(onlm == k)[: wanted[k]] for k in wanted])
    return z[kept], onlm[kept]
