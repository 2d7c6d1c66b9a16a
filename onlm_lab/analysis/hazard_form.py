"""Is the hazard log-linear in a covariate? A restricted cubic spline in Cox's model, and martingale residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis import partial_likelihood
from onlm_lab.analysis.arguments import Columns, list_of, one_column
from onlm_lab.analysis.hazard_residuals import martingale, null_martingale
from onlm_lab.analysis.hazard_rows import HazardRows, read_hazard
from onlm_lab.analysis.partial_likelihood import CoxFit
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.restricted_spline import harrell_knots, spline_basis
from onlm_lab.analysis.rows import Patients
from onlm_lab.analysis.smoothing import Tabulated, lowess_at_values
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.errors import OnlmError
from onlm_lab.results import ChiSquareTest, FunctionalForm

POINTS = 101
SHOWN = (0.01, 0.99)  # the curve runs between these quantiles: beyond them are too few patients


def functional_form(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    covariate: str = "risk",
    knots: int = 4,
    others: Columns = (),
    cause: int | None = None,
    model: str | None = None,
) -> FunctionalForm:
    """How the hazard runs along a covariate, and whether a straight line on the log scale would do.

    A restricted cubic spline with Harrell's knots (rms::rcs of R) in a Cox model with Efron's ties; the ratio is
    against the covariate's median. The residuals are martingale residuals of the model without the covariate: their
    smooth has the shape of the effect (Therneau et al. 1990, doi:10.1093/biomet/77.1.147).

    Args:
        rows: one row a patient with the endpoint's columns, the covariate and the others.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        covariate: a number, on its own scale (a risk in [0, 1]).
        knots: 3 to 7.
        others: columns to adjust for.
        cause: 1 or 2 on an X_state endpoint.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a covariate that is no number or has too few values for its knots, or what `cox` refuses.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> rows = pd.DataFrame({"patient_id": range(300), "risk": rng.uniform(size=300), "os_event": 1})
        >>> rows["os_days"] = rng.exponential(900 * np.exp(-3 * np.abs(rows["risk"] - 0.5)))
        >>> bool(functional_form(rows, endpoint="os").nonlinearity.p_value < 0.05)
        True
    """
    rest = list_of(others, word="others")
    one_column(covariate, word="covariate", needed=True)
    data = read_hazard(rows, endpoint=endpoint, covariates=[covariate, *rest], cause=cause, model=model)
    column = data.followup.rows[covariate].infer_objects()
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise OnlmError(f"functional_form needs a number, but '{covariate}' holds {column.dtype}. Use univariable.")
    values = column.to_numpy(dtype=float)
    at = harrell_knots(values, n_knots=knots)
    x, adjusted = spline_basis(values, at), data.design.x[:, 1:]
    reference = float(np.median(values))
    grid = np.linspace(*np.quantile(values, SHOWN), POINTS)
    n_coefficients, notes = x.shape[1] + adjusted.shape[1], []
    curve = pd.DataFrame({"value": grid, "hr": np.nan, "low": np.nan, "high": np.nan, "log_hr": np.nan})
    tests = [ChiSquareTest(df=knots - 2), ChiSquareTest(df=knots - 1)]
    if data.n_events <= n_coefficients:
        notes.append(f"not fitted: {data.n_events} events for {n_coefficients} coefficients")
    else:
        full, line = (_fit(data, np.column_stack([part, adjusted])) for part in (x, values[:, None]))
        without = _fit(data, adjusted).log_likelihood if rest else full.log_likelihood_null
        if full.unbounded.any():
            notes.append("no finite curve: the events lie on one side of the covariate, or of another")
        else:
            curve = _curve(grid, full, spline_basis(grid, at) - spline_basis(np.array([reference]), at))
            gains = full.log_likelihood - line.log_likelihood, full.log_likelihood - without
            tests = [_chi_square(2 * g, t.df) for g, t in zip(gains, tests, strict=True)]
        if data.n_events < 10 * n_coefficients:
            notes.append(f"few events: {data.n_events} for {n_coefficients} coefficients (at least 10 each advised)")
    return FunctionalForm(
        curve=curve,
        nonlinearity=tests[0],
        association=tests[1],
        residuals=_residuals(data, values, adjusted),
        covariate=covariate,
        reference=reference,
        knots=tuple(float(k) for k in at),
        endpoint=endpoint,
        method=f"Cox, Efron's ties{data.said}; restricted cubic spline with {knots} knots"
        + (f", adjusted for {', '.join(rest)}" if rest else ""),
        n=len(data.event),
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=tuple(notes),
    )


def _fit(data: HazardRows, x: np.ndarray) -> CoxFit:
    return partial_likelihood.fit_cox(x, data.followup.days, data.event, stratum=data.stratum)


def _chi_square(chi2: float, df: int) -> ChiSquareTest:
    return ChiSquareTest(float(chi2), df, chi2_tail(chi2, df))


def _curve(grid: np.ndarray, fit: CoxFit, contrast: np.ndarray) -> pd.DataFrame:
    """The ratio against the reference with Wald limits."""
    k = contrast.shape[1]
    log_hr = contrast @ fit.coef[:k]
    se = np.sqrt(np.maximum(0, ((contrast @ fit.covariance[:k, :k]) * contrast).sum(axis=1)))
    with np.errstate(over="ignore"):
        hr, low, high = (np.exp(log_hr + z * se) for z in (0, -Z95, Z95))
    return pd.DataFrame({"value": grid, "hr": hr, "low": low, "high": high, "log_hr": log_hr})


def _residuals(data: HazardRows, values: np.ndarray, adjusted: np.ndarray) -> pd.DataFrame:
    """Martingale residuals of the model without the covariate, by its value, with a lowess line."""
    if not data.n_events:
        residual = np.full(len(values), np.nan)
    elif adjusted.shape[1] and data.n_events > adjusted.shape[1]:
        fit = _fit(data, adjusted)
        residual = martingale(fit.sets, fit.last)
    else:
        residual = null_martingale(data.followup.days, data.event, stratum=data.stratum)
    order = np.argsort(values, kind="stable")
    distinct, at, count = np.unique(values, return_inverse=True, return_counts=True)
    smooth = np.full(len(distinct), np.nan)
    if data.n_events:
        smooth = lowess_at_values(Tabulated(distinct, count, np.bincount(at, weights=residual)))
    return (
        pd.DataFrame({"value": values, "residual": residual, "smooth": smooth[at]}).iloc[order].reset_index(drop=True)
    )
