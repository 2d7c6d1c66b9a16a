"""Single patients in a Cox model against residuals() of R survival and against fits without them."""

from __future__ import annotations

import numpy as np
import pytest
from hazard_reference import BASIC, LUNG, TIES, R

from onlm_lab.analysis.hazard import cox
from onlm_lab.analysis.influential_patients import influence

CASES = {"lung": (LUNG, BASIC, None), "ties": (TIES, ["age", "ecog"], "sex")}


@pytest.mark.parametrize("case", CASES)
def test_residuals_and_dfbetas_are_those_of_r(case):
    rows, covariates, strata = CASES[case]
    found, expected = influence(rows, endpoint="os", covariates=covariates, strata=strata), R[f"single_{case}"]
    own = found.table[[c for c in found.table if c.startswith("dfbetas:")]].to_numpy()
    assert np.allclose(own, np.array(expected["dfbetas"]), rtol=1e-7, atol=1e-12)
    for name in ("martingale", "deviance", "displacement"):
        assert np.allclose(found.table[name], expected[name], rtol=1e-6, atol=1e-10), name
    assert found.table["patient_id"].tolist() == rows["patient_id"].tolist()
    assert found.table["martingale"].sum() == pytest.approx(0, abs=1e-9)


def test_the_ratio_without_a_patient_is_that_of_r_without_the_row():
    for i, expected in zip((4, 59, 99), R["without"], strict=True):
        fit = cox(LUNG.drop(index=i), endpoint="os", covariates=BASIC)
        assert fit.table["coef"].tolist() == pytest.approx(expected, rel=1e-7)


def test_the_most_influential_patients_are_refitted_exactly_and_the_first_order_change_is_close():
    found = influence(LUNG, endpoint="os", covariates=BASIC)
    table, most = found.table.set_index("patient_id"), found.most
    se = found.coefficients.set_index("covariate")["se"]
    largest = table.filter(like="dfbetas:").abs().max(axis=1).sort_values(ascending=False)
    assert most["patient_id"].tolist() == largest.index[:5].tolist()
    for row in most.to_dict("records"):
        without = cox(LUNG[LUNG["patient_id"] != row["patient_id"]], endpoint="os", covariates=BASIC).table
        own = without.set_index("covariate").loc[row["covariate"]]
        assert row["hr_without"] == pytest.approx(own["hr"], rel=1e-9)
        assert (row["low_without"], row["high_without"]) == pytest.approx((own["low"], own["high"]), rel=1e-8)
        change = np.log(row["hr"] / row["hr_without"]) / se[row["covariate"]]
        assert np.sign(change) == np.sign(row["dfbetas"]) and change == pytest.approx(row["dfbetas"], rel=0.2)


def test_an_outlier_comes_first():
    rows = LUNG.copy()
    rows.loc[7, ["age", "os_days", "os_event"]] = [110, 1, 1]
    most = influence(rows, endpoint="os", covariates=["age"]).most.iloc[0]
    assert most["patient_id"] == rows["patient_id"][7] and most["dfbetas"] > 0 and most["hr"] > most["hr_without"]


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (LUNG.assign(os_event=0), "not fitted: 0 events"),
        (LUNG.assign(os_event=np.r_[1, np.zeros(len(LUNG) - 1, dtype=int)]), "not fitted: 1 events"),
        (LUNG.assign(age=((LUNG["os_event"] == 0) & (LUNG["age"] > 60)).astype(int)), "no influence"),
    ],
)
def test_without_a_fit_nothing_is_claimed(rows, note):
    found = influence(rows, endpoint="os", covariates=["age"])
    assert found.table["dfbetas:age"].isna().all() and found.most.empty and note in found.notes[0]


def test_where_only_one_carrier_had_the_event_there_is_no_ratio_without_them():
    died, alive = np.flatnonzero(LUNG["os_event"] == 1), np.flatnonzero(LUNG["os_event"] == 0)
    rows = LUNG.assign(rare=np.isin(np.arange(len(LUNG)), [died[0], *alive[20:24]]).astype(int))
    most = influence(rows, endpoint="os", covariates=["rare"]).most
    assert most["patient_id"][0] == rows["patient_id"][died[0]] and np.isnan(most["hr_without"][0])


def test_patients_with_a_missing_covariate_are_counted_and_not_judged():
    rows = LUNG.assign(age=LUNG["age"].where(np.arange(len(LUNG)) > 3))
    found = influence(rows, endpoint="os", covariates=["age"])
    assert found.n_excluded == {"age missing": 4} and len(found.table) == len(LUNG) - 4
