"""A population whose times to events are known by integration, and samples of it, for benchmarks.coverage_outcomes.

One score z, standard normal, makes the risk of N+ as in benchmarks.known_truth; half of the patients are male. Two
endpoints are drawn apart from each other, and no measure looks at both:

- `os`: Weibull times with proportional hazards in the risk and in sex.
- `regional`: the subdistribution of Fine and Gray's own simulations (1999, doi:10.1080/01621459.1999.10474144),
  F1(t | x) = 1 - [1 - SHARE (1 - exp(-t / SCALE_1))]^exp(b'x), so that their model's coefficients are known exactly;
  the competing event comes to all others, at an exponential time.

Follow-up ends at a planned day, uniform between two, or with a loss at a constant rate; neither knows the patient.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from benchmarks.known_truth import MU, THRESHOLD, S

YEAR = 365.25
HORIZON = 3 * YEAR
RISK, MALE = math.log(1.3), math.log(1.5)  # log hazard ratios of os: 10 points of risk, male
SHAPE, SCALE = 1.2, 3000.0
RISK_1, MALE_1 = math.log(1.3), math.log(1.4)  # log subdistribution hazard ratios of regional recurrence
SHARE, SCALE_1 = 0.15, 800.0
RISK_2, MALE_2, SCALE_2 = math.log(1.1), math.log(1.3), 3600.0  # the rate of the competing event
LOST = 1 / 10000.0  # a day
ENDS = 3.5 * YEAR, 8 * YEAR
CUT = (logit(THRESHOLD) - MU) / S
_FAR = 9.0


class Score:
    """Nodes over the score with their share of the patients: panels of Gauss and Legendre that meet at the cut."""

    def __init__(self, *, n_nodes: int = 240) -> None:
        at, weight = np.polynomial.legendre.leggauss(n_nodes)
        panels = ((-_FAR, CUT), (CUT, _FAR))
        self.z = np.concatenate([(a + b) / 2 + (b - a) / 2 * at for a, b in panels])
        density = np.exp(-0.5 * self.z**2) / math.sqrt(2 * math.pi)
        self.share = np.concatenate([(b - a) / 2 * weight for a, b in panels]) * density
        self.positive = self.z >= CUT


def _points(z: np.ndarray) -> np.ndarray:
    return 10 * expit(MU + S * z)


def survival(z: np.ndarray, days: np.ndarray | float) -> np.ndarray:
    """S(t | z) of os, women and men together."""
    return np.mean([np.exp(-_cumulative(z, male, days)) for male in (0, 1)], axis=0)


def _density(z: np.ndarray, days: np.ndarray | float) -> np.ndarray:
    both = []
    for male in (0, 1):
        hazard = _cumulative(z, male, days)
        both.append(SHAPE / days * hazard * np.exp(-hazard))
    return np.mean(both, axis=0)


def _cumulative(z: np.ndarray, male: int, days: np.ndarray | float) -> np.ndarray:
    return (days / SCALE) ** SHAPE * np.exp(RISK * _points(z) + MALE * male)


def incidence(z: np.ndarray, days: float, *, cause: int) -> np.ndarray:
    """F(t | z) of one cause of regional, women and men together."""
    both = []
    for male in (0, 1):
        times = np.exp(RISK_1 * _points(z) + MALE_1 * male)
        if cause == 1:
            both.append(1 - (1 - SHARE * -np.expm1(-days / SCALE_1)) ** times)
        else:
            rate = np.exp(RISK_2 * _points(z) + MALE_2 * male) / SCALE_2
            both.append((1 - SHARE) ** times * -np.expm1(-rate * days))
    return np.mean(both, axis=0)


def followed(days: np.ndarray | float) -> np.ndarray | float:
    """G(t), the share whose follow-up would last longer than t."""
    planned = np.clip((ENDS[1] - days) / (ENDS[1] - ENDS[0]), 0, 1)
    return np.exp(-LOST * np.asarray(days)) * planned


def _time_nodes(*limits: float, n_nodes: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Days and their widths, panels of Gauss and Legendre between the limits."""
    at, weight = np.polynomial.legendre.leggauss(n_nodes)
    days = np.concatenate([(a + b) / 2 + (b - a) / 2 * at for a, b in pairwise(limits)])
    return days, np.concatenate([(b - a) / 2 * weight for a, b in pairwise(limits)])


@lru_cache(maxsize=1)
def truth() -> dict[str, float]:
    """The population's value of every measure, by numerical integration."""
    score = Score()
    z, share, positive = score.z, score.share, score.positive
    days, width = _time_nodes(0.0, HORIZON)
    alive = np.array([survival(z, t) * share for t in days])
    lived = [width @ alive[:, own].sum(axis=1) / share[own].sum() for own in (~positive, positive)]
    first, second = (incidence(z, HORIZON, cause=cause) for cause in (1, 2))
    return {
        "hr_risk": RISK, "hr_male": MALE, "hr_risk_regional": RISK_1, "hr_male_regional": MALE_1,
        "survival": float(share @ survival(z, HORIZON)),
        "survival_positive": float(share[positive] @ survival(z, HORIZON)[positive] / share[positive].sum()),
        "median": brentq(lambda t: share @ survival(z, t) - 0.5, 1, 1e5, xtol=1e-9),
        "rmst_difference": float(lived[1] - lived[0]),
        "incidence_1": float(share @ first), "incidence_2": float(share @ second),
        "auc_os": _area(lambda z: 1 - survival(z, HORIZON), lambda z: survival(z, HORIZON)),
        "auc_regional_free": _area(
            lambda z: incidence(z, HORIZON, cause=1),
            lambda z: 1 - incidence(z, HORIZON, cause=1) - incidence(z, HORIZON, cause=2),
        ),
        "auc_regional": _area(
            lambda z: incidence(z, HORIZON, cause=1), lambda z: 1 - incidence(z, HORIZON, cause=1)
        ),
        "uno_c": _concordance(0.0, HORIZON, seen=np.ones_like),
        "harrell_c": _concordance(0.0, *ENDS, seen=lambda t: followed(t) ** 2),
    }  # fmt: skip


def censored() -> dict[str, float]:
    """The share of patients censored in each endpoint."""
    score, (days, width) = Score(), _time_nodes(0.0, *ENDS)
    leaves = followed(days) * LOST + np.exp(-LOST * days) * ((days >= ENDS[0]) / (ENDS[1] - ENDS[0]))
    alive = np.array([survival(score.z, t) for t in days])
    free = np.array([1 - incidence(score.z, t, cause=1) - incidence(score.z, t, cause=2) for t in days])
    return {name: float(width * leaves @ both @ score.share) for name, both in (("os", alive), ("regional", free))}


def _grid() -> tuple[np.ndarray, np.ndarray]:
    z = np.linspace(-_FAR, _FAR, 3001)
    return z, np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) * (z[1] - z[0])


def _area(case: object, control: object) -> float:
    """The chance that a case's score is above a control's, from the share of both at each score."""
    z, share = _grid()
    cases, controls = case(z) * share, control(z) * share
    return float(cases @ (np.cumsum(controls) - 0.5 * controls) / (cases.sum() * controls.sum()))


def _concordance(*limits: float, seen: object) -> float:
    """The chance that the higher score dies first, of pairs whose first death falls on a day and is seen there."""
    z, share = _grid()
    days, width = _time_nodes(*limits)
    right = every = 0.0
    for day, wide in zip(days, width * seen(days), strict=True):
        dies, lives = _density(z, day) * share, survival(z, day) * share
        right += wide * float(dies @ (np.cumsum(lives) - 0.5 * lives))
        every += wide * float(dies.sum() * lives.sum())
    return float(right / every)


def sample(n: int, *, generator: np.random.Generator) -> pd.DataFrame:
    """Patients as they come: patient_id, risk, positive, male, os_days, os_event, regional_days, regional_state, and
    two columns that nothing depends on: `coin` (two values) and `die` (four).

    Args:
        n: patients.
        generator: the source of chance.
    """
    z, male = generator.normal(size=n), generator.uniform(size=n) < 0.5
    points = _points(z)
    ends = np.minimum(generator.exponential(1 / LOST, n), generator.uniform(*ENDS, n))
    later = np.minimum(generator.exponential(1 / LOST, n), generator.uniform(*ENDS, n))
    death = SCALE * (generator.exponential(size=n) * np.exp(-RISK * points - MALE * male)) ** (1 / SHAPE)
    day, cause = _competing(points, male, generator)
    return pd.DataFrame({
        "patient_id": np.arange(n).astype(str), "risk": points / 10, "male": male,
        "positive": z >= CUT,
        "os_days": np.minimum(death, ends), "os_event": (death <= ends).astype(int),
        "regional_days": np.minimum(day, later), "regional_state": np.where(day <= later, cause, 0),
        "coin": generator.choice(["a", "b"], n), "die": generator.choice(list("abcd"), n),
    })  # fmt: skip


def _competing(points: np.ndarray, male: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    times = np.exp(RISK_1 * points + MALE_1 * male)
    ever = 1 - (1 - SHARE) ** times
    u = generator.uniform(size=len(points))
    own = u < ever
    first = -SCALE_1 * np.log1p((np.where(own, 1 - u, 1.0) ** (1 / times) - 1) / SHARE)
    second = generator.exponential(SCALE_2, len(points)) * np.exp(-RISK_2 * points - MALE_2 * male)
    return np.where(own, first, second), np.where(own, 1, 2)
