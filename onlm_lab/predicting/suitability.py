"""May a run predict the patients of another study? What forbids it, all at once, and what a reader must know.

Forbidden: patients who taught the run or lie in its locked test set, a patch of another size, a column of the
hospital's own that is not declared as it was in training. To be known: everything else that differs.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from onlm_lab.readiness import with_images
from onlm_lab.showing import Said, shows_itself
from onlm_lab.study import MODELS, Study

IDENTITY = ("sex", "age_years")  # with the predictors: what tells one patient's row from another's
ENOUGH = 3  # numbers that must be known before two equal rows count as one patient
SHOWN = 5  # patients named in a sentence


@shows_itself
@dataclass(frozen=True)
class Suitability:
    """What was found.

    Attributes:
        faults: sentences; with any of them nothing is predicted.
        remarks: sentences to be read beside the predictions.
    """

    faults: tuple[str, ...]
    remarks: tuple[str, ...]

    def _said(self) -> Said:
        verdict = f"must not be predicted ({len(self.faults)} faults)" if self.faults else "may be predicted"
        return Said(f"Suitability: {verdict}, {len(self.remarks)} to know", notes=(*self.faults, *self.remarks))


def sees_ct(trained: Study) -> bool:
    """Whether one of the run's models looks at the CT."""
    return any(model != "clinical" for model in trained.training.models if model in MODELS)


def assess_study(study: Study, *, trained: Study) -> Suitability:
    """What the two study.toml say, before a patient of the new study is looked at.

    Args:
        study: whose patients are to be predicted.
        trained: the run's.
    """
    faults, remarks = [], []
    wanted = [name for name in trained.training.models if name in MODELS]
    if sees_ct(trained) and with_images(study):
        for name in ("size_mm", "spacing_mm"):
            own, there = getattr(study.patch, name), getattr(trained.patch, name)
            if own != there:
                faults.append(
                    f"study.toml: [patch] {name} is {own:g}, and the run's patches were cut with {there:g}. "
                    f"Set {name} = {there:g}."
                )
        if study.imaging != trained.imaging:
            remarks.append("[imaging] differs from the run's: the CT is chosen, read or judged by other settings")
    elif sees_ct(trained):
        said = "this study has no CT, or its [training] models name none that reads it"
        if wanted == ["image"]:
            faults.append(f"The run has an image-only model, and {said}. Name the CT folder and the annotations.")
        else:
            remarks.append(f"{said}: every patient is predicted without CT, with a wider spread")
    for name in trained.training.predictors:
        then, now = trained.columns.get(name), study.columns.get(name)
        if then is None:
            continue
        if now is None:
            faults.append(
                f"study.toml: the run reads the column {name}, which is no column of the dictionary. Declare "
                f'[columns.{name}] with type = "{then.type}", timing = "{then.timing}", unit = "{then.unit}", and add '
                "the column, empty where nothing is known."
            )
        elif (now.type, now.unit, now.timing) != (then.type, then.unit, then.timing):
            faults.append(
                f"study.toml: [columns.{name}] is {now.type} in '{now.unit}', {now.timing}; the run was trained with "
                f"{then.type} in '{then.unit}', {then.timing}. Give it as the run had it."
            )
    if study.made_up != trained.made_up:
        one, other = ("made up", "real") if study.made_up else ("real", "made up")
        remarks.append(
            f"these patients are {one}, and those who taught the run are {other}: nothing can be learnt of it"
        )
    if study.label != trained.label:
        remarks.append("[label] differs from the run's: the reference standard is not the same one")
    return Suitability(tuple(faults), tuple(remarks))


def assess_suitability(new: pd.DataFrame, *, taught: pd.DataFrame, trained: Study) -> Suitability:
    """What the patients' tables say together.

    Args:
        new: patients to be predicted, columns of the cohort.
        taught: patients of the run, with `role`.
        trained: the run's study.
    """
    faults, remarks = [], []
    predictors = [p for p in trained.training.predictors if _varies(taught, p)]
    lost = [name for name in predictors if name not in new]
    if lost:
        faults.append(
            f"The run reads {', '.join(lost)}, which the table does not have. Add the column, empty where nothing is "
            "known."
        )
    empty = [name for name in predictors if name in new and new[name].isna().all()]
    if empty:
        remarks.append(
            f"{', '.join(empty)}: known of no patient here, and the run reads it; each spread is wider for it"
        )
    known = [name for name in dict.fromkeys([*IDENTITY, *predictors]) if name in new and name in taught]
    words, numbers = _row_words(new, taught, columns=known)
    same = _same_people(new, taught, words=words, numbers=numbers)
    for roles, what in (({"labelled"}, "taught the run"), ({"test"}, "are in the run's locked test set")):
        ids = same.loc[same["same_id"] & same["same_row"] & same["role"].isin(roles), "patient_id"]
        if len(ids):
            faults.append(
                f"{_people(ids)} of {len(new)} {what}: same patient_id, same values. A result in them is no external "
                f"testing; leave them out of the table"
                f"{', or open the set with `onlm open-test`' if 'test' in roles else ''}."
            )
    other = same[same["same_id"] & ~same["same_row"] & (same["role"] == "labelled")]
    if len(other):
        remarks.append(
            f"{_people(other['patient_id'])} of {len(new)} bear an id that a training patient has too, with other "
            "values: taken for other people"
        )
    twins = same[~same["same_id"] & same["same_row"] & (same["role"] == "labelled")]
    if len(twins):
        remarks.append(
            f"{_people(twins['patient_id'])} of {len(new)} have every value of a training patient under another id "
            f"(such as {twins['other_id'].iloc[0]}): look whether they are the same people"
        )
    return Suitability(tuple(faults), tuple(remarks))


def _varies(taught: pd.DataFrame, name: str) -> bool:
    return name in taught and taught.loc[taught["role"] == "labelled", name].nunique() > 1


def _row_words(*tables: pd.DataFrame, columns: list[str]) -> tuple[list[pd.Series], list[pd.Series]]:
    """Each row as one text, and how many numbers in it are known."""
    words, counts = [], []
    for table in tables:
        text = pd.Series("", index=table.index)
        count = pd.Series(0, index=table.index)
        for name in columns:
            numbers = pd.to_numeric(table[name], errors="coerce")
            cell = numbers.map(lambda v: f"{v:.6g}").where(numbers.notna(), table[name].astype(object).map(str))
            text += "|" + cell.where(table[name].notna(), "")
            count += numbers.notna()
        words.append(text)
        counts.append(count)
    return words, counts


def _same_people(
    new: pd.DataFrame, taught: pd.DataFrame, *, words: list[pd.Series], numbers: list[pd.Series]
) -> pd.DataFrame:
    """Pairs of a new and a known patient with the same id, or the same row: patient_id, other_id, role, same_id,
    same_row."""
    a = pd.DataFrame({"patient_id": new["patient_id"], "row": words[0], "enough": numbers[0] >= ENOUGH})
    b = pd.DataFrame({"other_id": taught["patient_id"], "row": words[1], "role": taught["role"]})
    by_id = a.merge(b, left_on="patient_id", right_on="other_id", suffixes=("", "_other"))
    by_id["same_row"] = by_id["row"] == by_id["row_other"]
    by_row = a[a["enough"]].merge(b, on="row")
    by_row["same_row"] = True
    pairs = pd.concat([by_id, by_row[by_row["patient_id"] != by_row["other_id"]]], ignore_index=True)
    pairs["same_id"] = pairs["patient_id"] == pairs["other_id"]
    pairs["same_row"] = pairs["same_row"].astype(bool)
    return pairs[["patient_id", "other_id", "role", "same_id", "same_row"]]


def _people(ids: pd.Series) -> str:
    named = list(dict.fromkeys(ids))
    more = ", ..." if len(named) > SHOWN else ""
    return f"{len(named)} ({', '.join(named[:SHOWN])}{more})"
