"""The patch shows the same patient whatever the scan's orientation, source or spacing."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import made_ct
import numpy as np
import pytest
import SimpleITK as sitk
from made_ct import Scan

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import cut_patch, index_series, read_series
from onlm_lab.imaging import planes as planes_module
from onlm_lab.patches import PatchSpec

SPEC = PatchSpec(size_mm=12.0, spacing_mm=1.0)
# Linear in space, so that trilinear interpolation is exact.
LINEAR = Scan(
    field=lambda x, y, z: 4 * x - 3 * y + 6 * z,
    shape=(24, 40, 44),
    spacing_mm=(1.5, 1.0, 0.9),
    origin_mm=(-20, -20, -18),
)
LEFT, BACK = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


def _expected(centre, spec):
    steps = (np.arange(spec.n_voxels) - (spec.n_voxels - 1) / 2) * spec.spacing_mm
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    return 4 * (centre[0] + x) - 3 * (centre[1] + y) + 6 * (centre[2] + z)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (LEFT, BACK),  # head first
        ((-1.0, 0.0, 0.0), BACK),  # slices from head to feet
        ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),  # prone
        (LEFT, (0.0, 0.0, -1.0)),  # coronal
        ((0.96, 0.28, 0.0), (-0.28, 0.96, 0.0)),  # turned about the long axis
        ((0.8, 0.6, 0.0), (-0.48, 0.64, 0.6)),  # doubly oblique
    ],
)
def test_the_patch_is_the_same_whatever_the_orientation_of_the_scan(tmp_path, row, column):
    centre = np.array([1.3, 0.7, 0.4])
    half = [np.array(LINEAR.shape)[k] / 2 * LINEAR.spacing_mm[k] for k in range(3)]
    corner = centre - half[0] * np.cross(row, column) - half[1] * np.array(column) - half[2] * np.array(row)
    folder = made_ct.write_scan(tmp_path, LINEAR.but(row=row, column=column, origin_mm=tuple(corner)))
    patch = cut_patch(folder, centre, SPEC)
    assert patch.shape == (12, 12, 12) and patch.dtype == np.float32
    np.testing.assert_allclose(patch, _expected(centre, SPEC), atol=0.75)  # the scan itself is rounded to whole HU


def test_z_runs_to_the_head_y_to_the_back_and_x_to_the_left(tmp_path):
    volume = read_series(made_ct.write_scan(tmp_path, LINEAR.but(field=lambda x, y, z: 2 * x + 11 * y + 30 * z)))
    patch = cut_patch(volume, (0.0, 0.0, 0.0), PatchSpec(size_mm=3.0, spacing_mm=1.0))
    np.testing.assert_allclose(np.diff(patch, axis=2), 2, atol=1.01)
    np.testing.assert_allclose(np.diff(patch, axis=1), 11, atol=1.01)
    np.testing.assert_allclose(np.diff(patch, axis=0), 30, atol=1.01)
    assert patch[1, 1, 1] == pytest.approx(0, abs=0.6)  # an odd edge has its middle voxel on the centre


def test_a_folder_an_index_and_a_volume_give_the_same_patch_bit_for_bit(tmp_path):
    noisy = np.random.default_rng(1).integers(-900, 300, LINEAR.shape)
    folder = made_ct.write_scan(tmp_path, LINEAR.but(field=lambda x, y, z: noisy))
    spec = PatchSpec(size_mm=14.0, spacing_mm=2.0)
    patches = [cut_patch(source, (1, 2, 3), spec) for source in (folder, index_series(folder), read_series(folder))]
    np.testing.assert_array_equal(patches[0], patches[1])
    np.testing.assert_array_equal(patches[0], patches[2])


def test_only_the_slices_and_rows_around_the_tumour_are_decoded(tmp_path, monkeypatch):
    index = index_series(made_ct.write_scan(tmp_path, LINEAR))
    read = []
    real = planes_module.read_slice_hu

    def spy(folder, header, *, first_row, last_row):
        read.append((header.file, last_row - first_row))
        return real(folder, header, first_row=first_row, last_row=last_row)

    monkeypatch.setattr(planes_module, "read_slice_hu", spy)
    cut_patch(index, (0, 0, 0), PatchSpec(size_mm=6.0, spacing_mm=1.0))
    assert len(read) <= 8 < LINEAR.shape[0]
    assert max(n_rows for _, n_rows in read) <= 10 < LINEAR.shape[1]


def test_beyond_the_scan_the_patch_is_air_and_inside_it_is_not(tmp_path):
    volume = read_series(
        made_ct.write_scan(tmp_path, Scan(field=lambda x, y, z: 0 * (x + y + z) + 40, shape=(20, 20, 20)))
    )
    corner = volume.to_patient_mm([0, 10, 10])
    patch = cut_patch(volume, corner, PatchSpec(size_mm=8.0, spacing_mm=1.0))
    # Slices of 2 mm reach 1 mm below the first centre: voxel centres at -3.5, -2.5, -1.5 mm lie beyond.
    assert (patch[:3] == -1024).all() and (patch[3:] == 40).all()


def test_a_centre_beyond_the_scan_is_refused_with_where_it_would_be(tmp_path):
    folder = made_ct.write_scan(tmp_path, LINEAR)
    with pytest.raises(
        SeriesError, match=r"x, y, z = 90\.0, 0\.0, 0\.0 mm lies outside the scan: voxel z, y, x = .* 122"
    ):
        cut_patch(folder, (90, 0, 0), SPEC)
    with pytest.raises(SeriesError, match="nan"):
        cut_patch(folder, (0, float("nan"), 0), SPEC)


def test_a_finer_patch_equals_simpleitk(tmp_path):
    noisy = np.random.default_rng(2).integers(-900, 300, LINEAR.shape)
    scan = LINEAR.but(
        field=lambda x, y, z: noisy, row=(0.8, 0.6, 0.0), column=(-0.48, 0.64, 0.6), origin_mm=(2, -22, -28)
    )
    volume = read_series(made_ct.write_scan(tmp_path, scan))
    spec, centre = PatchSpec(size_mm=12.0, spacing_mm=0.75), np.array([2.0, 1.0, 1.5])
    image = sitk.GetImageFromArray(volume.hu)
    image.SetSpacing(volume.spacing_mm[::-1])
    image.SetOrigin(volume.origin_mm)
    image.SetDirection(volume.direction[:, ::-1].ravel().tolist())
    origin = centre - (spec.n_voxels - 1) / 2 * spec.spacing_mm
    like = (list(spec.shape), sitk.Transform(), sitk.sitkLinear, origin.tolist(), [spec.spacing_mm] * 3)
    other = sitk.GetArrayFromImage(sitk.Resample(image, *like, np.eye(3).ravel().tolist(), -1024, sitk.sitkFloat32))
    np.testing.assert_allclose(cut_patch(volume, centre, spec), other, atol=0.05)


def test_a_coarser_patch_is_smoothed_first_so_that_stripes_do_not_turn_into_shapes(tmp_path):
    columns = np.broadcast_to(400 * (-1) ** np.arange(60), (30, 40, 60))
    stripes = Scan(field=lambda x, y, z: columns, shape=(30, 40, 60))
    volume = read_series(made_ct.write_scan(tmp_path, stripes))
    centre = volume.to_patient_mm([15, 20, 30])
    assert np.abs(volume.hu).min() == 400
    assert np.abs(cut_patch(volume, centre, PatchSpec(size_mm=16.0, spacing_mm=2.4))).max() < 40
    flat = read_series(made_ct.write_scan(tmp_path / "flat", Scan(field=lambda x, y, z: 0 * (x + y + z) - 700)))
    patch = cut_patch(flat, flat.to_patient_mm([4, 10, 12]), PatchSpec(size_mm=8.0, spacing_mm=4.0))
    np.testing.assert_allclose(patch, -700, atol=1e-3)


def test_the_width_of_the_smoothing_is_the_published_one(tmp_path):
    middle = np.zeros((61, 15, 15))
    middle[30] = 1000
    scan = Scan(field=lambda x, y, z: middle, shape=middle.shape, spacing_mm=(1.0, 1.0, 1.0), origin_mm=(-7, -7, -30))
    volume = read_series(made_ct.write_scan(tmp_path, scan))
    shifts = np.arange(-6, 7)
    profile = np.array([cut_patch(volume, (0, 0, shift), PatchSpec(3, 3))[0, 0, 0] for shift in shifts])
    variance = (profile * shifts**2).sum() / profile.sum()
    assert variance == pytest.approx((3**2 - 1**2) / (8 * np.log(2)), rel=0.03)  # Cardoso 2015: FWHM matched
    assert profile.sum() == pytest.approx(1000, rel=1e-3)


def test_patches_are_cut_in_other_processes(tmp_path):
    index = index_series(made_ct.write_scan(tmp_path, LINEAR))
    with ProcessPoolExecutor(1) as pool:
        far = pool.submit(cut_patch, index, (0.0, 0.0, 0.0), SPEC).result()
    np.testing.assert_array_equal(far, cut_patch(index, (0.0, 0.0, 0.0), SPEC))


def test_the_patch_of_a_real_tumour_shows_it_in_the_middle(shared_data):
    folder = shared_data("lung1")
    origin = np.array([-250.112, -250.112, -133.4])
    centre = origin + np.array([175.64, 266.47, 114.67])  # published centre of mass of GTV-1, to whole mm
    patch = cut_patch(folder, centre, PatchSpec(size_mm=64.0, spacing_mm=1.0))
    assert patch.shape == (64, 64, 64) and -1024 <= patch.min() < patch.max() <= 3071
    middle = patch[24:40, 24:40, 24:40]
    assert -20 < np.median(middle) < 100  # soft tissue, not lung
