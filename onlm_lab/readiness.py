"""Is a study ready to run? Whatever can be known to be wrong before the first patient is screened, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import DataError, Fault, OnlmError, StudyError
from onlm_lab.study import Study

if TYPE_CHECKING:
    from onlm_lab.cohort import Cohort

IMAGE_MODELS = ("image", "fused")


def with_images(study: Study) -> bool:
    """Whether this study has, and its models want, CT images."""
    return bool(study.data.ct and study.data.annotations) and any(
        model in IMAGE_MODELS for model in study.training.models
    )


@dataclass(frozen=True, eq=False)
class Ready:
    """A study that may run: its patients, and the number of tumours that are annotated (None without images)."""

    cohort: Cohort
    n_annotated: int | None = None


def require_ready(study: Study) -> Ready:
    """Read every table against the schema, and study.toml against the tables.

    Raises:
        DataError: what is wrong with the tables, and with the rules of the protocol; a sentence a fault.
        StudyError: what study.toml names and is not there or cannot be used; a sentence a fault.
    """
    from onlm_lab.cohort import load_cohort, require_rules
    from onlm_lab.cohort.duplicates import refuse_duplicates
    from onlm_lab.cohort.sites import refuse_empty

    said = _told(require_rules, study.protocol, extra_columns=schema.declared(study.columns))
    try:
        cohort = load_cohort(study)
    except DataError as error:
        refuse_empty(study)
        raise DataError([*said, *error.details, *_annotation_faults(study)]) from None
    patients = cohort.patients
    said += _predictor_faults(study, patients=patients) + _subgroup_faults(study, patients=patients)
    said += _told(refuse_duplicates, patients, distinct=study.split.distinct_patients, file=study.data.clinical)
    annotations, found = _images(study, patients=patients)
    if said + found:
        if any(fault.file for fault in found):
            raise DataError([*said, *found])
        raise StudyError("\n".join(map(str, said + found)))
    return Ready(cohort, n_annotated=None if annotations is None else len(annotations))


def _told(call: Callable[..., object], *values: object, **settings: object) -> list[Fault]:
    """What a check refuses, a sentence each, so that it is told with everything else."""
    try:
        call(*values, **settings)
    except DataError as error:
        return error.details
    except OnlmError as error:
        return [Fault(line) for line in str(error).splitlines()]
    return []


def _predictor_faults(study: Study, *, patients: pd.DataFrame) -> list[Fault]:
    """Predictors that are known too late, that the table does not have, or that no model can read."""
    from onlm_lab.cohort.predictors import refuse_post_treatment

    named = study.training.predictors
    faults = _told(
        refuse_post_treatment, named, extra_columns=study.columns, patients=patients, surrogate=study.label.surrogate
    )
    unknown = [name for name in named if name not in patients.columns]
    if unknown:
        faults.append(Fault(
            f"study.toml: training.predictors names {', '.join(unknown)}, not a column of {study.data.clinical}. "
            "Take it out, or add the column."
        ))  # fmt: skip
    words = [name for name in named if name in patients and patients[name].dtype == object and _free_text(study, name)]
    if words:
        faults.append(Fault(
            f"study.toml: training.predictors names {', '.join(words)}, free text; wanted a number, a boolean or "
            'a category. Declare its type = "category" with the allowed words, or take it out.'
        ))  # fmt: skip
    return faults


def _subgroup_faults(study: Study, *, patients: pd.DataFrame) -> list[Fault]:
    strange = [name for name in study.analysis.subgroups if name not in patients.columns]
    if not strange:
        return []
    near = schema.nearest(strange[0], patients.columns)
    return [Fault(
        f"study.toml: analysis.subgroups names {', '.join(strange)}, not a column of {study.data.clinical}"
        f"{f'; did you mean {near!r}?' if near else '.'} Take it out, or add the column."
    )]  # fmt: skip


def _images(study: Study, *, patients: pd.DataFrame) -> tuple[pd.DataFrame | None, list[Fault]]:
    """The annotations of a study with images, and what is wrong with them or with the CT folder."""
    wanting = [model for model in study.training.models if model in IMAGE_MODELS]
    empty = [key for key in ("ct", "annotations") if not getattr(study.data, key)]
    if wanting and empty:
        named = {"ct": "the CT folder", "annotations": "the file that says where the tumours are"}
        return None, [Fault(
            f"study.toml: [training] models names {', '.join(wanting)}, which need CT, but [data] "
            f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty. Name "
            f"{' and '.join(named[key] for key in empty)}, or set models = [\"clinical\"]."
        )]  # fmt: skip
    if not with_images(study):
        return None, []
    faults = _limit_faults(study)
    if not study.path(study.data.ct).is_dir():
        faults.append(Fault(
            f'study.toml: [data] ct = "{study.data.ct}", but there is no such folder. Put the DICOM series there; '
            'or set ct = "" and [training] models = ["clinical"] to go on without images.'
        ))  # fmt: skip
    annotations = None
    try:
        annotations = read_annotations(study, patients=patients)
    except DataError as error:
        faults += error.details
    return annotations, faults


def _limit_faults(study: Study) -> list[Fault]:
    """Limits of quality that nobody knows."""
    if not study.imaging.quality:
        return []
    from onlm_lab.imaging import quality_limits

    return _told(quality_limits, study.imaging.quality)


def _free_text(study: Study, name: str) -> bool:
    spec = schema.column(name, extra_columns=schema.declared(study.columns))
    return spec is not None and spec.type == "text"


def _annotation_faults(study: Study) -> list[Fault]:
    """What is wrong with the annotations alone, so that it is told with the faults of the other tables."""
    from onlm_lab.cohort.tables import read_annotation_table

    if not with_images(study):
        return []
    try:
        read_annotation_table(study)
    except DataError as error:
        return error.details
    return []


def read_annotations(study: Study, *, patients: pd.DataFrame) -> pd.DataFrame:
    """Where each tumour is; every row belongs to a patient of the cohort.

    Raises:
        DataError: every fault of the file at once.
    """
    from onlm_lab.cohort.tables import read_annotation_table

    reading = read_annotation_table(study)
    table, file = reading.frame, study.data.annotations
    faults = schema.unknown_patients(
        table, patients=patients["patient_id"], file=file, of=study.data.clinical, rows=reading.rows
    )
    faults += _shared_series(table, rows=reading.rows, file=file)
    if faults:
        raise DataError(faults)
    return table


def _shared_series(annotations: pd.DataFrame, *, rows: Sequence[int], file: str) -> list[Fault]:
    """One scan under two names would stand on both sides of a split."""
    empty = pd.Series(None, index=annotations.index, dtype=object)
    series = annotations.get("series_uid", empty).fillna(annotations.get("series_path", empty))
    shared = annotations.loc[series.notna() & series.duplicated(keep=False), "patient_id"]
    if shared.empty:
        return []
    named = ", ".join(f"row {rows[i]} {p}" for i, p in shared.head(4).items())
    said = (
        f"{file}: {len(shared)} of {len(annotations)} rows name a CT series that another row names too ({named}); "
        "a scan belongs to one patient. Correct series_uid or series_path."
    )
    return [Fault(
        said, file=file, column="series_uid and series_path", rows=tuple(int(rows[i]) for i in shared.index),
        patients=tuple(shared), wanted="a series of one patient",
    )]  # fmt: skip
