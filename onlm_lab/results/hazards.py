"""What stands around a hazard model: models side by side, what the risk adds, its form, its patients, its constancy."""

from __future__ import annotations

from dataclasses import field

import pandas as pd

from onlm_lab.results.chi_square import ChiSquareTest
from onlm_lab.results.frozen import Estimate, result


@result
class HazardComparison:
    """Each covariate alone and beside the others, in the same patients. `table`: covariate, level, unit, reference
    (bool: the row is the level that others are compared with, hr 1), n, n_events, and for each of univariable and
    multivariable _hr, _low, _high, _p_value."""

    table: pd.DataFrame
    endpoint: str
    method: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class AddedValue:
    """What columns add to a base model of the same patients; apparent, as the models were fitted to them.

    `likelihood_ratio`: the test of what is added. `base`, `full`, `difference`: concordance. `adequacy`: share of the
    full model's likelihood-ratio chi-square that the base has alone, 1 - adequacy is the share of new information.
    `table`: model, covariates, df, log_likelihood, chi2 (likelihood ratio against no covariates), aic, concordance with
    low and high."""

    table: pd.DataFrame
    likelihood_ratio: ChiSquareTest
    base: Estimate
    full: Estimate
    difference: Estimate
    adequacy: float
    base_covariates: tuple[str, ...]
    added_covariates: tuple[str, ...]
    endpoint: str
    method: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    apparent: bool = True


@result
class FunctionalForm:
    """How the hazard changes along a covariate: a restricted cubic spline in a Cox model. `curve`: value, hr against
    the reference value, low, high, log_hr. `nonlinearity`, `association`: likelihood-ratio tests of the spline against
    a straight line and against nothing. `residuals`: value, residual (martingale, of the model without the covariate),
    smooth (lowess; NaN where there is none)."""

    curve: pd.DataFrame
    nonlinearity: ChiSquareTest
    association: ChiSquareTest
    residuals: pd.DataFrame
    covariate: str
    reference: float
    knots: tuple[float, ...]
    endpoint: str
    method: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class Influence:
    """What single patients do to a Cox model. `table`, a row a patient: patient_id, days, happened (the event was
    seen), martingale, deviance (residuals), displacement (of the likelihood), and for each coefficient
    `dfbetas:<name>`, its approximate change in standard errors. `most`: patient_id, covariate, dfbetas, hr, hr_without
    (refitted without the patient), low_without, high_without. `coefficients`: covariate, unit, coef, se, hr."""

    table: pd.DataFrame
    most: pd.DataFrame
    coefficients: pd.DataFrame
    endpoint: str
    method: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@result
class ProportionalHazards:
    """Whether hazard ratios stay the same over time. `test`: covariate incl. GLOBAL, chi2, df, p_value (exact score
    test). `residuals`, a row an event and coefficient: covariate, days, residual (scaled Schoenfeld: an estimate of the
    log hazard ratio at that day). `curve`: covariate, days, log_hr, low, high, hr, hr_low, hr_high (smooth).
    `coefficients`: covariate, unit, coef, se, hr."""

    test: pd.DataFrame
    residuals: pd.DataFrame
    curve: pd.DataFrame
    coefficients: pd.DataFrame
    transform: str
    endpoint: str
    method: str
    n: int
    n_events: int
    n_excluded: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
