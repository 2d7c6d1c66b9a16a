"""Does a hazard ratio hang on a few patients? What each one's leaving would change."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis import partial_likelihood
from onlm_lab.analysis.arguments import Columns
from onlm_lab.analysis.covariates import hazard_table
from onlm_lab.analysis.hazard_residuals import deviance, martingale, pulls
from onlm_lab.analysis.hazard_rows import HazardRows, read_hazard
from onlm_lab.analysis.partial_likelihood import CoxFit
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.results import Influence

MOST = 5  # patients who are left out and the model refitted


def influence(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    covariates: Columns,
    strata: str | Columns | None = None,
    cause: int | None = None,
    model: str | None = None,
) -> Influence:
    """How far each patient moves the hazard ratios, and the ratios without those who move them most.

    dfbetas are first-order changes in standard errors, as R's residuals(fit, "dfbetas"); those of the few largest are
    checked by fitting again without the patient. A patient who matters is a record to look up, not one to delete.

    Args:
        rows: one row a patient with the endpoint's columns and the covariates.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        covariates: as in `cox`.
        strata: a column or several.
        cause: 1 or 2 on an X_state endpoint.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: what `cox` refuses.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> rows = pd.DataFrame({"patient_id": range(80), "risk": rng.uniform(size=80), "os_event": 1,
        ...                      "os_days": rng.exponential(900, 80)})
        >>> len(influence(rows, endpoint="os", covariates=["risk"]).most)
        5
    """
    data = read_hazard(rows, endpoint=endpoint, covariates=covariates, strata=strata, cause=cause, model=model)
    names, p, n = data.design.names, data.design.x.shape[1], len(data.event)
    columns = {
        "patient_id": data.followup.rows["patient_id"].to_numpy(), "days": data.followup.days, "happened": data.event,
        "martingale": np.full(n, np.nan), "deviance": np.full(n, np.nan), "displacement": np.full(n, np.nan),
    }  # fmt: skip
    dfbetas, notes = np.full((n, p), np.nan), []
    coef = se = np.full(p, np.nan)
    most = pd.DataFrame(
        columns=["patient_id", "covariate", "dfbetas", "hr", "hr_without", "low_without", "high_without"]
    )
    if data.n_events <= p:
        notes.append(f"not fitted: {data.n_events} events for {p} coefficients")
    else:
        fit = _fit(data, np.ones(n, dtype=bool))
        coef, se = fit.coef, np.sqrt(np.diag(fit.covariance))
        columns["martingale"] = martingale(fit.sets, fit.last)
        columns["deviance"] = deviance(columns["martingale"], data.event)
        if fit.unbounded.any():
            notes.append("no influence: a coefficient has no finite maximum")
        else:
            moved, columns["displacement"] = pulls(fit)
            dfbetas = moved / se
            most = _most(data, fit, dfbetas)
    table = pd.DataFrame(columns | {f"dfbetas:{name}": dfbetas[:, i] for i, name in enumerate(names)})
    return Influence(
        table=table,
        most=most,
        coefficients=hazard_table(data.design, coef, se)[["covariate", "unit", "coef", "se", "hr", "low", "high"]],
        endpoint=endpoint,
        method="Cox, Efron's ties" + data.said,
        n=n,
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=tuple(notes),
    )


def _fit(data: HazardRows, kept: np.ndarray) -> CoxFit:
    return partial_likelihood.fit_cox(
        data.design.x[kept], data.followup.days[kept], data.event[kept], stratum=data.stratum[kept]
    )


def _most(data: HazardRows, fit: CoxFit, dfbetas: np.ndarray) -> pd.DataFrame:
    """The patients with the largest change of any coefficient, and that coefficient fitted without each of them."""
    first = np.argsort(-np.abs(dfbetas).max(axis=1), kind="stable")[:MOST]
    out = []
    for i in first:
        j = int(np.abs(dfbetas[i]).argmax())
        kept = np.arange(len(dfbetas)) != i
        low = hr = high = np.nan
        enough = data.event[kept].sum() > dfbetas.shape[1] and (np.ptp(data.design.x[kept], axis=0) > 0).all()
        if enough and np.linalg.matrix_rank(data.design.x[kept] - data.design.x[kept].mean(axis=0)) == dfbetas.shape[1]:
            without = _fit(data, kept)
            spread = np.sqrt(without.covariance[j, j])
            hr, low, high = (float(np.exp(without.coef[j] + z * spread)) for z in (0, -Z95, Z95))
        out.append((
            data.followup.rows["patient_id"].iloc[i], data.design.names[j], dfbetas[i, j], float(np.exp(fit.coef[j])),
            hr, low, high,
        ))  # fmt: skip
    names = ["patient_id", "covariate", "dfbetas", "hr", "hr_without", "low_without", "high_without"]
    return pd.DataFrame(out, columns=names)
