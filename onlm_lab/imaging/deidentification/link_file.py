"""The list of old and new ids: it identifies everybody, is written only when asked for, and grows with deliveries."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from onlm_lab.errors import OnlmError
from onlm_lab.imaging.deidentification.pseudonyms import Pseudonyms, write_private

COLUMNS = ["dicom_patient_id", "issuer_of_patient_id", "patient_id", "shift_days"]


def read_link(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """What a list of old and new ids says already; nothing where there is none.

    Raises:
        OnlmError: the file is something else, which must not be lost.
    """
    if not path.exists():
        return {}
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
    except (OSError, UnicodeDecodeError):
        rows = []
    if not rows or rows[0] != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise OnlmError(f"'{path.name}' (--link) is there and no list of old and new ids. Name another file.")
    return {(number, issuer): (study_id, days) for number, issuer, study_id, days in rows[1:]}


def write_link(path: Path, study_ids: Mapping[tuple[str, str], str], pseudonyms: Pseudonyms) -> None:
    """The patients of this run beside those of earlier ones."""
    people = read_link(path)
    people |= {key: (study_id, str(pseudonyms.shift_days(study_id))) for key, study_id in study_ids.items()}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows((*key, *people[key]) for key in sorted(people))
    write_private(path, text.getvalue().encode())
