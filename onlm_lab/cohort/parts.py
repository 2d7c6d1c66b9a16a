"""The part that each patient is kept for; of locked patients nothing is seen that became known after treatment."""

from __future__ import annotations

import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort import locked, splits
from onlm_lab.cohort.missing import missing_by
from onlm_lab.schema import Column
from onlm_lab.study import Study


def parted(patients: pd.DataFrame, *, study: Study) -> tuple[pd.DataFrame, str]:
    """The patients with the part that each is kept for; of locked ones nothing that became known after treatment.

    Parts are dealt as a run deals them: from the whole cohort, SBRT patients counting as unlabelled.
    """
    said = study.split
    if not (said.external_centres or said.temporal_from_year is not None or said.locked_fraction):
        return patients.assign(part=splits.DEVELOPMENT), ""
    rows = patients.assign(onlm=patients["onlm"].where(patients["arm"] != "sbrt"))
    if said.temporal_from_year is not None:
        rows = rows[rows["treatment_year"].notna()]
    draw = locked.read_draw(study.path(locked.DRAW))
    found = splits.hold_out(
        rows, external_centres=said.external_centres, temporal_from_year=said.temporal_from_year,
        locked_fraction=said.locked_fraction, seed=study.seed, drawn=draw.drawn if draw else None,
    )  # fmt: skip
    patients = patients.assign(part=patients["patient_id"].map(found.set_index("patient_id")["part"]))
    shut = patients["part"] == splits.LOCKED
    if not shut.any():
        return patients, ""
    hidden = locked.hidden_columns(patients, keep=study.training.predictors,
                                   extra_columns=schema.declared(study.columns))  # fmt: skip
    return locked.close_rows(patients, locked=shut, hidden=hidden), (
        f"{int(shut.sum())} patients of the files are locked for testing: of them nothing is shown that became known "
        "after treatment."
    )


def missing_where_asked(
    patients: pd.DataFrame, *, extra_columns: tuple[Column, ...] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """What is missing by centre, of every clinical column that anybody has, and the columns that nobody has.

    What is known only from surgery is counted in the surgery arm, without locked patients; a column that is asked of
    some patients only (see missing.asked) among those.

    Args:
        patients: with arm and part (see parted).
        extra_columns: the study's own columns.

    Returns:
        column, group, n, n_missing, fraction, as missing_by; and the names of the empty columns.
    """
    wanted = [c for c in map(str, patients.columns) if _asked_for(schema.column(c, extra_columns=extra_columns))]
    recorded = [c for c in wanted if patients[c].notna().any()]
    of_surgery = [c for c in recorded if _after_surgery(schema.column(c, extra_columns=extra_columns))]
    surgery = patients[(patients["arm"] == "surgery") & (patients["part"] != splits.LOCKED)]
    found = pd.concat([
        missing_by(patients, columns=[c for c in recorded if c not in of_surgery], asked_only=True),
        missing_by(surgery, columns=of_surgery, asked_only=True),
    ])  # fmt: skip
    return found, [c for c in wanted if c not in recorded]


def _after_surgery(spec: Column | None) -> bool:
    return spec is not None and spec.timing == "post_treatment" and spec.name != "treatment"


def _asked_for(spec: Column | None) -> bool:
    """A column of the clinical table that somebody fills in."""
    return spec is not None and spec.table == "clinical" and spec.name not in ("patient_id", "centre")
