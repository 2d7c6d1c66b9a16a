"""Hazard ratios: Cox's model with Efron's ties, strata, robust errors by cluster and cause-specific hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from onlm_lab.analysis import partial_likelihood
from onlm_lab.analysis.concordance import concordance
from onlm_lab.analysis.covariates import Design, design_matrix, hazard_table
from onlm_lab.analysis.endpoint import Followup, endpoint_kind, read_followup
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, HazardModel

FEW_EVENTS_PER_COEFFICIENT = 10  # Peduzzi et al. 1995, doi:10.1016/0895-4356(95)00048-8


def cox(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    covariates: list[str] | tuple[str, ...],
    strata: str | None = None,
    cluster: str | None = None,
    cause: int | None = None,
    model: str | None = None,
) -> HazardModel:
    """Hazard ratios of the covariates, with concordance and the test of proportional hazards.

    Equal to R's survival::coxph (Efron's ties), concordance() and cox.zph(transform="km"). A hazard ratio of `risk` is
    per 10 percentage points. A category is compared with its first level: `sex[male]` against female.

    Args:
        rows: one row a patient with the endpoint's columns and the covariates; `onlm` is not needed.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        covariates: columns; numbers and booleans as they are, text and categories against their first level.
        strata: a column; each of its values has its own baseline hazard.
        cluster: a column such as "centre"; the errors are robust, its patients varying together.
        cause: 1 or 2 on an X_state endpoint: the cause-specific hazard, other events censor.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a covariate that is absent, constant, a combination of others or part of the endpoint; a missing
            or impossible cause.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> risk = rng.uniform(size=200)
        >>> rows = pd.DataFrame({"patient_id": range(200), "risk": risk, "os_event": 1,
        ...                      "os_days": rng.exponential(1000 * np.exp(-2 * risk))})
        >>> bool(cox(rows, endpoint="os", covariates=["risk"]).table["hr"][0] > 1)
        True
    """
    cause = _cause(rows, endpoint, cause)
    columns = _columns(endpoint, covariates, strata, cluster)
    followup = read_followup(rows, endpoint=endpoint, columns=columns, model=model)
    event = followup.state == cause
    stratum = _numbers(followup.rows, strata)
    design = design_matrix(followup.rows, covariates=covariates, stratum=stratum, strata=strata)
    n_events, p = int(event.sum()), design.x.shape[1]
    method = "Cox, Efron's ties" + (f", cause {cause}" if f"{endpoint}_state" in rows.columns else "")
    method += f", stratified by {strata}" if strata else ""
    method += f", robust errors by {cluster}" if cluster else ""
    if n_events <= p:
        return _not_fitted(design, followup, event, endpoint, method)
    fit = partial_likelihood.fit_cox(design.x, followup.days, event, stratum=stratum)
    groups = _numbers(followup.rows, cluster) if cluster else None
    covariance = fit.covariance if groups is None else partial_likelihood.robust_covariance(fit, cluster=groups)
    tests = _tests(fit, followup, event, design)
    return HazardModel(
        table=hazard_table(design, fit.coef, np.sqrt(np.diag(covariance))),
        concordance=_concordance(fit, followup, event, stratum, groups),
        ph_test=pd.DataFrame(tests, columns=["covariate", "chi2", "df", "p_value"]),
        endpoint=endpoint,
        method=method,
        log_likelihood=fit.log_likelihood,
        log_likelihood_null=fit.log_likelihood_null,
        n=len(event),
        n_events=n_events,
        n_excluded=followup.n_excluded,
        notes=_notes(design, fit, n_events, groups, cluster),
    )


def _cause(rows: pd.DataFrame, endpoint: str, cause: int | None) -> int:
    competing = endpoint_kind(rows, endpoint=endpoint) == "state"
    if competing and cause is None:
        raise OnlmError(
            f"'{endpoint}' has competing events ({endpoint}_state): name whose hazard is wanted, cause=1 (the event) "
            "or cause=2 (the competing event), or use fine_gray for the subdistribution hazard."
        )
    allowed = (1, 2) if competing else (None, 1)
    if cause not in allowed:
        wanted = "cause=1 or cause=2" if competing else f"no cause, as {endpoint}_event has one kind of event only"
        raise OnlmError(f"cox of '{endpoint}' takes {wanted}, got cause={cause!r}.")
    return 1 if cause is None else cause


def _columns(endpoint: str, covariates: list[str] | tuple[str, ...], strata: str | None, cluster: str | None) -> list:
    if isinstance(covariates, str) or not len(covariates):
        raise OnlmError(f"covariates must be a list of at least one column, such as ['risk'], got {covariates!r}.")
    for word, column in (("strata", strata), ("cluster", cluster)):
        if isinstance(column, (list, tuple)):
            raise OnlmError(
                f"{word} must be one column, such as 'centre', got {column!r}. Combine several into one first."
            )
    own = {f"{endpoint}_{part}" for part in ("days", "event", "state")}
    for name in covariates:
        if name in own or name == strata:
            raise OnlmError(f"'{name}' cannot be a covariate: it is part of the endpoint or the strata. Leave it out.")
    if len(set(covariates)) < len(covariates):
        raise OnlmError(f"covariates name a column twice: {', '.join(covariates)}. Name each once.")
    return list(dict.fromkeys([*covariates, *(c for c in (strata, cluster) if c)]))


def _numbers(rows: pd.DataFrame, column: str | None) -> np.ndarray:
    if column is None:
        return np.zeros(len(rows), dtype=int)
    return pd.factorize(rows[column].astype(str))[0]


def _tests(
    fit: partial_likelihood.CoxFit, followup: Followup, event: np.ndarray, design: Design
) -> list[tuple[str, float, int, float]]:
    if fit.unbounded.any():
        return [(name, np.nan, len(at), np.nan) for name, at in design.terms.items()] + [
            ("GLOBAL", np.nan, design.x.shape[1], np.nan)
        ]
    return partial_likelihood.proportional_hazards_test(fit, followup.days, event, terms=design.terms)


def _concordance(
    fit: partial_likelihood.CoxFit,
    followup: Followup,
    event: np.ndarray,
    stratum: np.ndarray,
    cluster: np.ndarray | None,
) -> Estimate:
    score = np.round(fit.linear_predictor, 10)  # the same covariates are the same score, whatever the last bit
    value, se = concordance(score, followup.days, event, stratum=stratum, cluster=cluster)
    half = float(norm.ppf(0.975)) * se
    method = "Harrell's C, infinitesimal jackknife, clipped to [0, 1]"
    return Estimate(
        value, max(0.0, value - half), min(1.0, value + half), method=method, note="apparent: same patients"
    )


def _notes(
    design: Design,
    fit: partial_likelihood.CoxFit,
    n_events: int,
    cluster: np.ndarray | None,
    cluster_name: str | None,
) -> tuple[str, ...]:
    p = design.x.shape[1]
    notes = [
        f"{name}: no finite hazard ratio (the event occurs on one side of it only, or it does not vary at an event)"
        for name, unbounded in zip(design.names, fit.unbounded, strict=True)
        if unbounded
    ]
    if n_events < FEW_EVENTS_PER_COEFFICIENT * p:
        what = "1 coefficient" if p == 1 else f"{p} coefficients"
        notes.append(f"few events: {n_events} for {what} (at least {FEW_EVENTS_PER_COEFFICIENT} each advised)")
    if cluster is not None and cluster.max() + 1 < 10:
        notes.append(
            f"few clusters: robust errors from {cluster.max() + 1} values of {cluster_name} tend to be too small"
        )
    return tuple(notes)


def _not_fitted(design: Design, followup: Followup, event: np.ndarray, endpoint: str, method: str) -> HazardModel:
    """The result when there are no more events than coefficients: NaN with the numbers that say why."""
    p, n_events = design.x.shape[1], int(event.sum())
    note = f"not fitted: {n_events} events for {p} coefficients"
    nothing = np.full(p, np.nan)
    tests = [(name, np.nan, len(at), np.nan) for name, at in (design.terms | {"GLOBAL": list(range(p))}).items()]
    return HazardModel(
        table=hazard_table(design, nothing, nothing),
        concordance=Estimate(np.nan, note=note),
        ph_test=pd.DataFrame(tests, columns=["covariate", "chi2", "df", "p_value"]),
        endpoint=endpoint,
        method=method,
        log_likelihood=np.nan,
        log_likelihood_null=np.nan,
        n=len(event),
        n_events=n_events,
        n_excluded=followup.n_excluded,
        notes=(note,),
    )
