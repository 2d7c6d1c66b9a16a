"""A copy names nobody, wherever a name was planted; its pixels, places and masks are those of the source."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import warnings
from datetime import date
from pathlib import Path

import made_ct
import made_patients
import numpy as np
import pandas as pd
import psutil
import pydicom
import pytest
from made_ct import Scan
from made_patients import CHINESE, JAPANESE, KOREAN, NAME, PATIENT, Planted
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from onlm_lab.cli import main
from onlm_lab.errors import DataError, OnlmError
from onlm_lab.imaging import deidentify, find_path, find_series, identifying_elements, read_mask, read_series

SCAN = Scan(field=lambda x, y, z: np.round(10 * x + 3 * y + z))


def _copy(source: Path, tmp_path: Path, name: str = "copy", **options):
    return deidentify(source, tmp_path / name, secret=tmp_path / "keys" / "secret", **options)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/*.dcm"))


def _headers(folder: Path) -> list[pydicom.Dataset]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [pydicom.dcmread(path) for path in _files(folder)]


def _of_kind(modality: str, folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.dcm")) if pydicom.dcmread(path).Modality == modality]


def _said(result, captured="") -> str:
    tables = (result.left_out, result.done, result.region_names, result.remaining)
    return " ".join([repr(result), captured, *(table.to_csv() for table in tables), str(result.remaining.attrs)])


def _ct(folder: Path) -> str:
    """The series UID of the one CT in a folder."""
    table = find_series(folder)
    return table.loc[table["modality"] == "CT", "uid"].item()


# Names, numbers and dates


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_nothing_that_was_planted_is_in_any_byte_of_the_copy(tmp_path, syntax):
    plant = Planted()
    made = [made_patients.written_as(data, syntax) for data in made_patients.slices(plant, scan=SCAN)]
    names = [f"Taisiya_Zhuravlyova/{PATIENT}/{PATIENT}_{k}.dcm" for k in range(len(made))]
    source = made_ct.write(tmp_path / "source", made, names)
    assert len(plant.leaks(source)) > 60  # the search does find what is there
    done = _copy(source, tmp_path)
    assert done.n_copied == len(made) and done.sound
    assert plant.leaks(tmp_path / "copy", _said(done)) == []
    n = dict(zip(done.done["what"], done.done["n"] / len(made), strict=True))
    assert (n["private"], n["graphics"], n["unknown"]) == (3 + 2 * 2, 7, 2) and n["free_text"] > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (read_series(tmp_path / "copy").hu == read_series(source).hu).all()


def test_the_command_says_nothing_that_was_planted(tmp_path, capsys):
    plant = Planted()
    made = made_patients.slices(plant)
    source = made_ct.write(tmp_path / "source", made, [f"Zhuravlyova {k}" for k in range(len(made))])
    (source / "Zhuravlyova report.pdf").write_bytes(b"%PDF")
    words = [source, tmp_path / "copy", "--secret", tmp_path / "keys" / "secret", "--left-out", tmp_path / "left.csv"]
    assert main(["deidentify", *map(str, words)]) == 0
    assert main(["privacy", str(source), "--out", str(tmp_path / "list.csv")]) == 0
    said = capsys.readouterr()
    assert "8 of 9 files copied" in said.out and "Left out, 1: no DICOM file." in said.out
    assert "PatientName (0010,0010)" in " ".join(said.out.split())
    texts = [said.out, said.err, (tmp_path / "left.csv").read_text(), (tmp_path / "list.csv").read_text()]
    assert plant.leaks(*texts) == []
    secret = (tmp_path / "keys" / "secret").read_text().strip()
    assert not any(secret in text for text in texts)
    assert not any(secret.encode() in path.read_bytes() for path in (tmp_path / "copy").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        (["GB18030"], CHINESE), ("ISO_IR 192", f"Wang^XiaoMing={CHINESE}"),
        (["", "ISO 2022 IR 87"], f"Yamada^Taro={JAPANESE}"), (["", "ISO 2022 IR 149"], f"Hong^Gildong={KOREAN}"),
    ],
)  # fmt: skip
def test_a_name_in_any_script_is_gone_and_known_in_the_names_of_regions(tmp_path, character_set, name):
    plant = Planted()
    made = made_patients.slices(Planted(), scan=SCAN, name="x")
    written = plant("name", name.split("=")[-1])
    for data in made:
        data.SpecificCharacterSet, data.PatientName, data.ReferringPhysicianName = character_set, name, name
        data.OtherPatientNames = [name, name]
    regions = made_patients.contours(SCAN, {"a": "GTV-1", "b": f"GTV {written.replace('^', '')}"}, like=made[0])
    regions.SpecificCharacterSet, regions.PatientName = character_set, name
    source = made_ct.write(tmp_path / "source", [*made, regions])
    assert plant.leaks(source)
    done = _copy(source, tmp_path)
    assert plant.leaks(tmp_path / "copy", _said(done)) == []
    assert done.region_names["name"].tolist() == ["GTV-1", "ROI 2"]


@pytest.mark.parametrize(
    ("codec", "of_the_scan", "of_the_mask"),
    [("gb18030", "", ""), ("gb18030", "ISO_IR 100", ""), ("utf-8", "ISO_IR 192", "ISO_IR 100")],
)
def test_a_name_in_an_undeclared_or_wrong_character_set_is_known_all_the_same(
    tmp_path, codec, of_the_scan, of_the_mask
):
    made = made_patients.slices(Planted(), scan=SCAN)
    regions = made_patients.contours(SCAN, {"a": "GTV-1", "b": "other"}, like=made[0])
    made[0].SpecificCharacterSet, regions.SpecificCharacterSet = of_the_scan, of_the_mask
    source = made_ct.write(tmp_path / "source", [*made, regions])
    raw = "王晓明".encode("gb18030")
    mask, scan = source / "008", source / "000"
    mask.write_bytes(mask.read_bytes().replace(b"other ", raw))
    scan.write_bytes(scan.read_bytes().replace(b"Zhuravlyova^Taisiya", "王^晓明".encode(codec).ljust(19)))
    done = _copy(source, tmp_path)
    assert done.region_names["name"].tolist() == ["GTV-1", "ROI 2"]
    assert not any(raw in path.read_bytes() for path in _files(tmp_path / "copy"))


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("GTV-1", True), ("Lung-Right", True), ("gtvp_exhale 3mm", True), ("lingula", True), ("肺结节", True),
        ("GTV MR", True),
        ("GTV Zhuravlyova", False), ("gtv_zhuravlyova", False), ("GTVZhuravlyova", False), ("Taisiya", False),
        ("ZHURAVLYOVATAISIYA2", False), (f"x{PATIENT}", False), ("GTV 471184", False), ("GTV 20190704", False),
        ("gtv 04.07.2019", False), ("GTV 4.7.19", False), ("tumour, Dr Brown", False), ("王医生", False),
        ("Li", False), ("Petrosyan", False), ("Kovalenko plan", False), ("phone 0085212345", False),
        ("GTVpZhuravlyova", False), ("ZhuravlyovaGTVn", False), ("Zhuravlyovas tumour", False),
        ("GTV Mueller", False), ("Muller", False), ("GTV-Joerg", False), ("GTV-王", False),
        ("GTV 17AUG2019", False), ("GTV Aug 17 2019", False), ("17-Aug-19", False),
        ("GTV marg 12", True), ("decline 3", True), ("node 4R", True), ("GTV Mar", True),
    ],
)  # fmt: skip
def test_a_region_keeps_its_name_only_if_it_tells_of_nobody(tmp_path, name, stays):
    made = made_patients.slices(Planted(), scan=SCAN)
    for data in made:
        data.OperatorsName = "Petrosyan^R"
        data.SpecificCharacterSet = "ISO_IR 192"
        data.PerformingPhysicianName = ["Müller^Jörg", "王^小明"]
    other = made_patients.slices(Planted(), scan=SCAN.but(series="two"), patient="B-7", name="Li^Na")[0]
    other.SOPInstanceUID, other.NameOfPhysiciansReadingStudy = "1.9.8", ["Smith^J", "Kovalenko^O"]
    regions = made_patients.contours(SCAN, {"a": "PTV", "b": name}, like=made[0])
    regions.SpecificCharacterSet = "ISO_IR 192"
    labels = made_patients.segments(SCAN, ["PTV", name], like=made[0])
    labels.SpecificCharacterSet = "ISO_IR 192"
    source = made_ct.write(tmp_path / "source", [*made, regions, labels, other])
    done = _copy(source, tmp_path)
    found = set(done.region_names["name"])
    assert found == ({"PTV", name} if stays else {"PTV", "ROI 2", "Segment 2"})
    replaced = done.done.set_index("what")["n"].get("region_names_replaced", 0)
    assert replaced == (0 if stays else 2)


def test_what_scanners_say_of_the_scan_stays_and_a_description_keeps_its_plain_words(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices(Planted(), scan=SCAN))
    _copy(source, tmp_path)
    for data in _headers(tmp_path / "copy"):
        assert (data.Manufacturer, data.ManufacturerModelName) == ("SIEMENS", "SOMATOM Definition AS+")
        assert (data.KVP, data.ConvolutionKernel, data.SliceThickness) == (120, "B60f", 2)
        assert data.SeriesDescription == "lung 1.0 b60f" and data.ContrastBolusAgent == "CONTRAST"
        assert list(data.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
        assert data.PatientSex == "" and data.PatientBirthDate == "" and "PatientAge" not in data
        assert "FilterType" not in data and "PositionReferenceIndicator" not in data


@pytest.mark.parametrize(
    ("agent", "said"), [("Ultravist 370", "CONTRAST"), ("none", "NONE"), ("无", "NONE"), ("", ""), ("平扫", "NONE")]
)
def test_contrast_is_said_by_yes_or_no(tmp_path, agent, said):
    made = made_patients.slices(Planted(), scan=SCAN)
    for data in made:
        data.SpecificCharacterSet, data.ContrastBolusAgent = "ISO_IR 192", agent
    _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    assert {data.ContrastBolusAgent for data in _headers(tmp_path / "copy")} == {said}


# What a file says of itself


def test_a_copy_says_by_which_profile_and_options_it_was_made(tmp_path):
    _copy(made_ct.write(tmp_path / "source", made_patients.slices()), tmp_path)
    data = _headers(tmp_path / "copy")[0]
    codes = {item.CodeValue: item.CodeMeaning for item in data.DeidentificationMethodCodeSequence}
    from pydicom.sr.codedict import codes as standard

    known = {getattr(standard.cid7050, name).value: getattr(standard.cid7050, name).meaning
             for name in standard.cid7050.dir()}  # fmt: skip
    assert set(codes) == {"113100", "113105", "113107"} and codes.items() <= known.items()
    assert data.PatientIdentityRemoved == "YES" and data.LongitudinalTemporalInformationModified == "MODIFIED"
    assert data.PatientID == data.PatientName == _files(tmp_path / "copy")[0].parts[-3]
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID
    assert set(data.file_meta.keys()) == {0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012,
                                          0x00020013}  # fmt: skip
    assert data.preamble == bytes(128)


# Dates and UIDs


def test_every_date_of_a_patient_moves_by_the_same_days_and_times_of_day_stay(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    made[3].AcquisitionDate, made[4].AcquisitionDateTime = "20190801", "20200229235959.5-0130"
    made[5].AcquisitionDateTime, made[6].AcquisitionDateTime = "201907", "2019"
    made[5].add_new(0x00080022, "DA", ["20190704", "20190711"])
    source = made_ct.write(tmp_path / "source", made)
    _copy(source, tmp_path, link=tmp_path / "link.csv")
    days = pd.read_csv(tmp_path / "link.csv")["shift_days"].item()
    assert -3653 <= days <= -366
    new = {data.InstanceNumber - 1: data for data in _headers(tmp_path / "copy")}

    def moved(text: str) -> str:
        return (date.fromisoformat(text) + pd.Timedelta(days=days)).strftime("%Y%m%d")

    assert {data.StudyDate for data in new.values()} == {moved("2019-07-04")}
    assert new[3].AcquisitionDate == moved("2019-08-01")
    assert new[4].AcquisitionDateTime == moved("2020-02-29") + "235959.5-0130"
    assert new[0].AcquisitionDateTime == moved("2019-07-04") + "101113.987654+0800"
    assert new[5].AcquisitionDateTime == moved("2019-07-01")[:6] and len(new[6].AcquisitionDateTime) == 4
    assert list(new[5].AcquisitionDate) == [moved("2019-07-04"), moved("2019-07-11")]
    assert {data.StudyTime for data in new.values()} == {"101112.123456"}


@pytest.mark.parametrize("value", ["2019XX04", "next week", "20191345", "20190101-20190202", "Zhuravlyova"])
def test_a_date_that_is_none_is_emptied_and_counted(tmp_path, value):
    made = made_patients.slices(Planted(), scan=SCAN)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for data in made:
            data.add_new(0x00080021, "DA", "")
            data["SeriesDate"]._value = value  # as a foreign system wrote it
        source = made_ct.write(tmp_path / "source", made)
    done = _copy(source, tmp_path)
    assert {data.SeriesDate for data in _headers(tmp_path / "copy")} == {""}
    assert done.done.set_index("what")["n"]["malformed"] >= len(made)
    assert done.sound


def test_uids_are_other_ones_everywhere_and_still_meet(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    regions = made_patients.contours(SCAN, {"a": "GTV-1"}, like=made[0])
    labels = made_patients.segments(SCAN, ["GTV-1"], like=made[0])
    _copy(made_ct.write(tmp_path / "source", [*made, regions, labels]), tmp_path)
    new = _headers(tmp_path / "copy")
    scans = [data for data in new if data.Modality == "CT"]
    masks = [data for data in new if data.Modality != "CT"]
    assert len({data.FrameOfReferenceUID for data in scans}) == len({data.StudyInstanceUID for data in new}) == 1
    first = next(data for data in scans if data.InstanceNumber == 1)
    for data in masks:
        referenced = data.ReferencedSeriesSequence[0]
        assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
        assert referenced.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
        assert referenced.ReferencedInstanceSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    assert masks[0].Modality in ("RTSTRUCT", "SEG") and len(masks) == 2
    uids = {data.SOPInstanceUID for data in new}
    assert len(uids) == len(new) and all(uid.startswith("2.25.") and len(uid) <= 64 and uid.is_valid for uid in uids)


def test_the_same_secret_gives_the_same_bytes_and_another_one_nothing_alike(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices(Planted(), scan=SCAN))
    _copy(source, tmp_path, "one", workers=1)
    shuffled = tmp_path / "elsewhere"
    for k, path in enumerate(reversed(sorted(source.iterdir()))):  # other names, other order, other depth
        place = shuffled / f"x{k % 3}" / f"{k}.bin"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    _copy(shuffled, tmp_path, "two", workers=2)
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in _files(tmp_path / name)}
        for name in ("one", "two")
    )
    assert one == two
    deidentify(source, tmp_path / "three", secret=tmp_path / "other" / "secret")
    three = {path.relative_to(tmp_path / "three") for path in _files(tmp_path / "three")}
    assert not three & set(one)
    assert not {data.StudyDate for data in _headers(tmp_path / "three")} & {
        data.StudyDate for data in _headers(tmp_path / "one")
    }


def test_names_of_files_say_nothing_of_the_order_of_slices(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN.but(shape=(40, 4, 4)))
    _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    numbers = [int(data.InstanceNumber) for data in _headers(tmp_path / "copy")]
    assert sorted(numbers) == list(range(1, 41))
    assert abs(np.corrcoef(numbers, range(40))[0, 1]) < 0.5
    assert not any("471184" in str(path.relative_to(tmp_path)) for path in (tmp_path / "copy").rglob("*"))
    assert all(path.stem.isalnum() and len(path.stem) == 16 for path in _files(tmp_path / "copy"))


# Study ids


def test_a_table_names_the_study_ids_and_who_is_not_in_it_stays_out(tmp_path):
    people = {"007": "LC-007", "NA": "NA-1", "8812345": "LC-9"}
    made = []
    for k, number in enumerate([*people, "not in the table"]):
        data = made_patients.slices(Planted(), scan=SCAN.but(series=number), patient=number)[0]
        data.SOPInstanceUID, data.SeriesInstanceUID = f"1.2.{k}", f"1.3.{k}"
        made.append(data)
    source = made_ct.write(tmp_path / "source", made)
    ids = tmp_path / "ids.csv"
    rows = "".join(f"{study},{number}\n" for number, study in people.items())
    ids.write_text(f"patient_id,dicom_patient_id\n{rows}LC-11,999\n")
    done = _copy(source, tmp_path, ids=ids)
    assert {data.PatientID for data in _headers(tmp_path / "copy")} == set(people.values())
    assert done.n_patients == 3 and done.n_patients_left_out == 1
    assert done.left_out["reason"].tolist() == ["not_in_ids"]
    assert done.notes == ("ids.csv: 1 of 4 study ids have no file here.",)


def test_two_numbers_of_one_patient_share_id_and_shift(tmp_path):
    made = []
    for k, number in enumerate(["A1", "B2"]):
        data = made_patients.slices(Planted(), scan=SCAN, patient=number)[0]
        data.SOPInstanceUID, data.SeriesInstanceUID = f"1.2.{k}", f"1.3.{k}"
        made.append(data)
    (tmp_path / "ids.csv").write_text("patient_id;dicom_patient_id\nS-1;A1\nS-1;B2\n", encoding="gb18030")
    done = _copy(made_ct.write(tmp_path / "source", made), tmp_path, ids=tmp_path / "ids.csv")
    assert done.n_patients == 1 and len({data.StudyDate for data in _headers(tmp_path / "copy")}) == 1


def test_equal_numbers_of_two_hospitals_are_two_patients_if_the_issuer_is_said(tmp_path):
    made = []
    for k, issuer in enumerate(["Hospital A", "Hospital B", ""]):
        data = made_patients.slices(Planted(), scan=SCAN, patient="123")[0]
        data.SOPInstanceUID, data.SeriesInstanceUID, data.IssuerOfPatientID = f"1.2.{k}", f"1.3.{k}", issuer
        made.append(data)
    done = _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    assert done.n_patients == 2 and done.left_out["reason"].tolist() == ["ambiguous_patient"]
    rows = "patient_id,dicom_patient_id,issuer_of_patient_id\nA,123,Hospital A\nB,123,Hospital B\n"
    (tmp_path / "ids.csv").write_text(rows)
    _copy(tmp_path / "source", tmp_path, "named", ids=tmp_path / "ids.csv")
    assert {path.name for path in (tmp_path / "named").iterdir()} == {"A", "B", "copy.json"}
    (tmp_path / "ids.csv").write_text("patient_id,dicom_patient_id\nA,123\n")
    done = _copy(tmp_path / "source", tmp_path, "blind", ids=tmp_path / "ids.csv")
    assert done.n_copied == 0 and set(done.left_out["reason"]) == {"ambiguous_patient"}


def test_a_file_without_an_issuer_goes_with_the_one_that_the_others_name(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    for data in made[:4]:
        data.IssuerOfPatientID = "Hospital A"
    assert _copy(made_ct.write(tmp_path / "source", made), tmp_path).n_patients == 1


def test_two_numbers_that_nobody_can_read_stay_two_patients(tmp_path):
    made = []
    for k, letters in enumerate((b"\xb0\xa1\xb0\xa1", b"\xb0\xa2\xb0\xa2")):
        data = made_patients.slices(Planted(), scan=SCAN, patient="qqqq")[0]
        data.SOPInstanceUID, data.SeriesInstanceUID = f"1.2.{k}", f"1.3.{k}"
        made_ct.write(tmp_path / "source", [data], [f"{k}"])
        path = tmp_path / "source" / f"{k}"
        path.write_bytes(path.read_bytes().replace(b"qqqq", letters))
        made.append(data)
    assert _copy(tmp_path / "source", tmp_path).n_patients == 2


def test_a_patient_called_like_a_maker_of_scanners_keeps_the_maker_and_loses_the_region(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN, name="Siemens^Carl")
    regions = made_patients.contours(SCAN, {"a": "GTV-1", "b": "GTV Siemens"}, like=made[0])
    done = _copy(made_ct.write(tmp_path / "source", [*made, regions]), tmp_path)
    assert done.region_names["name"].tolist() == ["GTV-1", "ROI 2"]
    assert {data.get("Manufacturer") for data in _headers(tmp_path / "copy")} == {"SIEMENS", None}


def test_every_fault_of_the_table_of_ids_is_told_at_once_without_an_id(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices())
    (tmp_path / "ids.csv").write_text(
        "patient_id,dicom_patient_id\n,secretnumber1\nA,\na/b,secretnumber2\nB,secretnumber3\nb,secretnumber4\n"
        "C,secretnumber5\nD,secretnumber5\n"
    )
    with pytest.raises(DataError) as raised:
        _copy(source, tmp_path, ids=tmp_path / "ids.csv")
    assert len(raised.value.faults) == 5 and "secretnumber" not in str(raised.value)
    for words in ("patient_id is empty in 1 of 7 rows (row 2)", "no name for a folder", "stands twice", "capitals"):
        assert words in str(raised.value)
    (tmp_path / "ids.csv").write_text("patient,dicom_patient_id\n")
    with pytest.raises(DataError, match="column patient_id is missing"):
        _copy(source, tmp_path, ids=tmp_path / "ids.csv")
    assert not (tmp_path / "copy").exists()


def test_a_number_of_the_hospital_is_no_study_id_unless_it_is_a_pseudonym_already(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    source = made_ct.write(tmp_path / "source", made)
    (tmp_path / "ids.csv").write_text(f"patient_id,dicom_patient_id\n{PATIENT},{PATIENT}\n")
    with pytest.raises(OnlmError, match="1 of 1 study ids are PatientIDs of the hospital") as raised:
        _copy(source, tmp_path, ids=tmp_path / "ids.csv")
    assert PATIENT not in str(raised.value)
    for data in made:
        data.PatientIdentityRemoved = "YES"
    made_ct.write(source, made)
    assert _copy(source, tmp_path, ids=tmp_path / "ids.csv").n_copied == len(made)


def test_a_file_without_a_patient_is_not_copied_under_a_guessed_id(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    made[2].PatientID = ""
    done = _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    assert done.left_out["reason"].tolist() == ["no_patient_id"] and done.n_copied == len(made) - 1


def test_a_number_of_the_hospital_or_a_date_in_the_place_of_a_count_is_gone(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN, patient="8812345")
    for data in made:
        data.SeriesNumber, data.AcquisitionNumber = 20190704, 8812345
    other = made_patients.slices(Planted(), scan=SCAN, patient="B-1")[0]
    other.SOPInstanceUID, other.TemporalPositionIndex, other.SeriesNumber = "1.2.9", 3, 7700123
    (tmp_path / "ids.csv").write_text("patient_id,dicom_patient_id\nA,8812345\nB,B-1\nC,7700123\n")
    _copy(made_ct.write(tmp_path / "source", [*made, other]), tmp_path, ids=tmp_path / "ids.csv")
    for data in _headers(tmp_path / "copy"):
        assert data.SeriesNumber is None and data.InstanceNumber >= 1
        assert data.get("AcquisitionNumber") is None


# The secret


def test_the_secret_is_made_once_for_its_owner_alone_and_stays_outside(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices())
    first = _copy(source, tmp_path)
    secret = tmp_path / "keys" / "secret"
    assert first.new_secret and stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes().strip()) >= 32
    assert not _copy(source, tmp_path, "again").new_secret
    (tmp_path / "link").symlink_to(tmp_path / "copy", target_is_directory=True)
    for place in (source / "secret", tmp_path / "copy" / "deep" / "secret", tmp_path / "link" / "secret"):
        with pytest.raises(OnlmError, match="The secret would lie in the folder"):
            deidentify(source, tmp_path / "copy", secret=place)
        assert not place.exists()
    (tmp_path / "outside").symlink_to(tmp_path / "copy" / "inside")
    with pytest.raises(OnlmError, match="The secret would lie in the folder"):
        deidentify(source, tmp_path / "copy", secret=tmp_path / "outside")
    (tmp_path / "short").write_text("password\n")
    with pytest.raises(OnlmError, match="has 8 bytes; wanted at least 32") as raised:
        deidentify(source, tmp_path / "new", secret=tmp_path / "short")
    assert "password" not in str(raised.value)


def test_the_link_is_written_when_asked_for_its_owner_alone_and_never_into_the_copy(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices())
    with pytest.raises(OnlmError, match="The list of old and new ids would lie"):
        _copy(source, tmp_path, link=tmp_path / "copy" / "link.csv")
    _copy(source, tmp_path, link=tmp_path / "link.csv")
    assert stat.S_IMODE((tmp_path / "link.csv").stat().st_mode) == 0o600
    table = pd.read_csv(tmp_path / "link.csv", dtype=str, keep_default_na=False)
    assert table["dicom_patient_id"].tolist() == [PATIENT]
    assert table["patient_id"].tolist() == [_files(tmp_path / "copy")[0].parts[-3]]


def test_the_link_grows_with_every_delivery_and_another_file_is_not_lost(tmp_path):
    link = tmp_path / "link.csv"
    for k, number in enumerate(["007", "NA", "007"]):
        data = made_patients.slices(Planted(), scan=SCAN, patient=number)[0]
        data.SOPInstanceUID, data.SeriesInstanceUID = f"1.2.{k}", f"1.3.{k}"
        _copy(made_ct.write(tmp_path / f"delivery {k}", [data]), tmp_path, link=link)
    table = pd.read_csv(link, dtype=str, keep_default_na=False)
    assert table["dicom_patient_id"].tolist() == ["007", "NA"] and table["patient_id"].nunique() == 2
    for number, content in enumerate([b"my notes\n", b"\xff\xfe", b""]):
        other = tmp_path / f"other{number}.csv"
        other.write_bytes(content)
        with pytest.raises(OnlmError, match="is there and no list"):
            _copy(tmp_path / "delivery 0", tmp_path, "x", link=other)
        assert other.read_bytes() == content


def test_folders_inside_each_other_and_strange_folders_are_refused(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices())
    secret = tmp_path / "secret"
    for out in (source, source / "copy", tmp_path):
        with pytest.raises(OnlmError, match="The copy lies in the folder"):
            deidentify(source, out, secret=secret)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("x")
    with pytest.raises(OnlmError, match="'full' holds other files"):
        deidentify(source, tmp_path / "full", secret=secret)
    deidentify(source, tmp_path / "copy", secret=secret)
    with pytest.raises(OnlmError, match="made with another secret"):
        deidentify(source, tmp_path / "copy", secret=tmp_path / "other")
    with pytest.raises(OnlmError, match=r"made another way \(keep_burned_in\)"):
        deidentify(source, tmp_path / "copy", secret=secret, keep_burned_in=True)
    (tmp_path / "ids.csv").write_text(f"patient_id,dicom_patient_id\nLC-1,{PATIENT}\n")
    with pytest.raises(OnlmError, match="1 of these series under another study id"):
        deidentify(source, tmp_path / "copy", secret=secret, ids=tmp_path / "ids.csv")
    with pytest.raises(OnlmError, match="'nowhere' is not a folder"):
        deidentify(tmp_path / "nowhere", tmp_path / "x", secret=secret)


# Pixels


@pytest.mark.parametrize("signed", [False, True])
def test_the_pixels_are_byte_for_byte_the_same(tmp_path, signed):
    scan = SCAN.but(signed=signed, bits_stored=16, intercept=0.0 if signed else -1024.0)
    made = made_patients.slices(Planted(), scan=scan)
    _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    new = {data.InstanceNumber: data.PixelData for data in _headers(tmp_path / "copy")}
    assert new == {data.InstanceNumber: data.PixelData for data in made}


def test_compressed_pixels_are_not_compressed_again(tmp_path):
    plant = Planted()
    made = made_patients.slices(plant, scan=SCAN)
    for data in made:
        uid = data.SOPInstanceUID
        data.compress(RLELossless, generate_instance_uid=False)
        assert data.SOPInstanceUID == uid
    source = made_ct.write(tmp_path / "source", made)
    done = _copy(source, tmp_path)
    assert plant.leaks(tmp_path / "copy", _said(done)) == []
    new = {data.InstanceNumber: data for data in _headers(tmp_path / "copy")}
    assert {k: data.PixelData for k, data in new.items()} == {data.InstanceNumber: data.PixelData for data in made}
    assert (read_series(tmp_path / "copy").hu == read_series(source).hu).all()


def _jpeg_with(comment: bytes, data: Dataset) -> None:
    """A frame whose compressor left a comment; nobody decodes it here."""
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGLSLossless

    head = b"\xff\xd8\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    data.PixelData = encapsulate([head + b"\xff\xda\x00\x02" + bytes(40) + b"\xff\xd9"])
    data["PixelData"].VR, data["PixelData"].is_undefined_length = "OB", True
    data.file_meta.TransferSyntaxUID = JPEGLSLossless


def test_a_comment_of_a_compressor_that_tells_keeps_the_file_out(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)[:2]
    _jpeg_with(b"for Zhuravlyova", made[0])
    _jpeg_with(b"encoder 1.2", made[1])
    done = _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    assert done.left_out["reason"].tolist() == ["telling_comment"] and done.n_copied == 1


@pytest.mark.parametrize("signed", [False, True])
def test_an_overlay_in_unused_bits_is_cleared_and_the_picture_stays(tmp_path, signed):
    scan = Scan(field=lambda x, y, z: np.round(50 * x + 3 * y), bits_stored=12, signed=signed,
                intercept=0.0 if signed else -1024.0)  # fmt: skip
    made = made_patients.slices(Planted(), scan=scan)
    letters = np.zeros(scan.shape[1:], np.uint16)
    letters[4:9, 3:12] = 0x2000 if signed else 0x8000
    for data in made:
        pixels = np.frombuffer(data.PixelData, "<u2")
        data.PixelData = (pixels ^ letters.ravel()).tobytes()
        data.add_new(0x60000102, "US", 15)
        data.add_new(0x60000100, "US", 16)
    source = made_ct.write(tmp_path / "source", made)
    done = _copy(source, tmp_path)
    assert done.done.set_index("what")["n"]["unused_bits_cleared"] == len(made)
    for data in _headers(tmp_path / "copy"):
        pixels = np.frombuffer(data.PixelData, "<i2" if signed else "<u2")
        assert -2048 <= pixels.min() and pixels.max() < (2048 if signed else 4096)
    assert (read_series(tmp_path / "copy").hu == read_series(source).hu).all()


def test_padding_beyond_the_stored_bits_and_the_sign_are_no_overlay(tmp_path):
    made = made_patients.slices(Planted(), scan=Scan(bits_stored=12))
    for data in made:
        pixels = np.frombuffer(data.PixelData, "<u2").copy()
        pixels[:20] = 63536
        data.PixelData, data.PixelPaddingValue = pixels.tobytes(), 63536
    done = _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    new = {data.InstanceNumber: data.PixelData for data in _headers(tmp_path / "copy")}
    assert new == {data.InstanceNumber: data.PixelData for data in made}
    assert "unused_bits_cleared" not in done.done["what"].tolist()


def test_the_sign_of_a_stored_value_is_no_overlay(tmp_path):
    scan = Scan(field=lambda x, y, z: np.round(50 * x), bits_stored=12, signed=True, intercept=0.0)
    made = made_patients.slices(Planted(), scan=scan)
    assert min(np.frombuffer(made[0].PixelData, "<i2")) < 0
    done = _copy(made_ct.write(tmp_path / "source", made), tmp_path)
    assert "unused_bits_cleared" not in done.done["what"].tolist()
    assert {data.PixelData for data in _headers(tmp_path / "copy")} == {data.PixelData for data in made}


def test_a_tail_behind_the_pixels_is_cut_off_and_missing_pixels_are_named(tmp_path):
    plant = Planted()
    made = made_patients.slices(Planted(), scan=SCAN)
    made[0].PixelData += plant("tail").encode().ljust(32)
    made[1].PixelData = made[1].PixelData[:-4]
    source = made_ct.write(tmp_path / "source", made)
    with open(source / "002", "ab") as stream:
        stream.write(plant("behind").encode())
    assert len(plant.leaks(source)) == 2
    done = _copy(source, tmp_path)
    assert plant.leaks(tmp_path / "copy") == []
    assert done.left_out[["path", "reason"]].to_numpy().tolist() == [["001", "short_pixels"]]
    counts = done.done.set_index("what")["n"]
    assert counts["tails_cut"] == 1 and counts["trailing_bytes"] == 1
    assert {len(data.PixelData) for data in _headers(tmp_path / "copy")} == {2 * 20 * 24}


# What is left out


def _changed(k: int, **changes) -> Dataset:
    data = made_patients.slices(Planted(), scan=SCAN)[0]
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k}"
    for keyword, value in changes.items():
        setattr(data, keyword, value)
        if keyword == "SOPClassUID":
            data.file_meta.MediaStorageSOPClassUID = value
    return data


STORAGE = "1.2.840.10008.5.1.4.1.1."
RISKY = {
    "burned_in_annotation": {"BurnedInAnnotation": "YES"},
    "secondary_capture": {"SOPClassUID": f"{STORAGE}7"},
    "screen_save": {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
    "dose_page": {"SeriesDescription": "Dose Report"},
    "colour": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"},
}
NEVER = {
    "document": {"SOPClassUID": f"{STORAGE}88.11", "Modality": "SR"},
    "other_kind": {"SOPClassUID": "1.3.12.2.1107.5.9.1"},
}


def test_pictures_that_may_show_a_name_stay_out_unless_asked_for_and_documents_always(tmp_path):
    changes = {**RISKY, **NEVER}
    made = [_changed(k, **change) for k, change in enumerate(changes.values())]
    for data in made:
        if data.SamplesPerPixel == 3:
            data.PixelData = data.PixelData * 3
    report = _changed(50, SOPClassUID=f"{STORAGE}104.1", EncapsulatedDocument=b"%PDF Zhuravlyova", Modality="DOC")
    state = _changed(51, SOPClassUID=f"{STORAGE}11.1", Modality="PR")
    source = made_ct.write(tmp_path / "source", [*made, report, state], [*changes, "pdf", "state"])
    done = _copy(source, tmp_path)
    found = dict(done.left_out[["path", "reason"]].to_numpy().tolist())
    assert done.n_copied == 0 and sorted(found.values()) == sorted([*changes, "document", "document"])
    done = _copy(source, tmp_path, "risky", keep_burned_in=True)
    assert done.n_copied == len(RISKY) and done.sound
    assert set(done.may_show_letters["keyword"]) == {*RISKY, "derived"}
    assert sorted(done.left_out["reason"]) == ["document", "document", "document", "other_kind"]


def test_a_localizer_and_a_reformat_are_copied_and_told_of(tmp_path, capsys):
    made = [
        _changed(1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        _changed(2, ImageType=["DERIVED", "SECONDARY"]),
    ]
    source = made_ct.write(tmp_path / "source", made)
    assert main(["deidentify", str(source), str(tmp_path / "copy"), "--secret", str(tmp_path / "secret")]) == 0
    said = capsys.readouterr().out
    assert "Look at 1 picture in the copy: localizer" in said and "Look at 1 picture in the copy: ImageType" in said


def test_what_is_no_dicom_image_is_counted_with_its_reason(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    names = [f"{k}.dcm" for k in range(len(made))]
    source = made_ct.write(tmp_path / "source", made, names)
    (source / "Zhuravlyova.nii.gz").write_bytes(b"\x1f\x8b descrip Zhuravlyova")
    (source / "mask.nrrd").write_bytes(b"NRRD0004\npatient:=Zhuravlyova\n")
    (source / "notes Zhuravlyova.txt").write_text("Zhuravlyova")
    (source / "0.dcm").write_bytes((source / "0.dcm").read_bytes()[:600])
    (source / "empty.dcm").write_bytes(b"")
    (source / "link.dcm").symlink_to(source / "gone")
    directory = _changed(9, SOPClassUID="1.2.840.10008.1.3.10")
    made_ct.write(source, [directory], ["DICOMDIR"])
    done = _copy(source, tmp_path)
    found = done.left_out["reason"].value_counts().to_dict()
    assert found == {"volume_file": 2, "broken": 2, "not_dicom": 1, "closed": 1, "directory": 1}
    assert done.n_files == len(made) + 6 and done.n_copied == len(made) - 1
    assert "huravlyova" not in done.left_out.to_csv()
    hidden = done.left_out.loc[done.left_out["reason"] == "not_dicom", "path"].item()
    assert find_path(source / hidden).name == "notes Zhuravlyova.txt"
    assert {path.suffix for path in (tmp_path / "copy").rglob("*") if path.is_file()} == {".dcm", ".json"}


def test_one_uid_for_two_contents_is_named_and_neither_is_copied(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    twin = made_patients.slices(Planted(), scan=SCAN)[0]
    twin.PixelData = bytes(len(twin.PixelData))
    again = made_patients.slices(Planted(), scan=SCAN)[1]
    again.file_meta.SourceApplicationEntityTitle = "OTHERWAY"  # sent twice: the same but for the sender
    source = made_ct.write(tmp_path / "source", [*made, twin, again])
    done = _copy(source, tmp_path)
    found = done.left_out.set_index("path")["reason"].to_dict()
    assert found == {"000": "twin_uid", "008": "twin_uid", "009": "duplicate"}
    assert done.n_copied == len(made) - 1 == len(_files(tmp_path / "copy"))


def test_one_uid_for_two_patients_is_named_and_neither_is_copied(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)[:2]
    other = made_patients.slices(Planted(), scan=SCAN, patient="OTHER-1")[0]
    done = _copy(made_ct.write(tmp_path / "source", [*made, other]), tmp_path)
    assert done.left_out["reason"].tolist() == ["twin_uid", "twin_uid"] and done.n_copied == 1


# Interrupted, and begun again


@pytest.mark.waits
def test_a_copy_that_was_killed_goes_on_and_ends_as_one_that_was_not(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN.but(shape=(260, 20, 24)))
    source = made_ct.write(tmp_path / "source", made)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "secret").write_text("0123456789abcdef" * 4)
    command = [sys.executable, "-m", "onlm_lab.cli", "deidentify", source, tmp_path / "copy", "--secret",
               tmp_path / "keys" / "secret", "--workers", "2"]  # fmt: skip
    child = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while len(_files(tmp_path / "copy")) < 20 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGSTOP)  # else its workers are orphans before anybody knows them
    workers = psutil.Process(child.pid).children(recursive=True)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not psutil.wait_procs(workers, timeout=60)[1], "its workers end with it"
    n_there = len(_files(tmp_path / "copy"))
    assert 0 < n_there < len(made)
    first = next(iter(_files(tmp_path / "copy")))
    (first.parent / f".{first.name}.99.part").write_bytes(b"half a file")
    before = {path: path.stat().st_mtime_ns for path in _files(tmp_path / "copy")}
    done = _copy(source, tmp_path)
    assert done.n_copied == len(made) and done.n_written == len(made) - len(before)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
    _copy(source, tmp_path, "whole")

    def content(name: str) -> dict:
        folder = tmp_path / name
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert content("copy") == content("whole")
    assert _copy(source, tmp_path).n_written == 0


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    source = made_ct.write(tmp_path / "source", made_patients.slices(Planted(), scan=SCAN))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        patch.setattr(sys.modules["onlm_lab.imaging.deidentification.deidentify"], "write_text", lambda *_: None)
        with pytest.raises(OSError, match="No space left"):
            _copy(source, tmp_path, workers=1)
    assert not [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]


def test_a_source_that_changed_is_written_anew(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    source = made_ct.write(tmp_path / "source", made)
    _copy(source, tmp_path)
    made[3].PixelData = bytes(len(made[3].PixelData))
    made_ct.write(source, [made[3]], ["003"])
    assert _copy(source, tmp_path).n_written == 1
    changed = [data for data in _headers(tmp_path / "copy") if data.InstanceNumber == 4]
    assert not any(changed[0].PixelData)


def test_a_corrected_file_with_an_older_time_and_a_name_known_later_are_written_anew(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    mask = made_patients.contours(SCAN, {"a": "GTV Qwertzny", "b": "GTV-2"}, like=made[0])
    source = made_ct.write(tmp_path / "source", [*made, mask])
    assert set(_copy(source, tmp_path).region_names["name"]) == {"GTV Qwertzny", "GTV-2"}
    assert _copy(source, tmp_path).n_written == 0
    mask.StructureSetROISequence[1].ROIName = "GTV-3"
    made_ct.write(source, [mask], ["008"])
    os.utime(source / "008", ns=(0, 0))  # as rsync -a leaves it
    done = _copy(source, tmp_path)
    assert done.n_written == 1 and set(done.region_names["name"]) == {"GTV Qwertzny", "GTV-3"}
    later = made_patients.slices(Planted(), scan=SCAN.but(series="two"), patient="B-7", name="Qwertzny^Na")[0]
    later.SOPInstanceUID = "1.9.8"
    made_ct.write(source, [later], ["100"])
    assert "GTV Qwertzny" not in set(_copy(source, tmp_path).region_names["name"])
    assert not any(b"Qwertzny" in path.read_bytes() for path in _files(tmp_path / "copy"))
    times = {path.stat().st_mtime for path in _files(tmp_path / "copy") if path.suffix != ".json"}
    assert max(times) < 1_200_000_000  # and none says when the source was made


def test_a_second_delivery_adds_to_the_copy_and_meets_the_first(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    source = made_ct.write(tmp_path / "source", made)
    _copy(source, tmp_path)
    later = made_ct.write(tmp_path / "later", [made_patients.contours(SCAN, {"a": "GTV-1"}, like=made[0])])
    done = _copy(later, tmp_path)
    assert done.n_written == 1
    mask = _of_kind("RTSTRUCT", tmp_path / "copy")[0]
    volume = read_series(tmp_path / "copy", _ct(tmp_path / "copy"))
    assert read_mask(mask, volume).any()


def test_two_commands_do_not_write_one_copy(tmp_path):
    from filelock import FileLock

    source = made_ct.write(tmp_path / "source", made_patients.slices())
    with FileLock(tmp_path / ".copy.lock"), pytest.raises(OnlmError, match="Another onlm command is writing 'copy'"):
        _copy(source, tmp_path)
    _copy(source, tmp_path)
    assert not (tmp_path / ".copy.lock").exists()
    said = json.loads((tmp_path / "copy" / "copy.json").read_text())
    assert (tmp_path / "keys" / "secret").read_text().strip() not in json.dumps(said)


# Readers


def test_scan_contours_and_segments_read_the_same_in_the_copy(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN)
    regions = made_patients.contours(SCAN, {"a": "GTV-1", "b": "Zhuravlyova"}, like=made[0])
    labels = made_patients.segments(SCAN, ["GTV-1", "Taisiya"], like=made[0])
    source = made_ct.write(tmp_path / "source", [*made, regions, labels])
    _copy(source, tmp_path)
    old, new = (read_series(folder, _ct(folder)) for folder in (source, tmp_path / "copy"))
    assert (old.hu == new.hu).all() and np.array_equal(old.direction, new.direction)
    assert (old.spacing_mm, old.origin_mm) == (new.spacing_mm, new.origin_mm)
    assert {key: old.acquisition[key] for key in ("kernel", "kvp", "thickness_mm", "contrast", "manufacturer")} == {
        key: new.acquisition[key] for key in ("kernel", "kvp", "thickness_mm", "contrast", "manufacturer")
    }
    for number, kind in enumerate(("RTSTRUCT", "SEG")):
        path = _of_kind(kind, tmp_path / "copy")[0]
        for k, roi in enumerate(("GTV-1", ("ROI 2", "Segment 2")[number])):
            before = read_mask(source / f"{8 + number:03d}", old, k + 1)
            assert before.any() and (read_mask(path, new, roi) == before).all()


def test_an_enhanced_ct_keeps_its_frames_and_loses_its_names(tmp_path):
    plant = Planted()
    first = made_patients.slices(plant, scan=SCAN)
    data = first[0]
    frames = []
    for k, one in enumerate(first):
        group, place, content = Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = one.ImagePositionPatient
        content.FrameAcquisitionDateTime, content.FrameComments = "20190704101113", plant(f"frame_{k}")
        content.FrameAcquisitionNumber, content.StackID = 1, "1"
        group.PlanePositionSequence, group.FrameContentSequence = [place], [content]
        frames.append(group)
    shared, measures, orientation, values = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = data.PixelSpacing, data.SliceThickness
    orientation.ImageOrientationPatient = data.ImageOrientationPatient
    values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -1024, "HU"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    shared.PixelValueTransformationSequence = [values]
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = [shared], frames
    data.NumberOfFrames, data.PixelData = len(first), b"".join(one.PixelData for one in first)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    source = made_ct.write(tmp_path / "source", [data])
    done = _copy(source, tmp_path)
    assert done.n_copied == 1 and plant.leaks(tmp_path / "copy", _said(done)) == []
    new = _headers(tmp_path / "copy")[0]
    assert new.PixelData == data.PixelData and len(new.PerFrameFunctionalGroupsSequence) == len(first)
    assert new.PerFrameFunctionalGroupsSequence[3].FrameContentSequence[0].FrameAcquisitionDateTime[-6:] == "101113"
    assert new.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0].RescaleType == "HU"
    places = [group.PlanePositionSequence[0].ImagePositionPatient for group in new.PerFrameFunctionalGroupsSequence]
    assert places == [one.ImagePositionPatient for one in first]


def test_a_real_patient_reads_the_same_in_the_copy(tmp_path, shared_data):
    source = shared_data("lung1")
    done = _copy(source, tmp_path)
    assert done.n_copied == done.n_files == 112 and done.sound
    assert set(done.region_names["name"]) == {
        "GTV-1", "Lung-Right", "Lung-Left", "Heart", "Esophagus", "Spinal-Cord",
    }  # fmt: skip
    old, new = (read_series(folder, _ct(folder)) for folder in (source, tmp_path / "copy"))
    assert (old.hu == new.hu).all() and old.origin_mm == new.origin_mm and old.spacing_mm == new.spacing_mm
    masks = [_of_kind("RTSTRUCT", folder)[0] for folder in (source, tmp_path / "copy")]
    assert (read_mask(masks[0], old, "GTV-1") == read_mask(masks[1], new, "GTV-1")).all()
    everything = b"".join(path.read_bytes() for path in _files(tmp_path / "copy"))
    for text in "LUNG1-002 2615788742648199 20140101 20090530 20190225 1.3.6.1.4.1.32722 POSDA NSCLC-Radiomics".split():
        assert text.encode() not in everything


def test_real_segmentations_read_the_same_in_the_copy(tmp_path, shared_data):
    source = shared_data("dicom_ct_seg")
    _copy(source, tmp_path)
    old, new = (read_series(folder, _ct(folder)) for folder in (source, tmp_path / "copy"))
    assert (old.hu == new.hu).all()
    pairs = []
    for folder in (source, tmp_path / "copy"):
        found = [
            path for path in folder.rglob("*.dcm") if pydicom.dcmread(path, stop_before_pixels=True).Modality == "SEG"
        ]
        pairs.append(sorted(found, key=lambda path: len(pydicom.dcmread(path).SegmentSequence)))
    for before, after in zip(*pairs, strict=True):
        for number in range(1, len(pydicom.dcmread(before).SegmentSequence) + 1):
            assert (read_mask(before, old, number) == read_mask(after, new, number)).all()


# Annotations


def _annotated(tmp_path: Path, rows: list[dict], **table) -> Path:
    made = made_patients.slices(Planted(), scan=SCAN)
    regions = made_patients.contours(SCAN, {"a": "GTV-1", "b": "Zhuravlyova"}, like=made[0])
    names = [f"ct/{NAME}/{k}.dcm" for k in range(len(made))]
    made_ct.write(tmp_path / "study", [*made, regions], [*names, "masks/contours.dcm"])
    path = tmp_path / "study" / "annotations.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_annotations_are_rewritten_for_the_copy(tmp_path):
    centre = {"tumour_x_mm": -3.25, "tumour_y_mm": 1.5, "tumour_z_mm": -90.0}
    row = {"patient_id": PATIENT, "series_uid": "", "series_path": f"ct/{NAME}", **centre}
    row |= {"mask_path": "masks/contours.dcm", "mask_roi": "zhurav*"}
    path = _annotated(tmp_path, [row])
    done = _copy(tmp_path / "study", tmp_path, annotations=path)
    assert done.n_copied == 9
    new = pd.read_csv(tmp_path / "copy" / "annotations.csv", dtype=str, keep_default_na=False).iloc[0]
    assert new["patient_id"] == _files(tmp_path / "copy")[0].parts[-3]
    assert [float(new[f"tumour_{axis}_mm"]) for axis in "xyz"] == [-3.25, 1.5, -90.0] and new["mask_roi"] == "ROI 2"
    volume = read_series(tmp_path / "copy" / new["series_path"])
    assert read_mask(tmp_path / "copy" / new["mask_path"], volume, new["mask_roi"]).any()
    plant = Planted({"name": NAME, "id": PATIENT})
    assert plant.leaks(tmp_path / "copy") == []


def test_annotations_by_series_uid_and_study_id_are_rewritten(tmp_path):
    (tmp_path / "ids.csv").write_text(f"patient_id,dicom_patient_id\nLC-1,{PATIENT}\n")
    uid = f"{made_patients.UID_ROOT}.471184.19510203.1"
    row = {"patient_id": "LC-1", "series_uid": uid, "tumour_x_mm": 0, "tumour_y_mm": 0, "tumour_z_mm": 0}
    path = _annotated(tmp_path, [row])
    _copy(tmp_path / "study", tmp_path, annotations=path, ids=tmp_path / "ids.csv")
    new = pd.read_csv(tmp_path / "copy" / "annotations.csv", dtype=str, keep_default_na=False).iloc[0]
    assert new["patient_id"] == "LC-1" and new["series_uid"] == _ct(tmp_path / "copy")


def test_a_scan_of_one_patient_with_the_mask_of_another_is_refused(tmp_path):
    row = {"patient_id": "OTHER-1", "tumour_x_mm": 0, "tumour_y_mm": 0, "tumour_z_mm": 0}
    path = _annotated(tmp_path, [{**row, "series_path": "other", "mask_path": "masks", "mask_roi": "GTV-1"}])
    other = made_patients.slices(Planted(), scan=SCAN, patient="OTHER-1")
    for k, data in enumerate(other):
        data.SOPInstanceUID, data.SeriesInstanceUID = f"1.2.{k}", "1.3"
    made_ct.write(tmp_path / "study" / "other", other)
    with pytest.raises(DataError, match="series and mask belong to different patients"):
        _copy(tmp_path / "study", tmp_path, annotations=path)


def test_annotations_of_a_second_delivery_stand_beside_the_first(tmp_path):
    centre = {"tumour_x_mm": 0, "tumour_y_mm": 0, "tumour_z_mm": 0}
    for number in ("A-1", "B-1", "A-1"):
        made = made_patients.slices(Planted(), scan=SCAN, patient=number)
        for k, data in enumerate(made):
            data.SOPInstanceUID, data.SeriesInstanceUID = f"1.2.{ord(number[0])}.{k}", f"1.3.{ord(number[0])}"
        source = made_ct.write(tmp_path / number / "ct", made)
        row = {"patient_id": number, "series_uid": made[0].SeriesInstanceUID, **centre}
        pd.DataFrame([row]).to_csv(tmp_path / number / "annotations.csv", index=False)
        _copy(source, tmp_path, annotations=tmp_path / number / "annotations.csv")
    table = pd.read_csv(tmp_path / "copy" / "annotations.csv", dtype=str)
    assert len(table) == 2 and set(table["patient_id"]) == {path.parts[-3] for path in _files(tmp_path / "copy")}


def test_annotations_with_faults_are_told_by_row_and_column_alone(tmp_path):
    row = {
        "patient_id": PATIENT,
        "series_path": f"ct/{NAME}",
        "tumour_x_mm": "Zhuravlyova",
        "tumour_y_mm": 0,
        "tumour_z_mm": 0,
    }
    path = _annotated(tmp_path, [row])
    with pytest.raises(DataError, match=r"annotations.csv: tumour_x_mm is not as wanted .* in row 2") as raised:
        _copy(tmp_path / "study", tmp_path, annotations=path)
    assert PATIENT not in str(raised.value) and "Zhurav" not in str(raised.value)


def test_annotations_that_cannot_be_rewritten_are_named_by_row_before_anything_is_copied(tmp_path):
    base = {"patient_id": "", "series_uid": "", "series_path": "", "tumour_x_mm": 1, "tumour_y_mm": 1,
            "tumour_z_mm": 1, "mask_path": "", "mask_roi": ""}  # fmt: skip
    here = {"series_path": "ct"}
    rows = [
        {**base, **here, "patient_id": "somebody else"},
        {**base, "patient_id": f"{PATIENT}", "series_uid": "1.2.3.4"},
        {**base, "patient_id": f"{PATIENT}a", "series_path": "elsewhere"},
        {**base, "patient_id": f"{PATIENT}b", "series_path": "ct", "mask_path": "mask.nii.gz"},
        {**base, "patient_id": f"{PATIENT}c", **here, "mask_path": "masks", "mask_roi": "nodule"},
    ]
    path = _annotated(tmp_path, rows)
    with pytest.raises(DataError) as raised:
        _copy(tmp_path / "study", tmp_path, annotations=path)
    said = str(raised.value)
    assert len(raised.value.faults) == 5
    for number, words in zip(
        range(2, 7), ("patient_id", "series_uid", "series_path", "mask_path", "mask_roi"), strict=True
    ):
        assert any(fault.startswith(f"annotations.csv: {words} ") and f"(row {number})" in fault
                   for fault in raised.value.faults), (number, words)  # fmt: skip
    assert PATIENT not in said and "somebody" not in said
    assert _files(tmp_path / "copy") == []


# The whole of the table is tested in test_profile.py


def test_the_list_of_a_copy_holds_nothing_but_what_the_options_replaced(tmp_path):
    source = made_ct.write(tmp_path / "source", made_patients.slices(Planted(), scan=SCAN))
    done = _copy(source, tmp_path)
    listed = identifying_elements(tmp_path / "copy")
    assert (listed["n_files"] == 0).all() and (listed["n_replaced"] > 0).any()
    pd.testing.assert_frame_equal(listed, done.remaining)
    path = _files(tmp_path / "copy")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path)
        data.PatientComments, data.SOPInstanceUID, data.PatientName = "back again", "1.2.3", "Somebody"
        data.save_as(path)
    again = identifying_elements(tmp_path / "copy").set_index("keyword")["n_files"]
    assert again[["PatientComments", "SOPInstanceUID", "PatientName"]].tolist() == [1, 1, 1]
    assert (again.drop(["PatientComments", "SOPInstanceUID", "PatientName", "PatientID"]) == 0).all()


def test_a_command_whose_copy_is_not_clean_says_so_and_fails(tmp_path, capsys, monkeypatch):
    source = made_ct.write(tmp_path / "source", made_patients.slices(Planted(), scan=SCAN))
    listed = identifying_elements(source)
    monkeypatch.setattr(
        sys.modules["onlm_lab.imaging.deidentification.deidentify"], "identifying_elements", lambda *a, **k: listed
    )
    words = ["deidentify", str(source), str(tmp_path / "copy"), "--secret", str(tmp_path / "secret")]
    assert main(words) == 2
    assert "STILL THERE in the copy" in capsys.readouterr().out


def test_results_do_not_hang_on_the_number_of_processes(tmp_path):
    made = made_patients.slices(Planted(), scan=SCAN.but(shape=(210, 4, 4)))
    source = made_ct.write(tmp_path / "source", made)
    results = [_copy(source, tmp_path, f"copy{n}", workers=n) for n in (1, 3)]
    for one, other in itertools.pairwise(results):
        assert one.n_copied == other.n_copied == len(made)
        pd.testing.assert_frame_equal(one.done, other.done)
        pd.testing.assert_frame_equal(one.remaining, other.remaining)
