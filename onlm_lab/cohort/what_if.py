"""How many more patients a protocol would take in if one of its limits moved, and who they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from onlm_lab.cohort.centrality import central_location
from onlm_lab.cohort.eligibility import quantities_of, standing
from onlm_lab.cohort.kleene import states
from onlm_lab.cohort.quantities import FALSE, OPEN, TRUE
from onlm_lab.cohort.rules import Rule, limits_of, require_rules, with_limit
from onlm_lab.cohort.table import Cohort
from onlm_lab.errors import OnlmError
from onlm_lab.results import result
from onlm_lab.study import Protocol

Counts = NDArray[np.int64]


@result
class WhatIf:
    """One limit of a protocol at several values, against the protocol as it stands.

    `table`: (centre, with by="centre"; "all" is their sum), value, n_eligible, n_more (against `current`; negative:
    fewer), n_gained, n_lost, n_excluded, n_undetermined; of the eligible n_surgery, n_sbrt, n_no_arm, n_labelled,
    n_positive; of those gained gained_surgery, gained_sbrt, gained_no_arm, gained_labelled, gained_positive.
    `patients`: value, patient_id, change ("gained" or "lost"), arm, onlm. `current`: the limit as the protocol has it;
    `n_now`: eligible with it. `rules`: the rules that read the limit.
    """

    table: pd.DataFrame
    patients: pd.DataFrame
    limit: str
    current: float
    n_now: int
    n: int
    protocol: str
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def what_if(
    cohort: Cohort,
    protocol: Protocol | None = None,
    *,
    limit: str,
    values: Sequence[float],
    by: Literal["centre"] | None = None,
) -> WhatIf:
    """The screening with one limit at each of several values.

    Args:
        cohort: the patients.
        protocol: the protocol as it stands; None is NCT06684418.
        limit: a limit of the protocol: min_age_years, min_kps, imaging_trigger_mm, or one of [protocol.limits].
        values: what to try, in the limit's unit.
        by: "centre": a row a centre as well.

    Raises:
        OnlmError: no such limit (nearest offered), no rule that reads it, or values that are no numbers.
        StudyError: a rule of the protocol that cannot be read.
    """
    protocol = Protocol() if protocol is None else protocol
    if by not in (None, "centre"):
        raise OnlmError(f"what_if: by is {by!r}; wanted 'centre' or nothing.")
    tried = _numbers(values, limit=limit)
    with_limit(protocol, limit=limit, value=0.0)  # refuses a name that is no limit
    rules = require_rules(protocol, extra_columns=cohort.extra_columns)
    reading = [k for k, rule in enumerate(rules) if limit in rule.limits]
    if not reading:
        raise OnlmError(
            f"'{limit}' is a limit of the protocol, but none of its {len(rules)} rules reads it. "
            f"Wanted one that is read: {', '.join(sorted({n for r in rules for n in r.limits})) or 'there is none'}."
        )
    patients = cohort.patients
    central, _ = central_location(patients, definition=protocol.central_definition)
    quantities = quantities_of(patients.assign(central_location=central), rules=rules)
    found = np.stack([states(rule.condition, quantities=quantities) for rule in rules])
    now = standing(found)[0]
    rows, who = [], []
    for value in tried:
        moved = require_rules(with_limit(protocol, limit=limit, value=value), extra_columns=cohort.extra_columns)
        trial = found.copy()
        for k in reading:
            trial[k] = states(moved[k].condition, quantities=quantities)
        status = standing(trial)[0]
        rows.append(_counted(patients, status=status, now=now, by=by).assign(value=value))
        who.append(_changed(patients, status=status, now=now).assign(value=value))
    table = pd.concat(rows, ignore_index=True)
    first = [name for name in ("centre", "value") if name in table]
    changed = pd.concat(who, ignore_index=True)
    return WhatIf(
        table=table[[*first, *(c for c in table if c not in first)]],
        patients=changed[["value", *(c for c in changed if c != "value")]],
        limit=limit, current=limits_of(protocol)[limit], n_now=int((now == TRUE).sum()), n=len(patients),
        protocol=protocol.name, rules=tuple(rules[k].name for k in reading),
        notes=_notes(rules, reading=reading, status=now, found=found),
    )  # fmt: skip


def patients_gained(cohort: Cohort, protocol: Protocol | None = None, *, limit: str, value: float) -> pd.DataFrame:
    """Who would be eligible with one limit at `value` and is not now: patient_id, arm, onlm.

    Raises:
        OnlmError, StudyError: as what_if.
    """
    found = what_if(cohort, protocol, limit=limit, values=[value]).patients
    gained = found[found["change"] == "gained"]
    return gained[["patient_id", "arm", "onlm"]].reset_index(drop=True)


def _numbers(values: Sequence[float], *, limit: str) -> list[float]:
    """The values to try, each once, in the order given."""
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise OnlmError(f"what_if: values of {limit} is {values!r}; wanted a list of numbers.")
    found = []
    for value in values:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise OnlmError(f"what_if: {value!r} is no value of {limit}; wanted a number.") from None
        if not math.isfinite(number):
            raise OnlmError(f"what_if: {value!r} is no value of {limit}; wanted a number.")
        found.append(number)
    if not found:
        raise OnlmError(f"what_if: no value of {limit} to try; wanted at least one.")
    return list(dict.fromkeys(found))


def _counted(
    patients: pd.DataFrame, *, status: NDArray[np.int8], now: NDArray[np.int8], by: str | None
) -> pd.DataFrame:
    """The counts of one value; by centre with their sum first."""
    arm, onlm = patients["arm"].to_numpy(dtype=object), patients["onlm"].to_numpy(dtype=float)
    eligible, before = status == TRUE, now == TRUE
    gained, lost = eligible & ~before, before & ~eligible
    groups = {
        "surgery": arm == "surgery", "sbrt": arm == "sbrt", "no_arm": ~np.isin(arm, ["surgery", "sbrt"]),
        "labelled": ~np.isnan(onlm), "positive": onlm == 1,
    }  # fmt: skip
    flags = {
        "n_eligible": eligible, "n_more": gained.astype(int) - lost.astype(int), "n_gained": gained, "n_lost": lost,
        "n_excluded": status == FALSE, "n_undetermined": status == OPEN,
        **{f"n_{name}": eligible & here for name, here in groups.items()},
        **{f"gained_{name}": gained & here for name, here in groups.items()},
    }  # fmt: skip
    counts = pd.DataFrame({name: here.astype(np.int64) for name, here in flags.items()})
    total = counts.sum().to_frame().T
    if by is None:
        return total
    parts = counts.groupby(patients["centre"].to_numpy(dtype=object), sort=True).sum()
    return pd.concat([total.assign(centre="all"), parts.rename_axis("centre").reset_index()], ignore_index=True)


def _changed(patients: pd.DataFrame, *, status: NDArray[np.int8], now: NDArray[np.int8]) -> pd.DataFrame:
    """Who comes in and who goes out."""
    moved = (status == TRUE) != (now == TRUE)
    who = patients.loc[moved, ["patient_id", "arm", "onlm"]].reset_index(drop=True)
    who.insert(1, "change", np.where(status[moved] == TRUE, "gained", "lost").astype(object))
    return who


def _notes(
    rules: Sequence[Rule], *, reading: list[int], status: NDArray[np.int8], found: NDArray[np.int8]
) -> tuple[str, ...]:
    """Which rules move, and how many patients they alone keep out now."""
    others = np.delete(found, reading, axis=0)
    rest = others.min(axis=0) if len(others) else np.full(found.shape[1], TRUE)
    alone = int(((rest == TRUE) & (status != TRUE)).sum())
    names = ", ".join(rules[k].text or rules[k].name for k in reading)
    return (f"moves the rule: {names}; who meet every other rule and not this: {alone}",)
