"""A tumour of known place is located: side, pleura, contact, thirds; what cannot be known is not made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_lungs import AXIAL, LUNG_CENTRES, LUNG_SEMI, chest, in_ball, in_lung, places_of

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import NOT_COMPUTED, CtVolume, find_lungs, locate_tumour, read_mask, read_series
from onlm_lab.imaging.pleura import CONTACT_MM
from onlm_lab.study import CENTRAL_DEFINITIONS
from onlm_lab.virtual import phantom
from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.lesion import Tumour
from onlm_lab.virtual.world import SCANNERS

FINE = dict(spacing=(2.5, 1.25, 1.25), shape=(112, 180, 280))
PIXEL = 1.25
TUMOURS = {  # in the right lung: centre, radius
    "deep": ((-70.0, 0.0, -60.0), 10.0),
    "near the wall": ((-108.0, 10.0, 10.0), 10.0),
    "at the wall": ((-114.0, 0.0, -30.0), 14.0),
    "at the back": ((-85.0, 66.0, 10.0), 16.0),
    "near the midline": ((-34.0, -10.0, 40.0), 9.0),
}


def surface_of_the_lung(side="right"):
    """Points (n, 3) of the ellipsoid, less than half a millimetre apart."""
    u, v = np.meshgrid(np.linspace(0, np.pi, 900), np.linspace(0, 2 * np.pi, 1800), indexing="ij")
    unit = np.stack([np.sin(u) * np.cos(v), np.sin(u) * np.sin(v), np.cos(u)], axis=-1).reshape(-1, 3)
    return np.array(LUNG_CENTRES[side]) + unit * LUNG_SEMI


def true_distance_mm(centre, radius):
    return max(0.0, np.linalg.norm(surface_of_the_lung() - np.array(centre), axis=1).min() - radius)


def true_contact_mm(centre, radius, *, gap):
    """The longest stretch of the ellipse of an axial plane that is no further than the gap from the ball."""
    turn, best = np.linspace(0, 2 * np.pi, 20001), 0.0
    for z in np.arange(centre[2] - radius, centre[2] + radius, 0.5):
        in_plane = radius**2 - (z - centre[2]) ** 2
        shrunk = np.sqrt(1 - (z / LUNG_SEMI[2]) ** 2)
        ellipse = np.stack([np.cos(turn) * LUNG_SEMI[0], np.sin(turn) * LUNG_SEMI[1]], axis=1) * shrunk
        ellipse += LUNG_CENTRES["right"][:2]
        near = np.linalg.norm(ellipse - np.array(centre[:2]), axis=1) <= np.sqrt(max(in_plane, 0)) + gap
        best = max(best, np.linalg.norm(np.diff(ellipse, axis=0), axis=1)[near[1:]].sum())
    return best


def true_vertical(x, z):
    """The part of the way from the midline to the lung's outermost point in the plane."""
    return -x / (70 + LUNG_SEMI[0] * np.sqrt(1 - (z / LUNG_SEMI[2]) ** 2))


def with_tumours(tumours=None, **grid):
    inside = [
        lambda x, y, z, c=centre, r=radius: in_ball(c, r)(x, y, z) & in_lung("right", x, y, z)
        for centre, radius in tumours or TUMOURS.values()
    ]
    volume = chest(*((ball, 30) for ball in inside), **(grid or FINE))
    masks = [ball(*places_of(volume)) for ball in inside]
    return volume, masks, find_lungs(volume, tumour=np.any(masks, axis=0))


@pytest.fixture(scope="module")
def scene():
    volume, masks, lungs = with_tumours()
    assert lungs.sound, lungs.reasons
    return volume, dict(zip(TUMOURS, masks, strict=True)), lungs


@pytest.fixture(scope="module")
def located(scene):
    volume, masks, lungs = scene
    return {name: locate_tumour(volume, lungs=lungs, mask=mask) for name, mask in masks.items()}


# --- pleura ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TUMOURS)
def test_the_side_and_the_distance_to_the_pleura_are_those_of_the_geometry(located, name):
    found, true = located[name], true_distance_mm(*TUMOURS[name])
    assert found.side == "right" and found.reasons == ()
    assert found.distance_to_pleura_mm == pytest.approx(true, abs=1.5 * PIXEL)
    assert (found.distance_to_pleura_mm == 0) == (true <= CONTACT_MM)


def test_the_centre_is_as_far_from_the_pleura_as_the_geometry_says(located):
    for name in ("deep", "near the wall", "near the midline"):
        centre, radius = TUMOURS[name]
        true = true_distance_mm(centre, 0)
        assert located[name].centre_to_pleura_mm == pytest.approx(true, abs=2.0)
        assert located[name].centre_to_pleura_mm > located[name].distance_to_pleura_mm + radius - 2


@pytest.mark.parametrize("name", TUMOURS)
def test_the_contact_is_as_long_as_the_geometry_says(located, name):
    found = located[name]
    least, most = (true_contact_mm(*TUMOURS[name], gap=gap) for gap in (0.0, CONTACT_MM + PIXEL))
    assert least - PIXEL <= found.contact_length_mm <= most + PIXEL
    assert (found.contact_length_mm == 0) == (found.contact_fraction == 0) == (found.distance_to_pleura_mm > 0)


def test_a_tumour_that_grows_into_the_wall_touches_more_of_it():
    found = []
    for x in (-106.0, -112.0, -118.0):
        volume, (mask,), lungs = with_tumours((((x, 0.0, 0.0), 14.0),), spacing=(3.0, 1.6, 1.6), shape=(96, 150, 220))
        found.append(locate_tumour(volume, lungs=lungs, mask=mask))
    assert [f.distance_to_pleura_mm > 2 for f in found] == [True, False, False]
    assert 0 == found[0].contact_length_mm < found[1].contact_length_mm < found[2].contact_length_mm
    assert 0 == found[0].contact_fraction < found[1].contact_fraction < found[2].contact_fraction < 0.6


def test_a_tumour_of_the_virtual_trial_lies_as_deep_as_it_was_painted():
    scanner, scale = SCANNERS[0], 1.0
    grid = scanner_grid(scanner)
    (cx, cy), (a, b, _) = phantom.LUNG_CENTRE_MM, phantom.LUNG_SEMI_MM
    z, turn = np.meshgrid(np.arange(-60, 90.0, 0.5), np.linspace(0, 2 * np.pi, 2000), indexing="ij")
    narrow = phantom.narrowing(z)
    pleura = np.stack([cx + a * narrow * np.cos(turn), cy + b * narrow * np.sin(turn), z], axis=-1).reshape(-1, 3)
    distances = []
    for depth in (0.45, 0.7):
        centre = phantom.place_tumour(
            side=1, upper=True, middle=False, depth=depth, height=0.5, front=0.5, radius_mm=10.0, scale=scale
        )
        tumour = Tumour(centre, 20.0, 20.0, 25.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        hu = phantom.render(phantom.Scene(scanner, tumour, scale, 1.0, (7, 1)), grid)
        volume = CtVolume(hu, grid.spacing_mm, grid.origin_mm, AXIAL, "", {})
        mask = in_ball(centre, 10.0)(*places_of(volume))
        found = locate_tumour(volume, lungs=find_lungs(volume, tumour=mask), mask=mask)
        true = np.linalg.norm(pleura - np.array(centre), axis=1).min() - 10.0
        assert found.side == "left" and found.reasons == ()
        assert found.distance_to_pleura_mm == pytest.approx(true, abs=2.0)
        distances.append(found.distance_to_pleura_mm)
    assert distances[0] > distances[1] > 0


# --- thirds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["deep", "near the wall", "near the midline"])
def test_vertical_lines_divide_the_way_from_the_midline_to_the_outermost_point(located, name):
    (x, _, z), radius = TUMOURS[name]
    found = located[name]
    assert found.axial_z_mm == pytest.approx(z, abs=2.5)
    assert found.vertical_centre_fraction == pytest.approx(true_vertical(x, z), abs=0.02)
    assert found.vertical_medial_fraction == pytest.approx(true_vertical(x + radius, z), abs=0.02)


@pytest.mark.parametrize("name", ["deep", "near the wall", "near the midline"])
def test_concentric_lines_divide_the_ray_from_the_midline_to_the_outline(located, name):
    (x, y, z), radius = TUMOURS[name]
    ray, shrunk = np.array([x, y]), np.sqrt(1 - (z / LUNG_SEMI[2]) ** 2)
    t = np.linspace(1, 6, 50001)[:, None] * ray  # along the ray through the centre, outwards
    inside = ((t[:, 0] + 70) / LUNG_SEMI[0]) ** 2 + (t[:, 1] / LUNG_SEMI[1]) ** 2 <= shrunk**2
    true = np.linalg.norm(ray) / np.linalg.norm(t[inside][-1])
    found = located[name]
    assert found.concentric_centre_fraction == pytest.approx(true, abs=0.02)
    assert found.concentric_medial_fraction == pytest.approx(true * (1 - radius / np.linalg.norm(ray)), abs=0.035)


def test_the_distance_to_the_inner_third_is_that_between_its_border_and_the_tumour(located):
    x, _, z = TUMOURS["deep"][0]
    third = (70 + LUNG_SEMI[0] * np.sqrt(1 - (z / LUNG_SEMI[2]) ** 2)) / 3
    assert located["deep"].distance_to_inner_third_mm == pytest.approx(-x - 10 - third, abs=2.0)
    assert located["near the midline"].distance_to_inner_third_mm == 0.0


def test_the_eight_definitions_by_thirds_follow_their_fractions(located):
    near, deep, far = (located[name].central for name in ("near the midline", "deep", "near the wall"))
    assert near["inner_third_concentric_centre"] and near["inner_third_vertical_medial"]
    assert not deep["inner_third_concentric_centre"] and deep["inner_two_thirds_concentric_centre"]
    assert not any(far[key] for key in far if key.startswith("inner_third_") or key.endswith("_centre"))
    for found in located.values():
        for key, value in found.central.items():
            assert (value is None) == (key in NOT_COMPUTED)
            assert value is None or value <= found.central[key.replace("inner_third_", "inner_two_thirds_")]
            assert value is None or value <= found.central[key.replace("_centre", "_medial")]


def test_definitions_that_need_a_bronchial_tree_are_not_computed_and_say_why():
    assert set(NOT_COMPUTED) == {"hilar_contact", "bronchial_tree_2cm", "mediastinum_2cm"} < set(CENTRAL_DEFINITIONS)
    assert all("a lung mask does not hold" in why for why in NOT_COMPUTED.values())


def test_lines_from_the_mediastinum_call_more_central(scene, located):
    volume, masks, lungs = scene
    for name, mask in masks.items():
        found = locate_tumour(volume, lungs=lungs, mask=mask, lines_from="mediastinum")
        assert found.concentric_centre_fraction < located[name].concentric_centre_fraction
        assert found.vertical_medial_fraction < located[name].vertical_medial_fraction
        assert found.distance_to_pleura_mm == located[name].distance_to_pleura_mm
    x, _, z = TUMOURS["deep"][0]
    width = 2 * LUNG_SEMI[0] * np.sqrt(1 - (z / LUNG_SEMI[2]) ** 2)
    found = locate_tumour(volume, lungs=lungs, mask=masks["deep"], lines_from="mediastinum")
    assert found.vertical_centre_fraction == pytest.approx((-x - 70 + width / 2) / width, abs=0.03)


# --- any orientation ------------------------------------------------------------------------------------------------


def test_the_order_and_sense_of_the_axes_changes_nothing(scene, located):
    volume, masks, lungs = scene
    for order, flipped in (((0, 1, 2), (0,)), ((1, 0, 2), (1, 2))):
        first, direction = np.zeros(3), volume.direction[:, list(order)].copy()

        def turned(values, order=order, flipped=flipped):
            return np.flip(values.transpose(order), flipped)

        for axis in flipped:
            first[order[axis]] = volume.shape[order[axis]] - 1
            direction[:, axis] *= -1
        spacing = tuple(volume.spacing_mm[axis] for axis in order)
        other = CtVolume(turned(volume.hu), spacing, tuple(volume.to_patient_mm(first).tolist()), direction, "", {})
        for name in ("at the wall", "deep"):
            found = locate_tumour(other, lungs=lungs, mask=turned(masks[name]))
            for key, value in located[name].as_dict().items():
                assert found.as_dict()[key] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value)


def test_an_oblique_scan_of_twenty_degrees_gives_the_same_place(located):
    turn = np.array([[np.cos(0.35), 0, np.sin(0.35)], [0, 1, 0], [-np.sin(0.35), 0, np.cos(0.35)]])
    names = ("at the wall", "near the wall", "near the midline")
    grid = dict(spacing=(2.5, 1.25, 1.25), shape=(134, 184, 300), direction=turn @ AXIAL)
    volume, masks, lungs = with_tumours([TUMOURS[name] for name in names], **grid)
    assert lungs.sound, lungs.reasons
    for name, mask in zip(names, masks, strict=True):
        found, straight = locate_tumour(volume, lungs=lungs, mask=mask), located[name]
        assert found.side == straight.side and found.central == straight.central
        assert found.distance_to_pleura_mm == pytest.approx(straight.distance_to_pleura_mm, abs=1.5)
        assert found.contact_length_mm == pytest.approx(straight.contact_length_mm, abs=4.0)
        assert found.vertical_centre_fraction == pytest.approx(straight.vertical_centre_fraction, abs=0.03)
        assert found.concentric_medial_fraction == pytest.approx(straight.concentric_medial_fraction, abs=0.03)


# --- what cannot be known -------------------------------------------------------------------------------------------


def test_a_centre_alone_gives_its_own_place_and_not_the_surface(scene, located):
    volume, _, lungs = scene
    found = locate_tumour(volume, lungs=lungs, centre_mm=TUMOURS["deep"][0])
    whole = located["deep"]
    assert found.side == "right"
    assert found.centre_to_pleura_mm == pytest.approx(whole.centre_to_pleura_mm, abs=1.5)
    assert found.vertical_centre_fraction == pytest.approx(whole.vertical_centre_fraction, abs=0.02)
    assert found.central["inner_two_thirds_vertical_centre"] is True
    assert found.central["inner_two_thirds_vertical_medial"] is None
    for name in ("distance_to_pleura_mm", "contact_length_mm", "contact_fraction", "vertical_medial_fraction"):
        assert np.isnan(getattr(found, name)), name
    assert found.reasons == ("Only the tumour's centre is given; its surface and its innermost point are unknown.",)


def test_a_stray_voxel_at_the_wall_changes_nothing(scene, located):
    volume, masks, lungs = scene
    stray = masks["deep"].copy()
    stray[tuple(np.rint(volume.to_voxel(np.array([-114.0, 0.0, -60.0]))).astype(int))] = True
    assert stray.sum() == masks["deep"].sum() + 1
    assert locate_tumour(volume, lungs=lungs, mask=stray).as_dict() == located["deep"].as_dict()


def test_a_region_that_is_a_whole_lung_is_doubted(scene):
    volume, _, _ = scene
    whole = in_lung("right", *places_of(volume))
    found = locate_tumour(volume, lungs=find_lungs(volume, tumour=whole), mask=whole)
    assert "% of the right lung: check that it is the tumour and not the lung." in found.reasons[-1]


def test_lungs_that_are_not_sound_give_no_facts_but_the_reason(scene):
    volume, masks, lungs = scene
    found = locate_tumour(volume, lungs=replace(lungs, reasons=("The left lung is not there.",)), mask=masks["deep"])
    assert found.side == "" and found.reasons == ("The lungs were not found reliably. The left lung is not there.",)
    row = found.as_dict()
    assert all(np.isnan(value) for value in row.values() if isinstance(value, float))
    assert set(found.central.values()) == {None} and row["central_inner_third_concentric_centre"] is None


def test_a_tumour_outside_the_lungs_gives_no_facts_but_the_reason(scene):
    volume, _, lungs = scene
    for where in (dict(mask=in_ball((0, 90, 0), 8)(*places_of(volume))), dict(centre_mm=(0.0, 100.0, 0.0))):
        found = locate_tumour(volume, lungs=lungs, **where)
        assert found.side == "" and "mm from the nearest lung that was found" in found.reasons[0]


def test_an_end_of_the_scan_nearer_than_the_pleura_leaves_the_distance_unknown(scene):
    volume, masks, _ = scene
    z = int(volume.to_voxel(np.array([0, 0, -60.0 + 14]))[0])  # 4 mm above the deep tumour, 44 mm from the pleura
    part = replace(volume, hu=volume.hu[:z])
    lungs = find_lungs(part, tumour=masks["deep"][:z])
    assert lungs.sound and lungs.cut == ("head",)
    found = locate_tumour(part, lungs=lungs, mask=masks["deep"][:z])
    assert np.isnan(found.distance_to_pleura_mm) and np.isnan(found.centre_to_pleura_mm)
    assert "The scan ends 3 mm from the tumour" in found.reasons[0] or "The scan ends 4 mm" in found.reasons[0]
    assert np.isfinite(found.vertical_centre_fraction)


def test_a_tumour_cut_by_the_end_of_the_scan_has_no_contact_length(scene):
    volume, masks, _ = scene
    z = int(volume.to_voxel(np.array([0, 0, -30.0]))[0])  # through the tumour at the wall
    part, mask = replace(volume, hu=volume.hu[:z]), masks["at the wall"][:z]
    found = locate_tumour(part, lungs=find_lungs(part, tumour=mask), mask=mask)
    assert found.distance_to_pleura_mm == 0.0
    assert np.isnan(found.contact_length_mm) and np.isnan(found.contact_fraction)
    assert "reaches the edge of the scan" in found.reasons[0]


def test_a_small_tumour_on_one_slice_is_located(scene):
    volume, _, lungs = scene
    mask = np.zeros(volume.shape, bool)
    mask[tuple(np.rint(volume.to_voxel(np.array([-70.0, 20.0, 30.0]))).astype(int))] = True
    found = locate_tumour(volume, lungs=lungs, mask=mask)
    assert found.side == "right" and 40 < found.distance_to_pleura_mm < 55 and found.contact_fraction == 0
    assert found.vertical_centre_fraction == pytest.approx(found.vertical_medial_fraction, abs=0.02)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "One of mask and centre_mm is wanted; none came"),
        ({"mask": True, "centre_mm": (0.0, 0.0, 0.0)}, "both came"),
        ({"mask": False}, "mask is empty"),
        ({"centre_mm": (400.0, 0.0, 0.0)}, r"centre \[400.0, 0.0, 0.0\] .* lies outside the scan; check the sign"),
        ({"centre_mm": (0.0, 0.0, 0.0), "lines_from": "hilum"}, "lines_from is 'hilum'; wanted one of midline, media"),
    ],
)
def test_what_is_asked_wrongly_is_refused(scene, given, message):
    volume, masks, lungs = scene
    if "mask" in given:
        given = given | {"mask": masks["deep"] & given["mask"]}
    with pytest.raises(SeriesError, match=message):
        locate_tumour(volume, lungs=lungs, **given)


def test_a_speck_at_the_pleura_touches_it(scene):
    volume, _, lungs = scene
    x = np.rint(volume.to_voxel(np.array([-124.0, 0.0, 0.0]))[2]).astype(int)
    mask = np.zeros(volume.shape, bool)
    mask[56, 90, x : x + 2] = True
    found = locate_tumour(volume, lungs=lungs, mask=mask)
    assert found.distance_to_pleura_mm == 0 and 0 < found.contact_length_mm < 4 and found.contact_fraction > 0


# --- a real tumour --------------------------------------------------------------------------------------------------


def test_the_large_tumour_of_a_real_patient_lies_at_the_right_pleura(shared_data):
    """LUNG1-002: 359 mL in the right lower lobe, at the chest wall and the diaphragm, up to the mediastinum."""
    folder = shared_data("lung1")
    volume = read_series(folder)
    mask = read_mask(folder, volume, "GTV-1")
    found = locate_tumour(volume, lungs=find_lungs(volume, tumour=mask), mask=mask)
    assert found.side == "right" and found.distance_to_pleura_mm == 0.0 and found.reasons == ()
    assert 80 < found.contact_length_mm < 200 and 0.2 < found.contact_fraction < 0.6
    assert 0.5 < found.vertical_centre_fraction < 0.75 and found.vertical_medial_fraction < 1 / 3
    assert not found.central["inner_third_concentric_centre"] and found.central["inner_third_concentric_medial"]
