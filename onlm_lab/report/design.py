"""The section on the study's design: the question, where the data come from, when, and the rules of who is in."""

from __future__ import annotations

import pandas as pd

from onlm_lab import cohort
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.screened import protocol_rules
from onlm_lab.report.section import Block, Section, Text, note, table

ARMS = {"surgery": "surgery, with a reference standard", "sbrt": "SBRT, tested by outcome alone"}
PROTOCOL = "Protocol: {name}, version {version}. Eligibility is decided by rule, patient by patient, before any model."
NEEDED = (
    "Not in any file of this run, and to be told by the authors: whether patients were consecutive and when data "
    "collection was planned, ethics approval and consent, registration, funding, involvement of patients."
)
KINDS = {"occult": "development and internal testing", "tested": "development and testing in held-out patients"}


def design(material: Material) -> Section:
    """What was asked of whom, from which hospitals and years, and by which rules patients came in."""
    blocks: list[Block] = [table(_facts(material), caption="The study in brief."), *_accrual(material)]
    blocks.append(Text(_protocol(material)))
    if len(material.rules):
        blocks.append(protocol_rules(material.rules))
    blocks.append(note(NEEDED))
    return Section("design", "Study design, data and eligibility", tuple(blocks))


def _facts(material: Material) -> pd.DataFrame:
    study, patients = material.study, material.patients
    held_out = (material.run.dealt.parts["part"] != "development").any()
    label = "pathological N1-N3, a surrogate of occult nodal metastasis" if study.label.surrogate else (
        "occult nodal metastasis: pathological N1-N3 in a patient whose nodes looked clean before treatment"
    )  # fmt: skip
    arms = [said for arm, said in ARMS.items() if (patients["arm"] == arm).any()]
    source = "made-up data" if study.made_up else study.study.licence or "not stated in study.toml ([study] licence)"
    rows = [
        ("Target", f"{label}; a diagnosis at one time, not a forecast"),
        ("Kind of study", f"{KINDS['tested' if held_out else 'occult']} of a prediction model"),
        ("Data", source),
        ("Centres", f"{words.plural(patients['centre'].nunique(), 'hospital')}, named by the code of the data"),
        ("Arms", "; ".join(arms)),
        ("Time zero", "day of surgery, or of the first SBRT fraction; only what was known before may predict"),
        ("Horizon", f"outcomes after treatment are told by {study.analysis.horizon_days:,} days from time zero"),
    ]
    return pd.DataFrame(rows, columns=["What", "This study"])


def _accrual(material: Material) -> list[Block]:
    """Years of treatment by centre."""
    found = cohort.accrual(material.patients)
    if found["first_year"].isna().all():
        return [note("The year of treatment is not recorded: when patients were treated is not known here.")]
    shown = pd.DataFrame({
        "Centre": ["All centres" if row.centre == "all" else str(row.centre) for row in found.itertuples()],
        "Patients of this run": [f"{row.n:,}" for row in found.itertuples()],
        "Treated in": [_years(row.first_year, row.last_year) for row in found.itertuples()],
        "Year not recorded": [f"{row.n_year_missing:,}" for row in found.itertuples()],
    })  # fmt: skip
    return [table(pd.concat([shown.iloc[1:], shown.iloc[:1]]), caption="When patients were treated, by centre.")]


def _years(first: float, last: float) -> str:
    if pd.isna(first):
        return "not recorded"
    return f"{first:.0f}" if first == last else f"{first:.0f} to {last:.0f}"


def _protocol(material: Material) -> str:
    protocol = material.study.protocol
    said = PROTOCOL.format(name=protocol.name, version=protocol.version)
    if material.rules.empty:
        return f"{said} The rules as they were used are not on file for this run."
    where = "A value that a rule needs and that is missing leaves the patient undetermined: left out, and counted."
    return f"{said} {where} Who was left out at which rule stands under Participants."
