"""How many patients a finished model must be tested in, elsewhere.

Riley et al. Stat Med 2021 (doi:10.1002/sim.9025), a yes-or-no outcome: O/E, calibration slope, C statistic and
net benefit, each known with a wanted width of its 95 % interval. The roundings are those of R's pmvalsampsize 0.1.0;
the spread of the linear predictor is integrated, not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri
from scipy.stats import beta, norm

from onlm_lab.analysis.sizing import Z, fault_between, faults_of_counts, least_size
from onlm_lab.errors import OnlmError
from onlm_lab.results import TestingSampleSize

POINTS = 200_000  # of the grid on which a spread is integrated
STEP = 1e-4  # by which pmvalsampsize raises a standard error until the width is reached
APART = 0.1  # relative difference of prevalences from which it is said
MEANS = {
    "oe_ratio": "observed : expected known with an interval of width {:g}",
    "slope": "calibration slope known with an interval of width {:g}",
    "c_statistic": "C statistic known with an interval of width {:g}",
    "net_benefit": "standardised net benefit known with an interval of width {:g}",
}


def sample_size_external(
    *,
    prevalence: float,
    c_statistic: float,
    risks: Sequence[float] | np.ndarray | None = None,
    lp_normal: tuple[float, float] | None = None,
    risk_beta: tuple[float, float] | None = None,
    threshold: float | None = None,
    sensitivity: float | None = None,
    specificity: float | None = None,
    oe_width: float = 0.2,
    slope_width: float = 0.2,
    c_width: float = 0.1,
    net_benefit_width: float = 0.2,
    n: int | None = None,
    n_events: int | None = None,
) -> TestingSampleSize:
    """Patients needed to test a model of a yes-or-no outcome in other patients.

    How the risks will be spread there is said in one of three ways; without any, the linear predictor is taken as
    normal with equal spread in patients with and without the event, as far apart as the C statistic says.

    Args:
        prevalence: share of patients with the event where the model is tested.
        c_statistic: expected there.
        risks: predicted risks of similar patients, between 0 and 1; the best of the three where they are at hand.
        lp_normal: mean and standard deviation of the linear predictor (log odds).
        risk_beta: the two parameters of a beta distribution of the risks.
        threshold: of risk, where net benefit is wanted too; None: left out.
        sensitivity, specificity: at that threshold; None: those that follow from the spread.
        oe_width, slope_width, c_width, net_benefit_width: wanted widths of the 95 % intervals.
        n, n_events: patients and events of the testing set at hand; None: not asked.

    Raises:
        OnlmError: every argument that is out of range.

    Example:
        >>> found = sample_size_external(prevalence=0.018, c_statistic=0.8, lp_normal=(-5, 2.5), oe_width=1)
        >>> found.criteria.set_index("criterion").loc[["oe_ratio", "c_statistic"], "n"].tolist()
        [905, 4252]
    """
    _check(
        prevalence=prevalence, c_statistic=c_statistic, risks=risks, lp_normal=lp_normal, risk_beta=risk_beta,
        threshold=threshold, sensitivity=sensitivity, specificity=specificity, n=n, n_events=n_events,
        widths={"oe_width": oe_width, "slope_width": slope_width, "c_width": c_width,
                "net_benefit_width": net_benefit_width},
    )  # fmt: skip
    predictor, weight, how = _spread(
        prevalence=prevalence, c_statistic=c_statistic, risks=risks, lp_normal=lp_normal, risk_beta=risk_beta
    )
    risk = expit(predictor)
    notes = [f"spread of the risks: {how}"]
    implied = float(weight @ risk)
    if abs(implied - prevalence) > APART * prevalence:
        notes.append(
            f"this spread stands for a prevalence of {implied:.3g}, but {prevalence:.3g} was named: if one of them is "
            "wrong, so is the size for the calibration slope"
        )
    sigma = {
        "oe_ratio": math.sqrt((1 - prevalence) / prevalence),
        "slope": _slope_spread(predictor, risk, weight),
    }
    width = {"oe_ratio": oe_width, "slope": slope_width, "c_statistic": c_width}
    least_c = least_size(2, lambda size: 2 * Z * _c_error(size, c_statistic, prevalence) <= c_width)
    needed: dict[str, float] = {
        "oe_ratio": (sigma["oe_ratio"] / _raised(math.asinh(oe_width / 2) / Z)) ** 2,
        "slope": (sigma["slope"] / (slope_width / (2 * Z))) ** 2,
        "c_statistic": float(least_c),
    }
    if threshold is not None:
        if sensitivity is None or specificity is None:
            sensitivity, specificity = _at_threshold(risk, weight, threshold)
        sigma["net_benefit"] = _benefit_spread(prevalence, sensitivity, specificity, threshold)
        width["net_benefit"] = net_benefit_width
        error = max(round(_raised(net_benefit_width / (2 * Z)), 3), STEP)
        needed["net_benefit"] = (sigma["net_benefit"] / error) ** 2
    whole = {name: math.ceil(round(size, 8)) for name, size in needed.items()}
    required, driver = max(whole.values()), max(whole, key=lambda name: whole[name])
    reached = _widths(n, sigma=sigma, c_statistic=c_statistic, prevalence=prevalence) if n else {}
    sizes = np.array(list(whole.values()))
    criteria = pd.DataFrame({
        "criterion": list(whole), "means": [MEANS[name].format(width[name]) for name in whole], "n": sizes,
        "n_events": sizes * prevalence, "target_width": [width[name] for name in whole],
        "width_at_n": [reached.get(name, math.nan) for name in whole], "drives": [name == driver for name in whole],
    })  # fmt: skip
    said = f"{required:,} patients are needed to test the model; the criterion '{driver}' asks for most."
    if n is not None:
        more = f"not enough, {required - n:,} more are needed" if n < required else "enough"
        said += f" The testing set has {n:,}: {more}."
    return TestingSampleSize(
        criteria=criteria, n_required=required, n_events_required=required * prevalence, driven_by=driver,
        sentence=said, prevalence=prevalence, c_statistic=c_statistic,
        sensitivity=math.nan if sensitivity is None else float(sensitivity),
        specificity=math.nan if specificity is None else float(specificity),
        n_more=max(0, required - n) if n is not None else 0, n=n or 0, n_events=n_events or 0, notes=tuple(notes),
    )  # fmt: skip


def _raised(error: float) -> float:
    return math.ceil(round(error / STEP, 6)) * STEP


def _spread(
    *, prevalence: float, c_statistic: float, risks: Sequence[float] | np.ndarray | None,
    lp_normal: tuple[float, float] | None, risk_beta: tuple[float, float] | None,
) -> tuple[np.ndarray, np.ndarray, str]:  # fmt: skip
    """Values of the linear predictor, their weights (sum 1), and in words where they come from."""
    if risks is not None:
        known = np.asarray(risks, dtype=float)
        return logit(known), np.full(len(known), 1 / len(known)), f"{len(known):,} risks that were given"
    if risk_beta is not None:
        share = (np.arange(POINTS) + 0.5) / POINTS
        drawn = np.clip(beta.ppf(share, *risk_beta), 1e-300, 1 - 1e-16)
        said = f"beta, parameters {risk_beta[0]:g} and {risk_beta[1]:g}"
        return logit(drawn), np.full(POINTS, 1 / POINTS), said
    if lp_normal is not None:
        mean, sd = lp_normal
        grid = np.linspace(mean - 10 * sd, mean + 10 * sd, POINTS + 1)
        weight = norm.pdf(grid, mean, sd)
        return grid, weight / weight.sum(), f"normal linear predictor, mean {mean:g}, standard deviation {sd:g}"
    variance = 2 * float(ndtri(c_statistic)) ** 2
    sd, without = math.sqrt(variance), float(logit(prevalence)) - variance / 2
    grid = np.linspace(without - 10 * sd, without + variance + 10 * sd, POINTS + 1)
    weight = (1 - prevalence) * norm.pdf(grid, without, sd) + prevalence * norm.pdf(grid, without + variance, sd)
    return grid, weight / weight.sum(), "normal with and without the event, equal spread, from the C statistic"


def _slope_spread(predictor: np.ndarray, risk: np.ndarray, weight: np.ndarray) -> float:
    """Standard error of the calibration slope times the root of n, for a model that is well calibrated."""
    unit = weight * risk * (1 - risk)
    constant, cross, square = unit.sum(), unit @ predictor, (unit * predictor) @ predictor
    left = square - cross**2 / constant
    if left <= 1e-12 * max(square, 1.0):
        raise OnlmError("Sample size: all risks are the same, so that no calibration slope exists. Give a spread.")
    return math.sqrt(1 / left)


def _c_error(n: float, c: float, prevalence: float) -> float:
    """Standard error of the C statistic (Newcombe 2006, doi:10.1002/sim.2324)."""
    half = n / 2 - 1
    grown = 1 + half * (1 - c) / (2 - c) + half * c / (1 + c)
    return math.sqrt(c * (1 - c) * grown / (n * n * prevalence * (1 - prevalence)))


def _at_threshold(risk: np.ndarray, weight: np.ndarray, threshold: float) -> tuple[float, float]:
    positive = risk >= threshold
    with_event, without = weight * risk, weight * (1 - risk)
    return float(with_event[positive].sum() / with_event.sum()), float(without[~positive].sum() / without.sum())


def _benefit_spread(prevalence: float, sensitivity: float, specificity: float, threshold: float) -> float:
    """Standard error of the standardised net benefit times the root of n (Marsh, Janes, Pepe,
    Biometrics 2020, doi:10.1111/biom.13190, as Riley et al. 2021 use it)."""
    odds = (1 - prevalence) / prevalence * threshold / (1 - threshold)
    false = 1 - specificity
    return math.sqrt(
        sensitivity * (1 - sensitivity) / prevalence
        + odds**2 * specificity * false / (1 - prevalence)
        + odds**2 * false**2 / (prevalence * (1 - prevalence))
    )


def _widths(n: int, *, sigma: dict[str, float], c_statistic: float, prevalence: float) -> dict[str, float]:
    """Widths of the intervals that n patients would give."""
    found = {name: 2 * Z * spread / math.sqrt(n) for name, spread in sigma.items()}
    found["oe_ratio"] = 2 * math.sinh(found["oe_ratio"] / 2)
    found["c_statistic"] = 2 * Z * _c_error(n, c_statistic, prevalence) if n >= 2 else math.nan
    return found


def _check(
    *, prevalence: float, c_statistic: float, risks: Sequence[float] | np.ndarray | None,
    lp_normal: tuple[float, float] | None, risk_beta: tuple[float, float] | None, threshold: float | None,
    sensitivity: float | None, specificity: float | None, n: int | None, n_events: int | None,
    widths: dict[str, float],
) -> None:  # fmt: skip
    faults = fault_between("prevalence", prevalence, 0, 1) + fault_between("c_statistic", c_statistic, 0.5, 1)
    faults += fault_between("threshold", threshold, 0, 1)
    for name, value in (("sensitivity", sensitivity), ("specificity", specificity)):
        if value not in (0, 1) and fault_between(name, value, 0, 1):
            faults.append(f"{name} must lie from 0 to 1, got {value!r}")
    if threshold is None and (sensitivity is not None or specificity is not None):
        faults.append("sensitivity and specificity belong to a threshold; name it")
    if (sensitivity is None) != (specificity is None):
        faults.append("name both sensitivity and specificity, or neither")
    faults += [fault for name, value in widths.items() for fault in fault_between(name, value, 0, math.inf)]
    ways = {"risks": risks, "lp_normal": lp_normal, "risk_beta": risk_beta}
    named = [name for name, value in ways.items() if value is not None]
    if len(named) > 1:
        faults.append(f"say the spread of the risks in one way, got {' and '.join(named)}")
    if risks is not None:
        values = pd.to_numeric(pd.Series(np.asarray(risks).ravel()), errors="coerce").to_numpy(float, na_value=np.nan)
        bad = int((~((values > 0) & (values < 1))).sum())
        if bad or len(values) < 2:
            faults.append(f"risks must be at least two numbers between 0 and 1, got {len(values)}, {bad} of them not")
    if lp_normal is not None and not (len(lp_normal) == 2 and math.isfinite(lp_normal[0]) and lp_normal[1] > 0):
        faults.append(f"lp_normal must be a mean and a standard deviation above 0, got {lp_normal!r}")
    if risk_beta is not None and not (len(risk_beta) == 2 and min(risk_beta) > 0):
        faults.append(f"risk_beta must be two numbers above 0, got {risk_beta!r}")
    faults += faults_of_counts(n, n_events)
    if faults:
        raise OnlmError(f"Sample size for testing: {'; '.join(faults)}.")
