"""Two spreadsheets become one cohort, or one list of all their faults."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab import schema
from onlm_lab.cohort import build_cohort, load_cohort
from onlm_lab.errors import DataError, StudyError
from onlm_lab.study import load_study, starter_toml

CLINICAL = (
    "patient_id,centre,neoadjuvant,clinical_n,clinical_m,pathological_n,nodes_examined,treatment\n"
    "007,A,0,N0,M0,N0,3,lobectomy\nNA,B,0,N0,M0,N1,12,wedge\nS,B,,N0,M0,,,sbrt\n"
)
FOLLOWUP = (
    "patient_id,followup_days,died,recurred,recurrence_days,recurrence_site\n"
    "NA,300,0,0,,\n007,100,1,1,50,regional;distant\n"
)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "clinical.csv").write_text(CLINICAL)
    (tmp_path / "followup.csv").write_text(FOLLOWUP)
    return [tmp_path / "clinical.csv", tmp_path / "followup.csv"]


def test_a_cohort_holds_both_files_the_label_the_arm_and_the_endpoints(files):
    rows = load_cohort(files).patients.set_index("patient_id")
    assert rows.index.tolist() == ["007", "NA", "S"]
    assert rows["onlm"].tolist()[:2] == [0.0, 1.0] and pd.isna(rows.loc["S", "onlm"])
    assert rows["arm"].tolist() == ["surgery", "surgery", "sbrt"]
    assert rows.loc["007", ["os_days", "os_event", "regional_days", "regional_state"]].tolist() == [100, 1, 50, 1]
    assert rows.loc["S", [c for c in rows if c.endswith(("_event", "_state"))]].isna().all()


def test_every_column_of_the_schema_is_there_even_where_the_files_have_none(files):
    rows = load_cohort(files).patients
    wanted = {c.name for c in schema.COLUMNS if c.table in ("clinical", "followup", "derived")}
    assert wanted <= set(rows.columns) and rows.columns.is_unique
    assert rows["cea_ng_ml"].isna().all() and rows["cea_ng_ml"].dtype == float


def test_the_recorded_days_stay_beside_the_endpoint_of_the_same_name(files):
    rows = load_cohort(files).patients.set_index("patient_id")
    assert rows.loc["NA", "recurrence_days"] == 300 and pd.isna(rows.loc["NA", "recorded_recurrence_days"])
    assert rows.loc["007", "recorded_recurrence_days"] == 50


def test_nobody_can_change_the_cohort_and_its_digest_follows_the_content(files):
    cohort = load_cohort(files)
    cohort.patients["onlm"] = 1.0
    assert cohort.patients["onlm"].isna().sum() == 1
    assert cohort.sha256 == load_cohort(files).sha256
    files[1].write_text(FOLLOWUP.replace("300", "301"))
    assert cohort.sha256 != load_cohort(files).sha256


def test_clinical_alone_a_mapping_and_a_study_are_taken(files):
    whole = load_cohort(files)
    assert load_cohort({"followup": files[1], "clinical": files[0]}).sha256 == whole.sha256
    assert load_cohort(files[0]).patients["os_days"].isna().all()
    (files[0].parent / "study.toml").write_text(starter_toml(name="S", made_up=True))
    study = load_study(files[0].parent)
    assert load_cohort(study).sha256 == load_cohort(files[0].parent).sha256 == whole.sha256
    assert load_cohort(study).made_up and "MADE-UP DATA" in load_cohort(study)._repr_html_()


def test_the_faults_of_both_files_come_together(files):
    files[0].write_text(CLINICAL.replace("wedge", "laser"))
    files[1].write_text(FOLLOWUP.replace("300", "-3"))
    with pytest.raises(DataError) as raised:
        load_cohort(files)
    assert [f.split(":")[0] for f in raised.value.faults] == ["clinical.csv", "followup.csv"]


def test_followup_of_an_unknown_patient_is_a_fault(files):
    files[1].write_text(FOLLOWUP.replace("007,", "07,"))
    with pytest.raises(DataError, match=r"followup.csv: 1 of 2 rows belong to a patient who is not in clinical.csv"):
        load_cohort(files)


def test_a_folder_without_a_study_says_so(tmp_path):
    with pytest.raises(StudyError, match=r"No study.toml"):
        load_cohort(tmp_path)


def test_a_studys_own_columns_come_along_with_their_timing(files):
    folder = files[0].parent
    own = {"columns": {"lvi": {"type": "boolean", "timing": "post_treatment"}}}
    (folder / "study.toml").write_text(starter_toml(name="S", sections=own))
    with pytest.raises(DataError, match="column 'lvi' is missing"):
        load_cohort(folder)
    lines = CLINICAL.splitlines()
    files[0].write_text("\n".join(a + b for a, b in zip(lines, [",lvi", ",1", ",0", ","], strict=True)))
    cohort = load_cohort(folder)
    assert cohort.patients["lvi"].tolist()[:2] == [1.0, 0.0]
    assert [(c.name, c.timing) for c in cohort.extra_columns] == [("lvi", "post_treatment")]


def test_a_surrogate_study_is_labelled_by_pathological_n_alone(files):
    folder = files[0].parent
    files[0].write_text("patient_id,centre,pathological_n\n007,A,N0\nNA,B,N1\nS,B,\n")
    (folder / "study.toml").write_text(starter_toml(name="S", sections={"label": {"surrogate": True}}))
    cohort = load_cohort(folder)
    assert cohort.surrogate and cohort.patients["onlm"].tolist()[:2] == [0.0, 1.0]
    assert "surrogate" in cohort._repr_html_()


def test_a_ready_made_label_is_taken_without_pathology_and_compared_with_it(files):
    files[0].write_text("patient_id,centre,onlm\n007,A,1\nNA,B,0\nS,B,\n")
    rows = load_cohort(files).patients
    assert rows["onlm"].tolist()[:2] == [1.0, 0.0] and rows["onlm_missing_reason"][2] == "no label given"
    lines = CLINICAL.splitlines()
    files[0].write_text("\n".join(a + b for a, b in zip(lines, [",onlm", ",1", ",1", ","], strict=True)))
    with pytest.raises(DataError, match=r"onlm disagrees with the label from pathological_n in 1 of 3 rows \(007\)"):
        load_cohort(files)


def test_what_data_say_is_escaped_before_it_is_html():
    rows = pd.DataFrame({"patient_id": ["A"], "centre": ["X"]})
    text = build_cohort(rows, source="<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in text and "&lt;script&gt;" in text
