"""Sheared, uneven and incomplete stacks become an even, upright grid on which every voxel is where it says."""

from __future__ import annotations

import made_ct
import numpy as np
import pydicom
import pytest
from made_ct import Scan
from scipy.ndimage import map_coordinates

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import cut_patch, find_series, index_series, read_mask, read_series
from onlm_lab.patches import PatchSpec

# Linear in space, so that linear interpolation is exact but for the rounding to whole HU.
LINEAR = Scan(field=lambda x, y, z: 4 * x - 3 * y + 6 * z, shape=(14, 40, 36), spacing_mm=(2.5, 1.1, 0.9))


def tilted(degrees, scan=LINEAR, *, axis="column"):
    """The scan of a gantry that leans forwards (its column direction) or sideways (its row direction)."""
    lean = np.radians(degrees)
    across = (0.0, float(np.cos(lean)), float(np.sin(lean)))
    if axis == "row":
        across = (float(np.cos(lean)), 0.0, float(np.sin(lean)))
    return scan.but(**{axis: across}, step=(0.0, 0.0, 1.0))


def assert_each_voxel_shows_its_place(volume, *, at_most=1.01):
    x, y, z = np.moveaxis(volume.to_patient_mm(np.moveaxis(np.indices(volume.shape), 0, -1)), -1, 0)
    inside = np.ones(volume.shape, bool) if volume.padding is None else ~volume.padding
    off = np.abs(volume.hu - (4 * x - 3 * y + 6 * z))[inside]
    assert off.max() <= at_most
    assert (volume.hu[~inside] == -1024).all()
    return inside


@pytest.mark.parametrize("degrees", [-25.0, -3.0, 12.0, 18.5])
@pytest.mark.parametrize("axis", ["column", "row"])
def test_a_tilted_scan_stands_upright_with_every_voxel_in_its_place(tmp_path, degrees, axis):
    folder = made_ct.write_scan(tmp_path, tilted(degrees, axis=axis))
    volume = read_series(folder)
    np.testing.assert_allclose(volume.direction.T @ volume.direction, np.eye(3), atol=1e-9)
    assert volume.acquisition["warnings"] == ("gantry_tilt",)
    assert volume.acquisition["tilt_degrees"] == pytest.approx(abs(degrees), abs=0.01)
    assert volume.spacing_mm[0] == pytest.approx(2.5 * np.cos(np.radians(degrees)))
    inside = assert_each_voxel_shows_its_place(volume)
    drift = np.tan(np.radians(abs(degrees))) * volume.spacing_mm[0] * 13 / (1.1 if axis == "column" else 0.9)
    n_before, n_after = (40, volume.shape[1]) if axis == "column" else (36, volume.shape[2])
    assert n_after == n_before + np.ceil(drift)  # nothing of a slice is cut off
    assert inside.sum() >= 0.93 * np.prod(LINEAR.shape)  # but for the pixel at an edge that interpolation takes


def test_the_real_tilted_head_equals_another_interpolation_of_its_sheared_grid(shared_data):
    folder = shared_data("dicom_ge_tilt")
    uid = find_series(folder).uid[0]
    volume = read_series(folder, f"{uid}#1")
    files = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))][:14]
    files.sort(key=lambda data: float(data.ImagePositionPatient[2]))
    stored = np.array([data.pixel_array * float(data.RescaleSlope) + float(data.RescaleIntercept) for data in files])
    places = np.array([data.ImagePositionPatient for data in files], float)
    row, column = np.reshape(np.array(files[0].ImageOrientationPatient, float), (2, 3))
    spacing = float(files[0].PixelSpacing[0])
    step = (places[-1] - places[0]) / 13
    matrix = np.column_stack([step, column * spacing, row * spacing])
    z, y, x = 6, slice(100, 500, 7), slice(40, 480, 11)
    index = np.stack(np.meshgrid([z], np.arange(volume.shape[1])[y], np.arange(volume.shape[2])[x], indexing="ij"), -1)
    wanted = (volume.to_patient_mm(index) - places[0]) @ np.linalg.inv(matrix).T
    clean = np.where(stored <= -1400, -1024, stored)  # its padding
    expected = map_coordinates(clean, np.moveaxis(wanted, -1, 0), order=1, cval=-1024)
    got = volume.hu[z, y, x]
    real = ~volume.padding[z, y, x] & (expected[0] > -1020)
    assert real.mean() > 0.5
    assert np.abs(got - expected[0])[real].max() <= 1.0
    assert volume.acquisition["tilt_degrees"] == pytest.approx(18.5, abs=0.01)


def test_the_two_stacks_of_the_real_head_are_named_and_each_can_be_read(shared_data):
    folder = shared_data("dicom_ge_tilt")
    row = find_series(folder).iloc[0]
    assert row.stacks == ("thickness 4", "thickness 7") and "several_stacks" in row.faults
    spacings = [read_series(folder, f"{row.uid}#{k}").spacing_mm[0] for k in (1, 2)]
    assert spacings == pytest.approx([4.0, 7.0], abs=0.01)
    with pytest.raises(SeriesError, match=r"has no stack #3; it holds 2"):
        read_series(folder, f"{row.uid}#3")


def test_a_patch_of_a_tilted_scan_is_the_same_from_folder_index_and_volume(tmp_path):
    folder = made_ct.write_scan(tmp_path, tilted(15.0))
    volume = read_series(folder)
    centre = volume.to_patient_mm(np.array(volume.shape) / 2)
    spec = PatchSpec(size_mm=12.0, spacing_mm=1.5)
    patches = [cut_patch(source, centre, spec) for source in (folder, index_series(folder), volume)]
    np.testing.assert_array_equal(patches[0], patches[1])
    np.testing.assert_array_equal(patches[0], patches[2])
    steps = (np.arange(8) - 3.5) * 1.5
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    expected = 4 * (centre[0] + x) - 3 * (centre[1] + y) + 6 * (centre[2] + z)
    np.testing.assert_allclose(patches[0], expected, atol=1.5)


def test_contours_drawn_on_tilted_slices_lie_where_they_were_drawn(tmp_path):
    scan = tilted(20.0)
    volume = read_series(made_ct.write_scan(tmp_path / "scan", scan))
    rows, columns = np.array([9.5, 9.5, 25.5, 25.5]), np.array([7.5, 21.5, 21.5, 7.5])
    drawn = [
        place + rows[:, None] * 1.1 * np.array(scan.column) + columns[:, None] * 0.9 * np.array(scan.row)
        for place in scan.positions()[4:9]
    ]
    made_ct.write(tmp_path, [made_ct.rtstruct({"t": drawn})], ["mask.dcm"])
    mask = read_mask(tmp_path / "mask.dcm", volume)
    assert sorted(set(np.nonzero(mask)[0])) == [4, 5, 6, 7, 8]
    assert mask.sum() * volume.voxel_ml == pytest.approx(5 * 16 * 14 * volume.voxel_ml, rel=0.07)
    inside = np.zeros(scan.shape, bool)
    inside[4:9, 10:26, 8:22] = True
    made_ct.write(tmp_path, [made_ct.segmentation({"t": inside}, scan)], ["seg.dcm"])
    seg = read_mask(tmp_path / "seg.dcm", volume)
    assert (mask & seg).sum() > 0.93 * (mask | seg).sum()


def _without(scan, *gone, name="scan"):
    return [data for k, data in enumerate(made_ct.slices(scan.but(series=name))) if k not in gone]


def test_missing_slices_are_filled_only_where_the_study_says_so_and_are_named(tmp_path):
    folder = made_ct.write(tmp_path, _without(LINEAR, 5, 9))
    with pytest.raises(SeriesError, match="2 of 14 slices are missing"):
        read_series(folder)
    volume = read_series(folder, treatments={"missing_slices": "interpolate"})
    assert volume.shape == LINEAR.shape and volume.acquisition["n_filled"] == 2
    assert "missing_slices" in volume.acquisition["warnings"]
    assert_each_voxel_shows_its_place(volume)
    np.testing.assert_array_equal(np.delete(volume.hu, (5, 9), axis=0), np.delete(np.rint(LINEAR.hu()), (5, 9), axis=0))


def test_a_hole_that_would_hide_a_nodule_is_never_filled(tmp_path):
    folder = made_ct.write(tmp_path, _without(LINEAR, 5, 6, 7))  # 7.5 mm unseen
    with pytest.raises(SeriesError, match=r"3 of 14 slices are missing.*more than 5 mm is never filled"):
        read_series(folder, treatments={"missing_slices": "interpolate"})
    assert read_series(
        made_ct.write(tmp_path / "two", _without(LINEAR, 5, 6)), treatments={"missing_slices": "interpolate"}
    ).shape == LINEAR.shape  # fmt: skip


def at_heights(scan, heights):
    """One slice at each height in mm above the scan's first one, each showing its own place."""
    x, y, z = scan.origin_mm
    return [
        made_ct.slices(scan.but(origin_mm=(x, y, z + h), shape=(1, *scan.shape[1:]), series="uneven"))[0]
        for h in heights
    ]


def written(folder, datasets):
    for k, data in enumerate(datasets):
        data.InstanceNumber = k + 1
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    return made_ct.write(folder, datasets)


def test_uneven_slices_are_evened_only_where_the_study_says_so(tmp_path):
    heights = [0, 1, 2, 3, 4, 5, 6, 7.4, 9, 10.7, 13, 14]
    folder = written(tmp_path, at_heights(LINEAR, heights))
    with pytest.raises(SeriesError, match=r"slice spacing varies \(1 mm x7, 1\.4 mm x1, 1\.6 mm x1, 1\.7 mm x1\)"):
        read_series(folder)
    volume = read_series(folder, treatments={"variable_spacing": "resample"})
    assert volume.acquisition["warnings"] == ("variable_spacing",)
    assert volume.shape[0] == 15 and volume.spacing_mm[0] == pytest.approx(1.0)
    np.testing.assert_allclose(volume.slice_z, heights)
    assert_each_voxel_shows_its_place(volume)


def test_contours_on_uneven_slices_cover_the_planes_nearest_to_them(tmp_path):
    heights = [0, 1, 2, 3, 4, 5, 6, 7.4, 9, 10.7, 13, 14]
    folder = written(tmp_path / "scan", at_heights(LINEAR, heights))
    volume = read_series(folder, treatments={"variable_spacing": "resample"})
    rows, columns = np.array([9.5, 9.5, 25.5, 25.5]), np.array([7.5, 21.5, 21.5, 7.5])
    drawn = [
        np.array(LINEAR.origin_mm) + [0, 0, h] + rows[:, None] * [0, 1.1, 0] + columns[:, None] * [0.9, 0, 0]
        for h in heights[6:11]
    ]
    made_ct.write(tmp_path, [made_ct.rtstruct({"t": drawn})], ["mask.dcm"])
    mask = read_mask(tmp_path / "mask.dcm", volume)
    assert sorted(set(np.nonzero(mask)[0])) == [6, 7, 8, 9, 10, 11, 12, 13]  # no hole where slices lie far apart
    assert (mask.sum(axis=(1, 2))[6:14] == 16 * 14).all()


def test_contours_denser_than_the_slices_are_never_laid_over_each_other(tmp_path):
    volume = read_series(made_ct.write_scan(tmp_path / "scan", LINEAR))
    drawn = []
    for height in np.arange(5.0, 15.1, 0.5):  # a cone on planes of 0.5 mm, slices lie 2.5 mm apart
        grow = (height - 5.0) / 2
        rows = np.array([9.5, 9.5, 20.5 + grow, 20.5 + grow])
        columns = np.array([7.5, 21.5, 21.5, 7.5])
        corner = np.add(LINEAR.origin_mm, [0, 0, height])
        drawn.append(corner + rows[:, None] * [0, 1.1, 0] + columns[:, None] * [0.9, 0, 0])
    made_ct.write(tmp_path, [made_ct.rtstruct({"t": drawn})], ["mask.dcm"])
    mask = read_mask(tmp_path / "mask.dcm", volume)
    expected = {2: 11, 3: 12, 4: 14, 5: 15, 6: 16}
    assert {k: int(mask[k].any(axis=1).sum()) for k in range(14) if mask[k].any()} == pytest.approx(expected, abs=1)
    assert all(mask[k].sum() == mask[k].any(axis=1).sum() * 14 for k in range(14))  # filled, no ring


def test_a_mask_file_cannot_be_placed_on_a_scan_that_was_made_upright(tmp_path):
    import SimpleITK as sitk

    volume = read_series(made_ct.write_scan(tmp_path / "scan", tilted(20.0)))
    values = np.zeros(LINEAR.shape, np.uint8)
    values[4:8, 10:20, 10:20] = 1
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction[:, ::-1].ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "mask.nrrd"))
    with pytest.raises(SeriesError, match=r"cannot place where the gantry was tilted.*Give an RTSTRUCT or SEG"):
        read_mask(tmp_path / "mask.nrrd", volume)
