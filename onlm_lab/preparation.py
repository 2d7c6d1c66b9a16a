"""From a study's CT folder to the patch cache: one row a patient, in parallel, resumable.

A patient whose CT or annotation cannot be used is not an error of the study: the row says `usable = 0` with a reason,
and the report counts it. What is cut already, from the same files, is not opened again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import cluster, cores, imaging, patches, schema, steps
from onlm_lab.contact_sheet import FILE as SHEET
from onlm_lab.contact_sheet import write_contact_sheet
from onlm_lab.errors import OnlmError, SeriesError, StudyError, of_the_disk, told
from onlm_lab.measured import image_disagreements
from onlm_lab.sources import Scan, Sources, cut_key, find_sources
from onlm_lab.study import Study

APART_MM = 10.0  # a centre is within its tumour or, of a bent one, near it
UNUSABLE = "the CT or its mask cannot be used"
FACTS_VERSION = "3"  # raise it when the same scan would be measured or judged differently
FACTS = ("manufacturer", "model", "kernel", "kvp", "thickness_mm", "contrast", "tilt_degrees", "n_filled")


@dataclass(frozen=True)
class Task:
    """What one process needs to cut one patient's patch."""

    scan: Scan
    cache: Path
    spec: patches.PatchSpec
    key: str
    treatments: Mapping[str, str]
    solid_cut_hu: float
    limits: imaging.QualityLimits
    lung_kernels: tuple[str, ...] = ()  # the study's own patterns, which go before the known names
    soft_kernels: tuple[str, ...] = ()


def patch_spec(study: Study) -> patches.PatchSpec:
    """What a patch of this study is, and the planes that its model sees of it."""
    model = study.model
    return patches.PatchSpec(
        size_mm=study.patch.size_mm, spacing_mm=study.patch.spacing_mm, neighbours=model.neighbours,
        gap_mm=model.gap_mm, windows=((model.window_low_hu, model.window_high_hu),),
    )  # fmt: skip


def cache_folder(study: Study) -> Path:
    """Where this study's patches of this spec lie: another cube, another folder."""
    return study.folder / "work" / f"cache-{patch_spec(study).cube_digest[:8]}"


def cache_files(study: Study) -> list[Path]:
    """The files of every row of the cache: where one is lost, there is something to prepare."""
    return patches.open_cache(cache_folder(study)).files


def prepare_study(
    study: Study, *, patient_ids: list[str], patients: pd.DataFrame, annotations: pd.DataFrame,
    say: Callable[[str], None], address: str | None = None, workers: int | None = None,
) -> tuple[list[Path], dict[str, Any]]:  # fmt: skip
    """The images of a study, with what the CT says of each tumour beside what the spreadsheet says.

    Args:
        patient_ids: whose images are wanted.
        patients: clinical columns.
        annotations, address, workers: as in `prepare_images`.
        say: takes a line for the user.

    Returns:
        The files that were written, and a few facts.

    Raises:
        StudyError: not one patient has a usable CT.
    """
    work = study.folder / "work"
    out, listed = work / "prepared.csv", work / "image_disagreements.csv"
    recorded = patients.set_index("patient_id").get("ct_to_treatment_days", pd.Series(dtype=float))
    prepared = prepare_images(
        study, patient_ids=patient_ids, annotations=annotations, recorded_days=recorded.dropna().to_dict(),
        address=address, workers=workers,
    )  # fmt: skip
    schema.write_table(prepared, out)
    again = image_disagreements(study, patients=patients, prepared=prepared)
    schema.write_table(again.assign(matters=again["matters"].astype(int)), listed)
    write_contact_sheet(
        study, prepared=prepared, cache=patches.open_cache(cache_folder(study)), disagreements=again
    )  # fmt: skip
    n_usable = int(prepared["usable"].sum())
    say(f"  {n_usable} of {len(patient_ids)} eligible patients have a usable CT patch")
    for reason, rows in prepared[prepared["usable"] == 0].groupby("reason"):
        say(f"    {len(rows)} x {reason}")
    if not n_usable:
        raise StudyError(
            "Not one eligible patient has a usable CT patch; the reasons stand above and in work/prepared.csv."
        )
    if len(again):
        n, n_matter = (rows["patient_id"].nunique() for rows in (again, again[again["matters"]]))
        people = "1 patient" if n == 1 else f"{n} patients"
        say(
            f"  CT and spreadsheet disagree on {people} (image_disagreements.csv); "
            f"for {n_matter} it may decide who is in"
        )
    say("  to be looked through before training: work/contact_sheet.html")
    return [out, listed, work / SHEET, *cache_files(study)], {"n_usable": n_usable}


def prepare_images(
    study: Study, *, patient_ids: Iterable[str], annotations: pd.DataFrame,
    recorded_days: Mapping[str, float] | None = None, address: str | None = None, workers: int | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Cut the patch of every named patient that is not yet in the cache.

    Args:
        patient_ids: whose images are wanted.
        annotations: schema "annotations".
        recorded_days: by patient_id, the days from CT to treatment that the spreadsheet names; they count where the
            files do not tell.
        address: of a Dask cluster that does the work, or None for this machine.
        workers: processes of this machine; each holds a whole CT. None takes as many as it has cores.

    Returns:
        A row a patient: patient_id, usable (0/1), reason, detail, and the acquisition and quality of the series.

    Raises:
        StudyError: the CT folder holds no CT series at all.
        OnlmError: the cluster cannot be reached.
    """
    spec, cache = patch_spec(study), cache_folder(study)
    patches.create_cache(cache, spec=spec)
    patches.drop_broken_rows(cache)
    sources = scans_of(study, patient_ids=patient_ids, annotations=annotations)
    write_series(study, sources)
    rows: list[dict[str, Any]] = []
    tasks: list[Task] = []
    for patient, scan in sources.scans.items():
        if isinstance(scan, Scan) and math.isnan(scan.days_before_treatment):
            scan = replace(scan, days_before_treatment=float((recorded_days or {}).get(patient, math.nan)))
        task = _task(study, scan, cache=cache, spec=spec) if isinstance(scan, Scan) else scan
        if isinstance(task, str):
            rows.append({"patient_id": patient, "usable": 0, "reason": task})
        elif patches.has_row(cache, patient_id=patient, key=task.key):
            rows.append({"patient_id": patient, "usable": 1})
        else:
            tasks.append(task)
    if address is None:
        rows += cores.mapped(prepare_one, tasks, workers=workers, what="CT", lost=row_of_ended)
    else:
        shared = cache / patches.SPEC_FILE
        rows += cluster.mapped(prepare_one, tasks, address=address, what="CT", lost=row_of_ended, shared=shared)
    return _table(study, rows, cache)


def _table(study: Study, rows: list[dict[str, Any]], cache: Path) -> pd.DataFrame:
    prepared = pd.DataFrame(rows, columns=["patient_id", "usable", "reason", "detail"])
    usable = prepared.loc[prepared["usable"] == 1, "patient_id"]
    facts = patches.open_cache(cache).facts
    if len(facts):  # of an unusable patient there may be those of an earlier CT, which is not the one that is meant
        prepared = prepared.merge(facts[facts["patient_id"].isin(usable)], on="patient_id", how="left")
    return prepared.sort_values("patient_id", kind="stable", ignore_index=True)


def scans_of(study: Study, *, patient_ids: Iterable[str], annotations: pd.DataFrame) -> Sources:
    """Which CT belongs to which patient; headers are kept in work/headers, so that nothing is opened twice.

    Raises:
        StudyError: the CT folder holds no CT series at all.
    """
    from onlm_lab.cohort.treatment_dates import treatment_dates

    found = imaging.search(study.path(study.data.ct), progress=True, store=study.folder / "work" / "headers")
    if not any(found.modality(uid) == "CT" for uid in found.series) and not _files_named(annotations):
        raise StudyError(
            f"{study.data.ct}: no CT series among {found.n_files} file(s). Put the DICOM series there; "
            'or set [data] ct = "" and [training] models = ["clinical"] to go on without images.'
        )
    return find_sources(
        study, patient_ids=patient_ids, annotations=annotations, found=found, treatment_dates=treatment_dates(study)
    )


def _files_named(annotations: pd.DataFrame) -> bool:
    """Whether an annotation names a CT that is one file."""
    paths = annotations["series_path"].dropna() if "series_path" in annotations else ()
    return any(str(path).lower().endswith(imaging.VOLUME_FILES) for path in paths)


def write_series(study: Study, sources: Sources) -> None:
    """work/series.csv: every series, whose it is, and why it was chosen or left out."""
    kept = sources.series.copy()
    for name in ("faults", "stacks", "refused"):
        kept[name] = kept[name].map("; ".join)
    for name in kept.select_dtypes(bool):
        kept[name] = kept[name].astype(int)
    schema.write_table(kept, study.folder / "work" / "series.csv")


def _task(study: Study, scan: Scan, *, cache: Path, spec: patches.PatchSpec) -> Task | str:
    """What to cut for a patient, or the reason why nothing can be."""
    said = study.imaging
    limits = imaging.quality_limits(said.quality)
    settings = {
        "faults": dict(sorted(said.faults.items())), "solid_cut_hu": said.solid_cut_hu,
        "quality": dict(sorted(said.quality.items())), "days_before_treatment": repr(scan.days_before_treatment),
        "beside": [code for code, _ in scan.beside], "facts": FACTS_VERSION,
        "kernels": [said.lung_kernels, said.soft_kernels],
    }  # fmt: skip
    try:
        if scan.mask is not None and not imaging.find_path(scan.mask).exists():
            return "the annotated mask does not exist"
        mask_digest = steps.digest(content_digest(scan.mask), scan.mask_roi) if scan.mask else ""
    except OSError as error:
        return f"the annotated mask cannot be read: {error.strerror or 'unknown reason'}"
    return Task(
        scan=scan, cache=cache, spec=spec, key=cut_key(scan, spec, mask_digest=mask_digest, settings=settings),
        treatments=said.faults, solid_cut_hu=said.solid_cut_hu, limits=limits,
        lung_kernels=said.lung_kernels, soft_kernels=said.soft_kernels,
    )  # fmt: skip


def row_of_ended(task: Task) -> dict[str, Any]:
    """The row of a patient whose process was ended from outside, also when it worked alone."""
    return {
        "patient_id": task.scan.patient_id,
        "usable": 0,
        "reason": "the process that read the CT was ended by the system",
        "detail": "Most often memory ran out. Try a machine with more, or see whether the CT is far too large.",
    }


def prepare_one(task: Task) -> dict[str, Any]:
    """Read, judge and cut one patient; whatever is wrong with the CT or the mask becomes the row's reason.

    Raises:
        OSError: the disk is full or may not be written; no other patient could be done either.
    """
    row: dict[str, Any] = {"patient_id": task.scan.patient_id, "usable": 0}
    try:
        _cut(task)
        return row | {"usable": 1}
    except SeriesError as error:
        return row | {"reason": UNUSABLE, "detail": str(error)}
    except OnlmError as error:
        return row | {"reason": "the patch cannot be cut", "detail": str(error)}
    except Exception as error:
        if of_the_disk(error):
            raise
        return row | {"reason": UNUSABLE, "detail": told(error)}


def content_digest(path: Path) -> str:
    """A digest of a file's content, or of a folder; a part of its name may be a digest itself."""
    path = imaging.find_path(path)
    if path.is_dir():
        return steps.folder_digest(path)
    return steps.digest([steps.file_digest(part) for part in imaging.files_of_volume(path)])


def state_digest(path: Path) -> str:
    """A digest of a file's size and time of change, or of a folder: fast, for a whole CT."""
    path = imaging.find_path(path)
    if path.is_dir():
        return steps.folder_digest(path)
    states = [part.stat() for part in imaging.files_of_volume(path) if part.is_file()]
    return steps.digest([[state.st_size, state.st_mtime_ns] for state in states])


def _cut(task: Task) -> None:
    scan = task.scan
    volume = scan.read(task.treatments)
    facts = {name: volume.acquisition.get(name) for name in FACTS}
    facts |= {"n_slices": volume.shape[0], "series_faults": ";".join(volume.acquisition.get("warnings", ()))}
    kernel = str(facts["kernel"] or "")
    facts["kernel_class"] = imaging.kernel_class(kernel, lung=task.lung_kernels, soft=task.soft_kernels)
    centre, mask, notes = scan.centre_mm, None, ()
    if scan.mask is not None:
        mask, notes = imaging.read_mask_noted(scan.mask, volume, scan.mask_roi, identifying=scan.identifying())
        if centre is None:
            centre = imaging.centre_of_mass_mm(imaging.largest_part(mask)[0], volume)
        else:
            _refuse_apart(centre, mask, volume)
    patch = imaging.cut_patch(volume, centre, task.spec)
    on_patch = None if mask is None else imaging.cut_mask(mask, volume, centre, task.spec)
    facts |= _facts(task, volume, mask=mask, centre=centre, notes=notes)
    sheet = imaging.contact_strip(volume, patch, centre_mm=centre, mask=on_patch)
    patches.write_patch(
        task.cache, patient_id=scan.patient_id, patch=patch, key=task.key, facts=facts, mask=on_patch, sheet=sheet
    )


def _refuse_apart(centre: tuple[float, float, float], mask: np.ndarray, volume: imaging.CtVolume) -> None:
    """Refuse a point and a mask of two lesions: the patch would show one and the facts describe the other."""
    voxels = volume.to_patient_mm(np.argwhere(mask))
    away = float(np.linalg.norm(voxels - np.array(centre), axis=1).min())
    if away > APART_MM:
        raise SeriesError(
            f"The annotated centre lies {away:.0f} mm from the annotated mask: one of them is of another lesion or has "
            "another sign of x or y. Correct tumour_x_mm, tumour_y_mm, tumour_z_mm or the mask, or leave one out."
        )


def _facts(
    task: Task, volume: imaging.CtVolume, *, mask: np.ndarray | None, centre: tuple[float, float, float],
    notes: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """What the CT says of the tumour, where it lies, and how good the CT is."""
    lungs = imaging.find_lungs(volume, tumour=mask)
    point = None if mask is not None else centre
    facts = imaging.locate_tumour(volume, lungs=lungs, mask=mask, centre_mm=point).as_dict()
    facts |= {"location_reasons": facts.pop("reasons"), "lungs_sound": lungs.sound}
    facts |= {"lung_right_ml": lungs.right_ml, "lung_left_ml": lungs.left_ml}
    if mask is not None:
        measured = imaging.measure_tumour(mask, volume, solid_cut_hu=task.solid_cut_hu).as_dict()
        facts |= measured | {"notes": " ".join([*notes, *filter(None, [measured["notes"]])])}
    days = task.scan.days_before_treatment
    quality = imaging.assess_quality(
        volume, centre_mm=centre, size_mm=task.spec.size_mm, tumour_mask=mask,
        days_before_treatment=None if math.isnan(days) else days, limits=task.limits,
    )  # fmt: skip
    return {f"ct_{name}": value for name, value in facts.items()} | quality.as_dict()
