"""CT and spreadsheet are compared, listed where they disagree, and never overruled."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab.measured import image_disagreements
from onlm_lab.study import Imaging, Protocol, Study

NAN = float("nan")
CENTRAL = "ct_central_inner_third_concentric_centre"


def patient(**more):
    said = {
        "patient_id": "A", "total_diameter_mm": 22.0, "solid_diameter_mm": 15.0, "nodule_type": "part_solid",
        "lobe": "RUL", "central_location": 0.0, "ct_to_treatment_days": 20.0,
    }  # fmt: skip
    return said | more


def scan(**more):
    said = {
        "patient_id": "A", "usable": 1, "ct_longest_axial_mm": 23.0, "ct_solid_axial_mm": 16.0,
        "ct_solid_axial_low_mm": 14.0, "ct_solid_axial_high_mm": 17.0, "ct_ctr_high": 0.74, "ct_solid_cut_hu": -300.0,
        "ct_side": "right", CENTRAL: 0.0, f"{CENTRAL}_from_mediastinum": 0.0, "days_before_treatment": 20.0,
    }  # fmt: skip
    return said | more


def found(patients, scans, tmp_path, **imaging):
    study = Study(tmp_path, imaging=Imaging(**imaging))
    table = image_disagreements(study, patients=pd.DataFrame(patients), prepared=pd.DataFrame(scans))
    return [tuple(row) for row in table.itertuples(index=False)]


def test_what_agrees_is_not_listed(tmp_path):
    assert found([patient()], [scan()], tmp_path) == []
    assert found([patient(total_diameter_mm=NAN, lobe=None)], [scan(ct_side="left")], tmp_path) == []


def test_a_diameter_beyond_the_tolerance_is_listed_and_matters_across_the_limit_of_the_protocol(tmp_path):
    (row,) = found([patient(total_diameter_mm=26.0)], [scan(ct_longest_axial_mm=31.2)], tmp_path)
    assert row == ("A", "total diameter", "26 mm", "31.2 mm", True)
    (row,) = found([patient(total_diameter_mm=19.0)], [scan(ct_longest_axial_mm=23.0)], tmp_path)
    assert row[-1] is False
    assert (
        found([patient(total_diameter_mm=20.0)], [scan(ct_longest_axial_mm=23.0)], tmp_path) == []
    )  # 3.0 mm is within
    assert len(found([patient()], [scan(ct_longest_axial_mm=23.0)], tmp_path, diameter_tolerance_mm=0.5)) == 2


def test_a_solid_diameter_is_told_with_its_cut_and_what_other_cuts_give(tmp_path):
    (row,) = found([patient(solid_diameter_mm=8.0)], [scan()], tmp_path)
    assert row[1:4] == ("solid diameter", "8 mm", "16.0 mm at -300 HU (14.0 to 17.0 at other cuts)")


@pytest.mark.parametrize(
    ("kind", "recorded", "derived", "matters"),
    [
        ("solid", 36.0, 46.0, True),  # its T is that of the whole
        (None, 36.0, 46.0, True),  # not known: it may be
        ("part_solid", 36.0, 46.0, False),  # its T is that of the solid part
        ("solid", 36.0, 40.0, False),  # 40 mm is stage I still
        ("solid", 46.0, 40.0, True),
        ("part_solid", 26.0, 30.0, True),  # 30 mm asks for PET/CT
        ("part_solid", 34.0, 30.0, False),
    ],
)
def test_a_total_diameter_matters_at_30_mm_and_of_a_solid_nodule_beyond_40(tmp_path, kind, recorded, derived, matters):
    said = patient(total_diameter_mm=recorded, nodule_type=kind)
    (row,) = found([said], [scan(ct_longest_axial_mm=derived)], tmp_path)
    assert row == ("A", "total diameter", f"{recorded:g} mm", f"{derived:.1f} mm", matters)


@pytest.mark.parametrize(("derived", "matters"), [(40.0, False), (40.1, True)])
def test_a_solid_diameter_matters_beyond_40_mm(tmp_path, derived, matters):
    (row,) = found([patient(solid_diameter_mm=35.0)], [scan(ct_solid_axial_mm=derived)], tmp_path)
    assert row[1] == "solid diameter" and row[-1] is matters


def test_pure_ground_glass_is_told_whatever_was_recorded(tmp_path):
    none = {"ct_solid_axial_low_mm": 0.0, "ct_solid_axial_mm": 15.0, "ct_solid_axial_high_mm": 1.4, "ct_ctr_high": 0.06}
    (row,) = found([patient()], [scan(**none)], tmp_path)
    assert row[1:] == ("nodule type", "part_solid", "solid part of at most 1.4 mm", True)
    (row,) = found([patient(nodule_type="solid")], [scan(**none)], tmp_path)
    assert row[1:] == ("nodule type", "solid", "consolidation-to-tumour ratio of at most 0.06", True)
    assert found([patient(nodule_type="pure_ggo")], [scan(**none)], tmp_path) == []


def test_the_other_side_of_the_chest_matters(tmp_path):
    (row,) = found([patient()], [scan(ct_side="left")], tmp_path)
    assert row == ("A", "side of the tumour", "RUL", "left lung", True)


def test_a_type_is_contradicted_only_by_every_cut(tmp_path):
    assert (
        found([patient(nodule_type="pure_ggo", solid_diameter_mm=NAN)], [scan(ct_solid_axial_low_mm=4.0)], tmp_path)
        == []
    )
    (row,) = found([patient(nodule_type="pure_ggo", solid_diameter_mm=NAN)], [scan()], tmp_path)
    assert row[1:] == ("nodule type", "pure_ggo", "solid part of at least 14.0 mm", True)
    (row,) = found([patient(nodule_type="solid", solid_diameter_mm=NAN)], [scan(ct_ctr_high=0.4)], tmp_path)
    assert row[2:4] == ("solid", "consolidation-to-tumour ratio of at most 0.40")


@pytest.mark.parametrize(("midline", "mediastinum", "listed"), [(0, 0, 1), (0, 1, 0), (1, 1, 0), (NAN, NAN, 0)])
def test_central_is_contradicted_only_however_the_lines_are_drawn(tmp_path, midline, mediastinum, listed):
    scans = [scan(**{CENTRAL: midline, f"{CENTRAL}_from_mediastinum": mediastinum})]
    rows = found([patient(central_location=1.0)], scans, tmp_path)
    assert len(rows) == listed
    if listed:
        assert rows[0][1:4] == (
            "central location", "central", "not central (inner concentric third of the hemithorax, tumour centre)"
        )  # fmt: skip


def test_a_definition_in_own_words_is_not_compared(tmp_path):
    study = Study(tmp_path, protocol=Protocol(central_definition="other: by eye"))
    rows = image_disagreements(
        study, patients=pd.DataFrame([patient(central_location=1.0)]), prepared=pd.DataFrame([scan()])
    )  # fmt: skip
    assert rows.empty


def test_days_that_differ_are_listed(tmp_path):
    (row,) = found([patient()], [scan(days_before_treatment=45.0)], tmp_path)
    assert row == ("A", "days from CT to treatment", "20", "45 by the chosen CT", False)


def test_an_unusable_ct_says_nothing_and_order_follows_the_patients(tmp_path):
    patients = [patient(patient_id=p, lobe="LUL") for p in "ABC"]
    scans = [scan(patient_id="C"), scan(patient_id="A"), scan(patient_id="B", usable=0)]
    assert [row[0] for row in found(patients, scans, tmp_path)] == ["C", "A"]
