"""Keeps names out of what the software shows: safe paths, digests, and which identifying elements a folder holds."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError

from onlm_lab.errors import OnlmError

DIGEST_PREFIX = "id-"

# The part of the Basic Application Level Confidentiality Profile (DICOM PS3.15, table E.1-1) that names or dates a
# person, a visit or a member of staff. Descriptions and comments are in because staff write names into them.
PROFILE_KEYWORDS = tuple(
    """
AccessionNumber AcquisitionComments AcquisitionDate AcquisitionDateTime AcquisitionTime AdditionalPatientHistory
AdmissionID AdmittingDate AdmittingDiagnosesDescription AdmittingTime Allergies ContentCreatorName ContentDate
ContentTime CountryOfResidence CurrentPatientLocation DerivationDescription DeviceSerialNumber EthnicGroup
ImageComments InstitutionAddress InstitutionName InstitutionalDepartmentName InstanceCreationDate InstanceCreationTime
IssuerOfPatientID MedicalAlerts MedicalRecordLocator MilitaryRank NameOfPhysiciansReadingStudy Occupation OperatorsName
OtherPatientIDs OtherPatientIDsSequence OtherPatientNames PatientAddress PatientAge PatientBirthDate PatientBirthName
PatientBirthTime PatientComments PatientID PatientMotherBirthName PatientName PatientReligiousPreference PatientSex
PatientSize PatientState PatientTelephoneNumbers PatientWeight PerformedProcedureStepDescription
PerformedProcedureStepID PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformingPhysicianName
PhysiciansOfRecord PregnancyStatus ProtocolName ReasonForStudy ReferringPhysicianAddress ReferringPhysicianName
ReferringPhysicianTelephoneNumbers RegionOfResidence RequestAttributesSequence RequestedProcedureDescription
RequestingPhysician RequestingService ResponsiblePerson ReviewerName SOPInstanceUID ScheduledProcedureStepDescription
ScheduledPerformingPhysicianName SeriesDate SeriesDescription SeriesInstanceUID SeriesTime SmokingStatus StationName
StructureSetDate StructureSetLabel StructureSetName StructureSetTime StudyComments StudyDate StudyDescription StudyID
StudyInstanceUID StudyTime FrameOfReferenceUID
""".split()
)


class Whole(str):
    """A number or a date of the header: it tells only as a whole, its parts sit in harmless names of slices."""


def identifying_texts(header: Mapping[str, Any]) -> tuple[str, ...]:
    """What of a header (by keyword) may stand in the names of its folders and files and tells who the patient is."""
    names = [str(header.get(keyword) or "") for keyword in ("PatientName", "PatientID")]
    numbers = [str(header.get(keyword) or "") for keyword in ("AccessionNumber", "PatientBirthDate", "OtherPatientIDs")]
    return (*(text for text in names if text), *(Whole(text) for text in numbers if len(_plain(text)) >= 4))


def digest_text(text: str) -> str:
    """A short digest that stands for a name or an identifier wherever the text itself must not appear."""
    return DIGEST_PREFIX + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:10]


def safe_path(path: str | os.PathLike, *, identifying: Iterable[str] = ()) -> str:
    """A relative path in which every part that tells who the patient is has become a digest.

    Args:
        path: path relative to the study.
        identifying: texts of the header that tell who the patient is, of `identifying_texts`; blanks are ignored.
    """
    texts = [text for text in identifying if _plain(text)]
    parts = Path(path).parts
    return "/".join(digest_text(part) if _tells(part, texts) else part for part in parts)


def safe_text(text: str, *, identifying: Iterable[str]) -> str:
    """Free text of a header (a contour's name), replaced by a digest when it tells who the patient is."""
    return digest_text(text) if _tells(text, [item for item in identifying if _plain(item)]) else text


def find_path(path: str | os.PathLike) -> Path:
    """The file or folder on disk that a path given by `safe_path` stands for; other paths come back unchanged."""
    path = Path(path)
    if path.exists() or not any(part.startswith(DIGEST_PREFIX) for part in path.parts):
        return path
    found = Path(path.anchor) if path.anchor else Path()
    for part in path.parts[1:] if path.anchor else path.parts:
        step = found / part
        if part.startswith(DIGEST_PREFIX) and not step.exists() and found.is_dir():
            step = next((found / name for name in sorted(os.listdir(found)) if digest_text(name) == part), step)
        found = step
    return found


def identifying_elements(folder: str | os.PathLike) -> pd.DataFrame:
    """Which identifying elements of DICOM's basic profile are filled in below a folder, and in how many files.

    Returns:
        One row an element: keyword, tag, n_files; private elements are counted together as "private". The values
        themselves are never shown. `.attrs` holds n_files (DICOM files read) and n_not_dicom.

    Raises:
        OnlmError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise OnlmError(f"'{folder.name}' is not a folder. Give the folder that holds the DICOM files.")
    counts: Counter[str] = Counter()
    n_files = n_not_dicom = 0
    for path in sorted(item for item in folder.rglob("*") if item.is_file()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a malformed value is still a value that is present
                header = pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, EOFError):
            n_not_dicom += 1
            continue
        n_files += 1
        counts.update(_filled(header))
    rows = [(keyword, _tag_text(keyword), counts[keyword]) for keyword in (*PROFILE_KEYWORDS, "private")]
    table = pd.DataFrame([row for row in rows if row[2]], columns=["keyword", "tag", "n_files"])
    table.attrs.update(n_files=n_files, n_not_dicom=n_not_dicom)
    return table


def _filled(header: pydicom.Dataset) -> set[str]:
    present = {keyword for keyword in PROFILE_KEYWORDS if keyword in header and header.get_item(keyword).value}
    if any(element.tag.is_private for element in header):
        present.add("private")
    return present


def _tag_text(keyword: str) -> str:
    tag = tag_for_keyword(keyword)
    return "" if tag is None else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _plain(text: str) -> str:
    """Letters and digits only, lower case: DOE^JOHN, doe_john and Doe-John become one."""
    return re.sub(r"[\W_]+", "", str(text)).casefold()


def _tells(part: str, identifying: list[str]) -> bool:
    plain, stem = _plain(part), _plain(Path(part).stem)
    if not plain:
        return False
    for text in identifying:
        whole = _plain(text)
        if whole in (plain, stem) or (len(whole) >= 4 and whole in plain):
            return True
        if isinstance(text, Whole):
            continue
        if len(stem.encode()) >= 3 and stem in whole:
            return True
        # A short word ("li", "1") sits inside too many harmless names to be looked for there.
        words = [_plain(word) for word in re.split(r"[\^=\s,_.-]+", str(text))]
        tokens = {re.sub(r"[\W_]+", "", token).casefold() for token in re.split(r"[\W_]+", part)}
        if any(word in tokens for word in words if len(word) >= 2 and not word.isdigit()):
            return True
    return False
