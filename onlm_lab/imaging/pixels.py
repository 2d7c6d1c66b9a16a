"""Decodes one CT slice, or only some of its rows, to Hounsfield units."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.faults import TISSUE_HU, padding_hu, slice_name, stored_value
from onlm_lab.imaging.headers import MALFORMED, Header, native_order, syntax_name
from onlm_lab.imaging.volume import OUTSIDE_HU

INT16 = np.iinfo(np.int16)


def read_slice_hu(
    folder: Path, header: Header, *, first_row: int = 0, last_row: int | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows first_row <= row < last_row of one slice as int16 HU, and where padding was (bool), or None when nowhere.

    Raises:
        SeriesError: the pixels cannot be decoded, or leave the range of int16.
    """
    last_row = header.rows if last_row is None else last_row
    order = native_order(header)
    if order is None:
        stored = _decode(folder, header)[first_row:last_row]
    else:
        stored = _read_in_place(folder, header, order, first_row, last_row)
    padded = _padded(stored, header)
    hu = _rescale(stored, header, padded)
    return (hu, None) if padded is None or not padded.any() else (np.where(padded, np.int16(OUTSIDE_HU), hu), padded)


def _read_in_place(folder: Path, header: Header, order: str, first_row: int, last_row: int) -> np.ndarray:
    kind = f"{order}{'i' if header.signed else 'u'}2"
    count = (last_row - first_row) * header.columns
    start = header.pixel_offset + 2 * first_row * header.columns
    stored = np.fromfile(folder / header.file, dtype=kind, count=count, offset=start)
    if stored.size < count:
        raise SeriesError(f"The pixels of {slice_name(header)} end early. Copy the file again.")
    stored = stored.reshape(-1, header.columns)
    unused = 16 - header.bits_stored
    if 0 < unused < 16:  # old scanners keep overlays in the unused high bits
        stored = (stored.astype(f"{kind[1]}2") << unused) >> unused
    return stored


def _decode(folder: Path, header: Header) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom remarks on odd but readable values
            return pydicom.dcmread(folder / header.file, force=True).pixel_array
    except (InvalidDicomError, OSError, EOFError, RuntimeError, *MALFORMED) as error:
        syntax = syntax_name(header)
        raise SeriesError(
            f"The pixels of {slice_name(header)} cannot be decoded (transfer syntax {syntax}). Export the series "
            "again, uncompressed."
        ) from error


def _padded(stored: np.ndarray, header: Header) -> np.ndarray | None:
    if header.padding is None or TISSUE_HU[0] <= padding_hu(header) <= TISSUE_HU[1]:
        return None
    ends = [stored_value(header, header.padding)]
    if header.padding_limit is not None:
        ends.append(stored_value(header, header.padding_limit))
    return (stored >= min(ends)) & (stored <= max(ends))


def _rescale(stored: np.ndarray, header: Header, padded: np.ndarray | None) -> np.ndarray:
    if header.slope == 1 and float(header.intercept).is_integer():
        if header.intercept == 0 and stored.dtype.kind == "i":
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
