"""Reads DICOM headers: what each file is, where its slice lies, and where in the file its pixels start."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import struct
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import Tag
from pydicom.uid import UID
from tqdm.auto import tqdm

from onlm_lab.imaging.privacy import identifying_texts
from onlm_lab.imaging.walk import IMPLICIT, START_BYTES, STRUCTURE_GROUP, walk
from onlm_lab.processes import begin_worker

CT_STORAGE = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
MALFORMED = (struct.error, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, BytesLengthException)
UNREADABLE = ("the header",)
PART_FILES = 500  # read in one go by one process
BAR_AFTER_S = 1.0  # a search that takes less shows no bar
MANY_FILES = 3000  # from here on a second process pays for its start

KEYWORDS = (
    "ImageType SOPClassUID SOPInstanceUID Modality Manufacturer ManufacturerModelName PatientName PatientID "
    "AccessionNumber PatientBirthDate OtherPatientIDs "
    "ContrastBolusAgent SliceThickness KVP ConvolutionKernel PatientPosition StudyInstanceUID SeriesInstanceUID "
    "ImagePositionPatient ImageOrientationPatient FrameOfReferenceUID SamplesPerPixel NumberOfFrames Rows Columns "
    "PixelSpacing BitsAllocated BitsStored PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit "
    "LossyImageCompression RescaleIntercept RescaleSlope GantryDetectorTilt"
).split()
TAGS = [Tag(tag_for_keyword(keyword)) for keyword in KEYWORDS]
_SHORTS = frozenset(
    "SamplesPerPixel Rows Columns BitsAllocated BitsStored PixelRepresentation PixelPaddingValue "
    "PixelPaddingRangeLimit".split()
)
_WANTED = {int(tag): keyword in _SHORTS for tag, keyword in zip(TAGS, KEYWORDS, strict=True)}
_KEYWORD = {int(tag): keyword for tag, keyword in zip(TAGS, KEYWORDS, strict=True)}

_Elements = Mapping[str, Any] | pydicom.Dataset


@dataclass(frozen=True)
class Header:
    """What one DICOM file says about itself. `file` is relative to the folder that was read."""

    file: str = field(repr=False)  # its folders may bear the patient's name
    size_bytes: int
    modified_ns: int
    series_uid: str = ""
    study_uid: str = ""
    instance_uid: str = ""
    modality: str = ""
    frame_of_reference_uid: str = ""
    image_type: tuple[str, ...] = ()
    position_mm: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    pixel_spacing_mm: tuple[float, ...] = ()
    rows: int = 0
    columns: int = 0
    n_frames: int = 1
    samples: int = 1
    bits_allocated: int = 0
    bits_stored: int = 0
    signed: bool = False
    slope: float = float("nan")  # a CT without its rescale has no Hounsfield units
    intercept: float = float("nan")
    padding: int | None = None
    padding_limit: int | None = None
    lossy: bool = False
    transfer_syntax: str = ""
    pixel_offset: int = -1
    thickness_mm: float = float("nan")
    kernel: str = ""
    kvp: float = float("nan")
    gantry_degrees: float = float("nan")
    manufacturer: str = ""
    model: str = ""
    contrast: bool = False
    patient_position: str = ""
    is_directory: bool = False  # a DICOMDIR
    unreadable: tuple[str, ...] = ()  # elements whose value is not what its type demands
    patient: str = field(default="", repr=False)  # PatientID, or the name where there is none
    identifying: tuple[str, ...] = field(default=(), repr=False)  # neither ever leaves this package


def list_files(folder: Path) -> list[str]:
    """Every file below a folder, relative to it, in a fixed order."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders.sort()
        relative = os.path.relpath(root, folder)
        found.extend(name if relative == "." else f"{relative}/{name}" for name in sorted(names))
    return found


def read_headers(folder: Path, *, workers: int | None = None, progress: bool = False) -> tuple[list[Header], int]:
    """The headers of every DICOM file below a folder, and how many files there are in all.

    Args:
        folder: read with everything below it.
        workers: processes to use; None takes one for a few thousand files and up to four above.
        progress: whether to show a bar.
    """
    files = list_files(folder)
    if workers is None:
        workers = min(4, os.cpu_count() or 1) if len(files) >= MANY_FILES else 1
    parts = [files[start : start + PART_FILES] for start in range(0, len(files), PART_FILES)]
    found: list[Header] = []
    bar = tqdm(total=len(files), desc="  headers", unit="file", delay=BAR_AFTER_S, disable=not progress)
    with bar, _mapping(workers) as mapping:
        for part, read in zip(parts, mapping(_read_part, [folder] * len(parts), parts), strict=True):
            found += read
            bar.update(len(part))
    return found, len(files)


@contextlib.contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map`, over that many processes; one process needs no other."""
    if workers < 2 or multiprocessing.current_process().daemon:
        yield map
        return
    with ProcessPoolExecutor(workers, initializer=begin_worker, initargs=(os.getpid(),)) as pool:
        try:
            yield pool.map
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _read_part(folder: Path, files: list[str]) -> list[Header]:
    return [header for file in files if (header := read_header(folder, file)) is not None]


def read_header(folder: Path, file: str) -> Header | None:
    """The header of one file, or None where the file is not DICOM."""
    path = folder / file
    try:
        with open(path, "rb") as stream:
            start = stream.read(START_BYTES)
            is_dicom = start[128:132] == b"DICM"
            state = os.fstat(stream.fileno())
            if not is_dicom and not start[:128].strip(b"\0") and not path.name.startswith("."):
                return Header(  # empty, or broken off within DICOM's blank preamble
                    file=file, size_bytes=state.st_size, modified_ns=state.st_mtime_ns, unreadable=UNREADABLE
                )
            if not is_dicom and start[:2] not in (b"\x02\x00", b"\x08\x00"):
                return None
            walked = walk(start, state.st_size, wanted=_WANTED)
            if walked is not None:
                data = {_KEYWORD[tag]: value for tag, value in walked.values.items()}
                found = _header(data, file, state, walked.transfer_syntax, walked.pixel_offset)
            else:
                found = _parse(stream, file, state)
    except (InvalidDicomError, EOFError, OSError, *MALFORMED):
        found, state, is_dicom = None, path.lstat(), True
    if found is None and is_dicom:
        return Header(file=file, size_bytes=state.st_size, modified_ns=state.st_mtime_ns, unreadable=UNREADABLE)
    return found


def _parse(stream: BinaryIO, file: str, state: os.stat_result) -> Header | None:
    """The same by pydicom's full parser, for headers that the quick walk leaves alone."""
    stream.seek(0)
    offset: list[int] = []

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag in PIXEL_TAGS and length:
            offset.append(stream.tell())
        return tag in PIXEL_TAGS or tag > PIXEL_TAGS[-1] or tag >> 16 == STRUCTURE_GROUP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of a malformed value is named in `unreadable`
        data = read_partial(stream, at_pixels, force=True, specific_tags=TAGS)
        syntax = str(data.file_meta.get("TransferSyntaxUID", "")) or IMPLICIT
        return _header(data, file, state, syntax, offset[0] if offset else -1)


def _header(data: _Elements, file: str, state: os.stat_result, syntax: str, offset: int) -> Header | None:
    bad: list[str] = []
    text = {key: _value(data, key, _text, "", bad) for key in KEYWORDS if key not in _NUMERIC}
    if not text["SeriesInstanceUID"] and not text["SOPClassUID"]:
        return None
    modality = text["Modality"] or ("CT" if text["SOPClassUID"] in CT_STORAGE else "")
    return Header(
        file=file,
        size_bytes=state.st_size,
        modified_ns=state.st_mtime_ns,
        series_uid=text["SeriesInstanceUID"],
        study_uid=text["StudyInstanceUID"],
        instance_uid=text["SOPInstanceUID"],
        modality=modality,
        frame_of_reference_uid=text["FrameOfReferenceUID"],
        image_type=tuple(_value(data, "ImageType", _texts, (), bad)),
        position_mm=_value(data, "ImagePositionPatient", _numbers, (), bad),
        orientation=_value(data, "ImageOrientationPatient", _numbers, (), bad),
        pixel_spacing_mm=_value(data, "PixelSpacing", _numbers, (), bad),
        rows=_value(data, "Rows", int, 0, bad),
        columns=_value(data, "Columns", int, 0, bad),
        n_frames=_value(data, "NumberOfFrames", int, 1, bad),
        samples=_value(data, "SamplesPerPixel", int, 1, bad),
        bits_allocated=_value(data, "BitsAllocated", int, 0, bad),
        bits_stored=_value(data, "BitsStored", int, 0, bad),
        signed=_value(data, "PixelRepresentation", int, 0, bad) == 1,
        slope=_value(data, "RescaleSlope", float, float("nan"), bad),
        intercept=_value(data, "RescaleIntercept", float, float("nan"), bad),
        padding=_value(data, "PixelPaddingValue", int, None, bad),
        padding_limit=_value(data, "PixelPaddingRangeLimit", int, None, bad),
        lossy=text["LossyImageCompression"] == "01",
        transfer_syntax=syntax,
        pixel_offset=offset,
        thickness_mm=_value(data, "SliceThickness", float, float("nan"), bad),
        kernel="\\".join(_value(data, "ConvolutionKernel", _texts, (), bad)),
        kvp=_value(data, "KVP", float, float("nan"), bad),
        gantry_degrees=_value(data, "GantryDetectorTilt", float, float("nan"), bad),
        manufacturer=text["Manufacturer"],
        model=text["ManufacturerModelName"],
        contrast=bool(text["ContrastBolusAgent"]),
        patient_position=text["PatientPosition"],
        is_directory=text["SOPClassUID"] == "1.2.840.10008.1.3.10",
        unreadable=tuple(bad),
        patient=text["PatientID"] or text["PatientName"],
        identifying=identifying_texts(text),
    )


_NUMERIC = frozenset(
    "ImageType ImagePositionPatient ImageOrientationPatient PixelSpacing Rows Columns NumberOfFrames SamplesPerPixel "
    "BitsAllocated BitsStored PixelRepresentation RescaleSlope RescaleIntercept PixelPaddingValue "
    "PixelPaddingRangeLimit SliceThickness ConvolutionKernel KVP GantryDetectorTilt".split()
)


def _value(data: _Elements, keyword: str, convert: Any, default: Any, bad: list[str]) -> Any:
    """One converted element; absent or empty gives the default, a value of the wrong kind names itself in `bad`."""
    try:
        value = data.get(keyword)
        return default if value is None or value == "" else convert(value)
    except MALFORMED:
        bad.append(keyword)
        return default


def _text(value: Any) -> str:
    return str(value).strip(" \0")


def _many(value: Any) -> Iterator[Any]:
    return iter([value] if isinstance(value, str | float | int) else value)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(item) for item in _many(value))


def _numbers(value: Any) -> tuple[float, ...]:
    return tuple(float(item) for item in _many(value))


def syntax_name(header: Header) -> str:
    """The transfer syntax in words; one that DICOM does not know keeps its number."""
    return UID(header.transfer_syntax, IGNORE).name


def native_order(header: Header) -> str | None:
    """The byte order ("<" or ">") of uncompressed pixels that can be read in place; None where a decoder is needed."""
    syntax = UID(header.transfer_syntax, IGNORE)
    plain = header.bits_allocated == 16 and header.samples == 1 and header.n_frames == 1 and header.pixel_offset > 0
    if not plain or not syntax.is_transfer_syntax or syntax.is_compressed or syntax.is_deflated:
        return None
    return "<" if syntax.is_little_endian else ">"
