"""Folds: by patient, balanced over label and centre, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.splits import make_folds, split_digest
from onlm_lab.errors import OnlmError


@pytest.fixture
def rows():
    rng = np.random.default_rng(5)
    return pd.DataFrame(
        {"patient_id": [f"P{i:03d}" for i in range(203)],
         "centre": rng.choice(list("ABCDE"), 203, p=[0.5, 0.3, 0.1, 0.07, 0.03]),
         "onlm": (rng.random(203) < 0.17).astype(float)}
    )  # fmt: skip


def test_each_patient_is_tested_once_in_each_repeat(rows):
    folds = make_folds(rows, n_folds=5, n_repeats=3, seed=1)
    assert list(folds.columns) == ["patient_id", "repeat", "fold"] and len(folds) == 3 * len(rows)
    assert (folds.groupby(["repeat", "patient_id"]).size() == 1).all()
    assert sorted(folds["fold"].unique()) == [0, 1, 2, 3, 4] and sorted(folds["repeat"].unique()) == [0, 1, 2]


def test_folds_differ_by_one_patient_at_most_in_all_in_each_label_and_in_each_stratum(rows):
    folds = make_folds(rows, n_folds=5, n_repeats=2, seed=1).merge(rows, on="patient_id")
    for _, repeat in folds.groupby("repeat"):
        for keys in (["fold"], ["onlm", "fold"], ["onlm", "centre", "fold"]):
            counts = (
                repeat.groupby(keys).size().unstack("fold", fill_value=0)
                if len(keys) > 1
                else repeat["fold"].value_counts()
            )
            spread = (
                counts.max(axis=1) - counts.min(axis=1)
                if isinstance(counts, pd.DataFrame)
                else counts.max() - counts.min()
            )
            assert np.all(spread <= 1)


def test_the_same_seed_gives_the_same_folds_whatever_the_order_of_rows(rows):
    a = make_folds(rows, n_folds=5, seed=1)
    b = make_folds(rows.sample(frac=1, random_state=0), n_folds=5, seed=1)
    pd.testing.assert_frame_equal(a, b)
    assert split_digest(a) == split_digest(b.sample(frac=1, random_state=0))
    other = make_folds(rows, n_folds=5, seed=2)
    assert split_digest(other) != split_digest(a) and not (other["fold"] == a["fold"]).all()


def test_repeats_are_dealt_anew(rows):
    folds = make_folds(rows, n_folds=5, n_repeats=2, seed=1)
    first, second = (folds.loc[folds["repeat"] == r, "fold"].to_numpy() for r in (0, 1))
    assert (first != second).mean() > 0.5


def test_strata_smaller_than_the_number_of_folds_are_dealt_without_a_crash():
    rows = pd.DataFrame({"patient_id": list("abcdef"), "centre": list("XXYYZW"), "onlm": [1, 0, 0, 1, 0, np.nan]})
    folds = make_folds(rows, n_folds=3, seed=0)
    assert folds["fold"].value_counts().tolist() == [2, 2, 2]


def test_leaving_one_centre_out_gives_one_fold_a_centre(rows):
    folds = make_folds(rows, seed=1, scheme="leave_one_centre_out").merge(rows, on="patient_id")
    assert folds.groupby("fold")["centre"].unique().map(list).tolist() == [["A"], ["B"], ["C"], ["D"], ["E"]]


def test_a_patient_twice_is_refused_before_anything_is_split(rows):
    with pytest.raises(OnlmError, match=r"1 patients have more \(P000\)"):
        make_folds(pd.concat([rows, rows.iloc[:1]]), n_folds=5, seed=1)


def test_impossible_splits_say_what_was_wanted(rows):
    with pytest.raises(OnlmError, match="n_folds is 5; wanted at least 2 and at most the 3 patients"):
        make_folds(rows.iloc[:3], n_folds=5, seed=1)
    with pytest.raises(OnlmError, match="at least 2 centres; there is 1"):
        make_folds(rows.assign(centre="A"), seed=1, scheme="leave_one_centre_out")
    with pytest.raises(OnlmError, match="scheme 'random' is not known"):
        make_folds(rows, seed=1, scheme="random")
