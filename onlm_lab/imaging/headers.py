"""Reads DICOM headers: what each file is, where its slices lie, and where in the file its pixels start."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.datadict import tag_for_keyword
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import Tag

from onlm_lab.imaging.frames import Frame, read_frames
from onlm_lab.imaging.header import UNREADABLE, Header
from onlm_lab.imaging.header_values import (
    CHARACTER_SET,
    COMMON,
    CT_STORAGE,
    IDENTIFYING,
    KEYWORDS,
    MALFORMED,
    SHORTS,
    converted,
    identifying_of,
    in_common,
    numbers_of,
    telling_texts,
)
from onlm_lab.imaging.quiet import reading_quietly
from onlm_lab.imaging.texts import lenient
from onlm_lab.imaging.walk import FIRST_BYTES, IMPLICIT, OPEN_LENGTH, START_BYTES, STRUCTURE_GROUP, walk
from onlm_lab.imaging.whereabouts import telling_parts

MULTI_FRAME_STORAGE = CT_STORAGE[1:]
PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_KEYWORD = {int(tag_for_keyword(keyword)): keyword for keyword in KEYWORDS}
WANTED = frozenset(_KEYWORD)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_TAGS = [Tag(tag) for tag in _KEYWORD] + [Tag(tag_for_keyword(keyword)) for keyword in _GROUPS]


def read_header(folder: Path, file: str) -> Header | None:
    """The header of one file, or None where the file is not DICOM.

    Args:
        folder: the folder that is read.
        file: relative to it, with slashes.
    """
    path = f"{folder}/{file}"
    state = None
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):  # a closed folder, or a pipe, which would never end
            return _broken(file, os.lstat(path)) if stat.S_ISDIR(mode) else None
    except OSError:
        return _gone(path, file)
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
        found, is_dicom = None, True
        if state is None:
            return _gone(path, file)
    return _broken(file, state) if found is None and is_dicom else found


def _gone(path: str, file: str) -> Header | None:
    """A file that cannot be opened: a broken one; none where it went, or its path is too long for the system."""
    try:
        return _broken(file, os.lstat(path))
    except OSError:
        return None


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
            raw |= {keyword: value[::-1] for keyword, value in raw.items() if keyword in SHORTS}
        enhanced = lenient(raw.get("SOPClassUID", b""), "") in MULTI_FRAME_STORAGE
        frames = read_frames(data) if enhanced else ()
    return _header(folder, file, state, raw, syntax=syntax, pixels=pixels, frames=frames)


def _header(
    folder: Path, file: str, state: os.stat_result, raw: Mapping[str, bytes], *, syntax: str, pixels: tuple[int, int],
    frames: tuple[Frame, ...] = (),
) -> Header | None:  # fmt: skip
    """A header from the bytes of its elements: what the slices of a series share is understood once."""
    offset, n_bytes = pixels
    common = in_common(tuple(map(raw.get, COMMON)), syntax, offset > 0)
    if common is None:
        return None
    header, telling = common
    bad = list(header.unreadable)

    def own(keyword: str, convert: Callable[[str], Any], default: Any) -> Any:
        value = raw.get(keyword)
        return converted(lenient(value, ""), convert, default, keyword, bad) if value else default

    place = telling_parts(f"{_name(folder)}/{file}", identifying=telling)
    return header._replace(
        file=file, size_bytes=state.st_size, modified_ns=state.st_mtime_ns, pixel_offset=offset, pixel_bytes=n_bytes,
        position_mm=own("ImagePositionPatient", numbers_of, ()), number=own("InstanceNumber", int, None),
        acquisition=own("AcquisitionNumber", str, ""), unreadable=tuple(bad), tells=place, frames=frames,
    )  # fmt: skip


def telling_texts_of(folder: Path, file: str) -> tuple[str, ...]:
    """What of a file tells who the patient is, read anew: no header keeps it."""
    with reading_quietly():
        tags = [Tag(tag_for_keyword(keyword)) for keyword in (*IDENTIFYING, CHARACTER_SET)]
        data = pydicom.dcmread(f"{folder}/{file}", stop_before_pixels=True, force=True, specific_tags=tags)
        raw = {keyword: _raw(data, keyword) for keyword in (*IDENTIFYING, CHARACTER_SET)}
    characters = raw[CHARACTER_SET].decode("ascii", "replace").strip(" \0")
    return telling_texts(identifying_of(raw, characters))


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


def read_dataset(path: Path) -> pydicom.Dataset:
    """A whole file by pydicom, without its remarks on odd but readable values.

    Raises:
        InvalidDicomError, OSError, EOFError: no such file, or no DICOM.
    """
    with reading_quietly():
        return pydicom.dcmread(path)
