"""Sections on how the model was made, with what software, and what it must not be used for."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import pandas as pd

import onlm_lab
from onlm_lab import schema
from onlm_lab.figures import theme
from onlm_lab.report import words
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, Verbatim, box, note, table
from onlm_lab.report.standard import SURROGATE
from onlm_lab.steps import file_digest
from onlm_lab.study import Model

FILES = (
    "study.toml", "patients.csv", "split.csv", "parts.csv", "split.json", "weights.safetensors", "calibration.json",
    "predictions.csv", "results.json",
)  # fmt: skip
PACKAGES = ("numpy", "pandas", "scipy", "statsmodels", "lifelines", "scikit-learn", "plotly", "pydicom")
MODES = {
    "frozen": "features of the frozen backbone, heads trained on them",
    "finetune": "backbone trained along with the heads",
}
WHAT = {
    "clinical": "clinical columns only", "image": "CT planes only", "fused": "CT planes and clinical columns together",
    "logistic": "baseline, penalised logistic regression on the clinical columns",
    "boosting": "baseline, gradient boosting on the clinical columns",
    "image_facts": "baseline, penalised logistic regression on what was measured on the CT",
}  # fmt: skip
MEANT_FOR = (
    "Meant for: patients with clinical stage I non-small-cell lung cancer whose nodes look clean, before treatment. "
    "Not meant for: known nodal disease, neoadjuvant treatment, pure ground-glass nodules, other cancers."
)
MEANT_FOR_SURROGATE = (
    "Meant for: trying out methods on a public table. Not meant for any patient: whether the nodes looked clean before "
    "treatment is not known here."
)
POST_OPERATIVE = (
    "Partly post-operative: histology is a predictor here, and in this table it comes from the resection, which is not "
    "known before treatment. What these models reach is therefore not what could be reached before surgery."
)


def _what(name: str, *, material: Material) -> str:
    """What a model sees, in words; of a published score its source."""
    score = material.study.scores.get(name)
    return f"published score ({score.source}), recalibrated here" if score else WHAT.get(name, name)


def _layout_words(model: Model) -> str:
    """What of the CT is looked at."""
    beside = f"{model.neighbours} neighbour(s) on each side at {model.gap_mm:g} mm as channels"
    shown = {
        "orthogonal": f"axial, coronal and sagittal plane through the tumour, {beside}",
        "multi_window": f"axial, coronal and sagittal plane through the tumour, {beside}, once a window",
        "slab": f"{model.slices} axial planes at {model.gap_mm:g} mm, {beside}",
        "three_planes": "axial, coronal and sagittal plane through the tumour as the channels of one picture",
    }[model.layout]
    windows = model.windows_hu if model.layout == "multi_window" else ((model.window_low_hu, model.window_high_hu),)
    seen = " and ".join(f"{low:g} to {high:g} HU" for low, high in windows).replace("-", "−")
    return f"{shown}; {model.image_px} px; window {seen}"


def partly_post_operative(material: Material) -> bool:
    """Whether a predictor of this run was known only from the resection."""
    source = material.patients.get("histology_source")
    return "histology" in material.study.training.predictors and source is not None and (source == "resection").any()


def model_specification(material: Material) -> Section:
    """What the models see, how they were trained, calibrated and given a threshold, and the weights' checksum."""
    study = material.study
    training, model, label = study.training, study.model, words.plural
    with_images = any(m in ("image", "fused") for m in material.models)
    scheme = (
        "each centre left out in turn" if training.scheme == "leave_one_centre_out"
        else f"{training.folds} folds, {label(training.repeats, 'repeat')}, balanced by label and centre"
    )  # fmt: skip
    rows = [("Models", "; ".join(f"{m}: {_what(m, material=material)}" for m in material.models))]
    if with_images:
        rows += [
            ("Images", _layout_words(model)),
            ("Fusion", f"{model.fusion}; in training {theme.percent(model.modality_dropout)} of CT and cells hidden"),
            ("Backbone", f"{model.backbone}, weights: {model.weights}; {MODES[model.mode]}"),
        ]  # fmt: skip
    weights = material.trained.get("backbone_weights") or {}
    if with_images and {"source", "sha256"} <= set(weights):
        rows.append(("Backbone weights", f"{weights['source']}, SHA-256 {weights['sha256']}"))
    rows += [
        ("Predictors", ", ".join(words.column(p) for p in training.predictors)),
        ("Testing", f"by patient, {scheme}; every reported risk of a labelled patient comes from models that did not "
         "see the patient"),
        ("Calibration", "Platt's, on inner out-of-fold risks of the training patients"),
        ("Threshold", f"highest risk that reaches {100 * training.target_sensitivity:g} % sensitivity in inner "
         "out-of-fold risks of the training patients"),
        ("Model spread", f"5th to 95th percentile over {label(training.seeds_per_fold, 'model')} that never saw the "
         "patient; not a confidence interval"),
        ("Patients without a label", "final model, refitted on all labelled patients, calibrated by inner "
         "cross-validation"),
        ("Seed", str(study.seed)),
    ]  # fmt: skip
    shown = pd.DataFrame(rows, columns=["Setting", "This run"])
    blocks: list[Block] = [table(shown, caption="Model specification."), table(_dictionary(material), caption=(
        "Predictors: only what is known before treatment may predict."), folded=True)]  # fmt: skip
    if partly_post_operative(material):
        blocks.insert(0, box(POST_OPERATIVE))
    return Section("model", "Model specification", tuple(blocks))


def _dictionary(material: Material) -> pd.DataFrame:
    rows = []
    for name in material.study.training.predictors:
        own, known = material.study.columns.get(name), schema.column(name)
        said = own or known
        rows.append({
            "Predictor": name, "Meaning": said.description if said else "", "Unit": said.unit if said else "",
            "Known": said.timing.replace("_", " ") if said else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


def software(material: Material) -> Section:
    """Versions and checksums: what it takes to make the same numbers again."""
    folder = material.run.folder
    versions = [("Python", platform.python_version()), ("onlm_lab", onlm_lab.__version__)]
    for name in PACKAGES:
        try:
            versions.append((name, version(name)))
        except PackageNotFoundError:
            continue
    files = [(name, file_digest(folder / name)) for name in FILES if (folder / name).is_file()]
    when = datetime.fromtimestamp((folder / "predictions.csv").stat().st_mtime, tz=UTC)
    blocks: list[Block] = [
        Text(f"Run {material.run.id}; predictions of {when:%d %B %Y}."),
        table(pd.DataFrame(files, columns=["File", "SHA-256"]), caption="What this report stands on."),
        table(pd.DataFrame(versions, columns=["Software", "Version"]), caption="Software that wrote this report."),
    ]
    if material.reading:
        shown = pd.DataFrame({"What was done": material.reading})
        blocks.append(
            table(shown, caption="How the tables were read: nothing was changed in them but this.", folded=True)
        )
    for name in ("environment.txt", "study.toml"):
        if (folder / name).is_file():
            blocks.append(Verbatim(name, (folder / name).read_text(encoding="utf-8")))
    return Section("software", "Software and checksums", tuple(blocks))


def limits(material: Material) -> Section:
    """What these results may be used for, and what not."""
    study = material.study
    said = [
        "Research use only. Not a medical device; no decision about a patient may rest on it.",
        MEANT_FOR_SURROGATE if study.label.surrogate else MEANT_FOR,
        "Internal testing describes how the procedure performs in patients of these hospitals. It does not say how the "
        "model performs in a hospital that gave no training patients; only external testing does.",
        "SBRT patients have no pathological N. Their results are about outcome, not about being right.",
        "Comparisons of outcomes are observational. They do not say what a treatment does.",
    ]
    blocks: list[Block] = [Text(line) for line in said]
    if study.label.surrogate:
        blocks.append(box(SURROGATE))
    if partly_post_operative(material):
        blocks.append(box(POST_OPERATIVE))
    if study.made_up:
        blocks.append(box("All patients, images and outcomes are made up. Nothing about a real patient or treatment "
                          "can be learnt from them."))  # fmt: skip
    if study.study.licence:
        blocks.append(note(f"Data: {study.study.licence}"))
    return Section("limits", "Limits and intended use", tuple(blocks))
