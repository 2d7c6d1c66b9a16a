"""A tumour of known size and density is measured as such."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from skimage.measure import marching_cubes

from onlm_lab.errors import SeriesError
from onlm_lab.imaging import CtVolume, measure_tumour

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
