"""Decodes one CT slice, or only some of its rows, to Hounsfield units."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.config import IGNORE
from pydicom.pixels import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.decoding import UNDECODABLE, decode_frame
from onlm_lab.imaging.header import Header, first_byte, native_order, slice_name, syntax_name
from onlm_lab.imaging.padding import TISSUE_HU, beyond_bits, padding_hu, range_holds_tissue, stored_value
from onlm_lab.imaging.quiet import reading_quietly
from onlm_lab.imaging.volume import OUTSIDE_HU

INT16 = np.iinfo(np.int16)
MOST_HU = 1e6  # of an intercept: beyond it, whole numbers no longer fit where they are added


def read_slice_hu(
    folder: Path, header: Header, *, first_row: int = 0, last_row: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows first_row <= row < last_row of one slice as int16 HU, and where padding was (bool), or None when nowhere.

    Raises:
        SeriesError: the pixels cannot be decoded, or leave the range of int16.
    """
    last_row = header.rows if last_row is None else last_row
    raw = _raw(folder, header, first_row, last_row)
    stored = _used_bits(raw, header)
    padded = _padded(stored, raw, header)
    hu = _rescale(stored, header, padded)
    return (hu, None) if padded is None or not padded.any() else (np.where(padded, np.int16(OUTSIDE_HU), hu), padded)


def same_pixels(folder: Path, one: Header, other: Header) -> bool:
    """Whether two slices show the same, value by value; where one cannot be decoded they do not."""
    said = [
        repr((h.rows, h.columns, h.slope, h.intercept, h.padding, h.padding_limit)) for h in (one, other)
    ]  # fmt: skip
    if said[0] != said[1]:
        return False
    try:
        return np.array_equal(*(_used_bits(_raw(folder, h, 0, h.rows), h) for h in (one, other)))
    except SeriesError:
        return False


def _raw(folder: Path, header: Header, first_row: int, last_row: int) -> np.ndarray:
    order = native_order(header)
    if order is None:
        return _decode(folder, header)[first_row:last_row]
    return _read_in_place(folder, header, order, first_row, last_row)


def _used_bits(stored: np.ndarray, header: Header) -> np.ndarray:
    unused = 8 * stored.dtype.itemsize - header.bits_stored
    if 0 < unused < 8 * stored.dtype.itemsize:  # old scanners keep overlays in the unused high bits
        kind = np.dtype(f"{'i' if header.signed else 'u'}{stored.dtype.itemsize}")
        stored = (stored.astype(stored.dtype.newbyteorder("=")).view(kind) << unused) >> unused
    return stored


def _read_in_place(folder: Path, header: Header, order: str, first_row: int, last_row: int) -> np.ndarray:
    kind = f"{order}{'i' if header.signed else 'u'}2"
    count = (last_row - first_row) * header.columns
    start = first_byte(header) + 2 * first_row * header.columns
    try:
        stored = np.fromfile(f"{folder}/{header.file}", dtype=kind, count=count, offset=start)
    except OSError as error:
        raise SeriesError(f"{slice_name(header)} cannot be opened: {error.strerror}. Copy the file again.") from None
    if stored.size < count:
        raise SeriesError(f"The pixels of {slice_name(header)} end early. Copy the file again.")
    return stored.reshape(-1, header.columns)


def _decode(folder: Path, header: Header) -> np.ndarray:
    path = f"{folder}/{header.file}"
    try:
        with reading_quietly():  # pydicom remarks on odd but readable values
            if UID(header.transfer_syntax, IGNORE).is_compressed:
                stored = decode_frame(path, header)
            elif header.frame < 0:
                stored = pydicom.dcmread(path, force=True).pixel_array
            elif header.transfer_syntax == DeflatedExplicitVRLittleEndian:
                stored = pixel_array(_inflated(path, header.modified_ns), index=header.frame)
            else:
                stored = pixel_array(path, index=header.frame)
    except UNDECODABLE as error:
        raise _undecodable(header) from error
    if stored.shape != (header.rows, header.columns) or stored.dtype.kind not in "iu":
        raise _undecodable(header)
    return stored


@lru_cache(maxsize=1)
def _inflated(path: str, modified_ns: int) -> pydicom.Dataset:
    """A deflated multi-frame file, which has to be inflated whole for any of its frames."""
    return pydicom.dcmread(path)


def _undecodable(header: Header) -> SeriesError:
    return SeriesError(
        f"The pixels of {slice_name(header)} cannot be decoded (transfer syntax {syntax_name(header)}). Export the "
        "series again, uncompressed."
    )


def _padded(stored: np.ndarray, raw: np.ndarray, header: Header) -> np.ndarray | None:
    """Where padding is; `raw` is what is stored with the unused bits, in which some scanners write it."""
    if header.padding is None or TISSUE_HU[0] <= padding_hu(header) <= TISSUE_HU[1]:
        return None
    ends = [stored_value(header, header.padding)]
    if header.padding_limit is not None and not range_holds_tissue(header):
        ends.append(stored_value(header, header.padding_limit))
    values = raw if any(beyond_bits(header, end) for end in ends) else stored
    return (values >= min(ends)) & (values <= max(ends))


def _rescale(stored: np.ndarray, header: Header, padded: np.ndarray | None) -> np.ndarray:
    if header.slope == 1 and float(header.intercept).is_integer() and abs(header.intercept) < MOST_HU:
        if header.intercept == 0 and stored.dtype.kind == "i" and stored.dtype.itemsize <= 2:
            return stored.astype(np.int16)
        hu = stored.astype(np.int32) + int(header.intercept)
    else:
        hu = np.rint(stored * header.slope + header.intercept)
    if padded is not None:
        hu = np.where(padded, OUTSIDE_HU, hu)
    if hu.size and (hu.min() < INT16.min or hu.max() > INT16.max):
        raise SeriesError(
            f"{slice_name(header)} reaches {hu.min():g} to {hu.max():g} HU, beyond what a CT measures. "
            "Its rescale slope or pixel representation is wrong."
        )
    return hu.astype(np.int16)
