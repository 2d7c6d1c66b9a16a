"""Odds ratios where events are few or a covariate separates the classes: Firth's logistic regression of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from onlm_lab.analysis.intervals import normal_quantile
from onlm_lab.analysis.logistic import LogisticFit
from onlm_lab.analysis.penalised import fit_firth, penalised_ratio_test, profile_interval
from onlm_lab.analysis.rows import labelled, require_columns
from onlm_lab.analysis.terms import Terms, coded
from onlm_lab.errors import OnlmError
from onlm_lab.results import PenalisedModel

METHOD = "Firth, profile penalised likelihood"


def firth(
    rows: pd.DataFrame, *, covariates: Sequence[str], outcome: str = "onlm", model: str | None = None,
    level: float = 0.95,
) -> PenalisedModel:  # fmt: skip
    """Odds ratios of each covariate by logistic regression with Firth's penalty, finite even under separation.

    Firth 1993, doi:10.1093/biomet/80.1.27; intervals and P from the profile of the penalised likelihood, which Wald's
    miss badly under separation: Heinze and Schemper 2002, doi:10.1002/sim.1047. The standard error is Wald's.

    Args:
        rows: a row a patient: patient_id, the outcome and the covariates.
        covariates: numbers and 0/1 as they are, words and categories against their first level. Patients who lack one
            are left out and counted.
        outcome: a column of 1, 0 or missing.
        model: which model_id; None where the table holds one only.
        level: coverage of the intervals.

    Raises:
        OnlmError: no covariate, an absent column, or an outcome other than 1, 0 or missing.

    Example:
        >>> rows = pd.DataFrame({"patient_id": range(8), "onlm": [0, 0, 0, 0, 1, 1, 1, 1], "size_mm": range(8)})
        >>> bool(firth(rows, covariates=["size_mm"]).table["odds_ratio"].iloc[1] > 1)
        True
    """
    names = [covariates] if isinstance(covariates, str) else list(dict.fromkeys(covariates))
    if not names:
        raise OnlmError("firth: no covariate was named; pass covariates=['age_years', ...].")
    normal_quantile(level)
    require_columns(rows, ["patient_id", outcome, *names])
    if outcome in names:
        raise OnlmError(f"firth: '{outcome}' is the outcome and cannot be a covariate too.")
    if outcome != "onlm":
        _check_outcome(rows, outcome)
        rows = rows.drop(columns=["onlm", "onlm_missing_reason"], errors="ignore").rename(columns={outcome: "onlm"})
    given = labelled(rows, model=model, risk=False)
    known = given.frame[names].notna().all(axis=1).to_numpy()
    n_excluded = dict(given.n_excluded) | ({"a covariate missing": int((~known).sum())} if not known.all() else {})
    terms, event = coded(given.frame[known], columns=names, of="firth"), given.onlm[known]
    notes = [*given.notes, *(f"'{c}' has one value only and was left out" for c in terms.constant)]
    design = np.column_stack([np.ones(len(event)), terms.x])
    if 0 < event.sum() < len(event):
        fit = fit_firth(design, event)
    else:
        k = design.shape[1]
        why = f"{outcome} is the same in all {len(event)} patients: both classes are needed"
        fit = LogisticFit(np.full(k, math.nan), np.full((k, k), math.nan), math.nan, why)
    if fit.note:
        notes.append(fit.note)
    return PenalisedModel(
        table=_table(terms, design=design, event=event, fit=fit, level=level), outcome=outcome,
        log_likelihood=fit.log_likelihood, level=level, method=METHOD, n=len(event), n_events=int(event.sum()),
        n_excluded=n_excluded, notes=tuple(notes),
    )  # fmt: skip


def _check_outcome(rows: pd.DataFrame, outcome: str) -> None:
    number = pd.to_numeric(rows[outcome], errors="coerce")
    bad = rows[outcome].notna() & ~number.isin([0, 1])
    if bad.any():
        raise OnlmError(
            f"firth: the outcome '{outcome}' must be 1, 0 or missing; it is not for {int(bad.sum())} of {len(rows)} "
            "patients. Make it a yes-or-no column."
        )


def _table(
    terms: Terms, *, design: np.ndarray, event: np.ndarray, fit: LogisticFit, level: float
) -> pd.DataFrame:  # fmt: skip
    rows = []
    for j, (name, unit) in enumerate(zip(["(intercept)", *terms.names], ["", *terms.units], strict=True)):
        low, high = profile_interval(design, event, column=j, fit=fit, level=level)
        chi2, p_value = penalised_ratio_test(design, event, column=j, fit=fit)
        with np.errstate(over="ignore"):  # a ratio too large for a number is infinite
            ratio, low, high = (float(v) for v in np.exp([fit.coef[j], low, high]))
        rows.append({"covariate": name, "unit": unit, "coef": fit.coef[j], "se": fit.se[j], "odds_ratio": ratio,
                     "low": low, "high": high, "chi2": chi2, "p_value": p_value})  # fmt: skip
    return pd.DataFrame(rows)
