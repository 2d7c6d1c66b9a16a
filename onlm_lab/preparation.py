"""From a study's CT folder to the patch cache: one row a patient, in parallel, resumable.

A patient whose CT or annotation cannot be used is not an error of the study: the row says `usable = 0` with a reason,
and the report counts it. What is cut already, from the same files, is not cut again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from onlm_lab import imaging, patches, processes, schema, steps
from onlm_lab.errors import OnlmError, SeriesError, StudyError
from onlm_lab.imaging.quality import assess_quality
from onlm_lab.study import Study

AXES = ("x", "y", "z")
FACTS = ("manufacturer", "kernel", "kvp", "thickness_mm", "contrast")


@dataclass(frozen=True)
class Task:
    """What one process needs to cut one patient's patch."""

    patient_id: str
    source: Path
    series_uid: str | None
    centre_mm: tuple[float, float, float] | None
    mask: Path | None
    mask_roi: str | None
    cache: Path
    spec: patches.PatchSpec


def patch_spec(study: Study) -> patches.PatchSpec:
    return patches.PatchSpec(size_mm=study.patch.size_mm, spacing_mm=study.patch.spacing_mm)


def cache_folder(study: Study) -> Path:
    """Where this study's patches of this spec lie: another spec, another folder."""
    return study.folder / "work" / f"cache-{patch_spec(study).digest[:8]}"


def cache_files(study: Study) -> list[Path]:
    """The files of every whole row of the cache: where one is lost, there is something to prepare."""
    folder = cache_folder(study)
    rows = patches.open_cache(folder).rows.values()
    return [*sorted((folder / "rows").glob("*.json")), *(folder / str(row["file"]) for row in rows)]


def prepare_images(study: Study, *, patient_ids: Iterable[str], annotations: pd.DataFrame) -> pd.DataFrame:
    """Cut the patch of every named patient that is not yet in the cache.

    Args:
        patient_ids: whose images are wanted.
        annotations: schema "annotations".

    Returns:
        A row a patient: patient_id, usable (0/1), reason, detail, and the acquisition and quality of the series.

    Raises:
        StudyError: the CT folder holds no CT series at all.
    """
    spec, cache = patch_spec(study), cache_folder(study)
    patches.create_cache(cache, spec=spec)
    series = _series(study)
    by_patient = annotations.drop_duplicates("patient_id").set_index("patient_id")
    rows: list[dict[str, Any]] = []
    tasks: list[Task] = []
    for patient in patient_ids:
        task = _task(study, patient=patient, annotations=by_patient, series=series, cache=cache, spec=spec)
        if isinstance(task, Task):
            tasks.append(task)
        else:
            rows.append({"patient_id": patient, "usable": 0, "reason": task})
    rows += _map(tasks)
    prepared = pd.DataFrame(rows, columns=["patient_id", "usable", "reason", "detail"])
    facts = patches.open_cache(cache).facts
    if len(facts):
        prepared = prepared.merge(facts, on="patient_id", how="left")
    return prepared.sort_values("patient_id", kind="stable", ignore_index=True)


def _series(study: Study) -> pd.DataFrame:
    """All series of the CT folder; kept as work/series.csv for the imaging-protocol table."""
    table = imaging.find_series(study.path(study.data.ct), progress=True)
    n_ct = int((table["modality"] == "CT").sum())
    if not n_ct:
        raise StudyError(
            f"{study.data.ct}: no CT series among {table.attrs['n_files']} file(s). Put the DICOM series there; "
            'or set [data] ct = "" and [training] models = ["clinical"] to go on without images.'
        )
    kept = table.assign(faults=table["faults"].map(";".join))
    for name in kept.select_dtypes(bool):
        kept[name] = kept[name].astype(int)
    schema.write_table(kept, study.folder / "work" / "series.csv")
    return table


def _task(
    study: Study, *, patient: str, annotations: pd.DataFrame, series: pd.DataFrame, cache: Path,
    spec: patches.PatchSpec,
) -> Task | str:  # fmt: skip
    """What to cut for a patient, or the reason why nothing can be."""
    if patient not in annotations.index:
        return "no annotation"
    said = annotations.loc[patient]
    uid = said.get("series_uid") or None
    path = said.get("series_path") or None
    if path is None and uid is not None:
        found = series.loc[series["uid"] == uid, "path"]
        if found.empty:
            return "the annotated series is not in the CT folder"
        path = f"{study.data.ct}/{found.iloc[0]}"
    if path is None:
        return "the annotation names no series"
    centre = tuple(float(said.get(f"tumour_{axis}_mm", float("nan"))) for axis in AXES)
    mask = said.get("mask_path") or None
    if any(pd.isna(c) for c in centre):
        if mask is None:
            return "the annotation has neither a centre nor a mask"
        centre = None
    return Task(
        patient_id=patient, source=study.path(path), series_uid=uid, centre_mm=centre,
        mask=study.path(mask) if mask else None, mask_roi=said.get("mask_roi") or None, cache=cache, spec=spec,
    )  # fmt: skip


def _map(tasks: list[Task]) -> list[dict[str, Any]]:
    """The tasks over all cores, with a bar."""
    from tqdm.auto import tqdm

    if not tasks:
        return []
    rows = []
    workers = min(len(tasks), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, initializer=processes.begin_worker, initargs=(os.getpid(),)) as pool:
        jobs = [pool.submit(prepare_one, task) for task in tasks]
        try:
            for job in tqdm(as_completed(jobs), total=len(jobs), desc="  CT", unit="patient"):
                rows.append(job.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)  # what is being cut is finished, nothing else begun
            raise
    return rows


def prepare_one(task: Task) -> dict[str, Any]:
    """Read, judge and cut one patient; a fault of the CT or the mask becomes the row's reason."""
    row: dict[str, Any] = {"patient_id": task.patient_id, "usable": 0}
    try:
        _cut(task)
        return row | {"usable": 1}
    except SeriesError as error:
        return row | {"reason": "the CT or its mask cannot be used", "detail": str(error)}
    except OnlmError as error:
        return row | {"reason": "the patch cannot be cut", "detail": str(error)}


def content_digest(path: Path) -> str:
    """A digest of a file or a folder, also where a part of its name is a digest itself."""
    path = imaging.find_path(path)
    return steps.folder_digest(path) if path.is_dir() else steps.file_digest(path)


def _cut(task: Task) -> None:
    index = imaging.index_series(task.source, task.series_uid)
    mask_digest = steps.digest(content_digest(task.mask), task.mask_roi) if task.mask else ""
    key = patches.row_key(
        task.spec, series_uid=index.series_uid, files_digest=index.digest, mask_digest=mask_digest,
        centre_mm=task.centre_mm or (), reader_version=imaging.READER_VERSION,
    )  # fmt: skip
    if patches.has_row(task.cache, patient_id=task.patient_id, key=key):
        return
    volume = imaging.read_index(index)
    facts = {name: index.acquisition.get(name) for name in FACTS}
    facts |= {"n_slices": index.shape[0], "series_faults": ";".join(index.acquisition.get("warnings", ()))}
    centre = task.centre_mm
    if task.mask is not None:
        mask = imaging.read_mask(task.mask, volume, task.mask_roi)
        centre = centre or imaging.centre_of_mass_mm(mask, volume)
        facts |= {f"ct_{name}": value for name, value in imaging.measure_tumour(mask, volume).as_dict().items()}
    patch = imaging.cut_patch(volume, centre, task.spec)
    facts |= assess_quality(volume, centre_mm=centre, size_mm=task.spec.size_mm).as_dict()
    patches.write_patch(task.cache, patient_id=task.patient_id, patch=patch, key=key, facts=facts)
