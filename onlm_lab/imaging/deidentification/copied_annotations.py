"""annotations.csv of a study, rewritten so that it goes with the copy of the study's images."""

from __future__ import annotations

import fnmatch
import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from onlm_lab import schema
from onlm_lab.errors import DataError
from onlm_lab.imaging.deidentification.cleaning import Cleaner, Subject
from onlm_lab.imaging.deidentification.copying import region_names
from onlm_lab.imaging.deidentification.file_bytes import parse
from onlm_lab.imaging.privacy import find_path

MASKS = ("RTSTRUCT", "SEG")
_FIRST = 5  # rows that a sentence names
FAULTS = {
    "nothing": "neither series_uid nor series_path nor mask_path leads to a file that is copied",
    "series_uid": "series_uid is no series that is copied",
    "series_path": "series_path leads to no single series that is copied (NIfTI and NRRD are not copied)",
    "mask_path": "mask_path leads to no single RTSTRUCT or SEG that is copied (NIfTI and NRRD are not copied)",
    "mask_roi": "mask_roi names no single region of the mask",
    "patient_id": "patient_id is neither the study id nor the hospital's number of the patient whose scan is named",
    "mixed": "series and mask belong to different patients",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of the source that is copied: where to, whose it is, and which series it belongs to.

    Attributes:
        target: in the copy, relative.
        subject: the patient in the copy.
        patient_id: the hospital's number.
        series_uid, modality: as the source says them.
    """

    target: str
    subject: Subject
    patient_id: str = field(repr=False)
    series_uid: str = ""
    modality: str = ""


def rewritten(path: str | os.PathLike, *, source: Path, placed: Mapping[str, Placed], cleaner: Cleaner) -> pd.DataFrame:
    """The annotations with the ids, UIDs and paths of the copy; positions in the patient stay as they are.

    Args:
        path: annotations.csv; its paths are relative to its folder, or to the source.
        source: the folder that is copied.
        placed: the files that are copied, relative to the source with slashes.
        cleaner: for UIDs and names of regions.

    Raises:
        DataError: a row that cannot be rewritten; all of them are named by their number, none by its patient.
    """
    path = Path(path)
    reading = _read(path)
    known = [name for name in schema.columns("annotations") if name in reading.frame]
    rows, wrong = [], {key: [] for key in FAULTS}
    places = _Places(path.resolve().parent, source.resolve(), placed)
    numbers = reading.rows if reading.rows is not None else range(2, len(reading.frame) + 2)
    for number, (_, row) in zip(numbers, reading.frame[known].iterrows(), strict=True):
        new = _row(dict(row), places, cleaner)
        if isinstance(new, str):
            wrong[new].append(int(number))
        else:
            rows.append(new)
    faults = [
        f"{path.name}: {FAULTS[key]}, in {len(found)} of {len(reading.frame)} rows (row "
        f"{', '.join(map(str, found[:_FIRST]))}{' ...' if len(found) > _FIRST else ''})."
        for key, found in wrong.items()
        if found
    ]
    if faults:
        raise DataError(faults)
    return pd.DataFrame(rows, columns=known)


def added(rows: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Annotations of a copy with those of an earlier delivery, which stay unless a patient comes again."""
    if not path.is_file():
        return rows
    before = schema.read_table(path, table="annotations")
    return pd.concat([before[~before["patient_id"].isin(rows["patient_id"])], rows], ignore_index=True)


def _read(path: Path) -> schema.Reading:
    """The annotations as they are; of a fault the row is told and not, as elsewhere, the patient or the cell."""
    try:
        return schema.read(path, table="annotations")
    except DataError as error:
        said = [
            f"{path.name}: {fault.column or 'the row'} is not as wanted{f' ({fault.wanted})' if fault.wanted else ''} "
            f"in row {', '.join(map(str, fault.rows[:_FIRST]))}{' ...' if len(fault.rows) > _FIRST else ''}."
            if fault.rows
            else fault.said
            for fault in error.details
        ]
        raise DataError(said) from None


class _Places:
    """Finds the files of the source that a path or a series UID of the annotations means."""

    def __init__(self, base: Path, source: Path, placed: Mapping[str, Placed]):
        self.base, self.source, self.placed = base, source, placed
        self.files = sorted(placed)
        self.by_series: dict[str, list[Placed]] = defaultdict(list)
        for one in placed.values():
            self.by_series[one.series_uid].append(one)

    def of(self, said: str) -> list[tuple[str, Placed]]:
        """The copied files that a path names or, where it is a folder, holds."""
        for start in (self.base, self.source):
            there = find_path(start / said).resolve()
            if there.exists() and (there == self.source or self.source in there.parents):
                inside = there.relative_to(self.source).as_posix()
                if inside in self.placed:
                    return [(inside, self.placed[inside])]
                first = bisect_left(self.files, "" if inside == "." else f"{inside}/")
                last = len(self.files) if inside == "." else bisect_left(self.files, f"{inside}0")  # "0" follows "/"
                return [(file, self.placed[file]) for file in self.files[first:last]]
        return []


def _row(row: dict, places: _Places, cleaner: Cleaner) -> dict | str:
    """The row for the copy, or a key of FAULTS."""
    uid, path, mask = (_said(row, name) for name in ("series_uid", "series_path", "mask_path"))
    subjects: set[Subject] = set()
    patients: set[str] = set()
    new = dict(row)

    def belongs(files: Iterable[Placed]) -> None:
        for one in files:
            subjects.add(one.subject)
            patients.add(one.patient_id)

    if uid:
        members = places.by_series.get(uid, [])
        if not members:
            return "series_uid"
        belongs(members)
        new["series_uid"] = cleaner.pseudonyms.uid(uid)
    if path:
        found = [one for _, one in places.of(path) if (one.series_uid == uid if uid else one.modality not in MASKS)]
        if len({one.series_uid for one in found}) != 1:
            return "series_path"
        belongs(found)
        new["series_path"] = str(PurePosixPath(found[0].target).parent)
    if mask:
        masks = [(file, one) for file, one in places.of(mask) if one.modality in MASKS]
        if len({one.target for _, one in masks}) != 1:
            return "mask_path"
        belongs(one for _, one in masks)
        new["mask_path"] = masks[0][1].target
        if roi := _said(row, "mask_roi"):
            region = _region(places.source / masks[0][0], masks[0][1].subject, roi, cleaner)
            if region is None:
                return "mask_roi"
            new["mask_roi"] = region
    if not subjects:
        return "nothing"
    if len(subjects) > 1:
        return "mixed"
    subject = subjects.pop()
    if row["patient_id"] not in patients | {subject.study_id}:
        return "patient_id"
    return {**new, "patient_id": subject.study_id}


def _region(mask: Path, subject: Subject, said: str, cleaner: Cleaner) -> str | None:
    """What the region is called in the copy, by its name where that is its own alone, else by its number."""
    file = parse(mask.read_bytes())
    old = region_names(file)
    new = region_names(Cleaner(cleaner.pseudonyms, cleaner.identities).clean(file, subject))
    matches = (
        [number for number, name in old.items() if name == said],
        [number for number in old if number == said],
        [number for number, name in old.items() if fnmatch.fnmatchcase(name.casefold(), said.casefold())],
    )
    found = next((match for match in matches if match), [])
    if len(found) != 1:
        return None
    name = new.get(found[0], "")
    return name if name and list(new.values()).count(name) == 1 else found[0]


def _said(row: Mapping, name: str) -> str:
    value = row.get(name)
    return "" if value is None or pd.isna(value) else str(value)
