"""How many patients a model of a measured quantity must be developed on.

Riley et al. Stat Med 2019 (doi:10.1002/sim.7993). The numbers are those of R's pmsampsize 1.1.3.
"""

from __future__ import annotations

import math

from scipy.stats import chi2, t

from onlm_lab.analysis.sizing import (
    R2_DIFFERENCE,
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


def sample_size_continuous(
    *, n_parameters: int, r2: float, mean: float, sd: float, shrinkage: float = 0.9, margin: float = 1.1,
    n: int | None = None,
) -> SampleSize:  # fmt: skip
    """Patients needed to develop a model of a measured quantity.

    Args:
        n_parameters: candidate predictor parameters, at least 3 for the shrinkage formula to hold.
        r2: adjusted R2 that the model is expected to reach, between 0 and 1.
        mean, sd: of the outcome, in its own unit.
        shrinkage: least expected shrinkage that is accepted.
        margin: multiplicative margin of error of the residual spread and of the mean; 1.1 is 10 %.
        n: patients of the study at hand; None: not asked.

    Raises:
        OnlmError: every argument that is out of range.
    """
    _check(n_parameters=n_parameters, r2=r2, shrinkage=shrinkage, sd=sd, margin=margin, n=n, mean=mean)

    def shrunk(size: float) -> float:
        apparent = (r2 * (size - n_parameters - 1) + n_parameters) / (size - 1)
        return 1 + (n_parameters - 2) / (size * math.log(1 - apparent)) if apparent < 1 else -math.inf

    def spread(size: float) -> float:
        df = size - n_parameters - 1
        return math.sqrt(max(df / chi2.ppf(0.025, df), chi2.ppf(0.975, df) / df))

    def off(size: float) -> float:
        return sd * math.sqrt((1 - r2) / size) * t.ppf(0.975, size - n_parameters - 1)

    first = n_parameters + 2
    needed = {
        "shrinkage": float(least_size(first, lambda size: shrunk(size) >= shrinkage)),
        "r2_difference": 1 + n_parameters * (1 - r2) / R2_DIFFERENCE,
        "residual_spread": float(least_size(first, lambda size: spread(size) <= margin)),
        "mean": float(least_size(first, lambda size: (abs(mean) + off(size)) / abs(mean) <= margin)),
    }
    said = {
        "shrinkage": f"little overfitting: expected shrinkage of at least {shrinkage:g}",
        "r2_difference": f"apparent and adjusted R2 differ by at most {R2_DIFFERENCE:g}",
        "residual_spread": f"residual spread known to within {100 * (margin - 1):g} %",
        "mean": f"mean known to within {100 * (margin - 1):g} %",
    }
    whole = {name: max(math.ceil(whole_size(size)), first) for name, size in needed.items()}
    required, enough_shrinkage = max(whole.values()), {name: shrunk(size) for name, size in whole.items()}
    notes = (f"at the size needed, the mean is known as {mean - off(required):.4g} to {mean + off(required):.4g}",)
    if n is not None and n < first:
        notes += (f"{n} patients are fewer than the {first} that any model of {n_parameters} parameters needs",)
    return SampleSize(
        outcome="continuous",
        criteria=criteria_table(whole, said, enough_shrinkage, n_parameters=n_parameters, events_per_patient=math.nan),
        n_required=required, n_events_required=math.nan, driven_by=driver_of(whole), n_parameters=n_parameters,
        shrinkage=shrunk(required), r2=r2, r2_max=1.0, r2_nagelkerke=math.nan, n=n or 0, n_events=0,
        n_more=max(0, required - n) if n is not None else 0, sentence=sentence_of(required, driver_of(whole), n),
        shrinkage_at_n=shrunk(n) if n is not None and n >= first else math.nan,
        margin_at_n=off(n) if n is not None and n >= first else math.nan, notes=notes,
    )  # fmt: skip


def _check(
    *, n_parameters: int, r2: float, shrinkage: float, sd: float, margin: float, n: int | None, mean: float
) -> None:
    """Every argument that is out of range, at once."""
    faults = []
    if not is_whole(n_parameters, least=3):
        faults.append(f"n_parameters must be a whole number of at least 3, got {n_parameters!r}")
    faults += fault_between("r2", r2, 0, 1) + fault_between("shrinkage", shrinkage, 0, 1)
    faults += fault_between("sd", sd, 0, math.inf)
    if fault_between("margin", margin, 1, math.inf):
        faults.append(f"margin must be above 1 (1.1 is 10 %), got {margin!r}")
    if fault_between("mean", mean, -math.inf, math.inf) or mean == 0:
        faults.append(f"mean must be a number other than 0 for a margin in percent, got {mean!r}")
    faults += faults_of_counts(n, None)
    if faults:
        raise OnlmError(f"Sample size: {'; '.join(faults)}.")
