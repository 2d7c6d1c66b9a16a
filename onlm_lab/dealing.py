"""Who plays which part in a run, before anything is fitted: development, testing, or outcome only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pandas as pd

from onlm_lab import schema
from onlm_lab.cohort import duplicates, locked, splits
from onlm_lab.errors import StudyError
from onlm_lab.study import Study

ROLES = {splits.EXTERNAL: "external", splits.TEMPORAL: "external", splits.LOCKED: "test"}


@dataclass(frozen=True, eq=False)
class Dealt:
    """What a run begins with.

    Attributes:
        patients: cohort columns, `part` and `role` (labelled: to develop on; external, test: to be tested; unlabelled);
            of locked patients nothing that became known after treatment.
        folds: patient_id, repeat, fold of the labelled.
        parts: patient_id, part.
        facts: for split.json.
        draw: who is locked and who was passed over, for the study's locked.json; None without a locked set.
        notes: what a reader must know, in sentences.
    """

    patients: pd.DataFrame
    folds: pd.DataFrame
    parts: pd.DataFrame
    facts: dict[str, Any]
    draw: locked.Draw | None = None
    notes: tuple[str, ...] = ()


def deal(
    study: Study, *, cohort: pd.DataFrame, status: pd.DataFrame, prepared: pd.DataFrame, draw: locked.Draw | None = None
) -> Dealt:
    """Deals the patients of a run.

    Who is locked is drawn from the whole cohort, screened or not, with CT or without, so that no change of protocol,
    images or models moves a patient across the lock.

    Args:
        cohort: work/cohort.csv.
        status: of the screening.
        prepared: patient_id, usable.
        draw: of the study's locked.json: who is on which side of the lock since the first run; None before it.

    Raises:
        OnlmError: duplicates, a part that cannot be made, or too few patients of a class to develop on.
    """
    taken = [name for name in ("part", "role") if name in cohort]
    if taken:
        raise StudyError(
            f"study.toml: [columns.{taken[0]}] takes a name that a run gives its own column. Rename it in the table, "
            "or by [mapping] columns."
        )
    eligible = set(status.loc[status["status"] == "eligible", "patient_id"])
    usable = set(prepared.loc[prepared["usable"] == 1, "patient_id"])
    cohort = cohort.sort_values("patient_id", kind="stable", ignore_index=True)
    in_run = cohort["patient_id"].isin(usable)
    duplicates.refuse_duplicates(cohort[in_run], distinct=study.split.distinct_patients, known=cohort["patient_id"])
    label = cohort["onlm"].where(cohort["arm"] != "sbrt")
    _require_same_share(study, draw=draw)
    part = _parts(study, cohort=cohort.assign(onlm=label), eligible=eligible, draw=draw)
    pool = cohort["patient_id"][label.notna()]
    after, told = _after(study, part=part, pool=set(pool), draw=draw)
    patients = cohort[in_run].assign(part=cohort["patient_id"].map(part)).reset_index(drop=True)
    patients["role"] = _roles(patients, known=label[in_run].notna().to_numpy())
    folds, notes = _folds(study, patients=patients[patients["role"] == "labelled"])
    _require_tested(study, patients=patients)
    facts = _facts(study, patients=patients, all_locked=sorted(part.index[part == splits.LOCKED]))
    hidden = locked.hidden_columns(
        patients, keep=study.training.predictors, extra_columns=schema.declared(study.columns)
    )
    closed = locked.close_rows(patients, locked=patients["part"] == splits.LOCKED, hidden=hidden)
    return Dealt(closed, folds, patients[["patient_id", "part"]], facts, after, (*told, *notes))


def _require_same_share(study: Study, *, draw: locked.Draw | None) -> None:
    """Who is locked was drawn once; another share would carry patients across the lock who have been seen."""
    if draw is not None and draw.locked_fraction != study.split.locked_fraction:
        raise StudyError(
            f"[split] locked_fraction is {study.split.locked_fraction:g}, and {len(draw.locked)} patients were locked "
            f"at {draw.locked_fraction:g} (locked.json). Put {draw.locked_fraction:g} back; or, to draw anew, take "
            "locked.json away: who has been in development since is then no untouched test."
        )


def _after(
    study: Study, *, part: pd.Series, pool: set[str], draw: locked.Draw | None
) -> tuple[locked.Draw | None, list[str]]:  # fmt: skip
    """The draw with this run's newcomers, and what of it a reader must know."""
    if not study.split.locked_fraction:
        return None, []
    shut = set(part.index[part == splits.LOCKED])
    passed = pool & set(part.index[part == splits.DEVELOPMENT])
    if draw is None:
        return locked.Draw(study.split.locked_fraction, study.seed, tuple(sorted(shut)), tuple(sorted(passed))), []
    told = []
    n_new, n_gone = len(shut - set(draw.locked)), len(set(draw.locked) - set(part.index))
    if n_new:
        told.append(f"locked test set: {n_new} new patients were added to the {len(draw.locked)} drawn before")
    if n_gone:
        told.append(f"locked test set: {n_gone} of the {len(draw.locked)} that were drawn are no longer in the table")
    return draw.after(locked=shut, passed=passed), told


def _parts(study: Study, *, cohort: pd.DataFrame, eligible: set[str], draw: locked.Draw | None) -> pd.Series:
    """The part of every patient of the cohort; a year that is missing hinders only where the patient is eligible."""
    said = study.split
    rows = cohort
    if said.temporal_from_year is not None and "treatment_year" in cohort:
        rows = cohort[cohort["treatment_year"].notna() | cohort["patient_id"].isin(eligible)]
    found = splits.hold_out(
        rows, external_centres=said.external_centres, temporal_from_year=said.temporal_from_year,
        locked_fraction=said.locked_fraction, seed=study.seed, drawn=draw.drawn if draw else None,
    )  # fmt: skip
    return found.set_index("patient_id")["part"]


def _roles(patients: pd.DataFrame, *, known: Any) -> pd.Series:
    """labelled, external, test or unlabelled; an SBRT patient is unlabelled wherever he was treated."""
    role = patients["part"].map(ROLES).fillna("labelled")
    return role.where(known, "unlabelled")


def _folds(study: Study, *, patients: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The folds of development, or one sentence why there are too few patients for them."""
    said = study.training
    n_positive = int((patients["onlm"] == 1).sum())
    n_negative = len(patients) - n_positive
    counts = f"{n_positive} patients with and {n_negative} without nodal metastasis are labelled"
    counts += " and in development" if _holds_out(study) else ""
    left_out = said.scheme == "leave_one_centre_out"
    wanted = 2 if left_out else said.folds
    if min(n_positive, n_negative) < wanted:
        raise StudyError(
            f"{counts}; wanted at least {wanted} of each{'' if left_out else ', one a fold'}. "
            f"{'Add patients' if left_out else 'Lower [training] folds, or add patients'}"
            f"{', or hold fewer out in [split].' if _holds_out(study) else '.'}"
        )
    notes = _centre_notes(patients) if left_out else []
    folds = splits.make_folds(patients, n_folds=said.folds, n_repeats=said.repeats, seed=study.seed, scheme=said.scheme)
    return folds, notes


def _centre_notes(patients: pd.DataFrame) -> list[str]:
    """Leaving one centre out: a centre may hold one class only, or too much of one to be missed."""
    by_centre = patients.groupby("centre")["onlm"].agg(n="size", n_positive="sum")
    all_of = by_centre.sum()
    left = pd.DataFrame(
        {"with": all_of["n_positive"] - by_centre["n_positive"],
         "without": (all_of["n"] - all_of["n_positive"]) - (by_centre["n"] - by_centre["n_positive"])}
    )  # fmt: skip
    poor = left[left.min(axis=1) < 2]
    if len(poor):
        centre = poor.index[0]
        raise StudyError(
            f"Leaving out centre '{centre}' leaves {poor.loc[centre, 'with']:.0f} patients with and "
            f"{poor.loc[centre, 'without']:.0f} without nodal metastasis to learn from; wanted at least 2 of each. "
            "Use [training] scheme = 'stratified', or add patients."
        )
    one = by_centre[(by_centre["n_positive"] == 0) | (by_centre["n_positive"] == by_centre["n"])]
    if not len(one):
        return []
    words = f"{len(one)} of {len(by_centre)} centres {'has' if len(one) == 1 else 'have'} patients of one class only"
    names = ", ".join(str(c) for c in one.index[:5]) + (", ..." if len(one) > 5 else "")
    return [f"{words} ({names}): left out in turn and tested like the others, but without an AUC of its own"]


def _holds_out(study: Study) -> bool:
    said = study.split
    return bool(said.external_centres or said.temporal_from_year is not None or said.locked_fraction)


def _require_tested(study: Study, *, patients: pd.DataFrame) -> None:
    """Each part that the study asks for has somebody to be tested in this run."""
    asked = {
        splits.EXTERNAL: bool(study.split.external_centres), splits.LOCKED: bool(study.split.locked_fraction),
        splits.TEMPORAL: study.split.temporal_from_year is not None,
    }  # fmt: skip
    for part, wanted in asked.items():
        rows = patients[patients["part"] == part]
        if wanted and not (rows["role"] != "unlabelled").any():
            raise StudyError(
                f"[split] none of the {len(rows)} patients of the {part} part is eligible, has what the models need "
                "and has a label; wanted at least 1. Change [split], or see work/flow.csv and work/prepared.csv."
            )


def _facts(study: Study, *, patients: pd.DataFrame, all_locked: list[str]) -> dict[str, Any]:
    """What split.json says; of the locked part only how many they are."""
    counts: dict[str, dict[str, int]] = {}
    for part in splits.PARTS:
        rows = patients[patients["part"] == part]
        counts[part] = {"n": len(rows)}
        if part != splits.LOCKED:
            known = rows.loc[rows["role"] != "unlabelled", "onlm"]
            counts[part] |= {"n_labelled": len(known), "n_positive": int((known == 1).sum())}
    left_out = study.training.scheme == "leave_one_centre_out"
    return {
        "seed": study.seed,
        "scheme": study.training.scheme,
        "n_folds": None if left_out else study.training.folds,
        "n_repeats": 1 if left_out else study.training.repeats,
        "external_centres": list(study.split.external_centres),
        "temporal_from_year": study.split.temporal_from_year,
        "locked_fraction": study.split.locked_fraction,
        "counts": counts,
        "locked_sha256": hashlib.sha256("\n".join(all_locked).encode()).hexdigest() if all_locked else None,
    }
