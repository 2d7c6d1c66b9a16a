"""The list names every element of DICOM's basic profile that is filled, wherever it is, and never its value."""

from __future__ import annotations

import string
import warnings
from pathlib import Path

import made_ct
import made_patients
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_ct import Scan
from made_patients import NAME, PATIENT, Planted
from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary

from onlm_lab.errors import OnlmError
from onlm_lab.imaging import deidentify, identifying_elements
from onlm_lab.imaging.deidentification.elements import Element, File, known_vr, walk
from onlm_lab.imaging.deidentification.file_bytes import encode, opened
from onlm_lab.imaging.deidentification.profile import KINDS
from onlm_lab.imaging.deidentification.profile_table import (
    PROFILE,
    action_of,
    is_moved_date,
    keyword_of,
    name_of,
    stands_for,
    tag_text,
)

# Written down by hand from table E.1-1, years before the package whose table is used; with the actions of 2024.
BY_HAND = {
    "AccessionNumber": "Z", "AcquisitionComments": "X", "AcquisitionDate": "X/Z", "AcquisitionDateTime": "X/Z/D",
    "AcquisitionTime": "X/Z", "AdditionalPatientHistory": "X", "AdmissionID": "X", "AdmittingDate": "X",
    "AdmittingDiagnosesDescription": "X", "AdmittingTime": "X", "Allergies": "X", "ContentCreatorName": "Z/D",
    "ContentDate": "Z/D", "ContentTime": "Z/D", "ContrastBolusAgent": "Z/D", "CountryOfResidence": "X",
    "CurrentPatientLocation": "X", "DerivationDescription": "X", "DeviceSerialNumber": "X/Z/D", "DeviceUID": "U",
    "EthnicGroup": "X", "FrameOfReferenceUID": "U", "GantryID": "X", "ImageComments": "X",
    "InstanceCreationDate": "X/D", "InstanceCreationTime": "X/Z/D", "InstanceCreatorUID": "U",
    "InstitutionAddress": "X", "InstitutionName": "X/Z/D", "InstitutionalDepartmentName": "X",
    "IssuerOfPatientID": "X", "MediaStorageSOPInstanceUID": "U", "MedicalAlerts": "X", "MedicalRecordLocator": "X",
    "MilitaryRank": "X", "NameOfPhysiciansReadingStudy": "X", "Occupation": "X", "OperatorsName": "X/Z/D",
    "OriginalAttributesSequence": "X", "OtherPatientIDs": "X", "OtherPatientIDsSequence": "X",
    "OtherPatientNames": "X", "PatientAddress": "X", "PatientAge": "X", "PatientBirthDate": "Z",
    "PatientBirthName": "X", "PatientBirthTime": "X", "PatientComments": "X", "PatientID": "Z/D",
    "PatientMotherBirthName": "X", "PatientName": "Z", "PatientReligiousPreference": "X", "PatientSex": "Z",
    "PatientSize": "X", "PatientState": "X", "PatientTelephoneNumbers": "X", "PatientWeight": "X",
    "PerformedProcedureStepDescription": "X", "PerformedProcedureStepID": "X", "PerformedProcedureStepStartDate": "X",
    "PerformedProcedureStepStartTime": "X", "PerformingPhysicianName": "X", "PersonName": "D",
    "PhysiciansOfRecord": "X", "PregnancyStatus": "X", "ProtocolName": "X/D", "ReasonForStudy": "X",
    "ReferencedFrameOfReferenceUID": "U", "ReferencedImageSequence": "X/Z/U*", "ReferencedSOPInstanceUID": "U",
    "ReferringPhysicianAddress": "X", "ReferringPhysicianName": "Z", "ReferringPhysicianTelephoneNumbers": "X",
    "RegionOfResidence": "X", "RequestAttributesSequence": "X", "RequestedProcedureDescription": "X/Z",
    "RequestingPhysician": "X", "RequestingService": "X", "ResponsiblePerson": "X", "ReviewerName": "X/Z",
    "ROIDescription": "X", "ROIInterpreter": "Z", "ROIName": "Z", "ScheduledPerformingPhysicianName": "X",
    "ScheduledProcedureStepDescription": "X", "SeriesDate": "X/D", "SeriesDescription": "X", "SeriesInstanceUID": "U",
    "SeriesTime": "X/D", "SmokingStatus": "X", "SOPInstanceUID": "U", "SourceImageSequence": "X/Z/U*",
    "StationName": "X/Z/D", "StructureSetDate": "Z", "StructureSetLabel": "D", "StructureSetName": "X",
    "StructureSetTime": "Z", "StudyComments": "X", "StudyDate": "Z", "StudyDescription": "X", "StudyID": "Z",
    "StudyInstanceUID": "U", "StudyTime": "Z", "TimezoneOffsetFromUTC": "X", "TrackingUID": "U",
    "DataSetTrailingPadding": "X", "DigitalSignaturesSequence": "X", "VerifyingObserverName": "D",
}  # fmt: skip


def _listed(folder: Path):
    return identifying_elements(folder).set_index("keyword")


# The table


def test_the_table_holds_what_was_written_down_by_hand():
    from pydicom.datadict import tag_for_keyword

    assert {keyword: PROFILE.get(tag_for_keyword(keyword)) for keyword in BY_HAND} == BY_HAND
    assert len(PROFILE) == 652
    assert [action_of(tag) for tag in (0x00091001, 0x50023000, 0x60023000, 0x60024000)] == ["X"] * 4
    assert action_of(0x00280010) == "" and action_of(0x60020010) == ""


def test_every_date_and_every_name_that_pydicom_knows_is_in_the_table_or_cleaned_by_its_type():
    from pydicom.datadict import DicomDictionary

    outside = {tag for tag, entry in DicomDictionary.items() if entry[0] in ("PN", "DA", "DT") and tag not in PROFILE}
    assert len(outside) < 20  # of industry, inventories and security screening
    moved = {tag for tag in PROFILE if known_vr(tag) in ("DA", "DT", "TM") and not is_moved_date(tag, known_vr(tag))}
    never = {"PatientBirthDate", "PatientBirthTime", "LastMenstrualDate", "GPSDateStamp", "GPSTimeStamp"}
    assert {keyword_of(tag) for tag in moved} == never


def test_every_element_of_the_table_has_a_name_and_a_keyword():
    for tag in PROFILE:
        assert name_of(tag) and keyword_of(tag).isidentifier(), tag_text(tag)
    assert tag_text(0x60023000) == "(60xx,3000)" and name_of(0x60023000) == "Overlay Data"


# The list


def test_planted_elements_are_counted_at_any_depth_and_their_values_not_shown(tmp_path):
    plant = Planted()
    made = made_patients.slices(plant)
    source = made_ct.write(tmp_path / "source", made, [f"{PATIENT}/{k}" for k in range(len(made))])
    (source / "readme.txt").write_text("not DICOM")
    (source / "cut.dcm").write_bytes((source / PATIENT / "0").read_bytes()[:700])
    table = identifying_elements(source)
    assert table.columns[:3].tolist() == ["keyword", "tag", "n_files"] and set(table["kind"]) <= set(KINDS)
    assert plant.leaks(table.to_csv()) == []
    found = table.set_index("keyword")
    assert found.tag["PatientBirthDate"] == "(0010,0030)" and found.action["PatientBirthDate"] == "Z"
    for keyword in ("PatientName", "AccessionNumber", "ImageComments", "OtherPatientIDs", "DataSetTrailingPadding",
                    "RequestAttributesSequence", "private", "CurveData", "OverlayData", "OverlayComments", "preamble",
                    "path", "SourceApplicationEntityTitle", "PrivateInformation", "elements",
                    "MediaStorageSOPInstanceUID"):  # fmt: skip
        assert found.n_files[keyword] == 8, keyword
    assert found.n_nested["ReferencedSOPInstanceUID"] == found.n_nested["PatientID"] == 8
    assert found.n_nested["StudyDate"] == 0 and (found["n_replaced"] == 0).all()
    assert "MilitaryRank" not in found.index
    kinds = found["kind"].to_dict()
    assert kinds["OverlayData"] == kinds["CurveData"] == "overlay" and kinds["path"] == "path"
    attrs = {name: n for name, n in table.attrs.items() if n}
    assert attrs == {"n_files": 8, "n_not_dicom": 1, "n_broken": 1}


def test_a_creator_that_is_no_known_vendor_is_a_digest(tmp_path):
    data = made_ct.slices(Scan())[0]
    data.private_block(0x0009, "GEMS_IDEN_01", create=True).add_new(1, "LO", "x")
    data.private_block(0x0011, NAME, create=True).add_new(1, "LO", "x")
    data.add_new(0x00151001, "LO", "of nobody")
    found = _listed(made_ct.write(tmp_path / "ct", [data]))
    assert found.n_files["private"] == found.n_files["private GEMS_IDEN_01"] == 1
    assert found.tag["private GEMS_IDEN_01"] == "(0009,xxxx)"
    assert sum(name.startswith("private id-") for name in found.index) == 1
    assert "private without a creator" in found.index and not found.index.str.contains("Zhurav").any()


def test_private_elements_of_a_real_scanner_are_counted(shared_data):
    found = _listed(shared_data("dicom_ge_tilt"))
    assert found.n_files["private"] == 28 and found.n_files["PatientID"] == 28 and "StudyDate" not in found.index
    assert found.n_files["private GEMS_ACQU_01"] == 28
    assert identifying_elements(shared_data("dicom_ge_tilt")).attrs["n_identity_removed"] == 28


def test_empty_elements_are_not_listed(tmp_path):
    data = made_ct.slices(Scan())[0]
    data.PatientName, data.PatientID, data.AccessionNumber, data.StudyDate = "^^^^", "  ", "", ""
    inner = Dataset()
    inner.PatientName = ""
    data.OtherPatientIDsSequence, data.RequestAttributesSequence = [inner], []
    found = _listed(made_ct.write(tmp_path / "ct", [data]))
    assert set(found.index) == {"MediaStorageSOPInstanceUID", "SOPInstanceUID", "StudyInstanceUID",
                                "SeriesInstanceUID", "FrameOfReferenceUID"}  # fmt: skip


@pytest.mark.parametrize(
    ("risk", "changes"),
    [
        ("burned_in_annotation", {"BurnedInAnnotation": "YES"}),
        ("secondary_capture", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}),
        ("secondary_capture", {"Modality": "OT"}),
        ("screen_save", {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}),
        ("dose_page", {"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}),
        ("dose_page", {"SeriesDescription": "Patient Protocol"}),
        ("colour", {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}),
        ("colour", {"PhotometricInterpretation": "PALETTE COLOR"}),
        ("derived", {"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}),
        ("localizer", {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}),
        ("document", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67", "Modality": "SR"}),
        ("document", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}),
        ("document", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"}),
    ],
)
def test_what_may_show_letters_is_listed_by_its_reason(tmp_path, risk, changes):
    data = made_ct.slices(Scan())[0]
    for keyword, value in changes.items():
        setattr(data, keyword, value)
    table = identifying_elements(made_ct.write(tmp_path / "ct", [data]))
    assert risk in table.loc[table["kind"] == "burned_in", "keyword"].tolist()


def test_an_overlay_in_the_unused_bits_of_the_pixels_is_listed(tmp_path):
    data = made_ct.slices(Scan())[0]
    data.add_new(0x60000102, "US", 12)
    found = _listed(made_ct.write(tmp_path / "ct", [data]))
    assert found.kind["overlay_in_pixels"] == "burned_in"


def test_a_plain_ct_and_its_masks_bear_no_risk_of_letters(tmp_path):
    scan = Scan()
    made = made_patients.slices(scan=scan)
    masks = [
        made_patients.contours(scan, {"a": "GTV-1"}, like=made[0]),
        made_patients.segments(scan, ["T"], like=made[0]),
    ]
    table = identifying_elements(made_ct.write(tmp_path / "ct", [*made, *masks]))
    assert "burned_in" not in table["kind"].tolist()


def test_a_dicomdir_is_counted_and_the_names_in_it_listed(tmp_path):
    directory = next((Path(pydicom.__file__).parent / "data" / "test_files").rglob("DICOMDIR"))
    (tmp_path / "DICOMDIR").write_bytes(directory.read_bytes())
    table = identifying_elements(tmp_path)
    assert table.attrs["n_directories"] == 1
    assert table.set_index("keyword").n_nested["PatientName"] == 1


def test_the_same_is_listed_by_any_number_of_processes(tmp_path):
    made = made_patients.slices(scan=Scan(shape=(210, 4, 4)))
    source = made_ct.write(tmp_path / "source", made)
    one, two = identifying_elements(source, workers=1), identifying_elements(source, workers=2)
    assert one.equals(two) and one.attrs == two.attrs and one.attrs["n_files"] == 210


def test_a_folder_that_is_none_is_refused(tmp_path):
    with pytest.raises(OnlmError, match="'nowhere' is not a folder"):
        identifying_elements(tmp_path / "nowhere")


# Every element of the table, in a copy

SKELETON = {
    0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.2"), 0x00080018: ("UI", "1.2.3.4"), 0x0020000E: ("UI", "1.2.3.5"),
    0x00080060: ("CS", "CT"), 0x00100020: ("LO", "P-1"),
}  # fmt: skip
WORD = st.text(alphabet=string.ascii_uppercase, min_size=9, max_size=12).map(lambda text: f"Q{text}X")
TEMPORAL = {"DA": "19790816", "DT": "19790816121314.567800+0800", "TM": "121314.567800"}


def _filled(tag: int, vr: str, word: str) -> Element:
    """The element with a value of its type that says the word, or as much of it as the type takes."""
    if vr == "SQ":
        inner = {
            0x00104000: Element(0x00104000, "LT", word.encode()),
            0x00081155: Element(0x00081155, "UI", b"1.2.9.9.9.77"),
        }
        return Element(tag, "SQ", items=[inner])
    if vr in ("US", "SS"):
        return Element(tag, vr, b"\x7b\x7b")
    text = {**TEMPORAL, "UI": "1.2.9.9.9.77", "DS": "739182.5", "IS": "739182", "AS": "073Y"}.get(vr, word)
    return Element(tag, vr, text.encode())


def _written(path: Path, elements: list[Element]) -> None:
    data = {tag: Element(tag, vr, text.encode()) for tag, (vr, text) in SKELETON.items()}
    data |= {element.tag: element for element in elements if element.tag not in SKELETON and element.tag >> 16 != 2}
    meta = {0x00020010: Element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(File(meta, data, "1.2.840.10008.1.2.1")))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(word=WORD, nested=st.booleans(), as_unknown=st.booleans())
def test_no_element_of_the_table_survives_unless_an_option_changed_it(tmp_path_factory, word, nested, as_unknown):
    tmp_path = tmp_path_factory.mktemp("table")
    tags = [*PROFILE.keys() - {0x00420011}, 0x60003000, 0x60004000, 0x50003000, 0x00091001]  # 0042,0011: a document
    elements = []
    for tag in tags:
        vr = (known_vr(tag) or "LO").split(" or ")[0]
        element = _filled(tag, vr, word)
        if as_unknown and vr != "SQ":
            element = Element(tag, "UN", element.value)
        elements.append(element)
    if nested:
        holder = Element(0x00089215, "SQ", items=[{element.tag: element for element in elements}])
        elements = [Element(0x00082229, "SQ", items=[{0x00089215: holder}])]
    _written(tmp_path / "source" / "one", elements)
    done = deidentify(tmp_path / "source", tmp_path / "copy", secret=tmp_path / "secret")
    assert done.n_copied == 1 and done.sound
    path = next((tmp_path / "copy").glob("*/*/*.dcm"))
    content = path.read_bytes()
    assert all(text.encode() not in content for text in (word, "19790816", "1.2.9.9.9.77", "739182", "073Y", "{{"))
    with opened(path) as file:
        for element, _, _ in walk(file.data):
            if action_of(element.tag) and element.filled():
                assert stands_for(element, file), tag_text(element.tag)


@pytest.mark.parametrize("vr", ["LO", "DA", "UN", "OB", "SQ", "PN", "UT"])
def test_an_element_under_another_type_than_the_dictionary_says_brings_nothing_in(tmp_path, vr):
    word = "QZHURAVLX"
    inner = {0x00104000: Element(0x00104000, "LT", word.encode())}
    tags = (0x00280010, 0x00180050, 0x00080008, 0x00089215, 0x00080020, 0x0020000D, 0x00280030, 0x00181210, 0x00200013)
    elements = [
        Element(tag, vr, items=[inner]) if vr == "SQ" else Element(tag, vr, f"{word} ".encode()) for tag in tags
    ]
    _written(tmp_path / "source" / "one", [*elements, Element(0x00100010, "PN", word.encode())])
    deidentify(tmp_path / "source", tmp_path / "copy", secret=tmp_path / "secret")
    content = next((tmp_path / "copy").glob("*/*/*.dcm")).read_bytes()
    assert word.encode() not in content


def test_only_registered_uids_stay(tmp_path):
    planted = "1.2.840.10008.5.1.4.1.1.2.471184"  # looks like DICOM's own
    made = made_patients.slices()
    for data in made:
        data.add_new(0x00081150, "UI", planted)
        data.add_new(0x0008010C, "UI", "2.16.840.1.113883.6.96")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deidentify(made_ct.write(tmp_path / "source", made), tmp_path / "copy", secret=tmp_path / "secret")
        for path in (tmp_path / "copy").glob("*/*/*.dcm"):
            data = pydicom.dcmread(path)
            assert data.ReferencedSOPClassUID.startswith("2.25.") and data.SOPClassUID in UID_dictionary
            assert data.CodingSchemeUID == "2.16.840.1.113883.6.96"
