"""Screening a study: the tables that it leaves in the work folder, and what it says on the way."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort import disagreements, label_table, load_cohort, quality_rule, screen
from onlm_lab.study import Study

STATUS = ("eligible", "excluded", "undetermined")
MOST = 5  # columns named on the screen; the table has all


@dataclass(frozen=True, eq=False)
class Screened:
    """What screening a study leaves.

    Attributes:
        tables: by file name: the log patient x rule, status, flow, rules as applied, what is missing for the
            undetermined, the cohort, the label with what it rests on, and what a person should look at again.
        counts: patients by status.
        notes: how it was decided: definitions, rules decided after baseline, what makes a pN0 uncertain.
        sentences: what the user is told.
        extra_columns: the study's own columns.
    """

    tables: dict[str, pd.DataFrame]
    counts: dict[str, int]
    notes: tuple[str, ...]
    sentences: tuple[str, ...]
    extra_columns: tuple[schema.Column, ...]


def screen_study(study: Study) -> Screened:
    """Each patient of a study against its protocol, labelled, with what disagrees and what is missing.

    Raises:
        DataError: the tables do not fit the schema.
        StudyError: a rule of the protocol cannot be read.
    """
    cohort, protocol, label = load_cohort(study), study.protocol, study.label
    found, patients = screen(cohort, protocol), cohort.patients
    least = {"min_nodes": label.min_nodes, "min_n2_stations": label.min_n2_stations}
    again = disagreements(
        patients, trigger_mm=protocol.imaging_trigger_mm, min_kps=protocol.min_kps,
        definition=protocol.central_definition,
    )  # fmt: skip
    tables = {
        "decisions.csv": found.decisions, "status.csv": found.status, "flow.csv": found.flow, "rules.csv": found.rules,
        "undetermined.csv": found.undetermined, "cohort.csv": patients, "label.csv": label_table(patients, **least),
        "disagreements.csv": again,
    }  # fmt: skip
    counts = {status: int((found.status["status"] == status).sum()) for status in STATUS}
    notes = (*found.notes, f"label: {quality_rule(**least)}")
    said = [", ".join(f"{counts[status]} {status}" for status in STATUS), *(f"  {note}" for note in notes)]
    sentences = (*said, *_look_again(again), *_look_up(found.undetermined))
    return Screened(tables, counts, notes, sentences, cohort.extra_columns)


def _look_again(disagreeing: pd.DataFrame) -> list[str]:
    """How many patients' tables say two things, and for how many it may decide."""
    if disagreeing.empty:
        return []
    n = disagreeing["patient_id"].nunique()
    matters = disagreeing.loc[disagreeing["matters"] == 1, "patient_id"].nunique()
    people = "1 patient" if n == 1 else f"{n} patients"
    return [f"{people} to look at again (disagreements.csv); for {matters} it may decide who is in"]


def _look_up(undetermined: pd.DataFrame) -> list[str]:
    """What to look up for those whose status is open: columns, the most wanted first."""
    named = undetermined.assign(column=undetermined["missing"].str.split(", ")).explode("column")
    named = named[named["column"].fillna("") != ""]
    if named.empty:
        return []
    counted = named.groupby("column")["patient_id"].nunique().sort_values(ascending=False, kind="stable")
    told = ", ".join(f"{name} for {n}" for name, n in counted.head(MOST).items())
    more = len(counted) - MOST
    rest = "" if more <= 0 else " and 1 column more" if more == 1 else f" and {more} columns more"
    return [f"to be looked up (undetermined.csv): {told}{rest}"]
