"""Reads a region of an RTSTRUCT onto the grid of its CT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.privacy import safe_text
from onlm_lab.imaging.rasterising import combine, rasterise
from onlm_lab.imaging.regions import choose_region, names_of, refuse_other_frame
from onlm_lab.imaging.slabs import fill_grid, planes_on_slices
from onlm_lab.imaging.volume import CtVolume

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
OPEN = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")
PARALLEL = 0.2  # slices; a contour may lean by this much
ON_EDGE = 0.01  # voxels; a vertex may lie on the outer edge of the last voxel, half a voxel beyond its centre


@dataclass(frozen=True, eq=False)
class _Contour:
    """A closed contour: vertices (n, 3) as x, y, z in mm, and whether it is one of an exclusive or."""

    points_mm: np.ndarray
    exclusive: bool


def read_rtstruct(
    data: pydicom.Dataset, name: str, volume: CtVolume, roi: str | int | None, *, notes: list[str],
    identifying: Sequence[str],
) -> np.ndarray:  # fmt: skip
    """One region as a mask (z,y,x); see `masks.read_mask`. Takes what a person should look at into notes."""
    regions = {int(item.ROINumber): item for item in data.get("StructureSetROISequence") or ()}
    names = {number: names_of(item, "ROIName", data) for number, item in regions.items()}
    number = choose_region(names, roi, file=name, identifying=identifying)
    refuse_other_frame(
        _frame_of(regions[number], data), list(series_of_rtstruct(data)), name,
        frame_of_ct=volume.frame_of_reference_uid, series_uid=volume.series_uid,
    )  # fmt: skip
    contours = _contours(data, number, notes=notes)
    if not contours:
        region = safe_text(names[number][0], identifying=identifying)
        raise SeriesError(
            f"'{region}' in '{name}' has no closed contour. {' '.join([*notes, ''])}Choose another of its {len(names)} "
            "regions."
        )
    voxels = [volume.to_voxel(contour.points_mm) for contour in contours]
    heights = [_height(points, f"contour {k} of '{name}'", volume) for k, points in enumerate(voxels, start=1)]
    planes = planes_on_slices(heights, volume, name=name, notes=notes)
    drawn: dict[int, np.ndarray] = {}
    n_repeated = n_crossing = 0
    for k, members in planes.items():
        polygons = [voxels[member][:, 1:] for member in members]
        if any(contours[member].exclusive for member in members):
            drawn[k] = rasterise(polygons, volume.shape[1:])  # CLOSEDPLANAR_XOR: exclusive or, by the standard
            continue
        drawn[k], repeated, crossing = combine(polygons, volume.shape[1:])
        n_repeated, n_crossing = n_repeated + repeated, n_crossing + crossing
    if n_repeated:
        notes.append(f"{n_repeated} contour(s) are repeats of another one on the same slice and were counted once.")
    if n_crossing:
        notes.append(f"{n_crossing} contour(s) cross another one on the same slice; the two were united.")
    return fill_grid(drawn, volume)


def series_of_rtstruct(data: pydicom.Dataset) -> Iterator[str]:
    """The series that an RTSTRUCT says it was drawn on."""
    for frame in data.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                if uid := str(series.get("SeriesInstanceUID", "")):
                    yield uid


def _frame_of(region: pydicom.Dataset, data: pydicom.Dataset) -> str:
    """A region's frame of reference; where it names none, the only one that the structure set knows."""
    if own := str(region.get("ReferencedFrameOfReferenceUID", "")):
        return own
    known = {str(item.get("FrameOfReferenceUID", "")) for item in data.get("ReferencedFrameOfReferenceSequence") or ()}
    return next(iter(known)) if len(known) == 1 else ""


def _contours(data: pydicom.Dataset, number: int, *, notes: list[str]) -> list[_Contour]:
    """Every closed contour of a region."""
    found, left_out = [], Counter()
    for item in data.get("ROIContourSequence") or ():
        if int(item.ReferencedROINumber) != number:
            continue
        for contour in item.get("ContourSequence") or ():
            kind = str(contour.get("ContourGeometricType", "")).upper()
            points = np.reshape(np.array(contour.ContourData, dtype=float), (-1, 3))
            if kind not in CLOSED:
                left_out[kind if kind in OPEN else "of unknown kind"] += 1
            elif len(np.unique(points, axis=0)) < 3:
                left_out["of fewer than 3 points"] += 1
            else:
                found.append(_Contour(points, kind == "CLOSEDPLANAR_XOR"))
    if left_out:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(left_out.items()))
        notes.append(f"{left_out.total()} contour(s) of {left_out.total() + len(found)} enclose nothing ({kinds}).")
    return found


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
