"""The lungs of made-up and of real chests are found, right and left, and what is no lung is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import CtVolume, find_lungs, read_mask, read_series
from onlm_lab.virtual import phantom
from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.lesion import Tumour
from onlm_lab.virtual.world import SCANNERS

# A chest of ellipsoids: its lungs are known at every place in the patient.
LUNG_CENTRES = {"right": (-70.0, 0.0, 0.0), "left": (70.0, 0.0, 0.0)}
LUNG_SEMI = (55.0, 80.0, 130.0)
LUNG_ML = 4 / 3 * np.pi * np.prod(LUNG_SEMI) / 1000
AXIAL = np.eye(3)[:, ::-1]
TRACHEA = (lambda x, y, z: (x**2 + (y - 5) ** 2 < 81) & (z > 20), -1000)


def in_ball(centre, radius) -> Callable:
    return lambda x, y, z: (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 <= radius**2


def in_lung(side, x, y, z):
    places = zip((x, y, z), LUNG_CENTRES[side], LUNG_SEMI, strict=True)
    return sum(((place - centre) / semi) ** 2 for place, centre, semi in places) <= 1


def places_of(volume):
    """The patient's x, y and z of every voxel."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in volume.shape), indexing="ij"), axis=-1)
    return np.moveaxis(volume.to_patient_mm(index), -1, 0)


def chest(*things, spacing=(3.0, 2.0, 2.0), shape=(96, 130, 180), direction=AXIAL, lung_hu=-850.0, middle=(0, 0, 0)):
    """The chest on any grid; things are (inside(x, y, z), HU), painted one over the other on the finished lungs."""
    direction = np.asarray(direction, dtype=float)
    origin = np.array(middle) - direction @ (np.array(spacing) * (np.array(shape) - 1) / 2)
    volume = CtVolume(np.empty(shape, np.int16), spacing, tuple(origin.tolist()), direction, "", {})
    x, y, z = places_of(volume)
    hu = np.where((x / 160) ** 2 + (y / 110) ** 2 <= 1, 40.0, -1000.0)
    for side in LUNG_CENTRES:
        hu[in_lung(side, x, y, z)] = lung_hu
    for inside, value in (TRACHEA, *things):
        hu[inside(x, y, z)] = value
    hu = gaussian_filter(hu, 0.5) + np.random.default_rng(2).normal(0, 12, shape)
    return replace(volume, hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16))


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


EVERY_SECOND = (slice(None, None, 2),) * 3


def on_grid(lungs, mask, volume):
    """A mask of the CT at the centre of every second voxel of the lungs' grid along each axis."""
    index = np.stack(np.meshgrid(*(np.arange(0, n, 2) for n in lungs.shape), indexing="ij"), axis=-1)
    index = np.rint(volume.to_voxel(lungs.to_patient_mm(index))).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(axis=-1)
    found = np.zeros(inside.shape, bool)
    found[inside] = mask[tuple(index[inside].T)]
    return found


@pytest.fixture(scope="module")
def plain():
    volume = chest()
    return volume, find_lungs(volume)


def assert_is_the_chest(lungs, *, floor=0.98):
    assert lungs.sound, lungs.reasons
    for side in LUNG_CENTRES:
        assert dice(getattr(lungs, side), in_lung(side, *places_of(lungs))) > floor, side


# --- what is lung ---------------------------------------------------------------------------------------------------


def test_both_lungs_are_found_with_their_volumes_and_the_trachea_is_not_among_them(plain):
    _, lungs = plain
    assert_is_the_chest(lungs, floor=0.985)
    assert lungs.right_ml == pytest.approx(LUNG_ML, rel=0.02) and lungs.left_ml == pytest.approx(LUNG_ML, rel=0.02)
    assert lungs.cut == () and lungs.shape == lungs.left.shape
    x, y, z = places_of(lungs)
    assert not (lungs.right | lungs.left)[TRACHEA[0](x, y, z)].any()


@pytest.mark.parametrize("scanner", [SCANNERS[0], SCANNERS[1]], ids=["3 mm", "5 mm"])
def test_the_painted_lungs_of_the_virtual_trial_are_found(scanner):
    scale = 0.95
    tumour = Tumour((-75.0, 20.0, 20.0), 22.0, 15.0, 25.0, 0.8, 0.0, 0.5, 0.3, 0.5)
    grid = scanner_grid(scanner)
    hu = phantom.render(phantom.Scene(scanner, tumour, scale, 1.0, (7, 1)), grid)
    lungs = find_lungs(CtVolume(hu, grid.spacing_mm, grid.origin_mm, AXIAL, "", {}))
    assert lungs.sound and lungs.cut == ("head", "feet"), lungs.reasons
    x, y, z = places_of(lungs)
    (cx, cy), (a, b, _) = phantom.LUNG_CENTRE_MM, phantom.LUNG_SEMI_MM
    (hx, hy, hz), (ha, hb, hc) = phantom.HEART_CENTRE_MM, phantom.HEART_SEMI_MM
    heart = ((x / scale - hx) / ha) ** 2 + ((y / scale - hy) / hb) ** 2 + ((z - hz) / hc) ** 2 <= 1
    for side, sign in (("right", -1), ("left", 1)):
        painted = np.hypot((x / scale - sign * cx) / a, (y / scale - cy) / b) <= phantom.narrowing(z)
        assert dice(getattr(lungs, side), painted & ~heart) > 0.985  # vessels and tumour count as lung


def test_vessels_and_nodules_are_filled_also_at_the_pleura():
    vessel = (lambda x, y, z: ((y - 10) ** 2 + z**2 < 25) & (x < -20) & (x > -80), 60)
    inner, at_wall = (in_ball((75, 10, 30), 14), 30), (in_ball((-121, 0, 20), 7), 30)
    assert_is_the_chest(find_lungs(chest(vessel, inner, at_wall)))


def test_a_tumour_too_wide_for_the_ball_is_brought_in_by_its_mask_alone():
    tumour = in_ball((-100, 30, -20), 26)
    volume = chest((lambda x, y, z: tumour(x, y, z) & in_lung("right", x, y, z), 30))
    mask = tumour(*places_of(volume)) & in_lung("right", *places_of(volume))
    assert_is_the_chest(find_lungs(volume, tumour=mask))
    assert find_lungs(volume).right_ml < LUNG_ML - 0.5 * mask.sum() * volume.voxel_ml


def test_a_mask_away_from_both_lungs_is_not_made_lung(plain):
    volume, lungs = plain
    spine = in_ball((0, 80, 0), 12)(*places_of(volume))
    with_it = find_lungs(volume, tumour=spine)
    assert (with_it.right == lungs.right).all() and (with_it.left == lungs.left).all()


def test_table_bowel_gas_and_air_that_reaches_the_mouth_are_not_lung():
    foam = (lambda x, y, z: (abs(x) < 140) & (y > 119) & (y < 127), -930)
    shell = (lambda x, y, z: (abs(x) < 145) & (y > 115) & (y < 130), 100)
    # under 5 mm of diaphragm, and deeper; the trachea goes up and out through the front of the neck
    stomach, colon = (in_ball((70, -5, -163), 28), -1000), (in_ball((-60, 30, -165), 14), -1000)
    neck = (lambda x, y, z: (x**2 + (z - 150) ** 2 < 100) & (y < 5), -1000)
    volume = chest(stomach, colon, neck, shell, foam, shape=(136, 140, 180))
    lungs = find_lungs(volume)
    assert_is_the_chest(lungs)
    _, y, z = places_of(lungs)
    assert not (lungs.right | lungs.left)[(y > 112) | (z > 135) | (z < -137)].any()


def test_lungs_that_touch_in_front_are_cut_apart_in_the_middle():
    bridge = (lambda x, y, z: (abs(x) < 30) & (abs(y + 40) < 8) & (abs(z) < 45), -850)
    lungs = find_lungs(chest(bridge))
    assert lungs.sound, lungs.reasons
    assert lungs.right_ml == pytest.approx(lungs.left_ml, rel=0.05)
    x, _, _ = places_of(lungs)
    assert x[lungs.right].max() < 12 and x[lungs.left].min() > -12


def test_emphysema_is_lung():
    assert_is_the_chest(find_lungs(chest(lung_hu=-945.0)))


# --- any orientation ------------------------------------------------------------------------------------------------


def test_right_and_left_follow_the_direction_matrix_not_the_array(plain):
    volume, lungs = plain
    mirrored = replace(volume, direction=AXIAL * [1, 1, -1], origin_mm=(-volume.origin_mm[0], *volume.origin_mm[1:]))
    found = find_lungs(mirrored)
    assert dice(found.right[:, :, ::-1], lungs.left) == dice(found.left[:, :, ::-1], lungs.right) == 1.0


@pytest.mark.parametrize(
    ("order", "flipped"), [((0, 1, 2), (0,)), ((1, 0, 2), (1, 2)), ((2, 0, 1), (0, 1, 2))],
    ids=["from head to feet", "coronal", "sagittal"],
)  # fmt: skip
def test_the_order_and_sense_of_the_axes_changes_nothing(plain, order, flipped):
    volume, lungs = plain
    hu, direction, first = volume.hu.transpose(order), volume.direction[:, list(order)].copy(), np.zeros(3)
    for axis in flipped:
        hu, first[order[axis]] = np.flip(hu, axis), volume.shape[order[axis]] - 1
        direction[:, axis] *= -1
    spacing = tuple(volume.spacing_mm[axis] for axis in order)
    turned = find_lungs(CtVolume(hu, spacing, tuple(volume.to_patient_mm(first).tolist()), direction, "", {}))
    assert (turned.right == lungs.right).all() and (turned.left == lungs.left).all()
    np.testing.assert_allclose(turned.origin_mm, lungs.origin_mm, atol=1e-6)


@pytest.mark.parametrize(
    "axis", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)],
    ids=["about x", "about y", "about z"],
)  # fmt: skip
def test_an_oblique_scan_of_twenty_degrees_shows_the_same_lungs(axis):
    turn = np.eye(3)
    i, j = (k for k in range(3) if k != axis)
    turn[[i, i, j, j], [i, j, i, j]] = np.cos(0.35), -np.sin(0.35), np.sin(0.35), np.cos(0.35)
    lungs = find_lungs(chest(direction=turn @ AXIAL, shape=(120, 170, 190)))
    assert_is_the_chest(lungs, floor=0.975)
    assert lungs.right_ml == pytest.approx(LUNG_ML, rel=0.02)


@pytest.mark.parametrize("spacing", [(5.0, 1.2, 1.2), pytest.param((1.25, 1.5, 1.5), marks=pytest.mark.slow)])
def test_the_spacing_changes_nothing_but_the_grid(spacing):
    shape = tuple(int(length / size) for length, size in zip((288, 250, 350), spacing, strict=True))
    lungs = find_lungs(chest(spacing=spacing, shape=shape))
    assert_is_the_chest(lungs, floor=0.975)
    assert lungs.right_ml == pytest.approx(LUNG_ML, rel=0.025)
    assert max(lungs.spacing_mm[1:]) < 2.8


# --- what is checked ------------------------------------------------------------------------------------------------


def test_a_scan_that_ends_in_the_lungs_says_at_which_end(plain):
    volume, _ = plain
    for part, end in ((slice(0, 60), ("head",)), (slice(40, 96), ("feet",)), (slice(20, 80), ("head", "feet"))):
        origin = tuple(volume.to_patient_mm([part.start, 0, 0]).tolist())
        cut = replace(volume, hu=volume.hu[part], origin_mm=origin)
        assert find_lungs(cut).cut == end and find_lungs(cut).sound


def test_a_field_of_view_that_cuts_a_lung_at_the_side_is_not_trusted(plain):
    volume, _ = plain
    origin = tuple(volume.to_patient_mm([0, 0, 50]).tolist())
    narrow = find_lungs(replace(volume, hu=volume.hu[:, :, 50:], origin_mm=origin))
    assert not narrow.sound and any("meet the side of the scan" in reason for reason in narrow.reasons)


def test_padding_that_cuts_a_lung_is_not_trusted_and_padding_round_the_body_does_no_harm():
    x, y, _ = places_of(chest())
    for radius, sound in ((168.0, True), (105.0, False)):
        volume = chest()
        padding = np.hypot(x, y) > radius
        lungs = find_lungs(replace(volume, hu=np.where(padding, -1024, volume.hu).astype(np.int16), padding=padding))
        assert lungs.sound == sound, lungs.reasons
        assert lungs.unseen.any()


@pytest.mark.parametrize(
    ("things", "reason"),
    [
        ([(lambda x, y, z: in_lung("left", x, y, z), 20)], r"The left lung holds 0 mL, less than 280 mL: collapsed"),
        ([(lambda x, y, z: in_lung("left", x, y, z) & (z > -50), 20)], r"right lung is \d\.\d\d times as large"),
        ([(lambda x, y, z: abs(z) < 400, 40)], r"No lungs were found: the scan holds 0 mL of lung-like air"),
    ],
)
def test_lungs_that_cannot_be_right_are_told(things, reason):
    lungs = find_lungs(chest(*things))
    assert not lungs.sound and len(lungs.reasons) == 1
    assert re.search(reason, lungs.reasons[0]), lungs.reasons


def test_lungs_larger_than_any_are_told():
    volume = chest(spacing=(4.5, 3.0, 3.0), shape=(96, 130, 180))
    wide = replace(volume, spacing_mm=(6.0, 4.0, 4.0))  # the header says that everything is a third larger
    lungs = find_lungs(wide)
    assert any("mL, more than 5130 mL" in reason for reason in lungs.reasons)


@pytest.mark.parametrize("hu", [-1000, 40])
@pytest.mark.parametrize("shape", [(20, 64, 64), (1, 64, 64), (3, 1, 1)])
def test_a_scan_without_a_chest_has_no_lungs_and_does_not_crash(hu, shape):
    lungs = find_lungs(CtVolume(np.full(shape, hu, np.int16), (3.0, 2.0, 2.0), (0.0, 0.0, 0.0), AXIAL, "", {}))
    assert lungs.reasons == (
        "No lungs were found: the scan holds 0 mL of lung-like air within the body. Give a chest CT; lungs "
        "as empty as gas (the worst emphysema) are not told from bowel.",
    )
    assert not lungs.right.any() and not lungs.left.any() and lungs.right_ml == 0


def test_a_mask_of_another_shape_is_refused(plain):
    with pytest.raises(SeriesError, match=r"mask has shape \(2, 2, 2\), the CT \(96, 130, 180\)"):
        find_lungs(plain[0], tumour=np.ones((2, 2, 2), bool))


# --- a real chest ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared_data):
    """LUNG1-002, its published contours (Aerts et al., Nat Commun 2014;5:4006, CC BY-NC 3.0), and the lungs found."""
    folder = shared_data("lung1")
    volume = read_series(folder)
    drawn = {name: read_mask(folder, volume, name) for name in ("Lung-Right", "Lung-Left", "GTV-1")}
    return volume, drawn, find_lungs(volume, tumour=drawn["GTV-1"])


def test_the_lungs_of_a_real_chest_agree_with_the_published_contours(real):
    """Right 0.953 with the tumour in both, left 0.962.

    What differs: the contours leave out most of the tumour and follow its edge, take in consolidated lung behind it
    that is no air, and on the left a loop of bowel beneath the lung; the threshold's lungs hold the hilar vessels.
    """
    volume, drawn, lungs = real
    assert lungs.sound and lungs.cut == (), lungs.reasons
    right, left = lungs.right[EVERY_SECOND], lungs.left[EVERY_SECOND]
    contours = {name: on_grid(lungs, mask, volume) for name, mask in drawn.items()}
    assert dice(right, contours["Lung-Right"] | contours["GTV-1"]) > 0.94
    assert dice(left, contours["Lung-Left"]) > 0.95
    assert lungs.left_ml == pytest.approx(drawn["Lung-Left"].sum() * volume.voxel_ml, rel=0.04)
    assert (left & contours["Lung-Right"]).sum() < 0.005 * left.sum()
    assert (right & contours["Lung-Left"]).sum() < 0.005 * right.sum()


def test_bowel_gas_that_the_published_contour_holds_is_not_lung(real):
    volume, drawn, lungs = real
    flank = np.zeros(volume.shape, bool)
    flank[6:11] = True  # beneath the lung, where the contour goes round a loop of bowel
    assert drawn["Lung-Left"][flank].sum() * volume.voxel_ml > 3
    assert not (lungs.left[EVERY_SECOND] & on_grid(lungs, flank, volume)).any()


def test_a_real_chest_cut_obliquely_shows_the_same_lungs(real):
    volume, _, _ = real
    turn = np.array([[0.940, -0.342, 0.0], [0.342, 0.940, 0.0], [0.0, 0.0, 1.0]])[[0, 2, 1]][:, [0, 2, 1]]  # about y
    direction, spacing, shape = turn @ np.asarray(volume.direction), np.array([3.0, 2.0, 2.0]), (140, 250, 290)
    middle = volume.to_patient_mm((np.array(volume.shape) - 1) / 2)
    origin = middle - direction @ (spacing * (np.array(shape) - 1) / 2)
    steps = np.asarray(volume.direction).T @ direction * spacing / np.array(volume.spacing_mm)[:, None]
    hu = affine_transform(volume.hu, steps, volume.to_voxel(origin), output_shape=shape, order=1, cval=-1024)
    oblique = find_lungs(CtVolume(hu, tuple(spacing), tuple(origin), direction, "", {}))
    straight = find_lungs(volume)
    assert oblique.sound and oblique.cut == (), oblique.reasons
    assert oblique.right_ml == pytest.approx(straight.right_ml, rel=0.03)
    assert oblique.left_ml == pytest.approx(straight.left_ml, rel=0.03)


def test_the_neck_and_the_abdomen_of_a_real_scan_are_no_chest(real):
    volume, _, _ = real
    for part in (slice(98, 111), slice(0, 14)):
        assert "No lungs were found" in find_lungs(replace(volume, hu=volume.hu[part])).reasons[0]


def test_a_thick_real_scan_that_starts_in_the_lung_base_is_read(shared_data):
    lungs = find_lungs(read_series(shared_data("nrrd_nodule") / "lung1_image.nrrd"))
    assert lungs.sound and lungs.cut == ("feet",), lungs.reasons
    assert 1500 < lungs.right_ml < 2000 and 900 < lungs.left_ml < 1300
