"""The Cox-Snell R2 that a model is expected to reach, from what earlier studies report of it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import ndtri, xlogy

from onlm_lab.errors import OnlmError

SIMULATED = 1_000_000  # patients drawn by pmsampsize
SEED = 123456  # its default
FEWEST = 100  # of them, with and without the event


def largest_r2(prevalence: float) -> float:
    """The Cox-Snell R2 that no model of a binary outcome can exceed (Riley et al. 2019, doi:10.1002/sim.7992)."""
    return 1 - math.exp(2 * float(xlogy(prevalence, prevalence) + xlogy(1 - prevalence, 1 - prevalence)))


def largest_r2_survival(events_per_patient: float) -> float:
    """The same for a time to event (exponential null model); events of 10,000 patients rounded up, as pmsampsize."""
    share = math.ceil(round(events_per_patient * 10_000, 6)) / 10_000
    return 1 - math.exp(2 * (float(xlogy(share, share)) - share))


def r2_of_c_statistic(c_statistic: float, *, prevalence: float) -> float:
    """Cox-Snell R2 of a model with this C statistic, by integration.

    The linear predictor is taken as normal with the same spread in patients with and without the event (Riley, Van
    Calster, Collins 2021, doi:10.1002/sim.8806).

    Args:
        c_statistic: above 0.5, below 1.
        prevalence: between 0 and 1.
    """
    apart = math.sqrt(2) * float(ndtri(c_statistic))
    grid = np.linspace(-12.0, 12.0 + apart, 40_001)
    with_event = prevalence * np.exp(-((grid - apart) ** 2) / 2)
    without = (1 - prevalence) * np.exp(-(grid**2) / 2)
    both = with_event + without
    step = (grid[1] - grid[0]) / math.sqrt(2 * math.pi)
    fitted = float((xlogy(with_event, with_event / both) + xlogy(without, without / both)).sum() * step)
    empty = float(xlogy(prevalence, prevalence) + xlogy(1 - prevalence, 1 - prevalence))
    return 1 - math.exp(-2 * (fitted - empty))


@lru_cache(maxsize=64)
def simulated_r2_of_c_statistic(c_statistic: float, *, prevalence: float) -> float:
    """The same as R's pmsampsize 1.1.3 gives it: a million patients from R's own generator with its seed, 4 decimals.

    It differs from the integral by the chance of one draw; it is what a reader who runs pmsampsize will get.
    """
    n_first, n_second = int(prevalence * SIMULATED), int((1 - prevalence) * SIMULATED)
    if min(n_first, n_second) < FEWEST:
        raise OnlmError(
            f"R2 of a C statistic: with a prevalence of {prevalence:g} too few of a million patients have the event to "
            "tell it. Name R2 itself."
        )
    drawn = _normal_as_r(n_first + n_second, seed=SEED)
    drawn[n_first:] += math.sqrt(2) * float(ndtri(c_statistic))
    events = np.zeros(len(drawn))
    events[n_first:] = 1.0
    share = events.mean()
    coefficients = np.array([math.log(share / (1 - share)), 0.0])
    for _ in range(50):
        risk = 1 / (1 + np.exp(-(coefficients[0] + coefficients[1] * drawn)))
        weight, left = risk * (1 - risk), events - risk
        cross = float(weight @ drawn)
        information = np.array([[weight.sum(), cross], [cross, float((weight * drawn) @ drawn)]])
        step = np.linalg.solve(information, [left.sum(), float(left @ drawn)])
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise OnlmError(f"R2 of a C statistic of {c_statistic:g}: the model did not settle. Give R2 itself.")
    risk = 1 / (1 + np.exp(-(coefficients[0] + coefficients[1] * drawn)))
    fitted = float(xlogy(events, risk).sum() + xlogy(1 - events, 1 - risk).sum())
    empty = float(len(events) * (xlogy(share, share) + xlogy(1 - share, 1 - share)))
    return round(1 - math.exp(-2 * (fitted - empty) / SIMULATED), 4)


def _normal_as_r(n: int, *, seed: int) -> np.ndarray:
    """n standard normal numbers as R's set.seed(seed); rnorm(n) draws them (Mersenne Twister, inversion)."""
    key = np.empty(625, dtype=np.uint32)
    for _ in range(50):
        seed = (69069 * seed + 1) & 0xFFFFFFFF
    for i in range(625):
        seed = (69069 * seed + 1) & 0xFFFFFFFF
        key[i] = seed
    twister = np.random.MT19937(0)
    twister.state = {"bit_generator": "MT19937", "state": {"key": key[1:], "pos": 624}}
    uniform = np.clip(twister.random_raw(2 * n) * 2.3283064365386963e-10, 2.328306437080797e-10, 1 - 2.33e-10)
    fine = 134217728.0
    return ndtri((np.floor(fine * uniform[0::2]) + uniform[1::2]) / fine)
