"""What readers estimated, in runs/<id>/readings.csv: rows are appended and never changed.

A reader looks at a case, says a risk of his own, and only when that row is on the disk is he shown the model's risk; a
second estimate is a second row. A correction is a further row: the analysis takes the first estimate of each kind, so
that nobody improves on what was said before the model was seen. Each row carries a seal over itself and the row before
it: a row that was changed, removed or put in between is refused. Rows cut off the end leave no trace: keep a copy.

A line that was cut when it was written (the program was killed, the disk was full) does not count and is told; nothing
was shown for it, so the case is read again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock, Timeout

from onlm_lab import steps
from onlm_lab.errors import OnlmError
from onlm_lab.showing import shows_itself

FILE = "readings.csv"
ALONE, WITH_MODEL = "alone", "with_model"
FIELDS = (
    "number", "reader_id", "patient_id", "model_id", "session", "order", "step", "estimate", "seconds", "risk_shown",
    "time_utc", "note", "seal",
)  # fmt: skip
KEPT = "kept"  # the note of a second estimate that was said to be the first
_CODE = re.compile(r"[A-Z]{0,4}-?[0-9]{1,4}")
_SEAL = re.compile(r"[0-9a-f]{16}")
_LONGEST_NOTE = 200
_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Reading:
    """One estimate.

    Attributes:
        reader_id: a code, see `reader_code`.
        patient_id: whose case.
        model_id: the model whose risk is, or will be, shown.
        session: the reader's how-manieth sitting, from 1.
        order: the case's place in the reader's own order, from 1.
        step: "alone" or "with_model".
        estimate: the reader's probability of N+, 0 to 1.
        seconds: from the sight of the case (alone) or of the model's risk (with_model) to the estimate.
        risk_shown: the model's risk that was shown; None before it was.
        note: a word of the program or of whoever runs the study; nothing about the patient.
    """

    reader_id: str
    patient_id: str
    model_id: str
    session: int
    order: int
    step: str
    estimate: float
    seconds: float
    risk_shown: float | None = None
    note: str = ""


@shows_itself
class Readings(NamedTuple):
    """All rows that are whole, and what a reader of them must know."""

    table: pd.DataFrame
    notes: tuple[str, ...]


class _Line(NamedTuple):
    number: int  # in the file, from 1
    cells: list[str]
    whole: bool


def reader_code(text: str) -> str:
    """A reader's code in capitals, such as R01.

    Raises:
        OnlmError: what was given is no code; a name or an address must not get into the table, nor into the message.
    """
    code = text.strip().upper()
    if not _CODE.fullmatch(code):
        raise OnlmError(
            "A reader is known by a code: up to four letters, then up to four digits, such as R01. No name, no "
            "initials with a birth year, no e-mail address; who R01 is stays on paper with whoever runs the study."
        )
    return code


def read_readings(folder: str | Path) -> Readings:
    """What lies in readings.csv of a run's folder; an empty table where nobody has read yet.

    Raises:
        OnlmError: a row was changed after it was written, or the file is no table of readings.
    """
    path = Path(folder) / FILE
    cells, cut = [], []
    for line in _checked(path):
        if line.whole:
            cells.append(line.cells[:-1])
        else:
            cut.append(line.number)
    table = pd.DataFrame(cells, columns=list(FIELDS[:-1]), dtype=str)
    for name in ("number", "session", "order"):
        table[name] = table[name].astype("int64")
    for name in ("estimate", "seconds", "risk_shown"):
        table[name] = [float(v) if v else math.nan for v in table[name]]  # to the last bit as it was written
    return Readings(table, _told(cut))


def record(folder: str | Path, reading: Reading, *, correction: bool = False, now: datetime | None = None) -> None:
    """Append one estimate; it is on the disk when this returns.

    Args:
        folder: of the run.
        reading: what was estimated.
        correction: True: a further row of the same step, with a note that says why; it does not replace the first.
        now: for tests; else the clock.

    Raises:
        OnlmError: a value that cannot be, a step that is already there or comes too early, or the row could not be
            written (then it does not count, and nothing may be shown for it).
    """
    _check(reading, correction=correction)
    path = Path(folder) / FILE
    try:
        with FileLock(path.with_name(f".{FILE}.lock"), timeout=_PATIENCE_SECONDS):
            _append(path, reading, correction=correction, now=now or datetime.now(UTC))
    except Timeout:
        raise OnlmError("The estimate was not saved: another page is writing readings.csv. Save it again.") from None
    except OSError as error:
        raise OnlmError(
            f"The estimate was not saved: {error.strerror or type(error).__name__}. Let the run's folder be written, "
            "or make room on the disk, then save it again."
        ) from error


def paired_readings(table: pd.DataFrame) -> pd.DataFrame:
    """A row a reader and patient, from the first estimate of each kind.

    Args:
        table: of `read_readings`.

    Returns:
        reader_id, patient_id, model_id, session, order, estimate_alone, seconds_alone, estimate_with_model,
        seconds_with_model, risk_shown, n_corrections (later rows, which do not count).
    """
    key = ["reader_id", "patient_id"]
    first = table.drop_duplicates([*key, "step"])  # the file is in the order of time
    alone = first.loc[first["step"] == ALONE, [*key, "model_id", "session", "order", "estimate", "seconds"]]
    after = first.loc[first["step"] == WITH_MODEL, [*key, "estimate", "seconds", "risk_shown"]]
    both = alone.merge(after, on=key, how="left", suffixes=("_alone", "_with_model"), validate="one_to_one")
    n = (table.groupby([*key, "step"]).size() - 1).groupby(key).sum().rename("n_corrections").reset_index()
    return both.merge(n, on=key, how="left").sort_values(["reader_id", "order"], ignore_index=True)


def _check(reading: Reading, *, correction: bool) -> None:
    said = []
    if reading.reader_id != reader_code(reading.reader_id):
        said.append("reader_id must be written as reader_code gives it")
    if reading.step not in (ALONE, WITH_MODEL):
        said.append(f"step must be {ALONE} or {WITH_MODEL}, got '{reading.step}'")
    if not 0 <= reading.estimate <= 1:
        said.append(f"estimate must be a probability from 0 to 1, got {reading.estimate}")
    if not (math.isfinite(reading.seconds) and reading.seconds >= 0):
        said.append(f"seconds must be 0 or more, got {reading.seconds}")
    if (reading.risk_shown is None) != (reading.step == ALONE):
        said.append(f"risk_shown belongs to the step {WITH_MODEL}, and only there")
    if reading.risk_shown is not None and not 0 <= reading.risk_shown <= 1:
        said.append(f"risk_shown must be a probability from 0 to 1, got {reading.risk_shown}")
    if reading.session < 1 or reading.order < 1:
        said.append("session and order count from 1")
    texts = (reading.patient_id, reading.model_id, reading.note)
    if any(re.search(r"[\r\n\0]", text) for text in texts) or not reading.patient_id or not reading.model_id:
        said.append("patient_id and model_id must be filled, and no text may hold a line break")
    if len(reading.note) > _LONGEST_NOTE:
        said.append(f"note is at most {_LONGEST_NOTE} letters long")
    if correction and not reading.note:
        said.append("a correction needs a note that says why")
    if said:
        raise OnlmError("The estimate was not saved: " + "; ".join(said) + ".")


def _append(path: Path, reading: Reading, *, correction: bool, now: datetime) -> None:
    if not path.is_file():
        steps.write_text(path, _text(FIELDS))  # whole or not at all
    lines = [line for line in _checked(path) if line.whole]
    here = [c for _, c, _ in lines if (c[1], c[2]) == (reading.reader_id, reading.patient_id)]
    _require_turn({c[6] for c in here}, reading, correction=correction)
    cells = [
        str(len(lines) + 1), reading.reader_id, reading.patient_id, reading.model_id, str(reading.session),
        str(reading.order), reading.step, repr(float(reading.estimate)), f"{reading.seconds:.1f}",
        "" if reading.risk_shown is None else repr(float(reading.risk_shown)),
        now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), reading.note,
    ]  # fmt: skip
    line = _text([*cells, _seal(lines[-1].cells[-1] if lines else "", cells)])
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        ends = stream.read(1) == b"\n"
    data = (line if ends else f"\n{line}").encode()  # a line that was cut stays as it is, on a line of its own
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        while data:
            data = data[os.write(file, data) :]
        os.fsync(file)
    finally:
        os.close(file)


def _require_turn(there: set[str], reading: Reading, *, correction: bool) -> None:
    if correction and reading.step not in there:
        raise OnlmError(f"Nothing to correct: this reader has no estimate '{reading.step}' of this case yet.")
    if not correction and reading.step in there:
        raise OnlmError(
            "The estimate was not saved: this case has one of this reader already, perhaps from another open page. "
            "The first one counts."
        )
    if reading.step == WITH_MODEL and ALONE not in there:
        raise OnlmError("The estimate was not saved: the reader's own estimate comes before the one with the model.")
    if reading.step == ALONE and WITH_MODEL in there and not correction:
        raise OnlmError("The estimate was not saved: this reader has seen the model's risk of this case.")


def _checked(path: Path) -> Iterator[_Line]:
    """The lines below the names; those that are whole have a seal that fits."""
    if not path.is_file():
        return
    lines = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    if lines[0].split(",") != list(FIELDS):
        raise OnlmError(f"{FILE} does not begin with the names {', '.join(FIELDS)}. Put the original file back.")
    before = ""
    for number, text in enumerate(lines[1:], start=2):
        if not text:
            continue
        cells = next(csv.reader([text]), [])
        whole = len(cells) == len(FIELDS) and bool(_SEAL.fullmatch(cells[-1]))
        if whole and cells[-1] != _seal(before, cells[:-1]):
            raise OnlmError(
                f"{FILE}: line {number} no longer fits its seal: it, or a line before it, was changed, removed or put "
                "in after it was written (a spreadsheet program does that when it saves). Put the original file back."
            )
        if whole:
            before = cells[-1]
        yield _Line(number, cells, whole)


def _told(cut: Sequence[int]) -> tuple[str, ...]:
    if not cut:
        return ()
    where = f"line {cut[0]} was" if len(cut) == 1 else f"lines {', '.join(map(str, cut))} were"
    return (
        f"{FILE}: {where} cut off while being written (the program or the machine stopped). No estimate is counted "
        "from there, and the model's risk was not shown for it: the case is read again.",
    )


def _seal(before: str, cells: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([before, *cells], ensure_ascii=False).encode()).hexdigest()[:16]


def _text(cells: Sequence[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(cells)
    return stream.getvalue()
