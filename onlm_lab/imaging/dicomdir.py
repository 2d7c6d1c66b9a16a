"""What a DICOMDIR lists: how many files of which series a disc should hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from onlm_lab.imaging.header import Header
from onlm_lab.imaging.header_values import MALFORMED
from onlm_lab.imaging.headers import read_dataset

Listed = dict[str, tuple[str, int]]  # series UID -> modality, files


def listed_series(folder: Path, headers: Iterable[Header]) -> Listed:
    """Every series that the DICOMDIR files among some headers list, with its modality and its number of files.

    A DICOMDIR that cannot be read lists nothing; the files beside it are read all the same.
    """
    modalities: dict[str, str] = {}
    files: dict[str, set[str]] = {}  # a series may lie on two discs, and a DICOMDIR may be there twice
    for header in headers:
        if header.is_directory:
            try:
                records = read_dataset(folder / header.file).get("DirectoryRecordSequence") or ()
                for uid, (modality, named) in _series_of(records).items():
                    modalities[uid] = modality
                    files.setdefault(uid, set()).update(named)
            except (InvalidDicomError, OSError, EOFError, *MALFORMED):
                continue
    return {uid: (modality, len(files[uid])) for uid, modality in modalities.items()}


def lost_files(listed: Listed, headers: Sequence[Header]) -> dict[str, int]:
    """For each listed series how many files are not there; none where all are, whatever they are called now."""
    there = Counter(header.series_uid for header in headers)
    return {uid: n - there[uid] for uid, (_, n) in listed.items() if n > there[uid]}


def _series_of(records: Sequence[Dataset]) -> dict[str, tuple[str, set[str]]]:
    """Modality and files of each series; records point at each other by where they stand in the file."""
    by_place = {record.seq_item_tell: record for record in records}
    found: dict[str, tuple[str, set[str]]] = {}
    for record in by_place.values():
        if str(record.get("DirectoryRecordType", "")) == "SERIES" and _in_use(record):
            lower = _chain(by_place, int(record.get("OffsetOfReferencedLowerLevelDirectoryEntity", 0)))
            files = {_file_of(entry) for entry in lower if entry.get("ReferencedFileID") and _in_use(entry)}
            found[str(record.get("SeriesInstanceUID", ""))] = (str(record.get("Modality", "")), files)
    return {uid: said for uid, said in found.items() if uid}


def _in_use(record: Dataset) -> bool:
    """Whether a record counts; one that does not still leads on to the next."""
    return record.get("RecordInUseFlag", 0xFFFF) != 0


def _file_of(record: Dataset) -> str:
    """The image that a record stands for, and where it says nothing of it, its file."""
    return str(record.get("ReferencedSOPInstanceUIDInFile", "") or record.get("ReferencedFileID", ""))


def _chain(by_place: dict[int, Dataset], place: int) -> list[Dataset]:
    chain: list[Dataset] = []
    seen: set[int] = set()
    while place in by_place and place not in seen:
        seen.add(place)
        chain.append(by_place[place])
        place = int(by_place[place].get("OffsetOfTheNextDirectoryRecord", 0))
    return chain
