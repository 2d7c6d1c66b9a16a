"""Sections on how the model was made, with what software, and what it must not be used for."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import pandas as pd

import onlm_lab
from onlm_lab import schema
from onlm_lab.report.material import Material
from onlm_lab.report.section import Block, Section, Text, Verbatim, box, note, table
from onlm_lab.report.standard import SURROGATE
from onlm_lab.steps import file_digest
from onlm_lab.study import Study

FILES = (
    "study.toml", "patients.csv", "split.csv", "parts.csv", "split.json", "environment.txt", "weights.safetensors",
    "calibration.json", "clinical_model.json", "logistic_model.json", "predictions.csv", "event_risk.csv",
    "opening.json", "results.json",
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
SBRT_LIMIT = "SBRT patients have no pathological N. Their results are about outcome, not about being right."
POST_OPERATIVE = (
    "Partly post-operative: histology is a predictor here, and in this table it comes from the resection, which is not "
    "known before treatment. What these models reach is therefore not what could be reached before surgery."
)


def partly_post_operative(material: Material) -> bool:
    """Whether a predictor of this run was known only from the resection."""
    return histology_of_resection(material.study, patients=material.patients)


def histology_of_resection(study: Study, *, patients: pd.DataFrame) -> bool:
    """Whether histology predicts, and comes from the resection in some patient."""
    source = patients.get("histology_source")
    return "histology" in study.training.predictors and source is not None and bool((source == "resection").any())


def late_predictors(study: Study) -> list[str]:
    """Predictors that are declared as known only after treatment."""
    found = []
    for name in study.training.predictors:
        said = study.columns.get(name) or schema.column(name)
        if said and said.timing != "pre_treatment":
            found.append(name)
    return found


def software(material: Material) -> Section:
    """Versions and checksums: what it takes to make the same numbers again."""
    folder = material.run.folder
    versions = [("Python", platform.python_version()), ("onlm_lab", onlm_lab.__version__)]
    for name in PACKAGES:
        try:
            versions.append((name, version(name)))
        except PackageNotFoundError:
            continue
    files = [(f"{name} (as it came)", digest) for name, digest in material.given.items()]
    files += [(name, file_digest(folder / name)) for name in FILES if (folder / name).is_file()]
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
        *([SBRT_LIMIT] if (material.patients["arm"] == "sbrt").any() else []),
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
