"""Patients counted by risk: the quick way and the plain one count alike, of risks and of any score."""

from __future__ import annotations

import numpy as np
import pytest

from onlm_lab.analysis.tally import tabulate


def _counted(onlm, score):
    values = np.unique(score)
    return values, [int(onlm[score == v].sum()) for v in values], [int((~onlm[score == v]).sum()) for v in values]


@pytest.mark.parametrize("low", [0.0, -3.0])
@pytest.mark.parametrize("decimals", [1, 12])
def test_counts_at_each_distinct_value_are_those_of_a_loop(low, decimals):
    chance = np.random.default_rng(4)
    score, onlm = chance.uniform(low, 1, 300).round(decimals), chance.uniform(size=300) < 0.3
    got, want = tabulate(onlm, score), _counted(onlm, score)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


def test_a_negative_zero_is_a_zero():
    value, events, others = tabulate(np.array([True, False, False]), np.array([-0.0, 0.0, 0.5]))
    assert (value.tolist(), events.tolist(), others.tolist()) == ([0.0, 0.5], [1, 0], [1, 1])
