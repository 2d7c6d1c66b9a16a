"""A CT of a kind that training never saw is called unlike; one of the usual kind is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.errors import OnlmError
from onlm_lab.learning.unlike import combine_unlikeness, distance_to, unlikeness_of_quality

N = 200


@pytest.fixture
def facts():
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "patient_id": [f"P{i}" for i in range(N)],
        "noise_hu": rng.normal(25, 5, N),
        "spacing_mm": rng.choice([1.0, 1.25, 2.0], N),
        "thickness_mm": rng.choice([1.0, 1.25], N),
        "kernel_class": rng.choice(["lung", "soft"], N, p=[0.8, 0.2]),
    })  # fmt: skip


def one(facts, **changed):
    usual = {"noise_hu": 25.0, "spacing_mm": 1.25, "thickness_mm": 1.0, "kernel_class": "lung"}
    return float(unlikeness_of_quality(facts, pd.DataFrame([usual | changed]))[0])


def test_the_distance_is_scipy_s():
    from scipy.spatial.distance import mahalanobis

    rng = np.random.default_rng(1)
    fit, new, floor = rng.normal(size=(50, 3)), rng.normal(size=(7, 3)), np.array([0.1, 0.2, 0.3])
    inverse = np.linalg.inv(np.cov(fit.T) + np.diag(floor**2))
    expected = [mahalanobis(row, fit.mean(axis=0), inverse) for row in new]
    np.testing.assert_allclose(distance_to(new, fit=fit, floor=floor), expected, rtol=1e-10)


def test_training_patients_are_measured_without_themselves():
    """The score counts distances of training patients to all the others, as scipy gives them one by one."""
    from scipy.spatial.distance import mahalanobis

    rng = np.random.default_rng(2)
    train = pd.DataFrame({"noise_hu": rng.normal(25, 5, 40), "spacing_mm": rng.normal(2, 0.5, 40)})
    new = pd.DataFrame({"noise_hu": rng.normal(25, 8, 15), "spacing_mm": rng.normal(2, 0.8, 15)})
    fit, floor = train.to_numpy(), np.diag([2.0**2, 0.1**2])

    def away(point, rows):
        return mahalanobis(point, rows.mean(axis=0), np.linalg.inv(np.cov(rows.T) + floor))

    usual = np.maximum([away(fit[i], np.delete(fit, i, axis=0)) for i in range(40)], 1)
    expected = [(usual < max(away(point, fit), 1)).mean() for point in new.to_numpy()]
    np.testing.assert_allclose(unlikeness_of_quality(train, new), expected)


def test_patients_like_those_of_training_have_scores_all_over_the_scale(facts):
    rng = np.random.default_rng(9)
    half = rng.permutation(N)
    ours = unlikeness_of_quality(facts.iloc[half[:100]], facts.iloc[half[100:]])
    assert 0.4 < ours.mean() < 0.6


@pytest.mark.parametrize(
    "changed", [{"noise_hu": 90.0}, {"spacing_mm": 10.0}, {"thickness_mm": 7.0}, {"kernel_class": "unknown"},
                {"noise_hu": np.nan}],
)  # fmt: skip
def test_each_fact_alone_makes_a_ct_unlike(facts, changed):
    assert one(facts) < 0.5
    assert one(facts, **changed) > 0.98


def test_a_rare_kernel_is_more_unlike_than_a_common_one(facts):
    assert one(facts, kernel_class="soft") > one(facts, kernel_class="lung")


def test_where_all_training_cts_are_alike_an_equal_one_is_usual_and_another_is_not(facts):
    same = facts.assign(noise_hu=25.0, spacing_mm=1.25, thickness_mm=1.0, kernel_class="lung")
    assert one(same) == 0
    assert one(same, spacing_mm=1.26) == 0, "a hundredth of a millimetre is no other kind of CT"
    assert one(same, spacing_mm=5.0) == 1


def test_other_rows_in_the_same_call_change_nobody_s_score(facts):
    new = pd.DataFrame({"noise_hu": [22.0, 400.0], "spacing_mm": [2.0, 9.0], "thickness_mm": [1.0, np.nan],
                        "kernel_class": ["soft", None]})  # fmt: skip
    together = unlikeness_of_quality(facts, new)
    assert together[0] == unlikeness_of_quality(facts, new.iloc[[0]])[0]


def test_a_patient_of_whom_nothing_is_known_has_no_score_and_the_other_one_counts(facts):
    nothing = pd.DataFrame([dict.fromkeys(["noise_hu", "spacing_mm", "thickness_mm", "kernel_class"], np.nan)])
    quality = unlikeness_of_quality(facts, nothing)
    assert np.isnan(quality[0])
    np.testing.assert_array_equal(combine_unlikeness([0.3, 0.9, 0.2], [quality[0], 0.1, 0.4]), [0.3, 0.9, 0.4])


def test_without_facts_or_with_too_few_patients_it_is_refused(facts):
    with pytest.raises(OnlmError, match=r"none of noise_hu, spacing_mm, thickness_mm, kernel_class is known"):
        unlikeness_of_quality(facts[["patient_id"]], facts)
    with pytest.raises(OnlmError, match=r"known of 3 training patients; wanted at least 10"):
        unlikeness_of_quality(facts.iloc[:3], facts)
