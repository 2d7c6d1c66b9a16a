"""The section on what the models are: what they see, how they learn, how risks are calibrated, and the final models."""

from __future__ import annotations

import pandas as pd

from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.provenance import MODES, POST_OPERATIVE, WHAT, partly_post_operative
from onlm_lab.report.section import Block, Section, Text, box, note, table
from onlm_lab.study import MODELS, Model

OWN_FROZEN = (
    "heads on fixed inputs: Adam, full batch, learning rate 0.02, 5 steps an epoch, at most {epochs} epochs, stopped "
    "after {patience} epochs without a lower loss in inner held-out patients; ridge {ridge:g}, dropout {dropout:g}; "
    "first weights by chance, the bias at the share of N+"
)
OWN_FINETUNE = (
    "whole network: AdamW, batches of {batch}, learning rate {rate:g} (backbone {slow:g}, at rest for the first {rest} "
    "epochs), warm-up and cosine, weight decay {decay:g}, running mean of the weights {ema:g}; at most {epochs} "
    "epochs, stopped after {patience} epochs without a lower loss in the inner held-out patients; patients turned (to "
    "20 degrees), flipped, shifted (to 3 mm) and zoomed (to 10 %) by chance"
)
LOSSES = {
    "plain": "none: all patients count alike in the loss, and none is drawn more often",
    "weighted": "N+ weigh more in the loss; the log odds are corrected back, then calibrated",
    "focal": "focal loss, gamma {gamma:g}; its log odds are undone, then calibrated",
}
CALIBRATION = {"platt": "Platt's (intercept and slope of the log odds)", "temperature": "one temperature"}
BASELINES = {
    "logistic": "logistic regression, ridge penalty chosen from 7 on inner folds",
    "image_facts": "the same on what was measured on the CT",
    "boosting": "gradient-boosted trees of depth 3, rate 0.1, 5 to 80 trees chosen on inner folds",
}
FULL = {
    "weights.safetensors": "weights of all final models", "clinical_model.json": "the clinical model as coefficients",
    "logistic_model.json": "the logistic baseline as coefficients", "calibration.json": "calibrators and thresholds",
    "study.toml": "every setting", "split.json": "the split, sealed",
}  # fmt: skip


def _what(name: str, *, material: Material) -> str:
    """What a model sees, in words; of a published score its source."""
    score = material.study.scores.get(name)
    return f"published score ({score.source}), recalibrated here" if score else WHAT.get(name, name)


def layout_words(model: Model) -> str:
    """What of the CT is looked at."""
    beside = f"{words.plural(model.neighbours, 'neighbour')} on each side at {model.gap_mm:g} mm as channels"
    shown = {
        "orthogonal": f"axial, coronal and sagittal plane through the tumour, {beside}",
        "multi_window": f"axial, coronal and sagittal plane through the tumour, {beside}, once a window",
        "slab": f"{model.slices} axial planes at {model.gap_mm:g} mm, {beside}",
        "three_planes": "axial, coronal and sagittal plane through the tumour as the channels of one picture",
    }[model.layout]
    windows = model.windows_hu if model.layout == "multi_window" else ((model.window_low_hu, model.window_high_hu),)
    seen = " and ".join(f"{low:g} to {high:g} HU" for low, high in windows).replace("-", "−")
    return f"{shown}; {model.field_mm:g} mm in {model.image_px} px on a side; window {seen}"


def model_specification(material: Material) -> Section:
    """What the models see, how they were trained, calibrated and given a threshold, and the final models."""
    shown = pd.DataFrame(_settings(material), columns=["Setting", "This run"])
    blocks: list[Block] = [table(shown, caption="Model specification."), *_final(material), *_files(material)]
    if partly_post_operative(material):
        blocks.insert(0, box(POST_OPERATIVE))
    return Section("model", "Model specification", tuple(blocks))


def _settings(material: Material) -> list[tuple[str, str]]:
    study, training = material.study, material.study.training
    target = f"{100 * training.target_sensitivity:g}"
    rows = [("Models", "; ".join(f"{m}: {_what(m, material=material)}" for m in material.models))]
    rows += _of_images(material)
    rows.append(("Clinical inputs", f"{words.plural(len(training.predictors), 'predictor')}, see Predictors"))
    if any(m in MODELS for m in material.models):
        rows.append(("Training", _training(material)))
    beside = [f"{m}: {BASELINES[m]}" for m in material.models if m in BASELINES]
    rows += [("Baselines", "; ".join(beside))] if beside else []
    rows += [
        ("Class imbalance", _imbalance(material)),
        ("Output", "risk of N+ from 0 to 1; the mean log odds of the models, calibrated"),
        ("Calibration", f"{CALIBRATION[training.calibration]}, on inner out-of-fold risks of the training patients"),
        ("Threshold", f"highest risk that reaches {target} % sensitivity in inner out-of-fold risks of the training "
         "patients: a missed N+ was taken to weigh more than a needless work-up"),
        ("Model spread", f"5th to 95th percentile over {words.plural(training.seeds_per_fold, 'model')} that never saw "
         "the patient; not a confidence interval"),
        ("Seed", str(study.seed)),
    ]  # fmt: skip
    return rows


def _of_images(material: Material) -> list[tuple[str, str]]:
    """How the CT enters, where a model sees it."""
    model = material.study.model
    if not any(m in ("image", "fused") for m in material.models):
        return []
    rows = [
        ("Images", layout_words(model)),
        ("Backbone", f"{model.backbone}, weights: {model.weights}; {MODES[model.mode]}"),
    ]
    weights = material.trained.get("backbone_weights") or {}
    if {"source", "sha256"} <= set(weights):
        rows.append(("Backbone weights", f"{weights['source']}, SHA-256 {weights['sha256']}"))
    if "fused" in material.models:
        rows.append(("Fusion", f"{model.fusion}, {model.width} features of each branch; in training "
                     f"{theme.percent(model.modality_dropout)} of CT and cells hidden"))  # fmt: skip
    return rows


def _training(material: Material) -> str:
    training, model = material.study.training, material.study.model
    frozen = OWN_FROZEN.format(epochs=training.epochs, patience=training.patience, ridge=training.ridge,
                               dropout=model.dropout)  # fmt: skip
    if model.mode == "frozen" or not any(m in ("image", "fused") for m in material.models):
        return frozen
    tuned = OWN_FINETUNE.format(
        batch=training.batch_size, rate=training.learning_rate, slow=training.backbone_learning_rate,
        rest=training.freeze_epochs, decay=training.weight_decay, ema=training.ema_decay, epochs=training.epochs,
        patience=training.patience,
    )  # fmt: skip
    return f"{tuned}. Clinical model: {frozen}" if "clinical" in material.models else tuned


def _imbalance(material: Material) -> str:
    training = material.study.training
    kind = training.loss if material.study.model.mode == "finetune" else "plain"
    return LOSSES[kind].format(gamma=training.focal_gamma)


def _final(material: Material) -> list[Block]:
    """Threshold and calibrator of the final models, which tell the risks of all who are not of development."""
    rows = []
    for model in material.models:
        final = material.trained.get("models", {}).get(model, {}).get("final", {})
        calibrator = final.get("calibrator", {})
        if {"intercept", "slope", "n", "n_positive"} <= set(calibrator) and "threshold" in final:
            rows.append({
                "Model": model, "N+ / patients": f"{calibrator['n_positive']:,} / {calibrator['n']:,}",
                "Threshold": theme.percent(float(final["threshold"]), digits=1),
                "Intercept": theme.number(calibrator["intercept"], digits=2),
                "Slope": theme.number(calibrator["slope"], digits=2),
                "Note": calibrator.get("note") or "–",
            })  # fmt: skip
    if not rows:
        return [
            note("No calibration.json lies in the run: thresholds and calibrators of the final models are unknown.")
        ]
    said = "Final models, of all labelled patients of development: threshold of risk, and calibrator (log odds)."
    return [table(pd.DataFrame(rows), caption=said)]


def _files(material: Material) -> list[Block]:
    """What of the run's folder is needed to predict with the models again."""
    there = [(name, said) for name, said in FULL.items() if (material.run.folder / name).is_file()]
    shown = pd.DataFrame(there, columns=["File of the run's folder", "What it holds"])
    return [
        table(shown, caption="The full models."),
        Text("On other patients: `onlm predict RUN STUDY`. Checksums stand under Software and checksums."),
    ]
