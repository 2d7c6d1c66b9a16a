"""DICOM's Basic Application Level Confidentiality Profile as data: which elements, and what the standard does to each.

The table (PS3.15, E.1-1, edition 2026c) comes from the package dicom-anonymizer. Its 623 older rows were found equal
to those that idiscore 1.2 carries for the edition of 2024, and it has 33 newer ones. Neither its engine nor dicognito
0.19 is used: with names planted everywhere, dicom-anonymizer left those in sequences outside the table, in overlays,
file meta, preamble and unknown elements, and emptied the references from masks to CT; dicognito left descriptions,
comments, serial numbers, private elements, overlays and curves, and stops at a malformed date.
"""

from __future__ import annotations

from functools import lru_cache

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as table
from pydicom.datadict import dictionary_description, keyword_for_tag
from pydicom.uid import UID_dictionary

from onlm_lab.imaging.deidentification.descriptions import is_plain
from onlm_lab.imaging.deidentification.elements import Element, File, known_vr

EDITION = "2026c"
METHOD = f"onlm deidentify: DICOM PS3.15 {EDITION} basic profile"
# CID 7050 of DICOM PS3.16; what a copy says was done to it.
METHOD_CODES = {
    "113100": "Basic Application Confidentiality Profile",
    "113105": "Clean Descriptors Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}
DUMMY = "REMOVED"
NEW_UID = "2.25."  # of a number of 128 bits (PS3.5, B.2)
CONTRAST_WORDS = ("CONTRAST", "NONE")
PATIENT_NAME, PATIENT_ID, REGION_NAME, CONTRAST_AGENT, DESCRIPTION = (
    0x00100010, 0x00100020, 0x30060026, 0x00180010, 0x0008103E,
)  # fmt: skip
# Coding schemes of PS3.16, 8.1 outside DICOM's own root: LOINC, UCUM, SNOMED CT, FMA, RadLex.
_SCHEMES = frozenset(f"2.16.840.1.113883.6.{end}" for end in ("1", "8", "96", "119", "256"))
_LISTS = {
    "X": table.X_TAGS, "Z": table.Z_TAGS, "D": table.D_TAGS, "U": table.U_TAGS, "Z/D": table.Z_D_TAGS,
    "X/Z": table.X_Z_TAGS, "X/D": table.X_D_TAGS, "X/Z/D": table.X_Z_D_TAGS, "X/Z/U*": table.X_Z_U_STAR_TAGS,
}  # fmt: skip
PROFILE = {
    group << 16 | element: action for action, tags in _LISTS.items() for group, element, *rest in tags if not rest
}
ACTIONS = {
    "X": "removed", "Z": "emptied", "D": "replaced by a dummy", "U": "replaced by another UID",
    "Z/D": "emptied or replaced by a dummy", "X/Z": "removed or emptied", "X/D": "removed or replaced by a dummy",
    "X/Z/D": "removed, emptied or replaced by a dummy", "X/Z/U*": "removed, emptied, or its UIDs replaced",
}  # fmt: skip
_REPEATING = {0x60003000: "X", 0x60004000: "X"}  # overlay data and comments; of curves (50xx) everything goes
# Elements that the dictionary of pydicom 3.0 does not know yet.
_NEWER = {
    0x00081301: "Principal Diagnosis Code Sequence", 0x00081302: "Primary Diagnosis Code Sequence",
    0x00081303: "Secondary Diagnoses Code Sequence", 0x00081304: "Histological Diagnoses Code Sequence",
    0x00100011: "Person Names to Use Sequence", 0x00100012: "Name to Use", 0x00100013: "Name to Use Comment",
    0x00100014: "Third Person Pronouns Sequence", 0x00100015: "Pronoun Code Sequence", 0x00100016: "Pronoun Comment",
    0x00100041: "Gender Identity Sequence", 0x00100042: "Sex Parameters for Clinical Use Category Comment",
    0x00100043: "Sex Parameters for Clinical Use Category Sequence", 0x00100044: "Gender Identity Code Sequence",
    0x00100045: "Gender Identity Comment", 0x00100046: "Sex Parameters for Clinical Use Category Code Sequence",
    0x00100047: "Sex Parameters for Clinical Use Category Reference", 0x00102162: "Ethnic Groups",
    0x0040A034: "Effective Start DateTime", 0x0040A035: "Effective Stop DateTime", 0x0040B034: "Annotation DateTime",
    0x0040B036: "Segment Definition DateTime", 0x0040B03B: "Montage Name", 0x0040B03F: "Montage Channel Label",
    0x0040E012: "Display URI",
}  # fmt: skip
# The patient's own dates, and where and when a photograph was taken: no option of ours keeps them.
_NEVER_MOVED = (0x0010, 0x0016)


def is_private(tag: int) -> bool:
    """Whether a tag belongs to a vendor: its group is odd."""
    return bool(tag >> 16 & 1)


def is_graphic(tag: int) -> bool:
    """Whether a tag belongs to an overlay (60xx) or a curve (50xx)."""
    return tag >> 24 in (0x50, 0x60) and not is_private(tag)


def action_of(tag: int) -> str:
    """What the basic profile does to an element: X, Z, D, U or a choice of them as in table E.1-1; "" for nothing."""
    if is_private(tag) or tag >> 24 == 0x50:
        return "X"
    if tag >> 24 == 0x60:
        return _REPEATING.get(tag & 0xFF00FFFF, "")
    return PROFILE.get(tag, "")


def is_moved_date(tag: int, vr: str) -> bool:
    """Whether an element is a date or a time of day that the option 113107 keeps, dates in moved form."""
    return vr in ("DA", "DT", "TM") and tag >> 16 not in _NEVER_MOVED


@lru_cache(maxsize=4096)
def name_of(tag: int) -> str:
    """The element's name in the standard."""
    if tag in _NEWER:
        return _NEWER[tag]
    return dictionary_description(tag) if known_vr(tag) or keyword_for_tag(tag) else ""


@lru_cache(maxsize=4096)
def keyword_of(tag: int) -> str:
    """The element's keyword; of one that no dictionary knows, its name without blanks."""
    return keyword_for_tag(tag) or "".join(word[0].upper() + word[1:] for word in name_of(tag).split())


def tag_text(tag: int) -> str:
    """A tag as the standard writes it; the groups of overlays and curves are told of together."""
    if is_graphic(tag):
        return f"({tag >> 24:02X}xx,{tag & 0xFFFF:04X})"
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_registered(uid: str) -> bool:
    """Whether a UID names a kind of thing (a SOP class, a transfer syntax, a coding scheme), never a thing."""
    return uid in UID_dictionary or uid in _SCHEMES


def is_own_copy(file: File) -> bool:
    """Whether a file says that `onlm deidentify` made it."""
    return file.text(0x00120062) == "YES" and file.text(0x00120063).startswith("onlm deidentify")


def stands_for(element: Element, file: File) -> bool:
    """Whether a filled element of the profile, in a copy of ours, holds what the copy put there.

    Dates and regions' names cannot be told from real ones by looking: those count as replaced. All else is looked at.
    """
    tag, vr = element.tag, known_vr(element.tag) or element.vr
    if is_moved_date(tag, vr) or tag == REGION_NAME:
        return True
    if action_of(tag) == "X/Z/U*" and element.items is not None:
        return True  # what its items hold is looked at by itself
    text = element.raw().decode("latin_1").strip(" \0")
    if vr == "UI":
        return all(uid.startswith(NEW_UID) or is_registered(uid) for uid in text.split("\\"))
    if tag in (PATIENT_NAME, PATIENT_ID):
        return text == file.text(PATIENT_ID) == file.text(PATIENT_NAME)
    if tag == CONTRAST_AGENT:
        return text in CONTRAST_WORDS
    if tag == DESCRIPTION:
        return is_plain(text)
    return text in (DUMMY, "0")
