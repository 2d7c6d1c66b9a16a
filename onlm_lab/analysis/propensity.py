"""Two treatments made comparable in what is known of the patients: propensity, overlap weights, balance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.linalg import qr
from scipy.special import expit

from onlm_lab.analysis.arguments import columns_of, one_column
from onlm_lab.analysis.covariates import design_matrix
from onlm_lab.analysis.effect_modification import OBSERVATIONAL
from onlm_lab.analysis.endpoint import level_name, read_groups, sorted_levels
from onlm_lab.analysis.landmarking import LANDMARK
from onlm_lab.analysis.logistic import fit_logistic
from onlm_lab.analysis.rows import one_row_a_patient, require_columns
from onlm_lab.errors import OnlmError
from onlm_lab.results import Balance

NEAR = 0.02  # a propensity this close to 0 or 1: such a patient nearly always gets one of the treatments
FEW_PER_COEFFICIENT = 10
POORLY_SEPARATED = 0.10  # Austin 2009, doi:10.1002/sim.3697


@dataclass(frozen=True, eq=False)
class Propensity:
    """A fitted propensity of the second treatment; NaN with a note where the covariates separate the treatments."""

    arm: np.ndarray  # (n,) 0 the first, 1 the second
    value: np.ndarray  # (n,)
    weight: np.ndarray  # (n,)
    design: np.ndarray  # (n, k) with the intercept
    note: str = ""


def overlap_weights(
    rows: pd.DataFrame, *, treatment: str, covariates: Sequence[str], model: str | None = None
) -> Balance:
    """Weights that make two treatments comparable in the covariates, with the balance before and after.

    Logistic regression gives each patient's propensity e of the second treatment; the weight is 1 - e for those who had
    it and e for the others (Li, Morgan and Zaslavsky 2018, doi:10.1080/01621459.2016.1260466). The weighted means are
    then exactly equal, and those count most who could have had either treatment. What is not among the covariates is
    not balanced. Standardised differences are in units of the unweighted standard deviation before and after.

    Args:
        rows: one row a patient; those in whom a column is missing are left out and counted.
        treatment: a column with two levels; the later is compared with the first.
        covariates: numbers, booleans or categories that were known when the treatment was chosen.
        model: whose rows to take when the table holds several models.

    Returns:
        Balance; n_events is the number of patients with the second treatment.

    Raises:
        OnlmError: other than two treatments, a treatment known only later without a landmark, a covariate that is
            absent, constant or follows from others.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> age = rng.normal(70, 8, 400)
        >>> arm = np.where(rng.uniform(size=400) < expit((age - 70) / 8), "sbrt", "lobectomy")
        >>> rows = pd.DataFrame({"patient_id": range(400), "age_years": age, "treatment": arm})
        >>> found = overlap_weights(rows, treatment="treatment", covariates=["age_years"])
        >>> bool(found.table["smd_before"][0] > 0.5), bool(abs(found.table["smd_after"][0]) < 1e-9)
        (True, True)
    """
    rows, _ = one_row_a_patient(rows, model=model)
    names = check_design(rows, treatment=treatment, covariates=covariates)
    if not names:
        raise OnlmError("covariates must name at least one column, such as ['age_years', 'sex'].")
    kept, n_excluded = _complete(rows, [treatment, *names])
    arm, arms = two_arms(kept, treatment)
    fitted = fit_propensity(propensity_terms(kept, names), arm)
    return describe_balance(kept, fitted, treatment=treatment, arms=arms, covariates=names, n_excluded=n_excluded)


def check_design(rows: pd.DataFrame, *, treatment: str, covariates: Sequence[str]) -> list[str]:
    """The covariates as a list; refuses what cannot be compared from time zero."""
    names = columns_of(covariates, least=0, such_as="age_years")
    one_column(treatment, word="treatment", needed=True)
    require_columns(rows, [treatment, *names])
    if len(set(names)) < len(names) or treatment in names:
        raise OnlmError(f"treatment and covariates must be different columns: {', '.join([treatment, *names])}.")
    from onlm_lab.schema import column  # a third of a second, needed here only

    known = [spec for spec in map(column, [treatment, *names]) if spec is not None]
    told = [spec.name for spec in known if spec.timing == "outcome"]
    if told:
        raise OnlmError(f"'{told[0]}' is an outcome: it can be neither a treatment nor a covariate. Leave it out.")
    starts = f"{treatment}_start_days"
    if LANDMARK not in rows.columns and (treatment.startswith("adjuvant") or starts in rows.columns):
        raise OnlmError(
            f"'{treatment}' is known only after time zero: who relapsed or died early never had it, so counted from "
            "time zero it looks protective (immortal time). Call "
            f"landmark(rows, day=180, exposure='{treatment}', start='{starts}') and compare its .rows."
        )
    return names


def known_late(rows: pd.DataFrame, covariates: Sequence[str]) -> list[str]:
    """A note for covariates that are known only after the treatment, where the clock was not reset to a landmark."""
    from onlm_lab.schema import column

    if LANDMARK in rows.columns:
        return []
    late = [name for name in covariates if (spec := column(name)) and spec.timing == "post_treatment"]
    if not late:
        return []
    return [
        f"{', '.join(late)}: known only after the treatment and perhaps changed by it; balancing it can hide or make a "
        "difference"
    ]


def two_arms(rows: pd.DataFrame, treatment: str) -> tuple[np.ndarray, list[str]]:
    """0 or 1 for each row, and the names of the two treatments ("no adjuvant", "adjuvant" of a 0/1 column)."""
    levels = sorted_levels(rows[treatment])[0]
    if len(levels) != 2:
        said = ", ".join(level_name(v) for v in levels[:6])
        raise OnlmError(
            f"the treatment '{treatment}' needs two levels, it has {len(levels)}: {said}. Join or drop some, for "
            "example with treatment_arms."
        )
    arm, names, _ = read_groups(rows, by=treatment)
    words = treatment.replace("_", " ")
    return arm, [f"no {words}", words] if set(levels) == {0, 1} else names


def propensity_terms(rows: pd.DataFrame, covariates: Sequence[str]) -> np.ndarray:
    """The covariates as a matrix (n, k), categories against their first level."""
    return design_matrix(rows, covariates=covariates, stratum=np.zeros(len(rows), dtype=int)).x


def fit_propensity(x: np.ndarray, arm: np.ndarray) -> Propensity:
    """The propensity of the second treatment by logistic regression, and the overlap weights.

    Args:
        x: (n, k) covariates; those that are constant or follow from others in these patients are left out.
        arm: (n,) 0 or 1.
    """
    spread = x.std(axis=0)
    scaled = ((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1))[:, spread > 0]
    scaled = scaled[:, _independent(scaled)]
    design = np.column_stack([np.ones(len(x)), scaled])
    fit = fit_logistic(design, arm == 1)
    value = expit(design @ fit.coef)
    note = ""
    if np.isnan(value).any():
        note = "the covariates tell the treatments apart completely: no patient could have had either, so no weights"
    return Propensity(arm, value, np.where(arm == 1, 1 - value, value), design, note)


def _independent(x: np.ndarray) -> np.ndarray:
    """Numbers of columns that do not follow from the others."""
    if not x.shape[1]:
        return np.arange(0)
    _, r, order = qr(x, mode="economic", pivoting=True)
    size = np.abs(np.diag(r))
    return np.sort(order[: int((size > 1e-8 * size[0]).sum())])


def describe_balance(
    rows: pd.DataFrame,
    fitted: Propensity,
    *,
    treatment: str,
    arms: Sequence[str],
    covariates: Sequence[str],
    n_excluded: dict[str, int],
) -> Balance:
    """Balance before and after, effective numbers and what a reader must know."""
    table = [line for name in covariates for line in _lines(rows[name], name, fitted)]
    effective = [effective_number(fitted.weight[fitted.arm == k]) for k in (0, 1)]
    n_arm = [int((fitted.arm == k).sum()) for k in (0, 1)]
    columns = ["first_before", "second_before", "first_after", "second_after", "smd_before", "smd_after"]
    return Balance(
        table=pd.DataFrame(table, columns=["covariate", "level", *columns]),
        effective_n=pd.DataFrame({"arm": list(arms), "n": n_arm, "effective_n": effective}),
        weights=pd.DataFrame(
            {"patient_id": rows["patient_id"].to_numpy(), "propensity": fitted.value, "weight": fitted.weight}
        ),
        c_statistic=_concordance(fitted),
        arms=tuple(arms),
        treatment=treatment,
        n=len(rows),
        n_events=n_arm[1],
        n_excluded=n_excluded,
        notes=(OBSERVATIONAL, *_notes(fitted, arms, n_arm, effective), *known_late(rows, covariates)),
    )


def effective_number(weight: np.ndarray) -> float:
    """How many patients of equal weight tell as much (Kish 1965, Survey Sampling): (sum w)^2 / sum w^2."""
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0


def _complete(rows: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    keep, n_excluded = np.ones(len(rows), dtype=bool), {}
    for column in columns:
        blank = rows[column].isna().to_numpy() & keep
        if blank.any():
            n_excluded[f"{column} missing"] = int(blank.sum())
            keep &= ~blank
    if not keep.any():
        why = "; ".join(f"{n} {reason}" for reason, n in n_excluded.items())
        raise OnlmError(f"no patient is left of {len(rows)} ({why}). Name fewer covariates or complete the table.")
    return rows[keep].reset_index(drop=True), n_excluded


def _lines(column: pd.Series, name: str, fitted: Propensity) -> list[tuple]:
    values = column.infer_objects() if column.dtype == object else column
    if pd.api.types.is_bool_dtype(values.dtype):
        return [(name, "yes", *_difference(values.to_numpy(float), fitted, share=True))]
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(float)
        share = bool(np.isin(numbers, (0, 1)).all())
        return [(name, "1" if share else "mean", *_difference(numbers, fitted, share=share))]
    levels, text = sorted_levels(values)[0], values.astype(object)
    return [(name, level_name(v), *_difference((text == v).to_numpy(float), fitted, share=True)) for v in levels]


def _difference(values: np.ndarray, fitted: Propensity, *, share: bool) -> tuple[float, ...]:
    """Means in the two arms before and after, and the standardised differences, second minus first."""
    sides = [fitted.arm == k for k in (0, 1)]
    plain = [float(values[s].mean()) for s in sides]
    after = [float((values * fitted.weight)[s].sum() / fitted.weight[s].sum()) for s in sides]
    spread = [m * (1 - m) if share else float(values[s].var(ddof=1)) if s.sum() > 1 else np.nan
              for s, m in zip(sides, plain, strict=True)]  # fmt: skip
    sd = np.sqrt(sum(spread) / 2)
    smd = [(second - first) / sd if sd > 0 else np.nan for first, second in (plain, after)]
    return (*plain, *after, *smd)


def _concordance(fitted: Propensity) -> float:
    n_first, n_second = int((fitted.arm == 0).sum()), int((fitted.arm == 1).sum())
    if np.isnan(fitted.value).any():
        return float("nan")
    ranks = pd.Series(np.round(fitted.value, 12)).rank().to_numpy()[fitted.arm == 1].sum()
    return float((ranks - n_second * (n_second + 1) / 2) / (n_first * n_second))


def _notes(fitted: Propensity, arms: Sequence[str], n_arm: list[int], effective: list[float]) -> list[str]:
    if fitted.note:
        return [fitted.note]
    notes = []
    near = int(((fitted.value < NEAR) | (fitted.value > 1 - NEAR)).sum())
    if near:
        notes.append(
            f"{near} of {len(fitted.value)} patients were almost certain of their treatment (propensity within "
            f"{NEAR:g} of 0 or 1): they count almost nothing, and nothing is said about patients like them"
        )
    k = fitted.design.shape[1]
    if min(n_arm) < FEW_PER_COEFFICIENT * k:
        which = arms[int(np.argmin(n_arm))]
        notes.append(f"few patients: {min(n_arm)} with {which} for {k} coefficients of the propensity")
    said = ", ".join(f"{a} {e:.0f} of {n}" for a, e, n in zip(arms, effective, n_arm, strict=True))
    notes.append(f"effective number of patients after weighting: {said}")
    return notes
