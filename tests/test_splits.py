"""Folds: by patient, balanced over label and centre, the same for the same seed."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.splits import hold_out, make_folds, split_digest
from onlm_lab.errors import OnlmError
from onlm_lab.split_files import read_split, write_split


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


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "category", "object"])
def test_the_type_of_a_column_and_its_index_change_nothing(years, dtype):
    how = {"locked_fraction": 0.2, "external_centres": ["D"], "temporal_from_year": 2023, "seed": 1}
    strange = years.astype({"onlm": int}).astype({"onlm": dtype, "centre": "category", "patient_id": "category"})
    strange = strange.set_index(pd.Index([0] * len(years)))
    before = strange.copy()
    assert hold_out(strange, **how).to_numpy().tolist() == hold_out(years, **how).to_numpy().tolist()
    assert make_folds(strange, seed=1).to_numpy().tolist() == make_folds(years, seed=1).to_numpy().tolist()
    pd.testing.assert_frame_equal(strange, before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"onlm": 2}, "onlm is neither 1 nor 0 nor missing in 97 of 97 rows"),
        ({"onlm": "1"}, "onlm is neither 1 nor 0 nor missing"),
        ({"patient_id": None}, "patient_id is missing or no text in 97 of 97 rows"),
        ({"patient_id": 7}, r"have more \(7\)"),
        ({"centre": None}, "97 of 97 have none"),
    ],
)
def test_rows_that_cannot_be_dealt_are_counted(rows, change, said):
    with pytest.raises(OnlmError, match=said):
        make_folds(rows.iloc[:97].assign(**change), seed=1, scheme="leave_one_centre_out")


def test_a_year_that_is_text_is_refused(years):
    with pytest.raises(OnlmError, match="needs treatment_year as numbers"):
        hold_out(years.astype({"treatment_year": str}), temporal_from_year=2023, seed=1)


def test_impossible_splits_say_what_was_wanted(rows):
    with pytest.raises(OnlmError, match="n_repeats is 0"):
        make_folds(rows, n_repeats=0, seed=1)
    with pytest.raises(OnlmError, match=r"n_folds is 2\.5"):
        make_folds(rows, n_folds=2.5, seed=1)
    with pytest.raises(OnlmError, match="n_folds is 5; wanted at least 2 and at most the 3 patients"):
        make_folds(rows.iloc[:3], n_folds=5, seed=1)
    with pytest.raises(OnlmError, match="at least 2 centres; there is 1"):
        make_folds(rows.assign(centre="A"), seed=1, scheme="leave_one_centre_out")
    with pytest.raises(OnlmError, match="scheme 'random' is not known"):
        make_folds(rows, seed=1, scheme="random")


# --- who is held out -------------------------------------------------------------------------------------------------


@pytest.fixture
def years(rows):
    return rows.assign(treatment_year=np.tile([2018.0, 2019, 2020, 2021, 2022, 2023, 2024], 29))


def parts_of(rows, **how):
    return rows.merge(hold_out(rows, seed=3, **how), on="patient_id")


def test_external_comes_before_temporal_and_temporal_before_locked(years):
    found = parts_of(years, external_centres=["D", "E"], temporal_from_year=2023, locked_fraction=0.25)
    external = years["centre"].isin(["D", "E"])
    late = ~external & (years["treatment_year"] >= 2023)
    assert (found["part"] == "external").tolist() == external.tolist()
    assert (found["part"] == "temporal").tolist() == late.tolist()
    rest = found[~external & ~late]
    assert set(rest["part"]) == {"locked", "development"} and (rest["part"] == "locked").mean() == pytest.approx(
        0.25, abs=0.01
    )


def test_the_locked_set_takes_its_share_of_each_label_and_of_each_label_in_each_centre(rows):
    found = parts_of(rows, locked_fraction=0.3).assign(locked=lambda t: t["part"] == "locked")
    for _, of_label in found.groupby("onlm"):
        assert of_label["locked"].sum() == np.floor(0.3 * len(of_label) + 0.5)
    for _, stratum in found.groupby(["onlm", "centre"]):
        assert abs(stratum["locked"].sum() - 0.3 * len(stratum)) < 1


def test_the_same_patients_are_locked_whatever_the_order_and_hardly_others_where_one_is_added(rows):
    first = hold_out(rows, locked_fraction=0.2, seed=3)
    again = hold_out(rows.sample(frac=1, random_state=1), locked_fraction=0.2, seed=3)
    pd.testing.assert_frame_equal(first, again)
    more = pd.concat([rows, rows.iloc[:1].assign(patient_id="P999")])
    grown = hold_out(more, locked_fraction=0.2, seed=3).set_index("patient_id")["part"]
    moved = (grown.drop("P999") != first.set_index("patient_id")["part"]).sum()
    other = hold_out(rows, locked_fraction=0.2, seed=4)
    assert moved <= 3 < 20 < (other["part"] != first["part"]).sum()


def test_who_was_drawn_keeps_his_side_and_newcomers_fill_the_set_up_to_its_share(rows):
    first = hold_out(rows, locked_fraction=0.2, seed=3).set_index("patient_id")["part"]
    drawn = (first == "locked").to_dict()
    new = rows.iloc[:60].assign(patient_id=[f"Q{i:03d}" for i in range(60)])
    grown = pd.concat([new, rows], ignore_index=True)
    for seed in (3, 4):
        part = hold_out(grown, locked_fraction=0.2, seed=seed, drawn=drawn).set_index("patient_id")["part"]
        pd.testing.assert_series_equal(part[first.index], first)
        assert 60 * 0.2 - 3 <= (part[new["patient_id"]] == "locked").sum() <= 60 * 0.2 + 3
        for _, of_label in grown.groupby("onlm"):
            share = (part[of_label["patient_id"]] == "locked").mean()
            assert share == pytest.approx(0.2, abs=2 / len(of_label))
    forgotten = hold_out(grown, locked_fraction=0.2, seed=3).set_index("patient_id")["part"]
    assert (forgotten[first.index] != first).any(), "without the record of the draw somebody would cross the lock"
    one_by_one = dict(drawn)
    for k in range(40):
        table = pd.concat([rows, new.iloc[: k + 1]])
        part = hold_out(table, locked_fraction=0.2, seed=3, drawn=one_by_one).set_index("patient_id")["part"]
        one_by_one |= (part == "locked").to_dict()
    assert 40 * 0.2 - 3 <= sum(one_by_one[name] for name in new["patient_id"].iloc[:40]) <= 40 * 0.2 + 3


def test_a_patient_without_a_label_is_never_locked(rows):
    unlabelled = rows["patient_id"].isin(rows["patient_id"].iloc[::3])
    found = parts_of(rows.assign(onlm=rows["onlm"].where(~unlabelled)), locked_fraction=0.5)
    assert (found.loc[unlabelled, "part"] == "development").all() and (found["part"] == "locked").any()


def test_only_development_patients_are_dealt_to_folds(rows):
    found = parts_of(rows, external_centres=["A"], locked_fraction=0.2)
    folds = make_folds(found, n_folds=5, seed=1)
    assert set(folds["patient_id"]) == set(found.loc[found["part"] == "development", "patient_id"])


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"external_centres": ["Ba"]}, r"external_centres: 'Ba' is not a centre of these 203 patients"),
        ({"external_centres": list("ABCDE")}, r"names all 5 centres; wanted at least one to develop the model in"),
        ({"temporal_from_year": 2030}, r"none of 203 patients was treated in 2030 or later; .* from 2018 to 2024"),
        ({"temporal_from_year": 2018}, r"none of 203 patients was treated before 2018"),
        ({"locked_fraction": 0.001}, r"locked_fraction = 0.001 leaves the locked part with none of the \d+ patients"),
        ({"locked_fraction": 0.999}, r"leaves the development part with none of the \d+ patients with nodal"),
        ({"locked_fraction": 1.5}, r"wanted at least 0 and below 1"),
    ],
)
def test_a_part_that_cannot_be_made_is_refused_with_what_was_wanted(years, how, said):
    with pytest.raises(OnlmError, match=said):
        hold_out(years, seed=1, **how)


def test_patients_whom_the_year_cannot_place_are_counted_and_named(years):
    years.loc[[4, 9], "treatment_year"] = np.nan
    with pytest.raises(OnlmError, match=r"cannot place 2 of 203 patients, whose treatment_year is missing \(P004, P00"):
        hold_out(years, temporal_from_year=2022, seed=1)
    alone = years.assign(centre=years["centre"].mask(years.index.isin([4, 9]), "Z"))
    found = hold_out(alone, temporal_from_year=2022, external_centres=["Z", "A"], seed=1)
    assert (found.set_index("patient_id").loc[["P004", "P009"], "part"] == "external").all()


def test_a_part_without_a_label_is_refused(years):
    blind = years.assign(onlm=years["onlm"].where(years["centre"] != "E"))
    with pytest.raises(OnlmError, match=r"none of the \d+ patients of the external part has a known onlm"):
        hold_out(blind, external_centres=["E"], seed=1)


# --- the split as files ----------------------------------------------------------------------------------------------


@pytest.fixture
def dealt(rows, tmp_path):
    parts = hold_out(rows, locked_fraction=0.2, seed=3)
    folds = make_folds(rows.merge(parts, on="patient_id"), n_folds=5, n_repeats=2, seed=3)
    sha256 = write_split(tmp_path, folds=folds, parts=parts, facts={"seed": 3, "scheme": "stratified"})
    return tmp_path, folds, parts, sha256


def test_a_split_comes_back_from_its_files_as_it_was_written(dealt):
    folder, folds, parts, sha256 = dealt
    found = read_split(folder)
    pd.testing.assert_frame_equal(found.folds, folds)
    pd.testing.assert_frame_equal(found.parts, parts)
    assert found.sha256 == sha256 and found.facts == {"seed": 3, "scheme": "stratified"}
    said = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    assert said["files"]["split.csv"] == hashlib.sha256((folder / "split.csv").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("split.csv", ",0,0\n", ",0,1\n"),
        ("parts.csv", ",locked\n", ",development\n"),
        ("split.json", '"seed": 3', '"seed": 4'),
    ],
)
def test_an_edited_split_is_refused_by_name(dealt, name, old, new):
    path = dealt[0] / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(OnlmError, match=rf"changed after it was dealt: {name} no longer fits"):
        read_split(dealt[0])


def test_a_split_without_its_seal_or_with_a_damaged_one_is_refused(dealt):
    (dealt[0] / "split.json").write_text("{", encoding="utf-8")
    with pytest.raises(OnlmError, match=r"split.json of .* cannot be read"):
        read_split(dealt[0])
    (dealt[0] / "split.json").unlink()
    with pytest.raises(OnlmError, match=r"is not whole: split.json not found"):
        read_split(dealt[0])
