"""A tumour of known size and density is measured as such."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from skimage.measure import label, marching_cubes, regionprops

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import CtVolume, measure_tumour, read_mask, read_series
from onlm_lab.imaging.axial import axial_planes, widest_plane
from onlm_lab.imaging.facts import SOLID_CUTS_HU

SPACING = (1.25, 0.7, 0.7)


def ct(hu, spacing=SPACING):
    return CtVolume(hu.astype(np.int16), spacing, (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})


def ball(radius_mm, spacing=SPACING, shape=(40, 72, 72)):
    """The distance from the middle of a scan in mm, and where it is below the radius."""
    grid = np.indices(shape) - np.reshape(np.array(shape) / 2 - 0.37, (3, 1, 1, 1))
    distance = np.sqrt(((grid * np.reshape(spacing, (3, 1, 1, 1))) ** 2).sum(axis=0))
    return distance, distance <= radius_mm


def test_a_sphere_has_its_volume_and_its_diameter_in_every_direction():
    _, mask = ball(14.0)
    facts = measure_tumour(mask, ct(np.where(mask, 30, -800)))
    assert facts.volume_ml == pytest.approx(4 / 3 * np.pi * 1.4**3, rel=0.01)
    assert facts.longest_axial_mm == pytest.approx(28.0, abs=0.7)
    assert facts.longest_3d_mm == pytest.approx(28.0, abs=1.25)
    assert facts.n_voxels == mask.sum() and not facts.touches_edge


def test_the_longest_diameter_equals_that_of_a_marching_cubes_surface():
    rng = np.random.default_rng(4)
    blob = np.pad(rng.random((6, 9, 8)) > 0.4, 1)
    vertices = marching_cubes(blob.astype(float), 0.5, spacing=SPACING)[0]
    facts = measure_tumour(blob, ct(np.zeros(blob.shape)))
    assert facts.longest_3d_mm == pytest.approx(pdist(vertices).max(), abs=1e-4)
    assert facts.longest_axial_mm <= facts.longest_3d_mm


def test_a_bar_is_as_long_as_its_voxels():
    mask = np.zeros((5, 9, 9), bool)
    mask[2, 4, 1:8] = True
    facts = measure_tumour(mask, ct(np.zeros(mask.shape)))
    assert facts.longest_axial_mm == facts.longest_3d_mm == pytest.approx(7 * 0.7)
    mask = np.zeros((5, 9, 9), bool)
    mask[:, 4, 4] = True
    facts = measure_tumour(mask, ct(np.zeros(mask.shape)))
    assert facts.longest_3d_mm == pytest.approx(5 * 1.25) and facts.longest_axial_mm == pytest.approx(0.7)
    assert facts.touches_edge


def test_the_solid_core_of_a_part_solid_tumour_gives_its_diameter_and_ratio():
    distance, mask = ball(12.0)
    hu = np.where(distance <= 6.0, 40, np.where(mask, -600, -850))
    facts = measure_tumour(mask, ct(hu))
    assert facts.solid_axial_mm == pytest.approx(12.0, abs=0.7)
    assert facts.ctr == pytest.approx(0.5, abs=0.03)
    assert facts.solid_volume_fraction == pytest.approx(1 / 8, rel=0.05)
    assert facts.mean_solid_hu == 40 and facts.p10_hu == -600
    assert facts.mean_hu == pytest.approx(hu[mask].mean())


def test_a_stray_voxel_lengthens_nothing_and_is_told():
    distance, mask = ball(10.0)
    hu = np.where(distance <= 6.0, 40, np.where(mask, -600, -850))
    hu[20, 36, 70] = 40
    volume = ct(hu)
    alone = measure_tumour(mask, volume)
    stray = mask.copy()
    stray[20, 36, 70] = True
    facts = measure_tumour(stray, volume)
    same = ("longest_axial_mm", "short_axial_mm", "longest_3d_mm", "solid_axial_mm", "ctr", "ctr_low", "ctr_high")
    assert [getattr(facts, name) for name in same] == [getattr(alone, name) for name in same]
    assert (alone.n_parts, facts.n_parts) == (1, 2) and facts.n_voxels == alone.n_voxels + 1
    share = 100 * alone.n_voxels / facts.n_voxels
    assert facts.notes == (
        f"The mask has 2 parts that do not touch; diameters and place are those of the largest ({share:.1f} % of the "
        "voxels), volume and density those of all.",
    )
    corner = np.zeros((5, 9, 9), bool)
    corner[2, 2:4, 2:4] = corner[3, 4:6, 4:6] = True  # they share a corner
    assert measure_tumour(corner, ct(np.zeros(corner.shape))).n_parts == 1


def test_padding_is_no_density():
    _, mask = ball(10.0)
    hu, padding = np.where(mask, 30, -850), np.zeros(mask.shape, bool)
    padding[:, :33] = True
    cut = replace(ct(np.where(padding, -1024, hu)), padding=padding)
    facts = measure_tumour(mask, cut)
    assert (facts.mean_hu, facts.p5_hu, facts.solid_volume_fraction) == (30, 30, 1.0) and facts.touches_edge
    n = int((mask & padding).sum())
    assert n and facts.notes[-1] == f"{n} voxels of the mask lie in padding, where the scanner measured nothing."
    beside = replace(cut, padding=padding & ~mask)
    assert measure_tumour(mask, beside).touches_edge
    with pytest.raises(SeriesError, match="whole mask lies in padding"):
        measure_tumour(mask, replace(cut, padding=np.ones(mask.shape, bool)))


def test_an_organ_and_plain_lung_are_doubted():
    _, mask = ball(36.0, spacing=(2.5, 1.4, 1.4))
    facts = measure_tumour(mask, ct(np.where(mask, 30, -850), (2.5, 1.4, 1.4)))
    assert "mm long, more than 70 mm" in facts.notes[0]
    _, mask = ball(10.0)
    noise = np.random.default_rng(1).normal(0, 40, mask.shape)
    assert "Nine tenths of the region are below" in measure_tumour(mask, ct(-850 + noise)).notes[0]
    assert measure_tumour(mask, ct(np.where(mask, -700, -850) + noise)).notes == ()  # faint ground glass


def test_the_cut_decides_what_is_solid_and_is_kept_with_the_result():
    distance, mask = ball(12.0)
    volume = ct(np.where(distance <= 6.0, -200, np.where(mask, -600, -850)))
    low, high = measure_tumour(mask, volume), measure_tumour(mask, volume, solid_cut_hu=-160)
    assert (low.solid_cut_hu, high.solid_cut_hu) == (-300.0, -160.0)
    assert low.ctr == pytest.approx(0.5, abs=0.03)
    assert high.ctr == high.solid_axial_mm == high.solid_volume_fraction == 0
    assert np.isnan(high.mean_solid_hu)
    assert high.as_dict()["solid_cut_hu"] == -160.0


def test_a_solid_tumour_has_a_ratio_of_one():
    _, mask = ball(9.0)
    assert measure_tumour(mask, ct(np.where(mask, 30, -800))).ctr == 1.0


def test_specks_of_noise_in_ground_glass_do_not_span_it():
    distance, mask = ball(12.0)
    hu = np.where(distance <= 4.0, 40, np.where(mask, -600, -850))
    speckled = hu.copy()
    edge = np.argwhere(mask & (distance > 11.0))[::97]
    speckled[tuple(edge.T)] = 0
    assert len(edge) > 5
    assert measure_tumour(mask, ct(speckled)).solid_axial_mm == measure_tumour(mask, ct(hu)).solid_axial_mm


def test_an_empty_or_misplaced_mask_is_refused():
    volume = ct(np.zeros((4, 5, 6)))
    with pytest.raises(SeriesError, match="mask is empty"):
        measure_tumour(np.zeros((4, 5, 6), bool), volume)
    with pytest.raises(SeriesError, match=r"mask has shape \(6, 5, 4\), the CT \(4, 5, 6\)"):
        measure_tumour(np.ones((6, 5, 4), bool), volume)


# --- at other cuts --------------------------------------------------------------------------------------------------


def test_every_cut_has_its_diameter_and_ratio_and_the_range_spans_them():
    distance, mask = ball(12.0)
    hu = np.where(distance <= 4.0, 40, np.where(distance <= 7.0, -200, np.where(distance <= 10.0, -350, -600)))
    facts = measure_tumour(mask, ct(np.where(mask, hu, -850)))
    assert facts.solid_cuts_hu == tuple(sorted(SOLID_CUTS_HU)) == (-400.0, -300.0, -160.0)
    assert facts.solid_axial_at_cuts_mm == pytest.approx((20.0, 14.0, 8.0), abs=0.8)
    assert facts.ctr_at_cuts == pytest.approx((10 / 12, 7 / 12, 4 / 12), abs=0.03)
    assert (facts.ctr_low, facts.ctr_high) == (facts.ctr_at_cuts[2], facts.ctr_at_cuts[0])
    assert facts.ctr == facts.ctr_at_cuts[1] and facts.solid_axial_mm == facts.solid_axial_at_cuts_mm[1]
    row = facts.as_dict()
    assert row["ctr_at_minus_160_hu"] == facts.ctr_at_cuts[2]
    assert row["solid_axial_at_minus_400_hu_mm"] == facts.solid_axial_at_cuts_mm[0]
    assert not any(isinstance(value, tuple) for value in row.values())


def test_the_range_holds_the_cut_that_was_asked_for_and_other_cuts_can_be_named():
    distance, mask = ball(12.0)
    volume = ct(np.where(distance <= 6.0, 0, np.where(mask, -600, -850)))
    facts = measure_tumour(mask, volume, solid_cut_hu=20, solid_cuts_hu=(-100, -650.5, -100))
    assert facts.solid_cuts_hu == (-650.5, -100.0)
    assert facts.ctr == facts.ctr_low == 0.0 and facts.ctr_high == 1.0
    assert facts.as_dict()["ctr_at_minus_650_5_hu"] == 1.0
    alone = measure_tumour(mask, volume, solid_cuts_hu=())
    assert alone.ctr_low == alone.ctr == alone.ctr_high and alone.ctr_at_cuts == ()


def test_a_solid_tumour_hardly_hangs_on_the_cut_and_a_part_solid_one_does():
    distance, mask = ball(12.0)
    rim = np.clip((13.0 - distance) / 2, 0, 1)  # the partial volume of two millimetres
    solid = measure_tumour(mask, ct(-850 + 890 * rim))
    mixed = measure_tumour(mask, ct(np.where(mask, -600 + 640 * np.clip((9 - distance) / 6, 0, 1), -850)))
    assert solid.ctr_high - solid.ctr_low < 0.06 < 0.1 < mixed.ctr_high - mixed.ctr_low


def test_percentiles_of_density_are_numpys():
    mask = np.zeros((6, 7, 8), bool)
    mask[1:5, 1:6, 2:7] = True
    hu = np.random.default_rng(1).integers(-700, 100, mask.shape)
    facts = measure_tumour(mask, ct(hu))
    found = (facts.p5_hu, facts.p10_hu, facts.median_hu, facts.p90_hu, facts.p95_hu)
    np.testing.assert_allclose(found, np.percentile(hu[mask], [5, 10, 50, 90, 95]))


# --- the axial plane ------------------------------------------------------------------------------------------------

SEMI = (11.0, 8.0, 19.0)  # of an ellipsoid along the patient's x, y and z, turned by 30 degrees in the axial plane


def ellipsoid(direction, *, spacing=(1.0, 0.8, 0.8), shape=(64, 64, 64), centre=(5.0, -3.0, 120.0)):
    """A mask of the ellipsoid on a scan of any orientation; the centre lies off the voxels."""
    direction = np.asarray(direction, dtype=float)
    origin = np.array(centre) + 0.3 - direction @ (np.array(spacing) * (np.array(shape) - 1) / 2)
    volume = CtVolume(np.zeros(shape, np.int16), spacing, tuple(origin.tolist()), direction, "", {})
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    x, y, z = np.moveaxis(volume.to_patient_mm(index) - np.array(centre), -1, 0)
    along, across = x * np.cos(0.52) + y * np.sin(0.52), y * np.cos(0.52) - x * np.sin(0.52)
    return (along / SEMI[0]) ** 2 + (across / SEMI[1]) ** 2 + (z / SEMI[2]) ** 2 <= 1, volume


def turned(degrees, axis):
    turn, (i, j) = np.eye(3), (k for k in range(3) if k != axis)
    angle = np.radians(degrees)
    turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
    return turn @ np.eye(3)[:, ::-1]


ORIENTATIONS = {
    "axial": np.eye(3)[:, ::-1],
    "axial, head to feet": np.eye(3)[:, ::-1] * [-1, 1, 1],
    "coronal": np.eye(3)[:, [1, 2, 0]],
    "sagittal": np.eye(3)[:, [0, 2, 1]],
    "tilted by 12": turned(12, 0),
    "oblique by 25": turned(25, 1),
    "oblique by 40": turned(40, 0),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_axial_diameter_is_that_of_the_patients_axial_plane_however_the_scan_lies(name):
    mask, volume = ellipsoid(ORIENTATIONS[name])
    facts = measure_tumour(mask, volume)
    assert facts.longest_axial_mm == pytest.approx(2 * SEMI[0], abs=0.8)
    assert facts.short_axial_mm == pytest.approx(2 * SEMI[1], abs=0.9)
    assert facts.longest_3d_mm == pytest.approx(2 * SEMI[2], abs=1.0)
    assert facts.solid_axial_mm == facts.longest_axial_mm and facts.ctr == 1.0
    assert facts.axial_z_mm == pytest.approx(120.0, abs=3.0)
    assert facts.axial_resampled == (not name.startswith("axial"))
    assert any("lean" in note for note in facts.notes) == facts.axial_resampled


def test_the_tilt_is_the_angle_of_the_slices():
    for name, degrees in (("axial", 0), ("coronal", 90), ("sagittal", 90), ("tilted by 12", 12), ("oblique by 40", 40)):
        mask, volume = ellipsoid(ORIENTATIONS[name])
        assert measure_tumour(mask, volume).tilt_degrees == pytest.approx(degrees, abs=1e-4)
    mask, volume = ellipsoid(turned(0.5, 0))  # a patient who lies half a degree askew
    facts = measure_tumour(mask, volume)
    assert facts.tilt_degrees == pytest.approx(0.5) and not facts.axial_resampled


def test_a_coronal_scan_with_thick_slices_says_so_and_stays_close():
    mask, volume = ellipsoid(ORIENTATIONS["coronal"], spacing=(4.0, 0.8, 0.8))
    facts = measure_tumour(mask, volume)
    assert facts.longest_axial_mm == pytest.approx(2 * SEMI[0], abs=3.0)
    assert "lean 90 degrees" in facts.notes[0]


def test_reordered_planes_hold_the_very_voxels_of_the_scan():
    mask, volume = ellipsoid(ORIENTATIONS["coronal"])
    planes = axial_planes(mask, volume)
    assert not planes.resampled and planes.mask.sum() == mask.sum()
    centre = planes.to_patient_mm(np.argwhere(planes.mask)).mean(axis=0)
    np.testing.assert_allclose(centre, volume.to_patient_mm(np.argwhere(mask)).mean(axis=0), atol=1e-9)
    wider = axial_planes(mask, volume, margin_mm=7.0)
    assert wider.mask.sum() == mask.sum()
    added = np.array(wider.mask.shape) - planes.mask.shape
    assert (added >= 2 * (7.0 / np.array(wider.spacing_mm)).astype(int)).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 1), (1, 9, 9), (6, 1, 1)])
@pytest.mark.parametrize("degrees", [0, 17, 45])
def test_a_mask_of_a_voxel_or_a_slice_is_measured_in_any_orientation(shape, degrees):
    mask = np.zeros((12, 14, 14), bool)
    mask[tuple(slice(3, 3 + n) for n in shape)] = True
    volume = CtVolume(np.full(mask.shape, 30, np.int16), (3.0, 0.7, 0.7), (0.0, 0.0, 0.0), turned(degrees, 0), "", {})
    facts = measure_tumour(mask, volume)
    assert 0 < facts.short_axial_mm <= facts.longest_axial_mm <= facts.longest_3d_mm + 1.0  # a lattice's pixel
    assert facts.ctr == 1.0 and facts.n_slices == shape[0] and np.isfinite(facts.axial_z_mm)
    assert any("slice spacing (3 mm)" in note for note in facts.notes) == (shape[0] < 3)


# --- across the longest diameter ------------------------------------------------------------------------------------


def test_the_short_diameter_of_an_ellipse_is_its_minor_axis_as_scikit_image_has_it():
    mask, volume = ellipsoid(ORIENTATIONS["axial"], spacing=(1.0, 0.5, 0.5), shape=(48, 96, 96))
    k, longest, short = widest_plane(axial_planes(mask, volume))
    peer = regionprops(label(axial_planes(mask, volume).mask[k]))[0]
    assert longest == pytest.approx(0.5 * peer.feret_diameter_max, abs=0.5)
    assert short == pytest.approx(0.5 * peer.axis_minor_length, abs=0.5)


def test_the_short_diameter_is_the_longest_line_at_right_angles():
    triangle = np.tril(np.ones((31, 31), bool))[None]  # legs of 31; the longest side lies between the corners
    facts = measure_tumour(np.pad(triangle, 1), ct(np.zeros((3, 33, 33)), (1.0, 1.0, 1.0)))
    assert facts.longest_axial_mm == pytest.approx(31 * np.sqrt(2), abs=1.0)
    assert facts.short_axial_mm == pytest.approx(31 / np.sqrt(2), abs=1.0)
    bar = np.zeros((3, 12, 5), bool)
    bar[1, 1:11, 2] = True
    facts = measure_tumour(bar, ct(np.zeros(bar.shape)))
    assert facts.short_axial_mm == pytest.approx(0.7) and facts.longest_axial_mm == pytest.approx(7.0)


def test_the_plane_of_the_longest_diameter_is_told():
    mask = np.zeros((9, 20, 20), bool)
    mask[2:7, 8:12, 8:12] = True
    mask[5, 4:16, 8:12] = True
    facts = measure_tumour(mask, ct(np.zeros(mask.shape)))
    assert facts.axial_z_mm == pytest.approx(5 * SPACING[0]) and facts.n_slices == 5
    assert facts.notes == ()


def test_a_mask_at_the_edge_of_the_scan_is_noted():
    _, mask = ball(12.0)
    facts = measure_tumour(mask[20:], ct(np.zeros(mask[20:].shape)))
    assert facts.touches_edge and "reaches the edge of the scan" in facts.notes[0]
    assert "reaches the edge" in facts.as_dict()["notes"]


def test_a_real_tumour_is_as_long_across_in_a_peer(shared_data):
    folder = shared_data("lung1")
    volume = read_series(folder)
    mask = read_mask(folder, volume, "GTV-1")
    facts = measure_tumour(mask, volume)
    assert facts.longest_axial_mm == pytest.approx(103, abs=1)
    assert facts.notes == (
        "The region is 104 mm long, more than 70 mm, which no clinical stage I is: check that it is the tumour and not "
        "an organ.",
    )
    k = int(np.rint(volume.to_voxel(np.array([0, 0, facts.axial_z_mm]))[0]))
    peer = max(regionprops(label(mask[k])), key=lambda region: region.area)
    assert facts.longest_axial_mm == pytest.approx(peer.feret_diameter_max * volume.spacing_mm[1], abs=1.5)
    assert 80 < facts.short_axial_mm < facts.longest_axial_mm
    assert facts.ctr_low <= facts.ctr <= facts.ctr_high <= 1.0
