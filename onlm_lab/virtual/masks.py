"""The outline of a painted tumour as a centre would have drawn it: RTSTRUCT or DICOM SEG, on the slices of its scan.

Drawn is the whole tumour, ground-glass halo included; its spikes are left out, as a reader leaves them out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from onlm_lab.virtual.canvas import Grid, scanner_grid
from onlm_lab.virtual.dicom import encode_dataset
from onlm_lab.virtual.lesion import radius_mm
from onlm_lab.virtual.phantom import Scene
from onlm_lab.virtual.trial import Trial, ct_series_uid, made_up_uid, mask_kind

REGION = "GTV"
N_POINTS = 72  # vertices of a contour
STEPS = 40  # of the bisection along a ray: far below a thousandth of a millimetre


def mask_bytes(trial: Trial, index: int) -> bytes:
    """The mask of one patient as a DICOM file."""
    kind = mask_kind(int(trial.truth["centre_index"].iloc[index]))
    patient = str(trial.clinical["patient_id"].iloc[index])
    scene = trial.scene(index)
    head = _head(patient, kind, seed=trial.seed)
    fill = _structure_set if kind == "RTSTRUCT" else _segmentation
    fill(head, scene, scanner_grid(scene.scanner), series_uid=ct_series_uid(patient, seed=trial.seed))
    return encode_dataset(head)


def true_mask(scene: Scene, grid: Grid) -> NDArray[np.bool_]:
    """Which voxel centres of a grid lie in the tumour, bool (z,y,x): the truth that a reader of masks is held to."""
    z, y, x = grid.axes()
    cx, cy, cz = scene.tumour.centre_mm
    away = np.stack(np.broadcast_arrays(x[None, None, :] - cx, y[None, :, None] - cy, z[:, None, None] - cz), axis=-1)
    r = np.linalg.norm(away, axis=-1)
    inside = np.zeros(r.shape, dtype=bool)
    near = r < scene.tumour.total_diameter_mm
    inside[near] = r[near] <= radius_mm(scene.tumour, away[near] / np.maximum(r[near], 1e-9)[:, None], seed=scene.seed)
    return inside


def _head(patient: str, kind: str, *, seed: int) -> Dataset:
    head = Dataset()
    head.SpecificCharacterSet = "ISO_IR 100"
    head.SOPClassUID = RTStructureSetStorage if kind == "RTSTRUCT" else SegmentationStorage
    head.SOPInstanceUID = made_up_uid("mask", seed, patient)
    head.StudyDate = head.StudyTime = head.AccessionNumber = head.ReferringPhysicianName = ""
    head.Modality, head.Manufacturer, head.StudyID = kind, "made up", "1"
    head.PatientName, head.PatientID, head.PatientBirthDate, head.PatientSex = "MADE^UP", patient, "", ""
    head.PatientIdentityRemoved, head.DeidentificationMethod = "YES", "made up, no patient behind it"
    head.StudyInstanceUID = made_up_uid("study", seed, patient)
    head.SeriesInstanceUID, head.SeriesNumber = made_up_uid("mask series", seed, patient), "9"
    head.FrameOfReferenceUID = made_up_uid("frame", seed, patient)
    return head


def _structure_set(head: Dataset, scene: Scene, grid: Grid, *, series_uid: str) -> None:
    frame = head.FrameOfReferenceUID
    head.StructureSetLabel, head.StructureSetDate, head.StructureSetTime = "MADE UP", "", ""
    series = _item(SeriesInstanceUID=series_uid)
    study = _item(ReferencedSOPInstanceUID=head.StudyInstanceUID, RTReferencedSeriesSequence=[series])
    head.ReferencedFrameOfReferenceSequence = [
        _item(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])
    ]  # fmt: skip
    head.StructureSetROISequence = [
        _item(ROINumber=1, ROIName=REGION, ReferencedFrameOfReferenceUID=frame, ROIGenerationAlgorithm="MANUAL")
    ]
    contours = [
        _item(
            ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(points),
            ContourData=[f"{value:.4f}" for value in points.ravel()],
        )
        for points in _contours(scene, grid)
    ]  # fmt: skip
    head.ROIContourSequence = [_item(ReferencedROINumber=1, ContourSequence=contours)]
    head.RTROIObservationsSequence = [
        _item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="GTV", ROIInterpreter="")
    ]


def _contours(scene: Scene, grid: Grid) -> list[NDArray]:
    """Vertices (n, 3) as x, y, z in mm of the tumour's cross-section in each slice that its centre line meets."""
    tumour = scene.tumour
    centre = np.array(tumour.centre_mm)
    turn = np.linspace(0, 2 * np.pi, N_POINTS, endpoint=False)
    rays = np.stack([np.cos(turn), np.sin(turn), np.zeros(N_POINTS)], axis=1)
    found = []
    for z in grid.axes()[0]:
        up = np.array([0.0, 0.0, z - centre[2]])
        if not _is_inside(up[None], scene)[0]:
            continue
        low, high = np.zeros(N_POINTS), np.full(N_POINTS, tumour.total_diameter_mm)
        for _ in range(STEPS):
            middle = (low + high) / 2
            inside = _is_inside(up + middle[:, None] * rays, scene)
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        found.append(centre + up + low[:, None] * rays)
    return found


def _is_inside(away: NDArray, scene: Scene) -> NDArray[np.bool_]:
    r = np.linalg.norm(away, axis=-1)
    return r <= radius_mm(scene.tumour, away / np.maximum(r, 1e-9)[:, None], seed=scene.seed)


def _segmentation(head: Dataset, scene: Scene, grid: Grid, *, series_uid: str) -> None:
    mask = true_mask(scene, grid)
    drawn = [k for k in range(grid.shape[0]) if mask[k].any()]
    head.ContentDate = head.ContentTime = ""
    head.ContentLabel, head.ContentDescription, head.ContentCreatorName = "MADE_UP", "", ""
    head.InstanceNumber, head.SegmentationType, head.LossyImageCompression = "1", "BINARY", "00"
    head.ImageType = ["DERIVED", "PRIMARY"]
    head.ReferencedSeriesSequence = [_item(SeriesInstanceUID=series_uid)]
    head.SegmentSequence = [_item(SegmentNumber=1, SegmentLabel=REGION, SegmentAlgorithmType="MANUAL")]
    shared = _item(
        PixelMeasuresSequence=[_item(PixelSpacing=[f"{v:.10g}" for v in grid.spacing_mm[1:]],
                                     SliceThickness=f"{grid.thickness_mm:.10g}")],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
        SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=1)],
    )  # fmt: skip
    head.SharedFunctionalGroupsSequence = [shared]
    z = grid.axes()[0]
    head.PerFrameFunctionalGroupsSequence = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=[f"{v:.10g}" for v in (*grid.origin_mm[:2], z[k])])])
        for k in drawn
    ]
    head.NumberOfFrames, head.Rows, head.Columns = len(drawn), *grid.shape[1:]
    head.SamplesPerPixel, head.PhotometricInterpretation = 1, "MONOCHROME2"
    head.BitsAllocated = head.BitsStored = 1
    head.HighBit = head.PixelRepresentation = 0
    bits = np.packbits(mask[drawn].ravel(), bitorder="little").tobytes()
    head.PixelData = bits + b"\0" * (len(bits) % 2)
    head["PixelData"].VR = "OB"


def _item(**values: object) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item
