"""What changed between two versions of the data: patients, cells, labels, endpoints, columns, eligibility."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.changed_cells import RECORDED, change_rows, changed_cells, differ, file_name
from onlm_lab.errors import OnlmError
from onlm_lab.results import result
from onlm_lab.showing import Said

if TYPE_CHECKING:
    from onlm_lab.cohort.table import Cohort
    from onlm_lab.study import Protocol

FEWEST_ALIKE = 5  # known cells that must agree before two ids are taken for one renamed patient


@result
class Comparison:
    """What changed, from `before` to `after`.

    `changes`: a row each: change (patient added, patient removed, patient renamed, column added, column removed, cell,
    label, endpoint, eligibility), patient_id, centre, column, before, after (text; dates and free text are not shown).
    `by_column`: column, n_changed, n_filled (was missing), n_emptied, n_altered. `by_centre`: centre, n_before,
    n_after, n_added, n_removed, n_patients_changed, n_cells. `labels`: patient_id, before, after, reason_before,
    reason_after.
    `endpoints`: endpoint, n_changed, n_events_before, n_events_after. `status`: patient_id, before, after, rule_before,
    rule_after; empty where no protocol was given. Cells are those of the files: what follows from them (T, stage,
    label, endpoints) is told apart, and the cells of a column that is new or gone are counted, not listed.
    """

    sentence: str
    n_before: int
    n_after: int
    same: bool
    by_column: pd.DataFrame
    by_centre: pd.DataFrame
    changes: pd.DataFrame
    labels: pd.DataFrame
    endpoints: pd.DataFrame
    status: pd.DataFrame
    n_changes: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def _said(self: Comparison) -> Said:
    """The sentence, the counts and the first changes."""
    tables = {"By column": self.by_column, "By centre": self.by_centre, "Changes": self.changes, "Labels": self.labels,
              "Eligibility": self.status}  # fmt: skip
    return Said(self.sentence, tables={name: table for name, table in tables.items() if len(table)}, notes=self.notes)


Comparison._said = _said


def compare_cohorts(before: Cohort, after: Cohort, *, protocol: Protocol | None = None) -> Comparison:
    """What changed from one version of the data to the next.

    Args:
        before, after: the two versions.
        protocol: if given, both are screened by it, and the patients whose eligibility changed are told.

    Raises:
        OnlmError: a patient_id is there more than once.
    """
    old, new = _by_patient(before), _by_patient(after)
    both = old.index.intersection(new.index, sort=False)
    if before.sha256 == after.sha256:
        both = both[:0]  # nothing to look for
    gone, come = old.index.difference(new.index, sort=False), new.index.difference(old.index, sort=False)
    names = [
        c for c in dict.fromkeys([*old.columns, *new.columns]) if _is_recorded(c, before) or _is_recorded(c, after)
    ]
    added, removed = _columns(old, new, names) if before.sha256 != after.sha256 else ([], [])
    pairs = _renamed(old.loc[gone], new.loc[come], [n for n in names if n not in (*added, *removed)])
    gone, come = gone.difference(list(pairs), sort=False), come.difference(list(pairs.values()), sort=False)
    parts = [
        change_rows("patient added", patient_id=come, centre=new.loc[come, "centre"]),
        change_rows("patient removed", patient_id=gone, centre=old.loc[gone, "centre"]),
        change_rows("patient renamed", patient_id=pairs.values(), centre=new.loc[list(pairs.values()), "centre"],
              column=["patient_id"] * len(pairs), before=pairs.keys(), after=pairs.values()),
        change_rows("column added", column=[file_name(c) for c in added]),
        change_rows("column removed", column=[file_name(c) for c in removed]),
    ]  # fmt: skip
    a, b = old.loc[both], new.loc[both]
    cells, by_column = changed_cells(a, b, names=names, listed=[n for n in names if n not in (*added, *removed)],
                              specs={c.name: c for c in (*before.extra_columns, *after.extra_columns)})  # fmt: skip
    labels, endpoints, endpoint_rows = _labels(a, b), _endpoints(a, b, old, new), _endpoint_rows(a, b)
    status = _status(before, after, protocol) if protocol is not None and len(both) else _no_status()
    parts += [
        cells,
        change_rows("label", patient_id=labels["patient_id"], centre=b.loc[labels["patient_id"], "centre"],
              column=["onlm"] * len(labels), before=labels["before"].map(_label_text),
              after=labels["after"].map(_label_text)),
        endpoint_rows,
        change_rows("eligibility", patient_id=status["patient_id"], centre=new["centre"].reindex(status["patient_id"]),
              column=[b or a for a, b in zip(status["rule_before"], status["rule_after"], strict=True)],
              before=status["before"], after=status["after"]),
    ]  # fmt: skip
    changes = pd.concat([p for p in parts if len(p)] or parts[:1], ignore_index=True)
    counts = {str(k): int(v) for k, v in changes["change"].value_counts(sort=False).items()}
    notes = _settings(before, after)
    if not len(changes) and before.sha256 != after.sha256:
        notes.append("The same content in another order or form: the digests differ.")
    return Comparison(
        sentence=_sentence(before, after, counts, cells=cells), n_before=len(before), n_after=len(after),
        same=not len(changes) and not notes, by_column=by_column, by_centre=_by_centre(old, new, gone, come, cells),
        changes=changes, labels=labels, endpoints=endpoints, status=status, n_changes=counts, notes=tuple(notes),
    )  # fmt: skip


def _by_patient(cohort: Cohort) -> pd.DataFrame:
    patients = cohort.patients
    twice = patients["patient_id"].duplicated()
    if twice.any():
        raise OnlmError(
            f"{cohort.source}: {int(twice.sum())} of {len(patients)} rows repeat a patient_id "
            f"({', '.join(patients.loc[twice, 'patient_id'].head(3))}). A comparison needs one row a patient."
        )
    return patients.set_index("patient_id", drop=True)


def _is_recorded(name: str, cohort: Cohort) -> bool:
    """Whether a column of the cohort holds what a file said; patient_id is the index."""
    spec = schema.column(name, extra_columns=cohort.extra_columns)
    if name.startswith(RECORDED):
        return True
    endpoint = name in {f"{e}_{k}" for e, kind in schema.ENDPOINTS.items() for k in ("days", kind)}
    return spec is None or (spec.table in ("clinical", "followup") and not endpoint)


def _columns(old: pd.DataFrame, new: pd.DataFrame, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Columns that only one version has, or in which only one holds anything."""
    if not len(old) or not len(new):
        return [], []
    held = {n: (n in old and old[n].notna().any(), n in new and new[n].notna().any()) for n in names}
    there = {n: (n in old, n in new) for n in names}
    added = [n for n in names if there[n] == (False, True) or (held[n] == (False, True) and n in old)]
    removed = [n for n in names if there[n] == (True, False) or (held[n] == (True, False) and n in new)]
    return added, removed


def _renamed(gone: pd.DataFrame, come: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """Old id -> new id, of patients who are the same in every other cell and in whom enough is known."""
    if gone.empty or come.empty:
        return {}
    names = [n for n in names if n in gone and n in come]
    keys = []
    for frame in (gone[names], come[names]):
        rich = frame[frame.notna().sum(axis=1) >= FEWEST_ALIKE]
        text = pd.DataFrame({n: rich[n].astype(object).where(rich[n].notna(), "").map(str) for n in names})
        keys.append(pd.util.hash_pandas_object(text, index=False).set_axis(rich.index))
    left, right = (k[~k.duplicated(keep=False)] for k in keys)
    ids = pd.Series(right.index, index=right.to_numpy())
    found = left[left.isin(ids.index)]
    return dict(zip(found.index, ids.loc[found.to_numpy()], strict=True))


def _label_text(value: float) -> str:
    return "" if pd.isna(value) else f"{value:g}"


def _labels(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    changed = differ(a["onlm"], b["onlm"]) | differ(a["onlm_missing_reason"], b["onlm_missing_reason"])
    x, y = a[changed], b[changed]
    return pd.DataFrame({
        "patient_id": x.index.to_numpy(dtype=object), "before": x["onlm"].to_numpy(float),
        "after": y["onlm"].to_numpy(float),
        "reason_before": x["onlm_missing_reason"].to_numpy(object),
        "reason_after": y["onlm_missing_reason"].to_numpy(object),
    })  # fmt: skip


def _endpoint_changes(a: pd.DataFrame, b: pd.DataFrame, name: str, kind: str) -> np.ndarray:
    return differ(a[f"{name}_days"], b[f"{name}_days"]) | differ(a[f"{name}_{kind}"], b[f"{name}_{kind}"])


def _endpoints(a: pd.DataFrame, b: pd.DataFrame, old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (name, int(_endpoint_changes(a, b, name, kind).sum()), int((old[f"{name}_{kind}"] == 1).sum()),
         int((new[f"{name}_{kind}"] == 1).sum()))
        for name, kind in schema.ENDPOINTS.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["endpoint", "n_changed", "n_events_before", "n_events_after"])


def _endpoint_rows(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for name, kind in schema.ENDPOINTS.items():
        changed = _endpoint_changes(a, b, name, kind)
        if changed.any():
            said = [[_outcome(d, s) for d, s in zip(f.loc[changed, f"{name}_days"], f.loc[changed, f"{name}_{kind}"],
                                                    strict=True)] for f in (a, b)]  # fmt: skip
            parts.append(change_rows("endpoint", patient_id=a.index[changed], centre=b.loc[changed, "centre"],
                               column=[name] * int(changed.sum()), before=said[0], after=said[1]))  # fmt: skip
    return pd.concat(parts, ignore_index=True) if parts else change_rows("endpoint")


def _outcome(days: float, state: float) -> str:
    """'event at 402 days'; empty where it is not known."""
    if pd.isna(state):
        return ""
    return f"{('censored', 'event', 'competing event')[int(state)]} at {days:g} days"


def _no_status() -> pd.DataFrame:
    return pd.DataFrame(columns=["patient_id", "before", "after", "rule_before", "rule_after"], dtype=object)


def _status(before: Cohort, after: Cohort, protocol: Protocol) -> pd.DataFrame:
    """Patients of both versions whose eligibility changed."""
    from onlm_lab.cohort.eligibility import screen

    x, y = (screen(c, protocol).status.set_index("patient_id") for c in (before, after))
    both = x.index.intersection(y.index, sort=False)
    x, y = x.loc[both], y.loc[both]
    changed = (x["status"] != y["status"]).to_numpy()
    return pd.DataFrame({
        "patient_id": both[changed].to_numpy(dtype=object), "before": x.loc[changed, "status"].to_numpy(object),
        "after": y.loc[changed, "status"].to_numpy(object),
        "rule_before": x.loc[changed, "first_rule"].to_numpy(object),
        "rule_after": y.loc[changed, "first_rule"].to_numpy(object),
    })  # fmt: skip


def _by_centre(
    old: pd.DataFrame, new: pd.DataFrame, gone: pd.Index, come: pd.Index, cells: pd.DataFrame
) -> pd.DataFrame:
    table = pd.DataFrame({
        "n_before": old["centre"].value_counts(), "n_after": new["centre"].value_counts(),
        "n_added": new.loc[come, "centre"].value_counts(), "n_removed": old.loc[gone, "centre"].value_counts(),
        "n_patients_changed": cells.drop_duplicates("patient_id")["centre"].value_counts(),
        "n_cells": cells["centre"].value_counts(),
    })  # fmt: skip
    return table.fillna(0).astype(int).sort_index().rename_axis("centre").reset_index()


def _settings(before: Cohort, after: Cohort) -> list[str]:
    notes = []
    if before.surrogate != after.surrogate:
        notes.append(f"The label is {'now' if after.surrogate else 'no longer'} a surrogate (pathological N alone).")
    was, now = ({c.name: c for c in cohort.extra_columns} for cohort in (before, after))
    for name in was.keys() & now.keys():
        if was[name].timing != now[name].timing:
            notes.append(f"The timing of '{name}' was {was[name].timing} and is {now[name].timing}.")
        if was[name].type != now[name].type:
            notes.append(f"The type of '{name}' was {was[name].type} and is {now[name].type}.")
    return sorted(notes)


def _sentence(before: Cohort, after: Cohort, counts: dict[str, int], *, cells: pd.DataFrame) -> str:
    if not counts:
        return f"Nothing changed in {len(after):,} patients."
    said = [f"{len(before):,} patients became {len(after):,}"]
    for kind in ("added", "removed", "renamed"):
        if n := counts.get(f"patient {kind}"):
            said.append(f"{n:,} {kind}")
    if n := counts.get("cell"):
        of = cells["patient_id"].nunique()
        said.append(f"{n:,} cell{'s' * (n > 1)} of {of:,} patient{'s' * (of > 1)} changed")
    words = {"label": "label", "endpoint": "endpoint", "eligibility": "eligibility decision", "column added": "column",
             "column removed": "column"}  # fmt: skip
    done = {"column added": "added", "column removed": "removed"}
    for kind, word in words.items():
        if n := counts.get(kind):
            said.append(f"{n:,} {word}{'s' * (n > 1)} {done.get(kind, 'changed')}")
    return "; ".join(said) + "."
