"""The oracle: the only reader of truth.csv."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from onlm_lab.errors import StudyError
from onlm_lab.virtual import write_trial
from onlm_lab.virtual.oracle import oracle_aucs, oracle_predictions


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_trial(
        tmp_path_factory.mktemp("oracle") / "trial", n_patients=400, n_centres=5, seed=2, tables_only=True
    )


@pytest.fixture(scope="module")
def labels(study):
    clinical = pd.read_csv(study / "clinical.csv", dtype={"patient_id": str})
    clinical = clinical[clinical["pathological_n"].isin(["N0", "N1", "N2"])]
    return clinical["patient_id"].tolist(), (clinical["pathological_n"] != "N0").astype(int).tolist()


def test_the_oracle_aucs_equal_scikit_learn_and_the_image_adds(study, labels):
    ids, onlm = labels
    said, risks = oracle_aucs(study, ids=ids, onlm=onlm), oracle_predictions(study, ids)
    assert said["oracle_clinical"] == pytest.approx(roc_auc_score(onlm, risks["risk_clinical"]), abs=1e-12)
    assert said["oracle_full"] == pytest.approx(roc_auc_score(onlm, risks["risk_full"]), abs=1e-12)
    assert said["oracle_full"] > said["oracle_clinical"] + 0.05


def test_predictions_come_in_the_order_asked_for(study, labels):
    ids = labels[0][:20]
    forward, backward = oracle_predictions(study, ids), oracle_predictions(study, ids[::-1])
    assert backward["patient_id"].tolist() == ids[::-1]
    np.testing.assert_array_equal(forward["risk_full"], backward["risk_full"][::-1])


def test_one_class_has_no_auc(study, labels):
    assert math.isnan(oracle_aucs(study, ids=labels[0][:3], onlm=[0, 0, 0])["oracle_full"])


def test_a_patient_of_another_study_is_named(study):
    with pytest.raises(StudyError, match=r"truth.csv knows nothing of 1 of 2 patients \(such as 'P9'\)"):
        oracle_predictions(study, ["MT-0001", "P9"])


def test_a_real_study_has_no_oracle(tmp_path):
    with pytest.raises(StudyError, match=r"has no truth.csv: an oracle exists for made-up trials only"):
        oracle_predictions(tmp_path, ["a"])


def test_a_missing_label_is_refused(study, labels):
    with pytest.raises(StudyError, match="one label of 0 or 1 for each of 2 patients; 2 came, 1 of them neither"):
        oracle_aucs(study, ids=labels[0][:2], onlm=[1, float("nan")])
