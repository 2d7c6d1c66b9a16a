"""Holds one compressed frame against its header before a decoder sees it: kind, size, depth, and whether it is whole.

Decoders fill in what a broken-off frame lacks, allocate what a damaged size asks for, or end the whole process; the
marks of each format tell of both without decoding. What they cannot tell is a changed bit in the middle of a frame: no
compressed CT carries a checksum.

ITU-T T.81 (JPEG), T.87 (JPEG-LS), T.800 (JPEG 2000); DICOM PS3.5, annex G (RLE).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace

from onlm_lab.imaging.header import Header

JPEG = "1.2.840.10008.1.2.4."
SOF = {  # the frame markers that each JPEG syntax may hold
    "50": (0xC0, 0xC1), "51": (0xC0, 0xC1), "57": (0xC3,), "70": (0xC3,), "80": (0xF7,), "81": (0xF7,),
}  # fmt: skip
LOSSLESS = ("80", "90", "201", "202")  # what says so, and whose frames tell whether it is true
SCAN, REMARKS = 0xDA, frozenset((0xFE, *range(0xE0, 0xF0)))
BEFORE_SCAN = REMARKS | {0xC4, 0xDB, 0xDD, 0xF8, SCAN}  # tables and parameters
SOC_SIZ, JP2 = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
END = b"\xff\xd9"  # of a JPEG, a JPEG-LS and a JPEG 2000 codestream
ALIEN = re.compile(rb"\xff[\x01-\xcf\xd8\xda-\xfe]")  # within coded data: no stuffing, no restart, no end


@dataclass(frozen=True)
class _Said:
    rows: int
    columns: int
    samples: int
    bits: int
    lossy: bool = False


def checked(frame: bytes, header: Header) -> bytes:
    """A frame that can be what its header says, as a decoder gets it: a JPEG without its remarks.

    GDCM ends the whole process where a remark is odd (a JFIF version it does not know); none says anything of grey.

    Raises:
        ValueError: why it cannot.
    """
    kind = header.transfer_syntax.removeprefix(JPEG)
    try:
        if kind == header.transfer_syntax:
            _refuse_odd_segments(frame, header)
            return frame
        said, bare = _jpeg(frame, SOF[kind]) if kind in SOF else (_jpeg2000(frame), frame)
    except (IndexError, struct.error):
        raise ValueError("the frame is broken off") from None
    wanted, found = (header.rows, header.columns, header.samples), (said.rows, said.columns, said.samples)
    if found != wanted:
        raise ValueError(f"the frame holds rows, columns, samples = {found}, the header says {wanted}")
    if not 0 < said.bits <= header.bits_allocated:
        raise ValueError(f"the frame holds {said.bits} bits a pixel, the header allocates {header.bits_allocated}")
    if said.lossy and kind in LOSSLESS:
        raise ValueError("the frame was compressed with loss, its transfer syntax says without")
    return bare


def _refuse_odd_segments(frame: bytes, header: Header) -> None:
    n, *offsets = struct.unpack_from("<16I", frame)
    used = offsets[: min(n, 15)]
    if n != header.bits_allocated // 8 or used[0] != 64 or sorted(set(used)) != used or used[-1] >= len(frame):
        raise ValueError("the segments of the frame do not fit it")


def _jpeg(frame: bytes, kinds: tuple[int, ...]) -> tuple[_Said, bytes]:
    if frame[:2] != b"\xff\xd8":
        raise ValueError("the frame does not begin as a JPEG does")
    _refuse_endless(frame)
    said: _Said | None = None
    kept, place, marker = [b"\xff\xd8"], 2, 0
    while marker != SCAN:
        if frame[place] != 0xFF:
            raise ValueError("the frame's markers are damaged")
        marker = frame[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        end = place + 2 + struct.unpack_from(">H", frame, place + 2)[0]
        if end < place + 4 or end > len(frame) - 2:
            raise ValueError("the frame is broken off")
        if marker in kinds and said is None:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", frame, place + 4)
            said = _Said(rows, columns, samples, bits)
        elif marker not in BEFORE_SCAN:
            raise ValueError("the frame is of another kind than its transfer syntax, or its markers are damaged")
        if marker not in REMARKS:
            kept.append(frame[place:end])
        place = end
    if said is None:
        raise ValueError("the frame has no size")
    if kinds == SOF["80"]:
        said = replace(said, lossy=frame[place - 3] > 0)  # NEAR
    elif ALIEN.search(frame, place, len(frame.rstrip(b"\0\xff")) - 2):
        raise ValueError("the frame's coded data are damaged")
    return said, b"".join((*kept, frame[place:]))


def _jpeg2000(frame: bytes) -> _Said:
    start = frame.find(SOC_SIZ) if frame.startswith(JP2) else 0  # some writers leave the file format's boxes around it
    if start < 0 or frame[start : start + 4] != SOC_SIZ:
        raise ValueError("the frame does not begin as a JPEG 2000 codestream does")
    _refuse_endless(frame)
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    samples, bits = struct.unpack_from(">HB", frame, start + 40)
    lossy = False
    place = start + 4 + struct.unpack_from(">H", frame, start + 4)[0]
    while frame[place : place + 2] != b"\xff\x90":  # the main header, up to the first tile
        marker, length = struct.unpack_from(">HH", frame, place)
        if marker >> 8 != 0xFF or length < 2:
            raise ValueError("the frame's markers are damaged")
        if marker == 0xFF52:
            lossy = frame[place + 13] == 0  # the irreversible wavelet
        place += 2 + length
    _refuse_lost_tiles(frame, place)
    return _Said(bottom - top, right - left, samples, (bits & 0x7F) + 1, lossy)


def _refuse_lost_tiles(frame: bytes, place: int) -> None:
    """Each part of a tile says how long it is; the last one ends where the codestream does."""
    end = len(frame.rstrip(b"\0\xff")) - 2
    while place < end:
        if frame[place : place + 2] != b"\xff\x90":
            raise ValueError("the frame's tiles do not follow each other")
        length = struct.unpack_from(">I", frame, place + 6)[0]
        place = place + length if length else end
    if place != end:
        raise ValueError("the frame is broken off")


def _refuse_endless(frame: bytes) -> None:
    if not frame.rstrip(b"\0\xff").endswith(END):  # writers pad to an even length with either
        raise ValueError("the frame is broken off")
