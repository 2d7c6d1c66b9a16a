"""Performance where the label can be trusted equals R's in the same patients; who is left out is counted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import label_sensitivity, operating_point, roc
from onlm_lab.errors import OnlmError

FOLDER = Path(__file__).parent / "reference"
WANT = json.loads((FOLDER / "mechanisms.json").read_text(encoding="utf-8"))["enough_nodes"]


def asah():
    """p2 as the risk, and made-up counts of nodes, 0 to 19, as in make_mechanisms.R."""
    rows = pd.read_csv(FOLDER / "asah.csv")
    k = np.arange(1, len(rows) + 1)
    return rows.assign(patient_id=[f"P{i:03d}" for i in k], onlm=rows["y"], risk=rows["p2"],
                       nodes_examined=(k * 7) % 20, n2_stations_examined=k % 6)  # fmt: skip


def test_auc_intercept_and_o_to_e_of_the_trusted_equal_r():
    got = label_sensitivity(asah(), min_nodes=6, threshold=0.3).table.iloc[1]
    assert (got["n"], got["n_positive"]) == (WANT["n"], WANT["events"])
    assert got["auc"] == pytest.approx(WANT["auc"], abs=1e-12)
    assert (got["auc_low"], got["auc_high"]) == pytest.approx(WANT["logit_ci"], abs=1e-9)
    assert [got["intercept"], got["intercept_low"], got["intercept_high"]] == pytest.approx(WANT["intercept"], abs=1e-8)
    assert [got["oe_ratio"], got["oe_ratio_low"], got["oe_ratio_high"]] == pytest.approx(WANT["oe"], rel=1e-8)


def test_the_first_row_is_everybody_and_equals_the_primitives():
    rows = asah()
    first = label_sensitivity(rows, min_nodes=6, threshold=0.3).table.iloc[0]
    at = operating_point(rows, threshold=0.3)
    assert first["n"] == len(rows) and first["n_left_out"] == 0 and first["column"] == ""
    assert first["auc"] == pytest.approx(roc(rows).auc.value)
    assert first["sensitivity"] == at.sensitivity.value and first["specificity_high"] == at.specificity.high


def test_n0_below_the_minimum_or_of_unknown_count_are_left_out_and_counted_and_n_plus_stay():
    rows = asah()
    negatives = rows.index[rows["onlm"] == 0]
    rows["nodes_examined"] = 20
    rows.loc[negatives[:7], "nodes_examined"] = 5
    rows.loc[rows.index[rows["onlm"] == 1], "nodes_examined"] = 1
    rows["nodes_examined"] = rows["nodes_examined"].astype("Int64")
    rows.loc[negatives[7:10], "nodes_examined"] = pd.NA
    got = label_sensitivity(rows, min_nodes=[6, 5], threshold=0.3).table
    assert got["minimum"].tolist()[1:] == [5, 6]
    assert got["n_left_out"].tolist() == [0, 0, 7] and got["n_unknown"].tolist() == [0, 3, 3]
    assert got["n"].tolist() == [113, 110, 103] and got["n_positive"].nunique() == 1
    assert got["sensitivity"].nunique() == 1


def test_leaving_out_false_n0_with_high_risks_raises_the_area():
    rows = asah()
    highest = rows[rows["onlm"] == 0].nlargest(8, "risk").index
    rows["nodes_examined"] = 10
    rows.loc[highest, "nodes_examined"] = 1
    got = label_sensitivity(rows, min_nodes=6).table
    assert got["auc"][1] > got["auc"][0] and got["oe_ratio"][1] > got["oe_ratio"][0]


def test_stations_stand_beside_nodes_and_few_patients_give_no_number():
    got = label_sensitivity(asah(), min_nodes=6, min_stations=[3, 7], threshold=0.3).table
    assert got["column"].tolist() == ["", "nodes_examined", "n2_stations_examined", "n2_stations_examined"]
    none = got.iloc[3]
    assert none["n"] == none["n_positive"] == 41 and np.isnan(none["auc"]) and np.isnan(none["specificity"])
    assert none["note"] == "fewer than 10 N0" and none["sensitivity"] > 0


def test_the_notes_say_what_the_choice_of_patients_does_and_what_is_not_there():
    got = label_sensitivity(asah(), min_nodes=6)
    assert any("share of N+" in note for note in got.notes)
    assert any(note.startswith("no threshold") for note in got.notes) and got.table["sensitivity"].isna().all()


def test_a_minimum_has_no_default_and_must_be_a_whole_number():
    with pytest.raises(OnlmError, match="no minimum was named"):
        label_sensitivity(asah())
    with pytest.raises(OnlmError, match=r"min_nodes must be whole numbers from 1 on, got 0\.5"):
        label_sensitivity(asah(), min_nodes=[0.5])
    with pytest.raises(OnlmError, match="column 'nodes_examined'"):
        label_sensitivity(asah().drop(columns="nodes_examined"), min_nodes=6)
