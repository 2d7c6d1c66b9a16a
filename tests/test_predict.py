"""From logits to the waist table: calibrated, spread shown, one order."""

from __future__ import annotations

import numpy as np
import pytest

from onlm_lab import schema
from onlm_lab.learning.calibrate import Platt, sigmoid
from onlm_lab.learning.predict import assemble, risk_rows
from onlm_lab.learning.validate import FINAL, Task

IDS = ["a", "b", "c", "d"]
CALIBRATOR = Platt(intercept=-0.5, slope=0.5, n=10, n_positive=3)


def rows(logit, *, fold=1, apply=(1, 3), model="fused"):
    task = Task(model, 0, fold, np.array([0, 2]), np.array(apply))
    return risk_rows(
        np.asarray(logit, dtype=float), task=task, ids=IDS, calibrator=CALIBRATOR, threshold=0.4,
        ood=np.array([0.1, 0.9]),
    )  # fmt: skip


@pytest.fixture
def spread():
    return np.array([[k - 2.0, 3.0 + 0.1 * k] for k in range(5)])


def test_risk_is_the_calibrated_mean_logit_of_the_seeds(spread):
    table = rows(spread)
    assert table["patient_id"].tolist() == ["b", "d"]
    np.testing.assert_allclose(table["risk"], sigmoid(-0.5 + 0.5 * spread.mean(axis=0)))
    np.testing.assert_allclose(table["risk_raw"], sigmoid(spread.mean(axis=0)))
    assert table["predicted_positive"].tolist() == [0.0, 1.0]


def test_the_spread_is_the_5th_to_95th_percentile_of_the_seeds_and_holds_the_risk(spread):
    table = rows(spread)
    each = sigmoid(-0.5 + 0.5 * spread)
    np.testing.assert_allclose(table["risk_low"], np.percentile(each, 5, axis=0))
    np.testing.assert_allclose(table["risk_high"], np.percentile(each, 95, axis=0))
    lopsided = rows(np.array([[0.0, 0.0]] * 19 + [[60.0, 0.0]]))
    assert (lopsided["risk_low"] <= lopsided["risk"]).all()
    assert (lopsided["risk"] <= lopsided["risk_high"]).all()


def test_fewer_than_five_models_show_no_spread(spread):
    table = rows(spread[:4])
    assert table[["risk_low", "risk_high"]].isna().all(axis=None)
    assert table["risk"].notna().all()


def test_the_final_model_serves_the_unlabelled_and_has_no_fold(spread):
    table = rows(spread, fold=FINAL)
    assert (table["split"] == "unlabelled").all()
    assert table["fold"].isna().all()
    assert (rows(spread)["split"] == "oof").all()


def test_the_table_has_one_order_and_fits_the_schema(spread, tmp_path):
    one, two = rows(spread, model="fused"), rows(spread, model="clinical")
    table = assemble({"x": one, "y": two})
    assert table.equals(assemble({"y": two, "x": one}))
    assert table["model_id"].tolist() == ["clinical", "clinical", "fused", "fused"]
    schema.write_table(table, tmp_path / "predictions.csv")
    again = schema.read_table(tmp_path / "predictions.csv", table="predictions")
    np.testing.assert_array_equal(again["risk"], table["risk"])


def test_a_row_of_the_final_model_bears_the_split_of_its_patient(spread):
    task = Task("fused", 0, FINAL, np.array([0, 2]), np.array([1, 3]))
    table = risk_rows(
        spread, task=task, ids=IDS, calibrator=CALIBRATOR, threshold=0.4, ood=np.array([0.1, 0.9]),
        splits=["labelled", "external", "labelled", "test"],
    )  # fmt: skip
    assert table["split"].tolist() == ["external", "test"]
