"""Whatever can be known to be wrong before the first patient is screened is told at once."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab.cohort import load_cohort
from onlm_lab.errors import DataError
from onlm_lab.readiness import read_annotations
from onlm_lab.study import load_study, starter_toml


@pytest.fixture
def study(tmp_path):
    """A study whose annotations are written from lines."""

    def write(*lines):
        (tmp_path / "clinical.csv").write_text("patient_id,centre\n007,A\nNA,A\n0012,A\n", encoding="utf-8")
        text = "\n".join(["patient_id,series_uid,tumour_x_mm,tumour_y_mm,tumour_z_mm", *lines, ""])
        (tmp_path / "annotations.csv").write_text(text, encoding="utf-8")
        (tmp_path / "study.toml").write_text(starter_toml(name="S", sections={"data": {"followup": ""}}))
        return load_study(tmp_path)

    return write


def test_annotations_keep_their_identifiers(study):
    read = study("NA,1.2,0,0,0", "007,1.3,0,0,0")
    table = read_annotations(read, patients=load_cohort(read).patients)
    assert table["patient_id"].tolist() == ["NA", "007"]


def test_strangers_and_shared_scans_of_the_annotations_are_told_together_by_row(study):
    read = study("NA,1.2,0,0,0", "007,1.2,0,0,0", "00012,1.3,0,0,0", "12,,0,0,0")
    with pytest.raises(DataError) as raised:
        read_annotations(read, patients=pd.DataFrame({"patient_id": ["007", "NA", "0012"]}))
    assert [(f.column, f.rows, f.patients) for f in raised.value.details] == [
        ("patient_id", (4, 5), ("00012", "12")),
        ("series_uid and series_path", (2, 3), ("NA", "007")),
    ]
    assert raised.value.faults[0] == (
        "annotations.csv: 2 of 4 rows belong to a patient who is not in clinical.csv (row 4 00012, row 5 12). "
        "Did you mean '0012'? Correct the id or add the patient."
    )


def test_a_file_without_an_ending_is_a_table_and_no_study(tmp_path):
    (tmp_path / "patients").write_text("patient_id,centre\n007,A\n", encoding="utf-8")
    assert load_cohort(tmp_path / "patients").patients["patient_id"].tolist() == ["007"]
