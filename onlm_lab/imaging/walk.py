"""Walks the top level of a DICOM header in a few dozen microseconds; whatever is unusual is left to pydicom.

An index of a nationwide study opens millions of files, and a full parser spends its time on elements that nobody asks
for. This one knows little-endian headers without nested elements of open length, skips what it does not want, and
gives up (None) on all else; the tests hold it equal to pydicom on every file at hand.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
ENCAPSULATED = "1.2.840.10008.1.2.4."  # JPEG families; their headers are explicit little endian
RLE = "1.2.840.10008.1.2.5"
LONG_VR = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
SHORT_VR = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_EXPLICIT_ELEMENT = struct.Struct("<HH2sH").unpack_from
_IMPLICIT_ELEMENT = struct.Struct("<HHI").unpack_from
_LONG = struct.Struct("<I").unpack_from
FIRST_PIXEL_TAG, LAST_PIXEL_TAG = 0x7FE00008, 0x7FE00010
STRUCTURE_GROUP = 0x3006  # thousands of contours and no pixels: nothing is wanted from there on
OPEN_LENGTH = 0xFFFFFFFF
NO_PIXELS = (-1, -1)
FIRST_BYTES, START_BYTES = 8192, 32768  # headers of CT slices take 2 to 10 kB


@dataclass(frozen=True)
class Walked:
    """The wanted elements of a header as bytes, by tag; where the pixels start, or -1; how long they are, or -1.

    `media_class` is the class that the file's own header names, in front of the data set.
    """

    values: Mapping[int, bytes]
    transfer_syntax: str
    pixel_offset: int
    pixel_bytes: int
    media_class: str


def walk(start: bytes, size_bytes: int, *, wanted: Collection[int]) -> Walked | None:
    """The wanted elements of a file, or None where more bytes or a full parser are needed.

    Args:
        start: the first bytes of the file.
        size_bytes: of the whole file.
        wanted: tags.
    """
    if start[128:132] != b"DICM":
        return None
    try:
        syntax, media_class, place = _meta(start)
        if syntax != IMPLICIT and syntax != EXPLICIT and not syntax.startswith(ENCAPSULATED) and syntax != RLE:
            return None
        found, pixels = _elements(start, place, size_bytes, explicit=syntax != IMPLICIT, wanted=wanted)
    except (struct.error, IndexError, UnicodeDecodeError):
        return None
    return None if pixels is None else Walked(found, syntax, *pixels, media_class)


def _meta(start: bytes) -> tuple[str, str, int]:
    """The transfer syntax, the class, where the data set begins; the meta group is always explicit little endian."""
    place, said = 132, {0x0002: "", 0x0010: ""}
    while True:
        group, element, vr, length = _EXPLICIT_ELEMENT(start, place)
        if group != 2:
            return said[0x0010], said[0x0002], place
        place += 8
        if vr in LONG_VR:
            length = _LONG(start, place)[0]
            place += 4
        if element in said:
            said[element] = start[place : place + length].decode("ascii").strip(" \0")
        place += length


def _elements(
    start: bytes, place: int, size_bytes: int, *, explicit: bool, wanted: Collection[int]
) -> tuple[dict[int, bytes], tuple[int, int] | None]:
    """Raw values by tag, and the pixels' offset and length: -1 without, None where the walk has to give up.

    The hot loop of an index: one unpacking an element, and nothing called but that.
    """
    found: dict[int, bytes] = {}
    while place < size_bytes:
        if explicit:
            group, element, vr, length = _EXPLICIT_ELEMENT(start, place)
            if vr in SHORT_VR:
                place += 8
            elif vr in LONG_VR:
                length = _LONG(start, place + 8)[0]
                place += 12
            else:
                raise IndexError("not an explicit element")
        else:
            group, element, length = _IMPLICIT_ELEMENT(start, place)
            place += 8
        if group < 0x3000:
            tag = group << 16 | element
            if length == OPEN_LENGTH:
                return found, None
            if tag in wanted:
                value = found[tag] = start[place : place + length]
                if len(value) < length:
                    return found, None
            place += length
            continue
        if group == STRUCTURE_GROUP:
            return found, NO_PIXELS
        tag = group << 16 | element
        if FIRST_PIXEL_TAG <= tag <= LAST_PIXEL_TAG:
            known = -1 if length == OPEN_LENGTH else length
            return found, (place, known) if length else NO_PIXELS
        if length == OPEN_LENGTH or tag > LAST_PIXEL_TAG:
            return found, None
        place += length
    return found, NO_PIXELS if place == size_bytes else None
