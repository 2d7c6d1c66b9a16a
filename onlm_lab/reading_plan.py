"""How a reader study goes, fixed before the first case is read: runs/<id>/reading_plan.json.

Which cases, in which order for each reader, which model, what is shown beside the CT, the threshold, and whether there
is a second estimate. The plan is sealed, and it holds for the predictions that it was made with.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock

from onlm_lab import readings, schema, steps
from onlm_lab.errors import OnlmError
from onlm_lab.readings import ALONE, WITH_MODEL, Readings, reader_code
from onlm_lab.runs import Run
from onlm_lab.showing import Said, shows_itself

FILE = "reading_plan.json"
SPLITS = ("oof", "test", "external")  # of whom the model has not seen the label
UNKNOWN_READER = "This code is not on the list of the study. Ask whoever runs it."


@shows_itself
@dataclass(frozen=True)
class ReadingPlan:
    """A reader study.

    Attributes:
        model_id: whose risk is shown after the reader's own estimate.
        split: oof, test or external: whose predictions.
        orders: reader code -> patient_ids in the order in which this reader sees them.
        columns: clinical columns shown with the CT, all known before treatment.
        threshold: an estimate from here on counts as positive.
        second_estimate: whether the reader estimates again after the model's risk was shown.
        seed: of the draw and the orders.
        predictions_sha256: of predictions.csv when the study was planned.
        time_utc: when.
    """

    model_id: str
    split: str
    orders: dict[str, list[str]]
    columns: tuple[str, ...]
    threshold: float
    second_estimate: bool
    seed: int
    predictions_sha256: str
    time_utc: str

    def _said(self) -> Said:
        n_patients = len(next(iter(self.orders.values()), []))
        facts = {
            "readers": tuple(self.orders), "patients": n_patients, "model shown after": self.model_id,
            "predictions": self.split, "shown beside the CT": self.columns, "positive from": self.threshold,
            "second estimate": self.second_estimate, "planned (UTC)": self.time_utc,
        }  # fmt: skip
        return Said(f"Reader study: {len(self.orders)} readers, {n_patients} patients, model {self.model_id}", facts)


class Case(NamedTuple):
    """What a reader does next."""

    patient_id: str
    order: int  # from 1
    step: str


class Shown(NamedTuple):
    """The model's risk of one patient and its spread."""

    risk: float
    low: float
    high: float


def plan_reading(
    run: Run, *, readers: Sequence[str], model: str | None = None, split: str | None = None,
    n_positive: int | None = None, n_negative: int | None = None, threshold: float | None = None,
    second_estimate: bool = True, columns: Sequence[str] | None = None, seed: int | None = None,
) -> ReadingPlan:  # fmt: skip
    """Plan a reader study and write the plan into the run's folder.

    Args:
        run: a finished run.
        readers: their codes, such as ["R01", "R02"].
        model: None: the study's primary model.
        split: oof, test or external; None: the first of these that has patients with a known label.
        n_positive, n_negative: how many N+ and N0 patients are drawn; None: all. Readers are not told.
        threshold: an estimate from here on counts as positive; None: the middle of the model's own thresholds.
        second_estimate: whether readers estimate again with the model's risk in sight.
        columns: clinical values shown with the CT; None: the predictors of the study.
        seed: None: the study's.

    Raises:
        OnlmError: there is a plan already, too few patients, a column that may give the answer away, or no such model.
    """
    path = run.folder / FILE
    if path.exists():
        raise OnlmError(f"Run {run.id} has a {FILE} already. A study is planned once; add a reader with add_reader.")
    seed = run.study.seed if seed is None else seed
    rows, split = _candidates(run, model=model or run.study.primary_model, split=split)
    rng = np.random.default_rng([seed, 0])
    drawn = _draw(rows, n_positive=n_positive, n_negative=n_negative, rng=rng)
    plan = ReadingPlan(
        model_id=model or run.study.primary_model, split=split,
        orders={code: _order(drawn, reader=code, seed=seed) for code in _codes(readers)},
        columns=_columns(run, rows=rows, columns=columns), threshold=_threshold(rows, threshold=threshold),
        second_estimate=second_estimate, seed=int(seed),
        predictions_sha256=steps.file_digest(run.folder / "predictions.csv"),
        time_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )  # fmt: skip
    _write(path, plan)
    return plan


def add_reader(run: Run, *, reader: str) -> ReadingPlan:
    """The plan with one more reader, who reads the same cases in an order of his own.

    Raises:
        OnlmError: no plan, no code, or this reader is there already.
    """
    with FileLock(run.folder / f".{FILE}.lock"):
        plan, code = read_plan(run), reader_code(reader)
        if code in plan.orders:
            raise OnlmError(f"{FILE}: reader {code} is there already.")
        drawn = sorted(next(iter(plan.orders.values())))
        plan = replace(plan, orders=plan.orders | {code: _order(drawn, reader=code, seed=plan.seed)})
        _write(run.folder / FILE, plan)
    return plan


def read_plan(run: Run) -> ReadingPlan:
    """The plan of a run's reader study.

    Raises:
        OnlmError: there is none, it was changed, or the predictions are no longer those that it was made with.
    """
    path = run.folder / FILE
    if not path.is_file():
        raise OnlmError(
            f"No reader study is planned for run {run.id}. Whoever runs it says who reads what: "
            "reading_plan.plan_reading(run, readers=['R01', 'R02', 'R03'])."
        )
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        sha256 = said.pop("sha256")
        plan = ReadingPlan(**{**said, "columns": tuple(said["columns"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        plan, sha256 = None, ""
    if plan is None or sha256 != _sealed(plan):
        raise OnlmError(f"{FILE} is not as it was written. Put the original file back: readers go on by it.")
    if steps.file_digest(run.folder / "predictions.csv") != plan.predictions_sha256:
        raise OnlmError(
            f"The predictions of run {run.id} have changed since the reader study was planned: readers would be shown "
            "other risks than those before them. Put the original predictions.csv back, or plan a study in a new run."
        )
    return plan


def told(run: Run) -> list[str]:
    """What is planned, in sentences for whoever runs the study: counts, no patient.

    Raises:
        OnlmError: there is no plan, or it does not hold any more.
    """
    plan = read_plan(run)
    drawn = next(iter(plan.orders.values()))
    label = run.patients.set_index("patient_id")["onlm"].reindex(drawn)
    then = "then a second estimate" if plan.second_estimate else "without a second estimate"
    return [
        f"Reader study of run {run.id}: {len(drawn)} patients ({int((label == 1).sum())} N+, {int((label == 0).sum())} "
        f"N0), whose label model '{plan.model_id}' never saw ({plan.split}).",
        f"Readers {', '.join(plan.orders)}, each in an order of his own: an estimate alone, the model's risk, {then}. "
        f"Positive from {plan.threshold:g}.",
        f"Beside the CT they see {', '.join(plan.columns) or 'no clinical value'}.",
    ]


def planned_run(runs: Sequence[Run], *, else_run: Run) -> Run:
    """The newest of these runs that has a reader study, so that readers go on in it although a newer run is there.

    Args:
        runs: of a study, the newest last.
        else_run: where none has one.
    """
    return next((run for run in reversed(runs) if (run.folder / FILE).is_file()), else_run)


def next_case(
    plan: ReadingPlan, table: pd.DataFrame, *, reader: str, skipped: Collection[str] = ()
) -> Case | None:  # fmt: skip
    """What this reader does next, from what is on the disk; None when all is read.

    Args:
        plan: of the study.
        table: of `readings.read_readings`.
        reader: the reader's code.
        skipped: patients who are passed over in this sitting.

    Raises:
        OnlmError: this reader is not in the plan.
    """
    if reader not in plan.orders:
        raise OnlmError(UNKNOWN_READER)
    own = table[table["reader_id"] == reader]
    done = {step: set(own.loc[own["step"] == step, "patient_id"]) for step in (ALONE, WITH_MODEL)}
    for order, patient_id in enumerate(plan.orders[reader], start=1):
        if patient_id in skipped:
            continue
        if patient_id not in done[ALONE]:
            return Case(patient_id, order, ALONE)
        if plan.second_estimate and patient_id not in done[WITH_MODEL]:
            return Case(patient_id, order, WITH_MODEL)
    return None


def risks(run: Run, *, plan: ReadingPlan) -> dict[str, Shown]:
    """patient_id -> the model's risk and its spread, of the cases of the plan."""
    rows = _of_model(run.predictions, model=plan.model_id, split=plan.split)
    wanted = set(next(iter(plan.orders.values())))
    low, high = (rows[c] if c in rows.columns else pd.Series(math.nan, index=rows.index) for c in _SPREAD)
    found = zip(rows["patient_id"], rows["risk"], low, high, strict=True)
    return {str(p): Shown(float(r), float(a), float(b)) for p, r, a, b in found if p in wanted}


def reader_rows(run: Run) -> tuple[pd.DataFrame, Readings]:
    """What was read, beside what the pathologist found: a row a reader and patient, for `analysis.compare_readers`.

    Returns:
        the rows (columns of `readings.paired_readings`, onlm, risk), and the readings with their notes.

    Raises:
        OnlmError: no plan, or a table that was changed.
    """
    plan, found = read_plan(run), readings.read_readings(run.folder)
    rows = readings.paired_readings(found.table)
    label = run.patients.set_index("patient_id")["onlm"]
    risk = {patient: shown.risk for patient, shown in risks(run, plan=plan).items()}
    return rows.assign(onlm=rows["patient_id"].map(label), risk=rows["patient_id"].map(risk)), found


_SPREAD = ("risk_low", "risk_high")


def _of_model(rows: pd.DataFrame, *, model: str, split: str) -> pd.DataFrame:
    rows = rows[(rows["model_id"] == model) & (rows["split"] == split)]
    return rows[rows["repeat"] == rows["repeat"].min()] if "repeat" in rows.columns else rows


def _candidates(run: Run, *, model: str, split: str | None) -> tuple[pd.DataFrame, str]:
    rows = run.rows()
    models = [str(m) for m in pd.unique(rows["model_id"])]
    if model not in models:
        raise OnlmError(f"predictions: there is no model '{model}'; there is {', '.join(models)}.")
    if split is not None and split not in SPLITS:
        raise OnlmError(f"split must be one of {', '.join(SPLITS)}, got '{split}'.")
    for name in SPLITS if split is None else (split,):
        known = _of_model(rows, model=model, split=name)
        known = known[known["onlm"].notna()]
        if len(known):
            return known, name
    raise OnlmError(
        f"No patient of split {split or ', '.join(SPLITS)} has a known label, so readers could not be judged. Finish "
        "the run, or open the locked test set first."
    )


def _draw(
    rows: pd.DataFrame, *, n_positive: int | None, n_negative: int | None, rng: np.random.Generator
) -> list[str]:  # fmt: skip
    drawn: list[str] = []
    for label, wanted, word in ((1, n_positive, "N+"), (0, n_negative, "N0")):
        there = sorted(rows.loc[rows["onlm"] == label, "patient_id"].astype(str))
        n = len(there) if wanted is None else wanted
        if not 2 <= n <= len(there):
            raise OnlmError(f"{n} {word} patients cannot be drawn: at least 2 are needed, and there are {len(there)}.")
        drawn += [there[i] for i in sorted(rng.choice(len(there), size=n, replace=False))]
    return sorted(drawn)


def _order(patients: Sequence[str], *, reader: str, seed: int) -> list[str]:
    own = int.from_bytes(hashlib.sha256(reader.encode()).digest()[:8], "big")
    return [patients[i] for i in np.random.default_rng([seed, 1, own]).permutation(len(patients))]


def _codes(readers: Sequence[str]) -> list[str]:
    if isinstance(readers, str) or not readers:
        raise OnlmError("readers must be a list of codes, such as ['R01', 'R02'].")
    codes = [reader_code(text) for text in readers]
    if len(set(codes)) < len(codes):
        raise OnlmError("readers: a code is there twice. Each reader has a code of his own.")
    return codes


def _columns(run: Run, *, rows: pd.DataFrame, columns: Sequence[str] | None) -> tuple[str, ...]:
    extra = schema.declared(run.study.columns)

    def early(name: str) -> bool:
        spec = schema.column(name, extra_columns=extra)
        return spec is not None and spec.timing == "pre_treatment"

    if columns is None:
        return tuple(c for c in run.study.training.predictors if c in rows.columns and early(c))
    lost = [c for c in columns if c not in rows.columns]
    late = [c for c in columns if c not in lost and not early(c)]
    if lost or late:
        said = [f"there is no column {', '.join(lost)}"] if lost else []
        said += [f"{', '.join(late)} is not known before treatment, or says who the patient is"] if late else []
        raise OnlmError(f"columns: {'; '.join(said)}. Readers may see only what was known before treatment.")
    return tuple(columns)


def _threshold(rows: pd.DataFrame, *, threshold: float | None) -> float:
    if threshold is None:
        own = rows["threshold"].median() if "threshold" in rows.columns else math.nan
        if not math.isfinite(own):
            raise OnlmError("The predictions carry no threshold: name one, such as threshold=0.1.")
        return round(float(own), 3)
    if not 0 < threshold < 1:
        raise OnlmError(f"threshold must lie between 0 and 1, got {threshold}.")
    return float(threshold)


def _sealed(plan: ReadingPlan) -> str:
    return hashlib.sha256(json.dumps(asdict(plan), sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _write(path: Path, plan: ReadingPlan) -> None:
    said: dict[str, Any] = {**asdict(plan), "sha256": _sealed(plan)}
    steps.write_text(path, json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False))
