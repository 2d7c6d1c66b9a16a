"""Running sums give the same local regression as solving every window, which equals R's."""

import numpy as np
import pytest
from binary_reference import R, scored

from onlm_lab.analysis import smoothing
from onlm_lab.analysis.smoothing import Tabulated, bandwidths, fit_at, fit_at_values


def tabulated(risk, onlm):
    value, place, count = np.unique(risk, return_inverse=True, return_counts=True)
    return Tabulated(value, count, np.bincount(place, weights=onlm)), place


SHAPES = {
    "skewed": lambda rng, n: rng.beta(1, 6, n),
    "tied": lambda rng, n: rng.beta(0.3, 3, n).round(3),
    "with a gap": lambda rng, n: np.where(rng.random(n) < 0.93, rng.uniform(0, 0.01, n), rng.uniform(0.5, 1, n)),
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_running_sums_equal_the_plain_way(shape):
    rng = np.random.default_rng(5)
    risk = SHAPES[shape](rng, 2500)
    data, _ = tabulated(risk, rng.random(2500) < risk)
    assert len(data.value) > smoothing._DIRECT
    np.testing.assert_allclose(fit_at_values(data), fit_at(data.value, data)[0], atol=1e-9)


def test_the_fit_at_the_values_equals_rs_loess_with_direct_surface(monkeypatch):
    for limit in (400, 1):  # the plain way, then running sums
        monkeypatch.setattr(smoothing, "_DIRECT", limit)
        for score in ("p1", "p2"):
            rows = scored("asah", score)
            data, place = tabulated(rows["risk"].to_numpy(), rows["onlm"].to_numpy())
            np.testing.assert_allclose(fit_at_values(data)[place], R["asah"]["calibration"][score]["fit"], atol=1e-11)


def test_the_standard_error_equals_rs_weights_on_the_binomial_variance():
    for score in ("p1", "p2"):
        rows, want = scored("asah", score), R["asah"]["calibration"][score]
        data, place = tabulated(rows["risk"].to_numpy(), rows["onlm"].to_numpy())
        share = np.clip(fit_at_values(data), 0, 1)
        se = fit_at(data.value, data, variance=share * (1 - share))[1]
        np.testing.assert_allclose(se[place], want["fit_se"], atol=1e-10)


def test_the_bandwidth_is_the_distance_to_the_nearest_share_of_patients():
    rng = np.random.default_rng(1)
    risk = rng.random(200).round(2)
    data, _ = tabulated(risk, risk)
    points = np.array([0.0, 0.31, 0.5, 1.0])
    want = [np.sort(np.abs(risk - p))[149] for p in points]
    np.testing.assert_allclose(bandwidths(points, data, span=0.75), want, atol=1e-15)


def test_a_parabola_is_returned_unchanged():
    x = np.sort(np.random.default_rng(3).random(900))
    data, _ = tabulated(x, 0.2 + x - 0.7 * x**2)
    np.testing.assert_allclose(fit_at_values(data), 0.2 + x - 0.7 * x**2, atol=1e-10)


def test_a_window_without_width_has_no_fit():
    data, _ = tabulated(np.array([0.1] * 90 + [0.5] * 10), np.zeros(100))
    assert np.isnan(fit_at_values(data)).all()
