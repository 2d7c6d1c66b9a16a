"""Overlap weights against R's glm; tests/reference/make_decisions.R makes the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from decisions_reference import IN_R, pbc

from onlm_lab.analysis import landmark, overlap_weights
from onlm_lab.analysis.effect_modification import OBSERVATIONAL
from onlm_lab.errors import OnlmError

PBC = pbc()
ARMS = {"trial": ("trt", ["age", "bili", "protime", "stage", "sex"]),
        "skewed": ("skewed", ["age", "protime", "stage", "sex"])}  # fmt: skip


@pytest.mark.parametrize("case", ["trial", "skewed"])
def test_propensity_weights_effective_numbers_and_concordance_equal_those_of_r(case):
    treatment, covariates = ARMS[case]
    found, r = overlap_weights(PBC, treatment=treatment, covariates=covariates), IN_R[case]
    assert found.weights["propensity"].to_numpy() == pytest.approx(np.array(r["propensity"]), rel=1e-9)
    assert found.c_statistic == pytest.approx(r["c"], rel=1e-9)
    assert found.effective_n["effective_n"].tolist() == pytest.approx(r["effective_n"], rel=1e-9)
    age = found.table.set_index("covariate").loc["age"]
    assert [age["first_after"], age["second_after"]] == pytest.approx(r["mean_age"], rel=1e-9)
    assert age["smd_before"] == pytest.approx(r["smd_age"], rel=1e-9)


def test_after_weighting_every_mean_and_share_is_exactly_equal():
    found = overlap_weights(PBC, treatment="skewed", covariates=ARMS["skewed"][1])
    table = found.table
    assert table["first_after"].to_numpy() == pytest.approx(table["second_after"].to_numpy(), abs=1e-10)
    assert table["smd_after"].abs().max() < 1e-10 and table["smd_before"].abs().max() > 0.5
    assert table.loc[table["covariate"] == "stage", "level"].tolist() == ["1", "2", "3", "4"]
    assert table.loc[table["covariate"] == "stage", "first_before"].sum() == pytest.approx(1)
    assert (found.effective_n["effective_n"] < found.effective_n["n"]).all()
    assert found.notes[0] == OBSERVATIONAL


def test_swapped_arms_turn_the_differences_and_the_weights_around():
    there = overlap_weights(PBC, treatment="skewed", covariates=["age", "protime"])
    turned = PBC.assign(skewed=PBC["skewed"].map({"yes": "a", "no": "b"}))
    back = overlap_weights(turned, treatment="skewed", covariates=["age", "protime"])
    assert there.table["smd_before"].tolist() == pytest.approx((-back.table["smd_before"]).tolist())
    assert there.weights["weight"].to_numpy() == pytest.approx(back.weights["weight"].to_numpy(), rel=1e-9)
    assert there.arms == ("no", "yes") and back.arms == ("a", "b")


def test_patients_with_a_missing_covariate_are_left_out_and_counted():
    rows = PBC.assign(age=PBC["age"].where(PBC.index % 10 > 0), sex=PBC["sex"].where(PBC.index > 2))
    found = overlap_weights(rows, treatment="trt", covariates=["age", "sex"])
    assert found.n_excluded == {"age missing": int((PBC.index % 10 == 0).sum()), "sex missing": 2}
    assert found.n == len(PBC) - sum(found.n_excluded.values()) == len(found.weights)


def test_patients_almost_certain_of_their_treatment_and_few_patients_are_told():
    rng = np.random.default_rng(3)
    age = rng.normal(70, 8, 300)
    arm = np.where(age + rng.normal(0, 2, 300) > 70, "sbrt", "lobectomy")
    rows = pd.DataFrame({"patient_id": np.arange(300), "age_years": age, "treatment": arm})
    notes = " ".join(overlap_weights(rows, treatment="treatment", covariates=["age_years"]).notes)
    assert "almost certain of their treatment" in notes and "effective number of patients after weighting" in notes
    few = overlap_weights(PBC.head(25), treatment="trt", covariates=["age"])
    assert any("few patients" in note for note in few.notes)


def test_covariates_that_tell_the_treatments_apart_give_no_weights_but_a_note():
    rows = PBC.assign(apart=(PBC["age"] > 50).map({True: "old", False: "young"}))
    found = overlap_weights(rows, treatment="apart", covariates=["age"])
    assert found.weights["weight"].isna().all() and np.isnan(found.c_statistic)
    assert "tell the treatments apart completely" in found.notes[1]
    assert found.table["smd_before"].abs().iloc[0] > 1 and np.isnan(found.table["smd_after"].iloc[0])


def test_what_is_known_only_after_the_treatment_is_told_and_an_outcome_is_refused():
    rng = np.random.default_rng(1)
    rows = PBC.assign(nodes_examined=rng.integers(1, 20, len(PBC)), recurred=rng.integers(0, 2, len(PBC)))
    found = overlap_weights(rows, treatment="trt", covariates=["nodes_examined"])
    assert any("nodes_examined: known only after the treatment" in note for note in found.notes)
    with pytest.raises(OnlmError, match="'recurred' is an outcome"):
        overlap_weights(rows, treatment="trt", covariates=["recurred"])


def test_a_treatment_that_starts_later_needs_a_landmark():
    rng = np.random.default_rng(1)
    given = rng.integers(0, 2, len(PBC))
    rows = PBC.assign(adjuvant=given, adjuvant_start_days=np.where(given == 1, 60.0, np.nan))
    with pytest.raises(OnlmError, match=r"immortal time.*landmark\(rows, day=180, exposure='adjuvant'"):
        overlap_weights(rows, treatment="adjuvant", covariates=["age"])
    with pytest.raises(OnlmError, match="immortal time"):
        overlap_weights(rows.rename(columns={"adjuvant": "drug", "adjuvant_start_days": "drug_start_days"}),
                        treatment="drug", covariates=["age"])  # fmt: skip
    found = overlap_weights(landmark(rows, day=90, endpoints=["os"]).rows, treatment="adjuvant", covariates=["age"])
    assert found.arms == ("no adjuvant", "adjuvant")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"treatment": "stage"}, "the treatment 'stage' needs two levels, it has 4: 1, 2, 3, 4"),
        ({"covariates": []}, "covariates must name at least one column"),
        ({"covariates": "age"}, "covariates must be a list of columns"),
        ({"covariates": ["age", "age"]}, "covariates name a column twice: age, age"),
        ({"covariates": ["age", "edna"]}, "'edna'"),
        ({"covariates": ["age", "same"]}, "covariate 'same' is constant"),
    ],
)
def test_what_cannot_be_balanced_is_refused_in_one_sentence(options, message):
    with pytest.raises(OnlmError, match=message):
        overlap_weights(PBC.assign(same=1.0), **{"treatment": "trt", "covariates": ["age"], **options})
