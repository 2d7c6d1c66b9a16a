"""What the bytes of the pixels hold besides the picture: overlays in unused bits, a tail, comments of a compressor."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from onlm_lab.imaging.deidentification.elements import ITEM, PIXELS, Element, File

_LONGEST_HEAD = 65536  # bytes of a compressed frame in which comments are looked for, unless its data begin earlier
_APP, _COMMENT, _COMMENT_2000 = range(0xE0, 0xF0), 0xFE, 0x64
_BARE = (0x01, *range(0xD0, 0xD9))  # marks without a length
_DATA_BEGIN = (0xDA, 0x90)  # start of scan (JPEG, JPEG-LS), start of tile (JPEG 2000)


class ShortPixelsError(ValueError):
    """There are fewer pixels than rows, columns and frames say."""


def cleaned_pixels(file: File) -> tuple[Element, int, int]:
    """The pixels without what is none of the picture; those of the picture are byte for byte the same.

    Cut off is what stands behind the last pixel. In unused high bits a pixel may bear only zeros, its own sign, or
    the declared padding value; anything else is an overlay that an older system left there, and is cleared.

    Returns:
        the pixels, how many bytes were cut off, in how many pixels the unused bits were cleared.

    Raises:
        ShortPixelsError
    """
    element = file.data[PIXELS]
    size = _size(file)
    if element.packed or size is None:
        return element, 0, 0
    if len(element.value) < size:
        raise ShortPixelsError
    even = size + size % 2
    n_cut = max(0, len(element.value) - even)
    value = element.raw()[:size] + b"\0" * (even - size) if n_cut or size % 2 else element.value
    value, n_cleared = _cleared(file, value, size)
    return Element(PIXELS, element.vr, value), n_cut, n_cleared


def comments(file: File) -> Iterator[bytes]:
    """What a compressor wrote into the frames beside the picture (JPEG, JPEG-LS, JPEG 2000)."""
    element = file.data.get(PIXELS)
    if element is None or not element.packed:
        return
    view, place = memoryview(element.value), 0
    while place + 8 <= len(view):
        group, number, length = struct.unpack_from("<HHI", view, place)
        if group << 16 | number != ITEM:
            return
        yield from _comments(bytes(view[place + 8 : place + 8 + min(length, _LONGEST_HEAD)]))
        place += 8 + length


def _size(file: File) -> int | None:
    """Bytes of the picture, or None where the header does not say."""
    rows, columns, bits = file.number(0x00280010), file.number(0x00280011), file.number(0x00280100)
    frames = file.text(0x00280008) or "1"
    if not rows or not columns or not bits or not frames.isdigit() or "422" in file.text(0x00280004):
        return None
    n = rows * columns * file.number(0x00280002, default=1) * int(frames)
    return (n * bits + 7) // 8


def _cleared(file: File, value: bytes | memoryview, size: int) -> tuple[bytes | memoryview, int]:
    allocated, stored = file.number(0x00280100), file.number(0x00280101)
    high = file.number(0x00280102, default=stored - 1)
    if allocated not in (8, 16, 32) or not 0 < stored < allocated or high != stored - 1:
        return value, 0
    order = "<" if file.little else ">"
    pixels = np.frombuffer(value, dtype=f"{order}u{allocated // 8}", count=size * 8 // allocated)
    outside = pixels.dtype.type((1 << allocated) - (1 << stored))
    marked = (pixels & outside) != 0
    if not marked.any():
        return value, 0
    negative = (pixels & pixels.dtype.type(1 << (stored - 1))) != 0 if file.number(0x00280103) == 1 else False
    marked &= ~(negative & ((pixels & outside) == outside))
    for tag in (0x00280120, 0x00280121):
        if tag in file.data:
            marked &= pixels != file.number(tag)
    n_marked = int(marked.sum())
    if not n_marked:
        return value, 0
    clean = np.where(negative, pixels | outside, pixels & ~outside)
    return np.where(marked, clean, pixels).astype(pixels.dtype).tobytes() + bytes(value[size:]), n_marked


def _comments(head: bytes) -> Iterator[bytes]:
    """Walks the marked segments of one compressed frame up to its data."""
    if head[:2] == b"\xff\xd8":
        texts = (_COMMENT, *_APP)
    elif head[:2] == b"\xff\x4f":
        texts = (_COMMENT_2000,)
    else:
        return
    place = 2
    while place + 4 <= len(head) and head[place] == 0xFF:
        mark = head[place + 1]
        if mark in _DATA_BEGIN:
            return
        if mark in _BARE or mark == 0xFF:
            place += 1 if mark == 0xFF else 2
            continue
        length = struct.unpack_from(">H", head, place + 2)[0]
        if mark in texts:
            yield head[place + 4 : place + 2 + length]
        place += 2 + length
