"""Does the risk add to what is known already, such as the TNM stage? Nested Cox models of the same patients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from onlm_lab.analysis.arguments import Columns, list_of
from onlm_lab.analysis.concordance import concordance_influence
from onlm_lab.analysis.hazard import likelihood_ratio, score_of
from onlm_lab.analysis.hazard_rows import HazardRows, read_hazard
from onlm_lab.analysis.partial_likelihood import CoxFit
from onlm_lab.analysis.product_limit import Z95
from onlm_lab.analysis.rows import Patients
from onlm_lab.analysis.tails import chi2_tail
from onlm_lab.errors import OnlmError
from onlm_lab.results import AddedValue, ChiSquareTest, Estimate

APPARENT = "apparent: the models were fitted to the patients in whom they are judged, which flatters the larger one"
HARRELL = "Harrell's C, infinitesimal jackknife, clipped to [0, 1]"


def added_value(
    rows: pd.DataFrame | Patients,
    *,
    endpoint: str,
    base: Columns,
    added: Columns = ("risk",),
    strata: str | Columns | None = None,
    cause: int | None = None,
    model: str | None = None,
) -> AddedValue:
    """What the added columns tell about the endpoint beyond the base, by likelihood ratio and by concordance.

    The likelihood-ratio test is the one to read; a difference in concordance is insensitive (Harrell 2015, section
    9.8.4, doi:10.1007/978-3-319-19425-7, whose adequacy index is the base's share of the full model's chi-square).
    The difference in concordance has the paired infinitesimal jackknife of R survival's concordance(base, full).

    Args:
        rows: one row a patient with the endpoint's columns and the covariates.
        endpoint: such as "os"; with competing events (X_state) a `cause` must be named.
        base: columns of the base model, such as ["clinical_t"].
        added: columns that are added.
        strata: a column or several, of both models.
        cause: 1 or 2 on an X_state endpoint.
        model: whose rows to take when the table holds several models.

    Raises:
        OnlmError: a column in both models' lists, or what `cox` refuses.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> risk = rng.uniform(size=200)
        >>> rows = pd.DataFrame({"patient_id": range(200), "risk": risk, "os_event": 1, "t": rng.integers(1, 4, 200),
        ...                      "os_days": rng.exponential(1000 * np.exp(-2 * risk))})
        >>> bool(added_value(rows, endpoint="os", base=["t"]).likelihood_ratio.p_value < 0.001)
        True
    """
    base, added = list_of(base, word="base"), list_of(added, word="added")
    twice = [c for c in added if c in base]
    if not base or not added or twice:
        what = f"{', '.join(twice)} is in both" if twice else f"base={base!r}, added={added!r}"
        raise OnlmError(f"base and added must be lists of at least one column each, none in both; got {what}.")
    # the added first, as in a table of the risk and other covariates: the two then share a fit of all
    data = read_hazard(rows, endpoint=endpoint, covariates=[*added, *base], strata=strata, cause=cause, model=model)
    of_base = [i for c in base for i in data.design.terms[c]]
    n_base, p = len(of_base), data.design.x.shape[1]
    fits: list[CoxFit | None] = [None, None]
    notes = [APPARENT]
    if data.n_events <= p:
        notes.append(f"not fitted: {data.n_events} events for {p} coefficients")
    else:
        fits = [data.fit(of_base), data.fit()]
        if any(fit.unbounded.any() for fit in fits):
            notes.append("a coefficient has no finite maximum: the chi-square is the limit it tends to")
    low, high, difference = _concordances(data, fits)
    tests = [ChiSquareTest(df=k) if f is None else likelihood_ratio(f) for f, k in zip(fits, (n_base, p), strict=True)]
    gain = tests[1].chi2 - tests[0].chi2
    total = tests[1].chi2
    return AddedValue(
        table=_table((base, [*base, *added]), fits, tests, (low, high)),
        likelihood_ratio=ChiSquareTest(gain, p - n_base, chi2_tail(gain, p - n_base)),
        base=low,
        full=high,
        difference=difference,
        adequacy=tests[0].chi2 / total if total > 0 else np.nan,
        base_covariates=tuple(base),
        added_covariates=tuple(added),
        endpoint=endpoint,
        method="Cox, Efron's ties" + data.said,
        n=len(data.event),
        n_events=data.n_events,
        n_excluded=data.followup.n_excluded,
        notes=tuple(notes),
    )


def _concordances(data: HazardRows, fits: list[CoxFit | None]) -> tuple[Estimate, Estimate, Estimate]:
    """Concordance of base and full, and their difference: each patient's pull on both is known, so they are paired."""
    if any(fit is None for fit in fits):
        return (Estimate(np.nan, note="not fitted"),) * 3
    found = [concordance_influence(score_of(fit), data.followup.days, data.event, stratum=data.stratum) for fit in fits]
    (base, pull), (full, pull_full) = found
    each = []
    for value, own in found:
        se = float(np.sqrt((own**2).sum()))
        limits = max(0.0, value - Z95 * se), min(1.0, value + Z95 * se)
        each.append(Estimate(value, *limits, method=HARRELL, note="apparent: same patients"))
    gain, se = full - base, float(np.sqrt(((pull_full - pull) ** 2).sum()))
    method = "difference of Harrell's C, paired infinitesimal jackknife"
    return *each, Estimate(gain, gain - Z95 * se, gain + Z95 * se, method=method, note="apparent: same patients")


def _table(
    covariates: tuple[list[str], list[str]], fits: list[CoxFit | None], tests: list[ChiSquareTest], c: tuple
) -> pd.DataFrame:
    out = []
    for name, columns, fit, test, own in zip(("base", "base and added"), covariates, fits, tests, c, strict=True):
        value = np.nan if fit is None else fit.log_likelihood
        free = 0 if fit is None else int((~fit.unbounded).sum())
        out.append({
            "model": name, "covariates": ", ".join(columns), "df": test.df, "log_likelihood": value, "chi2": test.chi2,
            "aic": 2 * free - 2 * value, "concordance": own.value, "low": own.low, "high": own.high,
        })  # fmt: skip
    return pd.DataFrame(out)
