"""A CT that is too thick, too noisy or too small for its tumour is told apart, with the reason."""

from __future__ import annotations

import re
from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift
from skimage.transform import iradon, radon
from test_lungs import chest, in_ball, places_of

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import CtVolume, QualityLimits, assess_quality, read_mask, read_series
from onlm_lab.imaging.noise import noise_hu
from onlm_lab.imaging.quality import motion_mm, streaks_hu
from onlm_lab.virtual import phantom
from onlm_lab.virtual.canvas import scanner_grid
from onlm_lab.virtual.lesion import Tumour
from onlm_lab.virtual.world import SCANNERS


def scan(*, spacing=(1.0, 0.8, 0.8), thickness=1.0, noise=10.0, level=40.0, padding=None):
    hu = np.random.default_rng(5).normal(level, noise, (20, 60, 60))
    place = ((0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {"thickness_mm": thickness})
    return CtVolume(hu.astype(np.int16), spacing, *place, padding)


MIDDLE = (24.0, 24.0, 10.0)


def test_a_thin_quiet_scan_around_the_tumour_passes_every_check():
    mask = np.zeros((20, 60, 60), bool)
    mask[8:12, 25:35, 25:35] = True
    quality = assess_quality(
        scan(), centre_mm=MIDDLE, size_mm=16.0, tumour_mask=mask, days_before_treatment=12, limits=QualityLimits()
    )
    assert quality.score == 1.0 and quality.reasons == ()
    assert quality.unchecked == ("motion",)  # nothing but tissue: no edge that could move
    assert (quality.tumour_cut_fraction, quality.days_before_treatment) == (0.0, 12.0)


@pytest.mark.parametrize("sigma", [8.0, 20.0, 35.0])
def test_the_noise_that_was_put_in_comes_out(sigma):
    assert noise_hu(scan(noise=sigma)) == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("pixel", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("grain_mm", [0.0, 0.6, 1.0])
def test_noise_reads_the_same_whatever_the_kernel_and_the_pixels(pixel, grain_mm):
    white = np.random.default_rng(8).normal(size=(9, round(160 / pixel), round(160 / pixel)))
    noise = gaussian_filter(white, (0, grain_mm / pixel, grain_mm / pixel)) if grain_mm else white
    hu = np.rint(45 + 25 * noise / noise.std()).astype(np.int16)
    volume = CtVolume(hu, (1.0, pixel, pixel), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
    assert noise_hu(volume) == pytest.approx(25, rel=0.12)


def test_a_real_scan_has_the_noise_that_subtracting_neighbouring_slices_shows(shared_data):
    volume = read_series(shared_data("lung1"))
    tiles = [np.s_[10 * y : 10 * y + 10, 10 * x : 10 * x + 10] for y, x in np.ndindex(51, 51)]
    pairs = zip(volume.hu[:-1:3].astype(float), volume.hu[1::3].astype(float), strict=True)
    found = [
        (below[tile] - above[tile]).std() / np.sqrt(2)  # what both slices show goes out
        for below, above in pairs
        for tile in tiles
        if 0 < below[tile].mean() < 100 and 0 < above[tile].mean() < 100
    ]
    counts, edges = np.histogram(found, bins=np.arange(0, 60, 1.5))
    assert len(found) > 5000 and noise_hu(volume) == pytest.approx(edges[counts.argmax()] + 0.75, rel=0.15)


def test_a_scan_without_noise_has_none():
    assert noise_hu(scan(noise=0.0)) == 0.0


def test_structure_is_not_noise():
    hu = np.full((9, 80, 80), 40.0)
    hu[:, :, 40:] = 90
    hu[:, 60:, :] = -90
    hu += np.linspace(0, 9, 80)
    hu += np.random.default_rng(6).normal(0, 10, hu.shape)
    volume = CtVolume(hu.astype(np.int16), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
    assert noise_hu(volume) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"spacing": (5.0, 0.8, 0.8), "thickness": 5.0}, r"Slices lie 5\.00 mm apart, more than 3 mm"),
        ({"thickness": 4.0}, r"Slices are 4\.00 mm thick, more than 3 mm"),
        ({"spacing": (1.0, 1.2, 1.2)}, r"Pixels are 1\.20 mm wide, more than 1 mm"),
        ({"spacing": (2.5, 0.8, 0.8)}, r"1\.50 mm between slices are not imaged, more than 0\.5 mm"),
        ({"noise": 90.0}, r"Noise in soft tissue is \d+ HU, more than 60 HU"),
    ],
)
def test_each_fault_lowers_the_score_and_says_why(options, reason):
    quality = assess_quality(scan(**options))
    assert quality.score < 1.0
    assert any(re.search(reason, text) for text in quality.reasons)


def test_a_field_of_view_that_cuts_the_cube_around_the_tumour_is_told():
    corner = assess_quality(scan(), centre_mm=(0.0, 24.0, 10.0), size_mm=16.0)
    assert corner.outside_fraction == pytest.approx(0.5, abs=0.06)
    assert "lies beyond the scan" in corner.reasons[0]
    padding = np.zeros((20, 60, 60), bool)
    padding[:, :, 30:] = True
    padded = assess_quality(scan(padding=padding), centre_mm=MIDDLE, size_mm=16.0)
    assert padded.outside_fraction == pytest.approx(0.5, abs=0.06)


def test_what_cannot_be_checked_is_named_and_not_counted_as_passed():
    quality = assess_quality(scan(thickness=float("nan"), level=-800.0))
    unchecked = (
        "thickness", "gap", "noise", "field_of_view", "motion", "streaks", "tumour_cut", "days_before_treatment",
    )  # fmt: skip
    assert quality.unchecked == unchecked
    assert quality.failed == () and quality.reasons == ("Only 2 of 10 checks could be made.",)
    assert quality.score == 2 / 5 and np.isnan(quality.noise_hu) and np.isnan(quality.motion_mm)
    assert quality.as_dict()["unchecked"] == ", ".join(unchecked)


def test_the_limits_are_settings():
    assert assess_quality(scan(), limits=QualityLimits(max_spacing_mm=0.5)).reasons == (
        "Slices lie 1.00 mm apart, more than 0.5 mm.",
    )


def test_a_centre_without_a_size_is_refused():
    with pytest.raises(SeriesError, match="wanted together"):
        assess_quality(scan(), centre_mm=MIDDLE)


def test_a_real_scan_of_three_millimetres_passes_and_one_of_five_does_not(shared_data):
    assert assess_quality(read_series(shared_data("lung1"))).score == 1.0
    thick = assess_quality(read_series(shared_data("nrrd_nodule") / "lung1_image.nrrd"))
    assert thick.reasons == ("Slices lie 5.00 mm apart, more than 3 mm.",)


# --- motion ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def still():
    return chest(spacing=(3.0, 1.5, 1.5), shape=(60, 150, 220))


def moved(volume, offsets_mm):
    """Each slice shifted sideways (y, x) by so many millimetres."""
    planes = [
        shift(plane.astype(np.float32), np.array(offset) / volume.spacing_mm[1:], order=1, mode="nearest")
        for plane, offset in zip(volume.hu, offsets_mm, strict=True)
    ]
    return replace(volume, hu=np.rint(planes).astype(np.int16))


def test_a_patient_who_moves_once_leaves_a_step_that_grows_with_the_way(still):
    n = len(still.hu)
    found = []
    for way in (0.0, 2.0, 4.0, 8.0):
        found.append(motion_mm(moved(still, [(0.0, way * (k >= n // 2)) for k in range(n)])))
    assert found == sorted(found) and found[0] < 0.3
    assert found[2] == pytest.approx(2 / np.pi * 4.0, abs=0.6)  # the mean of |cos| over an outline is 2 / pi
    assert found[3] - found[2] == pytest.approx(found[2] - found[0], rel=0.35)


def test_a_patient_who_trembles_is_seen_although_no_step_stands_out(still):
    to_and_fro = moved(still, [(0.0, 1.5 * (-1) ** k) for k in range(len(still.hu))])
    assert motion_mm(to_and_fro) > 1.0 > 0.3 > motion_mm(still)
    rng = np.random.default_rng(3)
    assert motion_mm(moved(still, rng.normal(0, 1.5, (len(still.hu), 2)))) > 1.0


def test_breathing_during_the_scan_shows_where_the_outline_slants(still):
    """The slices that were scanned lie elsewhere in the patient than their positions say."""
    found = []
    for amplitude in (0.0, 12.0):
        z = np.arange(len(still.hu))
        seen_at = np.clip(z + amplitude / 3.0 * np.sin(2 * np.pi * z * 3.0 / 24.0), 0, len(z) - 1)
        found.append(motion_mm(replace(still, hu=still.hu[np.rint(seen_at).astype(int)])))
    assert found[1] > 2 * found[0]


def test_a_still_patient_leaves_no_motion_whatever_the_spacing_and_the_noise(still):
    rng = np.random.default_rng(4)
    noisy = replace(still, hu=np.clip(still.hu + rng.normal(0, 60, still.shape), -1024, 3071).astype(np.int16))
    assert motion_mm(noisy) < 0.4
    for every in (2, 3):
        thick = replace(still, hu=still.hu[::every], spacing_mm=(3.0 * every, 1.5, 1.5))
        assert motion_mm(thick) < 1.0
    for scanner in SCANNERS[:2]:
        assert motion_mm(painted(scanner)) < 0.6


def painted(scanner, *, noise=1.0):
    tumour = Tumour((-75.0, 20.0, 20.0), 22.0, 15.0, 25.0, 0.8, 0.0, 0.5, 0.3, 0.5)
    grid = scanner_grid(scanner)
    hu = phantom.render(phantom.Scene(scanner, tumour, 1.0, noise, (7, 1)), grid)
    return CtVolume(hu, grid.spacing_mm, grid.origin_mm, np.eye(3)[:, ::-1], "", {})


def test_motion_is_a_reason_near_the_tumour_and_none_far_from_it(still):
    n = len(still.hu)
    stepped = moved(still, [(0.0, 6.0 * (k >= 50)) for k in range(n)])  # at z = 62 mm
    near, far = (in_ball((-70.0, 0.0, z), 10.0)(*places_of(stepped)) for z in (40.0, -40.0))
    assert any("Edges jump by" in reason for reason in assess_quality(stepped, tumour_mask=near).reasons)
    assert not any("Edges jump by" in reason for reason in assess_quality(stepped, tumour_mask=far).reasons)
    assert any("Edges jump by" in reason for reason in assess_quality(stepped).reasons)
    at = dict(centre_mm=(-70.0, 0.0, 40.0), size_mm=20.0)
    assert assess_quality(stepped, **at).motion_mm == pytest.approx(assess_quality(stepped).motion_mm)


def test_too_few_slices_or_edges_leave_motion_unchecked(still):
    assert np.isnan(motion_mm(replace(still, hu=still.hu[:4])))
    assert "motion" in assess_quality(replace(still, hu=still.hu[:4])).unchecked
    assert np.isnan(motion_mm(scan()))


# --- streaks --------------------------------------------------------------------------------------------------------

ANGLES = np.linspace(0, 180, 240, endpoint=False)
PER_MM = 0.02  # attenuation of water


def projected(plane, pixel_mm):
    return radon(np.clip((plane + 1000) / 1000, 0, None) * PER_MM * pixel_mm, ANGLES, circle=False)


def reconstructed(sinogram, pixel_mm, size):
    image = iradon(sinogram, ANGLES, circle=False, output_size=size, filter_name="hann")
    return image / (PER_MM * pixel_mm) * 1000 - 1000


def starved(sinogram, photons, seed=0):
    """What so many photons a ray measure of it: rays that almost none survive are nearly all noise."""
    counted = np.random.default_rng(seed).poisson(photons * np.exp(-sinogram))
    return -np.log(np.maximum(counted, 0.5) / photons)


def one_slice(plane, pixel_mm):
    hu = np.clip(np.rint(plane), -1024, 3071).astype(np.int16)[None]
    return CtVolume(hu, (3.0, pixel_mm, pixel_mm), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})


@pytest.fixture(scope="module")
def shoulders():
    """A slice of tissue, wide and with a dense joint on either side, 192 pixels of 2 mm."""
    y, x = np.mgrid[-96:96, -96:96] * 2.0
    plane = np.where((x / 180) ** 2 + (y / 85) ** 2 <= 1, 40.0, -1000.0)
    plane[(np.abs(x) - 130) ** 2 + y**2 < 28**2] = 900.0
    return plane


def test_fewer_photons_leave_more_streaks_along_the_shoulders(shoulders):
    sinogram = projected(shoulders, 2.0)
    found = []
    for photons in (3e7, 1e6, 1e5, 3e4):
        found.append(streaks_hu(one_slice(reconstructed(starved(sinogram, photons), 2.0, 192), 2.0)))
    assert found == sorted(found)
    assert found[0] < 5 and found[-1] > 2 * QualityLimits().max_streaks_hu


def test_metal_leaves_streaks_and_the_larger_the_more(shoulders):
    y, x = np.mgrid[-96:96, -96:96] * 2.0
    found = []
    for radius in (0.0, 5.0, 9.0):
        plane = np.where((x - 20) ** 2 + (y - 10) ** 2 < radius**2, 20000.0, np.minimum(shoulders, 40.0))
        image = reconstructed(starved(projected(plane, 2.0), 1e6), 2.0, 192)
        found.append(streaks_hu(one_slice(image, 2.0)))
    assert found[0] < 5 < found[1] < found[2] and found[2] > QualityLimits().max_streaks_hu


@pytest.mark.parametrize("sigma", [10.0, 40.0, 90.0])
@pytest.mark.parametrize("grain", [0.0, 0.8])
def test_noise_without_a_direction_is_no_streak_however_strong(sigma, grain):
    noise = gaussian_filter(np.random.default_rng(8).normal(0, 1, (6, 256, 256)), (0, grain, grain))
    hu = 40 + sigma * noise / noise.std()
    volume = CtVolume(hu.astype(np.int16), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
    assert streaks_hu(volume) < 0.1 * sigma


def test_streaks_are_found_whatever_their_direction():
    rng, found = np.random.default_rng(9), []
    y, x = np.mgrid[:256, :256].astype(float)
    for degrees in (0, 30, 45, 90):
        across = x * np.sin(np.radians(degrees)) + y * np.cos(np.radians(degrees))
        stripes = np.interp(across, np.arange(-300, 600, 1.5), rng.normal(0, 80, 600))
        hu = 40 + stripes + rng.normal(0, 15, (4, 256, 256))
        volume = CtVolume(hu.astype(np.int16), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {})
        found.append(streaks_hu(volume))
    assert min(found) > 20 and max(found) < 3 * min(found)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_made_up_scanners_have_the_noise_that_was_painted(factor):
    for scanner in SCANNERS:
        assert noise_hu(painted(scanner, noise=factor)) == pytest.approx(factor * scanner.noise_hu, rel=0.2)


def test_made_up_scanners_have_no_streaks_also_with_three_times_the_noise():
    for scanner in (SCANNERS[0], SCANNERS[4]):
        for noise in (1.0, 3.0):
            assert streaks_hu(painted(scanner, noise=noise)) < 5


def test_streaks_are_a_reason_with_their_strength(shoulders):
    image = reconstructed(starved(projected(shoulders, 2.0), 3e4), 2.0, 192)
    quality = assess_quality(one_slice(image, 2.0))
    assert any(re.search(r"Streaks in soft tissue reach \d+ HU, more than 20 HU", text) for text in quality.reasons)
    assert "motion" in quality.unchecked


# --- the tumour cut by the scan, the date, the limits -----------------------------------------------------------------


def test_a_tumour_that_meets_the_edge_of_the_scan_or_padding_is_told():
    mask = np.zeros((20, 60, 60), bool)
    mask[5:15, 20:40, 20:40] = True
    assert assess_quality(scan(), tumour_mask=mask).tumour_cut_fraction == 0.0
    for at_edge in (np.roll(mask, -5, axis=0), np.roll(mask, 20, axis=2)):
        quality = assess_quality(scan(), tumour_mask=at_edge)
        assert 0.1 < quality.tumour_cut_fraction < 0.5
        assert any("of the tumour's surface lies at the edge of the scan" in reason for reason in quality.reasons)
    padding = np.zeros(mask.shape, bool)
    padding[:, :, 40:] = True
    beside = assess_quality(scan(padding=padding), tumour_mask=mask)
    assert beside.tumour_cut_fraction == pytest.approx(200 / (10 * 20 * 20 - 8 * 18 * 18), rel=0.01)
    padding[:, :, 40] = False
    assert assess_quality(scan(padding=padding), tumour_mask=mask).tumour_cut_fraction == 0.0


def test_a_mask_that_is_empty_or_of_another_scan_is_refused():
    with pytest.raises(SeriesError, match="mask is empty"):
        assess_quality(scan(), tumour_mask=np.zeros((20, 60, 60), bool))
    with pytest.raises(SeriesError, match="read the mask onto this CT"):
        assess_quality(scan(), tumour_mask=np.ones((2, 6, 6), bool))


@pytest.mark.parametrize(
    ("days", "reason"),
    [
        (0, None),
        (60, None),
        (61.0, "The CT was made 61 days before treatment, more than 60."),
        (-3, "The CT was made 3 days after treatment began."),
    ],
)
def test_the_days_before_treatment_are_checked(days, reason):
    quality = assess_quality(scan(), days_before_treatment=days)
    assert quality.reasons == (() if reason is None else (reason,))
    assert quality.days_before_treatment == days and "days_before_treatment" not in quality.unchecked


def test_a_ct_after_treatment_is_a_reason_whatever_the_limit():
    loose = QualityLimits(max_days_before_treatment=10000.0)
    assert assess_quality(scan(), days_before_treatment=-1, limits=loose).reasons == (
        "The CT was made 1 days after treatment began.",
    )
    assert assess_quality(scan(), days_before_treatment=900, limits=loose).reasons == ()


def test_every_limit_can_be_failed_and_the_score_counts_the_checks_that_were_made():
    tight = QualityLimits(**{item.name: -1.0 for item in fields(QualityLimits)})
    mask = np.zeros((20, 60, 60), bool)
    mask[8:12, 25:35, 25:35] = True
    quality = assess_quality(
        scan(), centre_mm=MIDDLE, size_mm=16.0, tumour_mask=mask, days_before_treatment=1, limits=tight
    )
    assert len(quality.reasons) + len(quality.unchecked) == len(fields(QualityLimits)) == 10
    assert quality.score == 0.0
    late = assess_quality(scan(), days_before_treatment=-1)
    made = 10 - len(late.unchecked)
    assert late.score == pytest.approx(1 - 1 / made)


def test_the_spacing_is_the_widest_between_slices_that_were_scanned():
    evened = replace(scan(), slice_z=np.array([0.0, 1.0, 2.0, 6.0, *range(7, 20)]))
    assert assess_quality(evened).spacing_mm == 4.0
    assert any("Slices lie 4.00 mm apart" in reason for reason in assess_quality(evened).reasons)


def test_real_series_show_neither_motion_nor_streaks(shared_data):
    volume = read_series(shared_data("lung1"))
    mask = read_mask(shared_data("lung1"), volume, "GTV-1")
    quality = assess_quality(volume, tumour_mask=mask, days_before_treatment=20)
    assert quality.score == 1.0 and quality.unchecked == ("field_of_view",)
    assert motion_mm(volume) < 0.5 and streaks_hu(volume) < 10
    n = len(volume.hu)
    assert motion_mm(moved(volume, [(0.0, 6.0 * (k >= n // 2)) for k in range(n)])) > 1.5
    thick = read_series(shared_data("nrrd_nodule") / "lung1_image.nrrd")
    assert motion_mm(thick) < 0.6 and streaks_hu(thick) < 10
