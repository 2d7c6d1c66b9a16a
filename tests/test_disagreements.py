"""What a person should look at again: found, marked where it matters, never overruled."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from onlm_lab.cohort import central_location
from onlm_lab.cohort.disagreements import RECORDED_STAGES, disagreements
from onlm_lab.cohort.performance_status import ECOG_OF_KPS, KPS_OF_ECOG, ecog_of_kps, kps_of_ecog
from onlm_lab.errors import StudyError
from onlm_lab.virtual import draw_trial

NAN = float("nan")
QUIET = {
    "patient_id": "A", "nodule_type": "solid", "total_diameter_mm": 25.0, "solid_diameter_mm": 25.0,
    "t_descriptor": "none", "clinical_t": "T1c", "clinical_n": "N0", "clinical_m": "M0", "kps": 90.0, "ecog": 1.0,
    "central_location": 0.0, "pet_ct_done": 0.0, "invasive_staging_done": 0.0,
}  # fmt: skip


def found(**change):
    options = {k: change.pop(k) for k in ("trigger_mm", "min_kps", "definition") if k in change}
    table = disagreements(pd.DataFrame([QUIET | change]), **options)
    assert set(table["patient_id"]) <= {"A"}
    return [tuple(row) for row in table.drop(columns="patient_id").itertuples(index=False)]


def part(total, solid, **more):
    return {"nodule_type": "part_solid", "total_diameter_mm": total, "solid_diameter_mm": solid, **more}


def test_where_everything_agrees_nothing_is_listed():
    assert found() == []
    assert found(clinical_stage="IA3") == []


@pytest.mark.parametrize(
    ("change", "derived", "matters"),
    [
        ({"clinical_t": "T1b"}, "T1c", False),
        ({"clinical_t": "T2b"}, "T1c", True),
        ({"clinical_t": "T2"}, "T1c", True),  # T2b is a T2
        ({"clinical_t": "T2b", "clinical_n": "N1"}, "T1c", False),  # above stage I whatever T is
        ({"clinical_t": "T2b", "clinical_m": "M1a"}, "T1c", False),
        ({"clinical_t": "Tis"}, "T1c", True),
        ({"clinical_t": "T0"}, "T1c", True),
        ({"clinical_t": "T2a", **part(45.0, 30.0)}, "T1c", False),
        ({"clinical_t": "T2b", **part(45.0, 40.0)}, "T2a", True),
        ({"clinical_t": "T1c", "total_diameter_mm": 55.0, "solid_diameter_mm": 55.0, "t_descriptor": None},
         "T3 to T4", True),
        ({"clinical_t": "T1b", **part(NAN, 4.0)}, "T1mi to T1a", False),
    ],
)  # fmt: skip
def test_recorded_t_is_held_against_every_t_that_the_diameters_allow(change, derived, matters):
    rows = [row for row in found(**change) if row[0] == "clinical T"]
    assert rows == [("clinical T", change["clinical_t"], derived, matters)]


@pytest.mark.parametrize(
    "change",
    [
        {"clinical_t": "TX"}, {"clinical_t": None}, {"clinical_t": "T1"},
        {"clinical_t": "T2", "total_diameter_mm": 50.0, "solid_diameter_mm": 50.0},
        {"clinical_t": "T4", "nodule_type": None, "total_diameter_mm": NAN, "solid_diameter_mm": NAN},
        {"clinical_t": "T1a", **part(25.0, NAN)},
        {"clinical_t": "T0", "nodule_type": None, "total_diameter_mm": NAN, "solid_diameter_mm": NAN},
    ],
)  # fmt: skip
def test_a_recorded_t_that_may_be_right_is_not_listed(change):
    assert [row for row in found(**change) if row[0] == "clinical T"] == []


@pytest.mark.parametrize(
    ("recorded", "change", "derived", "matters"),
    [
        ("IB", {}, "IA3", False),
        ("IA2", {}, "IA3", False),
        ("II", {}, "IA3", True),
        ("IIB", {}, "IA3", True),
        ("above IIA", {}, "IA3", True),
        ("0", {}, "IA3", True),
        ("IB", {"clinical_n": "N1"}, "IIB", True),
        ("IIIA", {"clinical_n": "N1"}, "IIB", False),
        ("I", {"clinical_m": "M1b"}, "IVA", True),
        ("IA", {"clinical_m": "M1"}, "IVA or IVB", True),
        ("IB", {"clinical_t": None, **part(NAN, 4.0)}, "IA1", False),
    ],
)  # fmt: skip
def test_a_recorded_stage_is_held_against_every_group_that_tnm_allows(recorded, change, derived, matters):
    rows = [row for row in found(clinical_stage=recorded, **change) if row[0] == "clinical stage"]
    assert rows == [("clinical stage", recorded, derived, matters)]


@pytest.mark.parametrize(
    ("recorded", "change"),
    [("I", {}), ("IA", {}), ("IA3", {}), ("IIA", {"clinical_m": None, "total_diameter_mm": 45.0, "clinical_t": "T2b"}),
     (None, {}), ("IV", {"clinical_m": "M1"}), ("IA3", {"clinical_n": None}), ("above IIA", {"clinical_n": "N1"})],
)  # fmt: skip
def test_a_recorded_stage_that_may_be_right_is_not_listed(recorded, change):
    assert [row for row in found(clinical_stage=recorded, **change) if row[0] == "clinical stage"] == []


@pytest.mark.parametrize("recorded", ["Stage IB", "1B", "ib", "early"])
def test_a_word_that_is_no_stage_group_is_listed_without_being_guessed_or_shown(recorded):
    assert found(clinical_stage=recorded) == [
        ("clinical stage not understood", "none of the stage groups", "IA3", True)
    ]


def test_every_group_of_the_dictionary_may_be_recorded():
    from onlm_lab.schema import STAGES

    assert set(STAGES) <= set(RECORDED_STAGES)


def test_n0_against_positive_invasive_staging_is_listed():
    (row,) = found(invasive_staging_positive=1.0, invasive_staging_done=1.0)
    assert row == (
        "clinical N0 although invasive staging was positive",
        "N0",
        "nodes positive at invasive staging",
        True,
    )


@pytest.mark.parametrize(
    ("change", "derived", "matters"),
    [
        ({"solid_diameter_mm": 15.0, "clinical_t": None}, "solid 15 of 25 mm (CTR 0.60)", False),
        ({"total_diameter_mm": 45.0, "solid_diameter_mm": 36.0, "clinical_t": None}, "solid 36 of 45 mm (CTR 0.80)",
         True),
        (part(25.0, 25.0), "solid 25 of 25 mm (CTR 1.00)", False),
        (part(25.0, 0.0, clinical_t=None), "solid 0 of 25 mm (CTR 0.00)", True),
        (part(35.0, 0.0, clinical_t=None), "solid 0 of 35 mm (CTR 0.00)", True),
    ],
)  # fmt: skip
def test_a_nodule_type_out_of_step_with_its_diameters_is_listed(change, derived, matters):
    kind = change.get("nodule_type", "solid")
    assert found(**change)[0] == ("nodule type against diameters", kind, derived, matters)


@pytest.mark.parametrize(
    ("kps", "ecog", "derived", "matters"),
    [
        (90.0, 0.0, "KPS 90 is ECOG 1", False),
        (70.0, 1.0, "KPS 70 is ECOG 2", False),
        (60.0, 1.0, "KPS 60 is ECOG 3 or 2", True),
        (60.0, 4.0, "KPS 60 is ECOG 3 or 2", False),
        (50.0, 2.0, "KPS 50 is ECOG 3", False),  # an ECOG of 2 alone would leave it open
        (80.0, 3.0, "KPS 80 is ECOG 1", True),
        (70.0, 5.0, "KPS 70 is ECOG 2", True),
        (75.0, 0.0, "KPS 75 is ECOG 1 or 2", False),
        (0.0, 4.0, "KPS 0 is ECOG 5", False),
    ],
)
def test_ecog_out_of_step_with_kps_is_listed(kps, ecog, derived, matters):
    assert found(kps=kps, ecog=ecog) == [("ECOG against KPS", f"ECOG {ecog:.0f}", derived, matters)]


@pytest.mark.parametrize(
    ("kps", "ecog"),
    [(60.0, 2.0), (60.0, 3.0), (75.0, 1.0), (75.0, 2.0), (100.0, 0.0), (0.0, 5.0), (NAN, 3.0), (90.0, NAN)],
)
def test_both_mappings_of_kps_60_agree_and_a_kps_between_two_tens_may_be_either(kps, ecog):
    assert found(kps=kps, ecog=ecog) == []


def test_each_kps_and_its_ecog_grade_are_those_of_the_paper():
    paper = {100: 0, 90: 1, 80: 1, 70: 2, 60: 3, 50: 3, 40: 4, 30: 4, 20: 4, 10: 4}  # Prasad 2018, abstract
    assert {kps: ecog_of_kps(kps)[0] for kps in paper} == paper
    assert ecog_of_kps(60) == (3, 2) and ecog_of_kps(75) == (1, 2) and ecog_of_kps(99) == (0, 1)
    assert [kps_of_ecog(e) for e in range(6)] == [(100, 100), (80, 90), (60, 70), (50, 60), (10, 40), (0, 0)]
    assert all(kps in range(KPS_OF_ECOG[e][0], KPS_OF_ECOG[e][1] + 1) for kps, es in ECOG_OF_KPS.items() for e in es)


@pytest.mark.parametrize("value", [-10, 101, NAN])
def test_a_kps_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match="wanted 0 to 100"):
        ecog_of_kps(value)


@pytest.mark.parametrize("value", [-1, 6, 1.5, NAN])
def test_an_ecog_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match="whole number from 0 to 5"):
        kps_of_ecog(value)


@pytest.mark.parametrize(
    ("change", "matters"),
    [({}, True), ({"pet_ct_done": 1.0}, False), ({"invasive_staging_done": 1.0}, False),
     ({"central_location": 1.0}, False), ({"pet_ct_done": NAN}, True)],
)  # fmt: skip
def test_exactly_the_trigger_matters_where_nobody_looked_at_the_mediastinum(change, matters):
    size = {"total_diameter_mm": 30.0, "solid_diameter_mm": 30.0}
    assert found(**size, **change) == [
        ("diameter exactly at the trigger", "30 mm", "trial: at least; ESTS: more than", matters)
    ]
    assert found(**size, trigger_mm=20.0, **change) == []


@pytest.mark.parametrize("total", [29.9, 30.1])
def test_a_tenth_beside_the_trigger_is_not_exactly_the_trigger(total):
    t = "T1c" if total < 30 else "T2a"
    assert found(total_diameter_mm=total, solid_diameter_mm=total, clinical_t=t) == []


def test_a_total_that_reaches_the_trigger_while_the_solid_part_does_not_is_listed():
    what = "total reaches the trigger, solid part does not"
    assert found(**part(30.1, 29.9)) == [(what, "30.1 mm", "solid 29.9 mm", True)]
    assert (what, "30 mm", "solid 20 mm", True) in found(**part(30.0, 20.0, clinical_t="T1b"))
    assert found(**part(29.9, 29.8)) == found(**part(31.0, 30.0)) == found(**part(31.0, NAN)) == []


def test_two_definitions_of_central_that_disagree_are_listed():
    mine = "central_inner_third_concentric_centre"
    (row,) = found(**{mine: 1.0})
    assert row == ("central location by another definition", f"{mine} 1", "central_location 0", True)
    (row,) = found(central_hilar_contact=1.0, pet_ct_done=1.0)
    assert row == ("central location by another definition", "central_location 0", "central_hilar_contact 1", False)
    large = {"total_diameter_mm": 35.0, "solid_diameter_mm": 35.0, "clinical_t": "T2a"}
    assert [row[3] for row in found(central_hilar_contact=1.0, **large)] == [False]  # needs the work-up anyway
    assert found(central_hilar_contact=NAN) == found(central_hilar_contact=0.0) == []
    assert found(central_hilar_contact=1.0, definition="hilar_contact")[0][1:3] == (
        "central_hilar_contact 1", "central_location 0",
    )  # fmt: skip


def test_central_location_is_read_from_the_column_of_the_chosen_definition():
    rows = pd.DataFrame(
        {"central_location": [0.0, 1.0, NAN], "central_hilar_contact": [1.0, NAN, 0.0]}, index=[5, 6, 7]
    )
    values, said = central_location(rows, definition="hilar_contact")
    np.testing.assert_array_equal(values, [1.0, NAN, 0.0])
    assert values.index.tolist() == [5, 6, 7]
    assert said == (
        "central location: in contact with hilar structures (column central_hilar_contact; not known in 1 of 3)"
    )
    values, said = central_location(rows)
    np.testing.assert_array_equal(values, [0.0, 1.0, NAN])
    assert "inner concentric third of the hemithorax, tumour centre (column central_location" in said
    assert "other: by eye" in central_location(rows, definition="other: by eye")[1]
    assert central_location(pd.DataFrame({"x": [1]}))[0].isna().all()
    with pytest.raises(StudyError, match="hilar_contact"):
        central_location(rows, definition="hilar_contakt")


def test_rows_come_patient_by_patient_and_nothing_is_changed():
    rows = pd.DataFrame(
        [
            QUIET | {"patient_id": "B", "kps": 100.0, "clinical_t": "T1b"},
            QUIET,
            QUIET | {"patient_id": "a", "ecog": 0.0},
        ],
        index=[9, 9, 9],
    )
    before = rows.copy()
    table = disagreements(rows)
    assert list(zip(table["patient_id"], table["what"], strict=True)) == [
        ("B", "clinical T"), ("B", "ECOG against KPS"), ("a", "ECOG against KPS"),
    ]  # fmt: skip
    pd.testing.assert_frame_equal(rows, before)


def test_an_empty_or_bare_table_has_no_disagreement():
    for rows in (pd.DataFrame([QUIET]).iloc[:0], pd.DataFrame({"patient_id": ["A", "B"]})):
        table = disagreements(rows)
        assert table.empty and list(table) == ["patient_id", "what", "recorded", "derived", "matters"]
        assert table["matters"].dtype == bool


def test_every_planted_disagreement_of_the_made_up_trial_is_found_and_none_invented():
    trial = draw_trial(n_patients=4000, n_centres=5, seed=11)
    table = disagreements(trial.clinical)
    of_t = table[table["what"] == "clinical T"]
    planted = trial.truth.loc[trial.truth["stage_disagrees"] == 1, "patient_id"]
    recorded = trial.clinical.set_index("patient_id")["clinical_t"]
    assert len(planted) > 50 and recorded[planted].notna().all()
    assert of_t["patient_id"].tolist() == planted.tolist()
    assert not {"nodule type against diameters", "clinical stage"} & set(table["what"])


def test_the_made_up_ecog_that_was_written_one_step_too_high_is_found():
    clinical = draw_trial(n_patients=4000, n_centres=5, seed=11).clinical
    table = disagreements(clinical)
    found = table.loc[table["what"] == "ECOG against KPS", "patient_id"]
    both = clinical[clinical["kps"].notna() & clinical["ecog"].notna()]
    by_paper = np.select([both["kps"] == 100, both["kps"] >= 80, both["kps"] == 70, both["kps"] >= 50], [0, 1, 2, 3], 4)
    off = both.loc[(both["ecog"] != by_paper) & ~((both["kps"] == 60) & (both["ecog"] == 2)), "patient_id"]
    assert len(off) > 20 and found.tolist() == off.tolist()
