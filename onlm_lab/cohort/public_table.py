"""What the readers of public tables share: foreign words as ours, and a report of all that did not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort.table import Cohort, build_cohort
from onlm_lab.errors import DataError
from onlm_lab.schema import Column
from onlm_lab.showing import Said, shows_itself


@dataclass(frozen=True)
class Findings:
    """What comes to light while a table is read; the functions of this module add to its lists.

    Attributes:
        source: how messages call the table.
        faults: what makes the table unusable, a sentence each.
        notes: patient_id, what contradicts itself, what was made of it.
        unmapped: column, value, count, why.
    """

    source: str
    faults: list[str] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    unmapped: list[tuple[str, str, int, str]] = field(default_factory=list)

    def stop_at_faults(self) -> None:
        """Raise every fault that was found so far."""
        if self.faults:
            raise DataError(self.faults)

    def reports(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """unmapped (column, value, count, why) and inconsistent (patient_id, what, done)."""
        unmapped = pd.DataFrame(self.unmapped, columns=["column", "value", "count", "why"])
        notes = pd.DataFrame(self.notes, columns=["patient_id", "what", "done"])
        return unmapped, notes.sort_values(["patient_id", "what"], ignore_index=True)


@shows_itself
@dataclass(frozen=True, eq=False)
class PublicTable:
    """A public table, read.

    Attributes:
        cohort: all patients; the label is a surrogate.
        unmapped: column, value, count, why: everything that did not reach our columns as it stood.
        inconsistent: patient_id, what, done: contradictions inside the table and what was made of each.
    """

    cohort: Cohort
    unmapped: pd.DataFrame
    inconsistent: pd.DataFrame

    def _said(self) -> Said:
        line = (
            f"Public table of {len(self.cohort)} patients from {self.cohort.source}: {len(self.unmapped)} entries "
            f"without a place, {len(self.inconsistent)} contradictions"
        )
        return Said(line, tables={"unmapped": self.unmapped, "inconsistent": self.inconsistent})


def check_patients(raw: pd.DataFrame, *, file: str, findings: Findings) -> None:
    """Faults for a patient without an identifier or there twice; `raw` has the column patient_id."""
    ids = raw["patient_id"]
    if (ids == "").any():
        findings.faults.append(
            f"{file}: {int((ids == '').sum())} of {len(ids)} rows have no patient identifier. Fill it."
        )
    doubled = sorted(set(ids[ids.duplicated() & (ids != "")]))
    if doubled:
        findings.faults.append(
            f"{file}: wanted one row a patient; {len(doubled)} of {ids.nunique()} have more "
            f"({', '.join(doubled[:5])}). Keep one row of each."
        )


def map_words(
    raw: pd.DataFrame, column: str, *, to: str, words: Mapping[str, Any], missing: Collection[str], findings: Findings
) -> pd.Series:
    """A column in our words; case does not count. What means "not known" and what nobody expected is counted."""
    known = {word.casefold(): value for word, value in words.items()}
    nothing = {word.casefold() for word in missing}
    cells = raw[column].str.casefold()
    for value, count in raw[column].value_counts().sort_index().items():
        if value.casefold() in nothing:
            findings.unmapped.append((column, value, int(count), f"not known: {to} left empty"))
        elif value.casefold() not in known:
            findings.unmapped.append((column, value, int(count), f"no such word in {to}: left empty"))
    found = cells.map(known)
    numeric = all(isinstance(value, float) for value in words.values())
    return found.astype(float) if numeric else found.astype(object).where(found.notna(), None)


def read_numbers(
    raw: pd.DataFrame, column: str, *, missing: Collection[str], findings: Findings, to: str = ""
) -> pd.Series:
    """A column as numbers; what is neither a number nor a word for "not known" is a fault.

    `to`: our column, under whose name the missing are counted; "" counts none.
    """
    nothing = {word.casefold() for word in missing}
    known = ~raw[column].str.casefold().isin(nothing)
    if to:
        for value, count in raw.loc[~known, column].value_counts().sort_index().items():
            findings.unmapped.append((column, value, int(count), f"not known: {to} left empty"))
    texts = raw[column].where(known)
    found = pd.to_numeric(texts, errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)
    unreadable(raw, known & found.isna(), column, "a number", findings=findings)
    return found


def unreadable(raw: pd.DataFrame, bad: pd.Series, column: str, wanted: str, *, findings: Findings) -> None:
    """A fault for cells that cannot be read; what they hold is not shown."""
    if bad.any():
        ids = ", ".join(raw.loc[bad, "patient_id"].head(5))
        count = f"{int(bad.sum())} of {len(raw)} cells {'is' if bad.sum() == 1 else 'are'} not ({ids})"
        findings.faults.append(f"{findings.source}: {column} must be {wanted}; {count}. Correct, or leave empty.")


def note(raw: pd.DataFrame, where: pd.Series, what: str, done: str, *, findings: Findings) -> None:
    """A contradiction inside the table, for each patient in whom it is found."""
    hit = where.fillna(False).astype(bool)
    findings.notes.extend((patient, what, done) for patient in raw.loc[hit, "patient_id"])


def never_smoked_nothing(
    raw: pd.DataFrame, given: pd.Series, *, column: str, never: pd.Series, findings: Findings
) -> pd.Series:
    """Pack-years, 0 in never smokers where none are given; what is missing is counted, a contradiction noted."""
    wrong = never & (given > 0)
    note(raw, wrong, "never smoker with pack-years", "pack-years left out", findings=findings)
    empty = given.isna()
    for where, why in ((never & empty, "never smokers: pack_years 0"),
                       (~never & empty, "not known: pack_years left empty")):  # fmt: skip
        for value, count in raw.loc[where, column].value_counts().sort_index().items() if column in raw else ():
            findings.unmapped.append((column, value, int(count), why))
    return given.mask(wrong).mask(never & empty, 0.0)


def without_contradictions(followup: pd.DataFrame, *, zero: str, findings: Findings) -> pd.DataFrame:
    """The follow-up with what contradicts itself left out or moved, and each time noted.

    Args:
        followup: patient_id, followup_days, died, recurred, recurrence_days, recurrence_site.
        zero: what time zero is, for messages.
        findings: where notes go.
    """
    rows = followup.copy()

    def left_out(where: pd.Series, what: str, *, survival: bool) -> None:
        names = "survival and its day" if survival else "recurrence, its day and site"
        note(rows, where, what, f"{names} left out", findings=findings)
        columns = ["followup_days", "died"] if survival else ["recurred", "recurrence_days"]
        rows.loc[where, columns] = np.nan
        rows.loc[where, "death_cause" if survival else "recurrence_site"] = None

    rows["death_cause"] = rows["death_cause"] if "death_cause" in rows else None
    left_out((rows["followup_days"] < 0) & rows["died"].notna(), f"death or last contact before {zero}", survival=True)
    left_out((rows["died"] == 1) & rows["followup_days"].isna(), "death without a day", survival=True)
    left_out((rows["recurred"] == 1) & (rows["recurrence_days"] < 0), f"recurrence before {zero}", survival=False)
    left_out((rows["recurred"] == 1) & rows["recurrence_days"].isna(), "recurrence without a day", survival=False)
    rows["recurrence_days"] = rows["recurrence_days"].where(rows["recurred"] == 1)
    rows["recurrence_site"] = rows["recurrence_site"].where(rows["recurred"] == 1, None)
    after = rows["recurrence_days"] > rows["followup_days"]
    late = after & (rows["died"] != 1)
    note(rows, late, "recurrence after the day last known alive", "last contact moved to the day of recurrence",
         findings=findings)  # fmt: skip
    rows["followup_days"] = rows["followup_days"].mask(late, rows["recurrence_days"])
    left_out(after & (rows["died"] == 1), "recurrence after death", survival=True)
    return rows


def as_public_table(
    clinical: pd.DataFrame, *, followup: pd.DataFrame, extra_columns: Iterable[Column], findings: Findings
) -> PublicTable:
    """The two tables as a checked cohort with a surrogate label, and the two reports.

    Raises:
        DataError: every fault of both tables, and every fault found before.
    """
    extra = tuple(extra_columns)
    texts = [c for c in clinical if clinical[c].dtype == object]
    clinical = clinical.assign(**{c: clinical[c].where(clinical[c].notna(), None) for c in texts})
    for table, frame, own in (("clinical", clinical, extra), ("followup", followup, ())):
        try:
            schema.check(frame, table=table, file=findings.source, extra_columns=own)
        except DataError as error:
            findings.faults.extend(error.faults)
    findings.stop_at_faults()
    cohort = build_cohort(clinical, followup=followup, source=findings.source, extra_columns=extra, surrogate=True)
    return PublicTable(cohort, *findings.reports())
