"""Reads a tumour's mask onto the grid of its CT: RTSTRUCT, DICOM SEG, NIfTI, NRRD, MetaImage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.header_values import MALFORMED
from onlm_lab.imaging.headers import read_dataset
from onlm_lab.imaging.mask_files import read_mask_file
from onlm_lab.imaging.privacy import digest_text, find_path, identifying_texts, safe_file_name, safe_path
from onlm_lab.imaging.quiet import reading_quietly
from onlm_lab.imaging.rtstruct import read_rtstruct, series_of_rtstruct
from onlm_lab.imaging.searching import read_headers
from onlm_lab.imaging.segmentation import read_segmentation, series_of_segmentation
from onlm_lab.imaging.volume import CtVolume
from onlm_lab.imaging.volume_files import VOLUME_FILES

UNDERSTOOD_NOT = (InvalidDicomError, EOFError, RuntimeError, LookupError, OSError, *MALFORMED)
_READERS = {"RTSTRUCT": read_rtstruct, "SEG": read_segmentation}
_NAMED_SERIES = {"RTSTRUCT": series_of_rtstruct, "SEG": series_of_segmentation}


def read_mask(path: str | os.PathLike, volume: CtVolume, roi: str | int | None = None) -> np.ndarray:
    """Where the tumour is: bool (z,y,x) on the grid of the CT.

    Args:
        path: an RTSTRUCT or SEG file, or a folder that holds exactly one of them, or a NIfTI, NRRD or MetaImage file.
        volume: the CT that the mask was drawn on.
        roi: name of the contour or segment (a pattern such as "GTV*" serves), or its number; None where there is
            only one. For NIfTI and NRRD the label's value.

    Raises:
        SeriesError: no or several contours match, the mask is empty, lies outside the scan, skips slices, belongs to
            another frame of reference, or its file lost the geometry.
    """
    return read_mask_noted(path, volume, roi)[0]


def read_mask_noted(
    path: str | os.PathLike, volume: CtVolume, roi: str | int | None = None, *, identifying: Sequence[str] = ()
) -> tuple[np.ndarray, tuple[str, ...]]:
    """As `read_mask`, and a sentence for each thing about the mask that a person should look at.

    Skipped slices, planes that are not the CT's slices, contours that enclose nothing, repeat or cross one another.
    What `identifying` holds, texts of the CT's headers that tell who the patient is, stays out of messages.
    """
    path = _mask_file(find_path(path))
    notes: list[str] = []
    if str(path).lower().endswith(VOLUME_FILES):
        name = safe_file_name(path)
        mask = read_mask_file(path, volume, roi)
    else:
        with reading_quietly():
            name, mask = _from_dicom(path, volume, roi, notes=notes, identifying=identifying)
    if not mask.any():
        raise SeriesError(f"The mask in '{name}' is empty on the CT's grid: no voxel centre lies inside it.")
    return mask, tuple(notes)


def _from_dicom(
    path: Path, volume: CtVolume, roi: str | int | None, *, notes: list[str], identifying: Sequence[str]
) -> tuple[str, np.ndarray]:  # fmt: skip
    """The file as a message names it, and the mask."""
    data = _dicom(path)
    name, kind, identifying = _said(data, path, identifying)
    if kind not in _READERS:
        raise SeriesError(f"'{name}' is a DICOM file of kind {kind or 'unknown'}; an RTSTRUCT or SEG is wanted.")
    with _understood(kind, name):
        return name, _READERS[kind](data, name, volume, roi, notes=notes, identifying=identifying)


def _said(data: pydicom.Dataset, path: Path, identifying: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    """The file as a message names it, its Modality, and the texts that tell who the patient is."""
    try:
        known = (*identifying, *identifying_texts(data))
        return safe_path(safe_file_name(path), identifying=known), str(data.get("Modality", "")), known
    except UNDERSTOOD_NOT:  # a name that is not of the type of a name
        raise SeriesError(
            f"The mask '{digest_text(path.name)}' cannot be understood: a part of it is malformed."
        ) from None


@contextmanager
def _understood(kind: str, name: str) -> Iterator[None]:
    try:
        yield
    except SeriesError:
        raise
    except UNDERSTOOD_NOT as error:
        raise SeriesError(f"The {kind} '{name}' cannot be understood: a part of it is malformed.") from error


def series_of_mask(path: str | os.PathLike) -> tuple[str, ...]:
    """The series that an RTSTRUCT or SEG says it was drawn on; nothing for other files, or where it names none.

    Raises:
        SeriesError: the file cannot be read.
    """
    path = _mask_file(find_path(path))
    if str(path).lower().endswith(VOLUME_FILES):
        return ()
    with reading_quietly():
        data = _dicom(path)
        name, kind, _ = _said(data, path, ())
        with _understood(kind, name):
            return tuple(dict.fromkeys(_NAMED_SERIES[kind](data))) if kind in _NAMED_SERIES else ()


def centre_of_mass_mm(mask: np.ndarray, volume: CtVolume) -> tuple[float, float, float]:
    """The centre of a mask as x, y, z in mm in the DICOM patient frame (LPS)."""
    centre = np.array([places.mean() for places in np.nonzero(mask)])
    return tuple(volume.to_patient_mm(centre).tolist())


def _mask_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise SeriesError(f"The mask '{safe_file_name(path)}' does not exist. Check the path in annotations.csv.")
    headers, _ = read_headers(path)
    found = [header for header in headers if header.modality in _READERS]
    if len(found) != 1:
        raise SeriesError(f"'{safe_file_name(path)}' holds {len(found)} RTSTRUCT or SEG files, not one. Name the file.")
    return path / found[0].file


def _dicom(path: Path) -> pydicom.Dataset:
    try:
        return read_dataset(path)
    except UNDERSTOOD_NOT as error:
        raise SeriesError(
            f"'{safe_file_name(path)}' is neither DICOM nor one of {', '.join(VOLUME_FILES)}. Give an RTSTRUCT, "
            "SEG or NIfTI."
        ) from error
