"""REDCap exports, raw codes or labels, come in by the project's own data dictionary."""

from __future__ import annotations

import csv

import pytest

from onlm_lab.cohort import load_cohort
from onlm_lab.errors import DataError
from onlm_lab.study import starter_toml

HEAD = ["Variable / Field Name", "Form Name", "Section Header", "Field Type", "Field Label",
        "Choices, Calculations, OR Slider Labels", "Field Note"]  # fmt: skip
FIELDS = [
    ["record_id", "baseline", "", "text", "Record ID", "", ""],
    ["geschlecht", "baseline", "", "radio", "Sex of the patient", "1, Male | 2, Female", ""],
    ["raucher", "baseline", "", "dropdown", "Smoking", "0, Never | 1, Former, quit | 2, Current | -9, Not known", ""],
    ["pet", "baseline", "", "yesno", "<b>PET/CT</b> done?", "", ""],
    ["central_location", "baseline", "", "truefalse", "Central?", "", ""],
    ["age", "baseline", "", "text", "Age at treatment", "", ""],
    ["rez", "followup", "", "checkbox", "Recurrence", "1, Local | 2, Regional | 3, Distant", ""],
    ["tot", "followup", "", "yesno", "Died", "", ""],
    ["tage", "followup", "", "text", "Days of follow-up", "", ""],
]
SECTIONS = {
    "data": {"clinical": "export.csv", "followup": "export.csv", "redcap_dictionary": "dictionary.csv",
             "missing_words": ["Not known"]},
    "mapping": {
        "columns": {"record_id": "patient_id", "redcap_data_access_group": "centre", "geschlecht": "sex",
                    "raucher": "smoking", "pet": "pet_ct_done", "age": "age_years", "tot": "died",
                    "tage": "followup_days"},
        "values": {"sex": {"Male": "male", "Female": "female"},
                   "smoking": {"Never": "never", "Former, quit": "former", "Current": "current"}},
        "checkboxes": {"recurrence_site": {"rez___1": "local", "rez___2": "regional", "rez___3": "distant"}},
    },
}  # fmt: skip
RAW = [
    ["record_id", "redcap_event_name", "redcap_data_access_group", "geschlecht", "raucher", "pet", "central_location",
     "age", "rez___1", "rez___2", "rez___3", "tot", "tage", "baseline_complete", "followup_complete"],
    ["007", "visit_arm_1", "north", "1", "1", "1", "0", "61.5", "0", "0", "0", "0", "300", "2", "2"],
    ["NA", "visit_arm_1", "south", "2", "-9", "0", "1", "70", "0", "0", "0", "1", "200", "2", "0"],
]  # fmt: skip
LABELS = [
    ["Record ID", "Event Name", "Data Access Group", "Sex of the patient", "Smoking", "PET/CT done?", "Central?",
     "Age at treatment", "Recurrence (choice=Local)", "Recurrence (choice=Regional)", "Recurrence (choice=Distant)",
     "Died", "Days of follow-up"],
    ["007", "Visit", "north", "Male", "Former, quit", "Yes", "False", "61.5", "Unchecked", "Unchecked", "Unchecked",
     "No", "300"],
    ["NA", "Visit", "south", "Female", "Not known", "No", "True", "70", "Unchecked", "Unchecked", "Unchecked", "Yes",
     "200"],
]  # fmt: skip


@pytest.fixture
def project(tmp_path):
    """A study's folder with the export and the dictionary."""

    def write(rows, *, fields=FIELDS, sections=SECTIONS):
        for name, table in (("export.csv", rows), ("dictionary.csv", [HEAD, *fields])):
            with (tmp_path / name).open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows(table)
        (tmp_path / "study.toml").write_text(starter_toml(name="S", sections=sections), encoding="utf-8")
        return tmp_path

    return write


def faults_of(folder):
    with pytest.raises(DataError) as raised:
        load_cohort(folder)
    return raised.value.faults


@pytest.mark.parametrize("rows", [RAW, LABELS], ids=["raw codes", "labels"])
def test_raw_codes_and_labels_give_the_same_cohort(project, rows):
    cohort = load_cohort(project(rows))
    patients = cohort.patients
    assert patients["patient_id"].tolist() == ["007", "NA"] and patients["centre"].tolist() == ["north", "south"]
    assert patients["sex"].tolist() == ["male", "female"] and patients["smoking"].tolist() == ["former", None]
    assert patients["pet_ct_done"].tolist() == [1, 0] and patients["central_location"].tolist() == [0, 1]
    assert patients["died"].tolist() == [0, 1] and patients["followup_days"].tolist() == [300, 200]
    said = "\n".join(cohort.notes)
    assert "REDCap's own columns passed over (redcap_event_name" in said
    assert ("were read by dictionary.csv" in said) == (rows is RAW)


def test_a_code_that_the_dictionary_does_not_have_is_a_fault_and_nothing_follows_from_it(project):
    rows = [RAW[0], [*RAW[1][:3], "3", *RAW[1][4:]], RAW[2]]
    (fault,) = faults_of(project(rows))
    assert "geschlecht must be one of 1 (Male), 2 (Female), as dictionary.csv says; 1 cell holds something" in fault
    assert "'3' (row 2)" in fault


def test_labels_without_a_word_of_ours_are_listed_by_count(project):
    sections = {**SECTIONS, "mapping": {**SECTIONS["mapping"], "values": {}}}
    faults = faults_of(project(RAW, sections=sections))
    assert "geschlecht (sex) must be one of female, male" in faults[0] and "did you mean 'male'?" in faults[0]
    assert "raucher (smoking) must be one of never, former, current" in faults[1] and len(faults) == 2


def test_several_events_a_patient_are_explained_and_chosen_by_only(project):
    rows = [*RAW, ["007", "late_arm_1", "north", "", "", "", "", "", "0", "0", "0", "", "", "", ""]]
    faults = faults_of(project(rows))
    assert any("REDCap exports a row for each event or instance" in f and "[mapping.only." in f for f in faults)
    only = {"clinical": {"redcap_event_name": "visit_arm_1"}, "followup": {"redcap_event_name": "visit_arm_1"}}
    sections = {**SECTIONS, "mapping": {**SECTIONS["mapping"], "only": only}}
    assert load_cohort(project(rows, sections=sections)).patients["patient_id"].tolist() == ["007", "NA"]


def test_a_checkbox_that_is_checked_is_a_site(project):
    rows = [[*row, extra] for row, extra in zip(RAW, ("recurred", "1", "0"), strict=True)]
    rows = [[*row, extra] for row, extra in zip(rows, ("recurrence_days", "90", ""), strict=True)]
    rows[1][9] = rows[1][8] = "1"
    assert load_cohort(project(rows)).patients["recurrence_site"].tolist() == ["local;regional", None]


def test_a_label_that_two_fields_share_is_a_fault(project):
    fields = [*FIELDS, ["died2", "x", "", "yesno", "Died", "", ""]]
    assert any("may be tot or died2, which share this label" in f for f in faults_of(project(LABELS, fields=fields)))


def test_what_is_no_data_dictionary_says_so(project, tmp_path):
    folder = project(RAW)
    (folder / "dictionary.csv").write_text("a,b\n1,2\n")
    assert "this is not a REDCap data dictionary" in faults_of(folder)[0]
    (folder / "dictionary.csv").unlink()
    assert "redcap_dictionary = 'dictionary.csv', but there is no such file" in faults_of(folder)[0]
    assert len(faults_of(folder)) == 1


def test_fields_that_nobody_wants_are_ignored_by_a_pattern(project):
    rows = [[*row, "x", "y"] for row in RAW]
    rows[0][-2:] = ["note_one", "note_two"]
    assert len(faults_of(project(rows))) == 2
    sections = {**SECTIONS, "mapping": {**SECTIONS["mapping"], "ignore": ["note_*"]}}
    cohort = load_cohort(project(rows, sections=sections))
    assert "export.csv: 2 columns ignored, as study.toml says." in cohort.notes


def test_the_states_of_forms_which_share_one_label_are_passed_over(project):
    head, *rows = LABELS
    states = [[*head, "Complete?", "Survey Timestamp", "Complete?"]]
    cohort = load_cohort(project([*states, *([*row, "Complete", "", "Incomplete"] for row in rows)]))
    assert cohort.patients.equals(load_cohort(project(LABELS)).patients)


def test_a_date_of_one_event_and_a_date_of_another_make_a_span(project):
    head = ["record_id", "redcap_event_name", "redcap_data_access_group", "op", "seen", "tot"]
    rows = [head, ["007", "base", "north", "2020-03-15", "", ""], ["007", "visit", "north", "", "2021-03-15", "1"],
            ["NA", "base", "north", "2021-02-28", "", ""], ["NA", "visit", "north", "", "2022-02-28", "0"]]  # fmt: skip
    mapping = {
        "columns": {"record_id": "patient_id", "redcap_data_access_group": "centre", "tot": "died"},
        "dates": {"followup_days": {"start": "op", "end": "seen"}},
        "only": {"clinical": {"redcap_event_name": "base"}, "followup": {"redcap_event_name": "visit"}},
    }
    fields = [["record_id", "b", "", "text", "Record ID", "", ""], ["op", "b", "", "text", "Surgery", "", ""],
              ["seen", "b", "", "text", "Last seen", "", ""], ["tot", "b", "", "yesno", "Died", "", ""]]  # fmt: skip
    cohort = load_cohort(project(rows, fields=fields, sections={**SECTIONS, "mapping": mapping}))
    assert cohort.patients["followup_days"].tolist() == [365.0, 365.0]
    assert "export.csv: op is empty in 2 rows and was taken from the patient's row in another table." in cohort.notes
    rows[2][3], rows[1][3] = "2020-12-31", "not here"  # the row's own cell goes first
    cohort = load_cohort(project(rows, fields=fields, sections={**SECTIONS, "mapping": mapping}))
    assert cohort.patients["followup_days"].tolist() == [74.0, 365.0]


def test_a_strange_code_is_told_with_its_patient(project):
    rows = [RAW[0], [*RAW[1][:3], "7", *RAW[1][4:]], RAW[2]]
    with pytest.raises(DataError) as raised:
        load_cohort(project(rows))
    assert [(f.column, f.rows, f.patients) for f in raised.value.details] == [("geschlecht", (2,), ("007",))]


def test_the_states_of_forms_are_ignored_by_name_without_a_dictionary(project):
    head, *rows = LABELS
    rows = [[*head, "Complete?", "Complete?"], *([*row, "Complete", "Complete"] for row in rows)]
    sections = {
        "data": {"clinical": "export.csv", "followup": ""},
        "mapping": {
            "columns": {"Record ID": "patient_id", "Data Access Group": "centre"},
            "ignore": ["Complete?", *head[1:2], *head[3:]],
        },
    }
    assert len(load_cohort(project(rows, sections=sections))) == 2
    sections["mapping"]["ignore"] = [*head[1:2], *head[3:]]
    assert faults_of(project(rows, sections=sections)) == [
        "export.csv: column 'Complete?' is there 2 times; wanted once. Remove the others."
    ]
