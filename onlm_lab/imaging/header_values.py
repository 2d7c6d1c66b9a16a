"""Understands the elements of a DICOM header: texts, numbers_of, and what slices of a series share as one `Header`."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pydicom.errors import BytesLengthException

from onlm_lab.imaging.frames import above_zero
from onlm_lab.imaging.header import Header
from onlm_lab.imaging.kinds import said_by_description, support_by_model
from onlm_lab.imaging.privacy import digest_text, identifying_texts, safe_text
from onlm_lab.imaging.texts import lenient, readings

CT_STORAGE = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
MALFORMED = (
    struct.error, zlib.error, ValueError, KeyError, TypeError, AttributeError, NotImplementedError,
    BytesLengthException,
)  # fmt: skip
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51))
MAYBE_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (81, 91, 93, 203))  # unless the header says no loss
NO_CONTRAST = ("", "no", "none", "n", "without", "无", "未使用")

_TEXTS = (
    "ImageType SOPClassUID Modality Manufacturer ManufacturerModelName SeriesDescription ContrastBolusAgent KVP "
    "SliceThickness ConvolutionKernel PatientPosition StudyInstanceUID SeriesInstanceUID "
    "ImageOrientationPatient FrameOfReferenceUID TemporalPositionIdentifier NumberOfFrames "
    "PixelSpacing LossyImageCompression RescaleIntercept RescaleSlope RescaleType GantryDetectorTilt "
    "NominalPercentageOfCardiacPhase BodyPartExamined"
).split()
SHORTS = (
    "SamplesPerPixel Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue "
    "PixelPaddingRangeLimit"
).split()
_DEMANDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")  # where there are pixels
IDENTIFYING = "PatientName PatientID AccessionNumber PatientBirthDate OtherPatientIDs".split()
CHARACTER_SET = "SpecificCharacterSet"
_OWN = ("ImagePositionPatient", "InstanceNumber", "AcquisitionNumber")  # what differs from slice to slice
COMMON = (*_TEXTS, *SHORTS, *IDENTIFYING, CHARACTER_SET)
KEYWORDS = (*COMMON, *_OWN)


@lru_cache(maxsize=512)
def in_common(values: tuple[bytes | None, ...], syntax: str, has_pixels: bool) -> tuple[Header, tuple[str, ...]] | None:
    """What slices share, as a header without a file, and the texts that tell who the patient is; None for no DICOM."""
    raw = {keyword: value for keyword, value in zip(COMMON, values, strict=True) if value is not None}
    characters = raw.get(CHARACTER_SET, b"").decode("ascii", "replace").strip(" \0")
    text = {keyword: lenient(raw.get(keyword, b""), characters) for keyword in _TEXTS}
    if not text["SeriesInstanceUID"] and not text["SOPClassUID"]:
        return None
    bad: list[str] = []

    def number(keyword: str, convert: Callable[[str], Any] = float, default: Any = float("nan")) -> Any:
        return converted(text[keyword], convert, default, keyword, bad)

    short = {keyword: _short(raw.get(keyword, b""), keyword, bad) for keyword in SHORTS}
    if has_pixels:
        bad += [keyword for keyword in _DEMANDED if short[keyword] is None and keyword not in bad]
    signed = short["PixelRepresentation"] == 1
    identifying = identifying_of(raw, characters)
    telling = telling_texts(identifying)
    lossless_said = text["LossyImageCompression"] == "00"
    lossy = text["LossyImageCompression"] == "01" or syntax in LOSSY or (syntax in MAYBE_LOSSY and not lossless_said)
    header = Header(
        file="",
        size_bytes=0,
        modified_ns=0,
        series_uid=text["SeriesInstanceUID"],
        study_uid=text["StudyInstanceUID"],
        sop_class_uid=text["SOPClassUID"],
        modality=text["Modality"] or ("CT" if text["SOPClassUID"] in CT_STORAGE else ""),
        frame_of_reference_uid=text["FrameOfReferenceUID"],
        image_type=tuple(part.strip() for part in text["ImageType"].split("\\")) if text["ImageType"] else (),
        orientation=number("ImageOrientationPatient", numbers_of, ()),
        pixel_spacing_mm=number("PixelSpacing", numbers_of, ()),
        rows=short["Rows"] or 0,
        columns=short["Columns"] or 0,
        n_frames=number("NumberOfFrames", _count, 1),
        samples=1 if short["SamplesPerPixel"] is None else short["SamplesPerPixel"],
        bits_allocated=short["BitsAllocated"] or 0,
        bits_stored=short["BitsStored"] or 0,
        high_bit=(short["BitsStored"] or 0) - 1 if short["HighBit"] is None else short["HighBit"],
        signed=signed,
        slope=number("RescaleSlope"),
        intercept=number("RescaleIntercept"),
        rescale_type=text["RescaleType"],
        padding=_as_signed(short["PixelPaddingValue"], signed),
        padding_limit=_as_signed(short["PixelPaddingRangeLimit"], signed),
        lossy=lossy,
        transfer_syntax=syntax,
        thickness_mm=number("SliceThickness", above_zero),
        kernel=safe_text(text["ConvolutionKernel"], identifying=telling),
        kvp=number("KVP", above_zero),
        gantry_degrees=number("GantryDetectorTilt"),
        manufacturer=safe_text(text["Manufacturer"], identifying=telling),
        model=safe_text(text["ManufacturerModelName"], identifying=telling),
        contrast=text["ContrastBolusAgent"].casefold() not in NO_CONTRAST,
        patient_position=text["PatientPosition"],
        phase=text["TemporalPositionIdentifier"] or text["NominalPercentageOfCardiacPhase"],
        hint=said_by_description(text["SeriesDescription"]) or support_by_model(text["ManufacturerModelName"]),
        body_part=safe_text(text["BodyPartExamined"], identifying=telling),
        unreadable=tuple(bad),
        patient=_digest(identifying),
    )
    return header, telling


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"{value} is no number of frames")
    return value


def _short(value: bytes, keyword: str, bad: list[str]) -> int | None:
    if len(value) == 2:
        return value[0] | value[1] << 8
    if value:
        bad.append(keyword)
    return None


def _as_signed(value: int | None, signed: bool) -> int | None:
    """Paddings follow the sign of the pixels, counts do not."""
    return value - 65536 if value is not None and signed and value > 32767 else value


def converted(text: str, convert: Callable[[str], Any], default: Any, keyword: str, bad: list[str]) -> Any:
    """One converted element; absent or empty gives the default, a value of the wrong kind names itself in `bad`."""
    if not text:
        return default
    try:
        return convert(text)
    except MALFORMED:
        bad.append(keyword)
        return default


def numbers_of(text: str) -> tuple[float, ...]:
    """A value of several numbers, which DICOM sets apart by backslashes."""
    return tuple(float(part) for part in text.split("\\"))


def identifying_of(raw: Mapping[str, bytes], characters: str) -> tuple[tuple[str, str], ...]:
    """Keyword and text of what tells who the patient is, in every reading that the bytes allow."""
    return tuple(
        (keyword, text) for keyword in IDENTIFYING if raw.get(keyword) for text in readings(raw[keyword], characters)
    )


def telling_texts(identifying: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """What of those texts would tell who the patient is if it stood elsewhere."""
    return tuple(dict.fromkeys(text for pair in identifying for text in identifying_texts(dict([pair]))))


def _digest(identifying: tuple[tuple[str, str], ...]) -> str:
    said: dict[str, str] = {}
    for keyword, text in identifying:
        said.setdefault(keyword, text)
    patient = said.get("PatientID") or said.get("PatientName")
    return digest_text(patient) if patient else ""
