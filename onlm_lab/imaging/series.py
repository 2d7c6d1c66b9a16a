"""Finds the series of a folder and reads one CT to Hounsfield units in the patient's frame."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.faults import Fault, find_faults, positions_mm, shear_degrees, slice_normal
from onlm_lab.imaging.headers import UNREADABLE, Header, read_headers, syntax_name
from onlm_lab.imaging.pixels import read_slice_hu
from onlm_lab.imaging.privacy import digest_text, find_path, safe_path
from onlm_lab.imaging.volume import CtVolume

READER_VERSION = "1"  # raise it when the same files would give other Hounsfield units
VOLUME_FILES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
COLUMNS = (
    "uid modality n_instances spacing_mm thickness_mm kernel tilt_degrees transfer_syntax faults path "
    "pixel_spacing_mm rows columns manufacturer model kvp contrast lossy patient_position image_type study_uid "
    "frame_of_reference_uid patient_digest"
).split()


@dataclass(frozen=True, eq=False)
class SeriesIndex:
    """One readable CT series, known from its headers alone; slices are in order along the normal.

    Attributes:
        folder: what the headers' file names are relative to.
        headers: one a slice, in the order of the z index.
        faults: warnings only; a series that must be refused has no index.
    """

    folder: Path = field(repr=False)
    series_uid: str
    headers: tuple[Header, ...]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray
    acquisition: dict[str, Any]
    faults: tuple[Fault, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along (z, y, x)."""
        return len(self.headers), self.headers[0].rows, self.headers[0].columns

    @property
    def digest(self) -> str:
        """Changes when any file of the series changes (name, size, time of change, geometry); pixels are not read."""
        state = hashlib.sha256(self.series_uid.encode())
        for header in self.headers:
            state.update(repr((Path(header.file).name, header.size_bytes, header.modified_ns)).encode())
            state.update(repr((header.position_mm, header.orientation, header.slope, header.intercept)).encode())
        return state.hexdigest()


def find_series(folder: str | os.PathLike, *, workers: int | None = None, progress: bool = False) -> pd.DataFrame:
    """Every DICOM series below a folder, one row each, whatever the nesting and the file names.

    Args:
        folder: read with everything below it; files that are not DICOM are left out and counted.
        workers: processes for reading headers; None decides by the number of files.
        progress: whether to show a bar.

    Returns:
        One row a series: uid, modality, n_instances, spacing_mm (between slices, from their positions; NaN where they
        are uneven), thickness_mm, kernel, tilt_degrees, transfer_syntax, faults (tuple of codes, empty when sound),
        path (folder relative to the argument; a part that names the patient is a digest, which the readers of this
        package accept in its place), and further facts. `.attrs` counts n_files, n_not_dicom, n_unreadable and
        n_without_series.

    Raises:
        SeriesError: the folder does not exist.
    """
    root = _folder(folder)
    headers, n_files = read_headers(root, workers=workers, progress=progress)
    named = [header for header in headers if header.series_uid]
    rows = [_row(uid, members) for uid, members in _by_series(named).items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    n_unreadable = sum(header.unreadable == UNREADABLE for header in headers)
    table.attrs.update(
        n_files=n_files,
        n_not_dicom=n_files - len(headers),
        n_unreadable=n_unreadable,
        n_without_series=len(headers) - len(named) - n_unreadable,
    )
    return table


def index_series(folder: str | os.PathLike, series_uid: str | None = None) -> SeriesIndex:
    """The one CT series of a folder, or the named one, checked and in order, without decoding a pixel.

    Raises:
        SeriesError: no CT, several of them and none named, or slices that do not make a volume; the message names
            the fault and the slice.
    """
    root = _folder(folder)
    headers, n_files = read_headers(root)
    members = _choose(root, _by_series([header for header in headers if header.series_uid]), series_uid, n_files)
    _refuse_strays(headers, members)
    faults = find_faults(members)
    refusals = [fault for fault in faults if fault.refuses]
    if refusals:
        where = _where(root, members)
        raise SeriesError(f"The CT in '{where}' cannot be read. " + " ".join(fault.sentence for fault in refusals))
    order = np.argsort(positions_mm(members), kind="stable")
    return _placed(root, tuple(members[k] for k in order), faults)


def read_series(folder: str | os.PathLike, series_uid: str | None = None) -> CtVolume:
    """A CT as Hounsfield units in the patient's frame.

    Args:
        folder: a folder of DICOM files (with everything below it), or one NIfTI, NRRD or MetaImage file.
        series_uid: needed where the folder holds several CT series.

    Raises:
        SeriesError: which slice and what is wrong.
    """
    path = find_path(folder)
    if path.is_file() and str(path).lower().endswith(VOLUME_FILES):
        return _read_volume_file(path)
    return read_index(index_series(path, series_uid))


def read_index(index: SeriesIndex) -> CtVolume:
    """The whole CT of an index."""
    hu = np.empty(index.shape, dtype=np.int16)
    padding: np.ndarray | None = None
    for k, header in enumerate(index.headers):
        hu[k], padded = read_slice_hu(index.folder, header)
        if padded is not None:
            padding = np.zeros(index.shape, dtype=bool) if padding is None else padding
            padding[k] = padded
    return CtVolume(
        hu=hu,
        spacing_mm=index.spacing_mm,
        origin_mm=index.origin_mm,
        direction=index.direction,
        series_uid=index.series_uid,
        acquisition=dict(index.acquisition),
        padding=padding,
    )


def _folder(folder: str | os.PathLike) -> Path:
    root = find_path(folder)
    if root.is_dir():
        return root
    what = "is a file, not a folder" if root.is_file() else "does not exist"
    raise SeriesError(f"'{root.name}' {what}. Give the folder that holds the DICOM files.")


def _by_series(headers: Sequence[Header]) -> dict[str, list[Header]]:
    series: dict[str, list[Header]] = {}
    for header in headers:
        series.setdefault(header.series_uid, []).append(header)
    return series


def _where(root: Path, members: Sequence[Header]) -> str:
    """The folder of a series as a message names it: the asked folder's own name and what lies below it."""
    identifying = {text for header in members for text in header.identifying}
    common = os.path.commonpath([os.path.dirname(header.file) for header in members])
    return safe_path(Path(root.resolve().name) / common, identifying=identifying)


def _row(uid: str, members: list[Header]) -> dict[str, Any]:
    first = members[0]
    identifying = {text for header in members for text in header.identifying}
    common = os.path.commonpath([os.path.dirname(header.file) for header in members])
    faults = find_faults(members) if first.modality == "CT" else ()
    codes = tuple(dict.fromkeys(fault.code for fault in faults))
    uneven = {"no_geometry", "multi_frame", "mixed_orientation", "missing_slices", "variable_spacing"} & set(codes)
    syntaxes = sorted({syntax_name(header) for header in members})
    return {
        "uid": uid,
        "modality": first.modality,
        "n_instances": len(members),
        "spacing_mm": float("nan") if uneven or first.modality != "CT" else _spacing_mm(members),
        "thickness_mm": first.thickness_mm,
        "kernel": first.kernel,
        "tilt_degrees": shear_degrees(members),
        "transfer_syntax": "; ".join(syntaxes),
        "faults": codes,
        "path": safe_path(common, identifying=identifying) or ".",
        "pixel_spacing_mm": first.pixel_spacing_mm[0] if first.pixel_spacing_mm else float("nan"),
        "rows": first.rows,
        "columns": first.columns,
        "manufacturer": first.manufacturer,
        "model": first.model,
        "kvp": first.kvp,
        "contrast": first.contrast,
        "lossy": any(header.lossy for header in members),
        "patient_position": first.patient_position,
        "image_type": "\\".join(first.image_type),
        "study_uid": first.study_uid,
        "frame_of_reference_uid": first.frame_of_reference_uid,
        "patient_digest": digest_text(first.patient) if first.patient else "",
    }


def _spacing_mm(members: Sequence[Header]) -> float:
    places = np.unique(np.round(positions_mm(members), 3))
    return float(np.ptp(places) / (len(places) - 1)) if len(places) > 1 else float("nan")


def _choose(root: Path, series: dict[str, list[Header]], series_uid: str | None, n_files: int) -> list[Header]:
    name = safe_path(root.resolve().name, identifying={t for m in series.values() for h in m for t in h.identifying})
    found = {uid: members for uid, members in series.items() if members[0].modality == "CT"}
    if not found:
        others = ", ".join(sorted({members[0].modality or "unknown" for members in series.values()})) or "none"
        raise SeriesError(
            f"'{name}' holds no CT series: {n_files} files, {len(series)} DICOM series of other kinds ({others}). "
            "Give the folder that holds the CT slices."
        )
    if series_uid is not None:
        if series_uid not in found:
            raise SeriesError(f"'{name}' holds no CT series {series_uid}; there are: {_listed(found)}.")
        return found[series_uid]
    if len(found) > 1:
        raise SeriesError(f"'{name}' holds {len(found)} CT series; name one by series_uid: {_listed(found)}.")
    return next(iter(found.values()))


def _refuse_strays(headers: Sequence[Header], members: Sequence[Header]) -> None:
    """A broken file among the slices may be one of them, and a lost first or last slice leaves no gap to see."""
    folders = {os.path.dirname(header.file) for header in members}
    broken = [h for h in headers if not h.series_uid and not h.is_directory and os.path.dirname(h.file) in folders]
    if broken:
        identifying = {text for header in members for text in header.identifying}
        names = ", ".join(f"'{safe_path(header.file, identifying=identifying)}'" for header in broken[:3])
        raise SeriesError(
            f"{len(broken)} DICOM files beside the CT's {len(members)} slices have a broken header ({names}) and may "
            "be slices of it. Copy them again, or move them elsewhere."
        )


def _listed(series: dict[str, list[Header]]) -> str:
    shown = [f"{uid} ({len(members)} slices)" for uid, members in list(series.items())[:10]]
    return ", ".join(shown) + (f" and {len(series) - 10} more" if len(series) > 10 else "")


def _placed(root: Path, headers: tuple[Header, ...], faults: tuple[Fault, ...]) -> SeriesIndex:
    first = headers[0]
    along = positions_mm(headers)
    row, column = (vector / np.linalg.norm(vector) for vector in np.reshape(first.orientation, (2, 3)))
    row_spacing, column_spacing = first.pixel_spacing_mm
    return SeriesIndex(
        folder=root,
        series_uid=first.series_uid,
        headers=headers,
        spacing_mm=(float(np.ptp(along) / (len(headers) - 1)), row_spacing, column_spacing),
        origin_mm=tuple(first.position_mm),
        direction=np.column_stack([slice_normal(first), column, row]),
        acquisition={
            "manufacturer": first.manufacturer,
            "model": first.model,
            "kernel": first.kernel,
            "kvp": first.kvp,
            "thickness_mm": first.thickness_mm,
            "contrast": first.contrast,
            "patient_position": first.patient_position,
            "transfer_syntax": syntax_name(first),
            "frame_of_reference_uid": first.frame_of_reference_uid,
            "warnings": tuple(fault.code for fault in faults),
        },
        faults=faults,
    )


def _read_volume_file(path: Path) -> CtVolume:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise SeriesError(f"'{path.name}' cannot be read as NIfTI, NRRD or MetaImage. Export it again.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SeriesError(
            f"'{path.name}' has {image.GetDimension()} dimensions; a CT is one value in three dimensions."
        )
    values = sitk.GetArrayFromImage(image)
    if values.dtype != np.int16:
        values = np.rint(values)
        if not np.isfinite(values).all() or values.min() < -32768 or values.max() > 32767:
            raise SeriesError(f"'{path.name}' holds values that are no Hounsfield units. Give the CT itself.")
    return CtVolume(
        hu=values.astype(np.int16),
        spacing_mm=tuple(image.GetSpacing()[::-1]),
        origin_mm=tuple(image.GetOrigin()),
        direction=np.reshape(image.GetDirection(), (3, 3))[:, ::-1].copy(),
        series_uid="",
        acquisition={"source": "volume file", "thickness_mm": float("nan"), "kernel": "", "warnings": ()},
    )
