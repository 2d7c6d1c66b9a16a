"""Which DICOM files may show a name in their pixels, or hold one as a document: told from the header alone.

Whether letters are really there only a person can see. What is told here is the risk.
"""

from __future__ import annotations

from pydicom.uid import UID_dictionary

from onlm_lab.imaging.deidentification.elements import File
from onlm_lab.imaging.kinds import said_by_description, said_by_image_type
from onlm_lab.imaging.texts import lenient

RISKS = {
    "burned_in_annotation": "BurnedInAnnotation says YES",
    "secondary_capture": "a picture of a screen, a scanned page, a photograph or ultrasound",
    "screen_save": "ImageType names a screen save or a report",
    "dose_page": "dose page or protocol page",
    "colour": "colour picture",
    "document": "document or notes: structured report, PDF, presentation state, curve, raw data of a scanner",
    "derived": "ImageType DERIVED and SECONDARY: text is possible, as in reformats with a legend",
    "localizer": "localizer, which may bear lines and numbers",
    "overlay_in_pixels": "an overlay lies in unused bits of the pixels",
}
WITHHELD = ("burned_in_annotation", "secondary_capture", "screen_save", "dose_page", "colour")
STORAGE = "1.2.840.10008.5.1.4.1.1."
DIRECTORY = "1.2.840.10008.1.3.10"
SEGMENTATION = (f"{STORAGE}66.4", f"{STORAGE}66.7")
# Standalone overlays and curves, waveforms, presentation states, raw data, reports, documents in an envelope.
_DOCUMENTS = ("8", "9", "10", "66")
_DOCUMENT_FAMILIES = ("9.", "11.", "88.", "104.")
_PICTURES = ("7",)
_PICTURE_FAMILIES = ("7.", "77.")  # photographs, endoscopy and microscopy are pictures too
_NO_SCANNER = ("OT", "SC", "DOC", "SR", "KO", "PR", "ECG", "XC", "GM", "SM", "ES", "US", "IVUS", "HC", "FILM")
_GREY = ("MONOCHROME1", "MONOCHROME2", "")


def storage_class(file: File) -> str:
    """The SOP class of a file if it is one that DICOM stores images and regions by, else ""."""
    uid = file.text(0x00080016)
    known = UID_dictionary.get(uid, ("", ""))[1] == "SOP Class"
    return uid if known and uid.startswith(STORAGE) else ""


def is_document(file: File) -> bool:
    """Whether its content is text, notes or curves: without them nothing would be left of it."""
    uid = file.text(0x00080016)
    end = uid.removeprefix(STORAGE) if uid.startswith(STORAGE) else ""
    return end in _DOCUMENTS or end.startswith(_DOCUMENT_FAMILIES) or 0x00420011 in file.data


def risks(file: File) -> tuple[str, ...]:
    """Why the pixels of a file, or the file as a document, may tell who the patient is: keys of RISKS."""
    uid = file.text(0x00080016)
    if uid in SEGMENTATION:  # masks; a label map has colours, but no picture
        return ()
    found = []
    if is_document(file):
        found.append("document")
    if file.text(0x00280301).upper() == "YES":
        found.append("burned_in_annotation")
    end = uid.removeprefix(STORAGE) if uid.startswith(STORAGE) else ""
    if end in _PICTURES or end.startswith(_PICTURE_FAMILIES) or file.text(0x00080060).upper() in _NO_SCANNER:
        found.append("secondary_capture")
    image_type = [word.strip().upper() for word in file.text(0x00080008).split("\\")]
    said = said_by_image_type(image_type)
    if said == "picture":
        found.append("screen_save")
    if said == "dose_page" or said_by_description(_description(file)) == "dose_page":
        found.append("dose_page")
    if file.number(0x00280002, default=1) != 1 or file.text(0x00280004).upper() not in _GREY:
        found.append("colour")
    if image_type[:2] == ["DERIVED", "SECONDARY"]:
        found.append("derived")
    if said == "localizer":
        found.append("localizer")
    if overlays_in_pixels(file):
        found.append("overlay_in_pixels")
    return tuple(found)


def overlays_in_pixels(file: File) -> bool:
    """Whether an overlay is said to lie in the pixels' unused bits (retired in 2004, still met)."""
    for tag in file.data:
        if tag >> 24 == 0x60 and not (tag >> 16) % 2 and tag & 0xFFFF == 0x0102 and file.number(tag):
            return True
    return False


def _description(file: File) -> str:
    element = file.data.get(0x0008103E)
    return lenient(element.raw(), file.text(0x00080005)) if element is not None else ""
