"""Who is in: each rule of the protocol as pass, fail or undetermined (Kleene), and the flow that follows.

A rule passes only if the known values suffice; a missing value that matters is undetermined, never a pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.cohort.centrality import central_location
from onlm_lab.cohort.conditions import nouns_of
from onlm_lab.cohort.deciding import Verdicts, decide
from onlm_lab.cohort.quantities import FALSE, OPEN, TRUE, Quantity, measure
from onlm_lab.cohort.rules import Rule, require_rules
from onlm_lab.cohort.table import Cohort
from onlm_lab.errors import DataError
from onlm_lab.results import result
from onlm_lab.showing import Said, table_html, to_html
from onlm_lab.study import Protocol

OUTCOMES = {FALSE: "fail", OPEN: "undetermined", TRUE: "pass"}
STATUS = ("excluded", "undetermined", "eligible")
NO_RULE = ("none", "No rule: everybody is in")


@result
class Screening:
    """Who is in and why not.

    `decisions`: patient_id, rule, outcome (pass/fail/undetermined), value, reason; every rule for every patient.
    `status`: patient_id, status (eligible/excluded/undetermined), first_rule (the first failed, else the first
    undetermined). `flow`: centre ("all" is their sum), rule, n_in, n_excluded, n_undetermined, n_left, text.
    `rules`: name, text, source, version, passes (with the limits' numbers), inputs; in the order of the flow.
    `undetermined`: patient_id, rule, missing (the columns that, once known, could settle it), of the patients whose
    status is undetermined: whoever is excluded stays excluded, whatever is found.
    """

    decisions: pd.DataFrame
    status: pd.DataFrame
    flow: pd.DataFrame
    protocol: str
    notes: tuple[str, ...] = ()
    rules: pd.DataFrame = None  # type: ignore[assignment]
    undetermined: pd.DataFrame = None  # type: ignore[assignment]


def _said(self: Screening) -> Said:
    """Counts and notes; the flow of all centres stands open below them."""
    counts = self.status["status"].value_counts()
    said = ", ".join(f"{counts.get(k, 0)} {k}" for k in ("eligible", "excluded", "undetermined"))
    return Said(f"Screening by {self.protocol}: {said}", notes=self.notes)


def _html(self: Screening) -> str:
    flow = self.flow
    return to_html(_said(self)) + table_html(flow[flow["centre"] == "all"].drop(columns="centre"))


def _digest(self: Screening) -> str:
    """SHA-256 of everything that the screening says; the same table and protocol give the same digest."""
    sha = hashlib.sha256(repr((self.protocol, self.notes)).encode())
    for name in ("rules", "decisions", "status", "flow", "undetermined"):
        table = getattr(self, name)
        for column in table:
            sha.update(f"\x1d{name}\x1e{column}\x1e".encode())
            sha.update("\x1f".join(map(str, table[column])).encode())
    return sha.hexdigest()


Screening._said, Screening._repr_html_ = _said, _html
Screening.digest = property(_digest)


def screen(cohort: Cohort, protocol: Protocol | None = None) -> Screening:
    """Each patient against each rule of the protocol, and who is left.

    Args:
        cohort: the patients.
        protocol: which rules with which limits; None is NCT06684418.

    Raises:
        StudyError: every rule of the protocol that cannot be read.
        DataError: a centre is called "all", which is what the flow calls their sum.
    """
    protocol = Protocol() if protocol is None else protocol
    rules = require_rules(protocol, extra_columns=cohort.extra_columns)
    patients = cohort.patients
    _require_free_name(patients["centre"], source=cohort.source)
    central, where = central_location(patients, definition=protocol.central_definition)
    verdicts = verdicts_of(patients.assign(central_location=central), rules=rules)
    states = states_of(verdicts, n_patients=len(patients))
    names = np.array([*(rule.name for rule in rules), None], dtype=object)
    status, first = standing(states)
    ids = patients["patient_id"].to_numpy(dtype=object)
    decisions = pd.DataFrame(
        {
            "patient_id": np.repeat(ids, len(rules)),
            "rule": np.tile(names[:-1], len(ids)),
            "outcome": np.array([OUTCOMES[k] for k in (FALSE, OPEN, TRUE)], dtype=object)[states.T.ravel()],
            "value": _by_patient([v.value for v in verdicts], n=len(ids)),
            "reason": _by_patient([v.reason for v in verdicts], n=len(ids)),
        }
    )
    return Screening(
        decisions=decisions,
        status=pd.DataFrame(
            {"patient_id": ids, "status": np.array(STATUS, dtype=object)[status], "first_rule": names[first]}
        ),
        flow=_flow(patients["centre"], status=status, first=first, rules=rules),
        protocol=protocol.name,
        notes=_notes(protocol, rules, central=where),
        rules=rules_table(rules),
        undetermined=_undetermined(ids, status=status, verdicts=verdicts, rules=rules),
    )


def rules_table(rules: Sequence[Rule]) -> pd.DataFrame:
    """name, text, source, version, passes, inputs of each rule."""
    rows = [(r.name, r.text, r.source, r.version, r.passes, ", ".join(r.inputs)) for r in rules]
    return pd.DataFrame(rows, columns=["name", "text", "source", "version", "passes", "inputs"], dtype=object)


def quantities_of(patients: pd.DataFrame, *, rules: Sequence[Rule]) -> dict[str, Quantity]:
    """What the patients' table says of everything that the rules speak of."""
    nouns = {name: noun for rule in rules for name, noun in nouns_of(rule.condition).items()}
    return {name: measure(patients, noun=noun) for name, noun in nouns.items()}


def verdicts_of(patients: pd.DataFrame, *, rules: Sequence[Rule]) -> list[Verdicts]:
    """Each rule's outcome for each patient, with value, reason and what is missing."""
    quantities = quantities_of(patients, rules=rules)
    return [decide(rule.condition, quantities=quantities, patients=patients) for rule in rules]


def states_of(verdicts: Sequence[Verdicts], *, n_patients: int) -> NDArray[np.int8]:
    """Rules x patients: FALSE, OPEN, TRUE."""
    return np.stack([v.states for v in verdicts]) if verdicts else np.empty((0, n_patients), dtype=np.int8)


def standing(states: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Each patient's status (place in STATUS) and the rule that decides it (-1: none).

    Excluded by the first rule that fails, even after an open one; else undetermined by the first open one.
    """
    if not len(states):
        n = states.shape[1]
        return np.full(n, TRUE, dtype=np.int8), np.full(n, -1)
    status = states.min(axis=0)
    first = np.where(status == TRUE, -1, (states == status).argmax(axis=0))
    return status, first


def _require_free_name(centre: pd.Series, *, source: str) -> None:
    n = int((centre == "all").sum())
    if n:
        raise DataError(
            [f'{source}: centre is "all" in {n} of {len(centre)} rows, which names the sum of the centres. Rename it.']
        )


def _by_patient(columns: list[NDArray[np.object_]], *, n: int) -> NDArray[np.object_]:
    return np.stack(columns).T.ravel() if columns else np.empty(0, dtype=object)


def _undetermined(
    ids: NDArray[np.object_], *, status: NDArray[np.int8], verdicts: Sequence[Verdicts], rules: Sequence[Rule]
) -> pd.DataFrame:
    """What to look up, patient by patient, in the order of the rules."""
    open_ = [np.flatnonzero((status == OPEN) & (verdict.states == OPEN)) for verdict in verdicts]
    who = np.concatenate([*open_, np.empty(0, dtype=np.int64)])
    which = np.repeat(np.arange(len(verdicts)), [len(at) for at in open_])
    missing = [", ".join(names) for verdict, at in zip(verdicts, open_, strict=True) for names in verdict.missing[at]]
    names = np.array([*(rule.name for rule in rules), None], dtype=object)
    found = {"patient_id": ids[who], "rule": names[which], "missing": np.array([*missing, None], dtype=object)[:-1]}
    return pd.DataFrame(found).iloc[np.lexsort((which, who))].reset_index(drop=True)


def _notes(protocol: Protocol, rules: Sequence[Rule], *, central: str) -> tuple[str, ...]:
    """What a reader of the flow must know."""
    read = {column for rule in rules for column in rule.inputs}
    notes = [central] if "central_location" in read else []
    for rule in rules:
        if rule.name == "lost_to_followup" and rule.inputs == ("lost_to_followup",):
            notes.append(
                "lost_to_followup is decided after baseline; survival analyses also show these patients censored"
            )
        elif rule.after_baseline:
            notes.append(f"{rule.name} is decided after baseline: it reads {', '.join(rule.after_baseline)}")
    replaced = [rule.name for rule in protocol.own if rule.name in Protocol.rules]
    if replaced:
        notes.append(f"in the study's own words instead of the registration's: {', '.join(replaced)}")
    twice = sorted({name for name in protocol.rules if protocol.rules.count(name) > 1})
    if twice:
        notes.append(f"named more than once, applied once: {', '.join(twice)}")
    if not rules:
        notes.append("the protocol has no rule: everybody is in")
    return tuple(notes)


def _flow(
    centre: pd.Series, *, status: NDArray[np.int8], first: NDArray[np.int64], rules: Sequence[Rule]
) -> pd.DataFrame:
    """Counts rule by rule, for all and for each centre."""
    places, names = pd.factorize(centre.to_numpy(dtype=object), sort=True)
    size = (len(names), max(len(rules), 1))
    left = [np.zeros(size, dtype=np.int64) for _ in range(2)]
    for counts, which in zip(left, (FALSE, OPEN), strict=True):
        here = status == which
        np.add.at(counts, (places[here], first[here]), 1)
    n_in = np.bincount(places, minlength=len(names))
    out, open_, n_in = (np.vstack([part.sum(axis=0, keepdims=True), part]) for part in (*left, n_in[:, None]))
    n_left = n_in - np.cumsum(out + open_, axis=1)
    told = [(rule.name, rule.text) for rule in rules] or [NO_RULE]
    return pd.DataFrame(
        {
            "centre": np.repeat(np.array(["all", *names], dtype=object), size[1]),
            "rule": np.tile(np.array([name for name, _ in told], dtype=object), len(names) + 1),
            "n_in": (n_left + out + open_).ravel(),
            "n_excluded": out.ravel(),
            "n_undetermined": open_.ravel(),
            "n_left": n_left.ravel(),
            "text": np.tile(np.array([text for _, text in told], dtype=object), len(names) + 1),
        }
    )
