"""One patient's whole CT as an array on disk, for the viewer: written on demand, the oldest removed for want of space.

The pages read no CT. They start `onlm volume PATIENT` and map the file that it leaves, work/volumes/<patient>.npy:
int16 HU (z,y,x) on the patient's axes (z to the head, y to the back, x to the left), and a .json beside it with
spacing, position, where it came from and where the tumour is. Where a mask was drawn, <patient>.mask holds it, an array
of numpy too: uint8, 1 in the tumour, cut to the box that the .json names. The folder belongs to its owner alone and is
never served.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onlm_lab import imaging, patches, preparation, readiness, runs, steps
from onlm_lab.errors import OnlmError, SeriesError, StudyError
from onlm_lab.imaging.volume import patient_axes
from onlm_lab.showing import shows_itself
from onlm_lab.sources import Scan, scan_of, tumour_of
from onlm_lab.study import Study

FOLDER = "volumes"
FACTS, MASK = ".json", ".mask"  # what lies beside a volume and goes with it
FORMAT = 2  # raise it when other files or facts are written
GIGABYTE = 1e9


@shows_itself
@dataclass(frozen=True)
class WrittenVolume:
    """A CT on disk.

    Attributes:
        path: of the .npy file.
        facts: shape, spacing_mm along (z, y, x), first_mm (x, y, z of voxel [0, 0, 0]), oblique_degrees (how far the
            scan's own axes lie from the patient's), series_uid, warnings; of the tumour centre_voxel (z, y, x with
            fractions, None where unknown) and mask_box (first voxel and the one after the last, along z, y and x; None
            where no mask is), with why_no_centre and why_no_mask, empty where there is one.
        is_new: whether it was written now.
    """

    path: Path
    facts: dict[str, Any]
    is_new: bool


def write_volume(study: Study, patient_id: str) -> WrittenVolume:
    """Write the whole CT of one patient, unless it is there already.

    Args:
        study: a prepared study.
        patient_id: whose CT is wanted.

    Raises:
        OnlmError: no such patient, no CT, or one that is larger than [imaging] volume_cache_gb.
        SeriesError: the CT cannot be read.
    """
    folder = _folder(study)
    scan = _scan_of(study, patient_id)
    path = folder / f"{patches.file_name(patient_id)}.npy"
    key = steps.digest(
        scan.series_uid, scan.digest, dict(study.imaging.faults), imaging.READER_VERSION, FORMAT, _tumour_key(scan)
    )
    there = _read_facts(path)
    if there is not None and there["key"] == key:
        os.utime(path)  # used now: others are older
        return WrittenVolume(path, there, is_new=False)
    volume = scan.read(study.imaging.faults)
    hu, spacing = patient_axes(volume)
    tumour, mask = _tumour(scan, volume)
    facts = {
        "patient_id": patient_id, "key": key, "shape": list(hu.shape), "spacing_mm": list(spacing),
        "first_mm": _first_mm(volume), "oblique_degrees": _oblique_degrees(volume), "series_uid": volume.series_uid,
        "warnings": list(volume.acquisition.get("warnings", ())), "made_up": study.made_up,
        **tumour,
    }  # fmt: skip
    content = patches.npy_bytes(hu)
    drawn = b"" if mask is None else patches.npy_bytes(mask)
    _make_room(folder, n_bytes=len(content) + len(drawn), limit_gb=study.imaging.volume_cache_gb, keep=path)
    _remove_beside(path)
    _write(path, content)
    if drawn:
        _write(path.with_suffix(MASK), drawn)
    _write(path.with_suffix(FACTS), json.dumps(facts, indent=1).encode())  # last: without it the volume is not there
    return WrittenVolume(path, facts, is_new=True)


def _scan_of(study: Study, patient_id: str) -> Scan:
    """The patient's scan: by the table of series that `onlm prepare` left, else found anew."""
    if not readiness.with_images(study):
        raise StudyError("This study has no images: [data] ct or annotations is empty, or no model needs them.")
    cohort = runs.read_csv(study.folder / "work" / "cohort.csv")
    if patient_id not in set(cohort["patient_id"]):
        raise OnlmError(f"'{patient_id}' is not a patient of this study. See patient_id in work/cohort.csv.")
    annotations = readiness.read_annotations(study, patients=cohort)
    known = _known_scan(study, patient_id)
    if known is not None:
        said = annotations[annotations["patient_id"] == patient_id]
        return known if said.empty else replace(known, **tumour_of(study, said.iloc[0]))
    found = preparation.scans_of(study, patient_ids=[patient_id], annotations=annotations).scans[patient_id]
    if isinstance(found, str):
        raise OnlmError(f"Patient {patient_id} has no CT to show: {found}.")
    return found


def _known_scan(study: Study, patient_id: str) -> Scan | None:
    """The scan that work/series.csv names, found in its own folder without a look at the others."""
    table = study.folder / "work" / "series.csv"
    if not table.is_file():
        return None
    series = runs.read_csv(table)
    own = series[(series["patient_id"] == patient_id) & (series["chosen"] == 1)]
    if len(own) != 1:
        return None
    place = imaging.find_path(study.path(study.data.ct) / str(own["path"].iloc[0]))
    if not place.is_dir():
        return None
    found = imaging.search(place)
    uid, stack = str(own["uid"].iloc[0]), own["stack"].iloc[0]
    if uid not in found.series:
        return None
    return scan_of(patient_id, uid if pd.isna(stack) else f"{uid}#{int(stack)}", found)


def _tumour_key(scan: Scan) -> list[object]:
    """Changes when the tumour's centre or mask does."""
    if scan.mask is None:
        return [scan.centre_mm, None]
    try:
        return [scan.centre_mm, scan.mask_roi, preparation.content_digest(scan.mask)]
    except OSError:
        return [scan.centre_mm, scan.mask_roi, "unreadable"]


def _tumour(scan: Scan, volume: imaging.CtVolume) -> tuple[dict[str, Any], np.ndarray | None]:
    """Where the tumour is in the turned array, and its mask cut to its box; a CT without either is shown all the same.

    The centre is the one that the patch was cut around: the annotated point, else that of the mask's largest part.
    """
    facts: dict[str, Any] = {"centre_voxel": None, "why_no_centre": "", "mask_box": None, "why_no_mask": ""}
    centre, mask = scan.centre_mm, None
    if scan.mask is None:
        facts["why_no_mask"] = "The annotation names no mask."
    else:
        try:
            mask, _ = imaging.read_mask_noted(scan.mask, volume, scan.mask_roi, identifying=scan.identifying())
        except SeriesError as error:
            facts["why_no_mask"] = str(error)
        except OSError as error:
            facts["why_no_mask"] = f"The annotated mask cannot be read: {error.strerror or 'unknown reason'}."
    if centre is None and mask is not None:
        centre = imaging.centre_of_mass_mm(imaging.largest_part(mask)[0], volume)
    if centre is None:
        facts["why_no_centre"] = "The tumour's centre is not known: no annotated point, and no mask to take it from."
    else:
        place = _turned_voxel(volume, centre)
        if all(-0.5 <= at <= n - 0.5 for at, n in zip(place, patient_axes(volume)[0].shape, strict=True)):
            facts["centre_voxel"] = place
        else:
            facts["why_no_centre"] = "The annotated centre lies outside the scan: check the sign of x and y."
    if mask is None:
        return facts, None
    turned, _ = patient_axes(replace(volume, hu=mask))
    inside = [np.flatnonzero(turned.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = [[int(places[0]), int(places[-1]) + 1] for places in inside]
    facts["mask_box"] = box
    return facts, turned[tuple(slice(*ends) for ends in box)].astype(np.uint8)


def _turned_voxel(volume: imaging.CtVolume, place_mm: tuple[float, float, float]) -> list[float]:
    """A position (x, y, z in mm) as z, y, x with fractions in the turned array."""
    index = volume.to_voxel(np.array(place_mm))
    order, flipped = volume.nearest_axes
    turned = [
        volume.shape[k] - 1 - index[k] if back else index[k] for k, back in zip(order, flipped, strict=True)
    ]  # fmt: skip
    return [round(float(at), 4) for at in turned]


def _folder(study: Study) -> Path:
    folder = study.folder / "work" / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def _read_facts(path: Path) -> dict[str, Any] | None:
    """What is known of a written volume; None where it is not there, or not whole."""
    try:
        facts = json.loads(path.with_suffix(FACTS).read_text(encoding="utf-8"))
        whole = path.stat().st_size >= 2 * int(np.prod(facts["shape"]))
        if facts["mask_box"] is not None:
            n_voxels = int(np.prod([last - first for first, last in facts["mask_box"]]))
            whole &= path.with_suffix(MASK).stat().st_size >= n_voxels
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return facts if whole else None


def _make_room(folder: Path, *, n_bytes: int, limit_gb: float, keep: Path) -> None:
    """Remove the volumes that were used longest ago until one more fits."""
    limit = limit_gb * GIGABYTE
    if n_bytes > limit:
        raise OnlmError(
            f"The CT takes {n_bytes / GIGABYTE:.2f} GB, more than [imaging] volume_cache_gb = {limit_gb:g}. Raise it."
        )
    others = sorted((path for path in folder.glob("*.npy") if path != keep), key=lambda path: path.stat().st_mtime_ns)
    sizes = {path: path.stat().st_size + _size(path.with_suffix(MASK)) for path in others}
    used = sum(sizes.values())
    for path in others:
        if used + n_bytes <= limit:
            return
        used -= sizes[path]
        _remove_beside(path)
        path.unlink()


def _remove_beside(path: Path) -> None:
    """The facts first: what is half gone is not taken for whole."""
    path.with_suffix(FACTS).unlink(missing_ok=True)
    path.with_suffix(MASK).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _first_mm(volume: imaging.CtVolume) -> list[float]:
    """Where voxel [0, 0, 0] of the turned array lies: x, y, z in mm (LPS)."""
    order, flipped = volume.nearest_axes
    index = np.zeros(3)
    for k, back in zip(order, flipped, strict=True):
        index[k] = volume.shape[k] - 1 if back else 0
    return [round(float(value), 6) for value in volume.to_patient_mm(index)]


def _oblique_degrees(volume: imaging.CtVolume) -> float:
    order, _ = volume.nearest_axes
    along = np.asarray(volume.direction)[::-1]
    cosines = [abs(along[axis, k]) for axis, k in enumerate(order)]
    return round(float(np.degrees(np.arccos(min(1.0, min(cosines))))), 2)


def _write(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.{os.getpid()}.half")
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(half, path)
