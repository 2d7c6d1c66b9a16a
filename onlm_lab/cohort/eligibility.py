"""Who is in: each rule of the protocol as pass, fail or undetermined (Kleene), and the flow that follows.

The rules are those of the registration NCT06684418. A rule passes only if the known values suffice; a missing value
that matters is undetermined, never a pass.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from onlm_lab.cohort.staging import ORDER, bounds_t
from onlm_lab.cohort.table import Cohort
from onlm_lab.results import result
from onlm_lab.study import Protocol

Patient = Mapping[str, Any]
Decision = tuple[bool | None, str, str]  # passes (None: undetermined), the values it read, the reason
OUTCOME = {True: "pass", False: "fail", None: "undetermined"}
SOURCE = "NCT06684418"
# Karnofsky range of each ECOG grade; the two mappings in use differ at KPS 60 (Prasad et al. 2018 puts it in ECOG 3).
KPS_OF_ECOG = {0: (100, 100), 1: (80, 90), 2: (60, 70), 3: (50, 60), 4: (10, 40), 5: (0, 0)}


@dataclass(frozen=True)
class Rule:
    """One rule: its name, its text, where it comes from, the columns that it reads, and how it decides."""

    name: str
    text: str
    source: str
    inputs: tuple[str, ...]
    decide: Callable[[Patient, Protocol], Decision]


@result
class Screening:
    """Who is in and why not.

    `decisions`: patient_id, rule, outcome (pass/fail/undetermined), value, reason; every rule for every patient.
    `status`: patient_id, status (eligible/excluded/undetermined), first_rule (the first failed, else the first
    undetermined). `flow`: centre ("all" is their sum), rule, n_in, n_excluded, n_undetermined, n_left.
    """

    decisions: pd.DataFrame
    status: pd.DataFrame
    flow: pd.DataFrame
    protocol: str
    notes: tuple[str, ...] = ()


def _html(self: Screening) -> str:
    """Counts, notes and the flow of all centres, escaped."""
    counts = self.status["status"].value_counts()
    said = ", ".join(f"{counts.get(k, 0)} {k}" for k in ("eligible", "excluded", "undetermined"))
    flow = self.flow
    table = flow[flow["centre"] == "all"].drop(columns="centre").to_html(index=False, escape=True)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
    return f"<b>Screening by {html.escape(self.protocol)}: {said}</b>{notes}{table}"


Screening._repr_html_ = _html


def known(value: Any) -> bool:
    """Whether a cell says something."""
    return value is not None and value == value


def _either(a: bool | None, b: bool | None) -> bool | None:
    """Kleene's "or"."""
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def _fact(patient: Patient, name: str) -> bool | None:
    value = patient.get(name)
    return bool(value) if known(value) else None


def _flag(name: str, *, good: bool, yes: str, no: str, unknown: str) -> Callable[[Patient, Protocol], Decision]:
    """A rule that reads one 0/1 column."""

    def decide(patient: Patient, protocol: Protocol) -> Decision:
        fact = _fact(patient, name)
        if fact is None:
            return None, "", unknown
        return fact is good, str(int(fact)), yes if fact else no

    return decide


def _word(name: str, *, good: tuple[str, ...]) -> Callable[[Patient, Protocol], Decision]:
    """A rule that reads one word."""

    def decide(patient: Patient, protocol: Protocol) -> Decision:
        word = patient.get(name)
        return (word in good, word, f"{name} {word}") if known(word) else (None, "", f"{name} unknown")

    return decide


def _stage(patient: Patient, protocol: Protocol) -> Decision:
    low, high, why = bounds_t(patient)
    n, m = patient.get("clinical_n"), patient.get("clinical_m")
    value = f"{low if low == high else 'T?'} {n if known(n) else 'N?'} {m if known(m) else 'M?'}"
    if n in ("N1", "N2", "N3"):
        return False, value, f"clinical {n}"
    if patient.get("invasive_staging_positive") == 1:
        return False, value, "nodes positive at invasive staging"
    if known(m) and m.startswith("M1"):
        return False, value, f"clinical {m}"
    if ORDER.index(low) > ORDER.index("T2a"):
        return False, value, f"T is at least {low} ({why})"
    if high == "Tis":
        return False, value, f"stage 0: Tis ({why})"
    unknown = [word for word, bad in (("clinical N", n != "N0"), ("clinical M", m != "M0")) if bad]
    if low == "Tis" or ORDER.index(high) > ORDER.index("T2a"):
        unknown.insert(0, f"T ({why})")
    if unknown:
        return None, value, f"not known: {', '.join(unknown)}"
    return True, value, f"{low if low == high else f'{low} to {high}'} N0 M0 ({why})"


def _adult(patient: Patient, protocol: Protocol) -> Decision:
    age = patient.get("age_years")
    if not known(age):
        return None, "", "age unknown"
    return age >= protocol.min_age_years, f"{age:g}", f"wanted at least {protocol.min_age_years:g} years"


def _performance(patient: Patient, protocol: Protocol) -> Decision:
    kps, ecog, least = patient.get("kps"), patient.get("ecog"), protocol.min_kps
    if known(kps):
        return kps >= least, f"KPS {kps:g}", f"wanted at least {least:g}"
    if not known(ecog):
        return None, "", "KPS and ECOG unknown"
    low, high = KPS_OF_ECOG[int(ecog)]
    verdict = True if low >= least else False if high < least else None
    return verdict, f"ECOG {ecog:g}", f"KPS unknown; this ECOG is KPS {low}-{high}, wanted at least {least:g}"


def _radical(patient: Patient, protocol: Protocol) -> Decision:
    treatment, intent = patient.get("treatment"), _fact(patient, "radical_intent")
    value = f"{treatment if known(treatment) else '?'}, radical intent {'?' if intent is None else int(intent)}"
    if intent is False:
        return False, value, "not treated with radical intent"
    before = False if treatment == "sbrt" else _fact(patient, "neoadjuvant")
    if _fact(patient, "neoadjuvant"):
        return False, value, "neoadjuvant treatment: surgery was not primary"
    unknown = [
        word
        for word, bad in (
            ("treatment", not known(treatment)), ("radical intent", intent is None), ("neoadjuvant", before is None),
        )
        if bad
    ]  # fmt: skip
    if unknown:
        return None, value, f"not known: {', '.join(unknown)}"
    return True, value, "primary radical surgery or SBRT"


def _imaging(patient: Patient, protocol: Protocol) -> Decision:
    total, trigger = patient.get("total_diameter_mm"), protocol.imaging_trigger_mm
    large = total >= trigger if known(total) else None
    needed = _either(large, _fact(patient, "central_location"))
    done = _either(_fact(patient, "pet_ct_done"), _fact(patient, "invasive_staging_done"))
    size = f"{total:g} mm" if known(total) else "? mm"
    words = {True: "yes", False: "no", None: "?"}
    central = words[_fact(patient, "central_location")]
    value = f"{size}, central {central}, PET/CT or invasive staging {words[done]}"
    passes = _either(done, None if needed is None else not needed)
    if passes is None:
        return None, value, "cannot be told from what is known"
    if needed is False:
        return True, value, f"below {trigger:g} mm and not central: none needed"
    if passes:
        return True, value, "PET/CT or invasive staging done"
    return False, value, f"at least {trigger:g} mm or central, without PET/CT and without invasive staging"


def _not_ggo(patient: Patient, protocol: Protocol) -> Decision:
    kind, solid = patient.get("nodule_type"), patient.get("solid_diameter_mm")
    if known(kind):
        return kind != "pure_ggo", kind, f"nodule type {kind}"
    if known(solid) and solid > 0:
        return True, f"solid part {solid:g} mm", "nodule type unknown, but there is a solid part"
    return None, "", "nodule type unknown"


def _rules() -> tuple[Rule, ...]:
    """The twelve rules, in the order in which they are applied."""
    agreed = _flag("followup_agreed", good=True, yes="agreed", no="not willing", unknown="not known whether willing")
    proven = _flag("nsclc_confirmed", good=True, yes="confirmed", no="not confirmed", unknown="not known")
    mind = _flag("neuropsychiatric_exclusion", good=False, yes="judged to interfere", no="none", unknown="not known")
    lost = _flag("lost_to_followup", good=False, yes="lost to follow-up", no="followed", unknown="not known")
    t_inputs = ("nodule_type", "total_diameter_mm", "solid_diameter_mm", "t_descriptor")
    return (
        Rule("nsclc_confirmed", "Pathologically confirmed NSCLC", SOURCE, ("nsclc_confirmed",), proven),
        Rule("clinical_stage_i", "Clinical stage I (AJCC 8)", SOURCE,
             (*t_inputs, "clinical_n", "clinical_m", "invasive_staging_positive"), _stage),
        Rule("adult", "Old enough", SOURCE, ("age_years",), _adult),
        Rule("performance_status", "Karnofsky performance status high enough", SOURCE, ("kps", "ecog"), _performance),
        Rule("radical_treatment", "Primary radical surgery or SBRT", SOURCE,
             ("treatment", "radical_intent", "neoadjuvant"), _radical),
        Rule("imaging_complete", "PET/CT or invasive staging where the tumour is large or central", SOURCE,
             ("total_diameter_mm", "central_location", "pet_ct_done", "invasive_staging_done"), _imaging),
        Rule("followup_agreed", "Willing to be followed up", SOURCE, ("followup_agreed",), agreed),
        Rule("consent", "Informed consent, or waived", SOURCE, ("consent",), _word("consent", good=("yes", "waived"))),
        Rule("ct_quality", "CT of adequate quality", SOURCE, ("ct_quality",), _word("ct_quality", good=("adequate",))),
        Rule("not_pure_ggo", "Not a pure ground-glass nodule", SOURCE, ("nodule_type", "solid_diameter_mm"), _not_ggo),
        Rule("neuropsychiatric", "No epilepsy, CNS disease or mental disorder judged to interfere", SOURCE,
             ("neuropsychiatric_exclusion",), mind),
        Rule("lost_to_followup", "Not lost to follow-up (decided after baseline)", SOURCE, ("lost_to_followup",), lost),
    )  # fmt: skip


RULES: dict[str, Rule] = {rule.name: rule for rule in _rules()}


def screen(cohort: Cohort, protocol: Protocol | None = None) -> Screening:
    """Each patient against each rule of the protocol, and who is left.

    Args:
        cohort: the patients.
        protocol: which rules with which limits; None is NCT06684418.
    """
    protocol = Protocol() if protocol is None else protocol
    rules = [RULES[name] for name in RULES if name in protocol.rules]
    decisions, status = [], []
    for patient in cohort.patients.to_dict("records"):
        first = {"fail": None, "undetermined": None}
        for rule in rules:
            verdict, value, reason = rule.decide(patient, protocol)
            outcome = OUTCOME[verdict if verdict is None else bool(verdict)]
            decisions.append((patient["patient_id"], rule.name, outcome, value, reason))
            if outcome in first and first[outcome] is None:
                first[outcome] = rule.name
        name = "excluded" if first["fail"] else "undetermined" if first["undetermined"] else "eligible"
        status.append((patient["patient_id"], name, first["fail"] or first["undetermined"]))
    table = pd.DataFrame(status, columns=["patient_id", "status", "first_rule"])
    notes = [f"central location: {protocol.central_definition}"]
    if "lost_to_followup" in protocol.rules:
        notes.append("lost_to_followup is decided after baseline; survival analyses also show these patients censored")
    return Screening(
        decisions=pd.DataFrame(decisions, columns=["patient_id", "rule", "outcome", "value", "reason"]),
        status=table,
        flow=_flow(table.assign(centre=cohort.patients["centre"]), rules=[rule.name for rule in rules]),
        protocol=protocol.name,
        notes=tuple(notes),
    )


def _flow(status: pd.DataFrame, *, rules: list[str]) -> pd.DataFrame:
    """Counts rule by rule, for all and for each centre."""
    rows = []
    for centre in ["all", *sorted(status["centre"].unique())]:
        part = status if centre == "all" else status[status["centre"] == centre]
        n_in = len(part)
        for rule in rules:
            here = part.loc[part["first_rule"] == rule, "status"]
            out, open_ = int((here == "excluded").sum()), int((here == "undetermined").sum())
            rows.append((centre, rule, n_in, out, open_, n_in - out - open_))
            n_in -= out + open_
    return pd.DataFrame(rows, columns=["centre", "rule", "n_in", "n_excluded", "n_undetermined", "n_left"])
