"""Reads a region of an RTSTRUCT onto the grid of its CT."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pydicom

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.privacy import identifying_texts, safe_text
from onlm_lab.imaging.rasterising import rasterise
from onlm_lab.imaging.regions import choose_region, names_of, refuse_other_frame
from onlm_lab.imaging.slabs import fill_grid, planes_on_slices, refuse_skipping
from onlm_lab.imaging.volume import CtVolume

PARALLEL = 0.2  # slices; a contour may lean by this much
ON_EDGE = 0.01  # voxels; a vertex may lie on the outer edge of the last voxel, half a voxel beyond its centre


def read_rtstruct(data: pydicom.Dataset, name: str, volume: CtVolume, roi: str | int | None) -> np.ndarray:
    """One region as a mask (z,y,x); see `masks.read_mask`."""
    regions = {int(item.ROINumber): item for item in data.get("StructureSetROISequence") or ()}
    names = {number: names_of(item, "ROIName", data) for number, item in regions.items()}
    number = choose_region(names, roi, file=name, identifying=identifying_texts(data))
    refuse_other_frame(
        str(regions[number].get("ReferencedFrameOfReferenceUID", "")), list(series_of_rtstruct(data)), name,
        frame_of_ct=volume.frame_of_reference_uid, series_uid=volume.series_uid,
    )  # fmt: skip
    contours = _closed_contours(data, number)
    if not contours:
        region = safe_text(names[number][0], identifying=identifying_texts(data))
        raise SeriesError(f"'{region}' in '{name}' has no closed contour. Choose another of its {len(names)} regions.")
    voxels = [volume.to_voxel(contour) for contour in contours]
    heights = [_height(points, f"contour {k} of '{name}'", volume) for k, points in enumerate(voxels, start=1)]
    planes = planes_on_slices(heights, volume)
    refuse_skipping(list(planes), name)
    drawn = {
        k: rasterise([voxels[number][:, 1:] for number in members], volume.shape[1:]) for k, members in planes.items()
    }
    return fill_grid(drawn, volume)


def series_of_rtstruct(data: pydicom.Dataset) -> Iterator[str]:
    """The series that an RTSTRUCT says it was drawn on."""
    for frame in data.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                if uid := str(series.get("SeriesInstanceUID", "")):
                    yield uid


def _closed_contours(data: pydicom.Dataset, number: int) -> list[np.ndarray]:
    """Vertices (n, 3) as x, y, z in mm of every closed contour of a region."""
    return [
        np.reshape(np.array(contour.ContourData, dtype=float), (-1, 3))
        for item in data.get("ROIContourSequence") or ()
        if int(item.ReferencedROINumber) == number
        for contour in item.get("ContourSequence") or ()
        if str(contour.get("ContourGeometricType", "")).startswith("CLOSED")
    ]


def _height(voxels: np.ndarray, what: str, volume: CtVolume) -> float:
    """The z index of the plane that a contour's vertices (n, 3 as z, y, x) lie on."""
    heights = voxels[:, 0]
    if np.ptp(heights) > PARALLEL:
        raise SeriesError(f"{what} is not parallel to the CT's slices: it spans {np.ptp(heights):.1f} of them.")
    low, high = voxels.min(axis=0), voxels.max(axis=0)
    if not ((low >= -0.5 - ON_EDGE).all() and (high <= np.array(volume.shape) - 0.5 + ON_EDGE).all()):
        raise SeriesError(
            f"{what} lies outside the scan: voxels z, y, x from {np.round(low, 1).tolist()} to "
            f"{np.round(high, 1).tolist()} of {volume.shape}. It was drawn on another series."
        )
    return float(heights.mean())
