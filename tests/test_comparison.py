"""What changed between two versions of the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort import build_cohort
from onlm_lab.errors import OnlmError
from onlm_lab.schema import Column
from onlm_lab.study import Protocol

NOTE = Column("remark", "clinical", "text", timing="pre_treatment", description="free text")
GRADE = Column("score", "clinical", "number", timing="pre_treatment")


def _clinical() -> pd.DataFrame:
    ids = [f"P{i}" for i in range(8)]
    return pd.DataFrame(
        {"patient_id": ids, "centre": list("AAABBBBC"), "age_years": np.arange(60.0, 68), "kps": 90.0,
         "sex": ["male", "female"] * 4, "treatment": "lobectomy", "clinical_n": "N0", "clinical_m": "M0",
         "neoadjuvant": 0.0, "pathological_n": ["N0", "N1"] * 4, "nodes_examined": 10.0,
         "remark": [f"Mr {chr(65 + i)} phoned on 2020-01-0{i + 1}" for i in range(8)], "cea_ng_ml": np.nan}
    )  # fmt: skip


def _followup() -> pd.DataFrame:
    return pd.DataFrame({"patient_id": [f"P{i}" for i in range(8)], "followup_days": np.arange(100.0, 108), "died": 0.0,
                         "recurred": 0.0})  # fmt: skip


def _cohort(clinical: pd.DataFrame, followup: pd.DataFrame | None = None, extra=(NOTE,), **more):
    return build_cohort(clinical, followup=_followup() if followup is None else followup, source="x.csv",
                        extra_columns=extra, **more)  # fmt: skip


@pytest.fixture
def changed():
    """Every kind of change, once or twice, planted."""
    clinical, followup = _clinical(), _followup()
    clinical.loc[0, "age_years"] = 61.5  # altered
    clinical.loc[1, "sex"] = None  # emptied
    clinical.loc[2, "pathological_n"] = "NX"  # label lost
    clinical.loc[3, "remark"] = "Mrs D phoned on 2020-02-02"  # free text
    clinical["cea_ng_ml"] = 3.0  # a column that was empty
    clinical.loc[5, "patient_id"] = "P5-new"  # renamed
    clinical = clinical[clinical["patient_id"] != "P7"]  # removed
    clinical = pd.concat([clinical, clinical.iloc[[0]].assign(patient_id="P9", age_years=33.0)])
    followup.loc[4, ["died", "followup_days"]] = [1.0, 99.0]
    followup.loc[5, "patient_id"] = "P5-new"
    return _cohort(clinical, followup[followup["patient_id"] != "P7"])


def test_each_planted_change_is_found_and_nothing_else(changed):
    found = _cohort(_clinical()).compare(changed)
    rows = found.changes.set_index("change")
    cells = rows.loc[["cell"], ["patient_id", "centre", "column", "before", "after"]].to_numpy().tolist()
    assert sorted(cells) == [
        ["P0", "A", "age_years", "60", "61.5"], ["P1", "A", "sex", "female", ""],
        ["P2", "A", "pathological_n", "N0", "NX"], ["P3", "B", "remark", "(a text)", "(a text)"],
        ["P4", "B", "died", "0", "1"], ["P4", "B", "followup_days", "104", "99"],
    ]  # fmt: skip
    assert rows.loc["patient added", "patient_id"] == "P9" and rows.loc["patient removed", "patient_id"] == "P7"
    assert rows.loc["patient renamed", ["before", "after"]].tolist() == ["P5", "P5-new"]
    assert rows.loc["column added", "column"] == "cea_ng_ml"
    assert found.labels.to_numpy().tolist()[0][0] == "P2" and found.labels["reason_after"][0] == "pathological N is NX"
    os = found.endpoints.set_index("endpoint").loc["os"]
    assert os.tolist() == [1, 0, 1]
    assert rows.loc[["endpoint"]].set_index("column").loc["os", ["before", "after"]].tolist() == [
        "censored at 104 days", "event at 99 days"
    ]  # fmt: skip
    assert (found.n_before, found.n_after, found.same) == (8, 8, False)
    assert found.sentence == (
        "8 patients became 8; 1 added; 1 removed; 1 renamed; 6 cells of 5 patients changed; 1 label changed; "
        f"{found.n_changes['endpoint']} endpoints changed; 1 column added."
    )


def test_counts_by_column_and_centre(changed):
    found = _cohort(_clinical()).compare(changed)
    by_column = found.by_column.set_index("column")
    assert by_column.loc["cea_ng_ml"].tolist() == [6, 6, 0, 0]  # counted, though not listed cell by cell
    assert by_column.loc["sex"].tolist() == [1, 0, 1, 0] and by_column.loc["age_years"].tolist() == [1, 0, 0, 1]
    by_centre = found.by_centre.set_index("centre")
    assert by_centre.loc["A"].tolist() == [3, 4, 1, 0, 3, 3] and by_centre.loc["C"].tolist() == [1, 0, 0, 1, 0, 0]


def test_the_other_way_round_is_the_mirror_image(changed):
    there, back = _cohort(_clinical()).compare(changed), changed.compare(_cohort(_clinical()))
    mirror = {"patient added": "patient removed", "column added": "column removed"}
    mirror |= {v: k for k, v in mirror.items()}
    assert {mirror.get(k, k): n for k, n in there.n_changes.items()} == back.n_changes
    a = there.changes.query("change == 'cell'").set_index(["patient_id", "column"])[["before", "after"]]
    b = back.changes.query("change == 'cell'").set_index(["patient_id", "column"])[["after", "before"]]
    assert a.sort_index().to_numpy().tolist() == b.sort_index().to_numpy().tolist()


def test_no_free_text_and_no_date_is_shown_anywhere(changed):
    found = _cohort(_clinical()).compare(changed)
    shown = found._repr_html_() + found.changes.to_csv() + str(found.to_dict())
    assert "phoned" not in shown and "2020" not in shown


def test_equal_tables_are_the_same_and_row_order_alone_is_told():
    a, b = _cohort(_clinical()), _cohort(_clinical())
    assert a.compare(b).same and a.compare(b).sentence == "Nothing changed in 8 patients."
    assert a.compare(b).by_centre["n_before"].sum() == 8 and a.compare(b).endpoints["n_changed"].sum() == 0
    turned = a.compare(_cohort(_clinical().iloc[::-1]))
    assert turned.n_changes == {} and not turned.same and "another order" in turned.notes[0]


def test_eligibility_is_compared_where_a_protocol_is_given(changed):
    clinical = _clinical()
    worse = clinical.assign(age_years=clinical["age_years"].where(clinical["patient_id"] != "P3", 12.0))
    protocol = Protocol(rules=("adult",))
    found = _cohort(clinical).compare(_cohort(worse), protocol=protocol)
    assert found.status.to_numpy().tolist() == [["P3", "eligible", "excluded", None, "adult"]]
    assert found.n_changes["eligibility"] == 1 and "1 eligibility decision changed" in found.sentence
    assert len(_cohort(clinical).compare(_cohort(worse)).status) == 0


def test_settings_that_changed_are_told():
    was = _cohort(_clinical().assign(score=1.0), extra=(NOTE, GRADE))
    now = _cohort(_clinical().assign(score=1.0), surrogate=True,
                  extra=(NOTE, Column("score", "clinical", "number", timing="post_treatment")))  # fmt: skip
    found = was.compare(now)
    assert found.notes[0] == "The label is now a surrogate (pathological N alone)."
    assert "timing of 'score' was pre_treatment and is post_treatment" in found.notes[1]
    without = was.compare(_cohort(_clinical()))
    assert without.changes.query("change == 'column removed'")["column"].tolist() == ["score"]


def test_empty_versions_and_repeated_ids():
    empty = _cohort(_clinical().iloc[:0])
    assert _cohort(_clinical()).compare(empty).n_changes == {"patient removed": 8}
    assert empty.compare(_cohort(_clinical())).n_changes == {"patient added": 8}
    assert empty.compare(empty).same
    cohort = _cohort(_clinical())
    object.__setattr__(cohort, "patients", pd.concat([cohort.patients] * 2))
    with pytest.raises(OnlmError, match="8 of 16 rows repeat a patient_id"):
        cohort.compare(empty)


def test_renames_are_told_only_where_one_patient_fits_and_enough_is_known():
    poor = pd.DataFrame({"patient_id": ["P1", "P2"], "centre": "A", "age_years": [60.0, 61.0]})
    follow = pd.DataFrame({"patient_id": ["P1"], "followup_days": [np.nan], "died": [np.nan]})
    a = build_cohort(poor, followup=follow.iloc[:0], source="x")
    b = build_cohort(poor.assign(patient_id=["Q1", "Q2"]), followup=follow.iloc[:0], source="x")
    assert a.compare(b).n_changes == {"patient added": 2, "patient removed": 2}
    twins = pd.concat([_clinical().iloc[[0]]] * 2).assign(patient_id=["P1", "P2"])
    c, d = (_cohort(twins.assign(patient_id=ids), _followup().iloc[:0]) for ids in (["P1", "P2"], ["Q1", "Q2"]))
    assert "patient renamed" not in c.compare(d).n_changes


def test_a_column_declared_with_another_type_is_a_setting_that_changed_and_no_cell():
    def with_score(values, **type_):
        return _cohort(_clinical().assign(score=values), extra=(NOTE, Column("score", "clinical", **type_)))

    was = with_score(1.0, type="number")
    found = was.compare(with_score("1", type="category", allowed=("1", "2")))
    assert found.changes.empty and found.notes[0] == "The type of 'score' was number and is category."
    assert not found.same
    one = was.compare(with_score(["2"] + ["1"] * 7, type="category", allowed=("1", "2")))
    assert one.changes[["patient_id", "column", "before", "after"]].to_numpy().tolist() == [["P0", "score", "1", "2"]]
    assert "1 cell of 1 patient changed" in one.sentence
