"""A multi-frame CT is the same volume as its single slices; its frames lie where the functional groups say."""

from __future__ import annotations

import shutil

import made_ct
import numpy as np
import pydicom.data
import pytest
from made_ct import Scan
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import cut_patch, find_series, index_series, read_series
from onlm_lab.patches import PatchSpec

SLOPED = Scan(field=lambda x, y, z: np.rint(3 * x + 5 * y + 7 * z), shape=(6, 12, 10))
SHUFFLED = [3, 0, 5, 1, 4, 2]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("syntax", ["explicit", ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_an_enhanced_ct_is_the_same_volume_as_its_slices(tmp_path, shared, syntax):
    data = made_ct.enhanced(SLOPED, order=SHUFFLED, shared=shared)
    if syntax == RLELossless:
        data.compress(syntax, generate_instance_uid=False)
    elif syntax != "explicit":
        data.file_meta.TransferSyntaxUID = syntax
        data["PixelData"].VR = "OW"
    volume = read_series(made_ct.write(tmp_path, [data]))
    np.testing.assert_array_equal(volume.hu, SLOPED.hu())
    assert volume.spacing_mm == pytest.approx(SLOPED.spacing_mm) and volume.origin_mm == SLOPED.origin_mm
    assert (volume.acquisition["kernel"], volume.acquisition["kvp"]) == ("B70f", 120.0)
    row = find_series(tmp_path).iloc[0]
    assert (row.kind, row.n_instances, row.n_slices, row.faults) == ("axial", 1, 6, ())
    assert (row.thickness_mm, row.kernel, row.kvp) == (2.0, "B70f", 120.0)


def test_a_series_may_be_spread_over_several_multi_frame_files(tmp_path):
    low, high = made_ct.enhanced(SLOPED, order=[1, 0, 2]), made_ct.enhanced(SLOPED, order=[5, 3, 4])
    high.SOPInstanceUID = high.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    volume = read_series(made_ct.write(tmp_path, [low, high]))
    np.testing.assert_array_equal(volume.hu, SLOPED.hu())


def test_a_patch_of_a_multi_frame_ct_is_the_one_of_its_slices(tmp_path):
    one = index_series(made_ct.write(tmp_path / "one", [made_ct.enhanced(SLOPED, order=SHUFFLED)]))
    many = index_series(made_ct.write_scan(tmp_path / "many", SLOPED))
    centre, spec = (-6.0, -6.0, -95.0), PatchSpec(size_mm=6.0, spacing_mm=1.0)
    np.testing.assert_array_equal(cut_patch(one, centre, spec), cut_patch(many, centre, spec))


def test_a_frame_that_is_missing_is_named_by_file_and_frame(tmp_path):
    data = made_ct.enhanced(SLOPED, order=[0, 1, 3, 4, 5])
    with pytest.raises(SeriesError, match=r"1 of 6 slices are missing: after '000' frame 2 at z = -98\.00 mm"):
        read_series(made_ct.write(tmp_path, [data]))


def test_a_file_that_ends_before_its_frames_do_is_refused(tmp_path):
    data = made_ct.enhanced(SLOPED)
    data.PixelData = data.PixelData[:-40]
    with pytest.raises(SeriesError, match="end before their pixels do: '000'"):
        read_series(made_ct.write(tmp_path, [data]))


def test_frames_without_a_place_are_refused(tmp_path):
    data = made_ct.enhanced(SLOPED)
    del data.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence
    with pytest.raises(SeriesError, match=r"1 of 6 files lack a usable ImagePositionPatient: '000' frame 3"):
        read_series(made_ct.write(tmp_path, [data]))
    bare = made_ct.enhanced(SLOPED)
    del bare.PerFrameFunctionalGroupsSequence
    with pytest.raises(SeriesError, match="holds several frames and does not say where each lies"):
        read_series(made_ct.write(tmp_path / "bare", [bare]))


def test_each_frame_has_its_own_rescale(tmp_path):
    data = made_ct.enhanced(SLOPED, shared=False)
    other = made_ct.enhanced(SLOPED.but(slope=0.5, intercept=-1000.0), shared=False)
    size = 2 * 12 * 10
    pixels = bytearray(data.PixelData)
    for k in (1, 4):
        data.PerFrameFunctionalGroupsSequence[k] = other.PerFrameFunctionalGroupsSequence[k]
        pixels[k * size : (k + 1) * size] = other.PixelData[k * size : (k + 1) * size]
    data.PixelData = bytes(pixels)
    volume = read_series(made_ct.write(tmp_path, [data]))
    np.testing.assert_array_equal(volume.hu, SLOPED.hu())
    assert volume.acquisition["warnings"] == ("mixed_rescale",)


def test_a_real_enhanced_ct_that_is_a_perfusion_map_is_no_ct_in_hounsfield_units(tmp_path):
    pytest.importorskip("data_store", reason="pydicom-data, with a real Enhanced CT, is not installed")
    shutil.copy(pydicom.data.get_testdata_file("eCT_Supplemental.dcm", download=False), tmp_path)
    row = find_series(tmp_path).iloc[0]
    assert (row.kind, row.n_slices, row.spacing_mm) == ("not_hounsfield", 2, 10.0)
    with pytest.raises(SeriesError, match=r"2 of 2 slices are in another unit than HU.*frame 1 at z"):
        read_series(tmp_path)
