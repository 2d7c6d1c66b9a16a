"""Walks the top level of a DICOM header in a few dozen microseconds; whatever is unusual is left to pydicom.

An index of a nationwide study opens millions of files, and a full parser spends its time on elements that nobody asks
for. This one knows little-endian headers without nested elements of open length, skips what it does not want, and
gives up (None) on all else; the tests hold it equal to pydicom on every file at hand.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
ENCAPSULATED = "1.2.840.10008.1.2.4."  # JPEG families; their headers are explicit little endian
RLE = "1.2.840.10008.1.2.5"
LONG_VR = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
CHARACTER_SET = 0x00080005
CODECS = {"": "ascii", "ISO_IR 6": "ascii", "ISO_IR 100": "latin_1", "ISO_IR 192": "utf_8", "GB18030": "gb18030"}
FIRST_PIXEL_TAG, LAST_PIXEL_TAG = 0x7FE00008, 0x7FE00010
STRUCTURE_GROUP = 0x3006  # thousands of contours and no pixels: nothing is wanted from there on
OPEN_LENGTH = 0xFFFFFFFF
START_BYTES = 32768  # headers of CT slices take 2 to 10 kB


@dataclass(frozen=True)
class Walked:
    """The wanted elements of a header as text or whole numbers, by tag; and where the pixels start, or -1."""

    values: Mapping[int, object]
    transfer_syntax: str
    pixel_offset: int


def walk(start: bytes, size_bytes: int, *, wanted: Mapping[int, bool]) -> Walked | None:
    """The wanted elements of a file, or None where a full parser is needed.

    Args:
        start: the first START_BYTES of the file.
        size_bytes: of the whole file.
        wanted: tag -> whether its value is a binary short (US or SS) instead of text.
    """
    if start[128:132] != b"DICM":
        return None
    try:
        syntax, place = _meta(start)
        if syntax != IMPLICIT and syntax != EXPLICIT and not syntax.startswith(ENCAPSULATED) and syntax != RLE:
            return None
        found, offset = _elements(start, place, size_bytes, explicit=syntax != IMPLICIT, wanted=wanted)
        codec = CODECS.get(found.pop(CHARACTER_SET, b"").decode("ascii").strip(" \0"))
        if codec is None or offset is None:
            return None
        signed = found.get(0x00280103, b"\0\0")[:1] == b"\1"
        values = {tag: _value(tag, raw, wanted[tag], signed, codec) for tag, raw in found.items()}
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    return Walked(values, syntax, offset)


def _meta(start: bytes) -> tuple[str, int]:
    """The transfer syntax and where the data set begins; the meta group is always explicit little endian."""
    place, syntax = 132, ""
    while struct.unpack_from("<H", start, place)[0] == 2:
        element = struct.unpack_from("<H", start, place + 2)[0]
        length, place = _length(start, place + 4, explicit=True)
        if element == 0x0010:
            syntax = start[place : place + length].decode("ascii").strip(" \0")
        place += length
    return syntax, place


def _length(start: bytes, place: int, *, explicit: bool) -> tuple[int, int]:
    """The length of a value and where it begins; `place` is right after the tag."""
    if not explicit:
        return struct.unpack_from("<I", start, place)[0], place + 4
    vr = start[place : place + 2]
    if vr in LONG_VR:
        return struct.unpack_from("<I", start, place + 4)[0], place + 8
    if not vr.isalpha():
        raise IndexError("not an explicit element")
    return struct.unpack_from("<H", start, place + 2)[0], place + 4


def _elements(
    start: bytes, place: int, size_bytes: int, *, explicit: bool, wanted: Mapping[int, bool]
) -> tuple[dict[int, bytes], int | None]:
    """Raw values by tag, and the pixels' offset: -1 without pixels, None where the walk has to give up."""
    found: dict[int, bytes] = {}
    unpack = struct.Struct("<HH").unpack_from
    while place < size_bytes:
        group, element = unpack(start, place)
        if group == STRUCTURE_GROUP:
            return found, -1
        tag = group << 16 | element
        length, place = _length(start, place + 4, explicit=explicit)
        if FIRST_PIXEL_TAG <= tag <= LAST_PIXEL_TAG:
            return found, place if length else -1
        if length == OPEN_LENGTH or tag > LAST_PIXEL_TAG:
            return found, None
        if tag in wanted or tag == CHARACTER_SET:
            found[tag] = start[place : place + length]
            if len(found[tag]) < length:
                return found, None
        place += length
    return found, -1 if place == size_bytes else None


def _value(tag: int, raw: bytes, short: bool, signed: bool, codec: str) -> object:
    if short:
        signed_value = signed and tag >= 0x00280120  # paddings follow the pixels' sign, counts do not
        return struct.unpack_from("<h" if signed_value else "<H", raw)[0] if raw else None
    text = raw.decode(codec).strip(" \0")
    return text.split("\\") if "\\" in text else text
