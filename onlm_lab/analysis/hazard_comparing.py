"""Each covariate alone and beside the others: the table of hazard ratios that papers print."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis import partial_likelihood
from onlm_lab.analysis.arguments import Columns
from onlm_lab.analysis.covariates import Design, hazard_table
from onlm_lab.analysis.endpoint import level_name, sorted_levels
from onlm_lab.analysis.hazard import FEW_EVENTS_PER_COEFFICIENT
from onlm_lab.analysis.hazard_rows import HazardRows, numbers_of, read_hazard
from onlm_lab.analysis.rows import Patients
from onlm_lab.analysis.subdistribution import METHOD as FINE_GRAY
from onlm_lab.analysis.subdistribution import fine_gray
from onlm_lab.errors import OnlmError
from onlm_lab.results import HazardComparison

RATIO = ["hr", "low", "high", "p_value"]


def univariable(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    covariates: Columns,
    multivariable: bool = True,
    strata: str | Columns | None = None,
    cluster: str | None = None,
    cause: int | None = None,
    method: str = "cox",
    model: str | None = None,
) -> HazardComparison:
    """Hazard ratios of each covariate alone and, in the same patients, adjusted for all the others.

    A patient who lacks one covariate is left out of every model and counted, so that the two columns can be compared.
    A category has a row a level, its first level the reference with a ratio of 1. Choosing covariates for the
    multivariable model by their univariable P biases it (Sun et al. 1996, doi:10.1016/0895-4356(96)00025-X).

    Args:
        rows: one row a patient with the endpoint's columns and the covariates.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        covariates: columns; numbers and booleans as they are, text and categories against their first level.
        multivariable: False leaves the adjusted columns empty.
        strata: a column or several, of every model; Cox only.
        cluster: a column such as "centre" for robust errors; Cox only.
        cause: 1 or 2 on an X_state endpoint.
        method: "cox" (cause-specific hazards where events compete) or "fine_gray" (subdistribution hazards).
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a method that does not exist, or what `cox` or `fine_gray` refuses.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> rows = pd.DataFrame({"patient_id": range(90), "os_event": 1, "risk": rng.uniform(size=90),
        ...                      "os_days": rng.exponential(900, 90), "sex": ["male", "female", "male"] * 30})
        >>> univariable(rows, endpoint="os", covariates=["risk", "sex"]).table["level"].tolist()
        ['', 'female', 'male']
    """
    if method not in ("cox", "fine_gray"):
        raise OnlmError(f"method must be 'cox' or 'fine_gray', got {method!r}.")
    if method == "fine_gray" and (strata is not None or cluster is not None):
        raise OnlmError("method='fine_gray' takes no strata and no cluster. Leave them out, or take method='cox'.")
    if method == "fine_gray" and cause is None:
        cause = 1
    data = read_hazard(
        rows, endpoint=endpoint, covariates=covariates, strata=strata, cluster=cluster, cause=cause, model=model
    )
    multivariable, notes = bool(multivariable), list[str]()
    if method == "cox":
        groups = numbers_of(data.followup.rows, [cluster]) if cluster else None
        alone = [_cox(data, at, groups) for at in data.design.terms.values()]
        together = _cox(data, list(range(len(data.design.names))), groups) if multivariable else None
    else:
        alone = [_fine_gray(data, endpoint, [name], cause) for name in data.design.terms]
        together = _fine_gray(data, endpoint, list(data.design.terms), cause) if multivariable else None
    each = pd.concat(alone, ignore_index=True)
    both = each[RATIO] * np.nan if together is None else together[RATIO]
    if multivariable and data.n_events < FEW_EVENTS_PER_COEFFICIENT * len(each):
        notes.append(
            f"few events: {data.n_events} for the {len(each)} coefficients of the multivariable model (at least "
            f"{FEW_EVENTS_PER_COEFFICIENT} each advised)"
        )
    unknown = each.loc[each["hr"].isna() | (both["hr"].isna() & multivariable), "covariate"]
    notes += [f"{name}: no finite hazard ratio, or no more events than coefficients" for name in unknown]
    words = "Cox, Efron's ties" + (f", robust errors by {cluster}" if cluster else "")
    return HazardComparison(
        table=_table(data, each, both, adjusted=multivariable),
        endpoint=endpoint,
        method=(words if method == "cox" else FINE_GRAY) + data.said,
        n=len(data.event),
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=tuple(notes),
    )


def _cox(data: HazardRows, at: list[int], cluster: np.ndarray | None) -> pd.DataFrame:
    """Hazard ratios of some columns of the design."""
    part = Design(data.design.x[:, at], [data.design.names[i] for i in at], [data.design.units[i] for i in at], {})
    if data.n_events <= len(at):
        return hazard_table(part, np.full(len(at), np.nan), np.full(len(at), np.nan))
    fit = data.fit(at)
    covariance = fit.covariance if cluster is None else partial_likelihood.robust_covariance(fit, cluster=cluster)
    return hazard_table(part, fit.coef, np.sqrt(np.diag(covariance)))


def _fine_gray(data: HazardRows, endpoint: str, covariates: list[str], cause: int) -> pd.DataFrame:
    return fine_gray(data.followup.rows, endpoint=endpoint, covariates=covariates, cause=cause).table


def _table(data: HazardRows, alone: pd.DataFrame, together: pd.DataFrame, *, adjusted: bool) -> pd.DataFrame:
    """The rows of both models, reference levels among them, with the patients and events of each level."""
    out, rows, x = [], data.followup.rows, data.design.x
    whole = len(data.event), data.n_events
    for name, at in data.design.terms.items():
        category = data.design.names[at[0]] != name
        if category:
            levels, empty = sorted_levels(rows[name])
            own = [(int(x[:, i].sum()), int(x[data.event, i].sum())) for i in at]  # patients and events of a level
            rest = tuple(every - sum(some) for every, some in zip(whole, zip(*own, strict=True), strict=True))
            ones = {"univariable_hr": 1.0, "multivariable_hr": 1.0 if adjusted else np.nan}
            out.append(_row(name, levels[0], "reference", rest, reference=True) | ones)
            given = levels[1:]
        else:
            own, given = [whole], [None]
        for i, level, counts in zip(at, given, own, strict=True):
            ratios = {f"univariable_{k}": alone[k].iloc[i] for k in RATIO}
            ratios |= {f"multivariable_{k}": together[k].iloc[i] for k in RATIO}
            out.append(_row(name, level, data.design.units[i], counts, reference=False) | ratios)
        if category:
            out += [_row(name, level, "no patient", (0, 0), reference=False) for level in empty]
    return pd.DataFrame(out)


def _row(name: str, level: object, unit: str, counts: tuple[int, int], *, reference: bool) -> dict[str, object]:
    return {
        "covariate": name, "level": "" if level is None else level_name(level), "unit": unit, "reference": reference,
        "n": counts[0], "n_events": counts[1],
    }  # fmt: skip
