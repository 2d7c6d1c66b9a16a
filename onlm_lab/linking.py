"""Which CT and segmentation belong to which patient of a study: found by PatientID, written as annotations.csv."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from onlm_lab import imaging, schema
from onlm_lab.cohort import load_cohort
from onlm_lab.errors import OnlmError
from onlm_lab.imaging.privacy import digest_text, find_path, identifying_texts, safe_path
from onlm_lab.steps import write_text
from onlm_lab.study import starter_toml

_TAGS = ("Modality", "SeriesInstanceUID", "PatientID", "PatientName", "ReferencedSeriesSequence")


def link_images(folder: str | Path, *, ct: str | Path) -> pd.DataFrame:
    """Give a study without images its CT: annotations.csv with series and mask of each patient, and study.toml renewed.

    A patient is linked whose PatientID in DICOM is the patient_id of the study, who has exactly one DICOM SEG, and
    whose SEG names a CT series that is there. The others stay in the study, without an image.

    Args:
        folder: of the study, with study.toml and clinical.csv.
        ct: folder with the DICOM files, in the study's folder or anywhere; it is named in study.toml relative to it.

    Returns:
        patient_id, linked (1 or 0), reason (why not); the same is written as images.csv.

    Raises:
        OnlmError: nobody could be linked.
        SeriesError: the CT folder does not exist.
    """
    folder, ct = Path(folder), Path(ct)
    patients = load_cohort(folder).patients["patient_id"]
    series = imaging.find_series(ct, progress=True)
    relative = os.path.relpath(ct, folder)
    rows, found = [], []
    for patient in patients:
        said = _link(patient, series=series, ct=ct, relative=relative)
        if isinstance(said, str):
            found.append((patient, 0, said))
        else:
            rows.append({"patient_id": patient, **said})
            found.append((patient, 1, None))
    table = pd.DataFrame(found, columns=["patient_id", "linked", "reason"])
    if not rows:
        first = table["reason"].value_counts()
        counted = ", ".join(f"{reason}: {n}" for reason, n in first.items())
        raise OnlmError(
            f"'{ct.name}': none of {len(table)} patients has a CT with its segmentation there ({counted}). Name the "
            "folder with the collection's DICOM files, segmentations included."
        )
    schema.write_table(pd.DataFrame(rows), folder / "annotations.csv")
    schema.write_table(table, folder / "images.csv")
    _renew(folder / "study.toml", ct=relative)
    return table


def _link(patient: str, *, series: pd.DataFrame, ct: Path, relative: str) -> dict[str, str] | str:
    """Series and mask of a patient, or why there are none."""
    own = series[series["patient_digest"] == digest_text(patient)]
    scans, masks = own[own["modality"] == "CT"], own[own["modality"] == "SEG"]
    if own.empty:
        return "no DICOM with this PatientID"
    if scans.empty:
        return "no CT"
    if len(masks) != 1:
        return "no segmentation" if masks.empty else "several segmentations"
    mask = masks.iloc[0]
    file, referenced = _segmentation(ct, folder=mask["path"], uid=mask["uid"])
    if file is None:
        return "the segmentation cannot be read"
    if not referenced:  # an old SEG that names no series: the one CT in its frame of reference
        referenced = scans.loc[scans["frame_of_reference_uid"] == mask["frame_of_reference_uid"], "uid"].tolist()
    there = [uid for uid in referenced if uid in set(scans["uid"])]
    if len(there) != 1:
        return "the CT of the segmentation is not there" if not there else "the segmentation names several CT"
    return {"series_uid": there[0], "mask_path": f"{relative}/{file}"}


def _segmentation(ct: Path, *, folder: str, uid: str) -> tuple[str | None, list[str]]:
    """The SEG file relative to `ct`, and the series that it names."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    from onlm_lab.imaging.header_values import MALFORMED
    from onlm_lab.imaging.quiet import reading_quietly

    place = find_path(ct / folder)
    for path in _files(place):
        try:
            with reading_quietly():
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
                own = str(header.get("SeriesInstanceUID", ""))
                items = header.get("ReferencedSeriesSequence") or ()
                named = [str(item.get("SeriesInstanceUID", "")) for item in items]
                said = identifying_texts(header)
        except (InvalidDicomError, OSError, EOFError, *MALFORMED):
            continue
        if own == uid:
            return safe_path(path.relative_to(ct), identifying=said), [n for n in named if n]
    return None, []


def _files(place: Path) -> Iterable[Path]:
    return [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())


def _renew(path: Path, *, ct: str) -> None:
    """study.toml with the CT folder, the annotations and all three models."""
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    changes = {
        "data": {"annotations": "annotations.csv", "ct": ct},
        "training": {"models": ["clinical", "image", "fused"]},
        "analysis": {"primary_model": "fused"},
    }
    sections = {**said, **{name: {**said.get(name, {}), **values} for name, values in changes.items()}}
    write_text(path, starter_toml(name=said["study"]["name"], sections=sections))
