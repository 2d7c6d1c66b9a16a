"""Each real file at hand, and what becomes of it: the tables are the test.

The sets are those of the fixture `shared_data` and pydicom's own CT files. Where a CT is read,
SimpleITK reads it too, and every voxel and its place must be equal; where it is refused, the words are held.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pydicom.data
import pytest
import SimpleITK as sitk

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import find_series, read_mask, read_series


class Real(NamedTuple):
    """A real series: its data set, modality and number of files, its faults, and what reading it gives."""

    of: str
    modality: str
    n_files: int
    faults: str
    outcome: tuple[int, int, int] | str  # the shape in voxels, or the words of the refusal
    spacing_mm: float = float("nan")
    warnings: tuple[str, ...] = ()


FOUND = [
    Real("lung1", "CT", 111, "", (111, 512, 512), 3.0),
    Real("lung1", "RTSTRUCT", 1, "", "is not a CT but RTSTRUCT. read_mask reads a contour"),
    Real("dicom_ct_seg", "CT", 3, "", (3, 512, 512), 1.0),
    Real("dicom_ct_seg", "SEG", 1, "", "is not a CT but SEG. read_mask reads a contour"),
    Real("dicom_ct_seg", "SEG", 1, "", "is not a CT but SEG. read_mask reads a contour"),
    Real("dicom_minimal_tags", "CT", 2, "", (2, 512, 512), 1.0),
    Real(
        "dicom_ge_tilt",
        "CT",
        28,
        "several_stacks variable_spacing gantry_tilt mixed_image_types mixed_thickness",
        r"holds 2 stacks of slices: #1 thickness 4 \(14 slices\); #2 thickness 7 \(14 slices\).*Name one of them"
        r".*spacing varies \(1\.08 mm x1, 4 mm x13, 7 mm x13\).*tilted by 18\.5 degrees.*drift sideways by 48\.2 mm",
    ),
]
STACKS = [  # of the tilted head; the warning says that the volume was resampled
    Real("#1", "CT", 14, "gantry_tilt", (14, 548, 512), 4.0, ("gantry_tilt",)),
    Real("#2", "CT", 14, "gantry_tilt", (14, 575, 512), 7.0, ("gantry_tilt",)),
]
MASKS = [  # data set, CT, mask, region, voxels that its publisher or its own frames give, or the words of the refusal
    ("lung1", ".", "*/1-1.dcm", "GTV-1", "359 mL"),
    ("lung1", ".", "*/1-1.dcm", "gtv*", "359 mL"),
    ("lung1", ".", "*/1-1.dcm", None, "holds 6 regions; name one: 1: Lung-Right, 2: Lung-Left"),
    ("lung1", ".", "*/1-1.dcm", "Lung*", "2 regions of '1-1.dcm' match"),
    ("dicom_ct_seg", ".", "liver.dcm", None, 107_098),
    ("dicom_ct_seg", ".", "partial_overlaps.dcm", "GREEN", 9_602),
    ("dicom_ct_seg", ".", "partial_overlaps.dcm", "ORANGE", 11_888),
    ("dicom_ct_seg", ".", "partial_overlaps.dcm", None, "holds 5 regions; name one: 1: GREEN"),
    ("nrrd_nodule", "lung1_image.nrrd", "lung1_label.nrrd", None, 837),
]
ALONE = {  # pydicom's CT files: one slice is no volume, and each says why
    "CT_small.dcm": "There is a single slice, 'CT_small.dcm' at z = -75.70 mm; a volume needs at least two",
    "693_UNCI.dcm": "There is a single slice, '693_UNCI.dcm' at z = 47.00 mm",
    "693_J2KI.dcm": "There is a single slice, '693_J2KI.dcm' at z = 47.00 mm",
    "J2K_pixelrep_mismatch.dcm": "There is a single slice, 'J2K_pixelrep_mismatch.dcm' at z = 72.14 mm",
    "bad_sequence.dcm": "There is a single slice, 'bad_sequence.dcm' at z = 1687.50 mm",
    "explicit_VR-UN.dcm": "There is a single slice, 'explicit_VR-UN.dcm' at z = -121.00 mm",
    "UN_sequence.dcm": "1 file, 0 DICOM series of other kinds \\(none\\), 1 file without a readable SeriesInstanceUID",
    "eCT_Supplemental.dcm": r"2 of 2 slices are in another unit than HU \(RescaleType, ImageType\): "
    "'eCT_Supplemental.dcm' frame 1 at z = -159.00 mm",
}


def _ours(folder: Path) -> list[tuple[str, str, int, str]]:
    table = find_series(folder)
    return sorted((folder.name, row.modality, row.n_instances, " ".join(row.faults)) for row in table.itertuples())


@pytest.mark.parametrize("name", sorted({real.of for real in FOUND}))
def test_each_real_series_is_found_with_its_faults(shared_data, name):
    assert _ours(shared_data(name)) == sorted(real[:4] for real in FOUND if real.of == name)


@pytest.mark.parametrize("real", [*FOUND, *STACKS], ids=lambda real: f"{real.of}-{real.modality}")
def test_each_real_series_is_read_right_or_refused_in_words(shared_data, real):
    folder = shared_data("dicom_ge_tilt" if real in STACKS else real.of)
    table = find_series(folder)
    uid = table.loc[table["modality"] == real.modality, "uid"].iloc[0] + (real.of if real in STACKS else "")
    if isinstance(real.outcome, str):
        with pytest.raises(SeriesError, match=f"(?s){real.outcome}"):
            read_series(folder, uid)
        return
    volume = read_series(folder, uid)
    assert volume.shape == real.outcome and volume.hu.dtype == np.int16
    assert volume.spacing_mm[0] == pytest.approx(real.spacing_mm, abs=0.01)
    assert volume.acquisition["warnings"] == real.warnings
    if real not in STACKS:  # a tilted scan is resampled; tests/test_regular.py holds it beside scipy
        _equals_simpleitk(volume, table, folder, uid)


def _equals_simpleitk(volume, table: pd.DataFrame, folder: Path, uid: str) -> None:
    where = folder / table.loc[table["uid"] == uid, "path"].iloc[0]
    theirs = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(where), uid))
    array = sitk.GetArrayFromImage(theirs)
    measured = np.ones(array.shape, bool) if volume.padding is None else ~volume.padding
    assert measured.mean() > 0.75
    np.testing.assert_array_equal(volume.hu[measured], array[measured])
    assert (volume.hu[~measured] == -1024).all()
    for index in [(0, 0, 0), (len(array) - 1, 511, 3), (1, 100, 200)]:
        place = theirs.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(volume.to_patient_mm(index), place, atol=1e-4)
        np.testing.assert_allclose(volume.to_voxel(place), index, atol=1e-4)


def test_a_real_nrrd_equals_simpleitk(shared_data):
    path = shared_data("nrrd_nodule") / "lung1_image.nrrd"
    volume, theirs = read_series(path), sitk.ReadImage(str(path))
    assert volume.shape == (48, 512, 512) and volume.spacing_mm == (5.0, 0.5703125, 0.5703125)
    np.testing.assert_array_equal(volume.hu, sitk.GetArrayViewFromImage(theirs))
    for index in [(0, 0, 0), (47, 511, 3)]:
        np.testing.assert_allclose(
            volume.to_patient_mm(index), theirs.TransformIndexToPhysicalPoint(index[::-1]), atol=1e-4
        )


@pytest.mark.parametrize(("name", "ct", "mask", "region", "outcome"), MASKS)
def test_each_real_mask_is_read_right_or_refused_in_words(shared_data, name, ct, mask, region, outcome):
    folder = shared_data(name)
    volume = read_series(folder / ct)
    (path,) = folder.glob(mask)
    if str(outcome).endswith(" mL"):
        found_ml = read_mask(path, volume, region).sum() * volume.voxel_ml
        assert found_ml == pytest.approx(float(outcome.removesuffix(" mL")), rel=0.01)
    elif isinstance(outcome, str):
        with pytest.raises(SeriesError, match=outcome):
            read_mask(path, volume, region)
    else:
        assert read_mask(path, volume, region).sum() == outcome


@pytest.mark.parametrize("name", ["nsclc_radiogenomics", "tcga", "nrrd_nodule"])
def test_a_folder_without_dicom_says_so(shared_data, name):
    with pytest.raises(SeriesError, match=r"holds no CT series: [12] files?, 0 DICOM series"):
        read_series(shared_data(name))


@pytest.mark.parametrize("name", sorted(ALONE))
def test_a_single_file_of_another_writer_is_refused_in_words(tmp_path, name):
    path = pydicom.data.get_testdata_file(name, download=False)
    assert path is not None, "pydicom-data is not installed: pip install -e '.[dev]'"
    shutil.copy(path, tmp_path)
    with pytest.raises(SeriesError, match=ALONE[name]):
        read_series(tmp_path)
