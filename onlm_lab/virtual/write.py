"""A made-up trial as a folder: the files that a hospital would send, and truth.csv beside them.

    write_trial("demo", n_patients=300, n_centres=5, seed=7)

Patient after patient goes to disk, each folder under a hidden name until it is whole; study.toml comes last. A killed
command, started again, goes on where it stopped, and the files are the same to the byte.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from onlm_lab.errors import StudyError
from onlm_lab.schema import Column, write_table
from onlm_lab.study import starter_toml
from onlm_lab.virtual.trial import Trial, draw_trial
from onlm_lab.virtual.world import GENERATOR_VERSION

NOTE = "virtual.json"
LVI = Column(
    name="lvi",
    table="clinical",
    type="boolean",
    timing="post_treatment",
    description="Lymphovascular invasion at pathology: known after surgery only",
)


def write_trial(
    folder: str | Path,
    *,
    n_patients: int = 300,
    n_centres: int = 5,
    seed: int = 7,
    tables_only: bool = False,
    progress: bool | None = None,
    n_workers: int | None = None,
) -> Path:
    """Writes a made-up multicentre trial with known truth, and returns its folder.

    Args:
        folder: a new or empty folder, or one in which the same command was stopped before.
        n_patients: how many; 300 take about a minute and 2.5 GB, and one in fifty (five at most) has a full-size scan.
        n_centres: hospitals, from 1 to 50.
        seed: the same numbers and seed give the same bytes, on any number of workers.
        tables_only: no CT, and no annotations.csv.
        progress: whether to show a bar; None: no bar.
        n_workers: patients written at a time; None: one a core, four at most.

    Raises:
        StudyError: the folder holds something else, or a number is out of range.
    """
    folder = Path(folder)
    request = {
        "generator": GENERATOR_VERSION,
        "n_patients": n_patients,
        "n_centres": n_centres,
        "seed": seed,
        "tables_only": tables_only,
    }
    trial = draw_trial(n_patients=n_patients, n_centres=n_centres, seed=seed)
    if _finished(folder, request):
        return folder
    _write_tables(trial, folder, tables_only=tables_only)
    if not tables_only:
        _write_scans(trial, folder / "ct", progress=bool(progress), n_workers=n_workers)
    sections = {"columns": {LVI.name: {"type": LVI.type, "timing": LVI.timing, "description": LVI.description}}}
    if tables_only:
        sections["data"] = {"annotations": "", "ct": ""}
        sections["training"] = {"models": ["clinical"]}
    name = f"Made-up trial of {n_patients} patients (seed {seed})"
    _write_text(folder / "study.toml", starter_toml(name=name, made_up=True, seed=seed, sections=sections))
    return folder


def _finished(folder: Path, request: dict[str, object]) -> bool:
    """Whether the trial is already there whole; leaves the request's note in a folder that is free to use."""
    note = folder / NOTE
    if folder.exists() and not folder.is_dir():
        raise StudyError(f"'{folder.name}' is a file; wanted a folder for the made-up trial. Name another.")
    if note.is_file():
        there = json.loads(note.read_text(encoding="utf-8"))
        if there != request:
            differs = ", ".join(f"{k} {there.get(k)} (asked: {v})" for k, v in request.items() if there.get(k) != v)
            raise StudyError(
                f"'{folder.name}' holds another made-up trial: {differs}. Name a new folder, or ask for the same trial."
            )
        return (folder / "study.toml").is_file()
    others = sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) if folder.is_dir() else []
    if others:
        raise StudyError(
            f"'{folder.name}' is not empty ({len(others)} entries, such as '{others[0]}') and is no made-up trial; "
            "wanted a new or empty folder. Name another."
        )
    folder.mkdir(parents=True, exist_ok=True)
    _write_text(note, json.dumps(request, indent=1) + "\n")
    return False


def _write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _write_tables(trial: Trial, folder: Path, *, tables_only: bool) -> None:
    write_table(trial.clinical, folder / "clinical.csv", extra_columns=(LVI,))
    write_table(trial.followup, folder / "followup.csv")
    write_table(trial.truth, folder / "truth.csv")
    if not tables_only:
        write_table(trial.annotations, folder / "annotations.csv")


def _write_scans(trial: Trial, folder: Path, *, progress: bool, n_workers: int | None) -> None:
    """Writes each patient's scans that are not there yet."""
    from tqdm.auto import tqdm

    folder.mkdir(exist_ok=True)
    for left in folder.glob(".*.part"):
        shutil.rmtree(left)
    workers = n_workers or min(4, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(_write_patient, trial, i, folder) for i in range(len(trial.clinical))]
        try:
            for job in tqdm(jobs, desc="Made-up CT", unit="patient", disable=not progress):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_patient(trial: Trial, index: int, folder: Path) -> None:
    """One patient's folder, visible only once it is whole."""
    from onlm_lab.virtual.dicom import write_scan
    from onlm_lab.virtual.masks import mask_bytes

    patient_id = str(trial.clinical["patient_id"].iloc[index])
    final, part = folder / patient_id, folder / f".{patient_id}.part"
    if final.is_dir():
        return
    part.mkdir()
    write_scan(trial, index, part)
    mask = trial.annotations["mask_path"].iloc[index]
    if mask:
        place = folder.parent / str(mask)
        place.parent.mkdir(exist_ok=True)
        half = place.with_name(f".{place.name}.part")
        half.write_bytes(mask_bytes(trial, index))
        half.replace(place)
    part.replace(final)
