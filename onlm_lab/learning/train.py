"""Training a run: python -m onlm_lab.learning.train RUN_FOLDER [--cache FOLDER]

Reads what the pipeline put into the run's folder, fits every task, writes predictions.csv last. Started again after a
kill, it goes on with what is not finished, and the files are the same as if nothing had happened.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from tqdm.auto import tqdm

from onlm_lab import runs, schema, steps
from onlm_lab.errors import OnlmError
from onlm_lab.learning import partial, predict, validate
from onlm_lab.learning.clinical import check_predictors
from onlm_lab.learning.dataset import layout_of
from onlm_lab.learning.features import backbone_features, write_array
from onlm_lab.learning.validate import FINAL, Fitted, Material, Task
from onlm_lab.learning.weights import Backbone, load_backbone
from onlm_lab.patches import PatchCache, open_cache
from onlm_lab.study import Study

UNTAUGHT = ("unlabelled", "external", "test")  # roles of patients who teach nothing: the final model's splits


def train_run(folder: Path, *, cache: Path | None, progress: bool = True) -> None:
    """Fits all models of a run and writes its files, predictions.csv last.

    Args:
        folder: runs/<id>/ with study.toml, patients.csv (with `role`) and the split with its hash.
        cache: folder of patches; None where the study has no images.
        progress: show bars on stderr.

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
    patches = _patches(cache, patients=patients, study=study)
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
        material = _material(run.folder, patients, patches=patches, backbone=backbone, study=study, progress=progress)
        tasks = validate.list_tasks(material.onlm, ids=material.ids, split=split, models=study.training.models)
        done = _fit_all(tasks, run=run, material=material, backbone=backbone, study=study, progress=progress)
        _write(run.folder, tasks, done, material=material, backbone=backbone, study=study)


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


def _patches(cache: Path | None, *, patients: pd.DataFrame, study: Study) -> PatchCache | None:
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
    if study.model.mode == "finetune":
        return replace(material, patches=patches.array(ids))

    def watch(items, *, total: int):
        return tqdm(items, total=total, desc="features", unit="batch", disable=not progress)

    features = backbone_features(
        patches, patient_ids=ids, backbone=backbone, layout=layout_of(study), folder=folder, watch=watch
    )
    return replace(material, features=torch.from_numpy(features))


def _fit_all(
    tasks: list[Task], *, run: runs.Run, material: Material, backbone: Backbone | None, study: Study, progress: bool
) -> dict[str, Fitted]:
    """Every task, from its file where it is finished, else fitted now."""
    inputs = steps.digest(
        study.digest("study", "columns", "label", "patch", "model", "training"),
        run.folder / "patients.csv", run.folder / "split.csv", run.folder / "parts.csv",
        backbone.sha256 if backbone else "", _digest(material), torch.__version__,
    )  # fmt: skip
    store = partial.Partial.open(run.folder / "partial", inputs=inputs)
    history = run.folder / "history.csv"
    history.unlink(missing_ok=True)
    found: dict[str, Fitted] = {}
    for task in tasks:  # what is finished stands first, so that the file has no epoch twice
        if store.has(task):
            found[task.name] = store.load(task)
            partial.append_history(history, partial.history_rows(found[task.name].history, task=task))
    for task in tqdm(tasks, desc="training", unit="model", disable=not progress):
        if task.name in found:
            continue
        started = time.perf_counter()
        if study.model.mode == "finetune" and task.model != "clinical":
            from onlm_lab.learning.networks import fit_finetuned

            fitted = fit_finetuned(
                task, material=material, backbone=backbone, study=study, store=store,
                report=lambda row, task=task: partial.append_history(history, partial.history_rows([row], task=task)),
            )  # fmt: skip
            store.save(task, fitted)
        else:
            fitted = validate.fit_frozen(task, material=material, study=study)
            seconds = (time.perf_counter() - started) / len(fitted.history)
            fitted = replace(fitted, history=[{**row, "seconds": seconds} for row in fitted.history])
            store.save(task, fitted)
            partial.append_history(history, partial.history_rows(fitted.history, task=task))
        found[task.name] = fitted
    return found


def _digest(material: Material) -> str:
    import hashlib

    seal = hashlib.sha256()
    for part in (material.features, material.patches):
        if part is not None:
            seal.update(np.ascontiguousarray(part).tobytes())
    return seal.hexdigest()


def _write(
    folder: Path, tasks: list[Task], done: dict[str, Fitted], *, material: Material, backbone: Backbone | None,
    study: Study,
) -> None:  # fmt: skip
    """The run's files; predictions.csv last, so that a run with predictions is a finished run."""
    parts, said = {}, {}
    splits = material.patients["role"].tolist()
    for task in tasks:
        fitted = done[task.name]
        calibrator, threshold = validate.calibrated(
            fitted, task=task, onlm=material.onlm, sensitivity=study.training.target_sensitivity
        )
        parts[task.name] = predict.risk_rows(
            fitted.apply_logit, task=task, ids=material.ids, calibrator=calibrator, threshold=threshold,
            ood=fitted.ood, splits=splits,
        )  # fmt: skip
        facts = {"threshold": threshold, "calibrator": calibrator.to_dict(), "best_epoch": fitted.epoch}
        model = said.setdefault(task.model, {"folds": []})
        if task.fold == FINAL:
            model["final"] = facts
        else:
            model["folds"].append({"repeat": task.repeat, "fold": task.fold, **facts})
    labelled = ~np.isnan(material.onlm)
    source = {"source": backbone.source, "sha256": backbone.sha256} if backbone else None
    calibration = {
        "models": said,
        "prevalence": float(material.onlm[labelled].mean()),
        "n": int(labelled.sum()),
        "n_positive": int(material.onlm[labelled].sum()),
        "target_sensitivity": study.training.target_sensitivity,
        "method": "Platt on inner out-of-fold logits; risk is the calibrated mean logit of the seeds",
        "backbone_weights": source,
    }
    final = {task.model: done[task.name] for task in tasks if task.fold == FINAL}
    _write_weights(folder, final, study=study)
    shown = next(model for model in ("fused", "image", "clinical") if model in final)
    write_array(folder / "embeddings.npy", final[shown].code.astype(np.float32))
    schema.write_table(material.patients[["patient_id"]], folder / "embeddings_ids.csv")
    steps.write_text(folder / "calibration.json", json.dumps(calibration, indent=1))
    steps.write_text(folder / "environment.txt", _environment(backbone))
    schema.write_table(predict.assemble(parts), folder / "predictions.csv")


def _write_weights(folder: Path, final: dict[str, Fitted], *, study: Study) -> None:
    """The final models: tensors named model/name, seeds along the first axis; encoders and the model's shape beside."""
    tensors = {f"{m}/{name}": v.contiguous() for m, fitted in final.items() for name, v in fitted.states.items()}
    encoders = {m: [encoder.to_dict() for encoder in fitted.encoders] for m, fitted in final.items()}
    said = {"mode": study.model.mode, "backbone": study.model.backbone, "encoders": encoders}
    half = folder / ".weights.safetensors.half"
    save_file(tensors, half, metadata={"onlm_lab": json.dumps(said)})
    half.replace(folder / "weights.safetensors")


def _environment(backbone: Backbone | None) -> str:
    from importlib.metadata import version

    names = ("onlm_lab", "torch", "timm", "lightning-fabric", "numpy", "pandas", "scikit-learn", "safetensors")
    lines = [f"python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in names)]
    if backbone:
        lines += [f"backbone weights: {backbone.source}", f"sha256 {backbone.sha256}"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command behind `onlm train`: 0 when finished, 2 with one sentence on stderr when the user must act."""
    parser = argparse.ArgumentParser(prog="onlm_lab.learning.train", description="Train the models of a run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    given = parser.parse_args(arguments)
    try:
        train_run(given.folder, cache=given.cache, progress=not given.quiet)
    except OnlmError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
