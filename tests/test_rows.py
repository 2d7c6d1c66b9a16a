"""The door: one row a patient, one model, a known label; everything else is said, counted or refused."""

import math

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import roc
from onlm_lab.analysis.rows import labelled, one_row_a_patient, paired
from onlm_lab.errors import OnlmError


def table(**change):
    rows = pd.DataFrame(
        {"patient_id": ["P1", "P2", "P3", "P4"], "onlm": [0.0, 1.0, math.nan, 1.0], "risk": [0.1, 0.8, 0.5, 0.4]}
    )
    return rows.assign(**change)


def test_patients_without_label_are_left_out_and_counted_with_their_reason():
    given = labelled(table(onlm_missing_reason=[None, None, "no node examined", None]))
    assert given.n == 3 and given.n_events == 2
    assert given.n_excluded == {"no node examined": 1}
    assert labelled(table()).n_excluded == {"label missing": 1}
    assert list(given.frame["patient_id"]) == ["P1", "P2", "P4"]


def test_several_models_are_named_and_the_way_out_is_given():
    rows = pd.concat([table(model_id="clinical"), table(model_id="fused")])
    with pytest.raises(OnlmError, match=r"2 models \(clinical, fused\): pass model='clinical'"):
        labelled(rows)
    assert labelled(rows, model="fused").model_id == "fused"
    with pytest.raises(OnlmError, match=r"'fusd' not found.*Did you mean 'fused'"):
        labelled(rows, model="fusd")


def test_more_than_one_row_a_patient_is_refused_with_splits_and_repeats_named():
    rows = pd.concat([table(split="oof", repeat=0.0), table(split="oof", repeat=1.0)])
    with pytest.raises(OnlmError, match=r"4 patients have more than one row \(P1, P2, P3, P4\).*repeat 0.0, 1.0.*keep"):
        labelled(rows)
    with pytest.raises(OnlmError, match=r"split oof, test: keep one, such as rows\[rows\['split'\] == 'oof'\]"):
        labelled(pd.concat([table(split="oof"), table(split="test")]))
    with pytest.raises(OnlmError, match="Keep one row a patient"):
        one_row_a_patient(pd.concat([table(), table()]))


def test_a_missing_column_is_named_with_the_nearest_present():
    with pytest.raises(OnlmError, match=r"column 'risk' \(nearest present: 'risks'\) not found"):
        labelled(table().rename(columns={"risk": "risks"}))
    with pytest.raises(OnlmError, match="must be a pandas DataFrame"):
        labelled([1, 2])
    with pytest.raises(OnlmError, match="no rows"):
        labelled(table().iloc[:0])


def test_a_label_of_two_is_refused_with_count_and_patient():
    with pytest.raises(OnlmError, match=r"onlm must be 1, 0 or missing, got 2.0 for 1 of 4 patients \(P1\)"):
        labelled(table(onlm=[2.0, 1, 0, 1]))
    with pytest.raises(OnlmError, match="got yes for 1 of 4"):
        labelled(table(onlm=["0", "1", "yes", None]))


def test_a_risk_outside_zero_and_one_or_missing_is_refused_with_count():
    with pytest.raises(OnlmError, match=r"not percent or a logit\); 2 of 3 .* outside, from -1 to 80"):
        labelled(table(risk=[-1.0, 80.0, 0.5, 0.4]))
    with pytest.raises(OnlmError, match=r"missing or no number for 1 of 3 labelled patients \(P2\)"):
        labelled(table(risk=[0.1, math.nan, 0.5, 0.4]))
    assert labelled(table(risk=[0.1, 0.8, math.nan, 0.4])).n == 3  # a patient without label needs no risk


def test_no_label_at_all_is_one_sentence_with_the_reasons():
    with pytest.raises(OnlmError, match=r"none of the 4 patients has a known onlm \(4 label missing\)"):
        roc(table(onlm=math.nan))


def test_a_missing_patient_id_is_refused():
    with pytest.raises(OnlmError, match="patient_id is missing in 1 of 4 rows"):
        labelled(table(patient_id=["P1", None, "P3", "P4"]))


def test_nullable_booleans_and_integers_are_labels_too():
    assert labelled(table(onlm=pd.array([False, True, None, True], dtype="boolean"))).n_events == 2
    assert labelled(table(onlm=pd.array([0, 1, None, 1], dtype="Int64"))).n == 3


def test_pairs_keep_common_patients_in_one_order_and_count_the_rest():
    a, b = table(model_id="a"), table(model_id="b").iloc[::-1].iloc[1:]
    (one, two), n_excluded = paired(pd.concat([a, b]), models=["a", "b"])
    assert list(one.frame["patient_id"]) == list(two.frame["patient_id"]) == ["P1", "P2"]
    assert n_excluded == {"label missing": 1, "no risk from every model": 1}


def test_a_label_that_differs_between_models_is_refused():
    b = table(model_id="b", onlm=[1.0, 1.0, math.nan, 1.0])
    with pytest.raises(OnlmError, match=r"onlm differs between a and b for 1 of 3 patients \(P1\)"):
        paired(pd.concat([table(model_id="a"), b]), models=["a", "b"])


def test_different_splits_together_are_noted_and_arguments_are_not_changed():
    rows = table(split=["oof", "external", "oof", "oof"])
    before = rows.copy(deep=True)
    assert labelled(rows).notes == ("patients of different splits together: oof 2, external 1",)
    pd.testing.assert_frame_equal(rows, before)
    assert isinstance(labelled(rows).onlm, np.ndarray)


def test_rows_without_a_model_among_named_ones_are_refused_and_not_dropped():
    with pytest.raises(OnlmError, match=r"model_id is missing in 1 of 4 rows. Name the model in each row, or drop"):
        roc(table(model_id=["a", "a", None, "a"]))


def test_a_column_that_is_there_twice_is_refused():
    with pytest.raises(OnlmError, match=r"column 'risk' is there 2 times\. Keep one of them"):
        roc(pd.concat([table(), table()[["risk"]]], axis=1))


def test_a_blank_label_is_named_in_the_refusal():
    with pytest.raises(OnlmError, match="got an empty text for 1 of 4"):
        labelled(table(onlm=["0", "1", "", None]))
