"""Does a treatment's hazard ratio differ between groups? Observational, and every result says so."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import columns_of, one_column
from onlm_lab.analysis.covariates import design_matrix
from onlm_lab.analysis.endpoint import endpoint_kind, read_followup, read_groups
from onlm_lab.analysis.partial_likelihood import fit_cox
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.errors import OnlmError
from onlm_lab.results import Interaction

OBSERVATIONAL = (
    "observational comparison: treatments were chosen for patients, so the ratios are not effects of treatment"
)


def interaction(
    rows: pd.DataFrame,
    *,
    endpoint: str,
    treatment: str,
    group: str,
    covariates: list[str] | tuple[str, ...] = (),
    cause: int | None = None,
    model: str | None = None,
) -> Interaction:
    """The treatment's hazard ratio in each group, and one test whether it differs between them.

    Cox models with Efron's ties; the test compares treatment + group with treatment x group, both with the covariates.

    Args:
        rows: one row a patient with the endpoint's columns, the treatment, the group and the covariates.
        endpoint: such as "os"; with competing events (X_state) name a `cause`.
        treatment: a column with two levels; the later is compared with the first.
        group: a column with few levels, such as predicted_positive.
        covariates: further columns to adjust for, with one coefficient over all groups in the test.
        cause: 1 or 2 on an X_state endpoint.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a treatment without exactly two levels, fewer than two groups, or what `cox` refuses.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> rows = pd.DataFrame({"patient_id": range(200), "os_days": rng.exponential(900, 200), "os_event": 1,
        ...                      "treatment": rng.choice(["lobectomy", "wedge"], 200), "high": rng.integers(0, 2, 200)})
        >>> interaction(rows, endpoint="os", treatment="treatment", group="high").contrast
        'wedge against lobectomy'
    """
    cause = cause_of(endpoint, endpoint_kind(rows, endpoint=endpoint), cause)
    covariates = columns_of(covariates, least=0, such_as="age_years")
    for word, column in (("treatment", treatment), ("group", group)):
        one_column(column, word=word, needed=True)
    columns = list(dict.fromkeys([treatment, group, *covariates]))
    if len(columns) < 2 + len(covariates):
        raise OnlmError("treatment, group and covariates must be different columns, but one is named twice.")
    followup = read_followup(rows, endpoint=endpoint, columns=columns, model=model)
    event = followup.state == cause
    arm, arms, _ = read_groups(followup.rows, by=treatment)
    codes, names, notes = read_groups(followup.rows, by=group)
    if len(arms) != 2:
        raise OnlmError(f"the treatment '{treatment}' needs two levels, it has {len(arms)}: {', '.join(arms[:6])}.")
    if len(names) < 2:
        raise OnlmError(f"the group '{group}' needs at least two levels, it has only {', '.join(names)}.")
    whole = np.zeros(len(event), dtype=int)
    further = np.empty((len(event), 0))
    if covariates:
        further = design_matrix(followup.rows, covariates=covariates, stratum=whole).x
    chi2, df = _likelihood_ratio(arm, codes, len(names), further, followup.days, event)
    table = [_within(arm, codes == i, name, further, followup.days, event) for i, name in enumerate(names)]
    table = pd.DataFrame(table, columns=["group", "hr", "low", "high", "n", "n_events"])
    notes += [f"{g}: no hazard ratio (too few events on one side)" for g in table.loc[table["hr"].isna(), "group"]]
    if np.isnan(chi2):
        notes.append("no interaction test: too few events in a treatment and group")
    return Interaction(
        table=table,
        chi2=chi2,
        df=df,
        p_value=chi2_tail(chi2, df),
        contrast=f"{arms[1]} against {arms[0]}",
        endpoint=endpoint,
        treatment=treatment,
        group=group,
        n=len(event),
        n_events=int(event.sum()),
        n_excluded=followup.n_excluded,
        notes=(OBSERVATIONAL, *notes),
    )


def cause_of(endpoint: str, kind: str, cause: int | None) -> int:
    """The event whose hazard is wanted, 1 or 2; refuses one that the endpoint does not have."""
    if kind == "state" and cause not in (1, 2):
        raise OnlmError(f"'{endpoint}' has competing events: name cause=1 (the event) or cause=2, got {cause!r}.")
    if kind == "event" and cause not in (None, 1):
        raise OnlmError(f"'{endpoint}' has one kind of event only: leave the cause out, got {cause!r}.")
    return cause or 1


def _likelihood_ratio(
    arm: np.ndarray, codes: np.ndarray, n_groups: int, further: np.ndarray, days: np.ndarray, event: np.ndarray
) -> tuple[float, int]:
    """Twice the gain of the products of treatment and group, and their number; NaN where a model has no maximum."""
    groups = (codes[:, None] == np.arange(1, n_groups)).astype(float)
    additive = np.column_stack([arm, groups, further]).astype(float)
    full = np.column_stack([additive, arm[:, None] * groups])
    df = n_groups - 1
    if event.sum() <= full.shape[1] or np.linalg.matrix_rank(full - full.mean(axis=0)) < full.shape[1]:
        return np.nan, df
    fits = [fit_cox(x, days, event, stratum=np.zeros(len(days), dtype=int)) for x in (additive, full)]
    if any(fit.unbounded.any() for fit in fits):
        return np.nan, df
    return 2 * (fits[1].log_likelihood - fits[0].log_likelihood), df


def _within(
    arm: np.ndarray, own: np.ndarray, name: str, further: np.ndarray, days: np.ndarray, event: np.ndarray
) -> tuple[str, float, float, float, int, int]:
    """The treatment's hazard ratio in one group, from that group's patients alone."""
    varies = further[:, np.ptp(further[own], axis=0) > 0] if further.size else further
    x = np.column_stack([arm, varies]).astype(float)[own]
    n, n_events = len(x), int(event[own].sum())
    nothing = (name, np.nan, np.nan, np.nan, n, n_events)
    if n_events <= x.shape[1] or np.linalg.matrix_rank(x - x.mean(axis=0)) < x.shape[1]:
        return nothing
    fit = fit_cox(x, days[own], event[own], stratum=np.zeros(n, dtype=int))
    if fit.unbounded[0]:
        return nothing
    coef, se = fit.coef[0], np.sqrt(fit.covariance[0, 0])
    return (name, *(float(np.exp(coef + k * Z95 * se)) for k in (0, -1, 1)), n, n_events)
