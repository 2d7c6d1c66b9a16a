"""One person in two rows: planted ones are found, strangers are never accused."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort import load_cohort
from onlm_lab.cohort.duplicates import MARGIN_BITS, find_duplicates, refuse_duplicates, spelling
from onlm_lab.errors import DataError, OnlmError
from onlm_lab.study import load_study
from onlm_lab.virtual import write_trial

CELLS = (
    "age_years", "sex", "smoking", "pack_years", "kps", "lobe", "total_diameter_mm", "solid_diameter_mm", "cea_ng_ml",
    "suv_max", "histology", "treatment_year", "ct_to_treatment_days", "nodes_examined", "followup_days",
)  # fmt: skip


def made_up(folder, *, n, seed=7):
    write_trial(folder, n_patients=n, n_centres=5, seed=seed, tables_only=True)
    return load_cohort(load_study(folder)).patients


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("trial") / "study", n=300)


def planted(patients, *, seed, n_changed=0, n=20, other_centre=False):
    """Some patients a second time, as ZZ-1, ZZ-2 ..., with some known cells changed; the true pairs."""
    rng = np.random.default_rng(seed)
    twin = patients.iloc[rng.choice(len(patients), n, replace=False)].copy()
    true = {frozenset(pair) for pair in zip(twin["patient_id"], [f"ZZ-{i}" for i in range(n)], strict=True)}
    twin["patient_id"] = [f"ZZ-{i}" for i in range(n)]
    for i in twin.index:
        for name in rng.choice([c for c in CELLS if pd.notna(twin.at[i, c])], n_changed, replace=False):
            others = patients.loc[patients[name].notna() & (patients[name] != twin.at[i, name]), name]
            twin.at[i, name] = others.iloc[rng.integers(len(others))]
        if other_centre:
            twin.at[i, "centre"] = next(c for c in patients["centre"] if c != twin.at[i, "centre"])
    return pd.concat([patients, twin], ignore_index=True), true


def found_pairs(patients, **how):
    found = find_duplicates(patients, **how)
    return {frozenset(pair) for pair in zip(found["patient_a"], found["patient_b"], strict=True)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("n_changed", "other_centre", "recall"), [(0, False, 1.0), (1, False, 1.0), (2, False, 0.95), (3, False, 0.8),
                                              (1, True, 1.0)],
)  # fmt: skip
def test_planted_duplicates_are_found_and_nobody_else(patients, seed, n_changed, other_centre, recall):
    table, true = planted(patients, seed=seed, n_changed=n_changed, other_centre=other_centre)
    found = found_pairs(table)
    assert found <= true and len(found & true) >= recall * len(true)


def test_made_up_trials_of_300_and_10_000_strangers_accuse_nobody(patients, tmp_path):
    assert find_duplicates(patients).empty
    many = made_up(tmp_path / "study", n=10_000)
    began = time.perf_counter()
    assert find_duplicates(many).empty
    assert time.perf_counter() - began < 30  # a guard against comparing all 50 million pairs, not a measurement


@pytest.mark.slow
def test_a_made_up_trial_of_100_000_strangers_accuses_nobody_and_shows_what_is_planted(tmp_path):
    many = made_up(tmp_path / "study", n=100_000)
    table, true = planted(many, seed=1, n_changed=1, n=200)
    found = found_pairs(table)
    assert found <= true and len(found) >= 0.95 * len(true)


def test_what_differs_is_named_and_what_is_the_same_is_called_so(patients):
    table, _ = planted(patients, seed=1, n=2)
    table.loc[len(table) - 1, ["centre", "age_years"]] = ["Elsewhere", 33.0]
    found = find_duplicates(table).set_index("patient_b")
    same, changed = found.loc["ZZ-0"], found.loc["ZZ-1"]
    assert (same["kind"], same["differs"]) == ("same rows", "")
    assert (changed["kind"], changed["differs"]) == ("nearly the same rows", "centre, age_years")
    assert same["bits"] > np.log2(302 * 301 / 2) + MARGIN_BITS


def test_one_person_in_both_arms_is_found(patients):
    table, true = planted(patients, seed=2)
    twins = table["patient_id"].str.startswith("ZZ")
    surgery = twins & (table["arm"] == "surgery")
    table.loc[surgery, ["arm", "treatment", "pathological_n"]] = ["sbrt", "sbrt", None]
    table.loc[surgery, ["nodes_examined", "adjuvant_start_days"]] = np.nan
    assert found_pairs(table) == true


def test_many_short_rows_that_are_the_same_accuse_nobody():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"patient_id": [f"P{i}" for i in range(300)], "sex": rng.choice(["female", "male"], 300),
         "age_years": rng.integers(50, 80, 300).astype(float), "lobe": rng.choice(["RUL", "LUL"], 300)}
    )  # fmt: skip
    assert rows.drop(columns="patient_id").duplicated().any()
    assert find_duplicates(rows).empty


def test_bits_of_an_agreement_are_those_of_its_rarity():
    """Two of 1,024 patients share four values that nobody else has: log2(1024 / 2) bits each, by hand."""
    n = 1024
    rows = pd.DataFrame({
        "patient_id": [f"P{i:04d}" for i in range(n)], "followup_days": np.arange(n) * 10.0 + 10,
        "cea_ng_ml": 1.1 ** np.arange(n), "suv_max": 1.1 ** np.arange(n), "total_diameter_mm": np.arange(n) * 3.0,
    })  # fmt: skip
    rows.loc[n - 1, rows.columns[1:]] = rows.loc[0, rows.columns[1:]]
    found = find_duplicates(rows)
    assert found["bits"].tolist() == [4 * 9.0] and found.loc[0, "kind"] == "same rows"


def test_equal_numbers_of_two_centres_are_two_persons(patients):
    half = len(patients) // 2
    first = np.arange(len(patients)) < half
    ids = [f"P{i + 1}" if i < half else f"P{i + 1 - half:04d}" for i in range(len(patients))]
    table = patients.assign(patient_id=ids, centre=np.where(first, "North", "South"))
    assert find_duplicates(table).empty
    short = table[["patient_id", "centre", "age_years", "sex", "lobe"]]
    assert find_duplicates(short).empty
    alike = find_duplicates(short.assign(centre="North"))
    assert len(alike) and set(alike["kind"]) == {"alike ids"}, "in one centre they may be one"


def heaped(n, *, seed):
    """Correlated and coarse, as hospitals write: whole cm, CEA below the limit of detection, packs in tens, one day of
    censoring."""
    rng = np.random.default_rng(seed)
    severe = rng.normal(size=n)
    male = rng.random(n) < 0.45
    smoker = rng.random(n) < np.where(male, 0.75, 0.07)
    size = np.clip(np.round((14 + 7 * np.exp(0.35 * severe) + rng.normal(0, 3, n)) / 10) * 10, 10, 40)
    year = rng.integers(2019, 2023, n)
    return pd.DataFrame({
        "patient_id": [f"H{i}" for i in range(n)], "centre": rng.choice(list("ABCD"), n),
        "age_years": np.clip(np.round(rng.normal(61, 8, n)), 30, 85), "sex": np.where(male, "male", "female"),
        "smoking": np.where(smoker, "former", "never"),
        "pack_years": np.where(smoker, np.round(np.abs(rng.normal(30, 15, n)) / 10) * 10 + 10, 0.0),
        "total_diameter_mm": size, "solid_diameter_mm": np.where(rng.random(n) < 0.5, size, size / 2),
        "cea_ng_ml": np.maximum(np.round(np.exp(0.6 + 0.4 * severe + 0.4 * rng.normal(size=n)), 1), 3.0),
        "lobe": rng.choice(["RUL", "RLL", "LUL", "LLL"], n), "treatment_year": year,
        "treatment": np.where(size <= 10, "segmentectomy", "lobectomy"),
        "nodes_examined": np.round(rng.gamma(4, 3, n) / 5) * 5 + 1.0, "followup_days": (2024 - year) * 365.0,
        "arm": "surgery",
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_a_small_centre_with_one_default_in_many_cells_is_hardly_accused_but_a_row_that_is_there_twice_is(seed):
    """Sixty rows share seven values that nobody else has: rare in the table, and yet no sign of one person."""
    table = heaped(3000, seed=seed).assign(ct_to_treatment_days=7.0, suv_max=np.nan, kps=90.0)
    chosen = np.random.default_rng(seed).choice(len(table), 60, replace=False)
    defaults = {"centre": "Small", "ct_to_treatment_days": 99.0, "nodes_examined": 99.0, "cea_ng_ml": 9.99,
                "followup_days": 999.0, "suv_max": 9.99, "kps": 100.0, "pack_years": 99.0}  # fmt: skip
    for name, value in defaults.items():
        table.loc[chosen, name] = value
    assert len(find_duplicates(table)) <= 5  # by the bits alone it would be hundreds
    twins = table.iloc[chosen[:3]].assign(patient_id=["ZZ-1", "ZZ-2", "ZZ-3"])
    found = found_pairs(pd.concat([table, twins], ignore_index=True))
    assert {frozenset(p) for p in zip(table["patient_id"].iloc[chosen[:3]], twins["patient_id"], strict=True)} <= found


@pytest.mark.parametrize("n", [100, 1000, 3000])
def test_correlated_and_rounded_rows_of_strangers_accuse_nobody(n):
    for seed in range(3):
        assert find_duplicates(heaped(n, seed=seed)).empty
    assert find_duplicates(heaped(n, seed=0)[["patient_id", "age_years", "sex", "treatment_year"]]).empty


@pytest.mark.parametrize("other", ["p007 ", "P007", "P 7", "Ｐ-００７"])
def test_ids_that_differ_in_spelling_alone_are_one_where_the_rows_do_not_contradict(patients, other):
    rows = patients.copy()
    rows.loc[[0, 1], "patient_id"] = ["P-007", other]
    assert find_duplicates(rows).empty, "two strangers whose ids happen to be alike"
    short = pd.DataFrame({"patient_id": ["P-007", other, "P1", "P10"], "age_years": [60.0, 60.0, 60.0, 60.0]})
    found = find_duplicates(short)
    assert found["kind"].tolist() == ["alike ids"]
    assert {*found.loc[0, ["patient_a", "patient_b"]]} == {"P-007", other}


def test_spelling_keeps_numbers_and_groups_apart():
    assert (
        spelling("P1") != spelling("P10") and spelling("1-12") != spelling("11-2") and spelling("A1") != spelling("B1")
    )
    assert spelling("007") == spelling("7") and spelling("000") == spelling("0")


def test_a_pair_that_was_checked_is_left_in_peace(patients):
    table, true = planted(patients, seed=4, n=2)
    pair = tuple(next(iter(true)))
    assert found_pairs(table, distinct=[pair]) == true - {frozenset(pair)}
    with pytest.raises(DataError, match="1 pair of rows among 302 patients looks like one person"):
        refuse_duplicates(table, distinct=[pair])
    refuse_duplicates(table, distinct=[tuple(p) for p in true])


def test_every_pair_is_named_at_once_with_what_to_do(patients):
    table, true = planted(patients, seed=5, n=3, n_changed=1)
    with pytest.raises(DataError) as told:
        refuse_duplicates(table)
    assert "3 pairs of rows among 303 patients look like one person" in told.value.faults[0]
    assert "[split] distinct_patients = [[" in told.value.faults[0]
    assert {frozenset(d.patients) for d in told.value.details[1:]} == true
    assert all("they differ in" in said for said in told.value.faults[1:])


def test_a_checked_pair_that_names_nobody_is_a_fault(patients):
    name = patients["patient_id"].iloc[0]
    with pytest.raises(OnlmError, match=rf"names '{name}x', who is not a patient of this table. Did you mean"):
        refuse_duplicates(patients, distinct=[(name, name + "x")])
    with pytest.raises(OnlmError, match="is not a pair; wanted the ids of two patients"):
        refuse_duplicates(patients, distinct=[(name, name)])


def test_tables_with_nothing_to_compare_are_quiet():
    empty = pd.DataFrame({"patient_id": pd.Series(dtype=object)})
    assert find_duplicates(empty).empty and find_duplicates(pd.DataFrame({"patient_id": ["a"]})).empty
    blank = pd.DataFrame({"patient_id": [f"P{i}" for i in range(2000)], "age_years": np.nan, "sex": None})
    assert find_duplicates(blank).empty
    huge = pd.DataFrame({"patient_id": list("abc"), "cea_ng_ml": [1e300, np.inf, -1e300], "suv_max": [0.0, 0.0, 0.0]})
    assert find_duplicates(huge).empty


def test_the_real_tables_accuse_nobody(shared_data):
    from onlm_lab.cohort import nsclc_radiogenomics, tcga

    path = next(shared_data("nsclc_radiogenomics").glob("*.csv"))
    assert find_duplicates(nsclc_radiogenomics.read(path).cohort.patients).empty
    folder = shared_data("tcga")
    luad = tcga.read(next(folder.glob("*clinical_patient_luad.txt")), cdr=next(folder.glob("TCGA-CDR*.csv")))
    assert len(luad.cohort) > 400 and find_duplicates(luad.cohort.patients).empty
