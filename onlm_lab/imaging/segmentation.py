"""Reads a segment of a DICOM SEG onto the grid of its CT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pydicom
import SimpleITK as sitk
from scipy.ndimage import affine_transform

from onlm_lab.errors import SeriesError
from onlm_lab.imaging.mask_files import OUTSIDE_FRACTION, on_grid
from onlm_lab.imaging.regions import choose_region, names_of, refuse_other_frame
from onlm_lab.imaging.slabs import fill_grid, planes_on_slices
from onlm_lab.imaging.volume import CtVolume

PARALLEL = 0.2  # slices that a frame may lean across its whole width
EVEN = 0.1  # of a step; frames that are resampled have to lie evenly


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One frame of the segment: its pixels, and where they lie."""

    inside: np.ndarray
    position_mm: np.ndarray
    row: np.ndarray
    column: np.ndarray
    pixel_mm: tuple[float, float]  # between rows, between columns

    def in_voxels(self, volume: CtVolume) -> tuple[np.ndarray, np.ndarray]:
        """Its first pixel in CT voxels (z, y, x), and one row and one column further (3x2)."""
        origin = volume.to_voxel(self.position_mm)
        further = [self.position_mm + self.column * self.pixel_mm[0], self.position_mm + self.row * self.pixel_mm[1]]
        return origin, (volume.to_voxel(np.stack(further)) - origin).T

    def lean(self, volume: CtVolume) -> float:
        """How many slices the frame crosses from corner to corner."""
        return float(np.abs(self.in_voxels(volume)[1][0]) @ np.array(self.inside.shape))


def read_segmentation(
    data: pydicom.Dataset, name: str, volume: CtVolume, roi: str | int | None, *, notes: list[str],
    identifying: Sequence[str],
) -> np.ndarray:  # fmt: skip
    """One segment as a mask (z,y,x); see `masks.read_mask`. Takes what a person should look at into notes."""
    names = {int(item.SegmentNumber): names_of(item, "SegmentLabel", data) for item in data.SegmentSequence}
    number = choose_region(names, roi, file=name, identifying=identifying)
    refuse_other_frame(
        str(data.get("FrameOfReferenceUID", "")), list(series_of_segmentation(data)), name,
        frame_of_ct=volume.frame_of_reference_uid, series_uid=volume.series_uid,
    )  # fmt: skip
    frames = [frame for frame in _frames_of(data, number) if frame.inside.any()]
    if not frames:
        return np.zeros(volume.shape, dtype=bool)
    if max(frame.lean(volume) for frame in frames) > PARALLEL:
        return on_grid(_as_image(frames, name), name, volume)
    return _parallel(frames, name, volume, notes=notes)


def series_of_segmentation(data: pydicom.Dataset) -> Iterator[str]:
    """The series that a SEG says it was drawn on."""
    for item in data.get("ReferencedSeriesSequence") or ():
        if uid := str(item.get("SeriesInstanceUID", "")):
            yield uid


def _frames_of(data: pydicom.Dataset, number: int) -> Iterator[_Drawn]:
    pixels = data.pixel_array.reshape(-1, int(data.Rows), int(data.Columns))
    kind = str(data.get("SegmentationType", "BINARY"))
    level = 1 if kind == "BINARY" else 0.5 * float(data.get("MaximumFractionalValue", 255))
    for frame, groups in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        if kind == "LABELMAP":
            inside = frame == number
        elif int(_group(data, groups, "SegmentIdentificationSequence").ReferencedSegmentNumber) != number:
            continue
        else:
            inside = frame >= level
        orientation = np.array(_group(data, groups, "PlaneOrientationSequence").ImageOrientationPatient, dtype=float)
        row, column = np.reshape(orientation, (2, 3))
        row_mm, column_mm = (float(v) for v in _group(data, groups, "PixelMeasuresSequence").PixelSpacing)
        position = np.array(_group(data, groups, "PlanePositionSequence").ImagePositionPatient, dtype=float)
        yield _Drawn(inside, position, row, column, (row_mm, column_mm))


def _group(data: pydicom.Dataset, groups: pydicom.Dataset, sequence: str) -> pydicom.Dataset:
    """One functional group of a frame, its own or the one that all frames share."""
    if sequence in groups:
        return groups[sequence].value[0]
    return data.SharedFunctionalGroupsSequence[0][sequence].value[0]


def _parallel(frames: list[_Drawn], name: str, volume: CtVolume, *, notes: list[str]) -> np.ndarray:
    """Frames that lie along the slices, pixel by pixel."""
    heights = [float(frame.in_voxels(volume)[0][0]) for frame in frames]
    for height in heights:
        if not -0.5 <= height <= volume.shape[0] - 0.5:
            raise SeriesError(
                f"The mask in '{name}' lies outside the scan: on slice {height:.0f} of {volume.shape[0]}."
            )
    planes = planes_on_slices(heights, volume, name=name, notes=notes)
    drawn: dict[int, np.ndarray] = {}
    n_drawn = n_placed = 0.0
    for k, members in planes.items():
        drawn[k] = np.zeros(volume.shape[1:], dtype=bool)
        for number in members:
            placed, n = _placed(frames[number], volume)
            drawn[k] |= placed
            n_drawn += n
            n_placed += int(placed.sum())
    if n_placed < (1 - 2 * OUTSIDE_FRACTION) * n_drawn - 8:
        raise SeriesError(f"Part of the mask in '{name}' lies outside the scan. It was drawn on another series.")
    return fill_grid(drawn, volume)


def _placed(frame: _Drawn, volume: CtVolume) -> tuple[np.ndarray, float]:
    """A frame on the pixels of a slice, and how many pixels of the CT it covers wherever they are."""
    origin, steps = frame.in_voxels(volume)
    back = np.linalg.inv(steps[1:])
    # Rounding to a thousandth of a pixel keeps equal grids equal although positions are written with few digits.
    offset = np.round(-back @ origin[1:], 3)
    placed = affine_transform(
        frame.inside.astype(np.uint8), np.round(back, 6), offset=offset, output_shape=volume.shape[1:], order=0,
        mode="grid-constant",  # "constant" would cut the outer half of the frame's outermost pixels
    )  # fmt: skip
    return placed.astype(bool), float(frame.inside.sum() * abs(np.linalg.det(steps[1:])))


def _as_image(frames: list[_Drawn], name: str) -> sitk.Image:
    """Frames of an oblique segment as one image, which can be resampled to any grid."""
    first = frames[0]
    normal = np.cross(first.row, first.column)
    places = np.array([frame.position_mm for frame in frames])
    along = places @ normal
    order = np.argsort(along, kind="stable")
    along = along[order]
    levels = along[np.r_[True, np.diff(along) > 1e-3]]
    if len(levels) < 2:
        raise SeriesError(f"The mask in '{name}' is not parallel to the CT's slices, and only one frame is drawn.")
    step = float(np.diff(levels).min())
    index = (along - along[0]) / step
    sideways = places[order] - places[order[0]] - np.outer(along - along[0], normal)
    if np.abs(index - np.rint(index)).max() > EVEN or np.linalg.norm(sideways, axis=1).max() > EVEN * step:
        raise SeriesError(f"The mask in '{name}' is not parallel to the CT's slices. Resample it to the CT.")
    values = np.zeros((int(np.rint(index[-1])) + 1, *first.inside.shape), dtype=np.uint8)
    for k, number in zip(np.rint(index).astype(int), order, strict=True):
        values[k] |= frames[number].inside.astype(np.uint8)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((first.pixel_mm[1], first.pixel_mm[0], step))
    image.SetOrigin(places[order[0]].tolist())
    image.SetDirection(np.column_stack([first.row, first.column, normal]).ravel().tolist())
    return image
