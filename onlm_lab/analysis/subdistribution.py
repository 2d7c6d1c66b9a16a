"""The subdistribution hazard model of Fine and Gray (1999, doi:10.1080/01621459.1999.10474144), in O(n log n).

A patient with a competing event at t stays in the risk set at s > t with weight G(s-) / G(t-), G the Kaplan-Meier
estimate of the censoring time. Ties as Breslow; the variance is Fine and Gray's sandwich, which counts that G was
estimated. Every number as cmprsk::crr with one censoring group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from onlm_lab.analysis import newton
from onlm_lab.analysis.covariates import design_matrix, hazard_table
from onlm_lab.analysis.endpoint import endpoint_kind, read_followup
from onlm_lab.analysis.product_limit import before, count_steps, survival
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, HazardModel

METHOD = "Fine-Gray subdistribution hazard, robust errors"
NO_CONCORDANCE = "not given for a subdistribution hazard: use time_dependent_auc"


@dataclass(frozen=True, eq=False)
class Subdistribution:
    """Rows sorted by time, with the censoring curve at each row."""

    order: np.ndarray
    x: np.ndarray  # (n, p) standardised
    first: np.ndarray  # (n,) first row of each row's time
    past: np.ndarray  # (n,) past the last row of each row's time
    own: np.ndarray  # (n,) bool: the event of interest
    competing: np.ndarray  # (n,) bool
    censored: np.ndarray  # (n,) bool
    still: np.ndarray  # (n,) G(t-)


@dataclass(frozen=True, eq=False)
class Moments:
    """Risk-set sums at each row's time, and what they add up to over the events."""

    hazard: np.ndarray  # (n,)
    total: np.ndarray  # (n,) weighted sum of the hazards in the risk set
    mean: np.ndarray  # (n, p) weighted mean of x in the risk set
    exposure: np.ndarray  # (n,) sum over events of weight / total
    mean_exposure: np.ndarray  # (n, p) the same, times the mean


def fine_gray(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    covariates: list[str] | tuple[str, ...],
    cause: int = 1,
    model: str | None = None,
) -> HazardModel:
    """Subdistribution hazard ratios: which covariates raise the cumulative incidence of the event.

    A ratio above 1 means a higher incidence; it is not a rate among those still free of events (that is
    `cox(cause=)`). A ratio of `risk` is per 10 percentage points; a category is compared with its first level.

    Args:
        rows: one row a patient with {endpoint}_days, {endpoint}_state and the covariates.
        endpoint: such as "regional".
        covariates: columns; numbers and booleans as they are, text and categories against their first level.
        cause: 1 the event, 2 the competing event.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: the endpoint has no competing events; a covariate that is absent, constant or a combination.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> risk = rng.uniform(size=200)
        >>> rows = pd.DataFrame({"patient_id": range(200), "risk": risk, "regional_state": rng.integers(0, 3, 200),
        ...                      "regional_days": rng.exponential(1000 * np.exp(-2 * risk))})
        >>> fine_gray(rows, endpoint="regional", covariates=["risk"]).table["covariate"].tolist()
        ['risk']
    """
    if endpoint_kind(rows, endpoint=endpoint) == "event":
        raise OnlmError(f"'{endpoint}' has no competing events. Use cox(rows, endpoint=\"{endpoint}\", ...).")
    if cause not in (1, 2):
        raise OnlmError(f"fine_gray takes cause=1 (the event) or cause=2 (the competing event), got {cause!r}.")
    if isinstance(covariates, str) or not len(covariates):
        raise OnlmError(f"covariates must be a list of at least one column, such as ['risk'], got {covariates!r}.")
    followup = read_followup(rows, endpoint=endpoint, columns=list(covariates), model=model)
    design = design_matrix(followup.rows, covariates=covariates, stratum=np.zeros(len(followup.days), dtype=int))
    p, n_events = design.x.shape[1], int((followup.state == cause).sum())
    coef, se, value, value_at_zero = np.full(p, np.nan), np.full(p, np.nan), np.nan, np.nan
    notes = [f"not fitted: {n_events} events for {p} coefficients"]
    if n_events > p:
        scale = design.x.std(axis=0)
        data = _sorted((design.x - design.x.mean(axis=0)) / scale, followup.days, followup.state, cause)
        top = newton.maximise(lambda beta: _pieces(data, beta), p=p)
        coef = np.where(top.unbounded, np.nan, top.beta) / scale
        se = np.sqrt(np.diag(_sandwich(data, top))) / scale
        value, value_at_zero = top.value, top.value_at_zero
        notes = [
            f"{name}: no finite hazard ratio"
            for name, unbounded in zip(design.names, top.unbounded, strict=True)
            if unbounded
        ]
    return HazardModel(
        table=hazard_table(design, coef, se),
        concordance=Estimate(np.nan, note=NO_CONCORDANCE),
        ph_test=pd.DataFrame(columns=["covariate", "chi2", "df", "p_value"]),
        endpoint=endpoint,
        method=f"{METHOD}, cause {cause}",
        log_likelihood=value,
        log_likelihood_null=value_at_zero,
        n=len(followup.days),
        n_events=n_events,
        n_excluded=followup.n_excluded,
        notes=tuple(notes),
    )


def _sorted(x: np.ndarray, days: np.ndarray, state: np.ndarray, cause: int) -> Subdistribution:
    order = np.argsort(days, kind="stable")
    days, state = days[order], state[order]
    steps = count_steps(days, state)
    free = before(survival(steps.at_risk, steps.n_state[:, 0]))[np.searchsorted(steps.days, days)]
    return Subdistribution(
        order=order,
        x=x[order],
        first=np.searchsorted(days, days, side="left"),
        past=np.searchsorted(days, days, side="right"),
        own=state == cause,
        competing=(state != cause) & (state != 0),
        censored=state == 0,
        still=free,
    )


def _earlier(values: np.ndarray, data: Subdistribution) -> np.ndarray:
    """Sums over rows with a shorter time."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), values.cumsum(axis=0)])[data.first]


def _from_here(values: np.ndarray, data: Subdistribution) -> np.ndarray:
    """Sums over rows with the same or a longer time."""
    return values[::-1].cumsum(axis=0)[::-1][data.first]


def _up_to(values: np.ndarray, data: Subdistribution) -> np.ndarray:
    """Sums over rows with the same or a shorter time."""
    return values.cumsum(axis=0)[data.past - 1]


def _later(values: np.ndarray, data: Subdistribution) -> np.ndarray:
    """Sums over rows with a longer time."""
    ahead = np.concatenate([values[::-1].cumsum(axis=0)[::-1], np.zeros((1, *values.shape[1:]))])
    return ahead[data.past]


def _moments(data: Subdistribution, beta: np.ndarray) -> Moments:
    eta = data.x @ beta
    r = np.exp(eta - eta.max())
    rx = r[:, None] * data.x
    gone = data.competing / data.still  # weight per unit of G(s-) of those out by a competing event
    total = _from_here(r, data) + data.still * _earlier(r * gone, data)
    sums = _from_here(rx, data) + data.still[:, None] * _earlier(rx * gone[:, None], data)
    mean = sums / total[:, None]
    jump = data.own / total
    exposure = _up_to(jump, data) + gone * _later(jump * data.still, data)
    mean_jump = jump[:, None] * mean
    mean_exposure = _up_to(mean_jump, data) + gone[:, None] * _later(mean_jump * data.still[:, None], data)
    return Moments(r, total, mean, exposure, mean_exposure)


def _pieces(data: Subdistribution, beta: np.ndarray) -> newton.Pieces:
    at = _moments(data, beta)
    mean = at.mean[data.own]
    value = float(np.log(at.hazard[data.own] / at.total[data.own]).sum())
    score = (data.x[data.own] - mean).sum(axis=0)
    information = data.x.T @ ((at.hazard * at.exposure)[:, None] * data.x) - mean.T @ mean
    return value, score, information


def _sandwich(data: Subdistribution, top: newton.Maximum) -> np.ndarray:
    """Fine and Gray's variance: the score residuals plus what each patient adds through the censoring curve."""
    at = _moments(data, top.beta)
    residual = np.where(data.own[:, None], data.x - at.mean, 0.0)
    residual -= at.hazard[:, None] * (data.x * at.exposure[:, None] - at.mean_exposure)
    out = at.hazard * data.competing / data.still
    jump = data.still * data.own / at.total
    q = _earlier(out[:, None] * data.x, data) * _from_here(jump, data)[:, None]
    q -= _earlier(out, data)[:, None] * _from_here(jump[:, None] * at.mean, data)
    at_risk = (len(data.first) - data.first).astype(float)
    own_censoring = np.where(data.censored[:, None], q / at_risk[:, None], 0.0)
    expected = _up_to(own_censoring / at_risk[:, None], data)
    change = (residual + own_censoring - expected) @ np.nan_to_num(top.covariance)
    return np.where(np.isnan(top.covariance), np.nan, change.T @ change)
