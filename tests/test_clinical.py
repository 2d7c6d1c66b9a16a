"""The clinical encoder: fitted on training rows only, honest about what is missing."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from onlm_lab.errors import OnlmError
from onlm_lab.learning.clinical import ClinicalEncoder, check_predictors

PREDICTORS = ("age_years", "cea_ng_ml", "sex", "central_location")


@pytest.fixture
def patients():
    return pd.DataFrame({
        "patient_id": list("abcdef"),
        "age_years": [50.0, 60.0, 70.0, 80.0, np.nan, 40.0],
        "cea_ng_ml": [0.5, 1.5, 3.5, np.nan, 7.5, 1.5],
        "sex": ["female", "male", "male", None, "female", "male"],
        "central_location": [0.0, 1.0, 0.0, 0.0, 1.0, np.nan],
    })  # fmt: skip


def test_numbers_are_scaled_by_the_training_rows(patients):
    encoder = ClinicalEncoder.fit(patients, predictors=("age_years",))
    values, missing = encoder.transform(patients)
    age = patients["age_years"].to_numpy()
    expected = (age - np.nanmean(age)) / np.nanstd(age)
    np.testing.assert_allclose(values[:, 0], np.nan_to_num(expected), rtol=1e-6)
    np.testing.assert_array_equal(missing[:, 0], [0, 0, 0, 0, 1, 0])


def test_a_doubling_of_a_tumour_marker_is_the_same_step_wherever_it_starts(patients):
    encoder = ClinicalEncoder.fit(patients, predictors=("cea_ng_ml",))
    values, _ = encoder.transform(patients)
    # 0.5, 1.5, 3.5, 7.5 with the offset 0.5 are 1, 2, 4, 8
    np.testing.assert_allclose(np.diff(values[[0, 1, 2, 4], 0]), np.diff(values[[0, 1], 0])[0], rtol=1e-5)


def test_a_missing_cell_is_the_training_mean_and_says_so(patients):
    encoder = ClinicalEncoder.fit(patients, predictors=PREDICTORS)
    values, missing = encoder.transform(patients)
    assert (values[missing == 1] == 0).all()
    assert missing.sum() == 4
    known = np.where(missing == 1, np.nan, values)
    np.testing.assert_allclose(np.nanmean(known, axis=0), 0, atol=1e-6)


def test_what_training_rows_taught_does_not_change_with_the_test_rows(patients):
    learn, test = patients.iloc[:4], patients.iloc[4:]
    encoder = ClinicalEncoder.fit(learn, predictors=PREDICTORS)
    moved = pd.concat([learn, test.assign(age_years=999.0, cea_ng_ml=9e4, sex="male")])
    again = ClinicalEncoder.fit(moved.iloc[:4], predictors=PREDICTORS)
    assert encoder == again
    assert encoder != ClinicalEncoder.fit(moved, predictors=PREDICTORS), "the planted leak must be seen"


def test_one_patient_alone_is_encoded_as_among_others(patients):
    encoder = ClinicalEncoder.fit(patients, predictors=PREDICTORS)
    together, _ = encoder.transform(patients)
    alone, _ = encoder.transform(patients.iloc[[2]])
    np.testing.assert_array_equal(alone[0], together[2])


def test_the_commonest_level_is_the_reference(patients):
    assert ClinicalEncoder.fit(patients, predictors=("sex",)).names == ["sex=female"]


def test_a_number_that_never_varies_is_left_out(patients):
    assert "age_years" not in ClinicalEncoder.fit(patients.assign(age_years=60.0), predictors=PREDICTORS).names
    with pytest.raises(OnlmError, match="None of the 1 predictors varies in the 6 training rows"):
        ClinicalEncoder.fit(patients.assign(age_years=60.0), predictors=("age_years",))


def test_refitting_keeps_the_inputs_and_takes_the_means_of_the_rows_given(patients):
    encoder = ClinicalEncoder.fit(patients, predictors=PREDICTORS)
    again = encoder.refit(patients.iloc[:3])
    assert again.names == encoder.names
    assert again.inputs[0].mean == 60.0
    assert encoder.refit(patients) == encoder


def test_the_encoder_survives_json(patients):
    import json

    encoder = ClinicalEncoder.fit(patients, predictors=PREDICTORS)
    assert ClinicalEncoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder


def test_a_column_that_is_not_there_is_named_with_the_nearest(patients):
    with pytest.raises(OnlmError, match=r"no column 'age_year' \(did you mean 'age_years'\?\)"):
        check_predictors(patients, predictors=("age_year",))
    encoder = ClinicalEncoder.fit(patients, predictors=PREDICTORS)
    with pytest.raises(OnlmError, match="needs the column sex"):
        encoder.transform(patients.drop(columns="sex"))


@pytest.mark.parametrize("name", ["pathological_n", "nodes_examined", "treatment", "centre", "onlm", "died", "lvi"])
def test_what_is_not_known_before_treatment_cannot_predict(patients, name):
    table = patients.assign(**{name: 1.0})
    with pytest.raises(OnlmError, match=f"{name} cannot predict"):
        check_predictors(table, predictors=("age_years", name), post_treatment=("lvi",))
    check_predictors(table, predictors=("age_years",), post_treatment=("lvi",))


def test_histology_from_the_resection_predicts_only_in_a_surrogate_study(patients):
    table = patients.assign(histology="squamous", histology_source=["biopsy"] * 4 + ["resection"] * 2)
    with pytest.raises(OnlmError, match="no biopsy in 2 of 6 patients"):
        check_predictors(table, predictors=("histology",))
    check_predictors(table, predictors=("histology",), surrogate=True)


def test_a_level_that_no_training_row_had_is_unknown_and_not_the_commonest(patients):
    encoder = ClinicalEncoder.fit(patients, predictors=("sex",))
    stranger = pd.DataFrame({"sex": ["other", None, "male"]})
    values, missing = encoder.transform(stranger)
    np.testing.assert_array_equal(missing[:, 0], [1, 1, 0])
    np.testing.assert_array_equal(values[:2, 0], [0, 0])
    assert values[2, 0] != 0
    again = ClinicalEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again == encoder


def test_a_number_that_is_the_same_in_all_rows_of_an_inner_fold_does_not_explode():
    """The mean of equal numbers is off by rounding, and their spread is then a tiny number instead of 0."""
    patients = pd.DataFrame({"suv": [0.1] * 7 + [0.2]})
    assert patients["suv"].iloc[:7].std(ddof=0) > 0
    encoder = ClinicalEncoder.fit(patients, predictors=("suv",)).refit(patients.iloc[:7])
    values, _ = encoder.transform(patients)
    np.testing.assert_allclose(values[:, 0], [0] * 7 + [0.1], atol=1e-6)
