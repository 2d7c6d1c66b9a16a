"""Do hazard ratios stay the same over time? The score test, and the log hazard ratio as time goes by."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import Columns
from onlm_lab.analysis.covariates import hazard_table
from onlm_lab.analysis.hazard_rows import HazardRows, read_hazard
from onlm_lab.analysis.partial_likelihood import CoxFit
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.proportionality import TRANSFORMS, constancy_test, scaled_schoenfeld, time_scale
from onlm_lab.analysis.restricted_spline import spline_basis
from onlm_lab.analysis.rows import Patients
from onlm_lab.errors import OnlmError
from onlm_lab.results import ProportionalHazards

MOST_POINTS = 200
CURVE = ["covariate", "days", "log_hr", "low", "high", "hr", "hr_low", "hr_high"]


def proportional_hazards(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    covariates: Columns,
    transform: str = "km",
    strata: str | Columns | None = None,
    cause: int | None = None,
    model: str | None = None,
) -> ProportionalHazards:
    """Whether each hazard ratio is constant, and how it runs over time if it is not.

    The test is cox.zph's of R survival (exact score test; Grambsch and Therneau 1994, doi:10.1093/biomet/81.3.515). The
    residuals are scaled Schoenfeld residuals, each an estimate of the log hazard ratio at its event; the curve is a
    natural cubic spline through them with four degrees of freedom on the transformed time, as plot(cox.zph(fit)).
    Where the test fails, read the ratio as an average over the follow-up, and look at `rmst`.

    Args:
        rows: one row a patient with the endpoint's columns and the covariates.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        covariates: as in `cox`.
        transform: "km" (1 minus survival, as R), "identity" (days), "rank" or "log".
        strata: a column or several.
        cause: 1 or 2 on an X_state endpoint.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a transform that does not exist, or what `cox` refuses.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> rows = pd.DataFrame({"patient_id": range(80), "risk": rng.uniform(size=80), "os_event": 1,
        ...                      "os_days": rng.exponential(900, 80)})
        >>> proportional_hazards(rows, endpoint="os", covariates=["risk"]).test["covariate"].tolist()
        ['risk', 'GLOBAL']
    """
    if transform not in TRANSFORMS:
        raise OnlmError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform!r}.")
    data = read_hazard(rows, endpoint=endpoint, covariates=covariates, strata=strata, cause=cause, model=model)
    p, notes = data.design.x.shape[1], []
    coef = se = np.full(p, np.nan)
    terms = data.design.terms | {"GLOBAL": list(range(p))}
    tests = [(name, np.nan, len(at), np.nan) for name, at in terms.items()]
    residuals, curve = pd.DataFrame(columns=["covariate", "days", "residual"]), pd.DataFrame(columns=CURVE)
    if data.n_events <= p:
        notes.append(f"not fitted: {data.n_events} events for {p} coefficients")
    else:
        fit = data.fit()
        coef, se = fit.coef, np.sqrt(np.diag(fit.covariance))
        tests = constancy_test(fit, data.followup.days, data.event, terms=data.design.terms, transform=transform)
        if fit.unbounded.any():
            notes.append("not tested: a coefficient has no finite maximum")
        else:
            residuals, curve, why = _over_time(data, fit, transform)
            notes += [why] if why else []
    return ProportionalHazards(
        test=pd.DataFrame(tests, columns=["covariate", "chi2", "df", "p_value"]),
        residuals=residuals,
        curve=curve,
        coefficients=hazard_table(data.design, coef, se)[["covariate", "unit", "coef", "se", "hr", "low", "high"]],
        transform=transform,
        endpoint=endpoint,
        method="Cox, Efron's ties" + data.said,
        n=len(data.event),
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=tuple(notes),
    )


def _over_time(data: HazardRows, fit: CoxFit, transform: str) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Scaled Schoenfeld residuals by day, their smooth, and why there is none."""
    own = fit.sets.order[fit.sets.died]
    order = np.argsort(data.followup.days[own], kind="stable")
    days, y = data.followup.days[own][order], scaled_schoenfeld(fit)[order]
    names = data.design.names
    each = [pd.DataFrame({"covariate": name, "days": days, "residual": y[:, i]}) for i, name in enumerate(names)]
    residuals = pd.concat(each, ignore_index=True)
    g = time_scale(data.followup.days, data.event, transform=transform)[own][order]
    if not np.isfinite(g).all():
        return residuals, pd.DataFrame(columns=CURVE), "not tested: an event on day 0 has no logarithm"
    knots = np.quantile(g, [0, 1 / 3, 2 / 3, 1])
    if (np.diff(knots) <= 0).any() or len(np.unique(g)) < 5:
        return residuals, pd.DataFrame(columns=CURVE), "no curve: the events fall on too few days"
    g, knots = (g - g.mean()) / np.ptp(g), (knots - g.mean()) / np.ptp(g)
    last = np.flatnonzero(np.r_[g[1:] != g[:-1], True])
    last = last[np.unique(np.linspace(0, len(last) - 1, min(MOST_POINTS, len(last))).round().astype(int))]
    basis = np.column_stack([np.ones(len(g)), spline_basis(g, knots)])
    orthogonal, triangle = np.linalg.qr(basis)
    hat = np.linalg.solve(triangle.T, basis[last].T).T  # (points, 4)
    smooth, spread = hat @ (orthogonal.T @ y), np.sqrt((hat**2).sum(axis=1))
    se = spread[:, None] * np.sqrt(np.diag(fit.covariance) * data.n_events)
    return residuals, _curve(data.design.names, days[last], smooth, se), ""


def _curve(names: list[str], days: np.ndarray, smooth: np.ndarray, se: np.ndarray) -> pd.DataFrame:
    out = []
    for i, name in enumerate(names):
        low, high = smooth[:, i] - Z95 * se[:, i], smooth[:, i] + Z95 * se[:, i]
        with np.errstate(over="ignore"):
            ratios = {"hr": np.exp(smooth[:, i]), "hr_low": np.exp(low), "hr_high": np.exp(high)}
        out.append(
            pd.DataFrame({"covariate": name, "days": days, "log_hr": smooth[:, i], "low": low, "high": high} | ratios)
        )
    return pd.concat(out, ignore_index=True)
