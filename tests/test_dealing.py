"""Who plays which part in a run: the lock does not move with images or protocol, SBRT stays unlabelled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.splits import make_folds
from onlm_lab.dealing import deal
from onlm_lab.errors import DataError, OnlmError
from onlm_lab.study import Info, Split, Study, Training

N = 240


@pytest.fixture
def cohort():
    rng = np.random.default_rng(2)
    arm = np.where(np.arange(N) % 6 == 0, "sbrt", "surgery")
    onlm = (rng.random(N) < 0.3).astype(float)
    return pd.DataFrame({
        "patient_id": [f"P{i:03d}" for i in range(N)], "centre": rng.choice(list("ABCD"), N),
        "treatment_year": rng.integers(2018, 2024, N).astype(float), "arm": arm,
        "onlm": np.where(arm == "sbrt", np.nan, onlm), "onlm_missing_reason": None,
        "os_days": rng.integers(10, 3000, N).astype(float), "os_event": rng.integers(0, 2, N).astype(float),
        "age_years": rng.normal(65, 8, N).round(1),
    })  # fmt: skip


def made(cohort, *, eligible=None, usable=None, split=None, draw=None, seed=2026, **training):
    study = Study(
        folder=Path(), study=Info(seed=seed), split=split or Split(),
        training=Training(predictors=("age_years",), **training),
    )  # fmt: skip
    ids = cohort["patient_id"]
    eligible = ids if eligible is None else eligible
    status = pd.DataFrame({"patient_id": ids, "status": np.where(ids.isin(eligible), "eligible", "excluded")})
    usable = ids[ids.isin(eligible)] if usable is None else usable
    prepared = pd.DataFrame({"patient_id": ids, "usable": ids.isin(usable).astype(int)})
    return deal(study, cohort=cohort, status=status, prepared=prepared, draw=draw)


def test_without_a_split_every_labelled_patient_is_dealt_as_before(cohort):
    dealt = made(cohort, folds=4)
    labelled = cohort[cohort["onlm"].notna()]
    pd.testing.assert_frame_equal(dealt.folds, make_folds(labelled, n_folds=4, seed=2026))
    assert set(dealt.patients["role"]) == {"labelled", "unlabelled"} and set(dealt.parts["part"]) == {"development"}


def test_each_part_has_its_role_and_sbrt_is_unlabelled_wherever_it_was_given(cohort):
    split = Split(external_centres=("D",), temporal_from_year=2023, locked_fraction=0.25)
    rows = made(cohort, split=split).patients
    sbrt = rows["arm"] == "sbrt"
    assert (rows.loc[sbrt, "role"] == "unlabelled").all() and (rows.loc[sbrt, "part"] == "external").any()
    roles = rows[~sbrt].groupby("part")["role"].unique().map(list).to_dict()
    assert roles == {
        "development": ["labelled"], "external": ["external"], "temporal": ["external"], "locked": ["test"]
    }  # fmt: skip


def test_the_folds_and_the_locked_rows_tell_nothing_of_each_other(cohort):
    dealt = made(cohort, split=Split(locked_fraction=0.25))
    rows = dealt.patients.set_index("patient_id")
    locked = rows[rows["part"] == "locked"]
    assert len(locked) and locked[["onlm", "os_days", "os_event"]].isna().all(axis=None)
    assert not set(dealt.folds["patient_id"]) & set(locked.index)
    assert dealt.facts["counts"]["locked"] == {"n": len(locked)}, "no count of their labels"
    assert dealt.facts["counts"]["development"]["n_positive"] == (rows["onlm"] == 1).sum()


def test_nobody_crosses_the_lock_with_other_images_another_protocol_or_another_row_order(cohort):
    split = Split(locked_fraction=0.3)

    def locked(dealt):
        return set(dealt.parts.loc[dealt.parts["part"] == "locked", "patient_id"])

    first = made(cohort, split=split)
    some = cohort["patient_id"][cohort.index % 4 != 0]
    fewer = made(cohort, eligible=some, split=split)
    images = made(cohort, usable=some, split=split)
    shuffled = made(cohort.sample(frac=1, random_state=0), split=split)
    assert locked(fewer) == locked(images) == locked(first) & set(some)
    assert locked(shuffled) == locked(first) and shuffled.facts == first.facts
    assert fewer.facts["locked_sha256"] == first.facts["locked_sha256"]


def test_nobody_crosses_the_lock_with_later_patients_another_seed_or_other_folds_once_the_set_is_drawn(cohort):
    split = Split(locked_fraction=0.3)
    first = made(cohort.iloc[:180], split=split)
    assert first.notes == () and set(first.draw.locked) == set(
        first.parts.loc[first.parts["part"] == "locked", "patient_id"]
    )
    grown = made(cohort, split=split, draw=first.draw, seed=5, folds=3)
    part = grown.parts.set_index("patient_id")["part"]
    assert set(part.index[part == "locked"]) & set(cohort["patient_id"][:180]) == set(first.draw.locked)
    n_new = (part.iloc[180:] == "locked").sum()
    assert n_new >= 10 and set(grown.draw.locked) > set(first.draw.locked) and grown.draw.seed == 2026
    n = len(first.draw.locked)
    assert grown.notes == (f"locked test set: {n_new} new patients were added to the {n} drawn before",)
    fewer = made(cohort[~cohort["patient_id"].isin(first.draw.locked[:2])], split=split, draw=grown.draw)
    assert fewer.draw == grown.draw and "2 of the" in fewer.notes[0] and "no longer in the table" in fewer.notes[0]


@pytest.mark.parametrize("fraction", [0.0, 0.2])
def test_another_share_of_a_set_that_was_drawn_is_refused_with_what_it_would_mean(cohort, fraction):
    draw = made(cohort, split=Split(locked_fraction=0.3)).draw
    said = rf"locked_fraction is {fraction:g}, and {len(draw.locked)} patients were locked at 0.3 \(locked.json\)"
    with pytest.raises(OnlmError, match=said):
        made(cohort, split=Split(locked_fraction=fraction), draw=draw)


def test_a_missing_year_hinders_only_where_the_patient_is_eligible(cohort):
    cohort.loc[[1, 2], "treatment_year"] = np.nan
    split = Split(temporal_from_year=2022)
    others = cohort["patient_id"][~cohort.index.isin([1, 2])]
    assert set(made(cohort, eligible=others, split=split).parts["part"]) == {"development", "temporal"}
    with pytest.raises(OnlmError, match=r"temporal_from_year = 2022 cannot place 2 of 240 patients"):
        made(cohort, split=split)


def test_a_part_whose_patients_are_all_screened_out_is_refused(cohort):
    others = cohort["patient_id"][cohort["centre"] != "D"]
    with pytest.raises(OnlmError, match="none of the 0 patients of the external part is eligible"):
        made(cohort, eligible=others, split=Split(external_centres=("D",)))


def test_too_few_of_a_class_say_what_to_change(cohort):
    positive = cohort["patient_id"][cohort["onlm"] == 1]
    few = cohort[~cohort["patient_id"].isin(positive[3:])]
    with pytest.raises(OnlmError, match=r"3 patients with and \d+ without .* wanted at least 5 of each, one a fold"):
        made(few)
    with pytest.raises(OnlmError, match=r"labelled and in development; wanted .* or hold fewer out in \[split\]"):
        made(few, split=Split(locked_fraction=0.4))


def test_a_hospital_s_own_column_with_the_name_of_one_of_the_run_s_is_refused(cohort):
    with pytest.raises(OnlmError, match=r"\[columns.role\] takes a name that a run gives its own column"):
        made(cohort.assign(role="surgeon"))


# --- leaving one centre out ------------------------------------------------------------------------------------------

LEFT_OUT = {"scheme": "leave_one_centre_out"}


def test_leaving_centres_out_needs_no_patient_of_each_class_a_fold(cohort):
    positive = cohort["patient_id"][cohort["onlm"] == 1]
    few = cohort[~cohort["patient_id"].isin(positive[4:])]
    dealt = made(few, folds=5, **LEFT_OUT)
    assert dealt.folds["fold"].nunique() == 4 and dealt.facts["n_folds"] is None


def test_a_centre_of_one_class_is_tested_and_said_to_have_no_auc(cohort):
    cohort["onlm"] = cohort["onlm"].mask((cohort["centre"] == "B") & cohort["onlm"].notna(), 0.0)
    dealt = made(cohort, **LEFT_OUT)
    assert dealt.notes[0].startswith("1 of 4 centres has patients of one class only (B): left out in turn")
    assert made(cohort).notes == ()


def test_a_centre_that_cannot_be_missed_is_refused_by_name(cohort):
    cohort["onlm"] = cohort["onlm"].mask((cohort["centre"] != "B") & cohort["onlm"].notna(), 0.0)
    with pytest.raises(OnlmError, match=r"Leaving out centre 'B' leaves 0 patients with and \d+ without"):
        made(cohort, **LEFT_OUT)


def test_a_person_twice_is_refused_before_anything_is_dealt(cohort):
    rng = np.random.default_rng(0)
    for name in ("cea_ng_ml", "suv_max", "total_diameter_mm"):
        cohort[name] = rng.uniform(1, 50, N).round(2)
    twin = cohort.iloc[[3]].assign(patient_id="Q999", centre="D")
    with pytest.raises(DataError, match=r"1 pair of rows among 241 patients looks like one person"):
        made(pd.concat([cohort, twin]))
    checked = Split(distinct_patients=(("Q999", "P003"),))
    assert len(made(pd.concat([cohort, twin], ignore_index=True), split=checked).patients) == N + 1
