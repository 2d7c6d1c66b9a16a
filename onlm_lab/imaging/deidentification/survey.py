"""What every file of a folder is, and whom the folder names, before anything is copied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from onlm_lab.imaging.deidentification.batches import files_below, in_batches
from onlm_lab.imaging.deidentification.burned_in import DIRECTORY, WITHHELD, is_document, risks, storage_class
from onlm_lab.imaging.deidentification.elements import PIXELS, File
from onlm_lab.imaging.deidentification.file_bytes import BrokenError, NotDicomError, opened
from onlm_lab.imaging.deidentification.identities import Identities, gathered, people_of
from onlm_lab.imaging.texts import decode
from onlm_lab.imaging.volume_files import VOLUME_FILES


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One file: whose it is and which series it belongs to, or why it must not be copied.

    Attributes:
        file: relative to the folder, with slashes.
        reason: why it is left out, a key of copying.REASONS; "" where it may be copied.
        patient_id, issuer: the hospital's number, and who issued it.
        series_uid, instance_uid, modality: as the file says them.
        identity_removed: whether it says that it was de-identified before.
    """

    file: str = field(repr=False)
    reason: str = ""
    patient_id: str = field(default="", repr=False)
    issuer: str = field(default="", repr=False)
    series_uid: str = ""
    instance_uid: str = ""
    modality: str = ""
    identity_removed: bool = False


@dataclass(frozen=True)
class Survey:
    """A folder: its files in a fixed order, everybody whom it names, and how many folders could not be entered."""

    files: tuple[Surveyed, ...]
    identities: Identities
    n_closed: int


def survey(
    folder: Path, *, keep_burned_in: bool, numbers: Iterable[str] = (), workers: int | None, progress: bool
) -> Survey:
    """What every file below a folder is.

    Args:
        folder: read with everything below it.
        keep_burned_in: whether pictures that may show a name are copied all the same.
        numbers: further numbers of patients that no text may hold.
        workers: processes; None decides by the number of files.
        progress: whether to show a bar.
    """
    names, n_closed = files_below(folder)
    files: list[Surveyed] = []
    people = {(False, number) for number in numbers}
    shared = (folder, keep_burned_in)
    for found, said in in_batches(_survey_batch, shared, names, workers=workers, progress=progress, what="looking"):
        files += found
        people |= said
    return Survey(tuple(files), gathered(people), n_closed)


def _survey_batch(shared: tuple[Path, bool], names: list[str]) -> tuple[list[Surveyed], set[tuple[bool, str]]]:
    folder, keep_burned_in = shared
    files, people = [], set()
    for name in names:
        try:
            with opened(folder / name) as file:
                people |= people_of(file)
                files.append(_surveyed(name, file, keep_burned_in))
        except NotDicomError:
            volume = name.lower().endswith(VOLUME_FILES)
            files.append(Surveyed(name, "volume_file" if volume else "not_dicom"))
        except BrokenError:
            files.append(Surveyed(name, "broken"))
        except OSError:
            files.append(Surveyed(name, "closed"))
    return files, people


def _surveyed(name: str, file: File, keep_burned_in: bool) -> Surveyed:
    return Surveyed(
        file=name,
        reason=_reason(file, keep_burned_in),
        patient_id=_said(file, 0x00100020),
        issuer=_said(file, 0x00100021),
        series_uid=file.text(0x0020000E),
        instance_uid=file.text(0x00080018),
        modality=file.text(0x00080060),
        identity_removed=file.text(0x00120062) == "YES",
    )


def _reason(file: File, keep_burned_in: bool) -> str:
    if file.text(0x00080016) == DIRECTORY or 0x00041220 in file.data:
        return "directory"
    if is_document(file):
        return "document"
    if not storage_class(file):
        return "other_kind"
    if not file.text(0x00080018) or not file.text(0x0020000E):
        return "no_uid"
    found = risks(file)
    withheld = next((risk for risk in WITHHELD if risk in found), "")
    if withheld and not keep_burned_in:
        return withheld
    if "overlay_in_pixels" in found and PIXELS in file.data and file.data[PIXELS].packed:
        return "overlay_in_pixels"
    return "" if _said(file, 0x00100020) else "no_patient_id"


def _said(file: File, tag: int) -> str:
    """A text as it is to be told from others: two that cannot be read stay two."""
    element = file.data.get(tag)
    if element is None:
        return ""
    try:
        return decode(element.raw(), file.text(0x00080005)).strip()
    except (UnicodeDecodeError, LookupError):
        return element.raw().decode("latin_1").strip(" \0")
