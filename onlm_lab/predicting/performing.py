"""`onlm predict RUN STUDY`: a study's patients through check, screen and prepare, and before a run's models.

predictions/<run id>/
  patients.csv      who was predicted: columns of the cohort, `split` (external: the label is known; unlabelled), has_ct
  predictions.csv   as a run's; `onlm analyse` reads it
  drift.csv, drift.json    how unlike these patients are to those who taught the run
  about.json        which run and which patients, what to know, checksums
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import onlm_lab
from onlm_lab import analysis, figures, patches, pipeline, plan, preparation, processes, runs, schema, steps
from onlm_lab.errors import OnlmError, StudyError
from onlm_lab.figures import theme
from onlm_lab.predicting import drift
from onlm_lab.predicting.suitability import Suitability, assess_study, assess_suitability, sees_ct
from onlm_lab.readiness import with_images
from onlm_lab.runs import Run
from onlm_lab.study import MODELS, Study, load_study

FACTS = "image_facts.csv"
OF_THE_RUN = ("weights.safetensors", "calibration.json", "study.toml")


def predict_study(
    run: str | Path, study: str | Path, *, say: Callable[[str], None], out: Path | None = None,
    cluster: str | None = None, workers: int | None = None,
) -> Path:  # fmt: skip
    """The patients of a study by the final models of a run; gives the folder with predictions.csv.

    Args:
        run: its folder, or the study whose newest run is meant.
        study: the folder of the patients to predict.
        say: takes a line for the user.
        out: where to write; None: STUDY/predictions/<run id>.
        cluster, workers: for reading the CT, as in `pipeline.run`.

    Raises:
        OnlmError: the run is not finished, the study cannot be used, or its patients must not be predicted by this run;
            all that is known to be wrong at once.
    """
    handle = runs.open_run(run)
    trained = _finished(handle)
    new = load_study(study)
    if new.folder.resolve() in handle.folder.resolve().parents:
        raise StudyError(
            f"Run {handle.id} belongs to the study '{new.folder.resolve().name}' itself; its patients are in the run's "
            "own predictions.csv. Name the study of other patients."
        )
    with steps.locked(new.folder):
        before = assess_study(new, trained=trained)
        _refuse(before, run=handle)
        _prepared(new, images=sees_ct(trained), say=say, cluster=cluster, workers=workers)
        patients = _patients(new, images=sees_ct(trained), say=say)
        together = assess_suitability(patients, taught=handle.patients, trained=trained)
        _refuse(together, run=handle)
        folder = out or new.folder / "predictions" / handle.id
        remarks = (*before.remarks, *together.remarks)
        for line in remarks:
            say(f"  to know: {line}")
        return _predict(handle, new, patients, folder=folder, remarks=remarks, say=say)


def _finished(run: Run) -> Study:
    lost = [name for name in (*OF_THE_RUN, "patients.csv", "predictions.csv") if not (run.folder / name).is_file()]
    if lost:
        raise OnlmError(f"Run {run.id} has no {', '.join(lost)}: it is not finished. Finish it with `onlm run STUDY`.")
    return run.study


def _refuse(found: Suitability, *, run: Run) -> None:
    if found.faults:
        raise StudyError("\n".join([f"Run {run.id} cannot predict these patients:", *found.faults]))


def _prepared(
    study: Study, *, images: bool, say: Callable[[str], None], cluster: str | None, workers: int | None
) -> None:  # fmt: skip
    """Check, screen and, where CT is looked at, prepare; what is done already is kept."""
    names = ("check", "screen", "prepare") if images and with_images(study) else ("check", "screen")
    for number, name in enumerate(names, start=1):
        if plan.planned(study, name=name).done():
            say(f"[{number}/{len(names)}] {name}: nothing changed, kept")
            continue
        say(f"[{number}/{len(names)}] {name} ...")
        pipeline.perform(study.folder, name=name, say=say, cluster=cluster, workers=workers)


def _patients(study: Study, *, images: bool, say: Callable[[str], None]) -> pd.DataFrame:
    """Everybody who is eligible, with `split` and `has_ct`."""
    cohort, status = (runs.read_csv(plan.work_file(study, name)) for name in ("cohort.csv", "status.csv"))
    eligible = status.loc[status["status"] == "eligible", "patient_id"]
    patients = cohort[cohort["patient_id"].isin(eligible)].sort_values("patient_id", ignore_index=True)
    tested = patients["onlm"].notna() & (patients["arm"] != "sbrt")
    patients = patients.assign(
        onlm=patients["onlm"].where(tested), split=np.where(tested, "external", "unlabelled"), has_ct=0
    )
    if images and with_images(study):
        prepared = runs.read_csv(plan.work_file(study, "prepared.csv"))
        usable = prepared.loc[prepared["usable"] == 1, "patient_id"]
        patients["has_ct"] = patients["patient_id"].isin(usable).astype(int)
    n_left = len(status) - len(patients)
    with_ct = f", {int(patients['has_ct'].sum())} of them with a CT" if images else ""
    rest = f"; {n_left} are not eligible and are not predicted (work/status.csv)" if n_left else ""
    say(f"  {len(patients)} patients to predict{with_ct}{rest}")
    return patients


def _predict(
    run: Run, study: Study, patients: pd.DataFrame, *, folder: Path, remarks: tuple[str, ...],
    say: Callable[[str], None],
) -> Path:  # fmt: skip
    trained = run.study
    folder.mkdir(parents=True, exist_ok=True)
    schema.write_table(patients, folder / "patients.csv", extra_columns=schema.declared(study.columns))
    cache = preparation.cache_folder(study) if patients["has_ct"].any() else None
    inputs = steps.digest(
        [steps.file_digest(run.folder / name) for name in (*OF_THE_RUN, "patients.csv")], folder / "patients.csv",
        patches.open_cache(cache).digest if cache else "no images",
    )  # fmt: skip
    if _kept(folder, inputs=inputs):
        say("  predictions.csv: nothing changed, kept")
    else:
        (folder / "predictions.csv").unlink(missing_ok=True)
        _start(run, folder=folder, cache=cache)
    predictions = schema.read_table(folder / "predictions.csv", table="predictions")
    applied = json.loads((folder / "applied.json").read_text(encoding="utf-8"))
    found = _drift(run, study, patients, cache=cache)
    unlike = drift.ood_sentences(predictions)
    _write_drift(found, unlike, predictions=predictions, folder=folder)
    for line in (*found.sentences, *unlike):
        say(f"  differs: {line}")
    tested = _tested(predictions, patients=patients)
    _write_about(
        run, study, folder=folder, inputs=inputs, remarks=remarks, applied=applied, patients=patients, tested=tested
    )
    for line in _words(applied, tested=tested, patients=patients, made_up=study.made_up or trained.made_up):
        say(f"  {line}")
    if (patients["split"] == "external").any():
        say(f"  every statistic of it: {_next(study, folder=folder)}")
    return folder


def _next(study: Study, *, folder: Path) -> str:
    """The command that analyses the predictions, as a shell takes it."""
    parts = ["onlm", "analyse", str(folder / "predictions.csv"), "--clinical", str(study.path(study.data.clinical))]
    if study.data.followup and study.path(study.data.followup).is_file():
        parts += ["--followup", str(study.path(study.data.followup))]
    return shlex.join([*parts, "--out", str(folder / "results.json")])


def _kept(folder: Path, *, inputs: str) -> bool:
    """Whether the predictions of these very inputs are there, unchanged."""
    about = folder / "about.json"
    if not about.is_file() or not (folder / "predictions.csv").is_file() or not (folder / "applied.json").is_file():
        return False
    try:
        said = json.loads(about.read_text(encoding="utf-8"))
    except ValueError:
        return False
    sums = said.get("sha256", {}) if isinstance(said, dict) else {}
    return said.get("inputs") == inputs and sums.get("predictions.csv") == steps.file_digest(folder / "predictions.csv")


def _start(run: Run, *, folder: Path, cache: Path | None) -> None:
    """The models, in a process of their own."""
    command = processes.module_command("onlm_lab.learning.apply", str(run.folder), str(folder))
    command += ["--cache", str(cache)] if cache else []
    before = _train_cache(run)
    command += ["--train-cache", str(before)] if before else []
    code = processes.run_child(command)
    if code:
        raise pipeline.StepFailed(name="predict", code=code)


def _train_cache(run: Run) -> Path | None:
    """The training patients' patches, where the run still lies in its study."""
    home = run.folder.resolve().parents[1]
    folder = preparation.cache_folder(replace(run.study, folder=home))
    return folder if (folder / patches.SPEC_FILE).is_file() else None


def _drift(run: Run, study: Study, patients: pd.DataFrame, *, cache: Path | None) -> drift.Drift:
    taught = run.patients.query("role == 'labelled'")
    trained, images = run.study, sees_ct(run.study)
    new_facts = taught_facts = None
    if cache is not None:
        new_facts = patches.open_cache(cache).facts
        new_facts = new_facts[new_facts["patient_id"].isin(patients.loc[patients["has_ct"] == 1, "patient_id"])]
    if images and (run.folder / FACTS).is_file():
        taught_facts = runs.read_csv(run.folder / FACTS)
        taught_facts = taught_facts[taught_facts["patient_id"].isin(taught["patient_id"])]
    before = _train_cache(run)
    if new_facts is not None and taught_facts is not None and before is not None:
        new_facts, taught_facts = (_with_mean_hu(f, cache=c) for f, c in ((new_facts, cache), (taught_facts, before)))
    return drift.measure_drift(
        patients, taught, predictors=trained.training.predictors, new_facts=new_facts, taught_facts=taught_facts,
        units={name: column.unit for name, column in trained.columns.items()},
        with_ct=images and bool(patients["has_ct"].any()),
    )  # fmt: skip


def _with_mean_hu(facts: pd.DataFrame, *, cache: Path) -> pd.DataFrame:
    """The facts with the mean HU of each patch, where the cache has it."""
    opened = patches.open_cache(cache)
    mean = {patient: float(opened.load(patient).mean()) for patient in facts["patient_id"] if patient in opened.rows}
    return facts.assign(patch_mean_hu=facts["patient_id"].map(mean).astype(np.float64))


def _write_drift(found: drift.Drift, unlike: tuple[str, ...], *, predictions: pd.DataFrame, folder: Path) -> None:
    schema.write_table(found.table, folder / "drift.csv")
    high = predictions.assign(high=(predictions["ood_score"] > drift.OOD_LIMIT).where(predictions["ood_score"].notna()))
    shares = high.groupby("model_id")["high"].mean()
    said = {
        "smd_limit": {"value": drift.SMD_LIMIT, "source": "Austin 2009, doi:10.1002/sim.3697"},
        "drifted": found.drifted,
        "ood_limit": drift.OOD_LIMIT,
        "ood_above_limit_fraction": {m: None if pd.isna(v) else round(float(v), 4) for m, v in shares.items()},
        "sentences": [*found.sentences, *unlike],
    }
    steps.write_text(folder / "drift.json", json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False))


def _tested(predictions: pd.DataFrame, *, patients: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Of each model the AUC in the patients whose label is known, or why there is none."""
    rows = runs.join_rows(predictions, patients=patients, split="external")
    found: dict[str, dict[str, Any]] = {}
    for model in sorted(set(rows["model_id"]), key=_first_ours):
        try:
            roc = analysis.roc(rows, model=model)
        except OnlmError as error:
            found[model] = {"said": f"no AUC: {error}"}
            continue
        auc = figures.preferred_auc(roc)
        told = theme.with_interval(auc)
        found[model] = {"said": f"AUC {told}", "n": roc.n, "n_positive": roc.n_events}
    return found


def _first_ours(model: str) -> tuple[int, str]:
    return (MODELS.index(model) if model in MODELS else len(MODELS), model)


def _words(
    applied: dict[str, Any], *, tested: dict[str, dict[str, Any]], patients: pd.DataFrame, made_up: bool
) -> list[str]:
    lines = []
    for model, said in applied["models"].items():
        n_lost = len(patients) - said["n"]
        lost = f"; {n_lost} without CT have no row" if n_lost else ""
        filled = f", {said['n_filled']} of them with something missing and a wider spread" if said["n_filled"] else ""
        lines.append(f"{model}: {said['n']} patients predicted{filled}{lost}")
    n_external = int((patients["split"] == "external").sum())
    if n_external:
        mark = f" {theme.MADE_UP}." if made_up else ""
        lines.append(f"external testing, in {n_external} patients whom the run never saw:{mark}")
        lines += [f"  {model}: {said['said']}" for model, said in tested.items()]
    n_open = len(patients) - n_external
    if n_open:
        lines.append(f"{n_open} patients without a label (SBRT, or no pathological N): outcome only, no AUC")
    return lines


def _write_about(
    run: Run, study: Study, *, folder: Path, inputs: str, remarks: tuple[str, ...], applied: dict[str, Any],
    patients: pd.DataFrame, tested: dict[str, dict[str, Any]],
) -> None:  # fmt: skip
    files = {name: steps.file_digest(folder / name) for name in
             ("patients.csv", "predictions.csv", "drift.csv", "drift.json")}  # fmt: skip
    files |= {f"run/{name}": steps.file_digest(run.folder / name) for name in OF_THE_RUN}
    said = {
        "what": "Predictions of a finished run for patients of another study. Research use only.",
        "run": run.id, "trained_in": run.study.name, "study": study.name,
        "made_up": bool(study.made_up or run.study.made_up), "written": datetime.now(tz=UTC).isoformat("T", "seconds"),
        "onlm_lab": onlm_lab.__version__, "n": len(patients), "n_with_ct": int(patients["has_ct"].sum()),
        "n_external": int((patients["split"] == "external").sum()), "remarks": list(remarks), **applied,
        "external_testing": tested, "inputs": inputs, "sha256": files,
    }  # fmt: skip
    steps.write_text(folder / "about.json", json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False))
