"""How many patients a model must be developed on, and what a study of a given size would achieve.

Riley et al. BMJ 2020;368:m441 (doi:10.1136/bmj.m441); Riley et al. Stat Med 2019 (doi:10.1002/sim.7992). Yes-or-no
outcomes and times to an event; measured quantities are in continuous_sample_size.
The numbers are those of R's pmsampsize 1.1.3. How well the model will do must be named by the caller: nothing here
has a default for it.
"""

from __future__ import annotations

import math

from scipy.optimize import brentq

from onlm_lab.analysis.anticipated_fit import (
    largest_r2,
    largest_r2_survival,
    r2_of_c_statistic,
    simulated_r2_of_c_statistic,
)
from onlm_lab.analysis.sizing import (
    R2_DIFFERENCE,
    Z,
    criteria_table,
    driver_of,
    fault_between,
    faults_of_counts,
    is_whole,
    least_size,
    sentence_of,
    whole_size,
)
from onlm_lab.errors import OnlmError
from onlm_lab.results import SampleSize

MARGIN = 0.05
CRITERIA = {
    "shrinkage": "little overfitting: expected shrinkage of at least {:g}",
    "r2_difference": f"apparent and adjusted R2 (Nagelkerke) differ by at most {R2_DIFFERENCE:g}",
    "overall_risk": f"overall risk known to within {MARGIN:g}",
}


def sample_size_binary(
    *,
    n_parameters: int,
    prevalence: float,
    c_statistic: float | None = None,
    r2_cox_snell: float | None = None,
    r2_nagelkerke: float | None = None,
    shrinkage: float = 0.9,
    n: int | None = None,
    n_events: int | None = None,
) -> SampleSize:
    """Patients needed to develop a model of a yes-or-no outcome, such as occult nodal metastasis.

    Args:
        n_parameters: candidate predictor parameters: a category of k levels has k - 1, a missing indicator 1.
        prevalence: share of patients with the event, between 0 and 1.
        c_statistic, r2_cox_snell, r2_nagelkerke: what the model is expected to reach; exactly one must be named. A C
            statistic is turned into the R2 that pmsampsize draws for it; the exact one stands in the notes.
        shrinkage: least expected shrinkage that is accepted.
        n, n_events: patients and events of the study at hand; None: not asked.

    Raises:
        OnlmError: every argument that is out of range, or none or several of the three measures.

    Example:
        >>> sample_size_binary(n_parameters=24, prevalence=0.174, c_statistic=0.75).n_required
        1769
    """
    _check(
        n_parameters=n_parameters, prevalence=prevalence, c_statistic=c_statistic, r2_cox_snell=r2_cox_snell,
        r2_nagelkerke=r2_nagelkerke, shrinkage=shrinkage, n=n, n_events=n_events,
    )  # fmt: skip
    most = largest_r2(prevalence)
    r2, notes = _anticipated(
        c_statistic=c_statistic, r2_cox_snell=r2_cox_snell, r2_nagelkerke=r2_nagelkerke, most=most,
        prevalence=prevalence, shrinkage=shrinkage,
    )  # fmt: skip
    needed = {
        "shrinkage": _n_for_shrinkage(n_parameters, r2, shrinkage),
        "r2_difference": _n_for_shrinkage(n_parameters, r2, _small_difference(r2, most)),
        "overall_risk": (Z / MARGIN) ** 2 * prevalence * (1 - prevalence),
    }
    margin = Z * math.sqrt(prevalence * (1 - prevalence) / n) if n else math.nan
    return _likelihood_result(
        "binary", needed, n_parameters=n_parameters, r2=r2, most=most, shrinkage=shrinkage,
        events_per_patient=prevalence, n=n, n_events=n_events, margin=margin, notes=notes,
    )  # fmt: skip


def sample_size_survival(
    *,
    n_parameters: int,
    rate_per_year: float,
    horizon_years: float,
    mean_followup_years: float,
    r2_cox_snell: float | None = None,
    r2_nagelkerke: float | None = None,
    shrinkage: float = 0.9,
    n: int | None = None,
    n_events: int | None = None,
) -> SampleSize:
    """Patients needed to develop a model of the time to an event.

    Args:
        n_parameters: candidate predictor parameters.
        rate_per_year: events a person-year.
        horizon_years: the time by which the risk is predicted.
        mean_followup_years: mean time under observation in the study.
        r2_cox_snell, r2_nagelkerke: what the model is expected to reach; exactly one must be named.
        shrinkage: least expected shrinkage that is accepted.
        n, n_events: patients and events of the study at hand; None: not asked.

    Raises:
        OnlmError: every argument that is out of range, or none or both of the two measures.
    """
    _check(
        n_parameters=n_parameters, r2_cox_snell=r2_cox_snell, r2_nagelkerke=r2_nagelkerke, shrinkage=shrinkage,
        n=n, n_events=n_events, rate_per_year=rate_per_year, horizon_years=horizon_years,
        mean_followup_years=mean_followup_years,
    )  # fmt: skip
    share = rate_per_year * mean_followup_years
    most = largest_r2_survival(share)
    r2, notes = _anticipated(
        c_statistic=None, r2_cox_snell=r2_cox_snell, r2_nagelkerke=r2_nagelkerke, most=most, prevalence=math.nan,
        shrinkage=shrinkage,
    )  # fmt: skip

    def limits(size: float) -> tuple[float, float, float]:
        error = Z * math.sqrt(rate_per_year / (mean_followup_years * size))
        low, middle, high = (1 - math.exp(-(rate_per_year + k * error) * horizon_years) for k in (-1, 0, 1))
        return low, middle, high

    needed = {
        "shrinkage": _n_for_shrinkage(n_parameters, r2, shrinkage),
        "r2_difference": _n_for_shrinkage(n_parameters, r2, _small_difference(r2, most)),
        "overall_risk": float(least_size(1, lambda size: limits(size)[2] - limits(size)[1] <= MARGIN)),
    }
    low, risk, high = limits(max(math.ceil(whole_size(v)) for v in needed.values()))
    notes += (f"at the size needed, the risk by {horizon_years:g} years is {risk:.3f} ({low:.3f} to {high:.3f})",)
    margin = limits(n)[2] - risk if n else math.nan
    return _likelihood_result(
        "survival", needed, n_parameters=n_parameters, r2=r2, most=most, shrinkage=shrinkage,
        events_per_patient=share, n=n, n_events=n_events, margin=margin, notes=notes,
    )  # fmt: skip


def expected_shrinkage(n: int, *, n_parameters: int, r2: float) -> float:
    """The shrinkage to expect from n patients (Riley et al. 2019, doi:10.1002/sim.7992); higher is better.

    Args:
        n: patients.
        n_parameters: candidate predictor parameters.
        r2: Cox-Snell R2 that the model is expected to reach.
    """
    wanted = n_parameters / n
    if _inverse(r2 * (1 + 1e-13), r2) < wanted:
        return math.nan
    return float(brentq(lambda s: _inverse(s, r2) - wanted, r2 * (1 + 1e-13), 1 - 1e-15, xtol=1e-14))


def _inverse(shrinkage: float, r2: float) -> float:
    return (shrinkage - 1) * math.log1p(-r2 / shrinkage)


def _n_for_shrinkage(n_parameters: int, r2: float, shrinkage: float) -> float:
    return n_parameters / _inverse(shrinkage, r2)


def _small_difference(r2: float, most: float) -> float:
    return r2 / (r2 + R2_DIFFERENCE * most)


def _anticipated(
    *, c_statistic: float | None, r2_cox_snell: float | None, r2_nagelkerke: float | None, most: float,
    prevalence: float, shrinkage: float,
) -> tuple[float, tuple[str, ...]]:  # fmt: skip
    notes: tuple[str, ...] = ()
    if r2_cox_snell is not None:
        r2 = r2_cox_snell
    elif r2_nagelkerke is not None:
        r2 = r2_nagelkerke * most
        notes = (f"Nagelkerke R2 {r2_nagelkerke:g} is a Cox-Snell R2 of {r2:.4f}",)
    else:
        r2 = simulated_r2_of_c_statistic(c_statistic, prevalence=prevalence)
        exact = r2_of_c_statistic(c_statistic, prevalence=prevalence)
        notes = (
            f"C statistic {c_statistic:g} is a Cox-Snell R2 of {r2:.4f} as pmsampsize draws it; by exact integration "
            f"{exact:.4f} (normal linear predictor, equal spread with and without the event)",
        )
    if not 0 < r2 < min(most, shrinkage):
        by = f" by the C statistic {c_statistic:g}" if c_statistic is not None else ""
        raise OnlmError(
            f"Sample size: a Cox-Snell R2 of {r2:.4g} was named{by}, but with this outcome it lies between 0 and "
            + f"{most:.4g}"
            + (f", and below the wanted shrinkage of {shrinkage:g}" if r2 < most else "")
            + ". Name another, or give it as r2_nagelkerke."
        )
    return r2, notes


def _likelihood_result(
    outcome: str, needed: dict[str, float], *, n_parameters: int, r2: float, most: float, shrinkage: float,
    events_per_patient: float, n: int | None, n_events: int | None, margin: float, notes: tuple[str, ...],
) -> SampleSize:  # fmt: skip
    whole = {name: math.ceil(whole_size(size)) for name, size in needed.items()}
    required = max(whole.values())
    said = {name: text.format(shrinkage) for name, text in CRITERIA.items()}
    small = _small_difference(r2, most)
    aims = {"shrinkage": shrinkage, "r2_difference": small, "overall_risk": max(small, shrinkage)}
    return SampleSize(
        outcome=outcome,
        criteria=criteria_table(whole, said, aims, n_parameters=n_parameters, events_per_patient=events_per_patient),
        n_required=required, n_events_required=required * events_per_patient, driven_by=driver_of(whole),
        n_parameters=n_parameters, shrinkage=max(small, shrinkage), r2=r2, r2_max=most, r2_nagelkerke=r2 / most,
        n=n or 0, n_events=n_events or 0, n_more=max(0, required - n) if n is not None else 0,
        sentence=sentence_of(required, driver_of(whole), n),
        shrinkage_at_n=expected_shrinkage(n, n_parameters=n_parameters, r2=r2) if n else math.nan,
        margin_at_n=margin, notes=notes,
    )  # fmt: skip


def _check(**given: float | None) -> None:
    """Every argument that is out of range, at once."""
    faults = []
    if not is_whole(given["n_parameters"], least=1):
        faults.append(f"n_parameters must be a whole number of at least 1, got {given['n_parameters']!r}")
    for name in ("prevalence", "c_statistic", "r2_cox_snell", "r2_nagelkerke", "shrinkage"):
        faults += fault_between(name, given.get(name), 0.5 if name == "c_statistic" else 0, 1)
    for name in ("rate_per_year", "horizon_years", "mean_followup_years"):
        faults += fault_between(name, given.get(name), 0, math.inf)
    faults += faults_of_counts(given["n"], given["n_events"])
    measures = [m for m in ("c_statistic", "r2_cox_snell", "r2_nagelkerke") if m in given]
    named = [m for m in measures if given[m] is not None]
    if len(named) != 1:
        faults.append(
            f"name exactly one of {', '.join(measures)} (how well the model is expected to do; there is no default), "
            f"got {' and '.join(named) or 'none'}"
        )
    if faults:
        raise OnlmError(f"Sample size: {'; '.join(faults)}.")
