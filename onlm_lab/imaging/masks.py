"""Reads a tumour's mask onto the grid of its CT: RTSTRUCT, DICOM SEG, NIfTI, NRRD, MetaImage."""

from __future__ import annotations

import fnmatch
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError
from scipy.ndimage import affine_transform

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.headers import read_headers
from onlm_lab.imaging.privacy import find_path, identifying_texts, safe_path, safe_text
from onlm_lab.imaging.series import VOLUME_FILES
from onlm_lab.imaging.volume import CtVolume

OUTSIDE_FRACTION = 0.01  # this much of a mask may lie beyond the scan: rounding at its edge
ON_GRID = 0.01  # voxels; closer than this two grids are the same


def read_mask(path: str | os.PathLike, volume: CtVolume, roi: str | int | None = None) -> np.ndarray:
    """Where the tumour is: bool (z,y,x) on the grid of the CT.

    Args:
        path: an RTSTRUCT or SEG file, or a folder that holds exactly one of them, or a NIfTI, NRRD or MetaImage file.
        volume: the CT that the mask was drawn on.
        roi: name of the contour or segment (a pattern such as "GTV*" serves), or its number; None where there is
            only one. For NIfTI and NRRD the label's value.

    Raises:
        SeriesError: no or several contours match, the mask is empty, lies outside the scan, skips slices, or belongs
            to another frame of reference.
    """
    path = _mask_file(find_path(path))
    if str(path).lower().endswith(VOLUME_FILES):
        name = path.name
        mask = _from_volume_file(path, volume, roi)
    else:
        data = _dicom(path)
        name = safe_path(path.name, identifying=identifying_texts(data))
        readers = {"RTSTRUCT": _from_rtstruct, "SEG": _from_seg}
        kind = str(data.get("Modality", ""))
        if kind not in readers:
            raise SeriesError(f"'{name}' is a DICOM file of kind {kind or 'unknown'}; an RTSTRUCT or SEG is wanted.")
        mask = readers[kind](data, name, volume, roi)
    if not mask.any():
        raise SeriesError(f"The mask in '{name}' is empty on the CT's grid: no voxel centre lies inside it.")
    return mask


def centre_of_mass_mm(mask: np.ndarray, volume: CtVolume) -> tuple[float, float, float]:
    """The centre of a mask as x, y, z in mm in the DICOM patient frame (LPS)."""
    centre = np.array([places.mean() for places in np.nonzero(mask)])
    return tuple(volume.to_patient_mm(centre).tolist())


def rasterise(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The pixels (bool, rows x columns) whose centre lies inside an odd number of closed polygons.

    Holes, islands and keyholes follow from this even-odd rule. A centre on a left or upper edge is inside, on a right
    or lower edge outside, so that neighbouring polygons share no pixel.

    Args:
        polygons: each (n, 2) vertices as row, column; pixel centres have whole numbers.
        shape: rows, columns.
    """
    crossings = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    for polygon in polygons:
        start, end = polygon, np.roll(polygon, -1, axis=0)
        for (row_a, column_a), (row_b, column_b) in zip(start, end, strict=True):
            low, high = sorted((row_a, row_b))
            rows = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), shape[0]))
            if not rows.size:
                continue
            columns = column_a + (rows - row_a) * (column_b - column_a) / (row_b - row_a)
            np.add.at(crossings, (rows, np.clip(np.ceil(columns), 0, shape[1]).astype(int)), 1)
    return (np.cumsum(crossings[:, :-1], axis=1) & 1).astype(bool)


def _mask_file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise SeriesError(f"The mask '{path.name}' does not exist. Check the path in annotations.csv.")
    headers, _ = read_headers(path)
    found = [header for header in headers if header.modality in ("RTSTRUCT", "SEG")]
    if len(found) != 1:
        raise SeriesError(f"'{path.name}' holds {len(found)} RTSTRUCT or SEG files, not one. Name the file.")
    return path / found[0].file


def _dicom(path: Path) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd but readable values of other systems
            return pydicom.dcmread(path)
    except (InvalidDicomError, EOFError) as error:
        raise SeriesError(
            f"'{path.name}' is neither DICOM nor one of {', '.join(VOLUME_FILES)}. Give an RTSTRUCT, SEG or NIfTI."
        ) from error


def _choose(names: Mapping[int, str], roi: str | int | None, *, file: str, identifying: Sequence[str]) -> int:
    """The number of the one contour or segment that `roi` stands for."""
    shown = ", ".join(f"{number}: {safe_text(name, identifying=identifying)}" for number, name in names.items())
    if roi is None and len(names) == 1:
        return next(iter(names))
    if roi is None:
        raise SeriesError(f"'{file}' holds {len(names)} regions; name one: {shown}.")
    text = str(roi)
    matches = (
        [number for number, name in names.items() if name == text],
        [number for number in names if str(number) == text],
        [number for number, name in names.items() if fnmatch.fnmatchcase(name.casefold(), text.casefold())],
    )
    found = next((match for match in matches if match), [])
    if len(found) != 1:
        raise SeriesError(f"{len(found)} regions of '{file}' match '{text}'; exactly one is wanted of: {shown}.")
    return found[0]


def _same_frame(frame: str, name: str, volume: CtVolume) -> None:
    if frame and volume.frame_of_reference_uid and frame != volume.frame_of_reference_uid:
        raise SeriesError(
            f"The mask in '{name}' belongs to another frame of reference than the CT, so its place in this scan is "
            "unknown. Give the mask that was drawn on this series."
        )


def _from_rtstruct(data: pydicom.Dataset, name: str, volume: CtVolume, roi: str | int | None) -> np.ndarray:
    regions = {int(item.ROINumber): item for item in data.get("StructureSetROISequence", [])}
    names = {number: str(item.get("ROIName", "")).strip() for number, item in regions.items()}
    number = _choose(names, roi, file=name, identifying=identifying_texts(data))
    _same_frame(str(regions[number].get("ReferencedFrameOfReferenceUID", "")), name, volume)
    contours = [
        np.reshape(np.array(contour.ContourData, dtype=float), (-1, 3))
        for item in data.get("ROIContourSequence", [])
        if int(item.ReferencedROINumber) == number
        for contour in item.get("ContourSequence", [])
        if str(contour.get("ContourGeometricType", "")).startswith("CLOSED")
    ]
    if not contours:
        region = safe_text(names[number], identifying=identifying_texts(data))
        raise SeriesError(f"'{region}' in '{name}' has no closed contour. Choose another of its {len(names)} regions.")
    planes: dict[int, list[np.ndarray]] = {}
    for k, contour in enumerate(contours):
        voxels = volume.to_voxel(contour)
        planes.setdefault(_plane(voxels, f"contour {k + 1} of '{name}'", volume), []).append(voxels[:, 1:])
    _refuse_skipping(planes, name)
    mask = np.zeros(volume.shape, dtype=bool)
    for z, polygons in planes.items():
        mask[z] = rasterise(polygons, volume.shape[1:])
    return mask


def _plane(voxels: np.ndarray, what: str, volume: CtVolume) -> int:
    """The slice that a contour's vertices (n, 3 as z, y, x) lie on."""
    heights = voxels[:, 0]
    if np.ptp(heights) > 0.2:
        raise SeriesError(f"{what} is not parallel to the CT's slices: it spans {np.ptp(heights):.1f} of them.")
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    # A vertex may lie on the outer edge of the last voxel, half a voxel beyond its centre.
    if (low < -0.5 - ON_GRID).any() or (high > np.array(volume.shape) - 0.5 + ON_GRID).any():
        raise SeriesError(
            f"{what} lies outside the scan: voxels z, y, x from {np.round(low, 1).tolist()} to "
            f"{np.round(high, 1).tolist()} of {volume.shape}. It was drawn on another series."
        )
    return int(np.clip(np.rint(heights.mean()), 0, volume.shape[0] - 1))


def _refuse_skipping(planes: Mapping[int, object], name: str) -> None:
    steps = np.diff(sorted(planes))
    if steps.size and np.median(steps) > 1:
        raise SeriesError(
            f"The mask in '{name}' is drawn on one slice in {np.median(steps):g} of the CT ({len(planes)} in all); it "
            "belongs to a series with thicker slices. Give the mask that was drawn on this series."
        )


def _from_seg(data: pydicom.Dataset, name: str, volume: CtVolume, roi: str | int | None) -> np.ndarray:
    names = {int(item.SegmentNumber): str(item.get("SegmentLabel", "")).strip() for item in data.SegmentSequence}
    number = _choose(names, roi, file=name, identifying=identifying_texts(data))
    _same_frame(str(data.get("FrameOfReferenceUID", "")), name, volume)
    frames = data.pixel_array.reshape(-1, int(data.Rows), int(data.Columns))
    kind = str(data.get("SegmentationType", "BINARY"))
    mask = np.zeros(volume.shape, dtype=bool)
    planes: dict[int, bool] = {}
    n_drawn = n_placed = 0
    for frame, groups in zip(frames, data.PerFrameFunctionalGroupsSequence, strict=True):
        if kind == "LABELMAP":
            inside = frame == number
        elif int(_group(data, groups, "SegmentIdentificationSequence").ReferencedSegmentNumber) != number:
            continue
        else:
            level = 1 if kind == "BINARY" else 0.5 * float(data.get("MaximumFractionalValue", 255))
            inside = frame >= level
        if inside.any():
            z, placed = _place_frame(data, groups, inside, name, volume)
            mask[z] |= placed
            planes[z] = True
            n_drawn += _in_ct_pixels(data, groups, inside, volume)
            n_placed += int(placed.sum())
    if n_placed < (1 - 2 * OUTSIDE_FRACTION) * n_drawn - 8:
        raise SeriesError(f"Part of the mask in '{name}' lies outside the scan. It was drawn on another series.")
    _refuse_skipping(planes, name)
    return mask


def _group(data: pydicom.Dataset, groups: pydicom.Dataset, sequence: str) -> pydicom.Dataset:
    """One functional group of a frame, its own or the one that all frames share."""
    if sequence in groups:
        return groups[sequence].value[0]
    return data.SharedFunctionalGroupsSequence[0][sequence].value[0]


def _frame_steps(data: pydicom.Dataset, groups: pydicom.Dataset, volume: CtVolume) -> tuple[np.ndarray, np.ndarray]:
    """Where a frame's first pixel lies in CT voxels (z, y, x), and one row and one column further (3x2)."""
    position = np.array(_group(data, groups, "PlanePositionSequence").ImagePositionPatient, dtype=float)
    row, column = np.reshape(np.array(_group(data, groups, "PlaneOrientationSequence").ImageOrientationPatient), (2, 3))
    row_mm, column_mm = (float(value) for value in _group(data, groups, "PixelMeasuresSequence").PixelSpacing)
    origin = volume.to_voxel(position)
    ends = volume.to_voxel(np.stack([position + column * row_mm, position + row * column_mm]).astype(float))
    return origin, (ends - origin).T


def _in_ct_pixels(data: pydicom.Dataset, groups: pydicom.Dataset, inside: np.ndarray, volume: CtVolume) -> int:
    _, steps = _frame_steps(data, groups, volume)
    return round(inside.sum() * abs(np.linalg.det(steps[1:])))


def _place_frame(
    data: pydicom.Dataset, groups: pydicom.Dataset, inside: np.ndarray, name: str, volume: CtVolume
) -> tuple[int, np.ndarray]:
    origin, steps = _frame_steps(data, groups, volume)
    reach = np.abs(steps[0]) @ np.array(inside.shape)
    if reach > 0.2:
        raise SeriesError(f"The mask in '{name}' is not parallel to the CT's slices. Resample it to the CT.")
    z = int(np.rint(origin[0]))
    if not 0 <= z < volume.shape[0]:
        raise SeriesError(f"The mask in '{name}' lies outside the scan: on slice {z} of {volume.shape[0]}.")
    back = np.linalg.inv(steps[1:])
    # Rounding to a thousandth of a pixel keeps equal grids equal although positions are written with few digits.
    offset = np.round(-back @ origin[1:], 3)
    placed = affine_transform(
        inside.astype(np.uint8), np.round(back, 6), offset=offset, output_shape=volume.shape[1:], order=0
    )
    return z, placed.astype(bool)


def _from_volume_file(path: Path, volume: CtVolume, roi: str | int | None) -> np.ndarray:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise SeriesError(f"The mask '{path.name}' cannot be read as NIfTI, NRRD or MetaImage.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SeriesError(f"The mask '{path.name}' has {image.GetDimension()} dimensions; one label a voxel is wanted.")
    values = sitk.GetArrayViewFromImage(image)
    labels = [value for value in np.unique(values).tolist() if value != 0]
    if not labels:
        raise SeriesError(f"The mask '{path.name}' is empty: every voxel is 0.")
    shown = ", ".join(f"{label:g}" for label in labels[:10])
    if roi is None and len(labels) > 1:
        raise SeriesError(f"The mask '{path.name}' holds {len(labels)} labels; name one as roi: {shown}.")
    wanted = labels[0] if roi is None else next((label for label in labels if f"{label:g}" == str(roi)), None)
    if wanted is None:
        raise SeriesError(f"The mask '{path.name}' has no label {roi}; there are: {shown}.")
    chosen = sitk.GetImageFromArray((values == wanted).astype(np.uint8))
    chosen.CopyInformation(image)
    placed = sitk.Resample(chosen, _like(volume), sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    mask = sitk.GetArrayFromImage(placed).astype(bool)
    _refuse_outside(chosen, path.name, volume)
    return mask


def _like(volume: CtVolume) -> sitk.Image:
    """An empty SimpleITK image with the CT's geometry."""
    image = sitk.Image([int(n) for n in volume.shape[::-1]], sitk.sitkUInt8)
    image.SetSpacing([float(value) for value in volume.spacing_mm[::-1]])
    image.SetOrigin([float(value) for value in volume.origin_mm])
    image.SetDirection(np.asarray(volume.direction, dtype=float)[:, ::-1].ravel().tolist())
    return image


def _refuse_outside(chosen: sitk.Image, name: str, volume: CtVolume) -> None:
    index_zyx = np.argwhere(sitk.GetArrayViewFromImage(chosen))
    matrix = np.reshape(chosen.GetDirection(), (3, 3)) * np.array(chosen.GetSpacing())
    places = volume.to_voxel(index_zyx[:, ::-1] @ matrix.T + np.array(chosen.GetOrigin()))
    inside = ((places > -0.5 - ON_GRID) & (places < np.array(volume.shape) - 0.5 + ON_GRID)).all(axis=1)
    n_outside = int((~inside).sum())
    if n_outside > OUTSIDE_FRACTION * len(places):
        raise SeriesError(
            f"{n_outside} of {len(places)} voxels of the mask '{name}' lie outside the scan. It was drawn on another "
            "series, or its file lost the geometry."
        )
