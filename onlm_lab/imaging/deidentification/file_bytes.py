"""Reads a DICOM file to its last byte, and writes one.

pydicom reads leniently: a file that ends early comes back shorter, and settings of the process decide what a value
becomes. Here nothing is interpreted and nothing is guessed: a file is understood as a whole or refused. The tests hold
what is read equal to pydicom on every file at hand, and let pydicom read what is written.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom.uid import UID_dictionary

from onlm_lab.imaging.deidentification.elements import (
    ITEM,
    ITEM_END,
    LONG_VR,
    PIXELS,
    SEQUENCE_END,
    SHORT_VR,
    Buffer,
    Element,
    File,
    known_vr,
)

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
OPEN_LENGTH = 0xFFFFFFFF
MAX_DEPTH = 40  # sequences in sequences; real files reach 8
_ALL_VR = LONG_VR | SHORT_VR
_STARTS = (b"\x02\x00", b"\x08\x00")  # of a data set without the 128 bytes and DICM in front


class NotDicomError(ValueError):
    """The file is something else."""


class BrokenError(ValueError):
    """The file is DICOM, but cannot be understood to its end."""


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[File]:
    """A file without reading its pixels from the disk; its values are good as long as it is open.

    Raises:
        NotDicomError, BrokenError, OSError
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise NotDicomError  # a pipe or a device would wait for ever
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size < 8:
            if _may_be_dicom(path) and not stream.read().strip(b"\0"):
                raise BrokenError("the file is empty")
            raise NotDicomError
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(mapped)
    try:
        yield parse(view, blank_is_broken=_may_be_dicom(path))
    finally:
        with contextlib.suppress(BufferError):  # a value is still in use: the system closes it with the last one
            view.release()
            mapped.close()


def parse(buffer: Buffer, *, blank_is_broken: bool = False) -> File:
    """A file from its bytes.

    Args:
        buffer: the whole file.
        blank_is_broken: whether a file that begins with zeros alone counts as a broken DICOM file.

    Raises:
        NotDicomError: it is something else.
        BrokenError: it ends early, or its elements do not fit together.
    """
    view = memoryview(buffer)
    start = bytes(view[:132])
    if start[128:132] == b"DICM":
        preamble, place = start[:128], 132
    elif start[:2] in _STARTS or (start[:2] == b"\0\x08" and start[4:6].decode("latin_1") in _ALL_VR):
        preamble, place = b"", 0
    elif blank_is_broken and not start[:128].strip(b"\0"):
        raise BrokenError("the file breaks off in its first bytes")
    else:
        raise NotDicomError
    try:
        meta, place = _meta(view, place)
        return _body(view, place, meta, preamble)
    except (struct.error, zlib.error, UnicodeDecodeError) as error:
        if not preamble and not _begins_as_dicom(start):
            raise NotDicomError from error
        raise BrokenError("the elements do not fit together") from error
    except BrokenError as error:
        if not preamble and not _begins_as_dicom(start):
            raise NotDicomError from error
        raise


def _begins_as_dicom(start: bytes) -> bool:
    """Whether a file without DICM in front begins as one does: a known tag, then a value type or a small length."""
    if len(start) < 8 or start[4:6].decode("latin_1") in _ALL_VR:
        return len(start) >= 8
    return start[2] <= 0x18 and start[3] == 0 and start[6:8] == b"\0\0"


def encode(file: File) -> bytes:
    """The file as it is to be written: a blank preamble, the meta information with its length, the data set."""
    meta = _encoded(file.meta, explicit=True, little=True)
    length = _encoded({0x00020000: Element(0x00020000, "UL", struct.pack("<I", len(meta)))}, explicit=True, little=True)
    data = _encoded(file.data, explicit=file.explicit, little=file.little)
    if file.syntax == DEFLATED:
        press = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = press.compress(data) + press.flush()
        data += b"\0" * (len(data) % 2)
    return b"".join((bytes(128), b"DICM", length, meta, data))


def _may_be_dicom(path: str | os.PathLike) -> bool:
    return not os.path.basename(path).startswith(".")


def _meta(view: memoryview, place: int) -> tuple[dict[int, Element], int]:
    meta: dict[int, Element] = {}
    while place + 8 <= len(view) and bytes(view[place : place + 2]) == b"\x02\x00":
        element, place = _element(_Bytes(view, explicit=True, little=True), place, len(view), depth=0)
        meta[element.tag] = element
    meta.pop(0x00020000, None)
    return meta, place


def _body(view: memoryview, place: int, meta: dict[int, Element], preamble: bytes) -> File:
    syntax = meta[0x00020010].raw().decode("ascii").strip(" \0") if 0x00020010 in meta else ""
    if not syntax:
        syntax = EXPLICIT if bytes(view[place + 4 : place + 6]).decode("latin_1") in _ALL_VR else IMPLICIT
        syntax = BIG_ENDIAN if bytes(view[place : place + 1]) == b"\0" else syntax
    elif UID_dictionary.get(syntax, ("", ""))[1] != "Transfer Syntax":
        raise BrokenError("its transfer syntax is none of DICOM's")
    if syntax == DEFLATED:
        view, place = memoryview(zlib.decompressobj(-zlib.MAX_WBITS).decompress(view[place:])), 0
    source = _Bytes(view, explicit=syntax != IMPLICIT, little=syntax != BIG_ENDIAN)
    data, place = _data_set(_as_written(source, place), place, len(view), depth=0, opened_item=False)
    return File(meta, data, syntax, source.explicit, source.little, preamble, len(view) - place)


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Bytes and how elements are written in them."""

    view: memoryview
    explicit: bool
    little: bool
    order: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", "<" if self.little else ">")

    def tag(self, place: int) -> int:
        group, element = struct.unpack_from(f"{self.order}HH", self.view, place)
        return group << 16 | element

    def length(self, place: int) -> int:
        return struct.unpack_from(f"{self.order}I", self.view, place)[0]


def _data_set(source: _Bytes, place: int, end: int, *, depth: int, opened_item: bool) -> tuple[dict[int, Element], int]:
    """The elements up to `end`, or to the mark that closes an item of open length; and the place behind them."""
    if depth > MAX_DEPTH:
        raise BrokenError("its sequences are nested too deeply")
    data: dict[int, Element] = {}
    while place < end:
        if opened_item and end - place >= 8 and source.tag(place) == ITEM_END:
            return data, place + 8
        try:
            element, place = _element(source, place, end, depth=depth)
        except (BrokenError, struct.error):
            if depth == 0 and (PIXELS in data or not bytes(source.view[place:end]).strip(b"\0")):
                return data, place  # whatever stands behind the pixels, or zeros that fill the last block
            raise
        data[element.tag] = element
    if opened_item:
        raise BrokenError("an item of a sequence is not closed")
    return data, place


def _element(source: _Bytes, place: int, end: int, *, depth: int) -> tuple[Element, int]:
    tag = source.tag(place)
    if tag >> 16 == 0xFFFE or tag == 0:
        raise BrokenError("the elements do not fit together")
    known = known_vr(tag)
    if source.explicit:
        vr = bytes(source.view[place + 4 : place + 6]).decode("latin_1")
        if vr in LONG_VR:
            length, place = source.length(place + 8), place + 12
        elif vr in SHORT_VR:
            length, place = struct.unpack_from(f"{source.order}H", source.view, place + 6)[0], place + 8
        else:
            raise BrokenError("an element has no value type of DICOM's")
    else:
        vr = known[:2] or "UN"
        length, place = source.length(place + 4), place + 8
    if length == OPEN_LENGTH:
        return _of_open_length(source, tag, vr, place, end, depth)
    if place + length > end:
        raise BrokenError("the file ends before its data do")
    if vr == "SQ":
        items, _ = _items(source, place, place + length, depth=depth, closed=True)
        return Element(tag, "SQ", items=items), place + length
    if vr == "UN" and known == "SQ":  # implicit inside (PS3.5, 6.2.2)
        with contextlib.suppress(BrokenError, struct.error):
            items, _ = _items(_implicit(source), place, place + length, depth=depth, closed=True)
            return Element(tag, "SQ", items=items), place + length
    return Element(tag, vr, source.view[place : place + length]), place + length


def _of_open_length(source: _Bytes, tag: int, vr: str, place: int, end: int, depth: int) -> tuple[Element, int]:
    if vr in ("OB", "OW"):
        stop = place
        while source.tag(stop) == ITEM:
            stop += 8 + source.length(stop + 4)
            if stop + 8 > end:
                raise BrokenError("the file ends before its pixels do")
        if source.tag(stop) != SEQUENCE_END:
            raise BrokenError("the compressed pixels are not closed")
        return Element(tag, vr, source.view[place:stop], packed=True), stop + 8
    if vr not in ("SQ", "UN"):
        raise BrokenError("a value has no length")
    inside = _implicit(source) if vr == "UN" else source
    items, place = _items(inside, place, end, depth=depth, closed=False)
    return Element(tag, "SQ" if vr == "SQ" or known_vr(tag) == "SQ" else "UN", items=items), place


def _implicit(source: _Bytes) -> _Bytes:
    if not source.little:
        raise BrokenError("a sequence is written in the other byte order")
    return _Bytes(source.view, explicit=False, little=True)


def _items(source: _Bytes, place: int, end: int, *, depth: int, closed: bool) -> tuple[list[dict[int, Element]], int]:
    items = []
    while True:
        if closed and place == end:
            return items, place
        if place + 8 > end:
            raise BrokenError("a sequence ends early")
        tag, length, place = source.tag(place), source.length(place + 4), place + 8
        if tag == SEQUENCE_END and not closed:
            return items, place
        if tag != ITEM:
            raise BrokenError("a sequence holds something else than items")
        stop = end if length == OPEN_LENGTH else place + length
        if stop > end:
            raise BrokenError("an item ends behind its sequence")
        inside = _as_written(source, place) if length else source
        item, place = _data_set(inside, place, stop, depth=depth + 1, opened_item=length == OPEN_LENGTH)
        items.append(item)


def _as_written(source: _Bytes, place: int) -> _Bytes:
    """Some writers say that a file is explicit and write it, or an item, implicitly: its first element tells."""
    if not source.explicit or place + 8 > len(source.view) or source.tag(place) == ITEM_END:
        return source
    said = bytes(source.view[place + 4 : place + 6]).decode("latin_1")
    return source if said in _ALL_VR else _implicit(source)


def _encoded(data: dict[int, Element], *, explicit: bool, little: bool) -> bytes:
    parts: list[Buffer] = []
    order = "<" if little else ">"
    for tag in sorted(data):
        element = data[tag]
        value = _value(element, explicit=explicit, little=little)
        length = OPEN_LENGTH if element.packed else len(value)
        head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
        if not explicit:
            head += struct.pack(f"{order}I", length)
        elif element.vr in LONG_VR:
            head += element.vr.encode() + b"\0\0" + struct.pack(f"{order}I", length)
        else:
            head += element.vr.encode() + struct.pack(f"{order}H", length)
        parts += (head, value)
        if element.packed:
            parts.append(struct.pack(f"{order}HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0))
    return b"".join(parts)


def _value(element: Element, *, explicit: bool, little: bool) -> Buffer:
    if element.items is None:
        odd = len(element.value) % 2
        return element.raw() + (b"\0" if element.vr in ("UI", "OB", "UN") else b" ") if odd else element.value
    if element.vr == "UN":  # of a sequence that the dictionary does not know (PS3.5, 6.2.2)
        explicit, little = False, True
    order = "<" if little else ">"
    parts = []
    for item in element.items:
        inside = _encoded(item, explicit=explicit, little=little)
        parts += (struct.pack(f"{order}HHI", ITEM >> 16, ITEM & 0xFFFF, len(inside)), inside)
    return b"".join(parts)
