"""An AUC that is too good says what to check, and names the column that gives the label away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from onlm_lab.analysis import suspicion
from onlm_lab.analysis.leakage import CHECKS, strong_alone
from onlm_lab.results import Estimate


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    onlm = (rng.random(300) < 0.2).astype(float)
    return pd.DataFrame({
        "patient_id": [f"P{i}" for i in range(300)], "centre": rng.choice(["A", "B", "C"], 300), "onlm": onlm,
        "age_years": rng.normal(65, 9, 300) - 4 * onlm, "sex": rng.choice(["female", "male"], 300),
        "solid_diameter_mm": rng.normal(18, 6, 300) + 6 * onlm,
    })  # fmt: skip


PREDICTORS = ("age_years", "sex", "solid_diameter_mm")


def test_an_ordinary_auc_is_no_reason_for_suspicion(rows):
    for auc in (0.5, 0.84, 0.95, float("nan"), Estimate(0.94, 0.9, 0.98)):
        assert suspicion(auc, model_id="fused", predictors=PREDICTORS, rows=rows) is None


def test_above_the_limit_every_leak_to_look_for_is_named(rows):
    said = suspicion(Estimate(0.962, 0.94, 0.98), model_id="fused")
    assert said.startswith("fused: an AUC of 0.962 is above 0.95")
    for check in CHECKS:
        assert check in said
    for word in ("before treatment", "CT", "twice", "calibration", "centres", "outcome"):
        assert word in said
    with_rows = suspicion(0.962, model_id="fused", predictors=PREDICTORS, rows=rows)
    assert "No single column tells N+ from N0 by itself" in with_rows


def test_a_column_that_holds_the_label_is_named_first(rows):
    rng = np.random.default_rng(1)
    leaky = rows.assign(
        marker=rows["onlm"] * 3 + rng.normal(0, 0.3, 300), marker_b=rows["onlm"] + rng.normal(0, 0.45, 300)
    )
    found = strong_alone(leaky, columns=[*PREDICTORS, "marker_b", "marker"])
    assert found["column"].tolist() == ["marker", "marker_b"]
    assert found["auc"].tolist() == pytest.approx(
        [roc_auc_score(leaky["onlm"], leaky[c]) for c in found["column"]], abs=1e-12
    )
    said = suspicion(0.99, model_id="fused", predictors=[*PREDICTORS, "marker"], rows=leaky)
    assert "Start here" in said and "marker (its value: AUC 1.000)" in said and "age_years" not in said


def test_a_column_upside_down_as_words_or_by_its_blanks_gives_itself_away(rows):
    hidden = rows.assign(
        turned=-rows["onlm"], words=np.where(rows["onlm"] == 1, "ward 3", np.where(rows.index % 2, "ward 1", "ward 2")),
        blanks=pd.Series(np.where(rows["onlm"] == 1, 5.0, np.nan)), named=[f"only {i}" for i in range(300)],
        constant="same",
    )  # fmt: skip
    found = strong_alone(hidden, columns=["turned", "words", "blanks", "named", "constant"]).set_index("column")["how"]
    assert found.to_dict() == {
        "turned": "its value", "words": "'ward 3' or not", "blanks": "whether it is missing",
    }  # fmt: skip


def test_n_positive_from_one_centre_is_seen_although_the_centre_is_no_predictor(rows):
    confounded = rows.assign(centre=np.where(rows["onlm"] == 1, "Far", rows["centre"]))
    said = suspicion(0.97, model_id="image", predictors=PREDICTORS, rows=confounded)
    assert "centre ('Far' or not: AUC 1.000)" in said


def test_patients_without_label_and_absent_columns_do_no_harm(rows):
    more = pd.concat([rows.assign(leak=rows["onlm"]), rows.assign(onlm=np.nan, leak=7.0).add_prefix("")])
    more["patient_id"] = [f"Q{i}" for i in range(600)]
    found = strong_alone(more, columns=["leak", "absent"])
    assert found["column"].tolist() == ["leak"] and found["auc"].tolist() == [1.0]
