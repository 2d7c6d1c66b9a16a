"""Each rule of NCT06684418 passes, fails, or cannot be told; the flow adds up."""

from __future__ import annotations

import pandas as pd
import pytest

from onlm_lab.cohort import build_cohort, load_cohort, screen, what_if
from onlm_lab.cohort.rules import require_rules
from onlm_lab.schema import Column
from onlm_lab.study import RULES as NAMES
from onlm_lab.study import OwnRule, Protocol, load_study

IN = {
    "patient_id": "A", "centre": "X", "nsclc_confirmed": 1.0, "nodule_type": "solid", "total_diameter_mm": 22.0,
    "solid_diameter_mm": 22.0, "t_descriptor": "none", "clinical_n": "N0", "clinical_m": "M0", "age_years": 61.0,
    "kps": 90.0, "ecog": 1.0, "treatment": "lobectomy", "radical_intent": 1.0, "neoadjuvant": 0.0,
    "central_location": 0.0, "pet_ct_done": 1.0, "invasive_staging_done": 0.0, "invasive_staging_positive": 0.0,
    "followup_agreed": 1.0, "consent": "yes", "ct_quality": "adequate", "neuropsychiatric_exclusion": 0.0,
    "lost_to_followup": 0.0, "pathological_n": "N0", "nodes_examined": 9.0,
}  # fmt: skip
NAN = float("nan")


def screened(*changes, protocol=None):
    rows = [IN | {"patient_id": f"P{i}"} | c for i, c in enumerate(changes)]
    return screen(build_cohort(pd.DataFrame(rows), source="test"), protocol)


def outcome(rule, **change):
    found = screened(change).decisions
    return found.loc[found["rule"] == rule, "outcome"].item()


def test_the_rules_are_the_protocols_twelve_in_their_order():
    rules = require_rules(Protocol())
    assert tuple(rule.name for rule in rules) == NAMES
    assert all(rule.source == "NCT06684418" and rule.inputs and rule.version == "1" for rule in rules)


def test_a_patient_who_fits_passes_every_rule():
    found = screened({})
    assert found.decisions["outcome"].tolist() == ["pass"] * 12
    assert found.status.loc[0].tolist() == ["P0", "eligible", None]


@pytest.mark.parametrize(
    ("rule", "change", "wanted"),
    [
        ("nsclc_confirmed", {"nsclc_confirmed": 0.0}, "fail"),
        ("nsclc_confirmed", {"nsclc_confirmed": NAN}, "undetermined"),
        ("clinical_stage_i", {"total_diameter_mm": 40.0}, "pass"),
        ("clinical_stage_i", {"total_diameter_mm": 40.1}, "fail"),
        ("clinical_stage_i", {"total_diameter_mm": NAN}, "undetermined"),
        ("clinical_stage_i", {"nodule_type": "part_solid", "total_diameter_mm": 45.0}, "pass"),
        ("clinical_stage_i", {"nodule_type": "part_solid", "solid_diameter_mm": NAN}, "undetermined"),
        ("clinical_stage_i", {"nodule_type": None}, "pass"),  # T1b or T1c: stage I whichever it is
        ("clinical_stage_i", {"nodule_type": None, "total_diameter_mm": 45.0}, "undetermined"),
        ("clinical_stage_i", {"nodule_type": None, "solid_diameter_mm": 0.0}, "undetermined"),
        ("clinical_stage_i", {"clinical_n": "N1"}, "fail"),
        ("clinical_stage_i", {"clinical_n": "N1", "total_diameter_mm": NAN}, "fail"),
        ("clinical_stage_i", {"clinical_n": "NX"}, "undetermined"),
        ("clinical_stage_i", {"clinical_m": None}, "undetermined"),
        ("clinical_stage_i", {"clinical_m": "M1a"}, "fail"),
        ("clinical_stage_i", {"t_descriptor": "chest_wall"}, "fail"),
        ("clinical_stage_i", {"t_descriptor": None}, "undetermined"),
        ("clinical_stage_i", {"t_descriptor": None, "total_diameter_mm": 45.0}, "fail"),
        ("clinical_stage_i", {"invasive_staging_positive": 1.0, "invasive_staging_done": 1.0}, "fail"),
        ("clinical_stage_i", {"nodule_type": "pure_ggo", "solid_diameter_mm": 0.0}, "fail"),
        ("adult", {"age_years": 18.0}, "pass"),
        ("adult", {"age_years": 17.9}, "fail"),
        ("adult", {"age_years": NAN}, "undetermined"),
        ("performance_status", {"kps": 70.0, "ecog": 4.0}, "pass"),
        ("performance_status", {"kps": 60.0, "ecog": 0.0}, "fail"),
        ("performance_status", {"kps": NAN, "ecog": 0.0}, "pass"),
        ("performance_status", {"kps": NAN, "ecog": 1.0}, "pass"),
        ("performance_status", {"kps": NAN, "ecog": 2.0}, "undetermined"),
        ("performance_status", {"kps": NAN, "ecog": 3.0}, "fail"),
        ("performance_status", {"kps": NAN, "ecog": 4.0}, "fail"),
        ("performance_status", {"kps": NAN, "ecog": NAN}, "undetermined"),
        ("radical_treatment", {"radical_intent": 0.0}, "fail"),
        ("radical_treatment", {"radical_intent": NAN}, "undetermined"),
        ("radical_treatment", {"treatment": None}, "undetermined"),
        ("radical_treatment", {"neoadjuvant": 1.0}, "fail"),
        ("radical_treatment", {"neoadjuvant": NAN}, "undetermined"),
        ("radical_treatment", {"treatment": "sbrt", "neoadjuvant": NAN, "pathological_n": None}, "pass"),
        ("imaging_complete", {"pet_ct_done": 0.0}, "pass"),
        ("imaging_complete", {"total_diameter_mm": 30.0, "pet_ct_done": 0.0}, "fail"),
        ("imaging_complete", {"total_diameter_mm": 29.9, "pet_ct_done": 0.0}, "pass"),
        ("imaging_complete", {"central_location": 1.0, "pet_ct_done": 0.0}, "fail"),
        ("imaging_complete", {"central_location": 1.0, "pet_ct_done": NAN, "invasive_staging_done": 1.0}, "pass"),
        ("imaging_complete", {"central_location": 1.0, "pet_ct_done": NAN}, "undetermined"),
        ("imaging_complete", {"central_location": NAN, "pet_ct_done": 0.0}, "undetermined"),
        ("imaging_complete", {"central_location": NAN, "pet_ct_done": 1.0}, "pass"),
        ("imaging_complete", {"central_location": NAN, "total_diameter_mm": 35.0, "pet_ct_done": 0.0}, "fail"),
        ("imaging_complete", {"total_diameter_mm": NAN, "pet_ct_done": 0.0}, "undetermined"),
        ("followup_agreed", {"followup_agreed": 0.0}, "fail"),
        ("consent", {"consent": "waived"}, "pass"),
        ("consent", {"consent": "no"}, "fail"),
        ("consent", {"consent": None}, "undetermined"),
        ("ct_quality", {"ct_quality": "poor"}, "fail"),
        ("not_pure_ggo", {"nodule_type": "pure_ggo", "solid_diameter_mm": 0.0}, "fail"),
        ("not_pure_ggo", {"nodule_type": None}, "pass"),
        ("not_pure_ggo", {"nodule_type": None, "solid_diameter_mm": NAN}, "undetermined"),
        ("neuropsychiatric", {"neuropsychiatric_exclusion": 1.0}, "fail"),
        ("neuropsychiatric", {"neuropsychiatric_exclusion": NAN}, "undetermined"),
        ("lost_to_followup", {"lost_to_followup": 1.0}, "fail"),
    ],
)
def test_a_rule_passes_only_if_the_known_values_suffice(rule, change, wanted):
    assert outcome(rule, **change) == wanted


def test_every_decision_says_what_it_read_and_why():
    found = screened({"clinical_n": "N2"}).decisions.set_index("rule")
    assert found.loc["clinical_stage_i", "value"] == (
        "t T1c (total diameter 22 mm), clinical_n N2, clinical_m M0, invasive_staging_positive no"
    )
    assert found.loc["clinical_stage_i", "reason"] == "not met: clinical N: N0 (is N2)"
    assert (found["reason"] != "").all()


def test_excluded_names_the_first_failed_rule_even_after_an_open_one():
    found = screened(
        {"nsclc_confirmed": NAN, "ct_quality": "poor", "lost_to_followup": 1.0},
        {"consent": None, "kps": NAN, "ecog": NAN},
    )
    assert found.status.loc[0].tolist() == ["P0", "excluded", "ct_quality"]
    assert found.status.loc[1].tolist() == ["P1", "undetermined", "performance_status"]


def test_the_flow_adds_up_in_every_centre_and_the_centres_add_up_to_all():
    changes = [
        {},
        {"consent": "no"},
        {"consent": None, "centre": "Y"},
        {"centre": "Y", "age_years": 3.0},
        {"centre": "Y"},
    ]
    found = screened(*changes)
    flow = found.flow
    assert (flow["n_in"] - flow["n_excluded"] - flow["n_undetermined"] == flow["n_left"]).all()
    for _, part in flow.groupby("centre"):
        assert (part["n_in"].to_numpy()[1:] == part["n_left"].to_numpy()[:-1]).all()
    counts = ["n_in", "n_excluded", "n_undetermined", "n_left"]
    every = flow[flow["centre"] == "all"].set_index("rule")[counts]
    pd.testing.assert_frame_equal(flow[flow["centre"] != "all"].groupby("rule")[counts].sum().loc[every.index], every)
    assert every.iloc[0]["n_in"] == 5 and every.iloc[-1]["n_left"] == (found.status["status"] == "eligible").sum() == 2


def test_a_protocol_with_other_limits_and_fewer_rules_is_followed():
    protocol = Protocol(name="mine", rules=("adult", "performance_status"), min_age_years=65.0, min_kps=80.0)
    found = screened({"kps": 80.0}, {"age_years": 65.0, "kps": NAN}, protocol=protocol)
    assert found.decisions["rule"].unique().tolist() == ["adult", "performance_status"]
    assert found.status["status"].tolist() == ["excluded", "eligible"] and found.protocol == "mine"


def test_the_choice_of_central_location_and_the_late_rule_are_said():
    notes = " ".join(screened({}).notes)
    assert "inner concentric third" in notes and "decided after baseline" in notes


def test_the_column_of_the_chosen_definition_decides_who_is_central():
    key = "inner_third_vertical_centre"
    name = f"central_{key}"
    own = Column(name=name, table="clinical", type="boolean", timing="pre_treatment")
    rows = [
        IN | {"patient_id": "P0", "pet_ct_done": 0.0, "central_location": 0.0, name: 1.0},
        IN | {"patient_id": "P1", "pet_ct_done": 0.0, "central_location": 1.0, name: 0.0},
        IN | {"patient_id": "P2", "pet_ct_done": 0.0, "central_location": 0.0, name: NAN},
    ]
    cohort = build_cohort(pd.DataFrame(rows), source="test", extra_columns=(own,))
    by_default = screen(cohort).status["status"].tolist()
    found = screen(cohort, Protocol(central_definition=key))
    assert by_default == ["eligible", "excluded", "eligible"]
    assert found.status["status"].tolist() == ["excluded", "eligible", "undetermined"]
    assert any(f"column {name}; not known in 1 of 3" in note for note in found.notes)
    moved = what_if(cohort, Protocol(central_definition=key), limit="imaging_trigger_mm", values=[20.0])
    assert moved.n_now == 1 and moved.table["n_eligible"].tolist() == [0]


def test_a_screening_shows_itself_escaped_and_cannot_be_changed():
    found = screened({}, protocol=Protocol(name="<b>x"))
    assert "<b>x" not in found._repr_html_() and "1 eligible" in found._repr_html_()
    found.status["status"] = "excluded"
    assert found.status["status"].tolist() == ["eligible"]


def test_own_texts_sources_and_versions_stand_beside_the_flow():
    own = OwnRule("ctr_high", "CTR above {least}", "ctr > least", source="our protocol, version 3", version="3")
    found = screened({}, {"age_years": 3.0}, protocol=Protocol(rules=("adult",), own=(own,), limits={"least": 0.25}))
    assert found.rules.iloc[1].tolist() == [
        "ctr_high", "CTR above 0.25", "our protocol, version 3", "3", "ctr > 0.25",
        "nodule_type, total_diameter_mm, solid_diameter_mm",
    ]  # fmt: skip
    assert found.flow.columns.tolist() == ["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left", "text"]
    assert found.flow["text"].tolist() == ["Age at least 18 years", "CTR above 0.25"] * 2


def test_reasons_say_what_was_met_what_was_not_and_what_is_missing():
    reasons = screened(
        {"total_diameter_mm": 31.0, "pet_ct_done": 0.0},
        {"total_diameter_mm": 31.0, "pet_ct_done": NAN},
        {"pet_ct_done": NAN},
        protocol=Protocol(rules=("imaging_complete",)),
    ).decisions["reason"]
    assert reasons.tolist() == [
        "not met: total diameter below 30 mm (is 31) or PET/CT done: yes (is no) or invasive staging done: yes (is no)",
        "not known: PET/CT done",
        "total diameter 22 mm, central location: no",
    ]


def test_the_same_table_and_protocol_have_the_same_digest_and_another_has_another():
    one, same = screened({}, {"kps": NAN}), screened({}, {"kps": NAN})
    other = screened({}, {"kps": 60.0})
    stricter = screened({}, {"kps": NAN}, protocol=Protocol(min_kps=80.0))
    assert one.digest == same.digest and len({one.digest, other.digest, stricter.digest}) == 3


def test_the_tables_of_a_screening_are_plain_text_and_whole_numbers():
    found = screened({}, {"consent": None})
    for table in (found.decisions, found.status, found.flow, found.rules, found.undetermined):
        assert all(str(kind) in ("object", "int64") for kind in table.dtypes)
    assert screened({}).undetermined.empty and list(screened({}).undetermined) == ["patient_id", "rule", "missing"]


def test_nobody_and_one_patient_of_whom_nothing_is_known_can_be_screened():
    empty = screen(build_cohort(pd.DataFrame({"patient_id": [], "centre": []}, dtype=object), source="test"))
    assert empty.decisions.empty and empty.flow["n_in"].tolist() == [0] * 12
    unknown = screen(build_cohort(pd.DataFrame({"patient_id": ["A"], "centre": ["X"]}), source="test"))
    assert unknown.decisions["outcome"].tolist() == ["undetermined"] * 12
    assert unknown.undetermined["rule"].tolist() == list(NAMES)
    assert unknown.undetermined.loc[3, "missing"] == "kps, ecog"


@pytest.fixture(scope="module", params=[pytest.param(seed, marks=pytest.mark.slow) for seed in (3, 41, 2026)])
def trial(request, tmp_path_factory):
    from onlm_lab.virtual import write_trial

    folder = tmp_path_factory.mktemp("trial")
    study = load_study(write_trial(folder, n_patients=10_000, n_centres=6, seed=request.param, tables_only=True))
    truth = pd.read_csv(folder / "truth.csv", dtype=str, keep_default_na=False)
    return screen(load_cohort(study), study.protocol), truth


def test_of_ten_thousand_every_planted_violation_is_found_and_none_is_invented(trial):
    found, truth = trial
    for outcome, column in (("fail", "violations"), ("undetermined", "undetermined")):
        rows = found.decisions[found.decisions["outcome"] == outcome]
        for rule in NAMES:
            planted = {p for p, cell in zip(truth["patient_id"], truth[column], strict=True) if rule in cell.split(";")}
            assert set(rows.loc[rows["rule"] == rule, "patient_id"]) == planted, (outcome, rule)
        assert len(rows) > 400
    broken = truth["violations"] != ""
    status = found.status.set_index("patient_id")["status"]
    assert set(status[status == "excluded"].index) == set(truth.loc[broken, "patient_id"])
    open_ = ~broken & (truth["undetermined"] != "")
    assert set(status[status == "undetermined"].index) == set(truth.loc[open_, "patient_id"])
    assert set(found.undetermined["patient_id"]) == set(truth.loc[open_, "patient_id"])


def test_the_flow_of_ten_thousand_sums_to_the_total_in_every_centre(trial):
    found, truth = trial
    counts = ["n_in", "n_excluded", "n_undetermined", "n_left"]
    flow = found.flow
    for _, part in flow.groupby("centre"):
        assert (part["n_in"] - part["n_excluded"] - part["n_undetermined"] == part["n_left"]).all()
        assert (part["n_in"].to_numpy()[1:] == part["n_left"].to_numpy()[:-1]).all()
    every = flow[flow["centre"] == "all"].set_index("rule")[counts]
    parts = flow[flow["centre"] != "all"].groupby("rule", sort=False)[counts].sum()
    pd.testing.assert_frame_equal(parts, every)
    eligible = ((truth["violations"] == "") & (truth["undetermined"] == "")).sum()
    assert every["n_in"].iloc[0] == 10_000 and every["n_left"].iloc[-1] == eligible
    assert every[["n_excluded", "n_undetermined"]].sum().sum() + eligible == 10_000
