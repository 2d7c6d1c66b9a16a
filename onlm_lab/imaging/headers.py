"""Reads DICOM headers: what each file is, where its slices lie, and where in the file its pixels start."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pydicom
from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import Tag
from pydicom.uid import UID

from onlm_lab.imaging.frames import Frame, read_frames
from onlm_lab.imaging.kinds import said_by_description
from onlm_lab.imaging.privacy import digest_text, identifying_texts
from onlm_lab.imaging.quiet import reading_quietly
from onlm_lab.imaging.texts import lenient, readings
from onlm_lab.imaging.walk import FIRST_BYTES, IMPLICIT, OPEN_LENGTH, START_BYTES, STRUCTURE_GROUP, walk
from onlm_lab.imaging.whereabouts import safe_place, telling_parts

CT_STORAGE = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
MULTI_FRAME_STORAGE = CT_STORAGE[1:]
DIRECTORY_STORAGE = "1.2.840.10008.1.3.10"
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
MALFORMED = (
    struct.error, zlib.error, ValueError, KeyError, TypeError, AttributeError, NotImplementedError,
    BytesLengthException,
)  # fmt: skip
UNREADABLE = ("the header",)
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51))
MAYBE_LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (81, 91, 93, 203))  # unless the header says no loss
NO_CONTRAST = ("", "no", "none", "n", "without", "无", "未使用")

_TEXTS = (
    "ImageType SOPClassUID Modality Manufacturer ManufacturerModelName SeriesDescription ContrastBolusAgent KVP "
    "SliceThickness ConvolutionKernel PatientPosition StudyInstanceUID SeriesInstanceUID "
    "ImageOrientationPatient FrameOfReferenceUID TemporalPositionIdentifier NumberOfFrames "
    "PixelSpacing LossyImageCompression RescaleIntercept RescaleSlope RescaleType GantryDetectorTilt "
    "NominalPercentageOfCardiacPhase"
).split()
_SHORTS = (
    "SamplesPerPixel Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue "
    "PixelPaddingRangeLimit"
).split()
_DEMANDED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")  # where there are pixels
_IDENTIFYING = "PatientName PatientID AccessionNumber PatientBirthDate OtherPatientIDs".split()
_CHARACTER_SET = "SpecificCharacterSet"
_OWN = ("ImagePositionPatient", "InstanceNumber", "AcquisitionNumber")  # what differs from slice to slice
_COMMON = (*_TEXTS, *_SHORTS, *_IDENTIFYING, _CHARACTER_SET)
KEYWORDS = (*_COMMON, *_OWN)
_KEYWORD = {int(tag_for_keyword(keyword)): keyword for keyword in KEYWORDS}
WANTED = frozenset(_KEYWORD)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_TAGS = [Tag(tag) for tag in _KEYWORD] + [Tag(tag_for_keyword(keyword)) for keyword in _GROUPS]


_HIDDEN = ("file", "patient", "tells", "frames")


class Header(NamedTuple):
    """What one DICOM file, or one frame of it, says about itself. Nothing in it tells who the patient is but `file`.

    A tuple, since an index holds millions of them and sends them from one process to another.

    Attributes:
        file: relative to the folder that was read, with slashes; its parts may bear the patient's name.
        tells: which parts of "<that folder's name>/<file>" do, counted from 0.
        patient: a digest of PatientID, or of the name where there is none.
        frame: number of the frame in a multi-frame file, from 0; -1 for a file that is one slice.
        frames: what the functional groups of a multi-frame file say, until `slices_of` makes a header of each.
        number: InstanceNumber; it orders nothing, but a hole in it tells of a lost slice.
        phase, stack, acquisition: what tells slices at one place apart.
        hint: the kind of series (see kinds.KINDS) that its description names.
        unreadable: elements whose value is not what its type demands.
    """

    file: str
    size_bytes: int
    modified_ns: int
    series_uid: str = ""
    study_uid: str = ""
    sop_class_uid: str = ""
    modality: str = ""
    frame_of_reference_uid: str = ""
    image_type: tuple[str, ...] = ()
    position_mm: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    pixel_spacing_mm: tuple[float, ...] = ()
    rows: int = 0
    columns: int = 0
    n_frames: int = 1
    frame: int = -1
    samples: int = 1
    bits_allocated: int = 0
    bits_stored: int = 0
    high_bit: int = 0
    signed: bool = False
    slope: float = float("nan")  # a CT without its rescale has no Hounsfield units
    intercept: float = float("nan")
    rescale_type: str = ""
    padding: int | None = None
    padding_limit: int | None = None
    lossy: bool = False
    transfer_syntax: str = ""
    pixel_offset: int = -1
    pixel_bytes: int = -1  # as the header says; -1 where it leaves it open
    thickness_mm: float = float("nan")
    kernel: str = ""
    kvp: float = float("nan")
    gantry_degrees: float = float("nan")
    manufacturer: str = ""
    model: str = ""
    contrast: bool = False
    patient_position: str = ""
    acquisition: str = ""
    number: int | None = None
    phase: str = ""
    stack: str = ""
    hint: str = ""
    unreadable: tuple[str, ...] = ()
    patient: str = ""
    tells: tuple[int, ...] = ()
    frames: tuple[Frame, ...] = ()

    def __repr__(self) -> str:
        """Without what may tell who the patient is."""
        shown = (f"{name}={value!r}" for name, value in self._asdict().items() if name not in _HIDDEN)
        return f"Header({', '.join(shown)})"

    @property
    def is_directory(self) -> bool:
        """Whether the file is a DICOMDIR."""
        return self.sop_class_uid == DIRECTORY_STORAGE

    @property
    def named(self) -> str:
        """The file as a message names it."""
        return safe_place(f"/{self.file}", self.tells)


def slices_of(headers: list[Header]) -> list[Header]:
    """One header a slice: a multi-frame file becomes its frames, all else stays as it is."""
    if not any(header.frames for header in headers):
        return headers
    found = []
    for header in headers:
        if not header.frames:
            found.append(header)
            continue
        for k, frame in enumerate(header.frames):
            said = {name: getattr(frame, name) for name in Frame.__slots__}
            kept = {name: value for name, value in said.items() if value == value and value not in ("", ())}
            found.append(header._replace(frame=k, frames=(), **kept))
    return found


def read_header(folder: Path, file: str) -> Header | None:
    """The header of one file, or None where the file is not DICOM.

    Args:
        folder: the folder that is read.
        file: relative to it, with slashes.
    """
    path = f"{folder}/{file}"
    state = None
    try:
        with open(path, "rb", buffering=0) as stream:
            start = stream.read(FIRST_BYTES)
            is_dicom = start[128:132] == b"DICM"
            state = os.fstat(stream.fileno())
            if not is_dicom and not start[:128].strip(b"\0") and not file.rsplit("/", 1)[-1].startswith("."):
                return _broken(file, state)  # empty, or broken off within DICOM's blank preamble
            if not is_dicom and start[:2] not in (b"\x02\x00", b"\x08\x00"):
                return None
            found = _read(folder, file, stream, start, state)
    except (InvalidDicomError, EOFError, OSError, *MALFORMED):
        found, state, is_dicom = None, state or os.lstat(path), True
    return _broken(file, state) if found is None and is_dicom else found


def _broken(file: str, state: os.stat_result) -> Header:
    return Header(file=file, size_bytes=state.st_size, modified_ns=state.st_mtime_ns, unreadable=UNREADABLE)


def _read(folder: Path, file: str, stream: BinaryIO, start: bytes, state: os.stat_result) -> Header | None:
    walked = walk(start, state.st_size, wanted=WANTED)
    if walked is None and state.st_size > len(start):
        start += stream.read(START_BYTES - len(start))
        walked = walk(start, state.st_size, wanted=WANTED)
    if walked is None:
        return _parse(folder, file, stream, state)
    raw = {_KEYWORD[tag]: value for tag, value in walked.values.items()}
    raw.setdefault("SOPClassUID", walked.media_class.encode())
    if raw.get("NumberOfFrames", b"1").strip(b" \0") not in (b"", b"1") or lenient(raw.get("SOPClassUID", b""), "") in (
        MULTI_FRAME_STORAGE
    ):
        return _parse(folder, file, stream, state)
    pixels = (walked.pixel_offset, walked.pixel_bytes)
    return _header(folder, file, state, raw, syntax=walked.transfer_syntax, pixels=pixels)


def _parse(folder: Path, file: str, stream: BinaryIO, state: os.stat_result) -> Header | None:
    """The same by pydicom's full parser, for headers that the quick walk leaves alone."""
    stream.seek(0)
    pixels = (-1, -1)

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        nonlocal pixels
        if tag in PIXEL_TAGS and length:
            pixels = (stream.tell(), -1 if length == OPEN_LENGTH else length)
        return tag in PIXEL_TAGS or tag > PIXEL_TAGS[-1] or tag >> 16 == STRUCTURE_GROUP

    with reading_quietly():  # what matters of a malformed value is named in `unreadable`
        data = read_partial(stream, at_pixels, force=True, specific_tags=_TAGS)
        syntax = str(data.file_meta.get("TransferSyntaxUID", "")) or IMPLICIT
        if any(_cut_short(data.get_item(tag)) for tag in list(data.keys())):
            return _broken(file, state)
        raw = {keyword: _raw(data, keyword) for keyword in KEYWORDS if keyword in data}
        raw.setdefault("SOPClassUID", str(data.file_meta.get("MediaStorageSOPClassUID", "")).encode())
        if not data.original_encoding[1]:
            raw |= {keyword: value[::-1] for keyword, value in raw.items() if keyword in _SHORTS}
        enhanced = lenient(raw.get("SOPClassUID", b""), "") in MULTI_FRAME_STORAGE
        frames = read_frames(data) if enhanced else ()
    return _header(folder, file, state, raw, syntax=syntax, pixels=pixels, frames=frames)


def _header(
    folder: Path, file: str, state: os.stat_result, raw: Mapping[str, bytes], *, syntax: str, pixels: tuple[int, int],
    frames: tuple[Frame, ...] = (),
) -> Header | None:  # fmt: skip
    """A header from the bytes of its elements: what the slices of a series share is understood once."""
    offset, n_bytes = pixels
    common = _in_common(tuple(map(raw.get, _COMMON)), syntax, offset > 0)
    if common is None:
        return None
    header, telling = common
    bad = list(header.unreadable)

    def own(keyword: str, convert: Callable[[str], Any], default: Any) -> Any:
        value = raw.get(keyword)
        return _converted(lenient(value, ""), convert, default, keyword, bad) if value else default

    place = telling_parts(f"{_name(folder)}/{file}", identifying=telling) if telling else ()
    return header._replace(
        file=file, size_bytes=state.st_size, modified_ns=state.st_mtime_ns, pixel_offset=offset, pixel_bytes=n_bytes,
        position_mm=own("ImagePositionPatient", _numbers, ()), number=own("InstanceNumber", int, None),
        acquisition=own("AcquisitionNumber", str, ""), unreadable=tuple(bad), tells=place, frames=frames,
    )  # fmt: skip


@lru_cache(maxsize=512)
def _in_common(
    values: tuple[bytes | None, ...], syntax: str, has_pixels: bool
) -> tuple[Header, tuple[str, ...]] | None:
    """What slices share, as a header without a file, and the texts that tell who the patient is; None for no DICOM."""
    raw = {keyword: value for keyword, value in zip(_COMMON, values, strict=True) if value is not None}
    characters = raw.get(_CHARACTER_SET, b"").decode("ascii", "replace").strip(" \0")
    text = {keyword: lenient(raw.get(keyword, b""), characters) for keyword in _TEXTS}
    if not text["SeriesInstanceUID"] and not text["SOPClassUID"]:
        return None
    bad: list[str] = []

    def number(keyword: str, convert: Callable[[str], Any] = float, default: Any = float("nan")) -> Any:
        return _converted(text[keyword], convert, default, keyword, bad)

    short = {keyword: _short(raw.get(keyword, b""), keyword, bad) for keyword in _SHORTS}
    if has_pixels:
        bad += [keyword for keyword in _DEMANDED if short[keyword] is None and keyword not in bad]
    signed = short["PixelRepresentation"] == 1
    identifying = _identifying(raw, characters)
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
        orientation=number("ImageOrientationPatient", _numbers, ()),
        pixel_spacing_mm=number("PixelSpacing", _numbers, ()),
        rows=short["Rows"] or 0,
        columns=short["Columns"] or 0,
        n_frames=number("NumberOfFrames", int, 1),
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
        thickness_mm=number("SliceThickness"),
        kernel=text["ConvolutionKernel"],
        kvp=number("KVP"),
        gantry_degrees=number("GantryDetectorTilt"),
        manufacturer=text["Manufacturer"],
        model=text["ManufacturerModelName"],
        contrast=text["ContrastBolusAgent"].casefold() not in NO_CONTRAST,
        patient_position=text["PatientPosition"],
        phase=text["TemporalPositionIdentifier"] or text["NominalPercentageOfCardiacPhase"],
        hint=said_by_description(text["SeriesDescription"]),
        unreadable=tuple(bad),
        patient=_digest(identifying),
    )
    return header, _telling_texts(identifying)


def _short(value: bytes, keyword: str, bad: list[str]) -> int | None:
    if len(value) == 2:
        return value[0] | value[1] << 8
    if value:
        bad.append(keyword)
    return None


def _as_signed(value: int | None, signed: bool) -> int | None:
    """Paddings follow the sign of the pixels, counts do not."""
    return value - 65536 if value is not None and signed and value > 32767 else value


def _converted(text: str, convert: Callable[[str], Any], default: Any, keyword: str, bad: list[str]) -> Any:
    """One converted element; absent or empty gives the default, a value of the wrong kind names itself in `bad`."""
    if not text:
        return default
    try:
        return convert(text)
    except MALFORMED:
        bad.append(keyword)
        return default


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split("\\"))


def _identifying(raw: Mapping[str, bytes], characters: str) -> tuple[tuple[str, str], ...]:
    """Keyword and text of what tells who the patient is, in every reading that the bytes allow."""
    return tuple(
        (keyword, text) for keyword in _IDENTIFYING if raw.get(keyword) for text in readings(raw[keyword], characters)
    )


def _telling_texts(identifying: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for pair in identifying for text in identifying_texts(dict([pair]))))


def _digest(identifying: tuple[tuple[str, str], ...]) -> str:
    said: dict[str, str] = {}
    for keyword, text in identifying:
        said.setdefault(keyword, text)
    patient = said.get("PatientID") or said.get("PatientName")
    return digest_text(patient) if patient else ""


def telling_texts_of(folder: Path, file: str) -> tuple[str, ...]:
    """What of a file tells who the patient is, read anew: no header keeps it."""
    with reading_quietly():
        tags = [Tag(tag_for_keyword(keyword)) for keyword in (*_IDENTIFYING, _CHARACTER_SET)]
        data = pydicom.dcmread(f"{folder}/{file}", stop_before_pixels=True, force=True, specific_tags=tags)
        raw = {keyword: _raw(data, keyword) for keyword in (*_IDENTIFYING, _CHARACTER_SET)}
    characters = raw[_CHARACTER_SET].decode("ascii", "replace").strip(" \0")
    return _telling_texts(_identifying(raw, characters))


def _cut_short(element: object) -> bool:
    """Whether the file ends within an element."""
    length, value = getattr(element, "length", None), getattr(element, "value", None)
    return isinstance(value, bytes) and length is not None and length != OPEN_LENGTH and len(value) < length


def _raw(data: pydicom.Dataset, keyword: str) -> bytes:
    """The bytes of an element; of one that pydicom has converted already (SpecificCharacterSet), its text."""
    if keyword not in data:
        return b""
    value = data.get_item(keyword).value
    if isinstance(value, bytes):
        return value
    parts = [value] if isinstance(value, str) else list(value or ())
    return "\\".join(map(str, parts)).encode("utf-8", "replace")


@lru_cache(maxsize=64)
def _name(folder: Path) -> str:
    return folder.resolve().name


def syntax_name(header: Header) -> str:
    """The transfer syntax in words; one that DICOM does not know keeps its number."""
    return UID(header.transfer_syntax, IGNORE).name


@lru_cache(maxsize=64)
def _byte_order(transfer_syntax: str) -> str | None:
    syntax = UID(transfer_syntax, IGNORE)
    if not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated:
        return None
    return "<" if syntax.is_little_endian else ">"


def native_order(header: Header) -> str | None:
    """The byte order ("<" or ">") of uncompressed pixels that can be read in place; None where a decoder is needed."""
    alone = header.n_frames == 1 or header.frame >= 0
    if header.bits_allocated != 16 or header.samples != 1 or not alone or header.pixel_offset <= 0:
        return None
    return _byte_order(header.transfer_syntax)


def first_byte(header: Header) -> int:
    """Where in the file the native pixels of this slice start."""
    return header.pixel_offset + max(header.frame, 0) * 2 * header.rows * header.columns


def read_dataset(path: Path) -> pydicom.Dataset:
    """A whole file by pydicom, without its remarks on odd but readable values.

    Raises:
        InvalidDicomError, OSError, EOFError: no such file, or no DICOM.
    """
    with reading_quietly():
        return pydicom.dcmread(path)


def slice_name(header: Header) -> str:
    """A slice as a message names it: its file, made safe, the frame in it, and its position."""
    frame = f" frame {header.frame + 1}" if header.frame >= 0 else ""
    where = f" at z = {header.position_mm[2]:.2f} mm" if len(header.position_mm) == 3 else ""
    return f"'{header.named}'{frame}{where}"
