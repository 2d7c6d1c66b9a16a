"""A painted chest as CT Image Storage files: valid headers, right geometry, the habits of the centre that wrote them.

The header is built once a series by pydicom and written once; each slice then changes the few bytes that differ.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.phantom import Scene, render
from onlm_lab.virtual.trial import CT_FOLDER, Trial, ct_series_uid, made_up_uid
from onlm_lab.virtual.world import Scanner

SLAB_SLICES = 40
LOCALIZER_FOLDER = "localizer"
# Placeholders as wide as the widest value that takes their place: a decimal string has at most 16 characters.
NUMBER = "123456789012"
X, Y, Z, LOCATION = "-11111.1111111", "-22222.2222222", "-33333.3333333", "-44444.4444444"


def write_scan(trial: Trial, index: int, folder: Path) -> None:
    """Writes one patient's series (a folder each) into an empty folder.

    Args:
        trial: the trial that the patient belongs to.
        index: the patient's row.
        folder: where to; `chest/` and, for some, `localizer/` appear in it.
    """
    patient_id = str(trial.clinical["patient_id"].iloc[index])
    scene = trial.scene(index)
    year = int(trial.clinical["treatment_year"].iloc[index])
    sex = str(trial.clinical["sex"].iloc[index])
    common = _common_header(patient_id, scene.scanner, seed=trial.seed, sex=sex, year=year)
    _write_chest(scene, common, folder / CT_FOLDER, patient_id=patient_id, seed=trial.seed)
    if trial.truth["localizer"].iloc[index]:
        _write_localizer(common, folder / LOCALIZER_FOLDER, patient_id=patient_id, seed=trial.seed)


def _common_header(patient_id: str, scanner: Scanner, *, seed: int, sex: str, year: int) -> Dataset:
    """What all series of a patient share; every mandatory attribute is there, nothing in it names a person."""
    head = Dataset()
    head.SpecificCharacterSet = "ISO_IR 100"
    head.SOPClassUID = CTImageStorage
    head.StudyDate, head.StudyTime = f"{year}0101", "080000"
    head.AccessionNumber, head.StudyID, head.ReferringPhysicianName = "", "1", ""
    head.Modality, head.Manufacturer = "CT", scanner.manufacturer
    head.InstitutionName = "MADE-UP DATA"
    head.ManufacturerModelName = scanner.model
    head.PatientName, head.PatientID, head.PatientBirthDate = "MADE^UP", patient_id, ""
    head.PatientSex = {"female": "F", "male": "M"}[sex]
    head.PatientIdentityRemoved, head.DeidentificationMethod = "YES", "made up, no patient behind it"
    head.StudyInstanceUID = made_up_uid("study", seed, patient_id)
    head.FrameOfReferenceUID = made_up_uid("frame", seed, patient_id)
    head.PositionReferenceIndicator = ""
    head.KVP = str(scanner.kvp)
    head.AcquisitionNumber = "1"
    head.SamplesPerPixel, head.PhotometricInterpretation = 1, "MONOCHROME2"
    head.BitsAllocated = head.BitsStored = 16
    head.HighBit = 15
    head.PixelRepresentation = 0 if scanner.unsigned_pixels else 1
    head.RescaleIntercept = "-1024" if scanner.unsigned_pixels else "0"
    head.RescaleSlope, head.RescaleType = "1", "HU"
    head.WindowCenter, head.WindowWidth = "-500", "1200"
    return head


def _chest_header(common: Dataset, scanner: Scanner, *, series_uid: str) -> Dataset:
    head = Dataset()
    head.update(common)
    head.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    head.SeriesInstanceUID, head.SeriesNumber = series_uid, "2"
    head.SeriesDescription = f"CHEST {scanner.slice_thickness_mm:g} {scanner.kernel}"
    head.PatientPosition = "FFS" if scanner.feet_first else "HFS"
    head.ConvolutionKernel = scanner.kernel
    head.SliceThickness = _decimal(scanner.slice_thickness_mm)
    head.Rows = head.Columns = scanner.n_pixels
    head.PixelSpacing = [_decimal(scanner.pixel_mm)] * 2
    head.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    return head


def _write_chest(scene: Scene, common: Dataset, folder: Path, *, patient_id: str, seed: int) -> None:
    scanner, grid = scene.scanner, scanner_grid(scene.scanner)
    head = _chest_header(common, scanner, series_uid=ct_series_uid(patient_id, seed=seed))
    template = _Template(head, n_bytes=2 * scanner.n_pixels**2)
    n = grid.shape[0]
    file_order = np.random.default_rng((*scene.seed, 5)).permutation(n) if scanner.shuffled_instances else np.arange(n)
    folder.mkdir(parents=True)
    for first in range(0, n, SLAB_SLICES):
        slab = grid.slab(first, min(first + SLAB_SLICES, n))
        stored = render(scene, slab)
        if scanner.unsigned_pixels:
            stored = (stored + np.int16(1024)).astype(np.uint16)
        for k, pixels in enumerate(stored, start=first):
            z = grid.origin_mm[2] + k * grid.spacing_mm[0]
            number = n - k if scanner.feet_first else k + 1
            uid = made_up_uid("image", seed, patient_id, k)
            position = (grid.origin_mm[0], grid.origin_mm[1], z)
            name = f"{int(file_order[number - 1]) + 1:04d}.dcm"
            (folder / name).write_bytes(template.fill(uid=uid, number=number, position_mm=position, pixels=pixels))


def _write_localizer(common: Dataset, folder: Path, *, patient_id: str, seed: int) -> None:
    """A scout: one frontal picture that no reader may take for a slice."""
    head = Dataset()
    head.update(common)
    head.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    head.SeriesInstanceUID, head.SeriesNumber = made_up_uid("localizer", seed, patient_id), "1"
    head.SOPInstanceUID = made_up_uid("localizer image", seed, patient_id)
    head.SeriesDescription, head.PatientPosition = "SCOUT", "HFS"
    head.SliceThickness, head.ConvolutionKernel, head.InstanceNumber = "300", "", "1"
    head.Rows = head.Columns = 128
    head.PixelSpacing, head.ImageOrientationPatient = ["3", "3"], ["1", "0", "0", "0", "0", "-1"]
    head.ImagePositionPatient, head.SliceLocation = ["-190.5", "0", "190.5"], "0"
    shadow = np.abs(np.linspace(-1, 1, 128))
    picture = -600 + 500 * (shadow[None, :] < 0.2) + 300 * (shadow[None, :] > 0.75) + 100 * shadow[:, None]
    picture = np.rint(picture).astype(np.int16)
    pixels = (picture + 1024).astype("<u2") if head.PixelRepresentation == 0 else picture.astype("<i2")
    head.PixelData = pixels.tobytes()
    folder.mkdir(parents=True)
    (folder / "0001.dcm").write_bytes(encode_dataset(head))


def _decimal(value: float) -> str:
    """A number as a DICOM decimal string."""
    return f"{value:.10g}"


def encode_dataset(head: Dataset) -> bytes:
    """A data set as the bytes of a DICOM file, explicit little endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = head.SOPClassUID
    meta.MediaStorageSOPInstanceUID = head.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    head.file_meta = meta
    out = io.BytesIO()
    dcmwrite(out, head, enforce_file_format=True)
    return out.getvalue()


class _Template:
    """A file whose few changing fields have a fixed width; filling one is a handful of byte replacements."""

    def __init__(self, head: Dataset, *, n_bytes: int):
        sample = Dataset()
        sample.update(head)
        sample.SOPInstanceUID = self._uid = made_up_uid("template")
        sample.InstanceNumber = NUMBER
        sample.ImagePositionPatient = [X, Y, Z]
        sample.SliceLocation = LOCATION
        sample.PixelData = b""
        sample["PixelData"].VR = "OW"
        # the empty pixel element ends the file, and its last four bytes are its length
        self._head = encode_dataset(sample)[:-4] + n_bytes.to_bytes(4, "little")

    def fill(self, *, uid: str, number: int, position_mm: tuple[float, float, float], pixels: NDArray) -> bytes:
        """The bytes of one slice."""
        x, y, z = (_decimal(round(v, 6)).ljust(len(X)) for v in position_mm)
        data = self._head
        for placeholder, value in (
            (self._uid, uid),
            (NUMBER, str(number).ljust(len(NUMBER))),
            (X, x),
            (Y, y),
            (Z, z),
            (LOCATION, z),
        ):
            data = data.replace(placeholder.encode(), value.encode())
        if len(data) != len(self._head):
            raise ValueError(f"slice {number}: a value is wider than its place in the header ({uid}, {position_mm})")
        return data + pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
