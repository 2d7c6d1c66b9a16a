"""A CT that is too thick, too noisy or too small for its tumour is told apart, with the reason."""

from __future__ import annotations

import re

import numpy as np
import pytest

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import CtVolume, QualityLimits, assess_quality, read_series
from onlm_lab.imaging.quality import noise_hu


def scan(*, spacing=(1.0, 0.8, 0.8), thickness=1.0, noise=10.0, level=40.0, padding=None):
    hu = np.random.default_rng(5).normal(level, noise, (20, 60, 60))
    place = ((0.0, 0.0, 0.0), np.eye(3)[:, ::-1], "", {"thickness_mm": thickness})
    return CtVolume(hu.astype(np.int16), spacing, *place, padding)


MIDDLE = (24.0, 24.0, 10.0)


def test_a_thin_quiet_scan_around_the_tumour_passes_every_check():
    quality = assess_quality(scan(), centre_mm=MIDDLE, size_mm=16.0)
    assert quality.score == 1.0 and quality.reasons == () and quality.unchecked == ()


@pytest.mark.parametrize("sigma", [8.0, 20.0, 35.0])
def test_the_noise_that_was_put_in_comes_out(sigma):
    assert noise_hu(scan(noise=sigma)) == pytest.approx(sigma, rel=0.1)


def test_structure_is_not_noise():
    hu = np.full((9, 80, 80), 40.0)
    hu[:, :, 40:] = 90
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
    assert quality.unchecked == ("thickness", "gap", "noise", "field_of_view")
    assert quality.score == 1.0 and np.isnan(quality.noise_hu)
    assert quality.as_dict()["unchecked"] == "thickness, gap, noise, field_of_view"


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
