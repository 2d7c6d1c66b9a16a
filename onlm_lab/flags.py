"""Cases that somebody wants looked at again, in runs/<id>/flags.csv: rows are appended and never changed.

    add_flag(run.folder, "P017", kind="wrong_contour", reader_id="R01", note="takes in the chest wall")
    open_flags(read_flags(run.folder).table)      # patient_id -> what is still to be looked at

A row of the kind "settled" closes what was flagged of its patient before it.
"""

from __future__ import annotations

import csv
import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock, Timeout

from onlm_lab.errors import OnlmError
from onlm_lab.readings import reader_code
from onlm_lab.showing import shows_itself

FILE = "flags.csv"
FIELDS = ("patient_id", "kind", "note", "reader_id", "time_utc")
SETTLED = "settled"
KINDS = {
    "wrong_contour": "Wrong contour", "wrong_series": "Wrong series", "doubtful_label": "Doubtful label",
    "other": "Other", SETTLED: "Settled: looked at again",
}  # fmt: skip
LONGEST_NOTE = 200
_PATIENCE_SECONDS = 20


@shows_itself
class Flags(NamedTuple):
    """All rows that are whole, and what a reader of them must know."""

    table: pd.DataFrame
    notes: tuple[str, ...]


def read_flags(folder: str | Path) -> Flags:
    """What lies in flags.csv of a run's folder, in the order in which it was said; empty where nothing was flagged.

    Raises:
        OnlmError: the file is no table of flags.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        return Flags(pd.DataFrame(columns=list(FIELDS), dtype=str), ())
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    if lines[0].split(",") != list(FIELDS):
        raise OnlmError(f"{FILE} does not begin with the names {', '.join(FIELDS)}. Put the original file back.")
    found, cut = [], 0
    for line in lines[1:]:
        cells = next(csv.reader([line]), [])
        if len(cells) == len(FIELDS) and cells[1] in KINDS and re.fullmatch(r"[0-9T:-]{19}Z", cells[-1]):
            found.append(cells)
        elif line:
            cut += 1
    told = f"{FILE}: {cut} line{' is' if cut == 1 else 's are'} not whole and left out (cut off while being written?)."
    return Flags(pd.DataFrame(found, columns=list(FIELDS), dtype=str), (told,) if cut else ())


def add_flag(
    folder: str | Path, patient_id: str, *, kind: str, reader_id: str, note: str = "", now: datetime | None = None
) -> None:
    """Append one flag; it is on the disk when this returns.

    Args:
        folder: of the run.
        patient_id: whose case.
        kind: of KINDS.
        reader_id: by whom: a code, see `reader_code`.
        note: short, without names.
        now: for tests; else the clock.

    Raises:
        OnlmError: a value that cannot be, or the row could not be written (then there is no flag).
    """
    code, note = reader_code(reader_id), note.strip()
    if kind not in KINDS:
        raise OnlmError(f"Nothing was saved: the kind of a flag is one of {', '.join(KINDS)}.")
    if len(note) > LONGEST_NOTE or re.search(r"[\r\n\0]", note):
        raise OnlmError(f"Nothing was saved: a note is one line of at most {LONGEST_NOTE} letters.")
    if not patient_id or re.search(r"[\r\n\0]", patient_id):
        raise OnlmError("Nothing was saved: no patient is chosen.")
    if kind == "other" and not note:
        raise OnlmError("Nothing was saved: say in the note what is to be looked at.")
    when = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = Path(folder) / FILE
    try:
        with FileLock(path.with_name(f".{FILE}.lock"), timeout=_PATIENCE_SECONDS):
            _append(path, [patient_id, kind, note, code, when])
    except Timeout:
        raise OnlmError(f"Nothing was saved: another page is writing {FILE}. Save it again.") from None
    except OSError as error:
        raise OnlmError(
            f"Nothing was saved: {error.strerror or type(error).__name__}. Let the run's folder be written, or make "
            "room on the disk, then save it again."
        ) from error


def open_flags(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """What is still to be looked at: patient_id -> kinds, in the order in which they were said.

    Args:
        table: of `read_flags`.
    """
    found: dict[str, tuple[str, ...]] = {}
    for patient, kind in zip(table["patient_id"], table["kind"], strict=True):
        found[patient] = () if kind == SETTLED else tuple(dict.fromkeys((*found.get(patient, ()), kind)))
    return {patient: kinds for patient, kinds in found.items() if kinds}


def _append(path: Path, cells: list[str]) -> None:
    there = path.read_bytes() if path.is_file() else b""
    text = ("" if there else _text(list(FIELDS))) + ("" if not there or there.endswith(b"\n") else "\n") + _text(cells)
    data = text.encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)


def _text(cells: list[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue()
