"""Writes small CT series, RTSTRUCT and SEG files whose every voxel the tests know."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

FRAME = generate_uid(entropy_srcs=["frame"])


@dataclass(frozen=True)
class Scan:
    """A made-up scan: `field(x, y, z)` gives the Hounsfield value at every place in the patient (LPS)."""

    field: Callable = lambda x, y, z: 0 * x + 0 * y + 0 * z
    shape: tuple[int, int, int] = (8, 20, 24)
    spacing_mm: tuple[float, float, float] = (2.0, 1.0, 0.8)
    origin_mm: tuple[float, float, float] = (-10.0, -12.0, -100.0)
    row: tuple[float, float, float] = (1.0, 0.0, 0.0)  # direction of a growing column number
    column: tuple[float, float, float] = (0.0, 1.0, 0.0)
    step: tuple[float, float, float] | None = None  # from slice to slice; None is along the normal
    slope: float = 1.0
    intercept: float = -1024.0
    signed: bool = False
    bits_stored: int = 16
    series: str = "one"
    frame: str = FRAME

    def positions(self) -> np.ndarray:
        step = np.cross(self.row, self.column) if self.step is None else np.array(self.step)
        return np.array(self.origin_mm) + np.arange(self.shape[0])[:, None] * step * self.spacing_mm[0]

    def hu(self) -> np.ndarray:
        y, x = (np.arange(n) for n in self.shape[1:])
        places = (
            self.positions()[:, None, None]
            + y[:, None, None] * np.array(self.column) * self.spacing_mm[1]
            + x[:, None] * np.array(self.row) * self.spacing_mm[2]
        )
        return self.field(places[..., 0], places[..., 1], places[..., 2])

    def but(self, **changes) -> Scan:
        return replace(self, **changes)


def slices(scan: Scan) -> list[FileDataset]:
    """One data set a slice, in the order of the slice positions."""
    dtype = np.int16 if scan.signed else np.uint16
    stored = np.rint((scan.hu() - scan.intercept) / scan.slope)
    assert np.iinfo(dtype).min <= stored.min() and stored.max() <= np.iinfo(dtype).max, "does not fit"
    made = []
    for k, position in enumerate(scan.positions()):
        data = _file(CTImageStorage, f"{scan.series}-{k}")
        data.Modality = "CT"
        data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.PatientName, data.PatientID = "", ""
        data.SeriesInstanceUID = generate_uid(entropy_srcs=[scan.series])
        data.FrameOfReferenceUID = scan.frame
        data.InstanceNumber = k + 1
        data.SliceThickness = scan.spacing_mm[0]
        data.ImagePositionPatient = [round(float(v), 6) for v in position]
        data.ImageOrientationPatient = [round(float(v), 8) for v in (*scan.row, *scan.column)]
        data.PixelSpacing = list(scan.spacing_mm[1:])
        data.Rows, data.Columns = scan.shape[1:]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, scan.bits_stored, scan.bits_stored - 1
        data.PixelRepresentation = int(scan.signed)
        data.RescaleSlope, data.RescaleIntercept = scan.slope, scan.intercept
        data.PixelData = stored[k].astype(dtype).tobytes()
        made.append(data)
    return made


def write(folder: Path, datasets: list[Dataset], names: list[str] | None = None) -> Path:
    """Saves data sets under the given names (or numbers without an extension)."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(datasets):
        path = folder / (names[k] if names else f"{k:03d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path, enforce_file_format=True)
    return folder


def write_scan(folder: Path, scan: Scan) -> Path:
    return write(folder, slices(scan))


def enhanced(scan: Scan, *, order: list[int] | None = None, shared: bool = True) -> FileDataset:
    """The same scan as one Enhanced CT file; frames in any order; what is shared may stand with each frame instead."""
    order = list(range(scan.shape[0])) if order is None else order
    singles = slices(scan)
    data = _file(EnhancedCTImageStorage, f"{scan.series}-enhanced")
    data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    data.PatientName, data.PatientID = "", ""
    data.SeriesInstanceUID, data.FrameOfReferenceUID = generate_uid(entropy_srcs=[scan.series]), scan.frame
    first = singles[0]
    for name in ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"):
        setattr(data, name, first[name].value)
    data.HighBit, data.PixelRepresentation = first.HighBit, first.PixelRepresentation
    data.NumberOfFrames = len(order)
    common = Dataset()
    common.PixelMeasuresSequence = [_item(PixelSpacing=list(scan.spacing_mm[1:]), SliceThickness=scan.spacing_mm[0])]
    common.PlaneOrientationSequence = [_item(ImageOrientationPatient=[*scan.row, *scan.column])]
    rescale = _item(RescaleSlope=scan.slope, RescaleIntercept=scan.intercept, RescaleType="HU")
    common.PixelValueTransformationSequence = [rescale]
    common.CTReconstructionSequence = [_item(ConvolutionKernel="B70f")]
    common.CTXRayDetailsSequence = [_item(KVP=120.0)]
    data.SharedFunctionalGroupsSequence = [common if shared else Dataset()]
    data.PerFrameFunctionalGroupsSequence = []
    for k in order:
        groups = Dataset()
        if not shared:
            groups.update(common)
        groups.PlanePositionSequence = [_item(ImagePositionPatient=list(singles[k].ImagePositionPatient))]
        groups.FrameContentSequence = [_item(StackID="1", InStackPositionNumber=k + 1)]
        data.PerFrameFunctionalGroupsSequence.append(groups)
    data.PixelData = b"".join(singles[k].PixelData for k in order)
    return data


def _item(**values: object) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def rtstruct(regions: dict[str, list[np.ndarray]], *, frame: str = FRAME) -> FileDataset:
    """An RTSTRUCT; each region is a list of closed contours (n, 3) as x, y, z in mm."""
    data = _file(RTStructureSetStorage, "rtstruct")
    data.Modality, data.SeriesInstanceUID = "RTSTRUCT", generate_uid(entropy_srcs=["rtstruct"])
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), start=1):
        region, drawn = Dataset(), Dataset()
        region.ROINumber, region.ROIName, region.ReferencedFrameOfReferenceUID = number, name, frame
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [f"{value:.4f}" for value in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        data.StructureSetROISequence.append(region)
        data.ROIContourSequence.append(drawn)
    return data


def segmentation(masks: dict[str, np.ndarray], scan: Scan) -> FileDataset:
    """A binary SEG on the grid of a scan; frames are stored last slice first, empty ones left out."""
    data = _file(SegmentationStorage, "seg")
    data.Modality, data.SeriesInstanceUID = "SEG", generate_uid(entropy_srcs=["seg"])
    data.FrameOfReferenceUID, data.SegmentationType = scan.frame, "BINARY"
    data.SegmentSequence, data.PerFrameFunctionalGroupsSequence = [], []
    frames = []
    for number, (name, mask) in enumerate(masks.items(), start=1):
        segment = Dataset()
        segment.SegmentNumber, segment.SegmentLabel = number, name
        data.SegmentSequence.append(segment)
        for k in reversed(range(len(mask))):
            if mask[k].any():
                data.PerFrameFunctionalGroupsSequence.append(_frame(number, scan.positions()[k]))
                frames.append(mask[k])
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = list(scan.spacing_mm[1:])
    orientation.ImageOrientationPatient = [*scan.row, *scan.column]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    data.SharedFunctionalGroupsSequence = [shared]
    data.NumberOfFrames, (data.Rows, data.Columns) = len(frames), scan.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 1, 1, 0, 0
    bits = np.packbits(np.array(frames).ravel(), bitorder="little").tobytes()
    data.PixelData = bits + b"\0" * (len(bits) % 2)
    return data


def _frame(number: int, position: np.ndarray) -> Dataset:
    group, place, segment = Dataset(), Dataset(), Dataset()
    place.ImagePositionPatient = [float(v) for v in position]
    segment.ReferencedSegmentNumber = number
    group.PlanePositionSequence, group.SegmentIdentificationSequence = [place], [segment]
    return group


def _file(kind: str, name: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid(entropy_srcs=[name])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    return data


def without_long_numbers(text: str) -> str:
    """The text without UIDs and times, which are drawn by chance and may hold any four digits."""
    return re.sub(r"\d[\d.]{14,}", "", text)
