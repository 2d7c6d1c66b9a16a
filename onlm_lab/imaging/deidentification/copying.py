"""Which file of a folder becomes which file of its copy, and the writing of them: whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onlm_lab.imaging.deidentification.burned_in import RISKS
from onlm_lab.imaging.deidentification.cleaning import Cleaner, LeaveOutError, Subject
from onlm_lab.imaging.deidentification.elements import File
from onlm_lab.imaging.deidentification.file_bytes import BrokenError, NotDicomError, encode, parse
from onlm_lab.imaging.deidentification.kept_elements import REGION_NAMES, region_number
from onlm_lab.imaging.deidentification.pixel_traces import ShortPixelsError
from onlm_lab.imaging.deidentification.pseudonyms import Pseudonyms
from onlm_lab.imaging.deidentification.survey import Survey, Surveyed
from onlm_lab.imaging.texts import lenient

REASONS = {
    "not_dicom": "no DICOM file",
    "volume_file": "NIfTI, NRRD or MetaImage: text may stand in its header, and only DICOM is copied",
    "broken": "cannot be understood to its last byte: broken off or damaged",
    "closed": "may not be read",
    "directory": "DICOMDIR: a list of patients",
    "other_kind": "no image, region or plan of the DICOM standard: a vendor's own kind of file, or unknown",
    "no_uid": "no SOPInstanceUID or no SeriesInstanceUID",
    "no_patient_id": "no PatientID: nobody can tell whose it is",
    "ambiguous_patient": "its PatientID was issued by several hospitals: name the issuer in the table of ids",
    "not_in_ids": "its PatientID is not in the table of ids",
    "short_pixels": "ends before its pixels do",
    "telling_comment": "a comment inside the compressed pixels tells who somebody is",
    "duplicate": "the same as another file",
    "twin_uid": "the SOPInstanceUID of another file with other content: nobody can tell which is right",
    **RISKS,
}
# What was done to the files that are copied.
DONE = {
    "private": "private elements left behind",
    "unknown": "elements that the dictionary does not know left behind",
    "graphics": "elements of overlays and curves left behind",
    "free_text": "free texts left behind that no reader needs",
    "telling_texts": "texts left behind that tell of somebody, or hold a date or a long number",
    "region_names_replaced": "names of regions replaced because they tell of somebody",
    "malformed": "values left behind that are not what their type demands",
    "tails_cut": "files whose pixels had a tail, cut off",
    "unused_bits_cleared": "files with an overlay in unused bits of the pixels, cleared",
    "trailing_bytes": "files with bytes behind their data, left behind",
}
STAMP_FROM, STAMP_S = 631_152_000, 250_000_000  # from 1990, over 16 years
PART = ".part"  # of a file that is being written
_WITH_REGIONS = ("RTSTRUCT", "SEG")


@dataclass(frozen=True, slots=True)
class Job:
    """The files that bear one UID, and the one file of the copy that they become (relative, with slashes)."""

    files: tuple[str, ...] = field(repr=False)
    target: str
    subject: Subject
    has_regions: bool = False


@dataclass
class Done:
    """What was written and what was not.

    Attributes:
        n_written: files written in this run.
        copied: files of the source that are in the copy, also from an earlier run.
        left_out: file and reason.
        counts: what was done, by key of DONE, to files written in this run.
        regions: names of regions in the copy, by number of files.
    """

    n_written: int = 0
    copied: list[str] = field(default_factory=list, repr=False)
    left_out: list[tuple[str, str]] = field(default_factory=list, repr=False)
    counts: Counter[str] = field(default_factory=Counter)
    regions: Counter[str] = field(default_factory=Counter)

    def add(self, other: Done) -> None:
        """Join what another batch did."""
        self.n_written += other.n_written
        self.copied += other.copied
        self.left_out += other.left_out
        self.counts.update(other.counts)
        self.regions.update(other.regions)


def plan(
    survey: Survey, study_ids: Mapping[tuple[str, str], str], pseudonyms: Pseudonyms
) -> tuple[list[Job], list[tuple[str, str]]]:
    """What is to be written, and which files are left out for which reason.

    Args:
        survey: of the source.
        study_ids: by number and issuer of the hospital; a patient who is not in it is left out.
        pseudonyms: for the names of folders and files.
    """
    left_out: list[tuple[str, str]] = []
    by_uid: dict[str, list[Surveyed]] = defaultdict(list)
    issuers: dict[str, set[str]] = defaultdict(set)
    for file in survey.files:
        if file.patient_id and file.issuer:
            issuers[file.patient_id].add(file.issuer)
    for file in survey.files:
        if file.reason:
            left_out.append((file.file, file.reason))
        elif (file.patient_id, file.issuer) not in study_ids:
            several = len(issuers[file.patient_id]) > 1
            left_out.append((file.file, "ambiguous_patient" if several else "not_in_ids"))
        else:
            by_uid[file.instance_uid].append(file)
    jobs = []
    for uid, files in by_uid.items():
        places = {(study_ids[file.patient_id, file.issuer], file.series_uid) for file in files}
        if len(places) > 1:
            left_out += [(file.file, "twin_uid") for file in files]
            continue
        study_id, series_uid = places.pop()
        target = f"{study_id}/{pseudonyms.folder_name(series_uid)}/{pseudonyms.file_name(uid)}"
        subject = Subject(study_id, pseudonyms.shift_days(study_id))
        has_regions = any(file.modality in _WITH_REGIONS for file in files)
        jobs.append(Job(tuple(file.file for file in files), target, subject, has_regions))
    return jobs, left_out


def write_batch(shared: tuple[Path, Path, Cleaner], jobs: list[Job]) -> Done:
    """Write some files of the copy; those that are there already are left as they are."""
    source, out, cleaner = shared
    cleaner = Cleaner(cleaner.pseudonyms, cleaner.identities)
    done = Done(counts=cleaner.counts)
    for job in jobs:
        _write(source, out / job.target, job, cleaner, done)
    return done


def region_names(file: File) -> dict[str, str]:
    """Names of the regions of an RTSTRUCT or the segments of a SEG by their number; empty for all else."""
    found = {}
    for sequence in (0x30060020, 0x00620002):
        element = file.data.get(sequence)
        for item in (element.items or ()) if element is not None else ():
            for name_tag, (number_tag, _) in REGION_NAMES.items():
                if name_tag in item:
                    name = lenient(item[name_tag].raw(), file.text(0x00080005))
                    found[region_number(item.get(number_tag), file)] = name
    return found


def write_whole(path: Path, content: bytes) -> None:
    """A file appears whole or not at all, also when the power fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with open(part, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write(source: Path, target: Path, job: Job, cleaner: Cleaner, done: Done) -> None:
    stamp = _stamp(source, job, cleaner)
    if _bears(target, stamp):
        done.copied += job.files
        if job.has_regions:
            _count_regions(target.read_bytes(), done)
        return
    made: dict[str, bytes] = {}
    for name in job.files:
        try:
            made[name] = encode(cleaner.clean(parse((source / name).read_bytes()), job.subject))
        except (BrokenError, NotDicomError):
            done.left_out.append((name, "broken"))
        except OSError:
            done.left_out.append((name, "closed"))
        except ShortPixelsError:
            done.left_out.append((name, "short_pixels"))
        except LeaveOutError as error:
            done.left_out.append((name, str(error)))
    if len(set(made.values())) > 1:
        done.left_out += [(name, "twin_uid") for name in made]
        return
    for k, (name, content) in enumerate(made.items()):
        if k:
            done.left_out.append((name, "duplicate"))
            continue
        if not target.is_file() or target.read_bytes() != content:
            write_whole(target, content)
            done.n_written += 1
        if stamp is not None:
            with contextlib.suppress(OSError):  # a share that sets no times: the file is compared again next time
                os.utime(target, ns=(stamp, stamp))
        done.copied.append(name)
        if job.has_regions:
            _count_regions(content, done)


def _stamp(source: Path, job: Job, cleaner: Cleaner) -> int | None:
    """A time of change (ns) for the copy that stands for what it was made from; None where there are several files.

    The same source (size and time) and the same names to look for give the same one, whichever of the two is newer: a
    corrected file may come with an older time. It says nothing of when the source was made.
    """
    if len(job.files) != 1:
        return None
    try:
        state = (source / job.files[0]).stat()
    except OSError:
        return None
    said = repr((state.st_size, state.st_mtime_ns, cleaner.identities.digest))
    seconds = int.from_bytes(hashlib.blake2b(said.encode(), digest_size=4).digest(), "big") % STAMP_S
    return (STAMP_FROM + 2 * seconds) * 1_000_000_000  # whole, even seconds: as FAT keeps them


def _bears(target: Path, stamp: int | None) -> bool:
    """Whether a copy was made from just this."""
    try:
        return stamp is not None and target.stat().st_mtime_ns == stamp
    except OSError:
        return False


def _count_regions(content: bytes, done: Done) -> None:
    done.regions.update({name for name in region_names(parse(content)).values() if name})
