"""Nothing that tells who the patient is leaves the imaging room, whatever the folders are called."""

from __future__ import annotations

import made_ct
import pytest
from made_ct import Scan

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, index_series, read_mask, read_series
from onlm_lab.imaging.privacy import digest_text, find_path, identifying_texts, safe_path, safe_text

NAME, PATIENT = "Zhuravlyova^Anna", "HOSP-4711"


@pytest.mark.parametrize("part", ["Zhuravlyova", "anna_zhuravlyova", "HOSP-4711", "hosp4711.dcm", "4711", "CT Anna 2"])
def test_a_path_part_that_names_the_patient_becomes_a_digest(part):
    safe = safe_path(f"centre_1/{part}/slice_01", identifying=[NAME, PATIENT])
    assert safe == f"centre_1/{digest_text(part)}/slice_01" and digest_text(part).startswith("id-")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Müller^Jürgen", "Mueller_J"), ("Müller^Jürgen", "Muller"), ("Mueller^Juergen", "Müller 2"),
        ("Mustermann^Erika", "erikamustermann3.dcm"), ("Mustermann^Erika", "CT-Mustermann2020"),
        ("Øster^Åse", "oster øster"), ("Nguyễn^An", "NGUYEN.dcm"),
    ],
)  # fmt: skip
def test_a_name_is_known_in_every_spelling_and_inside_a_word(name, part):
    assert safe_path(part, identifying=[name]) == digest_text(part)


@pytest.mark.parametrize(
    "part", ["01.01.1960", "CT_01-01-1960", "CT_600131", "310160", "013160.dcm", "x31011960", "2020-01-05_Thorax",
             "scan 20200105", "05.01.2020", "1.2.840.20200105.3"],
)  # fmt: skip
def test_dates_of_birth_in_any_order_and_dates_of_scans_become_digests(part):
    born = identifying_texts({"PatientBirthDate": "19600131"})
    assert safe_path(part, identifying=born).startswith("id-")
    dated = part not in ("CT_600131", "310160", "013160.dcm", "x31011960")
    assert safe_path(part).startswith("id-") == dated  # a date that is written out tells by itself


@pytest.mark.parametrize(
    "part", ["IM-0001-0023.dcm", "000101", "1.3.12.2.1107.5.1.4.50000.3", "2020", "12.5mm", "PAT99"]
)
def test_numbers_of_slices_are_no_dates(part):
    born = identifying_texts({"PatientBirthDate": "19600131"})
    assert safe_path(part, identifying=[*born, "Li^A"]) == part


def test_a_name_in_chinese_is_known_in_a_folder():
    assert safe_path("ct/王小明", identifying=["王^小明"]).startswith("ct/id-")


@pytest.mark.parametrize("path", ["centre_1/series_2/slice_01", "ct/0001/1-001.dcm", "lung/a b/c.dcm", "1/2"])
def test_other_path_parts_stay_readable(path):
    assert safe_path(path, identifying=[NAME, PATIENT, "", "^"]) == path
    assert safe_path(path) == path


def test_free_text_that_names_the_patient_becomes_a_digest():
    assert safe_text("GTV Zhuravlyova", identifying=[NAME]).startswith("id-")
    assert safe_text("GTV-1", identifying=[NAME]) == "GTV-1"


def _planted(root):
    made = made_ct.slices(Scan())
    for data in made:
        data.PatientName, data.PatientID, data.AccessionNumber = NAME, PATIENT, "ACC-99887"
        data.PatientBirthDate, data.SeriesDescription = "19510203", "for Dr Zhuravlyova"
    names = [f"Anna_Zhuravlyova/HOSP-4711/{k}.dcm" for k in range(len(made))]
    return made_ct.write(root / "Zhuravlyova study", made, names)


def test_a_planted_name_is_in_no_table_no_fact_and_no_message(tmp_path):
    folder = _planted(tmp_path)
    table = find_series(folder)
    shown = [
        table.to_csv(),
        repr(table.attrs),
        repr(read_series(folder).acquisition),
        repr(index_series(folder).headers),
    ]
    for k in (3, 5):
        (folder / "Anna_Zhuravlyova" / "HOSP-4711" / f"{k}.dcm").unlink()
    with pytest.raises(SeriesError, match="slices are missing") as raised:
        read_series(folder)
    shown.append(str(raised.value))
    with pytest.raises(SeriesError) as raised:
        read_series(folder, "1.2")
    shown.append(str(raised.value))
    for text in shown:
        for secret in ("zhuravlyova", "anna", "4711", "99887", "19510203"):
            assert secret not in made_ct.without_long_numbers(text.lower())


def test_a_planted_name_is_in_no_message_about_a_mask(tmp_path):
    folder = _planted(tmp_path)
    volume = read_series(folder)
    data = made_ct.rtstruct({"GTV": [], "Anna old": []})
    data.PatientName, data.PatientID = NAME, PATIENT
    made_ct.write(tmp_path, [data], ["Zhuravlyova.dcm"])
    for roi in (None, "GTV", "nodule"):
        with pytest.raises(SeriesError) as raised:
            read_mask(tmp_path / "Zhuravlyova.dcm", volume, roi)
        assert "zhuravlyova" not in str(raised.value).lower() and "anna" not in str(raised.value).lower()


def test_a_safe_path_of_the_table_opens_the_folder_that_it_stands_for(tmp_path):
    folder = _planted(tmp_path)
    safe = find_series(folder).path[0]
    assert safe.count("id-") == 2
    assert find_path(folder / safe) == folder / "Anna_Zhuravlyova" / "HOSP-4711"
    assert read_series(folder / safe).shape == (8, 20, 24)
    with pytest.raises(SeriesError, match="'id-0000000000' does not exist"):
        read_series(folder / "id-0000000000")


def test_folders_and_files_named_after_a_visit_or_a_birth_date_become_digests(tmp_path):
    made = made_ct.slices(Scan())
    for data in made:
        data.PatientName, data.AccessionNumber, data.PatientBirthDate = NAME, "ACC-99887", "19500101"
    names = [f"born_1950-01-01/{'ACC99887_' if k == 5 else ''}{k + 1:03d}.dcm" for k in range(len(made))]
    del made[5].PixelData
    folder = made_ct.write(tmp_path / "ct", made, names)
    assert find_series(folder).path[0].startswith("id-")
    with pytest.raises(SeriesError, match="no pixels") as raised:
        read_series(folder)
    assert "99887" not in str(raised.value) and "1950" not in str(raised.value)
    (folder / names[5]).unlink()
    made[2].PixelData = made[2].PixelData[:10]
    made_ct.write(tmp_path / "ct", made[:5], names[:5])
    with pytest.raises(SeriesError, match=r"'id-[0-9a-f]+/003\.dcm'"):  # a slice's number is no part of a birth date
        read_series(folder)
