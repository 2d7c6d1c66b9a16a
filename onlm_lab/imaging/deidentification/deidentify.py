"""A copy of a folder of DICOM files that names nobody: study ids, moved dates, other UIDs, the same pixels.

What goes into a file is decided in cleaning.py, which file goes where in copying.py. Here the request is checked,
everything is dealt out, and the copy is looked at as a stranger would. The same secret gives the same bytes, so a copy
that was interrupted is begun again and goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from onlm_lab.errors import OnlmError
from onlm_lab.imaging.deidentification.batches import in_batches
from onlm_lab.imaging.deidentification.burned_in import WITHHELD
from onlm_lab.imaging.deidentification.cleaning import Cleaner
from onlm_lab.imaging.deidentification.copied_annotations import Placed, added, rewritten
from onlm_lab.imaging.deidentification.copying import DONE, PART, REASONS, Done, Job, plan, write_batch
from onlm_lab.imaging.deidentification.identities import LABEL, Identities
from onlm_lab.imaging.deidentification.link_file import read_link, write_link
from onlm_lab.imaging.deidentification.profile import identifying_elements
from onlm_lab.imaging.deidentification.profile_table import EDITION, METHOD_CODES
from onlm_lab.imaging.deidentification.pseudonyms import Pseudonyms, open_secret, refuse_inside
from onlm_lab.imaging.deidentification.study_ids import Table, read_ids, subjects_of
from onlm_lab.imaging.deidentification.survey import Survey, survey
from onlm_lab.imaging.privacy import digest_text
from onlm_lab.schema import write_table
from onlm_lab.showing import shows_itself
from onlm_lab.steps import write_text

RULES_VERSION = 1  # raise it when the same file and secret would give other bytes
MARK = "copy.json"  # in a copy: the rules it follows, and what tells its secret from another
_PLAIN_PART = re.compile(
    r"(im|img|image|slice|ct|pt|pet|se|ser|series|st|study|scan|seg|rs|rtstruct|dicom|dcm|sub|pat|patient)?[-_ ]?"
    r"\d{0,3}([-_]\d{1,3})?(\.(dcm|ima|nii|gz|nrrd|txt|csv|json|xml|pdf|jpg|png|zip))*|dicomdir|readme(\.\w+)?",
    re.IGNORECASE,
)


@shows_itself
@dataclass(frozen=True, eq=False)
class Deidentified:
    """What a copy holds, and what it does not.

    Attributes:
        folder: the copy.
        n_files: files below the source.
        n_copied: of these in the copy; n_written of them in this run, the others were there already.
        n_patients, n_series: of the source, in the copy.
        n_patients_left_out: patients of the source of whom nothing is in the copy.
        n_closed_folders: folders of the source that could not be entered.
        new_secret: whether the secret was made in this run.
        left_out: path (made safe; `find_path` finds the file), reason (a key), why (a sentence).
        done: what (a key), n, sentence: what was done to the files that were written in this run.
        region_names: name, n_files: names of regions in the copy, for a person to look at.
        remaining: what `identifying_elements` finds in the copy.
        may_show_letters: rows of it: pictures that are copied although letters in them are possible.
        notes: sentences about the request.
    """

    folder: Path
    n_files: int
    n_copied: int
    n_written: int
    n_patients: int
    n_series: int
    n_patients_left_out: int
    n_closed_folders: int
    new_secret: bool
    left_out: pd.DataFrame
    done: pd.DataFrame
    region_names: pd.DataFrame
    remaining: pd.DataFrame
    may_show_letters: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> pd.DataFrame:
        """Rows of `remaining` that must not be: a sound copy has none."""
        found = self.remaining[self.remaining["n_files"] > 0]
        return found[~found["keyword"].isin(self.may_show_letters["keyword"])]

    @property
    def sound(self) -> bool:
        """Whether nothing of the profile is left in the copy but what its options put there."""
        return self.findings.empty


def deidentify(
    folder: str | os.PathLike,
    out: str | os.PathLike,
    *,
    secret: str | os.PathLike,
    ids: str | os.PathLike | None = None,
    link: str | os.PathLike | None = None,
    annotations: str | os.PathLike | None = None,
    keep_burned_in: bool = False,
    workers: int | None = None,
    progress: bool = False,
) -> Deidentified:
    """Copy the DICOM files of a folder without what tells who the patients are (DICOM PS3.15, basic profile).

    Args:
        folder: read with everything below it, whatever the nesting; nothing in it is changed.
        out: the copy, <study id>/<series>/<file>.dcm; one that was begun is gone on with.
        secret: a file of at least 32 random bytes, made where it does not exist; outside both folders. The same
            secret gives the same ids, UIDs and dates again.
        ids: CSV with patient_id (of the study) and dicom_patient_id; who is not in it is left out. None makes ids.
        link: a file to write with the hospital's number, study id and shift of each patient. It identifies everybody.
        annotations: annotations.csv of a study that uses the source; the copy gets it rewritten.
        keep_burned_in: copy also pictures that may show a name.
        workers: processes; None takes up to four.
        progress: whether to show bars.

    Raises:
        OnlmError: the request does not hold together; the message names no patient.
        DataError: the table of ids or the annotations have faults; every one is told.
    """
    source, out = Path(folder), Path(out)
    _refuse_folders(source, out)
    if link is not None:
        refuse_inside(Path(link), outside=(out,), what="The list of old and new ids", option="--link")
        read_link(Path(link))  # told before an hour's work
    table = read_ids(ids) if ids is not None else None
    pseudonyms, new_secret = open_secret(secret, outside=(source, out))
    with _locked(out):
        _open_copy(out, pseudonyms, keep_burned_in=keep_burned_in)
        known = {number for number, _ in table.by_number} if table is not None else ()
        found = survey(source, keep_burned_in=keep_burned_in, numbers=known, workers=workers, progress=progress)
        study_ids = subjects_of(found.files, pseudonyms=pseudonyms, table=table)
        jobs, left_out = plan(found, study_ids, pseudonyms)
        _refuse_other_ids(out, jobs)
        cleaner, placed = Cleaner(pseudonyms, found.identities), _placed(found, jobs)
        if annotations is not None:  # faults are told before anything is written
            rewritten(annotations, source=source, placed=placed, cleaner=cleaner)
        done, shared = Done(left_out=left_out), (source, out, cleaner)
        for one in in_batches(write_batch, shared, jobs, workers=workers, progress=progress, what="copying"):
            done.add(one)
        if annotations is not None:
            there = {file: one for file, one in placed.items() if (out / one.target).is_file()}
            rows = rewritten(annotations, source=source, placed=there, cleaner=cleaner)
            write_table(added(rows, out / "annotations.csv"), out / "annotations.csv")
        if link is not None:
            write_link(Path(link), study_ids, pseudonyms)
        remaining = identifying_elements(out, workers=workers, progress=progress)
    allowed = ("derived", "localizer", *(WITHHELD if keep_burned_in else ()))
    letters = remaining[(remaining["kind"] == "burned_in") & remaining["keyword"].isin(allowed)]
    return _result(
        out, found, done, placed, remaining, letters, new_secret=new_secret, table=table, study_ids=study_ids
    )


def _refuse_folders(source: Path, out: Path) -> None:
    if not source.is_dir():
        raise OnlmError(f"'{source.name}' is not a folder. Give the folder that holds the DICOM files.")
    if out.exists() and not out.is_dir():
        raise OnlmError(f"'{out.name}' is a file; wanted the folder to write the copy into.")
    one, other = source.resolve(), out.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise OnlmError(
            "The copy lies in the folder that is copied, or the other way round. Choose a folder elsewhere."
        )


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Only one process writes a copy; the lock lies beside it, not in it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    path = out.resolve().with_name(f".{out.resolve().name}.lock")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OnlmError(
            f"Another onlm command is writing '{out.name}'. Wait for it, or stop it, then try again."
        ) from None
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)


def _open_copy(out: Path, pseudonyms: Pseudonyms, *, keep_burned_in: bool) -> None:
    """Begin a copy, or go on with one that was made the same way."""
    mark = {
        "made_by": "onlm deidentify",
        "rules": RULES_VERSION,
        "profile": f"DICOM PS3.15 {EDITION}",
        "options": sorted(METHOD_CODES),
        "keep_burned_in": keep_burned_in,
        "secret_check": pseudonyms.check(),
    }
    path = out / MARK
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise OnlmError(f"'{out.name}' holds other files. Wanted a new folder, or a copy that was begun before.")
        write_text(path, json.dumps(mark, indent=1) + "\n")
        return
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        said = {}
    if said.get("secret_check") != mark["secret_check"]:
        raise OnlmError(
            f"'{out.name}' was made with another secret: its patients would get other ids and dates. Give that secret, "
            "or a new folder."
        )
    differing = [name for name, value in mark.items() if said.get(name) != value]
    if differing:
        raise OnlmError(f"'{out.name}' was made another way ({', '.join(differing)}). Write into a new folder.")
    for part in out.glob(f"*/*/.*{PART}"):  # of a run that was killed
        part.unlink()


def _refuse_other_ids(out: Path, jobs: list[Job]) -> None:
    """A series that the copy holds under another study id would be in it twice, for two people."""
    wanted = {tuple(job.target.split("/")[:2]) for job in jobs}
    series = {name for _, name in wanted}
    there = {(place.parent.name, place.name) for place in out.glob("*/*") if place.is_dir() and place.name in series}
    moved = {name for _, name in there - wanted}
    if moved:
        raise OnlmError(
            f"'{out.name}' holds {len(moved)} of these series under another study id: the ids have changed since. "
            "Write into a new folder."
        )


def _placed(found: Survey, jobs: list[Job]) -> dict[str, Placed]:
    said = {file.file: file for file in found.files}
    return {
        name: Placed(job.target, job.subject, said[name].patient_id, said[name].series_uid, said[name].modality)
        for job in jobs
        for name in job.files
    }


def _result(
    out: Path, found: Survey, done: Done, placed: Mapping[str, Placed], remaining: pd.DataFrame,
    may_show_letters: pd.DataFrame, *, new_secret: bool, table: Table | None, study_ids: Mapping[tuple[str, str], str],
) -> Deidentified:  # fmt: skip
    copied = [placed[name] for name in done.copied]
    patients = {file.patient_id for file in found.files if file.patient_id}
    left_out = pd.DataFrame(
        [(_shown(name, found.identities), reason, REASONS[reason]) for name, reason in sorted(done.left_out)],
        columns=["path", "reason", "why"],
    )
    regions = sorted(done.regions.items(), key=lambda item: (-item[1], item[0]))
    notes = []
    if table is not None:
        absent = len(set(table.by_number.values()) - set(study_ids.values()))
        if absent:
            notes.append(f"{table.file}: {absent} of {len(set(table.by_number.values()))} study ids have no file here.")
    return Deidentified(
        folder=out,
        n_files=len(found.files),
        n_copied=len(copied),
        n_written=done.n_written,
        n_patients=len({one.subject.study_id for one in copied}),
        n_series=len({one.series_uid for one in copied}),
        n_patients_left_out=len(patients - {one.patient_id for one in copied}),
        n_closed_folders=found.n_closed,
        new_secret=new_secret,
        left_out=left_out,
        done=pd.DataFrame(
            [(what, done.counts[what], said) for what, said in DONE.items() if done.counts[what]],
            columns=["what", "n", "sentence"],
        ),
        region_names=pd.DataFrame(regions, columns=["name", "n_files"]),
        remaining=remaining,
        may_show_letters=may_show_letters,
        notes=tuple(notes),
    )


def _shown(name: str, identities: Identities) -> str:
    """A path of the source as a table shows it: only parts such as IM001.dcm are written out."""
    return "/".join(
        part if _PLAIN_PART.fullmatch(part) and not identities.tells(part, LABEL) else digest_text(part)
        for part in name.split("/")
    )
