"""The way from files to a report, step by step: the only place where cohort and images meet.

    check -> screen -> prepare -> train -> analyse -> report

Each step is a library call here, a verb of `onlm`, and, under `run`, a process of its own. A step whose inputs have
not changed is skipped; a step that was killed starts again and keeps what it had finished. Torch is never imported
here: training is started as `onlm train`.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from onlm_lab import processes, readiness, runs, schema, split_files, steps, verdicts
from onlm_lab.errors import DataError, OnlmError, StudyError
from onlm_lab.plan import STEPS, planned, run_of, work_file
from onlm_lab.runs import Run
from onlm_lab.study import Changes, Study, change_words, load_study

if TYPE_CHECKING:
    from onlm_lab.cohort.locked import Opening

OPENINGS = "openings.csv"  # with the study: a new run must not forget that the locked test set was opened before


def run(
    folder: str | Path, *, say: Callable[[str], None], redo: bool = False, cluster: str | None = None,
    workers: int | None = None, devices: Sequence[str] = (), changes: Changes | None = None,
) -> Run:  # fmt: skip
    """Do every step of a study that is not yet done, each in its own process.

    Args:
        folder: the study's folder.
        say: takes a line for the user.
        redo: do every step again.
        cluster: address of a Dask cluster that reads and cuts the CT; None takes this machine.
        workers: processes of this machine that do it; None takes as many as it has cores.
        devices: what training is told of where to run, such as ("--devices", "4"); see learning.train.
        changes: settings of this run in the place of study.toml's, which stays as it is; see study.changing.

    Raises:
        OnlmError: a step found something wrong; its own words are already on the screen.
    """
    study = load_study(folder, changes=changes)
    with steps.locked(study.folder):
        for number, name in enumerate(STEPS, start=1):
            began = time.monotonic()
            step = planned(study, name=name)
            if step.done() and not redo:
                say(f"[{number}/{len(STEPS)}] {name}: nothing changed, kept")
                continue
            say(f"[{number}/{len(STEPS)}] {name} ...")
            command = processes.module_command("onlm_lab.cli", name, str(study.folder), "--step")
            command += change_words(changes or {})
            if name == "prepare":
                command += ["--cluster", cluster] if cluster else []
                command += ["--workers", str(workers)] if workers else []
            if name == "train":
                command += devices
            code = processes.run_child(command)
            if code:
                raise StepFailed(name=name, code=code)
            say(f"[{number}/{len(STEPS)}] {name}: done in {time.monotonic() - began:.0f} s")
    return run_of(study)


class StepFailed(OnlmError):
    """A step's process ended with an error that it has already told."""

    def __init__(self, *, name: str, code: int):
        self.code = code
        said = "stopped. Mend what it says above and"
        if code > 128:
            killed = " (killed, most often because memory ran out)" if code == 137 else ""
            said = f"was ended by signal {code - 128}{killed}. Mend that and"
        super().__init__(f"Step '{name}' {said} start the same command again: it goes on.")


def perform(
    folder: str | Path, *, name: str, say: Callable[[str], None], cluster: str | None = None,
    workers: int | None = None, devices: Sequence[str] = (), changes: Changes | None = None,
) -> None:  # fmt: skip
    """Do one step here and now, and note it as done; `cluster`, `workers`, `devices` and `changes` as in `run`."""
    study = load_study(folder, changes=changes)
    if name == "train" and joins_another():
        _join_training(study, devices=devices)
        return
    began = time.monotonic()
    work = {
        "check": check, "screen": screen, "prepare": partial(prepare, cluster=cluster, workers=workers),
        "train": partial(train, devices=devices), "analyse": analyse, "report": report,
    }  # fmt: skip
    needs = STEPS[: STEPS.index(name)]
    for earlier in needs:
        if not planned(study, name=earlier).done():
            raise OnlmError(
                f"Step '{name}' needs '{earlier}' first. "
                f"Run `{shlex.join(['onlm', earlier, study.folder.resolve().name, *change_words(changes or {})])}` "
                "or `onlm run`."
            )
    step = planned(study, name=name)
    outputs, facts = work[name](study, say=say)
    told = name in ("analyse", "report")  # of one run, and anew where other things are asked of it
    shared = [path for path in outputs if told or path.parent == study.folder / "work"]
    step.finish(outputs=outputs, seconds=time.monotonic() - began, facts=facts, sealed=shared)


# --- the steps: each takes a study, gives its output files and a few facts -------------------------------------------


def check(study: Study, *, say: Callable[[str], None]) -> tuple[list[Path], dict[str, Any]]:
    """Read every table against the schema; all faults at once (see readiness), each cell of them in faults.csv."""
    from onlm_lab.cohort.fault_lists import fault_list_csv

    listed = work_file(study, "faults.csv")
    listed.unlink(missing_ok=True)
    try:
        ready = readiness.require_ready(study)
    except DataError as error:
        if any(fault.rows for fault in error.details):
            steps.write_text(listed, fault_list_csv(error.details, study=study))
            say(f"  the list of faults, cell by cell: {listed.relative_to(study.folder)}")
        raise
    patients = ready.cohort.patients
    for line in ready.cohort.notes:
        say(f"  {line}")
    n_centres = int(patients["centre"].nunique())
    said = "1 centre" if n_centres == 1 else f"{n_centres} centres"
    people = "1 patient" if len(patients) == 1 else f"{len(patients)} patients"
    say(f"  {people}, {said}: tables fit the schema")
    facts = {"n_patients": len(patients), "n_centres": n_centres, "notes": list(ready.cohort.notes)}
    facts |= {} if ready.n_annotated is None else {"n_annotated": ready.n_annotated}
    out = work_file(study, "checked.json")
    steps.write_text(out, json.dumps(facts, ensure_ascii=False))
    return [out], facts


def screen(study: Study, *, say: Callable[[str], None]) -> tuple[list[Path], dict[str, Any]]:
    """Who is in: the eligibility log, each patient's status, the flow; the cohort with label and endpoints."""
    from onlm_lab import screening

    found = screening.screen_study(study)
    for name, table in found.tables.items():
        schema.write_table(table, work_file(study, name), extra_columns=found.extra_columns)
    for line in found.sentences:
        say(f"  {line}")
    if not found.counts["eligible"]:
        raise StudyError(
            "No patient is eligible. work/flow.csv says which rule each one meets first, work/undetermined.csv what "
            "is missing; fill that, or state the protocol that is meant under [protocol]."
        )
    return [work_file(study, name) for name in found.tables], {**found.counts, "notes": list(found.notes)}


def prepare(
    study: Study, *, say: Callable[[str], None], cluster: str | None = None, workers: int | None = None
) -> tuple[list[Path], dict[str, Any]]:
    """Find the series, read, judge, and cut a patch around each eligible patient's tumour; resumable row by row."""
    status = runs.read_csv(work_file(study, "status.csv"))
    eligible = status.loc[status["status"] == "eligible", "patient_id"].tolist()
    if not readiness.with_images(study):
        say("  no images in this study: clinical model only")
        out = work_file(study, "prepared.csv")
        schema.write_table(pd.DataFrame({"patient_id": eligible, "usable": 1, "reason": None}), out)
        return [out], {"n_usable": len(eligible)}
    from onlm_lab import preparation

    cohort = runs.read_csv(work_file(study, "cohort.csv"))
    annotations = readiness.read_annotations(study, patients=cohort)
    return preparation.prepare_study(
        study, patient_ids=eligible, patients=cohort, annotations=annotations, say=say, address=cluster,
        workers=workers,
    )  # fmt: skip


def begin_run(study: Study) -> Run:
    """Make (or find) the run's folder: study, patients and split, before anything is fitted."""
    return _begin(study)[0]


def _begin(study: Study) -> tuple[Run, tuple[str, ...]]:
    """The run as begin_run makes it, and what a reader must know of its split."""
    from onlm_lab import dealing
    from onlm_lab.cohort import locked

    handle = run_of(study)
    names = ("cohort.csv", "status.csv", "prepared.csv")
    cohort, status, prepared = (runs.read_csv(work_file(study, name)) for name in names)
    before = locked.read_draw(study.path(locked.DRAW))
    dealt = dealing.deal(study, cohort=cohort, status=status, prepared=prepared, draw=before)
    if dealt.draw is not None and dealt.draw != before:
        locked.write_draw(study.path(locked.DRAW), dealt.draw)
    schema.write_table(dealt.patients, handle.folder / "patients.csv")
    split_files.write_split(handle.folder, folds=dealt.folds, parts=dealt.parts, facts=dealt.facts)
    write_study(study, handle.folder)
    return handle, dealt.notes


def write_study(study: Study, folder: Path) -> None:
    """study.toml in full, defaults included: what a run stood on stays readable when defaults move on."""
    import tomli_w

    steps.write_text(folder / "study.toml", tomli_w.dumps(_without_none(study.to_dict())))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list | tuple) else value


def train(
    study: Study, *, say: Callable[[str], None], devices: Sequence[str] = ()
) -> tuple[list[Path], dict[str, Any]]:
    """Start training, and then explaining, in processes of their own, so that no torch enters this one."""
    from onlm_lab import opening

    n_opened = len(opening.record(study.path(OPENINGS)))
    handle, notes = _begin(study)
    say(f"  runs/{handle.id}: {_roles(handle)}")
    if n_opened and study.split.locked_fraction:
        times = "once" if n_opened == 1 else f"{n_opened} times"
        notes += (f"the locked test set of this study has been opened {times} before this training",)
    for note in notes:
        say(f"  {note}")
    _run_learning(["train", *devices], study=study, run=handle)
    if study.training.explain:
        _run_learning(["explain"], study=study, run=handle)
    later = (
        "event_risk.csv", "results.json", "report.html", "checklist.csv", "model_card.md", "model_card.html",
        "opening.json", "opened.csv",
    )  # fmt: skip
    made = [path for path in sorted(handle.folder.iterdir()) if path.is_file() and path.name not in later]
    made += sorted(handle.folder.glob("saliency/*.csv"))
    return [path for path in made if not path.name.startswith(".")], {"run": handle.id}


def _run_learning(words: Sequence[str], *, study: Study, run: Run) -> None:
    """A module of `learning` on a run, with its options."""
    command = processes.module_command(f"onlm_lab.learning.{words[0]}", str(run.folder), *words[1:])
    if readiness.with_images(study):
        from onlm_lab import preparation

        command += ["--cache", str(preparation.cache_folder(study))]
    code = processes.run_child(command)
    if code:
        raise StepFailed(name="train", code=code)


def joins_another() -> bool:
    """Whether this machine only helps another one to train (NODE_RANK, as Lightning Fabric and its launchers say it):
    it holds no lock and writes nothing."""
    return os.environ.get("NODE_RANK", "0") not in ("", "0")


def _join_training(study: Study, *, devices: Sequence[str]) -> None:
    """Train along with the machine of NODE_RANK 0, which began the run in the same folder."""
    run = run_of(study)
    if not (run.folder / split_files.SEAL).is_file():
        raise OnlmError(
            f"This is machine {os.environ['NODE_RANK']}, and machine 0 has not begun runs/{run.id} in this folder yet. "
            "Start the command there first; all machines must see the same folder."
        )
    _run_learning(["train", *devices], study=study, run=run)


def _roles(handle: Run) -> str:
    """How many patients of a run play which part, in words."""
    n = handle.patients["role"].value_counts()
    words = {"external": "external or later patients to test on", "test": "locked until `onlm open-test`"}
    more = [f"{n[role]} {said}" for role, said in words.items() if role in n]
    return ", ".join([f"{n['labelled']} labelled patients", *more])


def analyse(study: Study, *, say: Callable[[str], None]) -> tuple[list[Path], dict[str, Any]]:
    """What the risks say of the outcomes, patient by patient (event_risk.csv), and every statistic, as results.json."""
    from onlm_lab import opening
    from onlm_lab.analysis import battery

    handle = run_of(study)
    write_study(study, handle.folder)
    split_files.read_split(handle.folder)  # one that was changed is refused before anything is said of it
    opening.record(study.path(OPENINGS))  # likewise
    openings = handle.openings
    if handle.remembered and not openings:
        say("  the locked test set was opened to other predictions than these: it is closed to them")
    rows = handle.rows()
    told = _tell_events(rows, study=study, run=handle)
    results = battery.analyse(
        rows, plan=study.analysis, predictors=study.training.predictors, seed=study.seed, progress=True,
        openings=openings, event_risk=handle.event_risk(),
    )  # fmt: skip
    out = handle.folder / "results.json"
    battery.write_results(results, out)
    outputs = [told, out]
    if study.made_up and study.path("truth.csv").is_file():
        outputs.append(_ask_oracle(study, handle=handle))
    for line in verdicts.lines(handle, results=results):
        say(f"  {line}")
    return outputs, {}


def _tell_events(rows: pd.DataFrame, *, study: Study, run: Run) -> Path:
    """event_risk.csv: a row a patient, model, endpoint and horizon, from models of the outcome without the patient."""
    from onlm_lab.analysis import battery, event_risk_table

    table = event_risk_table(
        battery.first_repeat(rows), endpoints=study.analysis.endpoints, horizon_days=study.analysis.horizon_days
    )
    table = table.assign(
        horizon_days=table["horizon_days"].astype(int), event_risk=table["event_risk"].astype(float).round(6)
    )
    return schema.write_table(table, run.folder / runs.EVENT_RISK)


def open_test(folder: str | Path, *, purpose: str, by: str = "", say: Callable[[str], None]) -> Opening:
    """Open the locked test set of a study to its present run: a line in openings.csv, then results and report anew.

    Args:
        folder: the study's.
        purpose: why it is opened; stands in the record.
        by: who opens it.
        say: takes a line for the user.

    Raises:
        OnlmError: the run is not finished, there is no locked set, or its record or the split was changed.
    """
    from onlm_lab import opening

    study = load_study(folder)
    for name in STEPS[: STEPS.index("analyse")]:
        if not planned(study, name=name).done():
            raise OnlmError(
                f"The locked test set is opened to a finished run, and step '{name}' is not done. "
                f"Run `onlm run {study.folder.resolve().name}` first."
            )
    found = opening.open_set(
        run_of(study), cohort=runs.read_csv(work_file(study, "cohort.csv")), log=study.path(OPENINGS), purpose=purpose,
        by=by, keep=study.training.predictors, extra_columns=schema.declared(study.columns),
    )  # fmt: skip
    say(f"  {opening.loud(found)}")
    say(f"  recorded in {OPENINGS}, line {found.number}, sha256 {found.sha256}")
    for name in ("analyse", "report"):
        perform(study.folder, name=name, say=say)
    return found


def _ask_oracle(study: Study, *, handle: Run) -> Path:
    """On a made-up trial: the AUC that somebody who knew the truth would reach in the same patients."""
    from onlm_lab import analysis
    from onlm_lab.virtual import oracle

    tested = handle.rows(split="oof").drop_duplicates("patient_id")[["patient_id", "onlm"]]
    known = oracle.oracle_predictions(study.folder, tested["patient_id"].tolist()).merge(tested, on="patient_id")
    answer = {
        kind: analysis.roc(known.rename(columns={f"risk_{kind}": "risk"})).to_dict()["auc"]
        for kind in ("clinical", "full")
    }
    out = work_file(study, "oracle.json")
    steps.write_text(out, json.dumps(answer, indent=1, sort_keys=True))
    return out


def report(study: Study, *, say: Callable[[str], None]) -> tuple[list[Path], dict[str, Any]]:
    """One self-contained HTML file, its checklists as a table, and the model card as Markdown and HTML."""
    from onlm_lab.report.files import write_files

    outputs = write_files(run_of(study), work=study.folder / "work", progress=True)
    for out in outputs:
        say(f"  {out.relative_to(study.folder)}")
    return outputs, {}
