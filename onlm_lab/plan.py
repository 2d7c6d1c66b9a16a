"""The steps of a study, what goes into each, and where they leave what: who needs to know begins nothing by asking."""

from __future__ import annotations

from pathlib import Path

from onlm_lab import readiness, steps
from onlm_lab.runs import Run
from onlm_lab.steps import Step
from onlm_lab.study import Study

STEPS = ("check", "screen", "prepare", "train", "analyse", "report")


def planned(study: Study, *, name: str) -> Step:
    """A step with the digest of everything that goes into it."""
    tables = [study.path(study.data.clinical), study.path(study.data.followup)]
    base = [study.digest("data", "mapping", "columns"), *tables]
    if name == "check":
        inputs = steps.digest("check", *base, study.path(study.data.annotations), study.digest("training", "split"))
    elif name == "screen":
        inputs = steps.digest("screen", *base, study.digest("protocol", "label"))
    elif name == "prepare":
        ct = steps.folder_digest(study.path(study.data.ct)) if readiness.with_images(study) else "no images"
        parts = (
            study.digest("patch", "imaging", "data", "mapping"),
            study.training.models,
            ct,
            annotated_digest(study),
        )
        tables = (work_file(study, "status.csv"), work_file(study, "cohort.csv"), study.path(study.data.annotations))
        inputs = steps.digest("prepare", *parts, *tables)
    elif name == "train":
        inputs = steps.digest("train", run_id(study), work_file(study, "prepared.csv"))
    elif name == "analyse":
        inputs = steps.digest(
            "analyse", run_id(study), study.digest("analysis"), run_of(study).folder / "predictions.csv",
            run_of(study).folder / "opening.json",
        )  # fmt: skip
    else:
        inputs = steps.digest("report", run_id(study), study.digest(), run_of(study).folder / "results.json")
    return Step(name=name, folder=study.folder, inputs=inputs)


def work_file(study: Study, name: str) -> Path:
    """A file between steps."""
    return study.folder / "work" / name


def annotated_digest(study: Study) -> str:
    """A digest of the masks and CT that the annotations name by path, which may lie outside the CT folder."""
    path = study.path(study.data.annotations)
    if not readiness.with_images(study) or not path.is_file():
        return "no annotations"
    from onlm_lab.cohort.tables import read_annotation_table

    table = read_annotation_table(study).frame
    masks, scans = ([str(name) for name in table.get(column, ()) if name] for column in ("mask_path", "series_path"))
    if not masks and not scans:
        return "no paths"
    from onlm_lab import preparation

    return steps.digest(
        [preparation.content_digest(study.path(name)) for name in masks],
        [preparation.state_digest(study.path(name)) for name in dict.fromkeys(scans)],
    )


def run_id(study: Study) -> str:
    """Name of the run that this study's settings and data lead to: other settings, another run; another title, none."""
    stages = study.digest(
        "data", "mapping", "columns", "protocol", "label", "split", "patch", "model", "training", "scores"
    )
    tables = (work_file(study, "cohort.csv"), work_file(study, "prepared.csv"))
    return "run-" + steps.digest(study.seed, study.made_up, stages, *tables)[:10]


def run_of(study: Study) -> Run:
    return Run(study.folder / "runs" / run_id(study))
