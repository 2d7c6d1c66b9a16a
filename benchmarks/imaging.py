"""Finding, reading and cutting CT beside SimpleITK and pydicom: a whole chest, and 20,000 files of many series.

Nothing here can empty the operating system's cache of files, so every file is read from memory: what is timed is the
work, not the disk. "Cold" means without an index: the folder is searched in the same breath.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from scipy.ndimage import uniform_filter

from onlm_lab import imaging, preparation
from onlm_lab.imaging.header_values import KEYWORDS
from onlm_lab.patches import PatchSpec
from onlm_lab.study import load_study
from onlm_lab.virtual import write_trial

Race = tuple[str, str, Callable[[], object], Callable[[], object]]
SPEC = PatchSpec(size_mm=64.0, spacing_mm=1.0)
SHAPE, SPACING_MM = (300, 512, 512), (1.0, 0.7, 0.7)  # a chest of 30 cm
ORIGIN_MM = (-179.0, -179.0, -150.0)
TUMOUR_MM = (-70.0, 10.0, 20.0)  # in the right lung
N_COMPRESSED = 40  # slices of each compressed series
COMPRESSED = {RLELossless: "gdcm", JPEGLSLossless: "pyjpegls", JPEG2000Lossless: "pylibjpeg"}  # and what encodes it
N_SERIES, N_FILES_EACH = 200, 100
N_PREPARED = 24
PIXELS_EACH = 64 * 64  # an index reads no pixel


def races() -> Iterator[Race]:
    """Name, peer, our work, the peer's work."""
    with tempfile.TemporaryDirectory() as temporary:
        chest = write_chest(Path(temporary) / "chest")
        yield (
            f"whole CT to HU, {SHAPE[0]} slices",
            "SimpleITK ImageSeriesReader",
            partial(imaging.read_series, chest),
            partial(whole, chest),
        )
        for syntax in COMPRESSED:
            folder = compressed(chest, Path(temporary) / syntax, syntax)
            yield (
                f"the same, {N_COMPRESSED} slices, {UID(syntax).name.split(' Image')[0]}",
                "SimpleITK ImageSeriesReader",
                partial(imaging.read_series, folder),
                partial(whole, folder),
            )
        index, files = imaging.index_series(chest), series_files(chest)
        yield (
            "patch around the tumour, series index built",
            "SimpleITK read, crop, resample",
            partial(imaging.cut_patch, index, TUMOUR_MM, SPEC),
            partial(cropped, files),
        )
        yield (
            "patch around the tumour, cold",
            "GetGDCMSeriesFileNames, the same",
            partial(imaging.cut_patch, chest, TUMOUR_MM, SPEC),
            lambda: cropped(series_files(chest)),
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_many(Path(temporary))
        search = partial(imaging.find_series, folder)
        n = f"{N_SERIES * N_FILES_EACH:,} files"
        yield (
            f"index of {n}, one process",
            "pydicom, headers alone",
            partial(search, workers=1),
            partial(by_pydicom, folder),
        )
        yield (
            f"index of {n}, two processes",
            "the same, one process",
            partial(search, workers=2),
            partial(search, workers=1),
        )
    with tempfile.TemporaryDirectory() as temporary:
        study = write_study(Path(temporary))
        yield (
            f"{N_PREPARED} patients prepared, two processes",
            "the same, one process",
            partial(prepared, study, workers=2),
            partial(prepared, study, workers=1),
        )
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(arithmetic, range(2)))  # the processes are there
        yield (
            "arithmetic alone, two processes: what the machine allows",
            "the same, one process",
            lambda: list(pool.map(arithmetic, range(8))),
            lambda: list(map(arithmetic, range(8))),
        )


def write_study(folder: Path) -> Path:
    """A made-up trial whose series have been searched once, so that what is timed is reading, measuring and cutting."""
    write_trial(folder / "trial", n_patients=N_PREPARED, n_centres=2, seed=3)
    prepared(folder / "trial", workers=2)
    return folder / "trial"


def prepared(folder: Path, *, workers: int) -> pd.DataFrame:
    """Every patient's CT read, measured and cut into an empty cache."""
    study = load_study(folder)
    shutil.rmtree(preparation.cache_folder(study), ignore_errors=True)
    annotations = pd.read_csv(study.path(study.data.annotations))
    with contextlib.redirect_stderr(io.StringIO()):  # its bar
        found = preparation.prepare_images(
            study, patient_ids=annotations["patient_id"], annotations=annotations, workers=workers
        )
    if not found["usable"].all():
        raise AssertionError(found["detail"].dropna().tolist())
    return found


def arithmetic(_: int) -> int:
    return sum(k * k % 7 for k in range(2_000_000))


def series_files(folder: Path) -> list[str]:
    """The file names in order, as SimpleITK finds them."""
    return list(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def read(files: list[str]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    return reader.Execute()


def whole(folder: Path) -> sitk.Image:
    return read(series_files(folder))


def cropped(files: list[str]) -> np.ndarray:
    """The patch by SimpleITK: the volume is read, cut to the patch and a margin of 4 mm, and resampled."""
    image = read(files)
    half = np.full(3, (SPEC.n_voxels - 1) / 2 * SPEC.spacing_mm)
    low, high = (np.array(TUMOUR_MM) + sign * (half + 4.0) for sign in (-1, 1))
    start = np.maximum(image.TransformPhysicalPointToIndex(low.tolist()), 0)
    stop = np.minimum(image.TransformPhysicalPointToIndex(high.tolist()), np.array(image.GetSize()) - 1)
    region = sitk.RegionOfInterest(image, (stop - start + 1).tolist(), start.tolist())
    origin, identity = (np.array(TUMOUR_MM) - half).tolist(), [1, 0, 0, 0, 1, 0, 0, 0, 1]
    size, spacing = [SPEC.n_voxels] * 3, [SPEC.spacing_mm] * 3
    patch = sitk.Resample(region, size, sitk.Transform(), sitk.sitkLinear, origin, spacing, identity, -1024)
    return sitk.GetArrayFromImage(patch)


def by_pydicom(folder: Path) -> int:
    """How many headers pydicom reads, with no element but those that an index needs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(
        "SOPClassUID" in pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(KEYWORDS)) for path in files
    )


def write_chest(folder: Path) -> Path:
    """A made-up chest: body, lungs, vessels and a tumour, with the correlated noise of a sharp kernel."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(1)
    y, x = (ORIGIN_MM[1 - k] + np.arange(512) * 0.7 for k in (0, 1))
    body = (x / 165) ** 2 + (y[:, None] / 115) ** 2 < 1
    lungs = ((abs(x) - 75) / 55) ** 2 + (y[:, None] / 80) ** 2 < 1
    vessels = uniform_filter(chance.standard_normal(SHAPE[1:]), 7) * 7 > 1.6
    still = np.where(lungs, np.where(vessels, -200.0, -860.0), np.where(body, 40.0, -1000.0))
    for k in range(SHAPE[0]):
        z = ORIGIN_MM[2] + k * SPACING_MM[0]
        tumour = (x - TUMOUR_MM[0]) ** 2 + (y[:, None] - TUMOUR_MM[1]) ** 2 + (z - TUMOUR_MM[2]) ** 2 < 12.0**2
        noise = uniform_filter(chance.standard_normal(SHAPE[1:], dtype=np.float32), 2) * 50
        hu = np.where(tumour, 30.0, still) + noise
        data = _header(series=0, number=k, z=z, rows=512, columns=512)
        data.PixelData = (hu + 1024).clip(0, 4095).astype("<u2").tobytes()
        data.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)
    return folder


def compressed(chest: Path, folder: Path, syntax: str) -> Path:
    """The middle slices of the chest in another transfer syntax."""
    folder.mkdir()
    for path in sorted(chest.iterdir())[130 : 130 + N_COMPRESSED]:
        data = pydicom.dcmread(path)
        data.compress(syntax, encoding_plugin=COMPRESSED[syntax], generate_instance_uid=False)
        data.save_as(folder / path.name)
    return folder


def write_many(folder: Path) -> Path:
    """Many small series, of one file whose bytes are changed where another series or slice differs."""
    data = _header(series=6_777_777, number=4_555_555, z=-3333.25, rows=64, columns=64)
    data.PixelData = bytes(2 * PIXELS_EACH)
    data.save_as(folder / "one", enforce_file_format=True)
    whole_file = (folder / "one").read_bytes()
    (folder / "one").unlink()
    for series in range(N_SERIES):
        of_series = whole_file.replace(b"7777777", b"%07d" % (1_000_000 + series))
        (folder / f"{series:03d}").mkdir()
        for k in range(N_FILES_EACH):
            of_slice = of_series.replace(b"5555555", b"%07d" % (1_000_000 + k)).replace(
                b"-3333.25", b"%8.2f" % (k * 1.25)
            )
            (folder / f"{series:03d}" / f"{k:03d}.dcm").write_bytes(of_slice)
    return folder


def _header(*, series: int, number: int, z: float, rows: int, columns: int) -> Dataset:
    """A header as long as a scanner's: with a private block, a code sequence and a dose sequence."""
    data, meta = Dataset(), FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = (
        f"1.2.826.0.1.3680043.8.498.{1_000_000 + series}.{1_000_000 + number}"
    )
    data.file_meta, data.preamble = meta, b"\0" * 128
    data.SpecificCharacterSet, data.ImageType = "ISO_IR 100", ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = "20200101"
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "080000.123000"
    data.AccessionNumber, data.Modality, data.Manufacturer = "", "CT", "MADE UP"
    data.InstitutionName, data.ReferringPhysicianName, data.StationName = "MADE-UP DATA", "", "CT1"
    data.StudyDescription, data.SeriesDescription = "CHEST", "Thorax 1.0 B60f"
    data.PatientName, data.PatientID, data.PatientSex, data.PatientAge = "", "", "F", "065Y"
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "51185008", "SCT", "Thorax"
    data.ProcedureCodeSequence, data.AnatomicRegionSequence = [item], [item]
    data.SliceThickness, data.KVP, data.ConvolutionKernel = "1.0", "120", "B60f"
    data.ExposureTime, data.XRayTubeCurrent, data.Exposure, data.CTDIvol = "500", "200", "100", 6.5
    data.GantryDetectorTilt, data.TableHeight, data.PatientPosition = "0", "150", "HFS"
    data.ReconstructionDiameter, data.DataCollectionDiameter = "358.4", "500"
    data.StudyInstanceUID = f"1.2.826.0.1.3680043.8.499.{1_000_000 + series}"
    data.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.500.{1_000_000 + series}"
    data.FrameOfReferenceUID = f"1.2.826.0.1.3680043.8.501.{1_000_000 + series}"
    data.SeriesNumber, data.AcquisitionNumber, data.InstanceNumber = "2", "1", str(number)
    data.ImagePositionPatient = [f"{ORIGIN_MM[0]:.4f}", f"{ORIGIN_MM[1]:.4f}", f"{z:.2f}"]
    data.ImageOrientationPatient, data.SliceLocation = ["1", "0", "0", "0", "1", "0"], f"{z:.2f}"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns, data.PixelSpacing = rows, columns, [str(SPACING_MM[1]), str(SPACING_MM[2])]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.WindowCenter, data.WindowWidth = ["50", "-600"], ["350", "1200"]
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "-1024", "1", "HU"
    block = data.private_block(0x0029, "MADE UP CSA HEADER", create=True)
    block.add_new(0x10, "OB", bytes(range(256)) * 8)
    return data


MEASURED = """
import json, sys
from pathlib import Path
from benchmarks import imaging as bench
from benchmarks.memory import peak_gb
from onlm_lab import imaging
before = peak_gb()
folder = Path(sys.argv[2])
if sys.argv[1] == "ours":
    imaging.cut_patch(folder, bench.TUMOUR_MM, bench.SPEC)
else:
    bench.cropped(bench.series_files(folder))
print(json.dumps(1000 * (peak_gb() - before)))
"""


def memory_mb(whose: str, folder: Path) -> float:
    """How far a fresh process grows, beyond what its imports take, for one patch cut cold."""
    command = [sys.executable, "-c", MEASURED, whose, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report() -> None:
    """Print the memory that one patch takes."""
    with tempfile.TemporaryDirectory() as temporary:
        chest = write_chest(Path(temporary) / "chest")
        ours, theirs = (memory_mb(whose, chest) for whose in ("ours", "theirs"))
    print(
        f"\nmemory for one patch, cold: ours {ours:.0f} MB, SimpleITK {theirs:.0f} MB, peer / ours {theirs / ours:.1f}"
    )


if __name__ == "__main__":
    report()
