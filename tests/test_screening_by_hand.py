"""The twelve rules on random patients, against a reading of the protocol that shares no code with the package.

Each rule is read off complete values; an incomplete patient passes if every completion does, fails if none does, and
is undetermined else. Where the protocol says more than that (a part-solid tumour needs its solid diameter; the KPS
goes before the ECOG; what comes before SBRT, and invasive staging, count only where recorded) it is said here too.
"""

from __future__ import annotations

import itertools
import random

import pandas as pd

from onlm_lab.cohort import build_cohort, screen

NAN = float("nan")

DESCRIBED = {"none": 0, "main_bronchus": 5, "visceral_pleura": 5, "atelectasis": 5, "satellite": 7, "chest_wall": 7,
             "other_t3": 7, "other_t4": 8}  # fmt: skip
MM = (3.0, 5.0, 5.1, 10.0, 10.1, 20.0, 20.1, 29.9, 30.0, 30.1, 40.0, 40.1, 50.0, 50.1, 70.0, 70.1)
YES_NO = (0.0, 1.0)
VALUES = {
    "nsclc_confirmed": YES_NO, "nodule_type": ("solid", "part_solid", "pure_ggo"), "total_diameter_mm": MM,
    "solid_diameter_mm": MM, "t_descriptor": tuple(DESCRIBED), "clinical_n": ("N0", "N0", "N0", "N1", "N3"),
    "clinical_m": ("M0", "M0", "M0", "M1", "M1b"), "invasive_staging_positive": YES_NO, "age_years": (17.9, 18.0, 60.0),
    "kps": (60.0, 70.0, 90.0), "ecog": (0.0, 1.0, 2.0, 3.0, 4.0),
    "treatment": ("lobectomy", "segmentectomy", "wedge", "pneumonectomy", "sbrt"), "radical_intent": YES_NO,
    "neoadjuvant": YES_NO, "central_location": YES_NO, "pet_ct_done": YES_NO, "invasive_staging_done": YES_NO,
    "followup_agreed": YES_NO, "consent": ("yes", "waived", "no"), "ct_quality": ("adequate", "poor"),
    "neuropsychiatric_exclusion": YES_NO, "lost_to_followup": YES_NO,
}  # fmt: skip
# What the complete values of these columns say; everything else stands below.
RULES = {
    "nsclc_confirmed": (("nsclc_confirmed",), lambda yes: yes == 1),
    "adult": (("age_years",), lambda years: years >= 18),
    "imaging_complete": (
        ("total_diameter_mm", "central_location", "pet_ct_done", "invasive_staging_done"),
        lambda mm, central, pet, invasive: not (mm >= 30 or central) or pet == 1 or invasive == 1,
    ),
    "followup_agreed": (("followup_agreed",), lambda yes: yes == 1),
    "consent": (("consent",), lambda word: word != "no"),
    "ct_quality": (("ct_quality",), lambda word: word == "adequate"),
    "neuropsychiatric": (("neuropsychiatric_exclusion",), lambda yes: yes == 0),
    "lost_to_followup": (("lost_to_followup",), lambda yes: yes == 0),
}


def known(value):
    return value is not None and value == value


def every(columns, holds, patient):
    """pass, fail or undetermined by all completions of the columns."""
    found = {
        bool(holds(*values))
        for values in itertools.product(*([patient[c]] if known(patient[c]) else VALUES[c] for c in columns))
    }
    return "undetermined" if len(found) == 2 else "pass" if found.pop() else "fail"


def both(*outcomes):
    return next((word for word in ("fail", "undetermined") if word in outcomes), "pass")


def clinical_t(kind, total, solid, descriptor):
    if kind == "pure_ggo":
        size = 0 if total <= 30 else 2
    elif kind == "part_solid" and solid <= 5:
        size = 1 if total <= 30 else 2
    else:
        size = 2 + sum((solid if kind == "part_solid" else total) > end for end in (10, 20, 30, 40, 50, 70))
    return max(size, DESCRIBED[descriptor])


def stage(patient):
    kind, solid, total = (patient[name] for name in ("nodule_type", "solid_diameter_mm", "total_diameter_mm"))
    found = set()
    for k, whole, part, descriptor in itertools.product(
        [kind] if known(kind) else ["solid", "part_solid", "pure_ggo"], [total] if known(total) else MM,
        [solid] if known(solid) else MM, [patient["t_descriptor"]] if known(patient["t_descriptor"]) else DESCRIBED,
    ):  # fmt: skip
        if part > whole or (k == "pure_ggo" and not known(kind) and known(solid)):
            continue
        unmeasured = k == "part_solid" and not known(solid)
        found |= {0, 8} & set(range(DESCRIBED[descriptor], 9)) if unmeasured else set()
        found.add(clinical_t(k, whole, part, descriptor))
    t = {1 <= place <= 5 for place in found}
    nodes = both(*(every((c,), lambda v: v in ("N0", "M0"), patient) for c in ("clinical_n", "clinical_m")))
    invasive = "fail" if patient["invasive_staging_positive"] == 1 else "pass"
    return both("undetermined" if len(t) == 2 else "pass" if t == {True} else "fail", nodes, invasive)


def by_hand(patient):
    found = {rule: every(columns, holds, patient) for rule, (columns, holds) in RULES.items()}
    found["clinical_stage_i"] = stage(patient)
    if known(patient["kps"]):
        found["performance_status"] = "pass" if patient["kps"] >= 70 else "fail"
    else:
        grades = {0: "pass", 1: "pass", 3: "fail", 4: "fail"}
        found["performance_status"] = grades.get(patient["ecog"], "undetermined")
    if known(patient["nodule_type"]):
        found["not_pure_ggo"] = "fail" if patient["nodule_type"] == "pure_ggo" else "pass"
    else:
        found["not_pure_ggo"] = "pass" if known(patient["solid_diameter_mm"]) else "undetermined"
    unsaid = patient["treatment"] == "sbrt" and not known(patient["neoadjuvant"])
    found["radical_treatment"] = both(
        "pass" if known(patient["treatment"]) else "undetermined",
        every(("radical_intent",), lambda yes: yes == 1, patient),
        "pass" if unsaid else every(("neoadjuvant",), lambda yes: yes == 0, patient),
    )
    return found


def patients(n, *, seed):
    chance = random.Random(seed)
    for i in range(n):
        share = chance.choice((0.0, 0.1, 0.3, 0.5))
        empty = {c: None if isinstance(v[0], str) else NAN for c, v in VALUES.items()}
        row = {c: empty[c] if chance.random() < share else chance.choice(v) for c, v in VALUES.items()}
        if row["solid_diameter_mm"] > row["total_diameter_mm"]:
            row["solid_diameter_mm"] = row["total_diameter_mm"]
        yield {"patient_id": f"P{i:04}", "centre": chance.choice("ABC")} | row


def test_every_rule_is_what_a_second_reading_of_the_protocol_says():
    rows = list(patients(1500, seed=11))
    found = screen(build_cohort(pd.DataFrame(rows), source="test"))
    told = found.decisions.pivot(index="patient_id", columns="rule", values="outcome").to_dict("index")
    wrong = [
        (row, rule, outcome, told[row["patient_id"]][rule])
        for row in rows
        for rule, outcome in by_hand(row).items()
        if told[row["patient_id"]][rule] != outcome
    ]
    assert not wrong, f"{len(wrong)}, such as {wrong[:3]}"
    assert {outcome for row in told.values() for outcome in row.values()} == {"pass", "fail", "undetermined"}
