"""Clinical T and stage by AJCC 8, at every boundary."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort.staging import bounds_t, ctr, derive_stage, derive_t, stage_table, t_bounds

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


def test_the_stage_table_keeps_the_rows_index():
    rows = pd.DataFrame([patient(total=25.0)], index=[7]).assign(clinical_n="N0", clinical_m="M0")
    table = stage_table(rows)
    assert table.loc[7].tolist() == [1.0, "T1c", "IA3"]


def test_the_vectorised_bounds_equal_the_bounds_of_one_patient():
    sizes = (NAN, 5.0, 5.1, 30.0, 30.1, 40.0, 40.1, 71.0)
    rows = [
        patient(kind, total, solid, descriptor)
        for kind in (None, "solid", "part_solid", "pure_ggo")
        for total in sizes
        for solid in sizes
        for descriptor in (None, "none", "visceral_pleura", "chest_wall", "other_t4")
    ]
    found = t_bounds(pd.DataFrame(rows))
    assert list(found.itertuples(index=False, name=None)) == [bounds_t(row) for row in rows]
