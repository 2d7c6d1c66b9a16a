"""Training a run: python -m onlm_lab.learning.train RUN_FOLDER [--cache FOLDER] [--devices 4 --nodes 2 --strategy ddp]

Reads what the pipeline put into the run's folder, fits every task, writes predictions.csv last. Started again after a
kill, it goes on with what is not finished, and the files are the same as if nothing had happened.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from tqdm.auto import tqdm

from onlm_lab import runs, steps
from onlm_lab.errors import OnlmError
from onlm_lab.learning import partial, recording, validate
from onlm_lab.learning.baselines import fit_baseline, why_not
from onlm_lab.learning.clinical import check_predictors
from onlm_lab.learning.dataset import layout_of
from onlm_lab.learning.fabric import make_fabric
from onlm_lab.learning.features import backbone_features
from onlm_lab.learning.published import check_scores
from onlm_lab.learning.validate import Fitted, Material, Task
from onlm_lab.learning.weights import Backbone, load_backbone
from onlm_lab.patches import PatchCache, open_cache
from onlm_lab.study import MODELS, Study

UNTAUGHT = ("unlabelled", "external", "test")  # roles of patients who teach nothing: the final model's splits


def train_run(folder: Path, *, cache: Path | None, progress: bool = True, fabric: Fabric | None = None) -> None:
    """Fits all models of a run and writes its files, predictions.csv last.

    Args:
        folder: runs/<id>/ with study.toml, patients.csv (with `role`) and the split with its hash.
        cache: folder of patches; None where the study has no images.
        progress: show bars on stderr.
        fabric: launched, of `make_fabric`: several devices share the batches of finetune mode, and the first process
            alone writes; None: one device. Machines must see the same folder.

    Raises:
        OnlmError: images are wanted and absent, predictors that cannot predict, a split that does not fit, and so on.
    """
    run = runs.Run(Path(folder))
    split = run.split  # checked against its hash before anything is fitted
    study, patients = run.study, _patients(run)
    check_predictors(
        patients,
        predictors=study.training.predictors,
        post_treatment=[name for name, c in study.columns.items() if c.timing == "post_treatment"],
        surrogate=study.label.surrogate,
    )
    check_scores(study.scores, patients=patients, columns=study.columns, surrogate=study.label.surrogate)
    patches = open_patches(cache, patients=patients, study=study)
    fabric = fabric or make_fabric(precision=study.training.precision)
    progress = progress and fabric.is_global_zero
    with repeatable():
        backbone = None
        if patches is not None:
            channels = layout_of(study).n_channels
            backbone = load_backbone(
                study.model.backbone,
                weights=study.model.weights,
                in_channels=channels,
                image_px=study.model.image_px,
                seed=study.seed,
                folder=run.folder.absolute().parents[1],  # the study's folder: a run lies in runs/<id>/
            )
        with fabric.rank_zero_first():  # the first process looks at the patches, the others read what it saw
            material = _material(
                run.folder, patients, patches=patches, backbone=backbone, study=study, progress=progress
            )
        models = _models(material, study=study, aloud=fabric.is_global_zero)
        tasks = validate.list_tasks(material.onlm, ids=material.ids, split=split, models=models)
        done = _fit_all(
            tasks, run=run, material=material, backbone=backbone, study=study, progress=progress, fabric=fabric
        )
        if fabric.is_global_zero:
            recording.record_run(run.folder, tasks, done, material=material, backbone=backbone, study=study)
        fabric.barrier()


@contextlib.contextmanager
def repeatable() -> Iterator[None]:
    """One thread, deterministic kernels, and the caller's settings back at the end: the same numbers on any machine's
    number of cores. Work that can be divided is divided into whole batches, each on a thread of its own."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def _patients(run: runs.Run) -> pd.DataFrame:
    """Patients in one order; the label only where the row may teach."""
    patients = run.patients.sort_values("patient_id", kind="stable", ignore_index=True)
    strange = sorted(set(patients["role"]) - {"labelled", *UNTAUGHT})
    if strange:
        raise OnlmError(
            f"patients.csv: role '{strange[0]}' is not known; wanted labelled, {', '.join(UNTAUGHT)}. "
            "Make the run anew."
        )
    labelled = patients["role"] == "labelled"
    if patients.loc[labelled, "onlm"].isna().any():
        bad = patients.loc[labelled & patients["onlm"].isna(), "patient_id"]
        raise OnlmError(
            f"patients.csv: {len(bad)} labelled patients have no onlm ({', '.join(bad[:5])}). Make the run anew."
        )
    patients["onlm"] = patients["onlm"].where(labelled)
    return patients


def _models(material: Material, *, study: Study, aloud: bool) -> tuple[str, ...]:
    """The models of the run, baselines and published scores beside them; what cannot be fitted here is said.

    `image_facts` is left out without a word where the study looks at no images.
    """
    said = study.training
    wanted = [*said.baselines, *study.scores]
    if material.facts is None:
        wanted = [name for name in wanted if name != "image_facts"]
    kept = []
    for name in wanted:
        reason = why_not(name, material=material, study=study)
        if reason and aloud:
            sys.stderr.write(f"  left out: {reason}\n")
        if not reason:
            kept.append(name)
    return (*said.models, *kept)


def open_patches(cache: Path | None, *, patients: pd.DataFrame, study: Study) -> PatchCache | None:
    """The patches of a run's patients; None where no model of the study looks at images.

    Raises:
        OnlmError: there are none, a patient has none, or they were cut otherwise than the study says.
    """
    wanted = [m for m in study.training.models if m != "clinical"]
    if not wanted:
        return None
    if cache is None or not Path(cache).is_dir():
        raise OnlmError(
            f"[training] models names {', '.join(wanted)}, and there are no image patches. "
            'Run `onlm prepare STUDY` first, or set models = ["clinical"].'
        )
    opened = open_cache(cache)
    lost = sorted(set(patients["patient_id"]) - set(opened.patient_ids))
    if lost:
        raise OnlmError(
            f"{len(lost)} of {len(patients)} patients of the run have no image patch ({', '.join(lost[:5])}). "
            "Run `onlm prepare STUDY` again."
        )
    for name in ("size_mm", "spacing_mm"):
        cut, asked = getattr(opened.spec, name), getattr(study.patch, name)
        if cut != asked:
            raise OnlmError(
                f"The patches were cut with {name} = {cut:g}, [patch] {name} asks for {asked:g}. "
                "Run `onlm prepare STUDY` again."
            )
    return opened


def _material(
    folder: Path, patients: pd.DataFrame, *, patches: PatchCache | None, backbone: Backbone | None, study: Study,
    progress: bool,
) -> Material:  # fmt: skip
    onlm = patients["onlm"].to_numpy(dtype=np.float64, na_value=np.nan)
    material = Material(patients=patients, onlm=onlm)
    if patches is None:
        return material
    ids = material.ids
    material = replace(material, facts=patches.facts.set_index("patient_id").loc[ids].reset_index())
    if study.model.mode == "finetune":
        return replace(material, patches=patches.array(ids))

    def watch(items, *, total: int):
        return tqdm(items, total=total, desc="features", unit="batch", disable=not progress)

    features = backbone_features(
        patches, patient_ids=ids, backbone=backbone, layout=layout_of(study), folder=folder, watch=watch
    )
    return replace(material, features=torch.from_numpy(features))


def _fit_all(
    tasks: list[Task], *, run: runs.Run, material: Material, backbone: Backbone | None, study: Study, progress: bool,
    fabric: Fabric,
) -> dict[str, Fitted]:  # fmt: skip
    """Every task, from its file where it is finished, else fitted now.

    Networks are trained by all processes together, everything else by the first one, from whose file the others read.
    """
    inputs = steps.digest(
        study.digest("study", "columns", "label", "patch", "model", "training", "scores"),
        run.folder / "patients.csv", run.folder / "split.csv", run.folder / "parts.csv",
        backbone.sha256 if backbone else "", _digest(material), torch.__version__,
    )  # fmt: skip
    with fabric.rank_zero_first():
        store = partial.Partial.open(run.folder / "partial", inputs=inputs)
    history = run.folder / "history.csv"
    finished = [task for task in tasks if store.has(task)]
    found = {task.name: store.load(task) for task in finished}
    fabric.barrier()  # nobody writes before all have looked

    def note(task: Task, rows: list[dict[str, float]]) -> None:
        if fabric.is_global_zero:
            partial.append_history(history, partial.history_rows(rows, task=task))

    if fabric.is_global_zero:
        history.unlink(missing_ok=True)
    for task in finished:  # what is finished stands first, so that the file has no epoch twice
        note(task, found[task.name].history)
    for task in tqdm(tasks, desc="training", unit="model", disable=not progress):
        if task.name in found:
            continue
        started = time.perf_counter()
        if study.model.mode == "finetune" and task.model in ("image", "fused"):
            from onlm_lab.learning.networks import fit_finetuned

            fitted = fit_finetuned(
                task, material=material, backbone=backbone, study=study, store=store, fabric=fabric,
                report=lambda row, task=task: note(task, [row]),
            )  # fmt: skip
            if fabric.is_global_zero:
                store.save(task, fitted)
        elif fabric.is_global_zero:
            fit = validate.fit_frozen if task.model in MODELS else fit_baseline
            fitted = fit(task, material=material, study=study)
            seconds = (time.perf_counter() - started) / len(fitted.history)
            fitted = replace(fitted, history=[{**row, "seconds": seconds} for row in fitted.history])
            store.save(task, fitted)
            note(task, fitted.history)
        fabric.barrier()
        found[task.name] = fitted if fabric.is_global_zero else store.load(task)
    return found


def _digest(material: Material) -> str:
    import hashlib

    seal = hashlib.sha256()
    for part in (material.features, material.patches):
        if part is not None:
            seal.update(np.ascontiguousarray(part).tobytes())
    if material.facts is not None:
        seal.update(material.facts.to_csv(index=False).encode())
    return seal.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """The command behind `onlm train`: 0 when finished, 2 with one sentence on stderr when the user must act."""
    parser = argparse.ArgumentParser(prog="onlm_lab.learning.train", description="Train the models of a run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument("--devices", default="1", help="GPUs of each machine, or processes without GPU; or auto")
    parser.add_argument("--nodes", type=int, default=1, help="machines, which see the same folder")
    parser.add_argument("--strategy", default="auto", help="auto, ddp, ...: of Lightning Fabric")
    parser.add_argument("--accelerator", default="auto", help="auto, cpu or cuda")
    given = parser.parse_args(arguments)
    try:
        fabric = make_fabric(
            devices=given.devices, nodes=given.nodes, strategy=given.strategy, accelerator=given.accelerator,
            precision=runs.Run(given.folder).study.training.precision,
        )  # fmt: skip
        fabric.launch()
        train_run(given.folder, cache=given.cache, progress=not given.quiet, fabric=fabric)
    except OnlmError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
