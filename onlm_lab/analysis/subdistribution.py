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
from onlm_lab.analysis.arguments import predictors_of, read_cause
from onlm_lab.analysis.covariates import design_matrix, hazard_table
from onlm_lab.analysis.endpoint import endpoint_kind, read_followup
from onlm_lab.analysis.product_limit import before, count_steps, survival
from onlm_lab.errors import OnlmError
from onlm_lab.results import Estimate, HazardModel

METHOD = "Fine-Gray subdistribution hazard, robust errors"
NO_CONCORDANCE = "not given for a subdistribution hazard: use time_dependent_auc"


@dataclass(frozen=True, eq=False)
class Subdistribution:
    """Rows sorted by time, and what is known of each distinct time (j of them): its rows, its events, the censoring."""

    x: np.ndarray  # (p, n) standardised
    own: np.ndarray  # (n,) bool: the event of interest
    competing: np.ndarray  # (n,) bool
    censored: np.ndarray  # (n,) bool
    place: np.ndarray  # (n,) which time is the row's own
    start: np.ndarray  # (j,) first row of each time
    days: np.ndarray  # (j,)
    n_own: np.ndarray  # (j,) events of interest
    still: np.ndarray  # (j,) G(t-)
    gone: np.ndarray  # (n,) 1 / G(T-) of those out by a competing event, else 0: their weight at s is that times G(s-)

    def at(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each time, (..., j)."""
        return np.add.reduceat(values, self.start, axis=-1)


@dataclass(frozen=True, eq=False)
class Moments:
    """Risk-set sums at each time."""

    eta: np.ndarray  # (n,) x beta, up to a constant
    hazard: np.ndarray  # (n,)
    total: np.ndarray  # (j,) weighted sum of the hazards in the risk set
    mean: np.ndarray  # (p, j) weighted mean of x in the risk set


@dataclass(frozen=True, eq=False)
class SubdistributionFit:
    """Coefficients and robust covariance on the covariates' own scale (NaN: no finite maximum), and the baseline.

    `event_days` are the distinct days of the event, `cumulative` the baseline cumulative subdistribution hazard after
    each, of a patient with covariates `centre`.
    """

    coef: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    log_likelihood_null: float
    centre: np.ndarray
    event_days: np.ndarray
    cumulative: np.ndarray


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
    cause, covariates = read_cause(cause), predictors_of(covariates, endpoint=endpoint)
    followup = read_followup(rows, endpoint=endpoint, columns=covariates, model=model)
    design = design_matrix(followup.rows, covariates=covariates, stratum=np.zeros(len(followup.days), dtype=int))
    p, n_events = design.x.shape[1], int((followup.state == cause).sum())
    coef, se, value, value_at_zero = np.full(p, np.nan), np.full(p, np.nan), np.nan, np.nan
    notes = [f"not fitted: {n_events} events for {p} coefficients"]
    if n_events > p:
        fit = fit_subdistribution(design.x, followup.days, followup.state, cause=cause)
        coef, se = fit.coef, np.sqrt(np.diag(fit.covariance))
        value, value_at_zero = fit.log_likelihood, fit.log_likelihood_null
        notes = [
            f"{name}: no finite hazard ratio"
            for name, unbounded in zip(design.names, np.isnan(fit.coef), strict=True)
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


def fit_subdistribution(x: np.ndarray, days: np.ndarray, state: np.ndarray, *, cause: int) -> SubdistributionFit:
    """Fine and Gray's coefficients, their sandwich and the baseline (Breslow), as cmprsk's crr and predict.crr.

    Args:
        x: (n, p) covariates, none constant or a combination of others.
        days: (n,) times; equal times are ties.
        state: (n,) 0 censored, 1 the event, 2 the competing event.
        cause: whose incidence is modelled.
    """
    centre, scale = x.mean(axis=0), x.std(axis=0)
    data = _sorted((x - centre) / scale, days, state, cause)
    top = newton.maximise(lambda beta: _pieces(data, beta), p=x.shape[1])
    at = _moments(data, top.beta)
    seen = data.n_own > 0
    jump = data.n_own[seen] / at.total[seen]
    return SubdistributionFit(
        coef=np.where(top.unbounded, np.nan, top.beta) / scale,
        covariance=_sandwich(data, top) / np.outer(scale, scale),
        log_likelihood=top.value,
        log_likelihood_null=top.value_at_zero,
        centre=centre,
        event_days=data.days[seen],
        cumulative=np.cumsum(jump) * np.exp(-(top.beta @ data.x).max()),
    )


def _sorted(x: np.ndarray, days: np.ndarray, state: np.ndarray, cause: int) -> Subdistribution:
    steps = count_steps(days, state)
    short = len(steps.days) < 2**16
    order = np.argsort(steps.place.astype(np.uint16) if short else steps.place, kind="stable")
    state, place = state[order], steps.place[order]
    still = before(survival(steps.at_risk, steps.n_state[:, 0]))
    competing = (state != cause) & (state != 0)
    return Subdistribution(
        x=np.ascontiguousarray(x[order].T),
        own=state == cause,
        competing=competing,
        censored=state == 0,
        place=place,
        start=np.flatnonzero(np.diff(place, prepend=-1)),
        days=steps.days,
        n_own=steps.n_state[:, cause].astype(float),
        still=still,
        gone=competing / still[place],
    )


def _from_here(values: np.ndarray) -> np.ndarray:
    """Sums over the same and longer times, (..., j)."""
    return values[..., ::-1].cumsum(axis=-1)[..., ::-1]


def _earlier(values: np.ndarray) -> np.ndarray:
    """Sums over shorter times."""
    out = np.zeros_like(values)
    np.cumsum(values[..., :-1], axis=-1, out=out[..., 1:])
    return out


def _later(values: np.ndarray) -> np.ndarray:
    """Sums over longer times."""
    return _earlier(values[..., ::-1])[..., ::-1]


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # where _pieces sees that no step may go
def _moments(data: Subdistribution, beta: np.ndarray) -> Moments:
    eta = beta @ data.x
    eta -= eta.max()
    r = np.exp(eta)
    both = np.concatenate([r[None], r * data.x])  # the hazard, and the hazard times each covariate
    sums = _from_here(data.at(both)) + data.still * _earlier(data.at(both * data.gone))
    return Moments(eta, r, sums[0], sums[1:] / sums[0])


def _exposure(data: Subdistribution, jump: np.ndarray) -> np.ndarray:
    """For each row, the sum of jumps at the times at which it is at risk, by its weight then (..., n)."""
    after = _later(jump * data.still)[..., data.place]
    return np.cumsum(jump, axis=-1)[..., data.place] + data.gone * after


def _pieces(data: Subdistribution, beta: np.ndarray) -> newton.Pieces:
    at = _moments(data, beta)
    if not (at.total[data.n_own > 0] > newton.NOTHING).all():
        return -np.inf, np.zeros(len(beta)), np.zeros((len(beta), len(beta)))
    value = float(at.eta[data.own].sum() - data.n_own @ np.log(at.total))
    score = data.x[:, data.own].sum(axis=1) - at.mean @ data.n_own
    exposure = at.hazard * _exposure(data, data.n_own / at.total)
    return value, score, _crossed(exposure * data.x, data.x) - _crossed(data.n_own * at.mean, at.mean)


def _crossed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b.T of long narrow matrices, without the threads of a matrix product that cost more than they save here."""
    return np.einsum("in,jn->ij", a, b)


def _sandwich(data: Subdistribution, top: newton.Maximum) -> np.ndarray:
    """Fine and Gray's variance: the score residuals plus what each patient adds through the censoring curve."""
    at = _moments(data, top.beta)
    jump, mean = data.n_own / at.total, at.mean[:, data.place]
    residual = np.where(data.own, data.x - mean, 0.0)
    residual -= at.hazard * (data.x * _exposure(data, jump) - _exposure(data, jump * at.mean))
    out, ahead = at.hazard * data.gone, data.still * jump
    q = _earlier(data.at(out * data.x)) * _from_here(ahead) - _earlier(data.at(out)) * _from_here(ahead * at.mean)
    own_censoring = q / (len(data.place) - data.start)  # of a patient censored at each time, by the number at risk
    expected = np.cumsum(data.at(data.censored.astype(float)) * own_censoring / (len(data.place) - data.start), axis=-1)
    residual += np.where(data.censored, own_censoring[:, data.place], 0.0) - expected[:, data.place]
    change = np.nan_to_num(top.covariance) @ residual
    return np.where(np.isnan(top.covariance), np.nan, _crossed(change, change))
