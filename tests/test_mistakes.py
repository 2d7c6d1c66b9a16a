"""The confident mistakes are ranked, bear their facts, and differ from the others by what R says."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.analysis import confident_mistakes
from onlm_lab.cohort.summary import standardised_difference
from onlm_lab.errors import OnlmError

FOLDER = Path(__file__).parent / "reference"
WANT = json.loads((FOLDER / "mechanisms.json").read_text(encoding="utf-8"))["mistakes"]


def asah():
    rows = pd.read_csv(FOLDER / "asah.csv")
    return rows.assign(patient_id=[f"P{i:03d}" for i in range(len(rows))], onlm=rows["y"], risk=rows["p2"],
                       age_years=rows["age"], female=(rows["gender"] == "Female").astype(float))  # fmt: skip


def line(got, column, level="", kind="missed N+ against found N+"):
    return got.compared.query("comparison == @kind and column == @column and level == @level").iloc[0]


def test_differences_of_missed_and_found_equal_r():
    got = confident_mistakes(asah(), threshold=0.3, facts=["age_years", "female", "gender"])
    for row, want in ((line(got, "age_years"), WANT["age"]), (line(got, "female", "1"), WANT["female"]),
                      (line(got, "gender", "Female"), WANT["female"])):  # fmt: skip
        assert [row["smd"], row["low"], row["high"]] == pytest.approx(want, abs=1e-10)
    male = line(got, "gender", "Male")
    assert male["smd"] == pytest.approx(-WANT["female"][0], abs=1e-10)


def test_the_size_of_a_difference_is_that_of_table_one():
    rows = asah()
    got = confident_mistakes(rows, threshold=0.3, facts=["age_years", "gender"])
    missed, found = (rows[(rows["onlm"] == 1) & inside] for inside in (rows["risk"] < 0.3, rows["risk"] >= 0.3))
    for column, level in (("age_years", ""), ("gender", "Male")):
        want = standardised_difference(missed[column], found[column], numeric=column == "age_years")
        assert abs(line(got, column, level)["smd"]) == pytest.approx(want, rel=1e-10)


def test_the_lowest_risks_of_the_missed_and_the_highest_of_the_false_alarms_come_first():
    rows = asah()
    got = confident_mistakes(rows, n=3, threshold=0.3)
    missed = rows[(rows["onlm"] == 1) & (rows["risk"] < 0.3)].sort_values("risk")["patient_id"].tolist()[:3]
    alarms = rows[(rows["onlm"] == 0) & (rows["risk"] >= 0.3)].sort_values("risk")["patient_id"].tolist()[:-4:-1]
    assert got.table["patient_id"].tolist() == [*missed, *alarms]
    assert got.table["rank"].tolist() == [1, 2, 3] * 2
    assert got.table["kind"].tolist() == ["missed N+"] * 3 + ["false alarm"] * 3
    assert got.n_missed + got.n_found == got.n_events and got.n_false_alarms + got.n_spared == got.n - got.n_events


def test_ties_are_ranked_by_patient_whatever_the_order_of_the_rows():
    rows = asah().assign(risk=lambda d: d["risk"].round(1))
    one, other = (confident_mistakes(r, threshold=0.4).table for r in (rows, rows.sample(frac=1, random_state=2)))
    pd.testing.assert_frame_equal(one, other)


def test_spread_unlikeness_centre_and_known_facts_stand_beside_where_they_are_there():
    rows = asah().assign(centre="A", risk_low=0.1, risk_high=0.6, ood_score=1.5, cea_ng_ml=np.nan, sex=asah()["gender"],
                         threshold=0.25, predicted_positive=lambda d: (d["risk"] >= 0.25).astype(float))  # fmt: skip
    got = confident_mistakes(rows)
    assert got.table.columns.tolist() == ["kind", "rank", "patient_id", "risk", "threshold", "centre", "risk_low",
                                          "risk_high", "ood_score", "age_years", "sex"]  # fmt: skip
    assert got.facts == ("age_years", "sex") and (got.table["threshold"] == 0.25).all()


def test_young_patients_who_are_missed_are_seen():
    rng = np.random.default_rng(5)
    age = rng.normal(65, 8, 500)
    rows = pd.DataFrame({"patient_id": range(500), "age_years": age, "onlm": rng.integers(0, 2, 500),
                         "risk": 1 / (1 + np.exp(-(age - 65) / 8))})  # fmt: skip
    got = confident_mistakes(rows, threshold=0.5)
    assert line(got, "age_years")["high"] < -1
    assert line(got, "age_years", kind="false alarms against spared N0")["low"] > 1


def test_nobody_missed_few_values_and_no_spread_are_said():
    got = confident_mistakes(asah().assign(same=1.0), threshold=0.0, facts=["age_years", "same"])
    assert got.n_missed == 0 and set(got.table["kind"]) == {"false alarm"}
    row = line(got, "age_years")
    assert np.isnan(row["smd"]) and row["note"] == "fewer than 5 known values in a group"
    got = confident_mistakes(asah().assign(same=1.0), threshold=0.3, facts=["same"])
    assert line(got, "same", "1")["smd"] == 0 and line(got, "same", "1")["note"] == "the same in everybody"
    assert confident_mistakes(asah(), threshold=0.0, facts=[]).compared.empty


def test_no_patient_is_named_outside_the_table():
    got = confident_mistakes(asah(), threshold=0.3)
    assert not any("P0" in note for note in (*got.notes, *got.compared["note"]))


def test_bad_arguments_are_told():
    with pytest.raises(OnlmError, match="n must be at least 1, got 0"):
        confident_mistakes(asah(), n=0, threshold=0.3)
    with pytest.raises(OnlmError, match=r"'age_year' \(nearest present: 'age_years'\)"):
        confident_mistakes(asah(), threshold=0.3, facts=["age_year"])
    with pytest.raises(OnlmError, match="predicted_positive"):
        confident_mistakes(asah())
