"""Clinical T and stage by AJCC 8, at every boundary."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.staging import ctr, ctr_band, derive_stage, derive_t, stage_table, t_bounds
from onlm_lab.errors import OnlmError

NAN = float("nan")


def patient(kind="solid", total=NAN, solid=NAN, descriptor="none"):
    return {"nodule_type": kind, "total_diameter_mm": total, "solid_diameter_mm": solid, "t_descriptor": descriptor}


@pytest.mark.parametrize(
    ("mm", "t"),
    [(5.0, "T1a"), (5.1, "T1a"), (10.0, "T1a"), (10.1, "T1b"), (20.0, "T1b"), (20.1, "T1c"), (30.0, "T1c"),
     (30.1, "T2a"), (40.0, "T2a"), (40.1, "T2b"), (50.0, "T2b"), (50.1, "T3"), (70.0, "T3"), (70.1, "T4")],
)  # fmt: skip
def test_a_solid_tumour_is_staged_by_its_total_diameter_closed_on_the_right(mm, t):
    assert derive_t(patient(total=mm))[0] == t


@pytest.mark.parametrize(
    ("total", "solid", "t"),
    [(30.0, 5.0, "T1mi"), (30.0, 0.0, "T1mi"), (30.1, 5.0, "T1a"), (30.0, 5.1, "T1a"), (60.0, 5.1, "T1a"),
     (60.0, 10.1, "T1b"), (80.0, 40.0, "T2a"), (80.0, 40.1, "T2b"), (90.0, 70.0, "T3"), (90.0, 70.1, "T4")],
)  # fmt: skip
def test_a_part_solid_tumour_is_staged_by_its_solid_part(total, solid, t):
    assert derive_t(patient("part_solid", total, solid))[0] == t


@pytest.mark.parametrize(("total", "t"), [(30.0, "Tis"), (30.1, "T1a")])
def test_pure_ground_glass_is_in_situ_up_to_three_centimetres(total, t):
    assert derive_t(patient("pure_ggo", total))[0] == t


@pytest.mark.parametrize("descriptor", ["main_bronchus", "visceral_pleura", "atelectasis"])
@pytest.mark.parametrize(("mm", "t"), [(8.0, "T2a"), (40.0, "T2a"), (40.1, "T2b"), (50.0, "T2b"), (50.1, "T3")])
def test_a_t2_descriptor_raises_a_small_tumour_and_never_lowers_a_large_one(descriptor, mm, t):
    assert derive_t(patient(total=mm, descriptor=descriptor))[0] == t


@pytest.mark.parametrize(
    ("descriptor", "mm", "t"),
    [("satellite", 8, "T3"), ("chest_wall", 8, "T3"), ("other_t3", 70, "T3"), ("other_t3", 70.1, "T4"),
     ("other_t4", 8, "T4")],
)  # fmt: skip
def test_t3_and_t4_descriptors_hold_whatever_the_size(descriptor, mm, t):
    assert derive_t(patient(total=mm, descriptor=descriptor))[0] == t


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (patient("part_solid", 25), "part-solid without a solid diameter"),
        (patient(None, 25, 20), "nodule type unknown"),
        (patient("solid"), "total diameter unknown"),
        (patient("part_solid", NAN, 4), "total diameter unknown"),
        (patient("solid", 25, descriptor=None), "T descriptor unknown"),
    ],
)
def test_what_is_not_known_leaves_t_open_with_the_reason(values, why):
    t, said = derive_t(values)
    assert t is None and why in said


def test_a_t4_needs_nothing_else_to_be_known():
    assert derive_t(patient("solid", 71, descriptor=None))[0] == "T4"
    assert derive_t(patient(None, descriptor="other_t4"))[0] == "T4"


@pytest.mark.parametrize(
    ("t", "stage"),
    [("Tis", "0"), ("T1mi", "IA1"), ("T1a", "IA1"), ("T1b", "IA2"), ("T1c", "IA3"), ("T2a", "IB"), ("T2b", "IIA")],
)
def test_stage_one_is_t1mi_to_t2a_without_nodes_or_metastasis(t, stage):
    assert derive_stage(t, "N0", "M0") == stage


def test_unknown_n_or_m_leaves_the_stage_open_but_n1_or_m1_decide_alone():
    assert derive_stage("T1a", None, "M0") is None
    assert derive_stage("T1a", "N0", "MX") is None
    assert derive_stage(None, "N1", None) == "above IIA"
    assert derive_stage(None, "N0", "M1a") == "IVA"


def test_ctr_is_solid_over_total_one_if_solid_and_zero_if_pure_ground_glass():
    rows = pd.DataFrame(
        {"nodule_type": ["part_solid", "solid", "pure_ggo", None, "part_solid"],
         "solid_diameter_mm": [15.0, NAN, NAN, 5.0, NAN], "total_diameter_mm": [20.0, NAN, 10.0, 10.0, 20.0]}
    )  # fmt: skip
    np.testing.assert_array_equal(ctr(rows), [0.75, 1, 0, 0.5, NAN])


def test_a_ratio_falls_in_one_of_six_bands_the_limits_in_the_upper_one():
    ratio = pd.Series([0, 0.01, 0.24, 0.25, 0.49, 0.5, 0.74, 0.75, 0.99, 1, NAN], index=range(5, 16))
    found = ctr_band(ratio)
    assert found.tolist() == [
        "0", "above 0 to 25 %", "above 0 to 25 %", "25 to 50 %", "25 to 50 %", "50 to 75 %", "50 to 75 %",
        "75 to below 100 %", "75 to below 100 %", "100 %", None,
    ]  # fmt: skip
    assert found.index.tolist() == list(range(5, 16)) and ctr_band(ratio.iloc[:0]).empty
    assert ctr(pd.DataFrame({"patient_id": ["A"]})).isna().all()


def test_the_stage_table_keeps_the_rows_index():
    rows = pd.DataFrame([patient(total=25.0)], index=[7]).assign(clinical_n="N0", clinical_m="M0")
    table = stage_table(rows)
    assert table.loc[7].tolist() == [1.0, "T1c", "IA3"]


# AJCC 8 by hand: T by size for 0.1 below, exactly at, and 0.1 above each limit.
AROUND = {
    4.9: "T1a", 5.0: "T1a", 5.1: "T1a", 9.9: "T1a", 10.0: "T1a", 10.1: "T1b", 19.9: "T1b", 20.0: "T1b", 20.1: "T1c",
    29.9: "T1c", 30.0: "T1c", 30.1: "T2a", 39.9: "T2a", 40.0: "T2a", 40.1: "T2b", 49.9: "T2b", 50.0: "T2b", 50.1: "T3",
    69.9: "T3", 70.0: "T3", 70.1: "T4",
}  # fmt: skip
# What a descriptor makes of a T by size: the least T that it allows.
AT_LEAST = {
    "none": "Tis", "main_bronchus": "T2a", "visceral_pleura": "T2a", "atelectasis": "T2a", "satellite": "T3",
    "chest_wall": "T3", "other_t3": "T3", "other_t4": "T4",
}  # fmt: skip
RISING = ["Tis", "T1mi", "T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4"]


def at_least(t, descriptor):
    return RISING[max(RISING.index(t), RISING.index(AT_LEAST[descriptor]))]


@pytest.mark.parametrize("descriptor", AT_LEAST)
def test_a_solid_tumour_at_every_limit_with_every_descriptor(descriptor):
    rows = pd.DataFrame([patient(total=mm, descriptor=descriptor) for mm in AROUND])
    expected = [at_least(t, descriptor) for t in AROUND.values()]
    found = t_bounds(rows)
    assert found["low"].tolist() == found["high"].tolist() == expected


@pytest.mark.parametrize(
    ("limit", "above"), [(10, "T1b"), (20, "T1c"), (30, "T2a"), (40, "T2b"), (50, "T3"), (70, "T4")]
)
def test_a_hair_above_a_limit_is_the_next_class(limit, above):
    assert derive_t(patient(total=limit + 0.001))[0] == derive_t(patient("part_solid", 99.0, limit + 0.001))[0] == above


@pytest.mark.parametrize("descriptor", AT_LEAST)
@pytest.mark.parametrize("total", [30.0, 30.1, 80.0])
def test_a_part_solid_tumour_at_every_limit_of_its_solid_part_with_every_descriptor(total, descriptor):
    sizes = [mm for mm in AROUND if mm <= total]
    by_hand = [("T1mi" if total <= 30 else "T1a") if mm <= 5 else AROUND[mm] for mm in sizes]
    found = t_bounds(pd.DataFrame([patient("part_solid", total, mm, descriptor) for mm in sizes]))
    assert found["low"].tolist() == found["high"].tolist() == [at_least(t, descriptor) for t in by_hand]


@pytest.mark.parametrize("descriptor", AT_LEAST)
def test_pure_ground_glass_at_every_limit_with_every_descriptor(descriptor):
    found = t_bounds(pd.DataFrame([patient("pure_ggo", mm, descriptor=descriptor) for mm in AROUND]))
    by_hand = ["Tis" if mm <= 30 else "T1a" for mm in AROUND]
    assert found["low"].tolist() == found["high"].tolist() == [at_least(t, descriptor) for t in by_hand]


@pytest.mark.parametrize("total", [40.1, 55.0, 120.0])
@pytest.mark.parametrize(("solid", "stage"), [(5.0, "IA1"), (20.0, "IA2"), (30.0, "IA3"), (40.0, "IB"), (40.1, "IIA")])
def test_a_large_part_solid_tumour_stays_stage_one_while_its_solid_part_does(total, solid, stage):
    rows = pd.DataFrame([patient("part_solid", total, solid) | {"clinical_n": "N0", "clinical_m": "M0"}])
    assert stage_table(rows)["derived_stage"].tolist() == [stage]


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (patient(None), "Tis", "T4"),
        (patient(None, 25.0), "Tis", "T4"),  # it may be part-solid, and then the solid part would have to be known
        (patient(None, 25.0, 15.0), "T1b", "T1c"),
        (patient(None, 25.0, 3.0), "T1mi", "T1c"),
        (patient(None, 45.0, 3.0), "T1a", "T2b"),
        (patient(None, NAN, 15.0), "T1b", "T4"),
        (patient(None, NAN, 3.0), "T1mi", "T4"),
        (patient(None, 8.0, 8.0), "T1a", "T1a"),  # solid or part-solid: one class
        (patient("part_solid", 25.0), "Tis", "T4"),
        (patient("part_solid", NAN, 15.0), "T1b", "T1b"),
        (patient("part_solid", NAN, 5.0), "T1mi", "T1a"),
        (patient("solid", NAN, 15.0), "T1b", "T4"),
        (patient("solid", NAN, 70.1), "T4", "T4"),
        (patient("pure_ggo"), "Tis", "T1a"),
        (patient("pure_ggo", descriptor=None), "Tis", "T4"),
        (patient("solid", 25.0, descriptor=None), "T1c", "T4"),
        (patient(None, descriptor="other_t4"), "T4", "T4"),
        (patient("part_solid", 25.0, descriptor="chest_wall"), "T3", "T4"),
        (patient("solid", 1e9), "T4", "T4"),
    ],
)
def test_what_is_not_known_widens_t_as_far_as_it_matters_and_no_further(values, low, high):
    found = t_bounds(pd.DataFrame([values])).iloc[0]
    assert (found["low"], found["high"]) == (low, high)
    assert derive_t(values)[0] == (low if low == high else None)


def test_columns_that_the_table_does_not_have_are_not_known():
    found = t_bounds(pd.DataFrame({"patient_id": ["A", "B"]}, index=[3, 3]))
    assert found.values.tolist() == [["Tis", "T4", "nodule type unknown; T descriptor unknown"]] * 2
    assert found.index.tolist() == [3, 3]
    assert t_bounds(pd.DataFrame({"nodule_type": []}, dtype=object)).empty


@pytest.mark.parametrize(("name", "word"), [("nodule_type", "ground glass"), ("t_descriptor", "diaphragm")])
def test_a_word_that_the_dictionary_does_not_know_is_refused_instead_of_staged(name, word):
    rows = pd.DataFrame([patient(total=25.0), patient(total=25.0) | {name: word}])
    with pytest.raises(OnlmError, match=f"{name} is '{word}' in 1 of 2 rows; wanted one of"):
        t_bounds(rows)


# The stage groups of AJCC 8 as the NCCN reprints them (guideline for patients, non-small cell lung cancer, 2018).
GROUPS = """
    Tis N0 M0 0 | T1mi N0 M0 IA1 | T1a N0 M0 IA1 | T1b N0 M0 IA2 | T1c N0 M0 IA3 | T2a N0 M0 IB | T2b N0 M0 IIA
    T1a N1 M0 IIB | T1b N1 M0 IIB | T1c N1 M0 IIB | T2a N1 M0 IIB | T2b N1 M0 IIB | T3 N0 M0 IIB
    T1a N2 M0 IIIA | T1b N2 M0 IIIA | T1c N2 M0 IIIA | T2a N2 M0 IIIA | T2b N2 M0 IIIA | T3 N1 M0 IIIA | T4 N0 M0 IIIA
    T4 N1 M0 IIIA
    T1a N3 M0 IIIB | T1b N3 M0 IIIB | T1c N3 M0 IIIB | T2a N3 M0 IIIB | T2b N3 M0 IIIB | T3 N2 M0 IIIB | T4 N2 M0 IIIB
    T3 N3 M0 IIIC | T4 N3 M0 IIIC
"""
GROUPS = [tuple(row.split()) for line in GROUPS.strip().splitlines() for row in line.split("|")]


@pytest.mark.parametrize(("t", "n", "m", "group"), GROUPS)
def test_each_t_and_n_without_metastasis_has_the_group_of_the_table(t, n, m, group):
    assert derive_stage(t, n, m) == group


@pytest.mark.parametrize("t", [*RISING, "T1", "T2", "TX", "T0", None])
@pytest.mark.parametrize("n", ["N0", "N1", "N2", "N3", "NX", None])
@pytest.mark.parametrize(("m", "group"), [("M1a", "IVA"), ("M1b", "IVA"), ("M1c", "IVB"), ("M1", "above IIA")])
def test_metastasis_makes_it_stage_four_whatever_t_and_n(t, n, m, group):
    assert derive_stage(t, n, m) == group


@pytest.mark.parametrize(
    ("t", "n", "m", "stage"),
    [
        ("T1", "N0", "M0", None), ("T2", "N0", "M0", None), ("T1", "N2", "M0", "above IIA"), ("T2", "N2", "M0", "IIIA"),
        ("T2", "N1", "M0", "IIB"), (None, "N0", "M0", None), (None, "N2", "M0", "above IIA"), ("TX", "N0", "M0", None),
        ("T4", "N0", None, "above IIA"), ("T4", "N0", "M0", "IIIA"), ("T4", None, "M0", "above IIA"),
        ("T2b", "N0", "MX", None), ("T3", "N0", None, "above IIA"), ("T1a", "NX", "M0", None),
        ("Tis", "N1", "M0", "above IIA"), ("T1mi", "N1", "M0", "above IIA"), (None, None, None, None),
    ],
)  # fmt: skip
def test_a_stage_is_given_as_far_as_what_is_known_decides_it(t, n, m, stage):
    assert derive_stage(t, n, m) == stage


def test_a_t_of_two_classes_with_one_group_has_that_stage():
    rows = pd.DataFrame(
        [patient("part_solid", NAN, 4.0) | {"clinical_n": "N0", "clinical_m": "M0"},
         patient("solid", NAN, 60.0) | {"clinical_n": "N0", "clinical_m": "M0"},
         patient(None) | {"clinical_n": "N1", "clinical_m": None}]
    )  # fmt: skip
    table = stage_table(rows)
    assert table["derived_t"].isna().all()
    assert table["derived_stage"].tolist() == ["IA1", "above IIA", "above IIA"]


def test_every_derived_word_is_in_the_dictionary():
    from onlm_lab import schema

    ts = [*RISING, None]
    stages = {
        derive_stage(t, n, m) for t in ts for n in (*schema.N_STAGES, None) for m in ("M0", "M1", "M1a", "M1c", None)
    }
    assert stages - {None} == set(schema.STAGES)
    assert set(RISING) <= set(schema.T_STAGES)


def test_the_types_of_the_columns_do_not_change_the_stage():
    rows = pd.DataFrame(
        [patient("part_solid", 40.0, 20.0), patient("solid", 41.0), patient(None, NAN, NAN, None), patient(total=0.0)]
    ).assign(clinical_n="N0", clinical_m=["M0", "M0", None, "M0"])
    other = rows.convert_dtypes().astype({"nodule_type": "category"})
    assert other["total_diameter_mm"].dtype == "Int64"
    pd.testing.assert_frame_equal(stage_table(other), stage_table(rows))


def test_an_empty_table_and_a_table_without_n_and_m_are_staged_as_far_as_they_go():
    rows = pd.DataFrame([patient(total=25.0)])
    assert stage_table(rows)["derived_stage"].tolist() == [None]
    assert stage_table(rows.iloc[:0]).empty and list(stage_table(rows.iloc[:0])) == [
        "ctr",
        "derived_t",
        "derived_stage",
    ]
