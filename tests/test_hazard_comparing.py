"""Covariates alone and together against coxph and cmprsk::crr (reference/make_hazards.R)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hazard_reference import GRADE, LUNG, R
from survival_reference import COMPETING, table

from onlm_lab.analysis.hazard_comparing import univariable
from onlm_lab.errors import OnlmError

RATIO = ["hr", "low", "high", "p_value"]
MGUS = table("mgus", names=COMPETING)


def ratios(found: pd.DataFrame, kind: str) -> np.ndarray:
    return found.loc[~found["reference"], [f"{kind}_{name}" for name in RATIO]].to_numpy(float)


def test_hazard_ratios_alone_and_together_equal_those_of_r():
    found = univariable(GRADE, endpoint="os", covariates=["age", "ecog", "sex"]).table
    alone = np.vstack([R["beside"][name] for name in ("age", "ecog", "sex")])
    assert np.allclose(ratios(found, "univariable"), alone, rtol=1e-6)
    assert np.allclose(ratios(found, "multivariable"), R["beside"]["multi"], rtol=1e-6)


def test_subdistribution_hazard_ratios_alone_and_together_equal_those_of_crr():
    found = univariable(MGUS, endpoint="regional", covariates=["age", "sex", "hgb"], method="fine_gray")
    alone = np.vstack([R["beside_gray"][name] for name in ("age", "sex", "hgb")])
    assert np.allclose(ratios(found.table, "univariable"), alone, rtol=1e-4)
    assert np.allclose(ratios(found.table, "multivariable"), R["beside_gray"]["multi"], rtol=1e-4)
    assert found.n == MGUS[["age", "sex", "hgb"]].notna().all(axis=1).sum() and "cause 1" in found.method
    assert found.n_excluded["hgb missing"] == MGUS["hgb"].isna().sum()


def test_reference_levels_have_a_row_with_one_and_every_level_its_patients_and_events():
    found = univariable(GRADE, endpoint="os", covariates=["age", "ecog"]).table
    assert found["level"].tolist() == ["", "0", "1", "2"] and found["reference"].tolist() == [False, True, False, False]
    first = found.iloc[1]
    assert first["univariable_hr"] == first["multivariable_hr"] == 1 and np.isnan(first["univariable_low"])
    expected = GRADE.groupby("ecog")["os_event"].agg(["size", "sum"])
    assert found["n"].tolist() == [len(GRADE), *expected["size"]]
    assert found["n_events"].tolist() == [GRADE["os_event"].sum(), *expected["sum"]]


def test_both_models_rest_on_the_same_complete_patients():
    rows = GRADE.assign(age=GRADE["age"].where(np.arange(len(GRADE)) > 3))
    found = univariable(rows, endpoint="os", covariates=["age", "ecog"])
    assert found.n == len(GRADE) - 4 and found.n_excluded == {"age missing": 4}
    alone = univariable(rows.dropna(subset=["age"]), endpoint="os", covariates=["ecog"]).table
    assert found.table["univariable_hr"][2] == pytest.approx(alone["univariable_hr"][1], rel=1e-12)


def test_without_the_multivariable_model_its_columns_are_empty():
    found = univariable(GRADE, endpoint="os", covariates=["age", "ecog"], multivariable=False).table
    assert found["multivariable_hr"].isna().all() and found["univariable_hr"].notna().all()


def test_strata_and_clusters_reach_every_model():
    found = univariable(LUNG, endpoint="os", covariates=["age", "ecog"], strata="sex", cluster="inst")
    plain = univariable(LUNG.dropna(subset=["inst"]), endpoint="os", covariates=["age", "ecog"], strata="sex")
    assert found.table["univariable_hr"].tolist() == pytest.approx(plain.table["univariable_hr"].tolist(), rel=1e-10)
    assert (found.table["univariable_low"] - plain.table["univariable_low"]).abs().min() > 1e-4
    assert found.method == "Cox, Efron's ties, robust errors by inst, stratified by sex"


def test_a_level_that_nobody_has_is_a_row_without_a_ratio():
    rows = GRADE.assign(ecog=pd.Categorical(GRADE["ecog"], categories=["0", "1", "2", "3"]))
    last = univariable(rows, endpoint="os", covariates=["ecog"]).table.iloc[-1]
    assert last["level"] == "3" and last["n"] == 0 and np.isnan(last["univariable_hr"])


@pytest.mark.parametrize("n_events", [0, 1])
def test_no_or_one_event_gives_nan_and_a_note(n_events):
    rows = GRADE.assign(os_event=np.r_[np.ones(n_events, dtype=int), np.zeros(len(GRADE) - n_events, dtype=int)])
    found = univariable(rows, endpoint="os", covariates=["age", "sex"])
    assert np.isnan(ratios(found.table, "univariable")).all() and np.isnan(ratios(found.table, "multivariable")).all()
    assert any(note.startswith("age: no finite hazard ratio") for note in found.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "logistic"}, "method must be 'cox' or 'fine_gray', got 'logistic'"),
        ({"method": "fine_gray", "strata": "sex"}, "takes no strata and no cluster"),
        ({"covariates": ["os_days"]}, "part of the endpoint"),
    ],
)
def test_what_was_asked_wrongly_is_refused(options, message):
    with pytest.raises(OnlmError, match=message):
        univariable(GRADE, endpoint="os", **({"covariates": ["age"]} | options))
