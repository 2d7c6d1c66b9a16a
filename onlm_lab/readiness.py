"""Is a study ready to run? Whatever can be known to be wrong before the first patient is screened, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import DataError, Fault, StudyError
from onlm_lab.study import Study

IMAGE_MODELS = ("image", "fused")


def with_images(study: Study) -> bool:
    """Whether this study has, and its models want, CT images."""
    return bool(study.data.ct) and any(model in IMAGE_MODELS for model in study.training.models)


def require_ready(study: Study) -> dict[str, Any]:
    """Read every table against the schema and study.toml against the tables; gives n_patients, n_centres, n_annotated.

    Raises:
        DataError: what is wrong, a sentence a fault, with file, column and rows.
        StudyError: a file or the CT folder is not there, or a predictor cannot be used.
    """
    from onlm_lab.cohort import load_cohort
    from onlm_lab.cohort.predictors import refuse_post_treatment
    from onlm_lab.cohort.sites import refuse_empty

    try:
        cohort = load_cohort(study)
    except DataError as error:
        refuse_empty(study)
        raise DataError([*error.details, *_annotation_faults(study)]) from None
    patients = cohort.patients
    refuse_post_treatment(
        study.training.predictors, extra_columns=study.columns, patients=patients, surrogate=study.label.surrogate
    )
    unknown = [c for c in study.training.predictors if c not in patients.columns]
    if unknown:
        raise StudyError(
            f"study.toml: training.predictors names {', '.join(unknown)}, not a column of {study.data.clinical}. "
            "Take it out, or add the column."
        )
    words = [name for name in study.training.predictors if patients[name].dtype == object and _free_text(study, name)]
    if words:
        raise StudyError(
            f"study.toml: training.predictors names {', '.join(words)}, free text; wanted a number, a boolean or "
            'a category. Declare its type = "category" with the allowed words, or take it out.'
        )
    strange = [name for name in study.analysis.subgroups if name not in patients.columns]
    if strange:
        near = schema.nearest(strange[0], patients.columns)
        raise StudyError(
            f"study.toml: analysis.subgroups names {', '.join(strange)}, not a column of {study.data.clinical}"
            f"{f'; did you mean {near!r}?' if near else '.'} Take it out, or add the column."
        )
    facts = {"n_patients": len(patients), "n_centres": int(patients["centre"].nunique())}
    wanting = [model for model in study.training.models if model in IMAGE_MODELS]
    if wanting and not study.data.ct:
        raise StudyError(
            f"study.toml: [training] models names {', '.join(wanting)}, which need CT, but [data] ct is empty. "
            'Name the CT folder, or set models = ["clinical"].'
        )
    if with_images(study):
        facts["n_annotated"] = len(read_annotations(study, patients=patients))
        if not study.path(study.data.ct).is_dir():
            raise StudyError(
                f'study.toml: [data] ct = "{study.data.ct}", but there is no such folder. Put the DICOM series there; '
                'or set ct = "" and [training] models = ["clinical"] to go on without images.'
            )
    return facts


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
    """Where each tumour is; every row belongs to a patient of the cohort."""
    from onlm_lab.cohort.tables import read_annotation_table

    reading = read_annotation_table(study)
    table = reading.frame
    strangers = sorted(set(table["patient_id"]) - set(patients["patient_id"]))
    if strangers:
        raise StudyError(
            f"{study.data.annotations}: {len(strangers)} rows name patients that {study.data.clinical} does not have "
            f"({', '.join(strangers[:5])}). Correct the ids, or add the patients."
        )
    _refuse_shared_series(table, rows=reading.rows, file=study.data.annotations)
    return table


def _refuse_shared_series(annotations: pd.DataFrame, *, rows: Sequence[int], file: str) -> None:
    """One scan under two names would stand on both sides of a split."""
    empty = pd.Series(None, index=annotations.index, dtype=object)
    series = annotations.get("series_uid", empty).fillna(annotations.get("series_path", empty))
    shared = annotations[series.notna() & series.duplicated(keep=False)]
    if len(shared):
        named = ", ".join(f"row {rows[i]} {p}" for i, p in shared["patient_id"].head(4).items())
        raise StudyError(
            f"{file}: {len(shared)} of {len(annotations)} rows name a CT series that another row names too ({named}); "
            "a scan belongs to one patient. Correct series_uid or series_path."
        )
