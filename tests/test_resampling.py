"""Bootstrap samples keep each stratum's size, come from the generator alone, and have the right spread."""

import numpy as np
import pytest

from onlm_lab.analysis.resampling import percentile_interval, resampled_counts, resampled_rows
from onlm_lab.errors import OnlmError


def test_every_sample_holds_as_many_events_as_the_data():
    onlm = np.array([True] * 7 + [False] * 23)
    drawn = np.concatenate(list(resampled_rows(onlm, n_resamples=200, generator=np.random.default_rng(1))))
    assert drawn.shape == (200, 30)
    assert (onlm[drawn].sum(axis=1) == 7).all()
    assert len(np.unique(drawn[:, :7])) == 7


def test_chunks_do_not_change_what_is_drawn_for_one_seed(monkeypatch):
    onlm = np.arange(50) % 5 == 0
    whole = np.concatenate(list(resampled_rows(onlm, n_resamples=10, generator=np.random.default_rng(4))))
    again = np.concatenate(list(resampled_rows(onlm, n_resamples=10, generator=np.random.default_rng(4))))
    np.testing.assert_array_equal(whole, again)
    monkeypatch.setattr("onlm_lab.analysis.resampling._CHUNK_CELLS", 100)
    parts = list(resampled_rows(onlm, n_resamples=10, generator=np.random.default_rng(4)))
    assert [len(p) for p in parts] == [2] * 5


def test_counts_have_the_moments_of_drawn_patients():
    counts = np.array([5, 0, 15, 30])
    drawn = resampled_counts(counts, n_resamples=20_000, generator=np.random.default_rng(2))
    assert (drawn.sum(axis=1) == 50).all() and (drawn[:, 1] == 0).all()
    np.testing.assert_allclose(drawn.mean(axis=0), counts, atol=0.1)
    np.testing.assert_allclose(drawn.var(axis=0), counts * (1 - counts / 50), rtol=0.05)


def test_the_percentile_interval_is_that_of_the_replicates():
    low, high = percentile_interval(np.arange(1001.0)[:, None], level=0.9)
    assert (low[0], high[0]) == pytest.approx((50, 950))


def test_nothing_to_draw_from_is_said():
    with pytest.raises(OnlmError, match="no patients to draw from"):
        resampled_counts(np.zeros(3, int), n_resamples=5, generator=np.random.default_rng(0))
    with pytest.raises(OnlmError, match="at least 1, got 0"):
        next(resampled_rows(np.ones(3), n_resamples=0, generator=np.random.default_rng(0)))
