"""Which study id stands for which number of the hospital: from a table, or made from the secret."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onlm_lab.errors import DataError, OnlmError
from onlm_lab.imaging.deidentification.pseudonyms import Pseudonyms
from onlm_lab.imaging.deidentification.survey import Surveyed

STUDY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9]|[A-Za-z0-9]")
COLUMNS = ("patient_id", "dicom_patient_id")
ISSUER = "issuer_of_patient_id"
_ENCODINGS = ("utf-8-sig", "gb18030")
_FIRST = 5  # rows that a sentence names
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no folder of Windows is called so


@dataclass(frozen=True)
class Table:
    """Study ids by number of the hospital; with the number's issuer where the table names one.

    Attributes:
        by_number: (number, issuer) -> study id; the issuer is "" where the table has no such column.
        with_issuer: whether it has.
        file: its name.
    """

    by_number: Mapping[tuple[str, str], str] = field(repr=False)
    with_issuer: bool
    file: str

    def study_id(self, number: str, *, issuer: str) -> str | None:
        """The study id, or None for a patient who is not in the table."""
        return self.by_number.get((number, issuer if self.with_issuer else ""))


def read_ids(path: str | Path) -> Table:
    """A table of study ids: CSV with the columns patient_id (the study's) and dicom_patient_id; all of it text.

    A column issuer_of_patient_id tells equal numbers of two hospitals apart. Several numbers may have one study id.

    Raises:
        DataError: every fault at once. No id of a patient is in the message: rows are named.
    """
    path = Path(path)
    rows = _rows(path)
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError([f"{path.name}: column {', '.join(missing)} is missing; wanted {', '.join(COLUMNS)}."])
    place = {name: header.index(name) for name in (*COLUMNS, ISSUER) if name in header}
    cells = [
        (number, *(row[place[name]].strip() if name in place and place[name] < len(row) else "" for name in
                   (*COLUMNS, ISSUER)))
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]  # fmt: skip
    faults = _faults(path.name, cells)
    if faults:
        raise DataError(faults)
    by_number = {(number, issuer): study_id for _, study_id, number, issuer in cells}
    return Table(by_number, ISSUER in place, path.name)


def subjects_of(
    files: Iterable[Surveyed], *, pseudonyms: Pseudonyms, table: Table | None
) -> dict[tuple[str, str], str]:
    """The study id of each patient of a folder, by number and issuer; who gets none is not in the result.

    A file without an issuer belongs with the one issuer that other files name for the same number. Where they name
    several, nobody can tell whose it is, and it gets no id.

    Raises:
        OnlmError: two patients would get one id, or an id of the table is a number of the hospital.
    """
    files = list(files)
    issuers: dict[str, set[str]] = defaultdict(set)
    for file in files:
        issuers[file.patient_id].add(file.issuer)
    found = {}
    for number, issuer in {(file.patient_id, file.issuer) for file in files if file.patient_id}:
        known = issuers[number] - {""}
        whose = issuer or (next(iter(known)) if len(known) == 1 else "")
        if len(known) > 1 and (not issuer or (table is not None and not table.with_issuer)):
            continue
        if table is None:
            found[number, issuer] = pseudonyms.study_id(number, issuer=whose)
        elif (study_id := table.study_id(number, issuer=whose)) is not None:
            found[number, issuer] = study_id
    if table is None:
        _refuse_twins(found, issuers)
    else:
        _refuse_numbers(found, files, table)
    return found


def _rows(path: Path) -> list[list[str]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OnlmError(f"'{path.name}' (--ids) cannot be read: {error.strerror}.") from None
    for encoding in _ENCODINGS:
        try:
            text = raw.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise OnlmError(f"'{path.name}' (--ids) is neither UTF-8 nor GB18030. Save it as CSV UTF-8.")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))


def _faults(file: str, cells: list[tuple[int, str, str, str]]) -> list[str]:
    faults = []

    def say(wrong: list[int], sentence: str) -> None:
        if wrong:
            shown = ", ".join(map(str, wrong[:_FIRST])) + (" ..." if len(wrong) > _FIRST else "")
            faults.append(f"{file}: {sentence} in {len(wrong)} of {len(cells)} rows (row {shown}).")

    if not cells:
        return [f"{file}: there are no rows. Give each patient of the study one."]
    say([row for row, study_id, *_ in cells if not study_id], "patient_id is empty")
    say([row for row, _, number, _ in cells if not number], "dicom_patient_id is empty")
    say([row for row, study_id, *_ in cells if study_id and not _is_fit(study_id)],
        "patient_id is no name for a folder; wanted up to 64 letters, digits, dots, - and _,")  # fmt: skip
    repeated = Counter((number, issuer) for _, _, number, issuer in cells if number)
    say([row for row, _, number, issuer in cells if repeated.get((number, issuer), 0) > 1],
        "dicom_patient_id stands twice; wanted one row a number")  # fmt: skip
    spellings: dict[str, set[str]] = defaultdict(set)
    for _, study_id, *_ in cells:
        spellings[study_id.casefold()].add(study_id)
    say([row for row, study_id, *_ in cells if len(spellings[study_id.casefold()]) > 1],
        "patient_id differs from another only in capitals, which some disks take for one,")  # fmt: skip
    return faults


def _is_fit(study_id: str) -> bool:
    return bool(STUDY_ID.fullmatch(study_id)) and not _RESERVED.fullmatch(study_id)


def _refuse_twins(found: Mapping[tuple[str, str], str], issuers: Mapping[str, set[str]]) -> None:
    people: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for (number, issuer), study_id in found.items():
        known = issuers[number] - {""}
        people[study_id].add((number, issuer or (next(iter(known)) if len(known) == 1 else "")))
    if any(len(who) > 1 for who in people.values()):
        raise OnlmError("Two patients would get the same study id. Name study ids by a table (--ids).")


def _refuse_numbers(found: Mapping[tuple[str, str], str], files: list[Surveyed], table: Table) -> None:
    """An id that is a number of the hospital tells who the patient is, unless that number is a pseudonym already."""
    real = {file.patient_id.casefold() for file in files if file.patient_id and not file.identity_removed}
    told = {study_id for study_id in found.values() if study_id.casefold() in real}
    if told:
        raise OnlmError(
            f"{table.file}: {len(told)} of {len(set(found.values()))} study ids are PatientIDs of the hospital, which "
            "tell who the patient is. Give those patients another patient_id."
        )
