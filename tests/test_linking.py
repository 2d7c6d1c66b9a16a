"""CT and segmentation find their patient by PatientID; who has none is told why."""

from __future__ import annotations

import made_ct
import numpy as np
import pandas as pd
import pytest
from made_radiogenomics import made_up
from pydicom.dataset import Dataset

from onlm_lab import linking, schema
from onlm_lab.cli import main
from onlm_lab.cohort import load_cohort, nsclc_radiogenomics
from onlm_lab.errors import OnlmError, SeriesError
from onlm_lab.preparation import prepare_images
from onlm_lab.readiness import read_annotations
from onlm_lab.study import load_study

SCAN = made_ct.Scan(field=lambda x, y, z: 0 * x + 0 * y + 0 * z - 700, shape=(12, 40, 40), spacing_mm=(2.0, 1.0, 1.0))


def scan_of(folder, patient, *, mask=True, names_series=True, series=None):
    """A patient's CT and SEG as TCIA lays them out: a folder a series, below a folder with the PatientID."""
    scan = SCAN.but(series=series or f"ct-{patient}", frame=made_ct.generate_uid(entropy_srcs=[f"frame-{patient}"]))
    data = made_ct.slices(scan)
    for item in data:
        item.PatientID = patient
    made_ct.write(folder / patient / "study" / "ct", data)
    if mask:
        drawn = np.zeros(SCAN.shape, bool)
        drawn[4:8, 14:24, 16:26] = True
        seg = made_ct.segmentation({"tumour": drawn}, scan)
        seg.PatientID, seg.SeriesInstanceUID = patient, made_ct.generate_uid(entropy_srcs=[f"seg-{patient}-{series}"])
        if names_series:
            named = Dataset()
            named.SeriesInstanceUID = data[0].SeriesInstanceUID
            seg.ReferencedSeriesSequence = [named]
        made_ct.write(folder / patient / "study" / f"seg{series or ''}", [seg], ["1-1.dcm"])


@pytest.fixture
def study(tmp_path):
    table = made_up(tmp_path / "table.csv", {}, {"Pathological N stage": "N1"}, {}, {}, {})
    return nsclc_radiogenomics.write_study(table, tmp_path / "study")


def test_each_patient_gets_the_ct_that_the_segmentation_names_or_a_reason(study, tmp_path):
    dicom = tmp_path / "dicom"
    scan_of(dicom, "R01-001")
    scan_of(dicom, "R01-002", names_series=False)
    scan_of(dicom, "R01-003", mask=False)
    scan_of(dicom, "R01-004")
    scan_of(dicom, "R01-004", series="another")
    found = linking.link_images(study, ct=dicom)
    assert found["linked"].tolist() == [1, 1, 0, 0, 0]
    assert found["reason"].tolist()[2:] == ["no segmentation", "several segmentations", "no DICOM with this PatientID"]
    read = load_study(study)
    assert read.training.models == ("clinical", "image", "fused") and read.primary_model == "fused"
    patients = load_cohort(read).patients
    annotations = read_annotations(read, patients=patients)
    assert annotations["patient_id"].tolist() == ["R01-001", "R01-002"]
    text = (study / "annotations.csv").read_text() + (study / "study.toml").read_text()
    assert text.count("R01-001") == 1  # the identifier of the row; no path shows it
    prepared = prepare_images(read, patient_ids=patients["patient_id"], annotations=annotations).set_index("patient_id")
    assert prepared["usable"].to_dict() == {f"R01-00{i}": int(i < 3) for i in range(1, 6)}


def test_a_ct_that_the_segmentation_does_not_name_is_not_taken(study, tmp_path):
    dicom = tmp_path / "dicom"
    scan_of(dicom, "R01-001")
    scan_of(dicom, "R01-002")
    for path in (dicom / "R01-001" / "study" / "ct").iterdir():
        path.unlink()
    other = made_ct.slices(SCAN.but(series="pet-ct"))
    for item in other:
        item.PatientID = "R01-001"
    made_ct.write(dicom / "R01-001" / "other", other)
    found = linking.link_images(study, ct=dicom).set_index("patient_id")
    assert found.loc["R01-001", "reason"] == "the CT of the segmentation is not there" and found["linked"].sum() == 1


def test_nobody_linked_and_no_folder_are_one_sentence(study, tmp_path):
    scan_of(tmp_path / "dicom", "LUNG1-001")
    before = (study / "study.toml").read_text()
    with pytest.raises(OnlmError, match=r"none of 5 patients has a CT .*no DICOM with this PatientID: 5"):
        linking.link_images(study, ct=tmp_path / "dicom")
    with pytest.raises(SeriesError):
        linking.link_images(study, ct=tmp_path / "absent")
    assert (study / "study.toml").read_text() == before and not (study / "annotations.csv").exists()


def test_the_verb_links_the_ct_when_asked(tmp_path, capsys):
    table = made_up(tmp_path / "table.csv", {}, {"Pathological N stage": "N1"})
    scan_of(tmp_path / "dicom", "R01-002")
    words = ["radiogenomics", table, tmp_path / "study", "--ct", tmp_path / "dicom"]
    assert main([str(word) for word in words]) == 0
    assert "1 of 2 patients have a CT with its segmentation" in capsys.readouterr().out
    linked = pd.read_csv(tmp_path / "study" / "images.csv", dtype=str)
    assert linked["linked"].tolist() == ["0", "1"]
    rows = schema.read_table(tmp_path / "study" / "annotations.csv", table="annotations")
    assert rows["patient_id"].tolist() == ["R01-002"]
