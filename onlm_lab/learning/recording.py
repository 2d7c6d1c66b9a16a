"""What a finished training leaves in its run's folder, predictions.csv last: a run that has it is a finished run."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save

from onlm_lab import schema, steps
from onlm_lab.learning import predict, validate
from onlm_lab.learning.coefficients import clinical_coefficients
from onlm_lab.learning.features import write_array
from onlm_lab.learning.ranges import training_ranges
from onlm_lab.learning.unlike import with_quality
from onlm_lab.learning.validate import FINAL, Fitted, Material, Task
from onlm_lab.learning.weights import Backbone
from onlm_lab.study import MODELS, Study

SEEING = ("image", "fused", "image_facts")  # models whose risk hangs on the CT
COEFFICIENTS = {"clinical": "clinical_model.json", "logistic": "logistic_model.json"}


def record_run(
    folder: Path, tasks: list[Task], done: dict[str, Fitted], *, material: Material, backbone: Backbone | None,
    study: Study,
) -> None:  # fmt: skip
    """Writes predictions, weights, calibration, coefficients, embeddings and environment of a run.

    Args:
        folder: runs/<id>/.
        tasks: all that were fitted.
        done: what each left, by its name.
        material: the patients.
        backbone: of the images; None without.
        study: the run's.
    """
    parts, said = {}, {}
    splits = material.patients["role"].tolist()
    final = {task.model: done[task.name] for task in tasks if task.fold == FINAL}
    _write_weights(folder, final, study=study)
    for task in tasks:
        fitted = done[task.name]
        calibrator, threshold = validate.calibrated(
            fitted, task=task, onlm=material.onlm, sensitivity=study.training.target_sensitivity,
            kind=study.training.calibration,
        )  # fmt: skip
        parts[task.name] = predict.risk_rows(
            fitted.apply_logit, task=task, ids=material.ids, calibrator=calibrator, threshold=threshold,
            ood=_unlike(fitted, task=task, material=material), splits=splits,
        )  # fmt: skip
        facts = {"threshold": threshold, "calibrator": calibrator.to_dict(), "best_epoch": fitted.epoch}
        model = said.setdefault(task.model, {"folds": []})
        if task.fold == FINAL:
            model["final"] = facts
            if task.model in COEFFICIENTS:
                _write_coefficients(folder, task, fitted, calibrator, threshold, material=material, study=study)
        else:
            model["folds"].append({"repeat": task.repeat, "fold": task.fold, **facts})
    shown = next((model for model in reversed(MODELS) if model in final), None)
    if shown is not None:
        write_array(folder / "embeddings.npy", final[shown].code.astype(np.float32))
        schema.write_table(material.patients[["patient_id"]], folder / "embeddings_ids.csv")
    if material.facts is not None:
        schema.write_table(material.facts, folder / "image_facts.csv")
    steps.write_text(folder / "calibration.json", json.dumps(_calibration(said, material, backbone, study), indent=1))
    steps.write_text(folder / "environment.txt", _environment(backbone))
    schema.write_table(predict.assemble(parts), folder / "predictions.csv")


def _calibration(said: dict[str, Any], material: Material, backbone: Backbone | None, study: Study) -> dict[str, Any]:
    labelled = ~np.isnan(material.onlm)
    kind = study.training.calibration
    return {
        "models": said,
        "prevalence": float(material.onlm[labelled].mean()),
        "n": int(labelled.sum()),
        "n_positive": int(material.onlm[labelled].sum()),
        "target_sensitivity": study.training.target_sensitivity,
        "method": f"{kind.capitalize()} on inner out-of-fold logits; risk is the calibrated mean logit of the seeds",
        "ood_score": "share of training patients that are less unusual, by what the model sees or by CT quality",
        "backbone_weights": {"source": backbone.source, "sha256": backbone.sha256} if backbone else None,
    }


def _unlike(fitted: Fitted, *, task: Task, material: Material) -> np.ndarray:
    """How unlike the training patients: by what the model sees, and for one that sees the CT by its quality too."""
    if task.model not in SEEING or material.facts is None:
        return fitted.ood
    return with_quality(fitted.ood, material.facts.iloc[task.learn], material.facts.iloc[task.apply])


def _write_coefficients(
    folder: Path, task: Task, fitted: Fitted, calibrator: Any, threshold: float, *, material: Material, study: Study
) -> None:
    """The model as a JSON file that needs no torch."""
    learn = material.patients.iloc[task.learn]
    units = {name: column.unit for name, column in study.columns.items()}
    model = clinical_coefficients(
        fitted.encoders[0], weights=fitted.states["clinical_linear.weight"].numpy(), bias=fitted.states["bias"].numpy(),
        calibrator=calibrator, threshold=threshold, target_sensitivity=study.training.target_sensitivity,
        ranges=training_ranges(fitted.encoders[0], learn, units=units), model_id=task.model, study=study.name,
        made_up=study.made_up,
    )  # fmt: skip
    steps.write_text(folder / COEFFICIENTS[task.model], model.to_json())


def _write_weights(folder: Path, final: dict[str, Fitted], *, study: Study) -> None:
    """The final models: tensors named model/name, seeds along the first axis; encoders and the model's shape beside."""
    tensors = {f"{m}/{name}": v.contiguous() for m, fitted in final.items() for name, v in fitted.states.items()}
    encoders = {m: [encoder.to_dict() for encoder in fitted.encoders] for m, fitted in final.items()}
    said = {"mode": study.model.mode, "backbone": study.model.backbone, "encoders": encoders}
    with steps.whole_or_not(folder / "weights.safetensors") as half:
        half.write_bytes(save(tensors, metadata={"onlm_lab": json.dumps(said)}))


def _environment(backbone: Backbone | None) -> str:
    names = ("onlm_lab", "torch", "timm", "lightning-fabric", "numpy", "pandas", "scikit-learn", "safetensors")
    lines = [f"python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in names)]
    if backbone:
        lines += [f"backbone weights: {backbone.source}", f"sha256 {backbone.sha256}"]
    return "\n".join(lines) + "\n"
