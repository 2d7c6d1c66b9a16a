"""Hazard ratios: Cox's model with Efron's ties, strata, robust errors by cluster and cause-specific hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis import firth_hazard, partial_likelihood
from onlm_lab.analysis.arguments import Columns, read_day
from onlm_lab.analysis.concordance import concordance
from onlm_lab.analysis.covariates import hazard_table
from onlm_lab.analysis.hazard_rows import HazardRows, numbers_of, read_hazard
from onlm_lab.analysis.partial_likelihood import CoxFit
from onlm_lab.analysis.product_limit import Z95, uncensored_before
from onlm_lab.analysis.proportionality import TRANSFORMS, constancy_test
from onlm_lab.analysis.rows import Patients
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.errors import OnlmError
from onlm_lab.results import ChiSquareTest, Estimate, HazardModel

FEW_EVENTS_PER_COEFFICIENT = 10  # Peduzzi et al. 1995, doi:10.1016/0895-4356(95)00048-8
FIRTH = "Firth's penalty: limits and P from the profile of the penalised likelihood, log-likelihoods are penalised"


def cox(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    covariates: Columns,
    strata: str | Columns | None = None,
    cluster: str | None = None,
    cause: int | None = None,
    model: str | None = None,
    penalty: str | None = None,
    transform: str = "km",
    tau_days: float | None = None,
) -> HazardModel:
    """Hazard ratios of the covariates, with concordance and the test of proportional hazards.

    Equal to R's survival::coxph (Efron's ties), concordance() (limits clipped to [0, 1] here) and
    cox.zph(). A hazard ratio of `risk` is per 10 percentage points. A category is compared with its first level:
    `sex[male]` against female.

    Args:
        rows: one row a patient with the endpoint's columns and the covariates; `onlm` is not needed.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        covariates: columns; numbers and booleans as they are, text and categories against their first level.
        strata: a column or several; each combination of their values has its own baseline hazard.
        cluster: a column such as "centre"; the errors are robust, its patients varying together.
        cause: 1 or 2 on an X_state endpoint: the cause-specific hazard, other events censor.
        model: whose rows to take when the table holds several models.
        penalty: "firth" where events are few or a covariate separates them: finite ratios, profile limits (Heinze and
            Schemper 2001, doi:10.1111/j.0006-341X.2001.00114.x).
        transform: the scale of time on which a coefficient might be linear in the test of proportional hazards: "km"
            (as R), "identity", "rank" or "log".
        tau_days: up to which day events count in Uno's C; None: it is not computed.

    Raises:
        OnlmError: a covariate that is absent, constant, a combination of others or part of the endpoint; a missing
            or impossible cause; a penalty together with a cluster.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> risk = rng.uniform(size=200)
        >>> rows = pd.DataFrame({"patient_id": range(200), "risk": risk, "os_event": 1,
        ...                      "os_days": rng.exponential(1000 * np.exp(-2 * risk))})
        >>> bool(cox(rows, endpoint="os", covariates=["risk"]).table["hr"][0] > 1)
        True
    """
    _check(penalty, cluster, transform, tau_days)
    data = read_hazard(
        rows, endpoint=endpoint, covariates=covariates, strata=strata, cluster=cluster, cause=cause, model=model
    )
    method = "Cox, Efron's ties" + (", Firth's penalty" if penalty else "") + data.said
    method += f", robust errors by {cluster}" if cluster else ""
    if data.n_events <= data.design.x.shape[1]:
        return _not_fitted(data, endpoint, method)
    groups = numbers_of(data.followup.rows, [cluster]) if cluster else None
    if penalty:
        firth = firth_hazard.fit_firth_cox(data.design.x, data.followup.days, data.event, stratum=data.stratum)
        fit, covariance = firth.cox, firth.cox.covariance
    else:
        fit = data.fit()
        covariance = fit.covariance if groups is None else partial_likelihood.robust_covariance(fit, cluster=groups)
    table = hazard_table(data.design, fit.coef, np.sqrt(np.diag(covariance)))
    if penalty:
        with np.errstate(over="ignore"):
            table = table.assign(low=np.exp(firth.low), high=np.exp(firth.high), p_value=firth.p_value)
    tests = constancy_test(fit, data.followup.days, data.event, terms=data.design.terms, transform=transform)
    return HazardModel(
        table=table,
        concordance=_harrell(fit, data, groups),
        ph_test=pd.DataFrame(tests, columns=["covariate", "chi2", "df", "p_value"]),
        endpoint=endpoint,
        method=method,
        log_likelihood=fit.log_likelihood,
        log_likelihood_null=fit.log_likelihood_null,
        n=len(data.event),
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=((FIRTH,) if penalty else ()) + _notes(data, fit, groups, cluster),
        likelihood_ratio=likelihood_ratio(fit),
        wald=_wald(fit, covariance),
        score=_score(fit) if penalty is None else ChiSquareTest(note="not given under a penalty"),
        uno=_uno(fit, data, groups, tau_days),
        aic=2 * int((~fit.unbounded).sum()) - 2 * fit.log_likelihood if penalty is None else np.nan,
    )


def likelihood_ratio(fit: CoxFit) -> ChiSquareTest:
    """Twice the gain in log-likelihood over no covariates, a degree of freedom a coefficient."""
    return _chi_square(2 * (fit.log_likelihood - fit.log_likelihood_null), len(fit.coef))


def score_of(fit: CoxFit) -> np.ndarray:
    """The linear predictor with equal covariates exactly equal, whatever the last bit."""
    return np.round(fit.linear_predictor, 10)


def _chi_square(chi2: float, df: int) -> ChiSquareTest:
    return ChiSquareTest(float(chi2), df, chi2_tail(chi2, df))


def _check(penalty: str | None, cluster: str | None, transform: str, tau_days: float | None) -> None:
    if penalty not in (None, "firth"):
        raise OnlmError(f"penalty must be None or 'firth', got {penalty!r}.")
    if penalty and cluster is not None:
        raise OnlmError("penalty='firth' has limits by profile, not robust errors: leave out the penalty or cluster.")
    if transform not in TRANSFORMS:
        raise OnlmError(f"transform must be one of {', '.join(TRANSFORMS)}, got {transform!r}.")
    if tau_days is not None:
        read_day(tau_days, name="tau_days")


def _wald(fit: CoxFit, covariance: np.ndarray) -> ChiSquareTest:
    if fit.unbounded.any():
        return ChiSquareTest(df=len(fit.coef), note="a coefficient has no finite maximum")
    if np.linalg.matrix_rank(covariance * np.outer(fit.scale, fit.scale)) < len(fit.coef):
        return ChiSquareTest(df=len(fit.coef), note="fewer clusters than coefficients")
    return _chi_square(fit.coef @ np.linalg.solve(covariance, fit.coef), len(fit.coef))


def _score(fit: CoxFit) -> ChiSquareTest:
    """The log-rank test's relative: slope and information where all coefficients are 0."""
    zero = partial_likelihood.likelihood(fit.sets, np.zeros(len(fit.coef)))
    information = partial_likelihood.information(fit.sets, zero)
    if np.linalg.matrix_rank(information) < len(fit.coef):
        return ChiSquareTest(df=len(fit.coef), note="a covariate does not vary among those at risk at an event")
    return _chi_square(zero.score @ np.linalg.solve(information, zero.score), len(fit.coef))


def _harrell(fit: CoxFit, data: HazardRows, cluster: np.ndarray | None) -> Estimate:
    value, se = concordance(score_of(fit), data.followup.days, data.event, stratum=data.stratum, cluster=cluster)
    method = "Harrell's C, infinitesimal jackknife, clipped to [0, 1]"
    return _clipped(value, se, method=method, note="apparent: same patients")


def _uno(fit: CoxFit, data: HazardRows, cluster: np.ndarray | None, tau_days: float | None) -> Estimate:
    """Uno's C of the linear predictor (Uno et al. 2011, doi:10.1002/sim.4154), as `uno_c` of any score."""
    if data.competing:
        return Estimate(np.nan, note="not given where other events compete: use time_dependent_auc")
    if data.stratum.any():
        return Estimate(np.nan, note="not given for a stratified model")
    if tau_days is None:
        return Estimate(np.nan, note="not asked for: name tau_days, a day to which some patients are still followed")
    days, tau = data.followup.days, float(tau_days)
    used = data.event & (days <= tau)
    if not used.any():
        return Estimate(np.nan, note=f"no event up to day {tau:g} in {len(days)} patients")
    free, _ = uncensored_before(days, data.event.astype(int))
    weight = np.zeros(len(days))
    weight[used] = 1 / free[used] ** 2
    value, se = concordance(score_of(fit), days, data.event, weight=weight, cluster=cluster)
    note = f"up to day {tau:g}, {int(used.sum())} events; apparent: same patients"
    return _clipped(value, se, method="Uno's C, infinitesimal jackknife, clipped to [0, 1]", note=note)


def _clipped(value: float, se: float, *, method: str, note: str) -> Estimate:
    return Estimate(value, max(0.0, value - Z95 * se), min(1.0, value + Z95 * se), method=method, note=note)


def _notes(data: HazardRows, fit: CoxFit, cluster: np.ndarray | None, cluster_name: str | None) -> tuple[str, ...]:
    p = data.design.x.shape[1]
    notes = [
        f"{name}: no finite hazard ratio (the event occurs on one side of it only, or at the events it does not vary "
        "or cannot be told from the others)"
        for name, unbounded in zip(data.design.names, fit.unbounded, strict=True)
        if unbounded
    ]
    if data.n_events < FEW_EVENTS_PER_COEFFICIENT * p:
        what = "1 coefficient" if p == 1 else f"{p} coefficients"
        notes.append(f"few events: {data.n_events} for {what} (at least {FEW_EVENTS_PER_COEFFICIENT} each advised)")
    if cluster is not None and cluster.max() + 1 < 10:
        notes.append(
            f"few clusters: robust errors from {cluster.max() + 1} values of {cluster_name} tend to be too small"
        )
    return tuple(notes)


def _not_fitted(data: HazardRows, endpoint: str, method: str) -> HazardModel:
    """The result when there are no more events than coefficients: NaN with the numbers that say why."""
    p = data.design.x.shape[1]
    note = f"not fitted: {data.n_events} events for {p} coefficients"
    nothing = np.full(p, np.nan)
    terms = data.design.terms | {"GLOBAL": list(range(p))}
    tests = [(name, np.nan, len(at), np.nan) for name, at in terms.items()]
    return HazardModel(
        table=hazard_table(data.design, nothing, nothing),
        concordance=Estimate(np.nan, note=note),
        ph_test=pd.DataFrame(tests, columns=["covariate", "chi2", "df", "p_value"]),
        endpoint=endpoint,
        method=method,
        log_likelihood=np.nan,
        log_likelihood_null=np.nan,
        n=len(data.event),
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=(note,),
        likelihood_ratio=ChiSquareTest(df=p, note=note),
        wald=ChiSquareTest(df=p, note=note),
        score=ChiSquareTest(df=p, note=note),
        uno=Estimate(np.nan, note=note),
    )
